"""`extract_features`: values as `predict` gives them, and the seconds of each row."""

import dataclasses
import fractions
import gc
import importlib
import json
import weakref

import numpy as np
import pytest
from feature_clips import FLOW, SPEC, noise

import kinetics_i3d as ki3d
from kinetics_i3d.core.errors import UserError, VideoError
from kinetics_i3d.core.stream_specs import StreamSpecs
from kinetics_i3d.data.views import video_views
from kinetics_i3d.inference import feature_options as options
from kinetics_i3d.inference import feature_windows
from kinetics_i3d.inference.feature_metadata import receptive_field
from kinetics_i3d.inference.feature_options import FeatureOptions
from kinetics_i3d.inference.feature_windows import specs_at
from kinetics_i3d.inference.features import (
    FeatureExtractor,
)
from kinetics_i3d.inference.features_files import read_features

pytestmark = pytest.mark.slow

Fraction = fractions.Fraction


def rows_of(extractor, video):
    """(uint8 frames of the clip, (start, end, center)) of each window, without the network."""
    return [
        (SPEC.denormalize(clip), span)
        for inputs, spans in extractor.batches(video)
        for clip, span in zip(inputs["rgb"], spans, strict=True)
    ]


def test_the_default_weights_are_those_of_the_streams(model, tmp_path, monkeypatch):
    ki3d.save_weights(model, tmp_path / "mine.h5")
    module = importlib.import_module("kinetics_i3d.inference.extract_features")
    monkeypatch.setattr(module, "DEFAULT_WEIGHTS", {None: tmp_path / "mine.h5"})
    video = noise(20)
    rows = ki3d.extract_features(video, window=16)
    expected = ki3d.extract_features(video, tmp_path / "mine.h5", window=16)
    np.testing.assert_array_equal(rows.features, expected.features)
    assert rows.metadata["weights"] == expected.metadata["weights"]


@pytest.mark.long
def test_features_equal_predict_on_the_same_frames(model):
    video = noise(150)
    found = ki3d.extract_features(video, model)
    clips = ki3d.load_clip(video, spec=SPEC)
    network = ki3d.feature_model(model, "Mixed_5c")
    for row, start in enumerate(range(0, 150 - 64 + 1, 16)):
        expected = network.predict(clips[:, start : start + 64], verbose=0).mean(axis=(1, 2, 3))
        np.testing.assert_allclose(found.features[row], expected[0], atol=1e-5)
        assert found.start[row] == pytest.approx(start / 25)
        assert found.end[row] == pytest.approx((start + 64) / 25)
        assert found.center[row] == pytest.approx((start + 32) / 25)
    assert found.features.shape == (7, 256) and found.features.dtype == np.float32
    assert (found.start[-1], found.end[-1]) == pytest.approx((96 / 25, 6))  # padded
    assert len(found) == found.metadata["rows"] == 7


@pytest.mark.parametrize(
    ("pool", "axes", "shape"),
    [("spatial", (2, 3), (2, 256)), ("none", (), (2, 1, 1, 256))],
)
def test_pools_keep_the_axes_that_they_do_not_average(model, pool, axes, shape):
    video = noise(16)
    found = ki3d.extract_features(video, model, pool=pool, window=16)
    network = ki3d.feature_model(model, "Mixed_5c")
    expected = network.predict(ki3d.load_clip(video, spec=SPEC), verbose=0)
    expected = expected.mean(axis=axes) if axes else expected
    assert found.features.shape == (1, *shape)
    np.testing.assert_allclose(found.features, expected, atol=1e-5)


@pytest.mark.long
@pytest.mark.parametrize(("views", "count"), [("three_crop", 3), ("ten_crop", 10)])
def test_views_are_those_of_the_protocols(model, views, count):
    video = noise(20, size=(48, 80))
    found = ki3d.extract_features(
        video, model, views=views, window=16, stride=4, pool="spatial", tail="drop"
    )
    assert found.features.shape == (2, 2, count, 256)
    assert found.metadata["axes"] == ["window", "time", "view", "channel"]
    assert len(found.metadata["views"]) == len({*found.metadata["views"]}) == count
    network = ki3d.feature_model(model, "Mixed_5c")
    first = ki3d.VideoFrames(video.frames[:16], fps=25)
    shown = video_views(first, spec=SPEC, view=options.CROPS[views], minimum=16)
    for view, (clip, _) in enumerate(shown):
        expected = network.predict(clip, verbose=0).mean(axis=(2, 3))[0]
        np.testing.assert_allclose(found.features[0, :, view], expected, atol=1e-5)


@pytest.mark.long
def test_two_streams_are_concatenated_rgb_first_with_the_same_windows(both):
    video = noise(30)
    found = ki3d.extract_features(video, both, window=16, stride=8)
    clips = ki3d.load_streams(video, both.clip_specs)
    assert found.features.shape == (3, 512)
    assert found.metadata["channels"] == {"rgb": 256, "flow": 256}
    for part, stream in enumerate(("rgb", "flow")):
        network = ki3d.feature_model(both.streams[stream], "Mixed_5c")
        for row, start in enumerate((0, 8)):
            expected = network.predict(clips[stream][:, start : start + 16], verbose=0)
            columns = slice(256 * part, 256 * part + 256)
            np.testing.assert_allclose(
                found.features[row, columns], expected.mean(axis=(1, 2, 3))[0], atol=1e-5
            )
        alone = ki3d.extract_features(video, both, window=16, stride=8, streams=stream)
        if stream == "flow":
            np.testing.assert_allclose(alone.features, found.features[:, 256:], atol=1e-5)
    # Of 30 frames 29 have flow.
    assert found.end.tolist() == pytest.approx([16 / 25, 24 / 25, 29 / 25])


@pytest.mark.parametrize(
    ("rate", "name"), [(15, "15"), (24, "24"), (Fraction(30000, 1001), "29.97"), (60, "60")]
)
def test_rows_tell_the_seconds_of_their_frames_at_any_rate(model, mux, numbers, rate, name):
    path = mux(f"{name}.mp4", range(120), tick=1 / Fraction(rate), rate=rate)
    extractor = FeatureExtractor(model, FeatureOptions(window=16, stride=8))
    rows = rows_of(extractor, path)
    assert len(rows) == pytest.approx(120 / rate * 25 / 8, abs=2)
    for clip, (start, end, _) in rows[:-1]:
        first, *_, last = numbers(clip)
        # The first frame is on the screen at the start, the last one until the end at least.
        assert first / rate - 1e-9 <= start < (first + 1) / rate
        assert last / rate < end <= (last + 1) / rate + 1 / 25 + 1e-9
        if rate >= 25:
            assert start == pytest.approx(float(first / rate), abs=1e-6)
    assert rows[-1][1][1] == pytest.approx(float(120 / rate))


@pytest.mark.parametrize("first", [0, 7000])
def test_seconds_count_from_the_first_picture_at_a_variable_rate(model, mux, numbers, first):
    gaps = np.random.default_rng(1).integers(15, 60, 150)
    ticks = np.cumsum(gaps) - gaps[0]
    path = mux("a.mkv", [first + int(tick) for tick in ticks])
    extractor = FeatureExtractor(model, FeatureOptions(window=16, stride=16, tail="drop"))
    rows = rows_of(extractor, path)
    assert len(rows) > 5
    for clip, (start, *_) in rows:
        shown = ticks[numbers(clip[:1])[0]] / 1000
        assert shown - 1e-6 <= start <= shown + 1 / 25
    assert extractor.describe(path)["first_picture"] == pytest.approx(first / 1000)


@pytest.mark.parametrize("rate", [15, Fraction(30000, 1001), 60])
def test_source_rate_takes_every_frame_of_the_file_once(model, mux, numbers, rate):
    path = mux("a.mp4", range(50), tick=1 / Fraction(rate), rate=rate)
    options = FeatureOptions(window=16, stride=8, fps="source", tail="drop")
    extractor = FeatureExtractor(model, options)
    rows = rows_of(extractor, path)
    assert [numbers(clip) for clip, _ in rows] == [[*range(k, k + 16)] for k in range(0, 35, 8)]
    for row, (_, (start, end, center)) in enumerate(rows):
        seconds = [float(frames / rate) for frames in (8 * row, 8 * row + 16, 8 * row + 8)]
        assert [start, end, center] == pytest.approx(seconds, abs=1e-6)
    description = extractor.describe(path)
    assert description["clip_specs"]["rgb"]["fps"] == pytest.approx(float(rate))
    assert description["window"] == {"frames": 16, "seconds": pytest.approx(float(16 / rate))}
    assert extractor.count_windows(path) == 5


def test_both_streams_are_sampled_at_the_rate_of_the_source(both, coded_video, numbers):
    options = FeatureOptions(window=9, stride=9, fps="source", tail="drop")
    extractor = FeatureExtractor(both, options)
    path = coded_video(20, fps=50)
    batches = list(extractor.batches(path))
    clips = np.concatenate([inputs["rgb"] for inputs, _ in batches])
    spans = [span for _, part in batches for span in part]
    assert [numbers(SPEC.denormalize(clip)) for clip in clips] == [[*range(9)], [*range(9, 18)]]
    assert sum(len(inputs["flow"]) for inputs, _ in batches) == 2
    assert {inputs["flow"].shape[1:] for inputs, _ in batches} == {(9, 32, 32, 2)}
    assert [span[0] for span in spans] == pytest.approx([0, 9 / 50])
    assert extractor.count_windows(path) == 2


def test_streams_of_other_sizes_are_sampled_at_another_rate():
    sizes = {"rgb": SPEC, "flow": dataclasses.replace(FLOW, short_side=40, size=36)}
    specs = StreamSpecs(sizes, apart=True)
    slower = specs_at(specs, 10)
    assert {spec.fps for spec in slower.values()} == {10.0}
    assert [spec.size for spec in slower.values()] == [32, 36]
    assert specs_at(specs, 25) is specs


def test_fps_is_the_rate_that_frames_are_sampled_at(model, coded_video, numbers):
    extractor = FeatureExtractor(model, FeatureOptions(window=10, stride="2s", fps=5))
    ((first, (start, end, _)), (second, _)) = rows_of(extractor, coded_video(100))
    assert numbers(first) == [*range(0, 50, 5)] and (start, end) == pytest.approx((0, 2))
    assert numbers(second) == [*range(50, 100, 5)]


def test_a_window_in_seconds_that_is_too_short_at_the_rate_of_a_file_is_named(model, coded_video):
    options = FeatureOptions(endpoint="AvgPool_0a_7x7", window="0.5s", fps="source")
    extractor = FeatureExtractor(model, options)
    assert len(rows_of(extractor, coded_video(100, fps=25))) > 1
    with pytest.raises(VideoError, match=r"window=0.5s is 5 frames at 10 fps, but \S+ needs 9"):
        extractor.describe(coded_video(20, fps=10))


def test_a_window_that_is_too_long_at_the_rate_of_a_file_is_an_error_of_this_file(
    model, coded_video
):
    extractor = FeatureExtractor(model, FeatureOptions(window="700s", fps="source"))
    with pytest.raises(VideoError, match="at 50 fps, `window` must be at most 20000 frames"):
        extractor.windows(coded_video(20, fps=50))
    assert FeatureOptions(window="1000s", fps=5).window == "1000s"  # 5000 frames
    with pytest.raises(ValueError, match="`window` must be at most 20000 frames"):
        FeatureOptions(window="1000s", fps=25)


@pytest.mark.parametrize(("stride", "window"), [(1, 21), (4, 16)])
def test_centered_windows_are_around_every_frame(model, coded_video, numbers, stride, window):
    options = FeatureOptions(window=window, stride=stride, align="center")
    extractor = FeatureExtractor(model, options)
    path = coded_video(30)
    rows = rows_of(extractor, path)
    assert len(rows) == len(range(0, 30, stride)) == extractor.count_windows(path)
    for frame, (clip, (start, end, center)) in zip(range(0, 30, stride), rows, strict=True):
        first = frame - window // 2
        wanted = np.clip(np.arange(first, first + window), 0, 29)
        assert numbers(clip) == wanted.tolist()
        assert center == pytest.approx((frame + 0.5) / 25)
        assert (start, end) == pytest.approx((wanted[0] / 25, (wanted[-1] + 1) / 25))


def test_centered_windows_of_short_videos_repeat_both_ends(model, coded_video, numbers):
    path = coded_video(3)
    extractor = FeatureExtractor(model, FeatureOptions(window=9, stride=1, align="center"))
    assert [numbers(clip) for clip, _ in rows_of(extractor, path)] == [
        [0, 0, 0, 0, 0, 1, 2, 2, 2],
        [0, 0, 0, 0, 1, 2, 2, 2, 2],
        [0, 0, 0, 1, 2, 2, 2, 2, 2],
    ]
    options = FeatureOptions(window=9, stride=1, align="center", short="error")
    with pytest.raises(VideoError, match="3 frames at 25 fps, but a window has 9"):
        rows_of(FeatureExtractor(model, options), path)


def test_seconds_of_a_span_are_those_of_the_source_video(model, coded_video):
    path = coded_video(100)
    whole = ki3d.extract_features(path, model, window=16, stride=8)
    part = ki3d.extract_features(f"{path}#t=0.96,2.24", model, window=16, stride=8)
    assert part.start.tolist() == whole.start[3:6].tolist() == pytest.approx([0.96, 1.28, 1.6])
    np.testing.assert_allclose(part.features, whole.features[3:6], atol=1e-5)
    assert part.end[-1] == pytest.approx(2.24)


@pytest.mark.parametrize(
    ("tail", "last", "seconds"),
    [
        ("pad", [*range(8, 20), *[19] * 4], (0.32, 0.8)),
        ("drop", None, None),
        ("overlap", [*range(4, 20)], (0.16, 0.8)),
    ],
)
def test_tails(model, coded_video, numbers, tail, last, seconds):
    extractor = FeatureExtractor(model, FeatureOptions(window=16, stride=8, tail=tail))
    (first, first_span), *rest = rows_of(extractor, coded_video(20))
    assert numbers(first) == [*range(16)] and first_span == pytest.approx((0, 0.64, 0.32))
    if tail == "drop":
        assert rest == []
    else:
        ((clip, span),) = rest
        assert numbers(clip) == last and span[:2] == pytest.approx(seconds)


def test_no_tail_is_made_where_nothing_is_left(model, coded_video):
    for tail in options.TAILS:
        extractor = FeatureExtractor(model, FeatureOptions(window=16, stride=8, tail=tail))
        assert len(rows_of(extractor, coded_video(32))) == 3


def test_a_stride_beyond_the_window_leaves_frames_out(model, coded_video, numbers):
    options = FeatureOptions(window=9, stride=20, tail="pad")
    rows = rows_of(FeatureExtractor(model, options), coded_video(45))
    assert [numbers(clip)[0] for clip, _ in rows] == [0, 20, 40]
    options = dataclasses.replace(options, tail="overlap")
    rows = rows_of(FeatureExtractor(model, options), coded_video(45))
    assert [numbers(clip)[0] for clip, _ in rows] == [0, 20, 36]


@pytest.mark.parametrize(
    ("fill", "shown"),
    [("loop", [*range(7), *range(7), 0, 1]), ("pad", [*range(7), *[6] * 9])],
)
def test_short_videos(model, coded_video, numbers, fill, shown):
    options = FeatureOptions(window=16, short=fill)
    ((clip, span),) = rows_of(FeatureExtractor(model, options), coded_video(7))
    assert numbers(clip) == shown and span == pytest.approx((0, 7 / 25, 3.5 / 25))


def test_short_videos_can_be_refused(model, coded_video):
    with pytest.raises(VideoError, match=r"7 frames at 25 fps, but a window has 16"):
        ki3d.extract_features(coded_video(7), model, window=16, short="error")


def test_windows_in_seconds_are_frames_at_the_rate_of_the_spec(model):
    extractor = FeatureExtractor(model, FeatureOptions(window="2.56s", stride="0.1 s"))
    windows = extractor.windows(noise(3))
    assert (windows.window, windows.stride) == (64, 3)
    assert extractor.describe(noise(3))["window"] == {"frames": 64, "seconds": 2.56}


def test_no_more_frames_are_held_for_a_longer_video(model, monkeypatch):
    alive, most = set(), 0
    plain = feature_windows.cropped_frames

    def counted(frames, *rest):
        nonlocal most
        for crops in plain(frames, *rest):
            for number, square in enumerate(list(crops[0].values())):
                key = (id(square), number)
                alive.add(key)
                weakref.finalize(square, alive.discard, key)
            most = max(most, len(alive))
            yield crops

    monkeypatch.setattr(feature_windows, "cropped_frames", counted)
    peaks = []
    for frames in (60, 600):
        gc.collect()
        alive.clear()
        most = 0
        found = ki3d.extract_features(noise(frames), model, window=16, stride=8)
        assert len(found) == pytest.approx(frames / 8, abs=1)
        peaks.append(most)
    assert peaks[0] == peaks[1] <= 2 * 16  # of the window, and of the one before it


def test_several_windows_go_through_the_network_at_once(model, monkeypatch):
    extractor = FeatureExtractor(model, FeatureOptions(window=16, stride=16))
    batches = extractor.batches(noise(16 * 20))
    sizes = [len(inputs["rgb"]) for inputs, _ in batches]
    assert sizes == [15, 5]


def test_the_receptive_field_is_what_a_time_step_depends_on(model):
    full = ki3d.InceptionI3D(architecture="inception_v1_quarter")
    assert receptive_field(ki3d.feature_model(full, "Mixed_5c")) == (99, 8)
    assert receptive_field(ki3d.feature_model(full, "Conv3d_1a_7x7")) == (7, 2)
    assert receptive_field(ki3d.feature_model(full, "Logits")) == (None, None)

    network = ki3d.feature_model(model, "Mixed_5c")
    field, step = receptive_field(network)
    rng = np.random.default_rng(0)
    clip = rng.uniform(-1, 1, (1, 128, 32, 32, 3)).astype(np.float32)
    changed = clip.copy()
    changed[:, 64] = rng.uniform(-1, 1, (32, 32, 3))
    before, after = (network.predict(each, verbose=0)[0] for each in (clip, changed))
    moved = np.flatnonzero(np.abs(before - after).max(axis=(1, 2, 3)) > 0)
    assert 1 < len(moved) <= -(-field // step)
    assert extents(moved, step) <= field

    description = FeatureExtractor(model, FeatureOptions()).describe(noise(3))["receptive_field"]
    assert description == {"frames": field, "seconds": field / 25, "frames_per_step": step}


def extents(moved, step):
    """Frames between the furthest steps that one frame reaches."""
    return (moved[-1] - moved[0]) * step + 1


def test_the_content_key_changes_with_all_that_matters_and_nothing_else(model, short, tmp_path):
    def key(video=None, network=model, **options):
        extractor = FeatureExtractor(network, FeatureOptions(**options))
        return extractor.describe(noise(20) if video is None else video)["key"]

    other = ki3d.InceptionI3D(architecture=short, classes=3)
    other.clip_spec = SPEC
    renamed = ki3d.InceptionI3D(architecture=short, classes=3, name="renamed")
    renamed.set_weights(model.get_weights())
    renamed.clip_spec = dataclasses.replace(SPEC, name="called otherwise")
    slow = ki3d.InceptionI3D(architecture=short, classes=3)
    slow.set_weights(model.get_weights())
    slow.clip_spec = dataclasses.replace(SPEC, fps=10)
    assert key() == key(network=renamed) == key(window=64) == key(window="2.56s")
    keys = [
        key(),
        key(noise(20, seed=1)),
        key(noise(20, fps=30)),
        key(network=other),
        key(network=slow),
        key(endpoint="Mixed_4f"),
        key(pool="spatial"),
        key(window=32),
        key(stride=8),
        key(fps=10, window=32),
        key(align="center"),
        key(views="ten_crop"),
        key(tail="drop"),
        key(short="pad"),
    ]
    assert len({*keys}) == len(keys)


def test_a_renamed_video_has_the_same_key_and_another_part_another(model, coded_video, tmp_path):
    extractor = FeatureExtractor(model, FeatureOptions())
    path = coded_video(20)
    copy = tmp_path / "copy.mp4"
    copy.write_bytes(path.read_bytes())
    keys = [extractor.describe(each)["key"] for each in (path, copy, f"{path}#t=0.2,0.6")]
    assert keys[0] == keys[1] != keys[2]
    assert json.loads(json.dumps(extractor.describe(path)))["weights"]["rgb"]["sha256"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"endpoint": "Mixed_5d"}, r"`endpoint` must name an activation.*Mixed_5c"),
        ({"pool": "max"}, r"`pool` must be one of \('all', 'spatial', 'none'\)"),
        ({"pool": "none", "endpoint": "Logits"}, "`pool` must be 'all' for endpoint='Logits'"),
        ({"window": 0}, "`window` must be a whole number of frames above 0, or seconds"),
        ({"window": "64"}, r"`window` must be.*Received: window='64'"),
        ({"stride": "0s"}, "`stride` must be a whole number of frames"),
        ({"window": 8, "endpoint": "AvgPool_0a_7x7"}, "`window` must be at least 9 frames"),
        ({"fps": "file"}, "`fps` must be a number above 0, 'source' or None"),
        ({"fps": 0}, "`fps` must be a number above 0"),
        ({"align": "end"}, r"`align` must be one of \('start', 'center'\)"),
        ({"views": "five_crop"}, "`views` must be one of"),
        ({"tail": "cut"}, "`tail` must be one of"),
        ({"short": "skip"}, "`short` must be one of"),
        ({"streams": "audio"}, "`streams` must be 'rgb', 'flow' or"),
        (
            {"streams": "flow"},
            r"must be one or both of the streams of the weights, \('rgb',\)",
        ),
    ],
)
def test_wrong_arguments_are_named(model, options, message):
    with pytest.raises(ValueError, match=message):
        ki3d.extract_features("nowhere.mp4", model, **options)


def test_networks_without_a_stream_of_clips_are_refused():
    model = ki3d.ConvNetLSTM(architecture="inception_v1_quarter", classes=3)
    with pytest.raises(ValueError, match="`weights` must be for a network that reads clips"):
        ki3d.extract_features("nowhere.mp4", model)


@pytest.mark.long
def test_real_clips_give_the_features_of_predict(shared, kinetics_file):
    model = ki3d.load_model("rgb_kinetics400")
    path = shared / "clips" / "cricket_shot.avi"
    found = ki3d.extract_features(path, model, tail="drop")
    clip = ki3d.load_clip(path, frames=64, spec=model.clip_spec)
    expected = ki3d.feature_model(model, "Mixed_5c").predict(clip, verbose=0).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(found.features[0], expected[0], atol=1e-5)


def test_a_damaged_file_of_features_is_reported_in_one_line(tmp_path):
    rows = {"features": np.zeros((2, 3), np.float32)}
    times = dict.fromkeys(("start", "end", "center"), np.zeros(2))
    metadata = {"metadata": np.array("{}")}
    path = tmp_path / "a.npz"
    np.savez(path, **rows, **times, **metadata)
    assert read_features(path).metadata == {}
    flipped = bytearray(path.read_bytes())
    flipped[200] ^= 1  # within the features
    path.write_bytes(flipped)
    with pytest.raises(UserError, match=r"a\.npz: not a file of features, or damaged .*CRC"):
        read_features(path)
    for wrong in (
        {"features": np.zeros((3, 3), np.float32)},
        {"features": np.array(["a", "b"])},
        {"start": np.zeros(5)},
        {"metadata": np.array("[]")},
    ):
        np.savez(path, **rows | times | metadata | wrong)
        with pytest.raises(UserError, match=r"a\.npz: not a file of features"):
            read_features(path)
    for content in (b"", b"no archive"):
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"a\.npz: not a file of features"):
            read_features(path)
