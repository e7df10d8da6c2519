"""Filmstrips of mistakes: frames, darkened edges and missing videos, pixel by pixel."""

import numpy as np

from kinetics_i3d.evaluation import mistakes
from kinetics_i3d.evaluation.mistakes import STRIP_SIZE, draw_mistakes, mistake_strips


def test_filmstrip_shows_frames_and_darkens_what_is_cropped(grays):
    assert grays.mistakes() == [5, 4, 3]
    strips = mistake_strips(grays, [3, 4, 5])
    assert strips[2] is None  # its video is missing
    for number, strip in zip((3, 4), strips, strict=False):
        assert strip.shape == (STRIP_SIZE[1], STRIP_SIZE[0], 3)
        gray = 40 * number + 20
        for index in range(mistakes.FRAMES):
            left = index * (mistakes.FRAME_SIZE[0] + mistakes.GAP)
            middle = strip[STRIP_SIZE[1] // 2, left + mistakes.FRAME_SIZE[0] // 2]
            np.testing.assert_allclose(middle, gray, atol=4)
            np.testing.assert_allclose(strip[STRIP_SIZE[1] // 2, left + 6], gray / 2, atol=4)


def test_picture_has_one_place_per_mistake(grays, tmp_path):
    from PIL import Image

    draw_mistakes(tmp_path / "m.png", grays, title="title")
    picture = np.asarray(Image.open(tmp_path / "m.png"))
    assert picture.shape[1] == 2 * STRIP_SIZE[0] + mistakes.GUTTER + 2 * mistakes.MARGIN
    x, y = mistakes.MARGIN, mistakes.TITLE_HEIGHT + 22 + 44
    # The video of the first is missing; the second is beside it, and gray.
    assert (picture[y + 4, x + STRIP_SIZE[0] - 4] == mistakes.BACKGROUND).all()
    second = picture[
        y + STRIP_SIZE[1] // 2, x + STRIP_SIZE[0] + mistakes.GUTTER + mistakes.FRAME_SIZE[0] // 2
    ]
    np.testing.assert_allclose(second, 180, atol=4)
    assert (picture[:, -20:] == 255).all() and (picture[-12:] == 255).all()
    # The name of the file stands below the label.
    assert (picture[y - 30 : y - 14, x : x + 40] < 200).any()
    draw_mistakes(tmp_path / "m.png", grays, count=1)
    single = np.asarray(Image.open(tmp_path / "m.png"))
    assert picture.shape[0] - single.shape[0] == mistakes.ROW_HEIGHT
