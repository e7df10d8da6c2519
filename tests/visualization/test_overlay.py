"""`overlay_heatmap` and `draw_grad_cam`: colors where the map is hot, in every format."""

import numpy as np
import pytest

import kinetics_i3d as ki3d

GREY = np.full((10, 16, 24, 3), 100, np.uint8)


def ramp():
    """A heatmap from 0 at the left to 1 at the right."""
    return np.broadcast_to(np.linspace(0, 1, 24, dtype=np.float32), (10, 16, 24))


def test_frames_show_where_the_map_is_cold_and_its_color_where_it_is_hot():
    drawn = ki3d.overlay_heatmap(GREY, ramp(), opacity=0.5)
    assert drawn.dtype == np.uint8 and drawn.shape == GREY.shape
    assert (drawn[:, :, 0] == 100).all()
    hot = np.array((253, 231, 37))
    np.testing.assert_allclose(drawn[:, :, -1], np.full((10, 16, 3), (hot + 100) / 2), atol=1)


def test_a_white_line_surrounds_the_hottest_half():
    white = (ki3d.overlay_heatmap(GREY, ramp()) == 255).all(axis=-1)
    assert white[:, :, 12].all() and white.sum() == 10 * 16


def test_colors_become_lighter_with_the_heat():
    black = np.zeros((10, 16, 24, 3), np.uint8)
    drawn = ki3d.overlay_heatmap(black, ramp(), opacity=1.0)
    gray = drawn[0, 0].astype(float) @ (0.299, 0.587, 0.114)
    assert (np.diff(np.delete(gray, 12)) > 0).all()


@pytest.mark.parametrize(
    ("frames", "heatmap", "opacity", "message"),
    [
        (GREY / 255, ramp(), 0.5, "`frames` must be uint8"),
        (GREY, ramp()[:5], 0.5, "`frames` must be uint8"),
        (GREY, 2 * ramp(), 0.5, "`heatmap` must be 0 to 1"),
        (GREY, np.nan * ramp(), 0.5, "`heatmap` must be 0 to 1"),
        (GREY, ramp(), 1.5, "`opacity` must be 0 to 1"),
    ],
)
def test_wrong_arguments_are_named(frames, heatmap, opacity, message):
    with pytest.raises(ValueError, match=message):
        ki3d.overlay_heatmap(frames, heatmap, opacity=opacity)


@pytest.mark.parametrize("suffix", ["mp4", "gif", "png"])
def test_a_grad_cam_is_drawn_over_its_frames(tmp_path, suffix):
    from PIL import Image

    cam = ki3d.GradCAM(ramp(), GREY, 12.5, "wave", 0.9, "rgb", "Mixed_5c")
    path = tmp_path / f"cam.{suffix}"
    ki3d.draw_grad_cam(path, cam)
    if suffix == "mp4":
        picture = next(ki3d.read_frames(path, fps=12.5))
    else:
        with Image.open(path) as image:
            picture = np.asarray(image.convert("RGB"))
    yellow = (picture[..., :2].min(axis=-1).astype(int) - picture[..., 2]) > 60
    assert yellow.any() and not yellow.all()
