"""Test views: every frame of a video counts once, in windows that a model can read."""

import dataclasses
import tracemalloc

import numpy as np
import pytest

from kinetics_i3d.core.clip_spec import ClipSpec
from kinetics_i3d.core.errors import VideoError
from kinetics_i3d.data import streams, views
from kinetics_i3d.data.views import VIEWS, View, video_views
from kinetics_i3d.video.clip import load_clip
from kinetics_i3d.video.writer import write_video

SPEC = ClipSpec("coded", short_side=64, size=64)


def span(first, stop):
    return list(range(first, stop))


# frames of the video, minimum, window -> (numbers that a view shows, share)
CASES = {
    "one view": ((12, 9, 250), [(span(0, 12), 12)]),
    "as long as the window": ((20, 9, 20), [(span(0, 20), 20)]),
    "exact multiple": ((40, 9, 20), [(span(0, 20), 20), (span(20, 40), 20)]),
    "one more": ((21, 9, 20), [(span(0, 20), 20), (span(12, 21), 1)]),
    "short rest": ((28, 9, 20), [(span(0, 20), 20), (span(19, 28), 8)]),
    "rest of the minimum": ((29, 9, 20), [(span(0, 20), 20), (span(20, 29), 9)]),
    "long rest": ((35, 9, 20), [(span(0, 20), 20), (span(20, 35), 15)]),
    "window of the minimum": ((19, 9, 9), [(span(0, 9), 9), (span(9, 18), 9), (span(10, 19), 1)]),
    "shorter than the minimum": ((4, 9, 250), [([0, 1, 2, 3, 0, 1, 2, 3, 0], 4)]),
    "one frame": ((1, 9, 9), [([0] * 9, 1)]),
    "no minimum": ((5, 1, 2), [([0, 1], 2), ([2, 3], 2), ([4], 1)]),
}


@pytest.mark.parametrize("case", CASES)
def test_every_frame_counts_once(coded_video, numbers, case):
    (frames, minimum, window), expected = CASES[case]
    pairs = list(video_views(coded_video(frames), spec=SPEC, minimum=minimum, window=window))
    assert [(numbers(clips[0], gray=0), share) for clips, share in pairs] == expected
    assert sum(share for _, share in pairs) == frames
    for clips, _ in pairs:
        assert clips.dtype == np.float32 and clips.shape[2:] == (64, 64, 3) and len(clips) == 1


def test_a_view_is_what_load_clip_reads(tmp_path):
    frames = np.random.default_rng(0).integers(0, 256, (10, 48, 80, 3), np.uint8)
    write_video(tmp_path / "noise.mp4", frames, fps=25)
    spec = ClipSpec("small", fps=12.5, short_side=40, size=32, low=-117.0, high=138.0)
    ((clips, share),) = video_views(tmp_path / "noise.mp4", spec=spec, minimum=1)
    assert share == 5
    np.testing.assert_array_equal(clips, load_clip(tmp_path / "noise.mp4", spec=spec))


def test_the_papers_window_is_250_frames():
    assert views.WINDOW == 250


def test_frames_are_read_as_views_are_taken(monkeypatch):
    read = []

    def endless(path, **options):
        assert options == {
            "start": 0.0,
            "fps": 25.0,
            "short_side": 64,
            "resize": "short_side",
            "interpolation": "bilinear",
        }
        while True:
            read.append(path)
            yield np.zeros((64, 80, 3), np.uint8)

    monkeypatch.setattr(streams, "read_frames", endless)
    taken = video_views("some.mp4", spec=SPEC, window=20)
    assert read == []
    next(taken)
    assert len(read) == 20
    next(taken)
    assert len(read) == 40


def test_memory_is_that_of_one_window(monkeypatch):
    def long_video(path, **_):
        for _ in range(600):
            yield np.zeros((64, 512, 3), np.uint8)  # crops must not keep whole frames alive

    monkeypatch.setattr(streams, "read_frames", long_video)
    spec = ClipSpec("small", short_side=64, size=64)
    tracemalloc.start()
    try:
        for clips, _ in video_views("some.mp4", spec=spec, window=30):
            del clips
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    window = 30 * 64 * 64 * 3
    assert peak < 12 * window  # pixels, floats and their parts; the video is 20 windows long


def test_what_is_wrong(coded_video, tmp_path):
    with pytest.raises(ValueError, match=r"`window` must be .* Received: window=8"):
        next(video_views(coded_video(12), spec=SPEC, window=8))
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    with pytest.raises(VideoError, match=r"broken\.mp4"):
        next(video_views(tmp_path / "broken.mp4", spec=SPEC))


BOTH = ("rgb", "flow")


@pytest.fixture
def numbered_flow(monkeypatch):
    """Stands in for flow: x of the flow from frame k on has the code k, y 255 - k."""

    def read_both(path, *, spec, settings=None, start=0.0, workers=None):
        frames = list(streams.read_frames(path, start=start, **spec.reading))
        for index, frame in enumerate(frames):
            pair = np.array([index, 255 - index], np.float32)
            flow = np.broadcast_to((2 * pair - 255) / 255 * 20, (*frame.shape[:2], 2))
            yield frame, None if index + 1 == len(frames) else flow

    monkeypatch.setattr(streams, "read_both", read_both)


def quantized(flow):
    """The x and y codes of clips of `numbered_flow`."""
    middle = (np.asarray(flow)[:, 30, 30] + 1) * 127.5
    return middle.round().astype(int).T.tolist()


@pytest.mark.parametrize("frames", [20, 21, 22, 29, 41])
def test_both_streams_show_the_same_frames_but_for_the_last(
    coded_video, numbers, numbered_flow, frames
):
    path = coded_video(frames)
    options = {"spec": SPEC, "minimum": 9, "window": 20}
    found = list(video_views(path, streams=BOTH, **options))
    assert sum(share for _, share in found) == frames - 1
    for clips, _ in found:
        shown = numbers(clips["rgb"][0], gray=0)
        assert quantized(clips["flow"][0]) == [shown, [255 - number for number in shown]]
        assert clips["flow"].dtype == np.float32 and clips["flow"].shape[2:] == (64, 64, 2)
    # The rgb of a video that ends one frame earlier.
    alone = list(video_views(coded_video(frames - 1), **options))
    assert [numbers(clips[0], gray=0) for clips, _ in alone] == [
        numbers(clips["rgb"][0], gray=0) for clips, _ in found
    ]
    flow = dataclasses.replace(SPEC, stream="flow")
    only = list(video_views(path, spec=flow, streams=("flow",), minimum=9, window=20))
    for (clips, share), (both, other) in zip(only, found, strict=True):
        assert share == other
        np.testing.assert_array_equal(clips, both["flow"])


def test_streams_may_be_of_unlike_sizes(coded_video, numbers, numbered_flow):
    flow = dataclasses.replace(SPEC, stream="flow", short_side=SPEC.short_side + 9, size=70)
    options = {"minimum": 9, "window": 20, "view": View(crops=views.THREE, flips=(False, True))}
    path = coded_video(50)
    both = list(video_views(path, spec={"rgb": SPEC, "flow": flow}, streams=BOTH, **options))
    like = list(video_views(path, spec=SPEC, streams=BOTH, **options))
    only = list(video_views(path, spec=flow, streams=("flow",), **options))
    assert [share for _, share in both] == [share for _, share in only]
    for (clips, _), (same, _), (alone, _) in zip(both, like, only, strict=True):
        np.testing.assert_array_equal(clips["rgb"], same["rgb"])
        np.testing.assert_array_equal(clips["flow"], alone)
        assert clips["flow"].shape[2:] == (70, 70, 2)


def test_a_flip_mirrors_and_turns_the_flow(coded_video, numbered_flow):
    options = {"spec": SPEC, "streams": BOTH, "minimum": 9, "window": 10}
    found = list(video_views(coded_video(15), view="flips", **options))
    plain = list(video_views(coded_video(15), view="center", **options))
    assert [share for _, share in found] == [10, 10, 4, 4]
    for (clips, _), (unflipped, _), (flipped, _) in zip(
        plain, found[::2], found[1::2], strict=True
    ):
        for stream in BOTH:
            np.testing.assert_array_equal(clips[stream], unflipped[stream])
        np.testing.assert_array_equal(flipped["rgb"], clips["rgb"][:, :, :, ::-1])
        mirrored = clips["flow"][:, :, :, ::-1] * [-1, 1]
        np.testing.assert_allclose(flipped["flow"], mirrored, atol=1e-6)


def places(height, width):
    """Stands in for a video of 12 frames whose pixel at (y, x) holds (y, x, frame)."""

    def read(path, **_):
        for number in range(12):
            y, x = np.mgrid[:height, :width].astype(np.uint8)
            yield np.stack([y, x, np.full_like(x, number)], -1)

    return read


SMALL = ClipSpec("small", short_side=20, size=16, low=0.0, high=255.0)
# By hand: 20 x 31 pixels leave 4 lines and 15 columns around 16 x 16.
CORNERS = {
    "center": [(2, 7)],
    "clips_3_crops": [(2, 0), (2, 7), (2, 15)],
    "ten_crop": [(2, 7), (0, 0), (4, 0), (0, 15), (4, 15)],
}


@pytest.mark.parametrize("name", CORNERS)
@pytest.mark.parametrize("upright", [False, True])
def test_crops_lie_where_their_row_says(monkeypatch, name, upright):
    monkeypatch.setattr(streams, "read_frames", places(*((31, 20) if upright else (20, 31))))
    monkeypatch.setattr(views, "count_frames", lambda *_, **__: 12)
    view = dataclasses.replace(VIEWS[name], frames=12)
    if view.clips:
        view = dataclasses.replace(view, clips=1)
    found = [clips[0].round().astype(int) for clips, _ in video_views("a", spec=SMALL, view=view)]
    flips = 2 if True in view.flips else 1
    assert len(found) == len(CORNERS[name]) * flips
    corners = [tuple(clip[0, 0, 0, :2].tolist()) for clip in found[::flips]]
    expected = [corner[::-1] if upright else corner for corner in CORNERS[name]]
    assert sorted(corners) == sorted(expected) and len(set(corners)) == len(corners)
    for clip in found[::flips]:
        assert clip.shape == (12, 16, 16, 3)
        assert (clip[0, -1, -1, :2] - clip[0, 0, 0, :2]).tolist() == [15, 15]
    for plain, flipped in zip(found[:-1:2], found[1::2], strict=True) if flips == 2 else ():
        np.testing.assert_array_equal(flipped, plain[:, :, ::-1])


@pytest.mark.parametrize(
    ("frames", "clips", "length", "starts"),
    [
        (40, 4, 10, [0, 10, 20, 30]),
        (40, 3, 16, [0, 12, 24]),
        (40, 2, 40, [0, 0]),
        (17, 5, 9, [0, 2, 4, 6, 8]),
        (30, 1, 10, [0]),
    ],
)
def test_clips_are_spread_from_the_first_frame_to_the_last(
    coded_video, numbers, frames, clips, length, starts
):
    view = View(clips=clips, frames=length)
    found = list(video_views(coded_video(frames), spec=SPEC, view=view))
    assert [share for _, share in found] == [1] * clips
    assert [numbers(clip[0], gray=0) for clip, _ in found] == [
        span(start, start + length) for start in starts
    ]


def test_clips_of_a_short_video_are_looped(coded_video, numbers, numbered_flow):
    view = View(clips=2, frames=12)
    for clips, _ in video_views(coded_video(6), spec=SPEC, view=view, streams=BOTH):
        shown = numbers(clips["rgb"][0], gray=0)
        assert shown == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1] == quantized(clips["flow"][0])[0]


@pytest.mark.parametrize(
    ("declared", "starts"), [(0, [0, 5, 10]), (60, [0, 10, 10]), (16, [0, 3, 6])]
)
def test_a_header_that_lies_costs_no_clip(monkeypatch, coded_video, numbers, declared, starts):
    monkeypatch.setattr(views, "count_frames", lambda *_, **__: declared)
    view = View(clips=3, frames=10)
    found = list(video_views(coded_video(20), spec=SPEC, view=view))
    assert [numbers(clip[0], gray=0)[0] for clip, _ in found] == starts


def test_the_rows_of_the_table():
    assert {name: len(view.crops) * len(view.flips) for name, view in VIEWS.items()} == {
        "center": 1,
        "flips": 2,
        "clips_3_crops": 3,
        "ten_crop": 10,
    }
    assert {name for name, view in VIEWS.items() if view.clips} == {"clips_3_crops"}


SLOW = {
    "rgb": dataclasses.replace(SPEC, fps=2.5),
    "flow": dataclasses.replace(SPEC, stream="flow"),
}


def shown_by_both(found, numbers):
    """(numbers of the rgb frames, of the flows, share) of each clip."""
    return [
        (numbers(clips["rgb"][0], gray=0), quantized(clips["flow"][0])[0], share)
        for clips, share in found
    ]


def looped(video, *places):
    """Rgb and flow of stacks of 10 from the flows at `places`, by the paper's words alone."""
    dense = np.concatenate([np.arange(place, place + 10) for place in places]) % video
    return dense.reshape(-1, 10)[:, 0].tolist(), dense.tolist()


# frames of the video, window -> (first flow of each stack, share); there is one flow fewer.
STACKS = {
    "ten seconds": ((251, 250), [(range(0, 250, 10), 250)]),
    "whole stacks": ((31, 250), [((0, 10, 20), 30)]),
    "more than whole stacks": ((38, 250), [((0, 10, 20), 30), ((27,), 7)]),
    "windows and a rest": ((46, 20), [((0, 10), 20), ((20, 30), 20), ((35,), 5)]),
    "a rest of a stack and more": ((36, 20), [((0, 10), 20), ((20,), 10), ((25,), 5)]),
    "less than a stack": ((8, 250), [((0,), 7)]),
    "one stack": ((11, 250), [((0,), 10)]),
}


@pytest.mark.parametrize("case", STACKS)
def test_each_rgb_frame_begins_a_stack_of_ten_flows(coded_video, numbers, numbered_flow, case):
    (frames, window), expected = STACKS[case]
    options = {"spec": SLOW, "streams": BOTH, "minimum": 10, "window": window}
    found = shown_by_both(video_views(coded_video(frames), **options), numbers)
    assert found == [(*looped(frames - 1, *places), share) for places, share in expected]
    assert sum(share for _, _, share in found) == frames - 1


@pytest.mark.parametrize("frames", [8, 36, 90, 200, 251])
def test_25_snapshots_are_spread_over_the_video(coded_video, numbers, numbered_flow, frames):
    options = {"spec": SLOW, "streams": BOTH, "minimum": 10, "clips": 25}
    found = shown_by_both(video_views(coded_video(frames), **options), numbers)
    last = max(0, frames - 1 - 10)
    starts = [last * snapshot // 24 for snapshot in range(25)]
    assert found == [(*looped(frames - 1, start), 1) for start in starts]
    if frames == 251:  # ten seconds: the paper's 25 rgb frames and 250 flows, each once
        assert [number for _, flows, _ in found for number in flows] == [*range(250)]


def test_clips_of_a_view_are_cut_to_whole_stacks_and_to_the_window(
    coded_video, numbers, numbered_flow
):
    options = {"spec": SLOW, "streams": BOTH, "minimum": 10, "clips": 25}
    view = View(clips=2, frames=27)
    found = list(video_views(coded_video(46), view=view, **options))
    assert shown_by_both(found, numbers) == [(*looped(45, *at), 1) for at in ((0, 10), (25, 35))]
    (clips, _), _ = video_views(coded_video(46), view=view, window=10, **options)
    assert clips["rgb"].shape[1] == 1 and clips["flow"].shape[1] == 10
    for wrong in ({"minimum": 9}, {"window": 255}):
        with pytest.raises(ValueError, match="multiples of 10 frames"):
            next(video_views(coded_video(46), **{**options, **wrong}))


def test_what_is_wrong_with_views(coded_video):
    for fields in ({"crops": ((0, 1.5),)}, {"crops": ()}, {"flips": ()}, {"flips": (2,)}):
        with pytest.raises(ValueError, match=f"`{next(iter(fields))}` must be"):
            View(**fields)
    for fields in ({"clips": 0}, {"frames": 0}):
        with pytest.raises(ValueError, match="must be 1 or more"):
            View(**fields)
    with pytest.raises(ValueError, match=r"`view` must be one of .* Received: view='all'"):
        next(video_views(coded_video(12), spec=SPEC, view="all"))
    with pytest.raises(VideoError, match="a single frame has no flow"):
        next(video_views(coded_video(1), spec=SPEC, streams=BOTH))
    wide = ClipSpec("wide", short_side=40, size=40, resize="height")
    path = coded_video(3)
    narrow = next(streams.read_frames(path))[:, :30]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streams, "read_frames", lambda *_, **__: (f for f in [narrow]))
        with pytest.raises(VideoError, match="30 pixels wide at a height of 64"):
            next(video_views(path, spec=wide))
