"""`MaxPooling3D`: each window passes its gradient to one maximum, on CPUs too."""

import itertools

import keras
import numpy as np
import pytest
from short_network import register

import kinetics_i3d as ki3d
from kinetics_i3d.models.corrected_gradients import MaxPooling3D

tf = pytest.importorskip("tensorflow")

SETTINGS = [
    (3, 2, "same"),
    (3, 1, "same"),
    (2, 2, "same"),
    ((1, 3, 3), (1, 2, 2), "same"),
    ((3, 2, 3), (2, 1, 2), "valid"),
]


def windows(shape, pool):
    """(index of an output, slices of its window) of a pool over (frames, height, width)."""
    axes = []
    for length, size, stride in zip(shape, pool.pool_size, pool.strides, strict=True):
        if pool.padding == "same":
            count = -(-length // stride)
            before = max(0, (count - 1) * stride + size - length) // 2
        else:
            count, before = (length - size) // stride + 1, 0
        starts = (number * stride - before for number in range(count))
        axes.append([slice(max(0, start), min(length, start + size)) for start in starts])
    for index in itertools.product(*(range(len(axis)) for axis in axes)):
        yield index, tuple(axis[number] for axis, number in zip(axes, index, strict=True))


def plain_pool(x, pool):
    """Output and first maxima of a pool over one channel, in NumPy."""
    outputs, maxima = {}, {}
    for index, window in windows(x.shape, pool):
        offset = np.unravel_index(np.argmax(x[window]), x[window].shape)
        maxima[index] = tuple(part.start + step for part, step in zip(window, offset, strict=True))
        outputs[index] = x[maxima[index]]
    shape = tuple(last + 1 for last in max(outputs))
    return np.array([outputs[index] for index in np.ndindex(*shape)]).reshape(shape), maxima


def plain_gradient(maxima, upstream, shape):
    gradient = np.zeros(shape)
    for index, place in maxima.items():
        gradient[place] += upstream[index]
    return gradient


@pytest.mark.parametrize(("size", "strides", "padding"), SETTINGS)
@pytest.mark.parametrize("as_graph", [False, True])
def test_gradients_of_two_pools_are_those_of_plain_numpy(size, strides, padding, as_graph):
    random = np.random.default_rng(0)
    first = MaxPooling3D(size, strides=strides, padding=padding)
    second = MaxPooling3D(3, strides=1, padding="same")  # its windows hold equal maxima
    x = random.permutation(6 * 9 * 10 * 2).reshape(1, 6, 9, 10, 2).astype(np.float32)

    def run(clips, upstream):
        with tf.GradientTape() as tape:
            tape.watch(clips)
            y = second(first(clips))
        return y, tape.gradient(y, clips, upstream)

    run = tf.function(run) if as_graph else run
    shape = second.compute_output_shape(first.compute_output_shape(x.shape))
    upstream = random.normal(size=shape).astype(np.float32)
    outputs, gradient = map(np.asarray, run(tf.constant(x), tf.constant(upstream)))
    for channel in range(2):
        once, first_maxima = plain_pool(x[0, ..., channel], first)
        twice, second_maxima = plain_pool(once, second)
        np.testing.assert_array_equal(outputs[0, ..., channel], twice)
        between = plain_gradient(second_maxima, upstream[0, ..., channel], once.shape)
        expected = plain_gradient(first_maxima, between, x.shape[1:4])
        np.testing.assert_allclose(gradient[0, ..., channel], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_no_gradient_is_multiplied_and_the_output_is_that_of_keras(precision):
    x = tf.cast(np.random.default_rng(1).normal(size=(2, 5, 8, 8, 3)), precision)
    pools = [MaxPooling3D(3, strides=s, padding="same", dtype=precision) for s in (2, 1)]
    plain = [keras.layers.MaxPooling3D.from_config(pool.get_config()) for pool in pools]
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = pools[1](pools[0](x))
    gradient = tf.cast(tape.gradient(y, x), "float32")
    assert float(tf.reduce_sum(gradient)) == np.prod(y.shape)
    assert tf.reduce_all(y == plain[1](plain[0](x)))


def test_every_3d_pool_of_the_systems_has_the_correct_gradient():
    row = register()
    models = [
        ki3d.InceptionI3D(architecture=row, classes=2),
        ki3d.C3D(architecture="c3d_eighth", classes=2),
        ki3d.TwoStreamFused(architecture=row, classes=2),
    ]
    for model in models:
        pools = [
            layer
            for layer in model._flatten_layers(include_self=False)
            if isinstance(layer, keras.layers.MaxPooling3D)
        ]
        assert pools and {type(pool) for pool in pools} == {MaxPooling3D}, model.name


@pytest.mark.slow
def test_the_slope_of_a_network_is_its_gradient():
    model = ki3d.load_model("rgb_figures")
    clips = np.random.default_rng(0).uniform(-1, 1, (1, 16, 32, 32, 3)).astype(np.float32)
    (kernel,) = (w.value for w in model.weights if w.path.endswith("Conv3d_1a_7x7_conv/kernel"))
    with tf.GradientTape() as tape:
        loss = model(clips, training=False)[0, 0]
    gradient = tape.gradient(loss, kernel)
    step = 1e-3 / float(tf.norm(gradient))
    losses = []
    start = tf.identity(kernel)
    for sign in (1, -1):
        kernel.assign(start + sign * step * gradient)
        losses.append(float(model(clips, training=False)[0, 0]))
    kernel.assign(start)
    slope = (losses[0] - losses[1]) / (2 * step * float(tf.norm(gradient)))
    # TensorFlow's own gradient of the pools is 4.7 times as long here.
    assert slope == pytest.approx(float(tf.norm(gradient)), rel=0.1)


def test_files_of_earlier_versions_get_the_corrected_pools():
    model = ki3d.InceptionI3D(architecture=register(), classes=2)
    config = model.get_config()
    text = keras.saving.serialize_keras_object(config)
    assert "kinetics_i3d>MaxPooling3D" in str(text)
    restored = type(model).from_config(_as_keras_wrote_it(config))
    kinds = {type(x) for x in restored.layers if isinstance(x, keras.layers.MaxPooling3D)}
    assert kinds == {MaxPooling3D}


def _as_keras_wrote_it(config):
    if isinstance(config, dict):
        config = {key: _as_keras_wrote_it(value) for key, value in config.items()}
        if config.get("class_name") == "MaxPooling3D":
            config |= {"module": "keras.layers", "registered_name": None}
    elif isinstance(config, list):
        config = [_as_keras_wrote_it(value) for value in config]
    return config
