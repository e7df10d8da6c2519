"""`draw_timeline`: draws the predictions along a video and its segments; `clock` formats times."""

import pathlib
from collections.abc import Iterable, Sequence

import numpy as np

from kinetics_i3d.core.figure import ACCENT, FILL, INK, LINE, MUTED, new_figure, shorten
from kinetics_i3d.core.types import PathLike, check_text
from kinetics_i3d.inference.timeline import (
    Segment,
    Timeline,
    check_timeline,
    find_segments,
    mean_over_windows,
)

_WIDTH, _ROW = 10.0, 0.62  # inches: width of the picture, height of a label's row
_ROWS = 5, 12  # minimum and maximum number of labels
_COLUMNS = 2000  # maximum points of a curve; longer ones are reduced to the maxima of equal parts
_NAME_LENGTH = 28


def draw_timeline(
    path: PathLike,
    timeline: Timeline,
    segments: Sequence[Segment] | None = None,
    *,
    title: str | None = None,
) -> None:
    """Draws the probability of the most important labels over time, and the segments.

    Each label has a row: its probability, averaged over the windows that overlap, as an area, and
    its segments as black bars below, with their scores if there is room. Labels with segments come
    first, in the order of their first segment. If they are few, the most probable others follow.

    Args:
        path: The PNG to write, atomically.
        timeline: The result of `classify_over_time`.
        segments: The result of `find_segments`; None calls it with its defaults.
        title: The line above; None for the name of the video.

    Raises:
        UserError: If `path` is not a PNG, or Matplotlib is missing.
        ValueError: If `timeline` is not a `Timeline`, or `segments` are not its segments.

    Example:

    >>> model = ki3d.InceptionI3D(weights=folder / "mine.h5")
    >>> timeline = ki3d.classify_over_time(folder / "video.mp4", model, window=16, stride=8)
    >>> ki3d.draw_timeline(folder / "timeline.png", timeline)
    """
    check_timeline(timeline)
    check_text("title", title)
    segments = find_segments(timeline) if segments is None else _checked(segments, timeline)
    edges, means = mean_over_windows(timeline)
    labels, left_out = _choose(timeline, means, np.diff(edges), segments)
    seconds, curves = _thinned(edges, means[:, labels])
    height = _ROW * len(labels)
    with new_figure(path, width=_WIDTH, height=height) as figure:
        rows = figure.subplots(len(labels), 1, sharex=True, squeeze=False)[:, 0]
        figure.subplots_adjust(left=0, right=1, bottom=0, top=1, hspace=0.12)
        name = pathlib.Path(timeline.path).name if title is None else title
        rows[0].set_title(shorten(name, 90))
        for axes, label, curve in zip(rows, labels, curves.T, strict=True):
            own = [segment for segment in segments if segment.label == timeline.labels[label]]
            _draw_row(axes, timeline.labels[label], seconds, curve, own, edges)
        rows[-1].set_xlim(edges[0], edges[-1])
        rows[-1].xaxis.set_major_locator(_time_locator())
        rows[-1].xaxis.set_major_formatter(lambda value, _: clock(value))
        rows[-1].tick_params(bottom=True, labelbottom=True, length=3)
        hours = " (hours:minutes:seconds)" if edges[-1] >= 3600 else " (minutes:seconds)"
        rows[-1].set_xlabel("time" + hours, color=MUTED)
        note = "Area: probability, 0 to 1.  Black bars: segments and their mean probability."
        if left_out:
            note += f"  {left_out} more labels have segments."
        figure.text(0, -0.62 / height, note, fontsize=9, color=MUTED)


def _checked(segments, timeline):
    """`segments` as a list; `ValueError` unless they are `Segment`s of the timeline's labels."""
    listed = list(segments) if isinstance(segments, Iterable) else [segments]
    for segment in listed:
        if not isinstance(segment, Segment) or segment.label not in timeline.labels:
            raise ValueError(
                "`segments` must be a result of find_segments() for the timeline. "
                f"Received: {segment!r}"
            )
    return listed


def _choose(timeline, means, lengths, segments):
    """(indices of the labels to draw, number of other labels with segments)."""
    totals = dict.fromkeys((segment.label for segment in segments), 0.0)
    for segment in segments:
        totals[segment.label] += segment.end - segment.start
    least, most = _ROWS
    longest = sorted(totals, key=totals.__getitem__, reverse=True)[:most]
    # `totals` has them in the order of their first segment.
    chosen = [timeline.labels.index(label) for label in totals if label in longest]
    mean = np.average(means, axis=0, weights=lengths)
    others = (int(label) for label in np.argsort(-mean, kind="stable") if label not in chosen)
    wanted = min(least, len(timeline.labels))
    while len(chosen) < wanted:
        chosen.append(next(others))
    return chosen, len(totals) - len(longest)


def _thinned(edges, means):
    """(seconds, values) of the corners of step curves; thinning keeps the maxima."""
    step = -(-len(means) // _COLUMNS)
    if step > 1:
        starts = np.arange(0, len(means), step)
        means = np.maximum.reduceat(means, starts, axis=0)
        edges = np.append(edges[starts], edges[-1])
    return np.repeat(edges, 2)[1:-1], np.repeat(means, 2, axis=0)


def _draw_row(axes, label, seconds, curve, segments, edges):
    axes.fill_between(seconds, curve, color=FILL, linewidth=0)
    axes.plot(seconds, curve, color=ACCENT, linewidth=0.9)
    length = edges[-1] - edges[0]
    for segment in segments:
        axes.broken_barh([(segment.start, segment.end - segment.start)], (-0.38, 0.26), color=INK)
        if segment.end - segment.start > 0.04 * length:
            axes.text(
                *((segment.start + segment.end) / 2, -0.25),
                f"{100 * segment.score:.0f} %",
                ha="center",
                va="center",
                fontsize=7,
                color="white",
            )
    axes.set_ylim(-0.44, 1.02)
    axes.set_yticks([0, 1], ["", ""])
    axes.tick_params(bottom=False, left=False)
    axes.grid(axis="y", color=LINE, linewidth=0.8)
    axes.grid(axis="x", color=LINE, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)
    axes.set_ylabel(shorten(label, _NAME_LENGTH), rotation=0, ha="right", va="center", labelpad=8)


def _time_locator():
    """Ticks at whole seconds, minutes or hours."""
    from matplotlib.ticker import Locator

    steps = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)

    class TimeLocator(Locator):
        def __call__(self):
            begin, end = self.axis.get_view_interval()
            step = next((step for step in steps if (end - begin) / step <= 12), 43200)
            return np.arange(np.ceil(begin / step), np.floor(end / step) + 1) * step

    return TimeLocator()


def clock(seconds):
    """Seconds as `1:02:03` or `2:03`, or `2:03.5` if they are not whole.

    Example:

    >>> clock(3723), clock(123.5), clock(0)
    ('1:02:03', '2:03.5', '0:00')
    """
    tenths = round(seconds * 10)
    minutes, rest = divmod(tenths // 10, 60)
    hours, minutes = divmod(minutes, 60)
    text = f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
    return text + (f".{tenths % 10}" if tenths % 10 else "")
