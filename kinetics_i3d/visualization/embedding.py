"""`draw_embedding`: features of videos as thumbnails on a plane, similar ones close together.

Principal components are computed by NumPy, and t-SNE (van der Maaten and Hinton, JMLR 2008) by
scikit-learn, https://scikit-learn.org, if it is installed.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from kinetics_i3d.core.errors import UserError
from kinetics_i3d.core.figure import LINE, MUTED, new_figure, shorten
from kinetics_i3d.core.types import PathLike, check_strings, check_text
from kinetics_i3d.video.clip import center_crop
from kinetics_i3d.video.reader import spread_frames

METHODS = ("pca", "tsne")
_SIDE = 9.0  # inches
_PIXELS = 64  # of a thumbnail
_MARKS = "osD^vPX*<>"
_MOST_LABELS = 20
_FPS = 2.0  # the rate at which the middle frame is searched


def draw_embedding(
    path: PathLike,
    features: Any,
    *,
    labels: Sequence[str] | None = None,
    videos: Sequence[PathLike] | None = None,
    method: str = "pca",
    title: str = "",
) -> np.ndarray:
    """Draws features on a plane, with a frame of each video and the color of its label.

    Args:
        path: The PNG to write, atomically.
        features: (videos, channels), two videos or more, such as the means over time of the
            results of `extract_features`.
        labels: A class name for each video; each has its own mark and color.
        videos: The file of each video, whose middle frame is drawn as a thumbnail.
        method: `"pca"`, the first two principal components; or `"tsne"`, which needs scikit-learn
            and is useful only for more than 30 videos.
        title: The title of the plot.

    Returns:
        float64 (videos, 2), the positions on the plane.

    Raises:
        UserError: If `path` is not a PNG, or Matplotlib or scikit-learn is missing.
        ValueError: If an argument is invalid.
        VideoError: If a video cannot be decoded.

    Example:

    >>> places = draw_embedding(folder / "pca.png", np.eye(4), labels=("sit", "sit", "run", "run"))
    >>> places.shape
    (4, 2)
    """
    check_text("title", title)
    if labels is not None:
        labels = check_strings("labels", labels, of="class names")
    features = np.asarray(features, np.float64)
    if features.ndim != 2 or len(features) < 2 or not np.isfinite(features).all():
        raise ValueError(
            "`features` must be finite numbers, (videos, channels) of 2 or more videos. "
            f"Received: shape={features.shape}"
        )
    for name, values in (("labels", labels), ("videos", videos)):
        if values is not None and len(values) != len(features):
            raise ValueError(
                f"`{name}` must have one entry for each of {len(features)} videos. Received: "
                f"{len(values)}"
            )
    if method not in METHODS:
        raise ValueError(f"`method` must be one of {METHODS}. Received: method={method!r}")
    places, axis_names = _principal(features) if method == "pca" else _neighbors(features)
    thumbnails = [_thumbnail(video) for video in videos] if videos is not None else None
    with new_figure(path, width=_SIDE, height=_SIDE) as figure:
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_title(shorten(title, 90))
        axes.set_xlabel(axis_names[0], color=MUTED)
        axes.set_ylabel(axis_names[1], color=MUTED)
        axes.grid(color=LINE, linewidth=0.8)
        axes.set_axisbelow(True)
        axes.margins(0.08)
        _draw_points(axes, places, labels)
        if thumbnails is not None:
            _draw_thumbnails(axes, places, thumbnails, labels)
    return places


def _principal(features):
    """The two principal components and the names of the axes, with their share of the variance."""
    centered = features - features.mean(axis=0)
    left, strengths, _ = np.linalg.svd(centered, full_matrices=False)
    count = min(2, len(strengths))
    places = np.zeros((len(features), 2))
    places[:, :count] = left[:, :count] * strengths[:count]
    # Signs are arbitrary: the largest value of each axis is positive, so pictures repeat.
    largest = places[np.abs(places).argmax(axis=0), (0, 1)]
    places *= np.where(largest < 0, -1, 1)
    total = max(float((strengths**2).sum()), 1e-300)
    shares = [*(strengths[:2] ** 2 / total), 0.0][:2]
    names = [
        f"principal component {number}, {100 * share:.0f} % of the variance"
        for number, share in enumerate(shares, 1)
    ]
    return places, names


def _neighbors(features):
    try:
        from sklearn.manifold import TSNE
    except ImportError as error:
        raise UserError("t-SNE needs scikit-learn: pip install scikit-learn") from error
    perplexity = min(30.0, (len(features) - 1) / 3)
    places = TSNE(perplexity=perplexity, init="pca", random_state=0).fit_transform(features)
    return np.asarray(places, np.float64), ("t-SNE 1", "t-SNE 2")


def _colors(names):
    """{label: (color, mark)}; the colors go from dark to light in equal steps."""
    import matplotlib

    scale = matplotlib.colormaps["viridis"]
    return {
        name: (scale(index / max(1, len(names) - 1) * 0.92), _MARKS[index % len(_MARKS)])
        for index, name in enumerate(names)
    }


def _draw_points(axes, places, labels):
    if labels is None:
        axes.scatter(*places.T, s=40, color=_colors(("",))[""][0])
        return
    names = sorted(set(labels))
    for name, (color, mark) in _colors(names).items():
        rows = [row for row, label in enumerate(labels) if label == name]
        axes.scatter(*places[rows].T, s=46, color=[color], marker=mark, label=shorten(name, 28))
    if len(names) <= _MOST_LABELS:
        axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), fontsize=10)


def _draw_thumbnails(axes, places, thumbnails, labels):
    from matplotlib.offsetbox import AnnotationBbox, OffsetImage

    colors = _colors(sorted(set(labels))) if labels is not None else None
    for row, (position, thumbnail) in enumerate(zip(places, thumbnails, strict=True)):
        box = AnnotationBbox(
            OffsetImage(thumbnail, zoom=0.72),
            position,
            xybox=(0, 30),
            boxcoords="offset points",
            pad=0.12,
            bboxprops={"edgecolor": colors[labels[row]][0] if colors else MUTED, "linewidth": 1.6},
        )
        axes.add_artist(box)


def _thumbnail(video):
    ((_, frame),) = spread_frames(video, 1, fps=_FPS, short_side=_PIXELS)
    return center_crop(frame, _PIXELS)
