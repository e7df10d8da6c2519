"""Test views: every frame of a video counts once, in windows that a model can read."""

import tracemalloc

import numpy as np
import pytest

from kinetics_i3d.core.clip_spec import ClipSpec
from kinetics_i3d.core.errors import VideoError
from kinetics_i3d.data import views
from kinetics_i3d.data.views import whole_video
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
    found = list(whole_video(coded_video(frames), spec=SPEC, minimum=minimum, window=window))
    assert [(numbers(clips[0], grey=0), share) for clips, share in found] == expected
    assert sum(share for _, share in found) == frames
    for clips, _ in found:
        assert clips.dtype == np.float32 and clips.shape[2:] == (64, 64, 3) and len(clips) == 1


def test_a_view_is_what_load_clip_reads(tmp_path):
    frames = np.random.default_rng(0).integers(0, 256, (10, 48, 80, 3), np.uint8)
    write_video(tmp_path / "noise.mp4", frames, fps=25)
    spec = ClipSpec("small", fps=12.5, short_side=40, size=32, low=-117.0, high=138.0)
    ((clips, share),) = whole_video(tmp_path / "noise.mp4", spec=spec, minimum=1)
    assert share == 5
    np.testing.assert_array_equal(clips, load_clip(tmp_path / "noise.mp4", spec=spec))


def test_the_papers_window_is_250_frames():
    assert views.WINDOW == 250


def test_frames_are_read_as_views_are_taken(monkeypatch):
    read = []

    def endless(path, **options):
        assert options == {
            "fps": 25.0,
            "short_side": 64,
            "resize": "short_side",
            "interpolation": "bilinear",
        }
        while True:
            read.append(path)
            yield np.zeros((64, 80, 3), np.uint8)

    monkeypatch.setattr(views, "read_frames", endless)
    taken = whole_video("some.mp4", spec=SPEC, window=20)
    assert read == []
    next(taken)
    assert len(read) == 20
    next(taken)
    assert len(read) == 40


def test_memory_is_that_of_one_window(monkeypatch):
    def long_video(path, **_):
        for _ in range(600):
            yield np.zeros((64, 512, 3), np.uint8)  # crops must not keep whole frames alive

    monkeypatch.setattr(views, "read_frames", long_video)
    spec = ClipSpec("small", short_side=64, size=64)
    tracemalloc.start()
    try:
        for clips, _ in whole_video("some.mp4", spec=spec, window=30):
            del clips
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    window = 30 * 64 * 64 * 3
    assert peak < 12 * window  # pixels, floats and their parts; the video is 20 windows long


def test_what_is_wrong(coded_video, tmp_path):
    with pytest.raises(ValueError, match=r"`window` must be .* Received: window=8, minimum=9"):
        next(whole_video(coded_video(12), spec=SPEC, window=8))
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    with pytest.raises(VideoError, match=r"broken\.mp4"):
        next(whole_video(tmp_path / "broken.mp4", spec=SPEC))
