"""The colors of a flow: the wheel's corners, lengths, and where the legend stands."""

import colorsys

import numpy as np
import pytest

from kinetics_i3d.flow import beside_frame, flow_picture


def color(x, y, longest=1.0):
    flow = np.broadcast_to(np.array([x, y], np.float32), (8, 8, 2))
    picture = flow_picture(flow, longest=longest)
    assert picture.shape == (8, 8, 3) and picture.dtype == np.uint8
    assert (picture == picture[0, 0]).all()
    return tuple(picture[0, 0].tolist())


# Steps around the wheel of 55, clockwise from the right, and the color there.
CORNERS = {
    0: (255, 0, 0),
    15: (255, 255, 0),
    21: (0, 255, 0),
    25: (0, 255, 255),
    36: (0, 0, 255),
    49: (255, 0, 255),
}


@pytest.mark.parametrize("step", CORNERS)
def test_directions_have_the_wheel_s_colors(step):
    angle = 2 * np.pi * step / 55
    x, y = np.cos(angle), np.sin(angle)
    assert color(0.999999 * x, 0.999999 * y) == CORNERS[step]
    # Half the length: half way to white. Twice: darker.
    half, twice = color(x / 2, y / 2), color(2 * x, 2 * y)
    np.testing.assert_allclose(half, [(255 + c) / 2 for c in CORNERS[step]], atol=0.6)
    np.testing.assert_allclose(twice, [c * 0.75 for c in CORNERS[step]], atol=0.6)
    assert color(3 * x, 3 * y, longest=6.0) == half


def test_hue_grows_all_around_and_nothing_is_white():
    assert color(0, 0) == (255, 255, 255)
    hues = []
    for turn in np.linspace(0, 2 * np.pi, 100, endpoint=False):
        red, green, blue = color(np.cos(turn), np.sin(turn))
        hues.append(colorsys.rgb_to_hsv(red / 255, green / 255, blue / 255)[0])
    assert (np.diff(hues) > 0).all()
    assert colorsys.rgb_to_hsv(*color(0, 1))[0] * 360 == pytest.approx(55, abs=3)  # down: yellow
    assert colorsys.rgb_to_hsv(*color(0, -1))[0] * 360 == pytest.approx(262, abs=5)  # up: violet


def test_the_longest_motion_has_the_full_color_by_default():
    flow = np.zeros((40, 40, 2))
    flow[:10] = (3, 0)
    flow[10:20] = (1.5, 0)
    picture = flow_picture(flow)
    assert picture[0, 0].tolist() == [255, 0, 0] and picture[30, 0].tolist() == [255, 255, 255]
    assert picture[15, 0].tolist() == [255, 128, 128]
    assert (flow_picture(np.zeros((10, 10, 2))) == 255).all()


def test_the_legend_stands_in_the_corner_and_shows_each_direction():
    flow = np.zeros((120, 200, 2))
    plain, picture = flow_picture(flow, legend=False), flow_picture(flow)
    assert (plain == 255).all()
    rows, columns = np.nonzero((picture != plain).any(-1))
    assert rows.min() > 80 and columns.min() > 160 and rows.max() < 120 and columns.max() < 200
    middle, radius = (120 - 18, 200 - 18), 14
    assert picture[middle].tolist() == [255, 255, 255]
    np.testing.assert_allclose(picture[middle[0], middle[1] + radius], color(14 / 15, 0), atol=1)
    np.testing.assert_allclose(picture[middle[0] + radius, middle[1]], color(0, 14 / 15), atol=1)
    np.testing.assert_allclose(picture[middle[0], middle[1] - radius], color(-14 / 15, 0), atol=1)


def test_a_frame_stands_beside_its_flow():
    random = np.random.default_rng(0)
    frame = random.integers(0, 256, (40, 50, 3), np.uint8)
    flow = random.normal(0, 2, (40, 50, 2))
    both = beside_frame(frame, flow, longest=5, legend=False)
    np.testing.assert_array_equal(both[:, :50], frame)
    np.testing.assert_array_equal(both[:, 50:], flow_picture(flow, longest=5, legend=False))
    for wrong in (frame[1:], frame.astype(float), frame[..., :2]):
        with pytest.raises(ValueError, match=r"`frame` must be uint8 of shape \(40, 50, 3\)"):
            beside_frame(wrong, flow)


def test_wrong_arguments_are_refused():
    for shape in ((4, 4), (4, 4, 3), (0, 4, 2)):
        with pytest.raises(ValueError, match=r"`flow` must be of shape \(height, width, 2\)"):
            flow_picture(np.zeros(shape))
    with pytest.raises(ValueError, match="`flow` must be finite"):
        flow_picture(np.full((4, 4, 2), np.nan))
    for longest in (0, -1, np.inf):
        with pytest.raises(ValueError, match="`longest` must be a number of pixels above 0"):
            flow_picture(np.zeros((4, 4, 2)), longest=longest)
