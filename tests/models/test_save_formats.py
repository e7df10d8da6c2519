"""`save_weights`: a suffix means its format; `batch_norm_momentum`: any constructor takes it."""

import h5py
import keras
import numpy as np
import pytest

import kinetics_i3d as ki3d
from kinetics_i3d.core.clip_spec import ClipSpec
from kinetics_i3d.core.errors import WeightsError
from kinetics_i3d.models.two_stream_i3d import TwoStreamI3D
from kinetics_i3d.weights.formats import read_arrays

pytestmark = pytest.mark.slow

SPEC = ClipSpec("own", short_side=40, size=32)
LABELS = ("a", "b", "c")


@pytest.fixture(scope="module")
def model(short):
    return ki3d.InceptionI3D(architecture=short, classes=3)


@pytest.mark.parametrize("name", ["mine.h5", "MINE.H5", "mine.hdf5", "mine.keras", "mine"])
def test_the_suffix_is_the_format(model, tmp_path, name):
    path = tmp_path / name
    ki3d.save_weights(model, path, labels=LABELS, clip_spec=SPEC)
    assert h5py.is_hdf5(path) is not name.endswith(".keras")
    again = ki3d.InceptionI3D(weights=path)
    assert (again.labels, again.clip_spec) == (LABELS, SPEC)
    for one, other in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert model.labels == () and model.clip_spec.name == "deepmind"


def test_a_keras_file_is_a_model_of_keras(model, tmp_path):
    ki3d.save_weights(model, tmp_path / "mine.keras", labels=LABELS)
    assert keras.models.load_model(tmp_path / "mine.keras").labels == LABELS


def test_safetensors_keep_labels_and_what_is_worth_keeping(model, tmp_path):
    path = tmp_path / "mine.safetensors"
    ki3d.save_weights(model, path, labels=LABELS, about={"top1": 0.5})
    assert read_arrays(path)[0] == "safetensors"
    assert ki3d.InceptionI3D(weights=path).labels == LABELS


def test_both_streams_go_into_a_keras_file(short, tmp_path):
    both = TwoStreamI3D(architecture=short, classes=3)
    ki3d.save_weights(both, tmp_path / "both.keras", labels=LABELS)
    assert TwoStreamI3D(weights=tmp_path / "both.keras").labels == LABELS


@pytest.mark.parametrize(
    "name", ["mine.pt", "mine.pth", "mine.weights.h5", "mine.onnx", "mine.npz", "model.ckpt"]
)
def test_other_suffixes_are_refused_and_write_nothing(model, tmp_path, name):
    with pytest.raises(ValueError, match=r"`path` must end in \.h5, \.keras or \.safetensors"):
        ki3d.save_weights(model, tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_what_a_format_cannot_hold_is_refused(model, tmp_path):
    with pytest.raises(ValueError, match="`about` must be None"):
        ki3d.save_weights(model, tmp_path / "mine.keras", about={"top1": 0.5})
    with pytest.raises(ValueError, match="`dtype` must be 'float32'"):
        ki3d.save_weights(model, tmp_path / "mine.safetensors", dtype="float16")
    assert not list(tmp_path.iterdir())


def test_values_that_are_not_finite_are_refused_in_every_format(short, tmp_path):
    model = ki3d.InceptionI3D(architecture=short, classes=3)
    model.weights[0].assign(np.full(model.weights[0].shape, np.nan))
    for name in ("mine.keras", "mine.safetensors", "mine.h5"):
        with pytest.raises(WeightsError, match="not finite"):
            ki3d.save_weights(model, tmp_path / name)


def test_a_model_of_keras_is_refused_in_words(tmp_path):
    plain = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    with pytest.raises(ValueError, match="`model` must be a ClipModel"):
        ki3d.save_weights(plain, tmp_path / "mine.h5")


def momenta(model):
    found = set()
    for layer in model.layers:
        if hasattr(layer, "layers"):
            found |= momenta(layer)
        elif isinstance(layer, keras.layers.BatchNormalization):
            found.add(layer.momentum)
    return found


@pytest.mark.parametrize(
    "system",
    [
        "InceptionI3D",
        "InceptionV1",
        "ConvNetLSTM",
        "C3D",
        "TwoStream",
        "TwoStreamFused",
        "TwoStreamI3D",
    ],
)
def test_batch_norms_decay_is_an_argument(short, system):
    architecture = "c3d_eighth" if system == "C3D" else short
    builder = getattr(ki3d, system)
    assert momenta(builder(architecture=architecture, classes=2)) == {0.999}
    made = builder(architecture=architecture, classes=2, batch_norm_momentum=0.9)
    assert momenta(made) == {0.9}
    with pytest.raises(ValueError, match="`batch_norm_momentum` must be"):
        builder(architecture=architecture, classes=2, batch_norm_momentum=1.0)


def test_a_decay_goes_through_a_keras_file_and_inflation(short, tmp_path):
    images = ki3d.InceptionV1(architecture=short, classes=2, batch_norm_momentum=0.9)
    inflated = ki3d.inflate(images)
    inflated.save(tmp_path / "inflated.keras")
    assert (
        momenta(inflated) == momenta(keras.models.load_model(tmp_path / "inflated.keras")) == {0.9}
    )


@pytest.mark.long
def test_a_short_decay_lets_evaluation_follow_training(short):
    """Clips learned by heart are known at test too, which 0.999 needs thousands of steps for."""
    random = np.random.default_rng(0)
    clips = random.uniform(-1, 1, (6, 9, 32, 32, 3)).astype(np.float32)
    targets = np.arange(6) % 3
    found = {}
    for momentum in (0.999, 0.8):
        keras.utils.set_random_seed(1)
        model = ki3d.InceptionI3D(
            architecture=short, classes=3, dropout=0.0, batch_norm_momentum=momentum
        )
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.Adam(1e-3), loss, metrics=["accuracy"])
        model.fit(clips, targets, batch_size=6, epochs=25, verbose=0)
        found[momentum] = model.evaluate(clips, targets, verbose=0)[1]
    assert found[0.8] == 1.0 > found[0.999]


@pytest.mark.parametrize("name", ["m.h5", "m.HDF5"])
def test_saving_in_the_former_format_of_keras_is_refused(short, tmp_path, name):
    model = ki3d.InceptionI3D(architecture=short, classes=2)
    with pytest.raises(ValueError, match=r"must end in \.keras .* save_weights\(model, path\)"):
        model.save(tmp_path / name)
    assert not (tmp_path / name).exists()
    model.save(tmp_path / "m.keras")
    assert keras.saving.load_model(tmp_path / "m.keras").labels == model.labels
