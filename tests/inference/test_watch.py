"""`watch`: windows of a live video, held against `classify` on the same frames."""

import dataclasses
import re
import threading

import numpy as np
import pytest
from short_network import LABELS, register

import kinetics_i3d as ki3d
from kinetics_i3d.inference import watch as module
from kinetics_i3d.video.live_frames import LiveFrame
from kinetics_i3d.video.writer import write_video

pytestmark = pytest.mark.slow  # runs networks


@pytest.fixture
def model(tiny):
    """The tiny model, whose spec a test may change."""
    before = tiny.clip_specs
    yield tiny
    tiny.clip_specs = before


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    path = tmp_path_factory.mktemp("video") / "video.mp4"
    random = np.random.default_rng(5)
    frames = random.integers(0, 256, (30, 9, 12, 3), np.uint8).repeat(4, 1).repeat(4, 2)
    frames[10:] //= 3
    write_video(path, frames, fps=10)
    return path


def watch(source, model, **options):
    return [*ki3d.watch(source, model, **{"timeout": 0.1, "top": 3} | options)]


def check_equal(prediction, path, model):
    expected = ki3d.classify(path, model, top=3).predictions
    assert [label for label, _ in prediction.predictions] == [label for label, _ in expected]
    np.testing.assert_allclose(
        [share for _, share in prediction.predictions], [share for _, share in expected], rtol=1e-5
    )


def test_windows_have_the_probabilities_of_classify(model, video):
    predictions = watch(video, model, window=12, every=0.7)
    assert [(row.start, row.end) for row in predictions] == [(0.0, 1.2), (0.7, 1.9), (1.4, 2.6)]
    assert len({row.predictions for row in predictions}) == 3
    for row in predictions:
        check_equal(row, f"{video}#t={row.start},{row.end}", model)
        assert row.dropped == 0 and row.latency >= 0


def test_a_window_may_be_in_seconds_at_the_rate_of_the_spec(model, video):
    length = f"{10 / model.clip_spec.fps}s"
    spans = [
        [(live.start, live.end) for live in watch(video, model, window=window, every=0.9)]
        for window in (10, length)
    ]
    assert spans[0] == spans[1]


def test_a_video_shorter_than_a_window_is_looped_as_classify_does(model, video):
    path = f"{video}#t=0,0.7"
    clip = list(ki3d.read_frames(path))
    frames = ki3d.VideoFrames(clip, fps=10)
    (prediction,) = watch(frames, model)
    check_equal(prediction, frames, model)
    assert (prediction.start, prediction.end) == (0.0, 0.7)


def test_rates_are_converted_by_time_stamps(model, video):
    model.clip_spec = dataclasses.replace(model.clip_spec, fps=25)
    (prediction,) = watch(video, model, window=75)
    check_equal(prediction, video, model)
    assert (prediction.start, prediction.end) == (0.0, 3.0)


def test_flow_is_computed_from_the_frames(video):
    import keras

    keras.utils.set_random_seed(2)
    pair = ki3d.TwoStreamI3D(architecture=register(), classes=3)
    pair.labels = LABELS
    spec = ki3d.ClipSpec("tiny", fps=10, short_side=36, size=32)
    pair.clip_specs = {"rgb": spec, "flow": spec.for_flow()}
    predictions = watch(video, pair, window=10, every=0.9)
    assert [row.end for row in predictions] == [1.0, 1.9, 2.8]
    # A window of ten flows needs eleven frames.
    check_equal(predictions[1], f"{video}#t=0.9,2", pair)


def test_a_slow_network_drops_frames_and_begins_after_the_gap(model, video, monkeypatch):
    model.clip_spec = dataclasses.replace(model.clip_spec, fps=100)
    predict, calls = model.predict_views, []

    def slow(views):
        """Takes until all that the source will ever send has arrived."""
        if calls:  # the first call is the warm-up
            (reader,) = [t for t in threading.enumerate() if t.name == "live frames"] or [None]
            if reader is not None:
                reader.join()
        calls.append(len(calls))
        return predict(views)

    monkeypatch.setattr(model, "predict_views", slow)
    frames = list(ki3d.read_frames(video))
    source = ki3d.VideoFrames(frames * 2, fps=100)
    first, last = watch(source, model, window=9, every=0.05, realtime=True)
    # The queue keeps one window, the newest frames.
    assert (last.start, last.end) == pytest.approx((0.51, 0.60))
    assert last.dropped - first.dropped == round(100 * (last.start - first.end)) > 0
    check_equal(last, ki3d.VideoFrames(frames[-9:], fps=100), model)


def test_a_window_never_spans_missing_frames(model):
    spec = dataclasses.replace(model.clip_spec)
    window = module._LiveWindow(module.StreamSpecs(spec), model, 9, "a")
    pixels = np.zeros((36, 48, 3), np.uint8)

    def add(*numbers):
        window.add([LiveFrame(number, 0.0, pixels) for number in numbers])
        return [frame.number for frame in window.frames]

    assert add(*range(9)) == [*range(9)]
    assert add(9, 12, 13) == [12, 13]
    assert window.missing(20) == 7 and window.missing(30) == 17
    assert add(15) == [15]


def test_a_source_that_ends_at_once_is_an_error(model, tmp_path):
    empty = tmp_path / "empty.ts"
    empty.touch()
    with pytest.raises(ki3d.VideoError, match=r"empty\.ts: not a video"):
        watch(empty, model)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"top": 0}, "`top` must be a whole number above 0. Received: top=0"),
        ({"every": 0}, "`every` must be seconds above 0. Received: every=0"),
        ({"timeout": "long"}, "`timeout` must be seconds above 0. Received: timeout='long'"),
        (
            {"window": 3},
            "`window` must be a number of frames, 9 or more, or seconds such as '2.56s'. Received",
        ),
        ({"every": True}, "`every` must be seconds above 0. Received: every=True"),
        ({"window": "two"}, "`window` must be a number of frames, 9 or more, or seconds such as"),
        ({"window": "0.1s"}, "seconds such as '2.56s'. Received: window='0.1s'"),
    ],
)
def test_wrong_arguments_are_named_before_anything_is_opened(model, video, options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        ki3d.watch(video, model, **options)


def test_numbers_of_numpy_are_accepted(model, video):
    python_result, numpy_result = (
        [prediction.predictions for prediction in ki3d.watch(video, model, **options)]
        for options in (
            {"window": 16, "every": 0.5},
            {"window": np.int64(16), "every": np.float64(0.5)},
        )
    )
    assert python_result == numpy_result


def test_the_source_is_named_in_errors(model):
    with pytest.raises(ValueError, match=r"`source` must be a path or VideoFrames. Received: None"):
        ki3d.watch(None, model)
    with pytest.raises(ki3d.VideoError, match="/dev/video98765: there is no such camera"):
        ki3d.watch(np.int64(98765), model)


def test_a_missing_file_is_an_error_before_weights_are_read(tmp_path):
    with pytest.raises(ki3d.VideoError, match="there is no such file"):
        ki3d.watch(tmp_path / "a.mp4", "weights that do not exist")


def test_streams_of_two_sizes_are_refused(video):
    pair = ki3d.TwoStreamI3D(architecture=register(), classes=3)
    pair.labels = LABELS
    spec = ki3d.ClipSpec("tiny", fps=10, short_side=36, size=32)
    pair.clip_specs = {
        "rgb": spec,
        "flow": dataclasses.replace(spec.for_flow(), short_side=40),
    }
    with pytest.raises(ValueError, match="`model` must read pictures of one size"):
        ki3d.watch(video, pair)


@pytest.mark.long
def test_closing_the_generator_ends_the_thread(model, video):
    windows = ki3d.watch(video, model, window=9, every=0.1)
    next(windows)
    windows.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "live frames"]
