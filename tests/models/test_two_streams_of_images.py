"""Two-Stream and its 3D fusion: averages, the fused grid, flow stacks, against plain NumPy."""

import keras
import numpy as np
import pytest
import reference

from kinetics_i3d.models.pretrained import save_weights
from kinetics_i3d.models.two_stream import TwoStream
from kinetics_i3d.models.two_stream_fused import TwoStreamFused

pytestmark = pytest.mark.slow

ROWS = ("inception_v1", "googlenet")


def random_clips(frames, side=(33, 40), batch=2):
    random = np.random.default_rng(frames)
    shapes = {"rgb": (batch, frames, *side, 3), "flow": (batch, 10 * frames, *side, 2)}
    return {k: random.uniform(-1, 1, shape).astype(np.float32) for k, shape in shapes.items()}


def images_of(clips, arrays, step):
    """{stream: (one image for each video, the arrays of its network)} of one snapshot."""
    flow = clips["flow"][:, 10 * step : 10 * step + 10]
    stacked = np.stack([flow[:, n // 2, :, :, n % 2] for n in range(20)], axis=-1)
    pictures = {"rgb": clips["rgb"][:, step], "flow": stacked}
    return {
        stream: (
            picture,
            {n.partition("/")[2]: a for n, a in arrays.items() if n.startswith(f"{stream}/")},
        )
        for stream, picture in pictures.items()
    }


@pytest.fixture(scope="module")
def averaged(known, randomize):
    return {
        row: randomize(TwoStream(architecture=f"{row}_narrow", classes=3), seed=1) for row in ROWS
    }


@pytest.fixture(scope="module")
def fused(known, randomize):
    return {
        row: randomize(TwoStreamFused(architecture=f"{row}_narrow", classes=3), seed=2)
        for row in ROWS
    }


@pytest.mark.parametrize("row", ROWS)
def test_predictions_are_averaged_over_streams_and_snapshots(averaged, arrays_of, row):
    model, clips = averaged[row], random_clips(2)
    logits = [
        reference.inception_v1(picture, weights, of_2014=row == "googlenet")["logits"]
        for step in (0, 1)
        for picture, weights in images_of(clips, arrays_of(model), step).values()
    ]
    expected = sum(logits) / 4
    found = np.asarray(model(clips))
    assert np.abs(np.diff(logits, axis=0)).max() > 1e-2
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * np.abs(logits).max())


@pytest.mark.long
@pytest.mark.parametrize("row", ROWS)
def test_the_fused_network_equals_plain_numpy(fused, arrays_of, row):
    model, clips = fused[row], random_clips(3, side=(64, 72), batch=1)
    arrays = arrays_of(model)
    steps = []
    for step in range(3):
        grids = [
            reference.inception_v1(picture, weights, of_2014=row == "googlenet")["Mixed_5c"]
            for picture, weights in images_of(clips, arrays, step).values()
        ]
        steps.append(np.concatenate(grids, axis=-1))  # rgb first
    joined = np.stack(steps, axis=1)
    cut = keras.Model(model.input, model.get_layer("Fused").output)
    found = np.asarray(cut(clips))
    assert found.shape == joined.shape and joined.shape[1:4] == (3, 2, 3)
    np.testing.assert_allclose(found, joined, rtol=1e-4, atol=1e-4 * joined.max())

    x = reference.conv(joined, arrays["Fused_3x3_conv/kernel"])
    parts = ("beta", "moving_mean", "moving_variance")
    x = reference.relu(reference.batch_norm(x, *(arrays[f"Fused_3x3_bn/{p}"] for p in parts)))
    x = reference.max_pool(x, (3, 3, 3), (2, 2, 2)).mean(axis=(1, 2, 3))
    expected = x @ arrays["Classifier/kernel"] + arrays["Classifier/bias"]
    found = np.asarray(model(clips))
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())


@pytest.mark.parametrize("constructor", [TwoStream, TwoStreamFused])
def test_rgb_is_sampled_ten_times_more_rarely(constructor, known):
    model = constructor(architecture="googlenet_narrow", classes=3)
    rgb, flow = model.clip_specs.values()
    assert (rgb.fps, flow.fps, rgb.low, flow.low) == (2.5, 25.0, -117.0, -1.0)
    assert model.minimums == {"rgb": (1, 32, 32), "flow": (10, 32, 32)}
    assert model.streams["flow"].input_shape == (None, None, None, 20)
    assert model.streams["flow"].clip_spec == flow and model.streams["rgb"].clip_spec == rgb
    clips = random_clips(2)
    with pytest.raises(ValueError, match=r"ratio 10 to 1. Received: 2 rgb frames, 19 flow frames"):
        model(clips | {"flow": clips["flow"][:, :19]})
    with pytest.raises(ValueError, match=r"10 x 32 x 32 .*frames=9"):
        model({"rgb": clips["rgb"][:, :1], "flow": clips["flow"][:, :9]})
    shapes = {"rgb": (2, 64, 64, 3), "flow": (10, 64, 64, 2)}
    with pytest.raises(ValueError, match="ratio 10 to 1"):
        constructor(architecture="googlenet_narrow", input_shape=shapes)


@pytest.mark.long
@pytest.mark.parametrize("kind", ["averaged", "fused"])
def test_files_give_the_same_model(tmp_path, request, kind):
    model, clips = request.getfixturevalue(kind)["inception_v1"], random_clips(1)
    expected = np.asarray(model(clips))
    save_weights(model, tmp_path / "mine.h5", labels=("a", "b", "c"))
    constructor = {"averaged": TwoStream, "fused": TwoStreamFused}[kind]
    loaded = constructor(weights=tmp_path / "mine.h5")
    assert loaded.labels == ("a", "b", "c") and loaded.clip_specs == model.clip_specs
    np.testing.assert_array_equal(np.asarray(loaded(clips)), expected)
    inflated = constructor(weights=tmp_path / "mine.h5", head="new", classes=5)
    assert inflated.output_shape == (None, 5) and inflated.labels == ()
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert (again.system, again.clip_specs) == (constructor.__name__, model.clip_specs)
    np.testing.assert_array_equal(np.asarray(again(clips)), expected)


def test_without_the_top(known, averaged, fused):
    clips = random_clips(2, side=(64, 72))
    row = "inception_v1_narrow"
    grid = TwoStream(architecture=row, include_top=False)
    channels = grid.streams["rgb"].output_shape[-1]
    assert np.asarray(grid(clips)).shape == (2, 2, 2, 3, 2 * channels)
    cut = TwoStreamFused(architecture=row, include_top=False, pooling="max")
    assert np.asarray(cut(clips)).shape == (
        2,
        fused["inception_v1"].get_layer("AvgPool").output.shape[-1],
    )


def test_new_layers_start_from_noise(known):
    model = TwoStreamFused(architecture="inception_v1_quarter", classes=200)
    for name in ("Fused_3x3_conv", "Classifier"):
        kernel = np.asarray(model.get_layer(name).kernel)
        assert abs(kernel.std() / 0.01 - 1) < 0.05 and abs(kernel.mean()) < 1e-3
        assert np.abs(kernel).max() > 0.03  # no limit, as a uniform draw has
