"""The flow of a video file: which frames, which way it points, and what is closed afterwards."""

import inspect
import json
import threading

import numpy as np
import pytest

from kinetics_i3d.core.clip_spec import ClipSpec
from kinetics_i3d.core.errors import UserError, VideoError
from kinetics_i3d.flow import compute as flow_video
from kinetics_i3d.flow.compute import flow_of_frames, read_both, read_flow
from kinetics_i3d.flow.settings import TVL1, FlowSettings
from kinetics_i3d.video.reader import read_frames
from kinetics_i3d.video.source import Source
from kinetics_i3d.video.writer import write_video

SPEC = ClipSpec("small", stream="flow", fps=25, short_side=48, size=32)
QUICK = FlowSettings(parameters=TVL1(scales=3, warps=2))


def waves(x, y):
    """Grey levels of a smooth texture at any place."""
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
    greys = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
    how = {"spec": spec, "settings": FlowSettings("farneback"), "start": 0.04}
    flows = list(read_flow(moving, **how, workers=3))
    assert len(frames) == 4 and len(flows) == 3 and flows[0].shape == (32, 43, 2)
    for k, flow in enumerate(flows):
        expected = cv2.calcOpticalFlowFarneback(
            greys[k], greys[k + 1], None, 0.5, 3, 15, 3, 5, 1.2, 0
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
    held = []
    for name in ("flow_stream", "read_frames", "read_both"):
        plain = getattr(flow_video, name)

        def hold(*args, plain=plain, **options):
            held.append(plain(*args, **options))
            return held[-1]

        monkeypatch.setattr(flow_video, name, hold)
    stream = read_flow(moving, spec=SPEC, settings=QUICK)
    next(stream)
    assert [inspect.getgeneratorstate(each) for each in held] == [inspect.GEN_SUSPENDED] * 3
    stream.close()
    assert [inspect.getgeneratorstate(each) for each in held] == [inspect.GEN_CLOSED] * 3

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

    monkeypatch.setattr(flow_video, "read_frames", changing)
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


SETTINGS = [
    FlowSettings(),
    FlowSettings(parameters=TVL1(lam=0.05, median=False), backend="tensorflow", bound=10),
    FlowSettings("dis", backend="opencv", rounding="truncate"),
]


@pytest.mark.parametrize("settings", SETTINGS)
def test_settings_survive_json(settings):
    fields = json.loads(json.dumps(settings.to_dict()))
    assert sorted(fields) == ["backend", "bound", "method", "parameters", "rounding"]
    assert FlowSettings.from_dict(fields) == settings


def test_settings_default_to_the_release_s():
    assert FlowSettings.from_dict({}) == FlowSettings() == FlowSettings(parameters=TVL1(), bound=20)
    assert FlowSettings().parameters == TVL1() and FlowSettings("farneback").parameters is None
    with pytest.raises(TypeError, match="colour"):
        FlowSettings.from_dict({"colour": 1})
    assert FlowSettings(bound=10, rounding="truncate").encode([0.0, 5.0]).tolist() == [127, 191]
    assert FlowSettings().encode([0.0, 5.0]).tolist() == [128, 159]


WRONG = [
    ({"method": "lk"}, r"`method` must be one of \('tvl1', 'dis', 'farneback'\). Received: method"),
    ({"method": "dis", "parameters": TVL1()}, r"`parameters` must be None for method='dis'. Rec"),
    ({"parameters": {"lam": 1}}, r"`parameters` must be a TVL1 for method='tvl1'. Received: param"),
    ({"backend": "cuda"}, r"`backend` must be None or one of \('numba', .*backend='cuda'"),
    ({"method": "dis", "backend": "numba"}, r"`backend` must be None or one of \('opencv',\)"),
    *(({"bound": b}, "`bound` must be pixels, above 0. Rec") for b in (0, -1, np.inf, "20", True)),
    ({"rounding": "floor"}, r"`rounding` must be one of \('round', 'truncate'\). Received: round"),
]


@pytest.mark.parametrize(("fields", "why"), WRONG)
def test_wrong_settings_are_refused(fields, why):
    with pytest.raises(ValueError, match=why):
        FlowSettings(**fields)
