"""`extract_features(window="whole")`: the rows of one pass of the network over the whole video."""

import dataclasses

import numpy as np
import pytest
from feature_clips import SPEC, noise

import kinetics_i3d as ki3d
from kinetics_i3d.core.errors import VideoError
from kinetics_i3d.inference.feature_options import FeatureOptions
from kinetics_i3d.inference.whole_video import Stretches, WholeVideoExtractor

pytestmark = pytest.mark.slow


def one_pass(model, endpoint, video):
    """(steps, height, width, channels) of the whole video as a single clip."""
    clip = ki3d.load_clip(video, spec=SPEC)
    return np.asarray(ki3d.feature_model(model, endpoint)(clip))[0]


@pytest.mark.parametrize("frames", [30, 80, 147, 152])
def test_rows_are_those_of_one_pass(model, frames):
    video = noise(frames)
    rows = ki3d.extract_features(video, model, window="whole", batch_frames=80)
    expected = one_pass(model, "Mixed_5c", video).mean(axis=(1, 2))
    np.testing.assert_allclose(rows.features, expected, atol=1e-5)
    assert rows.features.dtype == np.float32 and rows.metadata["axes"] == ["time", "channel"]
    steps = np.arange(len(expected))
    np.testing.assert_allclose(rows.start, steps * 8 / 25)
    np.testing.assert_allclose(rows.end, np.minimum(steps * 8 + 8, frames) / 25)
    np.testing.assert_allclose(rows.center, (rows.start + rows.end) / 2)


def test_rows_do_not_depend_on_the_length_of_the_stretches(model):
    video = noise(149)
    first, second = (
        ki3d.extract_features(video, model, window="whole", batch_frames=most) for most in (90, 250)
    )
    np.testing.assert_allclose(first.features, second.features, atol=1e-5)
    assert first.metadata == second.metadata
    assert first.start.tolist() == second.start.tolist()


def test_logits_of_each_step_have_the_mean_of_the_whole_video(model):
    video = noise(100)
    rows = ki3d.extract_features(video, model, endpoint="Conv3d_0c_1x1", window="whole")
    logits = np.asarray(model(ki3d.load_clip(video, spec=SPEC)))[0]
    np.testing.assert_allclose(rows.features.mean(axis=0), logits, atol=1e-5)
    # A step of the classifier joins two of the backbone.
    assert (rows.start[1], rows.end[1]) == pytest.approx((8 / 25, 24 / 25))


def test_pool_none_keeps_the_grid(model):
    video = noise(100, size=(48, 64))
    model.clip_spec, spec = dataclasses.replace(SPEC, short_side=48, size=48), model.clip_spec
    try:
        rows = ki3d.extract_features(
            video, model, endpoint="Mixed_3c", window="whole", pool="none", batch_frames=60
        )
        clip = ki3d.load_clip(video, spec=model.clip_spec)
    finally:
        model.clip_spec = spec
    expected = np.asarray(ki3d.feature_model(model, "Mixed_3c")(clip))[0]
    assert rows.metadata["axes"] == ["time", "height", "width", "channel"]
    np.testing.assert_allclose(rows.features, expected, atol=1e-5)


def test_views_of_a_stretch_stay_in_their_row(model):
    video = noise(130, size=(32, 60))
    rows = ki3d.extract_features(video, model, window="whole", views="three_crop", batch_frames=80)
    assert rows.features.shape == (17, 3, 256)
    assert rows.metadata["axes"] == ["time", "view", "channel"]
    for view, left in enumerate((0, 14, 28)):
        part = ki3d.VideoFrames(video.frames[:, :, left : left + 32], fps=25)
        expected = one_pass(model, "Mixed_5c", part).mean(axis=(1, 2))
        np.testing.assert_allclose(rows.features[:, view], expected, atol=1e-5)


def test_both_streams_have_the_same_steps(both):
    video = noise(96)
    rows = ki3d.extract_features(video, both, window="whole", batch_frames=80)
    clips = ki3d.load_streams(video, both.clip_specs)
    for part, stream in enumerate(("rgb", "flow")):
        network = ki3d.feature_model(both.streams[stream], "Mixed_5c")
        expected = np.asarray(network(clips[stream]))[0].mean(axis=(1, 2))
        columns = rows.features[:, 256 * part : 256 * part + 256]
        np.testing.assert_allclose(columns, expected, atol=1e-5)
    assert rows.end[-1] == pytest.approx(95 / 25)  # the last frame has no flow


def test_seconds_are_those_of_the_pictures_at_a_variable_rate(model, mux, numbers):
    ticks = np.cumsum(np.random.default_rng(1).integers(15, 60, 200))
    path = mux("a.mkv", [7000 + int(tick) for tick in ticks])
    extractor = WholeVideoExtractor(model, FeatureOptions(window="whole", batch_frames=96))
    shown = (ticks - ticks[0]) / 1000
    rows = 0
    for frames, kept, spans in extractor.windows(path).read(path):
        quantized = numbers([crops[0]["rgb"] for crops in frames])
        for step, (start, end, _) in zip(range(kept.start, kept.stop), spans, strict=True):
            first, last = quantized[step * 8], quantized[min(step * 8 + 7, len(quantized) - 1)]
            assert shown[first] - 1e-6 <= start <= shown[first] + 1 / 25
            assert shown[last] <= end <= shown[last] + 0.1
            rows += 1
    assert rows == len(ki3d.extract_features(path, model, window="whole"))


def test_a_span_begins_where_it_does_in_the_source_video(model, coded_video):
    rows = ki3d.extract_features(f"{coded_video(100)}#t=1,3", model, window="whole")
    assert rows.start[0] == pytest.approx(1) and rows.end[-1] == pytest.approx(3)


@pytest.mark.parametrize("fill", ["loop", "pad"])
def test_a_video_shorter_than_the_network_needs_is_filled(model, fill):
    video = noise(5)
    rows = ki3d.extract_features(
        video, model, endpoint="AvgPool_0a_7x7", window="whole", short=fill
    )
    order = [0, 1, 2, 3, 4, 0, 1, 2, 3] if fill == "loop" else [0, 1, 2, 3, 4, 4, 4, 4, 4]
    filled = ki3d.VideoFrames(video.frames[order], fps=25)
    expected = one_pass(model, "AvgPool_0a_7x7", filled).mean(axis=(1, 2))
    np.testing.assert_allclose(rows.features, expected, atol=1e-5)
    assert (rows.start[0], rows.end[0]) == pytest.approx((0, 0.2))
    with pytest.raises(VideoError, match="5 frames at 25 fps, but the network needs 9"):
        ki3d.extract_features(
            video, model, endpoint="AvgPool_0a_7x7", window="whole", short="error"
        )


def test_a_file_that_changes_while_it_is_read_is_an_error(model, monkeypatch):
    monkeypatch.setattr(Stretches, "_count_exactly", lambda self, video: 99)
    with pytest.raises(VideoError, match="100 frames, but 99 were counted before"):
        ki3d.extract_features(noise(100), model, window="whole")


def test_no_more_frames_are_read_into_memory_for_a_longer_video(model):
    extractor = WholeVideoExtractor(model, FeatureOptions(window="whole", batch_frames=80))
    for frames in (100, 1000):
        lengths = {inputs["rgb"].shape[1] for inputs, _ in extractor.batches(noise(frames))}
        assert lengths == {76 if frames == 100 else 80}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"endpoint": "Logits"}, "`endpoint` must have a time axis with window='whole'"),
        ({"stride": 8}, "`stride` must be left out with window='whole'"),
        ({"tail": "drop"}, "`tail` must be left out"),
        ({"batch_frames": 40}, r"`batch_frames` must be at least 60 with window='whole'"),
        ({"batch_frames": 0}, "`batch_frames` must be a whole number above 0"),
        (
            {"window": "all"},
            "`window` must be a whole number of frames .* or seconds such as '2.56s', or 'whole'",
        ),
    ],
)
def test_wrong_options_of_a_pass_are_named(model, options, message):
    with pytest.raises(ValueError, match=message):
        ki3d.extract_features("nowhere.mp4", model, **{"window": "whole", **options})


def test_a_network_of_one_length_has_no_pass_over_longer_videos(short):
    fixed = ki3d.InceptionI3D(architecture=short, classes=3, input_shape=(16, 32, 32, 3))
    with pytest.raises(ValueError, match="`window` must be 16, the only clip length"):
        ki3d.extract_features("nowhere.mp4", fixed, window="whole")
    with pytest.raises(ValueError, match=r"`window` must be 16, .* Received: window=64"):
        ki3d.extract_features("nowhere.mp4", fixed)


@pytest.mark.long
def test_a_real_clip_gives_one_pass_of_the_real_network(shared, kinetics_file):
    model = ki3d.load_model("rgb_kinetics400")
    path = shared / "clips" / "archery.avi"
    rows = ki3d.extract_features(path, model, window="whole", batch_frames=120)
    clip = ki3d.load_clip(path, spec=model.clip_spec)
    assert clip.shape[1] > 120
    expected = ki3d.feature_model(model, "Mixed_5c").predict(clip, verbose=0).mean(axis=(2, 3))[0]
    np.testing.assert_allclose(rows.features, expected, atol=1e-5)


def test_batch_frames_is_a_plain_number():
    """Of NumPy's numbers too: the options are written as JSON."""
    assert type(FeatureOptions(batch_frames=np.int64(80)).batch_frames) is int
