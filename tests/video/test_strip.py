"""`spread_frames`, `seen`: even in time, few in memory, dark where a model sees nothing."""

import weakref

import numpy as np
import pytest

from kinetics_i3d.core.clip_spec import ClipSpec
from kinetics_i3d.core.errors import VideoError
from kinetics_i3d.video import clip, reader
from kinetics_i3d.video.writer import write_video


@pytest.mark.parametrize("count", [1, 3, 8, 9, 64, 65, 100])
def test_frames_lie_in_the_middles_of_equal_parts(tmp_path, count):
    # Frame k is grey of value 2k + 20, so a frame tells its number.
    frames = (np.full((48, 64, 3), 2 * number + 20, np.uint8) for number in range(count))
    write_video(tmp_path / "v.mp4", frames, fps=10)
    picked = reader.spread_frames(tmp_path / "v.mp4", 8, fps=10, short_side=48)
    assert len(picked) == min(8, count)
    times = [10 * seconds for seconds, _ in picked]
    numbers = [(frame.mean() - 20) / 2 for _, frame in picked]
    np.testing.assert_allclose(numbers, times, atol=1)
    ideal = [(part + 0.5) * count / len(picked) - 0.5 for part in range(len(picked))]
    np.testing.assert_allclose(times, ideal, atol=2)


def test_memory_does_not_grow_with_the_video(monkeypatch):
    class Frame:
        def __init__(self):
            living.add(self)

    living, most = weakref.WeakSet(), []

    def endless(*args, **kwargs):
        for _ in range(5000):
            most.append(len(living))
            yield Frame()

    monkeypatch.setattr(reader, "read_frames", endless)
    assert len(reader.spread_frames("x", 4, fps=10, short_side=8)) == 4
    assert max(most) < 40


def test_what_lies_outside_the_crop_is_dark():
    frame = np.full((120, 160, 3), 200, np.uint8)
    shown = clip.seen(frame, ClipSpec("s", short_side=60, size=30))
    inside = np.zeros((120, 160), bool)
    inside[30:90, 50:110] = True  # 30 of 60 and of 80 pixels, twice as large
    assert (shown[inside] == 200).all() and (shown[~inside] == 100).all()
    assert (frame == 200).all()


def test_nothing_is_dark_where_the_whole_picture_is_squeezed():
    spec = ClipSpec("s", short_side=20, size=20, resize="stretch")
    assert (clip.seen(np.full((40, 60, 3), 200, np.uint8), spec) == 200).all()


def test_wrong_counts_and_files_are_told(tmp_path):
    for count in (0, 2.5):
        with pytest.raises(ValueError, match="`frames` must be a whole number above 0"):
            reader.spread_frames(tmp_path / "none.mp4", count, fps=10, short_side=48)
    with pytest.raises(VideoError, match=r"none\.mp4"):
        reader.spread_frames(tmp_path / "none.mp4", 2, fps=10, short_side=48)
