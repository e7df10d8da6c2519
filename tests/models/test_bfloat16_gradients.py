"""Training in plain Keras under mixed_bfloat16 is right on a CPU, at short depths too."""

import zipfile

import h5py
import keras
import numpy as np
import pytest

from kinetics_i3d.models.c3d import C3D
from kinetics_i3d.models.corrected_gradients import Conv3D
from kinetics_i3d.models.inception_i3d import InceptionI3D
from kinetics_i3d.models.two_stream_i3d import TwoStreamI3D

pytestmark = pytest.mark.slow

tf = pytest.importorskip("tensorflow")


@pytest.fixture
def in_bfloat16():
    keras.config.set_dtype_policy("mixed_bfloat16")
    yield
    keras.config.set_dtype_policy("float32")


def clips_of(frames, *, side=32, channels=3, batch=4):
    random = np.random.default_rng(frames)
    return random.uniform(-1, 1, (batch, frames, side, side, channels)).astype(np.float32)


LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
TARGETS = np.arange(4) % 3


def losses_of(model, clips, steps=6):
    model.compile(keras.optimizers.SGD(0.01, momentum=0.9), LOSS)
    return [float(model.train_on_batch(clips, TARGETS)) for _ in range(steps)]


@pytest.mark.parametrize(
    ("kernel", "frames", "known", "options"),
    [
        (3, 2, True, {"padding": "same"}),
        (3, 2, False, {"padding": "same"}),
        (5, 3, True, {"padding": "same"}),
        (5, 4, True, {"padding": "same", "strides": (1, 2, 2)}),
        (7, 2, True, {"padding": "same"}),
        (3, 8, True, {"padding": "same"}),
    ],
)
def test_the_kernels_gradient_is_that_of_float32(kernel, frames, known, options):
    random = np.random.default_rng(0)
    clips = random.normal(size=(4, frames, 7, 7, 16)).astype(np.float32)
    start = random.normal(size=(kernel,) * 3 + (16, 24)).astype(np.float32)

    def gradients(precision):
        layer = Conv3D(24, kernel, dtype=precision, **options)
        layer.build((None, frames, 7, 7, 16))
        layer.kernel.assign(start)
        shape = (4, frames if known else None, 7, 7, 16)

        @tf.function(input_signature=[tf.TensorSpec(shape)])
        def run(x):
            with tf.GradientTape() as tape:
                tape.watch(x)
                loss = tf.reduce_sum(tf.cast(layer(x), tf.float32) ** 2)
            return tape.gradient(loss, [layer.kernel.value, x])

        return [[each.numpy() for each in run(tf.constant(clips))] for _ in range(3)]

    exact = gradients("float32")[0]
    for found in gradients("mixed_bfloat16"):  # uninitialized memory differs from call to call
        for low, high in zip(found, exact, strict=True):
            assert np.linalg.norm(low - high) / np.linalg.norm(high) < 0.02


def test_outputs_are_those_of_the_layer_of_keras_to_the_bit():
    own = Conv3D(8, 3, padding="same", dtype="mixed_bfloat16")
    plain = keras.layers.Conv3D(8, 3, padding="same", dtype="mixed_bfloat16")
    clips = clips_of(2)
    own.build(clips.shape)
    plain.build(clips.shape)
    plain.set_weights(own.get_weights())
    np.testing.assert_array_equal(np.asarray(own(clips)), np.asarray(plain(clips)))


@pytest.mark.long
@pytest.mark.parametrize("frames", [16, 9])
def test_plain_keras_training_in_bfloat16_stays_finite_on_short_clips(short, in_bfloat16, frames):
    keras.utils.set_random_seed(1)
    losses = losses_of(InceptionI3D(architecture=short, classes=3), clips_of(frames, side=64), 12)
    assert np.isfinite(losses).all() and losses[-1] < losses[0]


@pytest.mark.long
def test_the_handed_case_trains_with_fit(short, in_bfloat16):
    keras.utils.set_random_seed(1)
    model = InceptionI3D(architecture=short, classes=3)
    model.compile(keras.optimizers.SGD(0.01, momentum=0.9), LOSS)
    history = model.fit(
        clips_of(16, side=112), TARGETS, batch_size=4, epochs=8, shuffle=False, verbose=0
    )
    assert np.isfinite(history.history["loss"]).all()


@pytest.mark.long
def test_both_streams_and_c3d_train_in_bfloat16(short, in_bfloat16):
    both = TwoStreamI3D(architecture=short, classes=3)
    clips = {"rgb": clips_of(16), "flow": clips_of(16, channels=2)}
    assert np.isfinite(losses_of(both, clips)).all()
    c3d = C3D(architecture="c3d_eighth", classes=3, input_shape=(16, 64, 64, 3))
    assert np.isfinite(losses_of(c3d, clips_of(16, side=64))).all()


def test_a_model_read_from_an_older_keras_file_has_the_gradients_too(short, tmp_path):
    InceptionI3D(architecture=short, classes=3).save(tmp_path / "new.keras")
    with zipfile.ZipFile(tmp_path / "new.keras") as new:
        members = {name: new.read(name) for name in new.namelist()}
    config = members["config.json"].decode()
    own = '"module": "kinetics_i3d.models.corrected_gradients", "class_name": "Conv3D"'
    assert own in config
    config = config.replace(own, '"module": "keras.layers", "class_name": "Conv3D"')
    config = config.replace('"registered_name": "kinetics_i3d>Conv3D"', '"registered_name": null')
    with zipfile.ZipFile(tmp_path / "old.keras", "w") as old:
        for name, content in {**members, "config.json": config}.items():
            old.writestr(name, content)
    loaded = keras.models.load_model(tmp_path / "old.keras")
    kinds = {type(layer) for layer in loaded.layers if isinstance(layer, keras.layers.Conv3D)}
    assert Conv3D in kinds and type(loaded.get_layer("Conv3d_1a_7x7_conv")) is Conv3D


def test_keras_weight_files_have_the_groups_of_plain_convolutions(short, tmp_path):
    InceptionI3D(architecture=short, classes=3).save_weights(tmp_path / "model.weights.h5")
    with h5py.File(tmp_path / "model.weights.h5") as file:
        assert {"conv3d", "conv3d_1", "batch_normalization"} <= set(file["layers"])
