"""Flow of real frames against OpenCV and against the flow that came with the released weights."""

import numpy as np
import pytest
from end_points import error

from kinetics_i3d.flow import TVL1, optical_flow
from kinetics_i3d.flow.compute import to_gray
from kinetics_i3d.flow.methods import pair_function
from kinetics_i3d.video.reader import read_frames

pytestmark = pytest.mark.slow

# Seconds where somebody moves by a few pixels a frame; the first clip is slow, the second is not.
CLIPS = {"cricket_shot.avi": 1.2, "arm_wrestling.mp4": 0.2}


def frames(path, count, start=0.0, size=224):
    """The release's frames: 25 a second, the smaller side 256, the square in the middle."""
    found = []
    for frame in read_frames(path, fps=25, short_side=256, start=start):
        top, left = (frame.shape[0] - size) // 2, (frame.shape[1] - size) // 2
        found.append(frame[top : top + size, left : left + size])
        if len(found) == count:
            break
    return np.stack(found)


@pytest.mark.parametrize("backend", ["numba", pytest.param("tensorflow", marks=pytest.mark.long)])
@pytest.mark.parametrize("clip", CLIPS)
def test_it_is_opencv_s_on_real_frames(shared, clip, backend):
    pytest.importorskip("cv2", reason="needs opencv-contrib-python-headless, an extra")
    if backend == "numba":
        pytest.importorskip("numba", reason="needs numba, an extra")
    first, second = to_gray(frames(shared / "clips" / clip, 2, CLIPS[clip]))
    ours = pair_function("tvl1", backend)(first, second, TVL1())
    theirs = pair_function("tvl1", "opencv")(first, second, TVL1())
    wrong = error(ours, theirs)
    assert wrong.mean() < 0.03 and np.percentile(wrong, 99) < 0.2
    assert error(ours, 0).max() > 1


def correlation(one, other):
    return [np.corrcoef(one[..., c].ravel(), other[..., c].ravel())[0, 1] for c in (0, 1)]


def test_it_is_the_released_sample_s_flow(shared):
    """`flow[i]` belongs to frames i and i + 1, red is x and green y: nothing else fits as well."""
    pytest.importorskip("numba", reason="needs numba, an extra")
    from PIL import Image, ImageSequence

    with Image.open(shared / "clips" / "cricket_shot_flow.gif") as picture:
        quantized = [
            np.asarray(each.convert("RGB"))[..., :2] for each in ImageSequence.Iterator(picture)
        ]
    released = (np.stack(quantized) / 255 - 0.5) * 20
    flow = optical_flow(frames(shared / "clips" / "cricket_shot.avi", 80))
    assert flow.shape == released.shape == (79, 224, 224, 2)
    inner = slice(20, 60)
    x, y = correlation(np.clip(flow, -10, 10)[inner], released[inner])
    assert x > 0.92 and y > 0.83
    for offset in (-2, -1, 1, 2):
        moved = released[20 + offset : 60 + offset]
        off_x, off_y = correlation(np.clip(flow, -10, 10)[inner], moved)
        assert off_x < x - 0.05 and off_y < y - 0.05
    for other in (released[..., ::-1], -released):
        assert max(correlation(flow[inner], other[inner])) < 0.5
