"""`write_frames`: the suffix decides; times, sizes and order are kept."""

import numpy as np
import pytest
from PIL import Image

import kinetics_i3d as ki3d
from kinetics_i3d.core.errors import UserError
from kinetics_i3d.visualization.frame_files import check_frames_path, spread, write_frames

# Frame k is gray of value 20 k + 10.
FRAMES = np.arange(10, 210, 20, dtype=np.uint8)[:, None, None, None].repeat(32, 1).repeat(48, 2)
FRAMES = FRAMES.repeat(3, 3)


def test_a_gif_has_all_frames_at_their_rate_and_repeats(tmp_path):
    write_frames(tmp_path / "a.gif", FRAMES, fps=12.5)
    with Image.open(tmp_path / "a.gif") as gif:
        assert (gif.n_frames, gif.info["duration"], gif.info["loop"]) == (10, 80, 0)
        for number in range(10):
            gif.seek(number)
            gray = np.asarray(gif.convert("RGB")).astype(int)
            assert gray.shape == (32, 48, 3) and np.abs(gray - FRAMES[number]).max() < 12


def test_a_video_has_all_frames_at_their_rate(tmp_path):
    write_frames(tmp_path / "a.mp4", FRAMES, fps=12.5)
    frames = list(ki3d.read_frames(tmp_path / "a.mp4", fps=12.5))
    assert ki3d.video_info(tmp_path / "a.mp4").fps == 12.5
    np.testing.assert_allclose(frames, FRAMES, atol=3)


@pytest.mark.parametrize(("count", "shown"), [(10, 8), (3, 3), (1, 1)])
def test_a_png_has_frames_spread_evenly_in_order(tmp_path, count, shown):
    write_frames(tmp_path / "a.png", FRAMES[:count], fps=10, title="A title")
    with Image.open(tmp_path / "a.png") as image:
        picture = np.asarray(image)
    levels = [int(FRAMES[index, 0, 0, 0]) for index in spread(count, 8)]
    assert len(levels) == shown
    for level in levels:
        inside = (picture == level).all(axis=-1).sum()
        assert inside > 20_000  # a cell of 224x149
    brightness = picture[110, 16:-16, 0]
    row = [level for level in levels[:4] if (brightness == level).any()]
    assert row == sorted(row) == levels[:4]


def test_indices_are_the_middles_of_equal_parts():
    assert spread(64, 8) == [4, 12, 20, 28, 36, 44, 52, 60]
    assert spread(3, 8) == [0, 1, 2]


@pytest.mark.parametrize("name", ["a", "a.jpg", "a.webm"])
def test_other_suffixes_are_refused(tmp_path, name):
    with pytest.raises(UserError, match=r"must end in \.png, \.gif or that of a video"):
        check_frames_path(tmp_path / name)


def test_a_folder_is_refused(tmp_path):
    (tmp_path / "a.gif").mkdir()
    with pytest.raises(UserError, match="a folder"):
        check_frames_path(tmp_path / "a.gif")
