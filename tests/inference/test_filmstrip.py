"""`draw_filmstrip`: the right frames, bars as long as the probabilities, any shape of video."""

import numpy as np
import pytest

from kinetics_i3d.core.canvas import ACCENT, MUTED
from kinetics_i3d.core.clip_spec import ClipSpec
from kinetics_i3d.core.errors import UserError, VideoError
from kinetics_i3d.inference import filmstrip
from kinetics_i3d.inference.classify import Classification
from kinetics_i3d.inference.filmstrip import draw_filmstrip, grid
from kinetics_i3d.video.writer import write_video

SPEC = ClipSpec("tiny", fps=25, short_side=40, size=20)
FOUND = Classification("x", (("wave", 0.75), ("a long label " * 9, 0.25), ("sit", 0.0)), 1.5)


def grey_video(path, count, height=48, width=64):
    """Frame k is grey of value 2k + 20, so a frame tells its number."""
    frames = (np.full((height, width, 3), 2 * k + 20, np.uint8) for k in range(count))
    write_video(path, frames, fps=10)
    return path


def drawn(path):
    from PIL import Image

    return np.asarray(Image.open(path))


def test_bars_are_as_long_as_the_probabilities(tmp_path):
    video = grey_video(tmp_path / "v.mp4", 4)
    draw_filmstrip(tmp_path / "out.png", video, FOUND, spec=SPEC)
    picture = drawn(tmp_path / "out.png")
    start, end = filmstrip.bar_span()
    lengths = []
    for color in (ACCENT, MUTED):
        bars = (picture[:, start:end] == color).all(axis=-1)
        lengths.append(bars.sum(axis=1).max())
    assert lengths == [round(0.75 * (end - start)), round(0.25 * (end - start))]
    assert (picture[:, end + 4 : end + 8] == 255).all(axis=-1)[-150:].all()


@pytest.mark.parametrize(("height", "width"), [(48, 64), (256, 32), (32, 512), (16, 16)])
def test_any_shape_is_drawn_inside_the_picture(tmp_path, height, width):
    video = grey_video(tmp_path / "v.mp4", 12, height, width)
    draw_filmstrip(tmp_path / "out.png", video, FOUND, spec=SPEC)
    picture = drawn(tmp_path / "out.png")
    assert picture.shape[1] == filmstrip.WIDTH and 200 < picture.shape[0] < 1400
    assert (picture[:, : filmstrip.MARGIN - 4] == 255).all()
    assert (picture[:, -filmstrip.MARGIN + 4 :] == 255).all()
    columns, (cell_width, cell_height) = grid(8, width / height)
    rows = -(-8 // columns)
    strip = picture[filmstrip.TITLE : filmstrip.TITLE + rows * (cell_height + filmstrip.GAP)]
    assert len(np.unique(strip)) > 8
    assert columns * (cell_width + filmstrip.GAP) <= filmstrip.WIDTH - 2 * filmstrip.MARGIN + 8


def test_what_the_model_does_not_see_is_dark(tmp_path):
    write_video(tmp_path / "v.mp4", (np.full((48, 64, 3), 200, np.uint8) for _ in range(8)), fps=10)
    draw_filmstrip(tmp_path / "out.png", tmp_path / "v.mp4", FOUND, spec=SPEC)
    picture = drawn(tmp_path / "out.png")[filmstrip.TITLE :, :, 1].astype(int)
    bright, dark = ((np.abs(picture - level) < 4).sum() for level in (200, 100))
    share = 20 * 20 / (40 * 53)  # of the picture that is resized to 40x53
    assert bright / (bright + dark) == pytest.approx(share, abs=0.02)


def test_mistakes_are_told_and_leave_no_file(tmp_path):
    video = grey_video(tmp_path / "v.mp4", 2)
    with pytest.raises(UserError, match=r"\.png"):
        draw_filmstrip(tmp_path / "out.gif", video, FOUND, spec=SPEC)
    with pytest.raises(ValueError, match="`frames`"):
        draw_filmstrip(tmp_path / "out.png", video, FOUND, spec=SPEC, frames=0)
    with pytest.raises(VideoError):
        draw_filmstrip(tmp_path / "out.png", tmp_path / "none.mp4", FOUND, spec=SPEC)
    assert [path.name for path in tmp_path.iterdir()] == ["v.mp4"]
