"""Flow of frames and of video files: its direction, its threads, and what is closed afterwards."""

import fractions
import inspect
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from absl import logging

from kinetics_i3d.core.clip_spec import ClipSpec
from kinetics_i3d.core.errors import UserError, VideoError
from kinetics_i3d.flow import compute, flow_stream, optical_flow
from kinetics_i3d.flow.compute import flow_of_frames, read_both, read_flow, to_gray
from kinetics_i3d.flow.methods import pair_function
from kinetics_i3d.flow.settings import TVL1, FlowSettings
from kinetics_i3d.video.reader import read_frames
from kinetics_i3d.video.source import Source
from kinetics_i3d.video.video_frames import VideoFrames
from kinetics_i3d.video.writer import write_video

SPEC = ClipSpec("small", stream="flow", fps=25, short_side=48, size=32)
QUICK = FlowSettings(parameters=TVL1(scales=3, warps=2))


def waves(x, y):
    """Gray levels of a smooth texture at any place."""
    levels = np.zeros(np.broadcast(x, y).shape)
    for k, (length, angle) in enumerate(((9, 0.3), (13, 1.4), (17, 2.2), (23, 2.9), (31, 0.9))):
        levels += np.sin(2 * np.pi / length * (np.cos(angle) * x + np.sin(angle) * y) + k)
    return np.rint(128 + 22 * levels).astype(np.uint8)


@pytest.fixture(scope="module")
def moving(tmp_path_factory):
    """A video of 8 frames, 48 x 64, whose texture goes right by 2 and up by 1 a frame."""
    path = tmp_path_factory.mktemp("moving") / "moving.mp4"
    y, x = np.mgrid[:48, :64]
    frames = [np.repeat(waves(x - 2 * k, y + k)[..., None], 3, -1) for k in range(8)]
    write_video(path, frames, fps=25)
    return path


def test_x_comes_first_and_points_to_where_things_go(moving):
    flows = list(read_flow(moving, spec=SPEC, settings=QUICK))
    assert [(flow.shape, flow.dtype) for flow in flows] == [((48, 64, 2), np.float32)] * 7
    inner = np.stack(flows)[:, 10:-10, 10:-10]
    np.testing.assert_allclose(inner.mean((0, 1, 2)), (2, -1), atol=0.1)
    np.testing.assert_allclose(np.median(inner, (1, 2)), [(2, -1)] * 7, atol=0.15)


def test_flow_is_that_of_each_frame_and_the_next_as_the_spec_samples_them(moving):
    cv2 = pytest.importorskip("cv2", reason="needs OpenCV, an extra")
    spec = ClipSpec("other", fps=12.5, short_side=32, size=32, interpolation="area_cubic")
    frames = list(
        read_frames(moving, fps=12.5, short_side=32, interpolation="area_cubic", start=0.04)
    )
    grays = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
    how = {"spec": spec, "settings": FlowSettings("farneback"), "start": 0.04}
    flows = list(read_flow(moving, **how, workers=3))
    assert len(frames) == 4 and len(flows) == 3 and flows[0].shape == (32, 43, 2)
    for k, flow in enumerate(flows):
        expected = cv2.calcOpticalFlowFarneback(
            grays[k], grays[k + 1], None, 0.5, 3, 15, 3, 5, 1.2, 0
        )
        np.testing.assert_array_equal(flow, expected)
    both = list(read_both(moving, **how))
    for k, (frame, flow) in enumerate(both):
        np.testing.assert_array_equal(frame, frames[k])
        if k < 3:
            np.testing.assert_array_equal(flow, flows[k])
    assert len(both) == 4 and both[3][1] is None


@pytest.mark.parametrize("method", ["dis", "tvl1"])
def test_the_settings_are_those_that_are_used(moving, method):
    if method == "dis":
        pytest.importorskip("cv2", reason="needs OpenCV, an extra")
        one, two = (
            list(read_flow(moving, spec=SPEC, settings=s)) for s in (None, FlowSettings("dis"))
        )
    else:
        one, two = (
            list(read_flow(moving, spec=SPEC, settings=FlowSettings(parameters=TVL1(lam=lam))))
            for lam in (0.15, 0.02)
        )
    assert not np.allclose(one, two)


def test_a_video_of_one_frame_has_no_flow(tmp_path):
    write_video(tmp_path / "one.mp4", np.full((1, 48, 64, 3), 90, np.uint8), fps=25)
    assert list(read_flow(tmp_path / "one.mp4", spec=SPEC)) == []
    ((frame, flow),) = read_both(tmp_path / "one.mp4", spec=SPEC)
    assert frame.shape == (48, 64, 3) and flow is None


@pytest.mark.parametrize("read", [read_flow, read_both])
@pytest.mark.parametrize("end", ["close", "drop", "all"])
def test_what_ends_a_stream_closes_the_video_and_its_threads(moving, monkeypatch, read, end):
    opened, closed = [], []
    start, stop = Source.__init__, Source.close

    def count_opened(self, *args, **options):
        opened.append(id(self))
        start(self, *args, **options)

    def count_closed(self):
        if self.container is not None:
            closed.append(id(self))
        stop(self)

    monkeypatch.setattr(Source, "__init__", count_opened)
    monkeypatch.setattr(Source, "close", count_closed)
    stream = read(moving, spec=SPEC, settings=QUICK, workers=2)
    assert not opened
    next(stream)
    assert len(opened) == 1 and not closed
    if end == "close":
        stream.close()
    elif end == "drop":
        del stream
    else:
        list(stream)
    assert closed == opened
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("flow")]


def test_memory_is_bounded(monkeypatch):
    monkeypatch.setattr(
        "kinetics_i3d.flow.compute.pair_function",
        lambda method, backend: lambda a, b, parameters: np.stack([a, b], -1).astype(np.float32),
    )
    pulled = []

    def frames():
        for k in range(50):
            pulled.append(k)
            yield np.full((16, 16, 3), k, np.uint8)

    stream = flow_of_frames(frames(), workers=3)
    for k in range(40):
        frame, flow = next(stream)
        assert frame[0, 0, 0] == k and flow[0, 0].tolist() == [k, k + 1]
        assert len(pulled) == k + 7  # six pairs, and what has been given out
    stream.close()
    assert len(pulled) == 46


def test_closing_does_not_wait_for_the_garbage_collector(moving, monkeypatch):
    generators = []
    for name in ("flow_stream", "read_frames", "read_both"):
        plain = getattr(compute, name)

        def hold(*args, plain=plain, **options):
            generators.append(plain(*args, **options))
            return generators[-1]

        monkeypatch.setattr(compute, name, hold)
    stream = read_flow(moving, spec=SPEC, settings=QUICK)
    next(stream)
    assert [inspect.getgeneratorstate(each) for each in generators] == [inspect.GEN_SUSPENDED] * 3
    stream.close()
    assert [inspect.getgeneratorstate(each) for each in generators] == [inspect.GEN_CLOSED] * 3

    frames = iter_frames()
    stream = flow_of_frames(frames, settings=QUICK)
    next(stream)
    stream.close()
    assert inspect.getgeneratorstate(frames) == inspect.GEN_CLOSED


def iter_frames():
    for k in range(9):
        yield np.full((16, 16, 3), k, np.uint8)


def test_pictures_that_have_no_flow_are_named(moving, tmp_path, monkeypatch):
    write_video(tmp_path / "thin.mp4", np.zeros((3, 128, 16, 3), np.uint8), fps=25)
    height = ClipSpec("height", short_side=64, size=32, resize="height")
    with pytest.raises(VideoError, match=r"thin.mp4: 8 x 64 pixels after the resize; flow needs"):
        list(read_flow(tmp_path / "thin.mp4", spec=height))
    with pytest.raises(ValueError, match=r"`spec` must resize to 16 pixels or more for flow\. Rec"):
        read_flow(moving, spec=ClipSpec("tiny", short_side=15, size=8))
    with pytest.raises(VideoError, match=r"none\.mp4: there is no such file"):
        list(read_flow(tmp_path / "none.mp4"))

    def changing(path, **options):
        for width in (20, 20, 24):
            yield np.zeros((16, width, 3), np.uint8)

    monkeypatch.setattr(compute, "read_frames", changing)
    why = r"x\.mp4: frame 2 is 24 x 16 pixels after the resize, those before it 20 x 16; flow"
    with pytest.raises(VideoError, match=why):
        list(read_flow("x.mp4"))


def test_what_is_wrong_is_said_before_anything_is_read(moving):
    for read in (read_flow, read_both):
        with pytest.raises(ValueError, match="`workers` must be a whole number above 0"):
            read(moving, workers=0)
        with pytest.raises(ValueError, match="`start` must be seconds"):
            read(moving, start=-1)


def test_a_missing_package_is_said_before_anything_is_read(moving, monkeypatch):
    def missing(method, backend):
        raise UserError("not installed")

    monkeypatch.setattr("kinetics_i3d.flow.compute.pair_function", missing)
    with pytest.raises(UserError, match="not installed"):
        read_flow(moving)


QUICK_TVL1 = TVL1(scales=2, warps=1)


@pytest.fixture
def programs(monkeypatch):
    """Replaces TV-L1 by a function of the test's."""

    def replace(function):
        monkeypatch.setattr(compute, "pair_function", lambda method, backend: function)

    return replace


def levels(first, second, parameters):
    """A flow that tells which pictures it was computed from."""
    return np.stack([first, second], -1).astype(np.float32)


def numbered(count):
    return np.stack([np.full((16, 20, 1), k, np.uint8) for k in range(count)])


def test_a_batch_is_its_pairs(video):
    pytest.importorskip("numba", reason="needs numba, an extra")
    flows = optical_flow(video, parameters=QUICK_TVL1)
    assert flows.shape == (5, 48, 64, 2) and flows.dtype == np.float32
    tvl1 = pair_function("tvl1", "numba")
    for k in range(5):
        expected = tvl1(video[k, ..., 0], video[k + 1, ..., 0], QUICK_TVL1)
        np.testing.assert_array_equal(flows[k], expected)
        np.testing.assert_array_equal(
            optical_flow(video[k : k + 2], parameters=QUICK_TVL1)[0], expected
        )
    # Right by 1 and down by a half: x first, and from each frame to the next.
    middle = optical_flow(video)[:, 12:-12, 12:-12].mean((0, 1, 2))
    np.testing.assert_allclose(middle, (1, 0.5), atol=0.05)


@pytest.mark.long
@pytest.mark.parametrize("backend", ["numba", pytest.param("tensorflow", marks=pytest.mark.slow)])
def test_workers_and_streaming_change_no_bit(video, backend):
    pytest.importorskip(backend, reason=f"needs {backend}, an extra")
    how = {"backend": backend, "parameters": QUICK_TVL1}
    several = optical_flow(video, workers=5, **how)
    one = optical_flow(video, workers=1, **how)
    np.testing.assert_array_equal(several, one)
    stream = flow_stream((frame for frame in video), workers=2, **how)
    np.testing.assert_array_equal(np.stack(list(stream)), one)


def test_rgb_is_weighed_to_gray_first(programs):
    programs(levels)
    frames = np.random.default_rng(0).integers(0, 256, (3, 16, 18, 3), np.uint8)
    flows = optical_flow(frames)
    np.testing.assert_array_equal(flows[..., 0], to_gray(frames[:-1]))
    np.testing.assert_array_equal(flows[..., 1], to_gray(frames[1:]))


def test_frames_may_be_an_iterable_or_video_frames(programs):
    programs(levels)
    frames = np.repeat(numbered(5), 3, -1)
    expected = optical_flow(frames)
    for same in (iter(frames), [*frames], VideoFrames([*frames], fps=25)):
        np.testing.assert_array_equal(optical_flow(same), expected)


@pytest.mark.parametrize("workers", [1, 2, 3, 50, None])
@pytest.mark.parametrize("count", [2, 3, 4, 5, 13])
def test_each_pair_comes_once_and_in_order(programs, workers, count):
    def slow(first, second, parameters):
        time.sleep(0.002 * (first[0, 0] % 3))
        return levels(first, second, parameters)

    programs(slow)
    seen = []
    flows = optical_flow(numbered(count), workers=workers, progress=lambda *at: seen.append(at))
    assert flows[:, 0, 0].tolist() == [[k, k + 1] for k in range(count - 1)]
    assert seen == [(k, count - 1) for k in range(1, count)]


def test_a_stream_reads_no_further_than_it_must(programs):
    programs(levels)
    read = []

    def frames():
        for frame in numbered(40):
            read.append(frame)
            yield frame

    stream = flow_stream(frames(), workers=3)
    assert not read
    for k in range(20):
        next(stream)
        assert len(read) == k + 7  # six pairs, and what has been given out
    stream.close()
    assert len(read) == 26


def test_no_more_threads_work_than_workers(programs):
    busy, most, lock = 0, 0, threading.Lock()

    def counted(first, second, parameters):
        nonlocal busy, most
        with lock:
            busy += 1
            most = max(most, busy)
        time.sleep(0.01)
        with lock:
            busy -= 1
        return levels(first, second, parameters)

    programs(counted)
    optical_flow(numbered(12), workers=3)
    assert most == 3


@pytest.mark.parametrize("end", ["close", "drop", "interrupt", "error of a frame"])
def test_a_stopped_stream_ends_its_threads_and_begins_no_more_pairs(programs, end):
    begun = []

    def slow(first, second, parameters):
        begun.append(int(first[0, 0]))
        time.sleep(0.15 if int(first[0, 0]) else 0)  # the first is ready at once
        return levels(first, second, parameters)

    def frames():
        yield from numbered(8)
        if end == "interrupt":
            raise KeyboardInterrupt
        if end == "error of a frame":
            yield np.zeros((16, 20, 1), np.float32)
        yield from numbered(100)

    programs(slow)
    stream = flow_stream(frames(), workers=4)
    if end in ("close", "drop"):
        assert next(stream)[0, 0].tolist() == [0, 1]
        if end == "close":
            stream.close()
        else:
            del stream
    else:
        with pytest.raises(KeyboardInterrupt if end == "interrupt" else ValueError):
            list(stream)
    assert 4 <= len(begun) <= 6  # of seven or eight that were handed in
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("flow")]


def test_an_error_in_a_thread_reaches_the_caller(programs):
    def broken(first, second, parameters):
        raise MemoryError("too large")

    programs(broken)
    with pytest.raises(MemoryError, match="too large"):
        optical_flow(numbered(9), workers=2)


GOOD = np.zeros((3, 16, 16, 3), np.uint8)
WRONG = [
    (GOOD.astype(np.float32), {}, r"`frames` must be uint8.*frames\[0\] of dtype float32"),
    (GOOD[0], {}, r"`frames` must be two frames or more.*\(16, 16, 3\)"),
    (GOOD[:1], {}, r"`frames` must be two frames or more.*\(1, 16, 16, 3\)"),
    (GOOD[..., :2], {}, r"\(height, width, 1 or 3\).*frames\[0\] of shape \(16, 16, 2\)"),
    (GOOD[:, :15], {}, r"at least 16 pixels per side.*\(15, 16, 3\)"),
    (GOOD[:, :, :15], {}, r"at least 16 pixels per side.*\(16, 15, 3\)"),
    ("a.mp4", {}, r"such as read_frames\(path\). Received: frames='a.mp4'"),
    (GOOD, {"workers": 0}, "`workers` must be a whole number above 0. Received: workers=0"),
    (GOOD, {"workers": 1.5}, "`workers` must be .* Received: workers=1.5"),
    (GOOD, {"parameters": {"tau": 1}}, "`parameters` must be a TVL1. Received"),
    (GOOD, {"parameters": TVL1(), "method": "dis"}, "`parameters` must be None for method='dis'"),
    (GOOD, {"method": "hs"}, r"`method` must be one of \('tvl1', .*Received: method='hs'"),
    (GOOD, {"backend": "cuda"}, r"`backend` must be one of .*Received: backend='cuda'"),
]


@pytest.mark.parametrize(("frames", "arguments", "why"), WRONG)
def test_wrong_arguments_are_refused_in_one_line(frames, arguments, why):
    with pytest.raises(ValueError, match=why) as raised:
        optical_flow(frames, **arguments)
    assert "\n" not in str(raised.value)


def test_a_frame_of_another_size_is_named(programs):
    programs(levels)
    frames = [*GOOD, np.zeros((16, 17, 3), np.uint8)]
    with pytest.raises(ValueError, match=r"first, \(16, 16, 3\).*frames\[3\] of shape \(16, 17, 3"):
        list(flow_stream(frames))
    assert list(flow_stream([])) == list(flow_stream(GOOD[:1])) == []


def test_the_fast_choice_warns(programs, monkeypatch):
    programs(levels)
    messages = []
    monkeypatch.setattr(logging, "warning", lambda text, *args: messages.append(text))
    optical_flow(GOOD)
    assert messages == []
    optical_flow(GOOD, parameters=TVL1.fast())
    assert len(messages) == 1 and "fast" in messages[0]


def test_importing_flow_loads_nothing_heavy():
    code = (
        "import sys, kinetics_i3d.flow;"
        "print({'cv2', 'numba', 'tensorflow', 'keras', 'PIL'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_levels_are_the_weighed_sum_rounded():
    weights = [fractions.Fraction(w) for w in ("0.299", "0.587", "0.114")]
    pixels = np.random.default_rng(0).integers(0, 256, (500, 3), np.uint8)
    for pixel, level in zip(pixels.tolist(), to_gray(pixels).tolist(), strict=True):
        exact = sum(w * value for w, value in zip(weights, pixel, strict=True))
        assert abs(level - exact) < fractions.Fraction(51, 100)
    grays = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(to_gray(np.stack([grays] * 3, -1)), grays)


def test_it_is_opencv_s_to_the_bit():
    cv2 = pytest.importorskip("cv2", reason="needs opencv-contrib-python-headless, an extra")
    for red in (0, 1, 77, 128, 200, 255):
        green, blue = np.mgrid[:256, :256].astype(np.uint8)
        frame = np.stack([np.full_like(green, red), green, blue], -1)
        np.testing.assert_array_equal(to_gray(frame), cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY))


def test_one_channel_is_gray_already():
    frames = np.random.default_rng(0).integers(0, 256, (2, 5, 6, 1), np.uint8)
    np.testing.assert_array_equal(to_gray(frames), frames[..., 0])
