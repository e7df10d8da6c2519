"""`draw_embedding`: places are principal components; labels and thumbnails."""

import importlib.util

import numpy as np
import pytest

import kinetics_i3d as ki3d

RANDOM = np.random.default_rng(0)
FEATURES = RANDOM.normal(size=(9, 5)) * (5, 3, 1, 0.1, 0.1)


def test_places_are_the_principal_components(tmp_path):
    places = ki3d.draw_embedding(tmp_path / "a.png", FEATURES)
    centered = FEATURES - FEATURES.mean(axis=0)
    values, vectors = np.linalg.eigh(centered.T @ centered)
    for axis in (0, 1):
        expected = centered @ vectors[:, -1 - axis]
        np.testing.assert_allclose(np.abs(places[:, axis]), np.abs(expected), atol=1e-9)
        assert places[np.abs(places[:, axis]).argmax(), axis] > 0
    assert (places**2).sum(axis=0) == pytest.approx(values[:-3:-1])


def test_two_equal_videos_and_one_channel_have_places(tmp_path):
    places = ki3d.draw_embedding(tmp_path / "a.png", np.ones((2, 1)), labels=("a", "b"))
    np.testing.assert_array_equal(places, np.zeros((2, 2)))


def test_frames_in_the_middle_are_thumbnails(tmp_path):
    from PIL import Image

    colors = ((200, 30, 30), (30, 30, 200))
    videos = []
    for number, color in enumerate(colors):
        videos.append(tmp_path / f"{number}.mp4")
        ki3d.write_video(videos[-1], np.full((8, 64, 96, 3), color, np.uint8), fps=8)
    features = ((0.0, 1.0), (1.0, 0.0))
    ki3d.draw_embedding(tmp_path / "a.png", features, labels=("a", "b"), videos=videos)
    with Image.open(tmp_path / "a.png") as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    for color in colors:
        assert (np.abs(pixels - color).max(axis=-1) < 12).sum() > 1000


@pytest.mark.parametrize(
    ("features", "options", "message"),
    [
        (FEATURES[:1], {}, "`features` must be finite numbers"),
        (FEATURES * np.nan, {}, "`features` must be finite numbers"),
        (FEATURES, {"labels": ("a",)}, "`labels` must have one entry for each of 9 videos"),
        (FEATURES, {"videos": ("a.mp4",)}, "`videos` must have one entry for each of 9 videos"),
        (FEATURES, {"method": "umap"}, "`method` must be one of"),
    ],
)
def test_wrong_arguments_are_named(tmp_path, features, options, message):
    with pytest.raises(ValueError, match=message):
        ki3d.draw_embedding(tmp_path / "a.png", features, **options)


def test_tsne_without_scikit_learn_says_what_to_install(tmp_path):
    if importlib.util.find_spec("sklearn"):
        places = ki3d.draw_embedding(tmp_path / "a.png", FEATURES, method="tsne")
        assert places.shape == (9, 2)
    else:
        with pytest.raises(ki3d.UserError, match="pip install scikit-learn"):
            ki3d.draw_embedding(tmp_path / "a.png", FEATURES, method="tsne")
