"""Clips that are too small are refused by traced graphs too, where Python no longer sees sizes."""

import keras
import numpy as np
import pytest

from kinetics_i3d.models.conv_net_lstm import ConvNetLSTM
from kinetics_i3d.models.inception_i3d import InceptionI3D
from kinetics_i3d.models.inception_v1 import InceptionV1
from kinetics_i3d.models.load import feature_model
from kinetics_i3d.models.two_stream import TwoStream
from kinetics_i3d.models.two_stream_i3d import TwoStreamI3D

pytestmark = pytest.mark.slow

tf = pytest.importorskip("tensorflow")
REFUSALS = (ValueError, tf.errors.InvalidArgumentError)


def clips_of(frames=9, side=32, *, batch=1, channels=3):
    random = np.random.default_rng(frames + side)
    return random.uniform(-1, 1, (batch, frames, side, side, channels)).astype(np.float32)


@pytest.fixture(scope="module")
def model(short):
    return InceptionI3D(architecture=short, classes=3)


@pytest.fixture(scope="module")
def both(short):
    return TwoStreamI3D(architecture=short, classes=3)


def open_function(network, **options):
    """A `tf.function` whose trace knows no size, as after it was relaxed."""
    shape = [None, None, None, None, 3]
    return tf.function(network, input_signature=[tf.TensorSpec(shape)], **options)


def test_predict_refuses_few_frames_after_its_trace_was_relaxed(model):
    for frames in (16, 20, 24):
        assert np.isfinite(model.predict(clips_of(frames), verbose=0)).all()
    with pytest.raises(REFUSALS, match="needs 9 x 32 x 32"):
        model.predict(clips_of(8), verbose=0)


@pytest.mark.long
def test_the_figures_weights_refuse_the_handed_case():
    model = InceptionI3D(weights="rgb_figures")
    zeros = [np.zeros((1, frames, 64, 64, 3), np.float32) for frames in (16, 20, 8)]
    for clips in zeros[:2]:
        model.predict(clips, verbose=0)
    with pytest.raises(REFUSALS, match="needs 9 x 32 x 32"):
        model.predict(zeros[2], verbose=0)


@pytest.mark.parametrize("wrong", [clips_of(8), clips_of(9, 24), clips_of(1, 1)])
def test_an_open_function_refuses_small_clips(model, wrong):
    function = open_function(model)
    assert function(clips_of(9)).shape == (1, 3)
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=r"needs 9 x 32 x 32 \(frames x height x width\)"
    ):
        function(wrong)


def test_xla_refuses_small_clips_where_it_drops_assertions(short):
    function = open_function(InceptionI3D(architecture=short, classes=3), jit_compile=True)
    with pytest.raises(tf.errors.InvalidArgumentError, match="needs_9_x_32_x_32"):
        function(clips_of(8))


def test_tf_data_refuses_small_clips(model):
    videos = [clips_of(frames) for frames in (9, 8)]
    shape = tf.TensorSpec((None, None, None, None, 3))
    dataset = tf.data.Dataset.from_generator(lambda: iter(videos), output_signature=shape)
    logits = iter(dataset.map(model))
    assert next(logits).shape == (1, 3)
    with pytest.raises(tf.errors.InvalidArgumentError, match="needs 9 x 32 x 32"):
        next(logits)
    with pytest.raises(REFUSALS, match="needs 9 x 32 x 32"):
        model.predict(dataset, verbose=0)


@pytest.mark.long
def test_an_exported_saved_model_refuses_small_clips(model, tmp_path):
    signature = keras.layers.InputLayer((None, None, None, 3))
    model.export(tmp_path / "model", input_signature=[signature.output], verbose=False)
    loaded = tf.saved_model.load(tmp_path / "model")
    np.testing.assert_allclose(loaded.serve(clips_of(9)), model(clips_of(9)), rtol=1e-4, atol=1e-5)
    with pytest.raises(tf.errors.InvalidArgumentError, match="needs 9 x 32 x 32"):
        loaded.serve(clips_of(8))


@pytest.mark.parametrize("kind", ["sequential", "top of a cut", "probabilities"])
def test_models_around_a_model_refuse_small_clips(model, kind):
    inputs = keras.Input((None, None, None, 3))
    network = {
        "sequential": lambda: keras.Sequential([keras.Input((None, None, None, 3)), model]),
        "top of a cut": lambda: feature_model(model, "Conv3d_0c_1x1"),
        "probabilities": lambda: keras.Model(inputs, keras.ops.softmax(model(inputs))),
    }[kind]()
    function = open_function(network)
    function(clips_of(9))
    with pytest.raises(tf.errors.InvalidArgumentError, match="needs 9 x 32 x 32"):
        function(clips_of(8))


def test_images_that_are_too_small_are_refused(short):
    model = InceptionV1(architecture=short, classes=3)
    function = tf.function(model, input_signature=[tf.TensorSpec((None, None, None, 3))])
    function(clips_of(9)[0])
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=r"needs 32 x 32 \(height x width\) or more"
    ):
        function(clips_of(9, 24)[0])


def test_frames_of_an_lstm_that_are_too_small_are_refused(short):
    function = open_function(ConvNetLSTM(architecture=short, classes=3))
    function(clips_of(2))
    with pytest.raises(tf.errors.InvalidArgumentError, match="needs 1 x 32 x 32"):
        function(clips_of(2, 24))


def streams(rgb, flow, *, rgb_batch=1, flow_batch=1, side=32):
    return {
        "rgb": clips_of(rgb, batch=rgb_batch),
        "flow": clips_of(flow, side, batch=flow_batch, channels=2),
    }


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (streams(8, 8), "needs 9 x 32 x 32"),
        (streams(9, 9, side=24), "needs 9 x 32 x 32"),
        (streams(16, 9), "flow and rgb frames in the ratio 1 to 1"),
        (streams(9, 9, rgb_batch=2), "rgb and flow of the same videos"),
    ],
)
def test_two_streams_that_do_not_belong_together_are_refused(both, wrong, why):
    signature = {
        stream: tf.TensorSpec([None] * 4 + [channels], name=stream)
        for stream, channels in (("rgb", 3), ("flow", 2))
    }
    function = tf.function(both, input_signature=[signature])
    assert function(streams(9, 9)).shape == (1, 3)
    with pytest.raises(tf.errors.InvalidArgumentError, match=why):
        function(wrong)


@pytest.mark.long
def test_snapshots_without_their_stacks_are_refused(short):
    model = TwoStream(architecture=short, classes=3)
    for count in (1, 2, 3):
        model.predict(streams(count, 10 * count), verbose=0)
    with pytest.raises(REFUSALS, match="ratio 10 to 1"):
        model.predict(streams(2, 10), verbose=0)


def test_a_guarded_graph_gives_the_logits_of_an_eager_call_to_the_bit(model):
    plain = keras.Model(model.input, model.output)
    clips = clips_of(17, 40, batch=2)
    np.testing.assert_array_equal(open_function(model)(clips), open_function(plain)(clips))


def test_sizes_that_are_known_leave_no_assertion_in_the_graph(model):
    spec = tf.TensorSpec((None, 16, 64, 64, 3))
    graph = tf.function(model).get_concrete_function(spec).graph
    assert not [op for op in graph.get_operations() if op.type == "Assert"]
