"""Every real and every awkward video of `shared/clips`: counts by hand, and upright pictures."""

import av
import numpy as np
import pytest

from kinetics_i3d.core.errors import VideoError
from kinetics_i3d.video.clip import load_clip, read_clip
from kinetics_i3d.video.reader import read_frames, video_info

pytestmark = pytest.mark.slow  # decodes many seconds of video

# (frames stored, frames at 25 fps, height, width as shown). Stored: PyAV's plain decode of the
# file. At 25 fps: seconds from the first picture to the end of the last, times 25, rounded.
FILES = {
    "archery.avi": (131, 131, 240, 320),
    "arm_wrestling.mp4": (280, 250, 256, 340),  # 28 fps
    "baseball_pitch.avi": (107, 89, 240, 320),  # 29.97 fps: 3.5702 s
    "cricket_shot.avi": (80, 80, 240, 320),
    "cricket_shot_flow.gif": (79, 79, 224, 224),
    "cricket_shot_rgb.gif": (79, 79, 224, 224),
    "flipping_pancake.mkv": (310, 258, 240, 426),  # 30 fps: 10.333 s
    "walking_the_dog.mp4": (420, 350, 360, 480),
    "weightlifting.mp4": (355, 452, 240, 320),  # 19.62 fps: 18.0938 s
    "awkward/av1_video.mkv": (125, 125, 360, 640),
    "awkward/corrupted.mp4": (49, 125, 720, 1280),  # 10 fps: the 29th of 50 is beyond repair
    "awkward/h264_10bits.mp4": (30, 25, 200, 200),
    "awkward/h265_10bits.mp4": (30, 25, 200, 200),
    "awkward/header_says_48_holds_40.avi": (40, 40, 240, 320),  # 30 fps, 8 gaps: 1.6 s
    "awkward/header_says_zero_frames.mpg": (151, 126, 240, 320),
    "awkward/realshort.mp4": (36, 30, 240, 320),
    "awkward/rotated_180.mov": (3, 3, 320, 568),
    "awkward/rotated_90.mov": (3, 3, 568, 320),
    "awkward/unordered.mov": (4, 3, 50, 50),
    "awkward/vp8.mkv": (180, 150, 320, 640),
}
GAPS = {"awkward/corrupted.mp4", "awkward/header_says_48_holds_40.avi"}


@pytest.fixture(params=FILES)
def file(request, shared):
    return shared / "clips" / request.param, FILES[request.param]


def test_table_is_complete(shared):
    folder = shared / "clips"
    found = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    assert found == set(FILES)


def test_stored_frames(file):
    path, (stored, _, height, width) = file
    assert sum(1 for _ in read_frames(path, short_side=32)) == stored
    assert next(read_frames(path)).shape == (height, width, 3)
    info = video_info(path)
    assert (info.height, info.width) == (height, width)


def test_frames_at_25(file):
    path, (_, at_25, _, _) = file
    assert sum(1 for _ in read_frames(path, fps=25, short_side=32)) == at_25


# The two others lack pictures, for which the neighbors stand in.
@pytest.mark.parametrize("name", sorted(set(FILES) - GAPS))
def test_own_rate_gives_every_frame_once(shared, name):
    path = shared / "clips" / name
    whole = read_frames(path, short_side=32)
    for frame in read_frames(path, fps=video_info(path).fps, short_side=32):
        assert np.array_equal(frame, next(whole))
    assert next(whole, None) is None


def test_missing_pictures_are_filled(shared):
    path = shared / "clips/awkward/header_says_48_holds_40.avi"
    with av.open(str(path)) as container:
        ticks = [frame.pts for frame in container.decode(video=0)]
    stored, filled = list(read_frames(path)), list(read_frames(path, fps=30))
    assert len(ticks) == len(stored) == 40 and len(filled) == 48
    for tick, frame in zip(ticks, stored, strict=True):
        assert np.array_equal(filled[tick], frame)


def test_damage_is_reported_once_with_the_path(shared, caplog):
    path = shared / "clips/awkward/corrupted.mp4"
    with caplog.at_level("WARNING", logger="absl"):
        frames = list(read_frames(path, fps=10, short_side=32))
    assert len(frames) == 50
    assert [str(path) in record.getMessage() for record in caplog.records] == [True]


# Seen by eye in the turned pictures: letters of a keyboard, readable from the left to the right.
def test_rotated_pictures_stand_upright(shared):
    for name, k in (("rotated_90.mov", -1), ("rotated_180.mov", 2)):
        path = shared / "clips/awkward" / name
        with av.open(str(path)) as container:
            stored = next(container.decode(video=0)).to_ndarray(format="rgb24")
        upright = next(read_frames(path))
        assert upright.shape == np.rot90(stored, k).shape
        assert np.abs(upright.astype(int) - np.rot90(stored, k)).mean() < 3
        for wrong in set(range(-1, 3)) - {k}:
            other = np.rot90(stored, wrong)
            assert other.shape != upright.shape or (np.abs(upright.astype(int) - other).mean() > 10)


def test_cricket_is_the_released_sample(shared):
    """Our clip of the source and the release's own frames of it show the same."""
    ours = read_clip(shared / "clips/cricket_shot.avi")
    theirs = np.stack(list(read_frames(shared / "clips/cricket_shot_rgb.gif")))
    assert ours.shape == (80, 224, 224, 3)
    # The gif has 79 frames of a palette of 256 colors.
    error = np.abs(ours[:79].astype(int) - theirs).mean(axis=(1, 2, 3))
    assert error.max() < 12


def test_load_clip_takes_them_all(file):
    path, _ = file
    clips = load_clip(path, frames=8)
    assert clips.shape == (1, 8, 224, 224, 3)
    assert clips.dtype == np.float32 and clips.min() >= -1 and clips.max() <= 1


def test_start_equals_reading_on(file):
    path, (_, at_25, _, _) = file
    start = 26 if at_25 > 50 else 1
    whole = list(read_frames(path, fps=25, short_side=32))
    tail = list(read_frames(path, fps=25, short_side=32, start=start / 25))
    assert len(tail) == at_25 - start
    assert all(map(np.array_equal, tail, whole[start:]))


def test_cut_off_real_video(shared, tmp_path):
    whole = (shared / "clips/flipping_pancake.mkv").read_bytes()
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole[: len(whole) // 2])
    assert 100 < sum(1 for _ in read_frames(cut)) < 220
    cut.write_bytes(whole[:200])
    with pytest.raises(VideoError, match=r"cut\.mkv"):
        next(read_frames(cut))
