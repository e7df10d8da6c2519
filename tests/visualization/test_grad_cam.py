"""`grad_cam`: held against the classifier's own weights, and its arguments."""

import gc
import weakref

import keras
import numpy as np
import pytest
from short_network import tiny_model, tiny_spec

import kinetics_i3d as ki3d
from kinetics_i3d.core.clip_spec import DEEPMIND_FLOW, ClipSpec
from kinetics_i3d.models.corrected_gradients import MaxPooling3D

pytestmark = pytest.mark.slow

FRAMES, SIZE = 17, 64  # 3 time steps at Mixed_5c, a grid of 2x2
SHAPES = {
    "ConvNetLSTM": {"rgb": (3, 64, 64, 3)},
    "C3D": {"rgb": (16, 112, 112, 3)},
    "TwoStream": {"rgb": (2, 64, 64, 3), "flow": (20, 64, 64, 2)},
    "TwoStreamFused": {"rgb": (5, 64, 64, 3), "flow": (50, 64, 64, 2)},
    "TwoStreamI3D": {"rgb": (9, 64, 64, 3), "flow": (9, 64, 64, 2)},
}


def noise(shape, low=-1.0, high=1.0):
    values = np.random.default_rng(len(shape)).uniform(low, high, (1, *shape))
    return values.astype(np.float32)


@pytest.fixture(scope="module")
def clips():
    spec = tiny_spec()
    return noise((FRAMES, SIZE, SIZE, 3), spec.low, spec.high)


@pytest.fixture(scope="module")
def tiny(clips):
    """A model for whose classes some places speak, and others against them."""
    model = tiny_model()
    mean = np.asarray(ki3d.feature_model(model, "Mixed_5c")(clips)).mean(axis=(0, 1, 2, 3))
    kernel = np.asarray(model.get_layer("Conv3d_0c_1x1").kernel)
    projected = kernel - mean[:, None] * (mean @ kernel) / (mean @ mean)
    model.get_layer("Conv3d_0c_1x1").kernel.assign(projected)
    return model


def test_the_map_of_a_linear_classifier_is_its_class_activation_map(tiny, clips):
    # Behind Mixed_5c an I3D is linear, so the gradient is the kernel of the class.
    grid = np.asarray(ki3d.feature_model(tiny, "Mixed_5c")(clips))[0]
    kernel = np.asarray(tiny.get_layer("Conv3d_0c_1x1").kernel)[0, 0, 0]
    for label in range(3):
        expected = np.maximum(grid @ kernel[:, label], 0)
        expected = np.minimum(expected / np.quantile(expected, 0.99), 1)
        heatmap = ki3d.grad_cam(tiny, clips, label=label).heatmap
        assert heatmap.dtype == np.float32 and heatmap.shape == (FRAMES, SIZE, SIZE)
        corners = heatmap[np.ix_((0, 8, -1), (0, -1), (0, -1))]  # where nothing is interpolated
        np.testing.assert_allclose(corners, expected, atol=1e-5)
        # Half way between the middles of two cells.
        middle = expected[1].mean()
        assert heatmap[8, 31:33, 31:33].mean() == pytest.approx(middle, abs=1e-5)


def test_label_and_probability_are_those_of_the_model(tiny, clips):
    logits = tiny.predict(clips, verbose=0)
    (((label, probability),),) = ki3d.decode_predictions(logits, top=1, labels=tiny.labels)
    cam = ki3d.grad_cam(tiny, clips)
    assert (cam.label, cam.stream, cam.endpoint) == (label, "rgb", "Mixed_5c")
    assert cam.probability == pytest.approx(probability, rel=1e-4)
    assert cam.fps == tiny.clip_spec.fps
    np.testing.assert_array_equal(cam.frames, tiny.clip_spec.denormalize(clips[0]))
    by_name = ki3d.grad_cam(tiny, clips, label="sit")
    np.testing.assert_array_equal(
        by_name.heatmap, ki3d.grad_cam(tiny, clips, label=tiny.labels.index("sit")).heatmap
    )
    others = [ki3d.grad_cam(tiny, clips, label=label) for label in tiny.labels]
    assert sum(other.probability for other in others) == pytest.approx(1)
    assert np.abs(others[0].heatmap - others[1].heatmap).max() > 0.1


@pytest.mark.parametrize("system", SHAPES)
def test_every_system_has_a_map_for_each_stream(system, short):
    architecture = "c3d_eighth" if system == "C3D" else short
    keras.utils.set_random_seed(0)
    model = getattr(ki3d, system)(architecture=architecture, classes=8)
    shapes = SHAPES[system]
    by_stream = {stream: noise(shape) for stream, shape in shapes.items()}
    clips = by_stream if len(shapes) > 1 else by_stream["rgb"]
    for stream, shape in shapes.items():
        cam = ki3d.grad_cam(model, clips, stream=stream)
        assert cam.heatmap.shape == cam.frames.shape[:3] == shape[:3]
        assert 0.9 < cam.heatmap.max() <= 1 and 0 <= cam.heatmap.min() < 0.9
        assert cam.frames.dtype == np.uint8 and cam.frames.shape[-1] == 3
        assert (
            cam.label in "01234567"
            and cam.stream == stream
            and cam.fps == model.clip_specs[stream].fps
        )


def test_a_stream_of_a_sum_has_the_map_of_its_network(short):
    model = ki3d.TwoStreamI3D(architecture=short, classes=3)
    clips = {stream: noise(shape) for stream, shape in SHAPES["TwoStreamI3D"].items()}
    for stream in clips:
        joint = ki3d.grad_cam(model, clips, stream=stream, label=2)
        alone = ki3d.grad_cam(model.streams[stream], clips[stream], label=2)
        np.testing.assert_allclose(joint.heatmap, alone.heatmap, atol=1e-5)
    np.testing.assert_allclose(
        joint.probability,
        np.exp(model(clips)[0, 2]) / np.exp(model(clips)[0]).sum(),
        rtol=1e-5,
    )


def test_flow_frames_show_directions_as_colors(short):
    model = ki3d.InceptionI3D(architecture=short, classes=3, input_shape=(None, None, None, 2))
    model.clip_spec = DEEPMIND_FLOW
    flow = np.zeros((1, 9, 64, 64, 2), np.float32)
    flow[:, :, :, 32:, 0] = 0.25  # 5 pixels to the right
    frames = ki3d.grad_cam(model, flow).frames
    assert (frames[:, :, :31] == 255).all()
    assert (frames[:, :, 33:] == (255, 0, 0)).all()


@pytest.fixture
def video(tmp_path):
    pixels = np.random.default_rng(3).integers(0, 256, (20, 40, 48, 3), np.uint8)
    return ki3d.VideoFrames(pixels, fps=10, name="noise")


def test_a_video_is_read_as_the_model_reads_it(tiny, video):
    cam = ki3d.grad_cam(tiny, video)
    clips = ki3d.load_clip(video, spec=tiny.clip_spec)
    np.testing.assert_array_equal(cam.heatmap, ki3d.grad_cam(tiny, clips).heatmap)
    assert cam.video == "noise" and len(cam.frames) == 20
    first = ki3d.grad_cam(tiny, video, window=9)
    np.testing.assert_array_equal(first.frames, cam.frames[:9])


def test_gradients_behind_max_pools_are_those_of_finite_differences(tiny, clips):
    # Equal maxima, such as the zeros of ReLUs, must not get the gradient of a window twice.
    endpoint = "Mixed_4f"
    grid = np.asarray(ki3d.feature_model(tiny, endpoint)(clips))
    assert (grid == 0).mean() > 0.1
    head = keras.Model(tiny.get_layer(endpoint).output, tiny.output)
    step = 1e-2 * np.eye(grid.shape[-1], dtype=np.float32)[:, None, None, None]
    slopes = [head.predict(grid + sign * step, verbose=0, batch_size=64)[:, 1] for sign in (1, -1)]
    expected = np.maximum(grid[0] @ (slopes[0] - slopes[1]), 0)
    expected = np.minimum(expected / np.quantile(expected, 0.99), 1)
    cam = ki3d.grad_cam(tiny, clips, label=1, endpoint=endpoint)
    assert cam.endpoint == endpoint
    corners = np.ix_((0, -1), (0, -1), (0, -1))  # where nothing is interpolated
    np.testing.assert_allclose(cam.heatmap[corners], expected[corners], atol=0.02)


def test_pools_of_keras_have_the_gradient_of_the_packages_own():
    def network(pool):
        keras.utils.set_random_seed(0)
        inputs = keras.Input((9, 16, 16, 3))
        x = keras.layers.Conv3D(4, 3, padding="same", activation="relu", name="act")(inputs)
        for _ in range(2):
            x = pool(3, strides=1, padding="same")(x)
        x = keras.layers.GlobalAveragePooling3D()(keras.layers.Conv3D(4, 3)(x))
        x = keras.layers.Dense(2, name="Logits")(x)
        spec = ClipSpec("s", short_side=20, size=16)
        about = {"labels": ("a", "b"), "architecture": "own", "minimum": (9, 16, 16)}
        return ki3d.ClipModel(inputs, x, clip_spec=spec, **about)

    video = np.random.default_rng(0).uniform(-1, 1, (1, 9, 16, 16, 3)).astype(np.float32)
    maps = [
        ki3d.grad_cam(network(pool), video, endpoint="act", label="b").heatmap
        for pool in (keras.layers.MaxPooling3D, MaxPooling3D)
    ]
    assert maps[0].max() > 0.5
    np.testing.assert_allclose(maps[0], maps[1], atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"label": "fly"}, "`label` must be one of the 3 classes"),
        ({"label": 3}, "`label` must be one of the 3 classes"),
        ({"label": -1}, "`label` must be one of the 3 classes"),
        ({"stream": "flow"}, "`stream` must be one that"),
        ({"endpoint": "Mixed_9z"}, "`endpoint` must name an activation"),
        ({"endpoint": "Logits"}, "`endpoint` must be an activation with spatial axes"),
        ({"window": 9}, "`window` must be None"),
    ],
)
def test_wrong_arguments_are_named(tiny, clips, arguments, message):
    with pytest.raises(ValueError, match=message):
        ki3d.grad_cam(tiny, clips, **arguments)


def test_wrong_clips_are_named(tiny, clips, short):
    with pytest.raises(ValueError, match="`clips` must be of one video"):
        ki3d.grad_cam(tiny, np.concatenate([clips, clips]))
    with pytest.raises(ValueError, match="range"):
        ki3d.grad_cam(tiny, 255 * clips)
    features = ki3d.InceptionI3D(architecture=short, include_top=False)
    with pytest.raises(ValueError, match="must read clips and end in logits"):
        ki3d.grad_cam(features, clips)


@pytest.mark.long
def test_a_model_is_copied_once_and_not_kept_alive(clips):
    model = tiny_model()
    ki3d.grad_cam(model, clips)
    layer = model.get_layer("Logits")
    nodes = len(layer._inbound_nodes)
    ki3d.grad_cam(model, clips)
    assert len(layer._inbound_nodes) == nodes
    reference = weakref.ref(model)
    del model, layer
    gc.unfreeze()
    gc.collect()
    assert reference() is None
