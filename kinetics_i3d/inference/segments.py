"""`find_segments`: predictions over time merged into segments of one label each."""

import dataclasses
import math

import numpy as np

from kinetics_i3d.inference.timeline import Timeline


@dataclasses.dataclass(frozen=True)
class Segment:
    """A part of a video that shows one action.

    Args:
        start: Seconds of the source video.
        end: Seconds of the source video.
        label: The name of the action.
        score: The mean probability of the label between them, 0 to 1.

    Example:

    >>> ki3d.Segment(1.0, 2.5, "wave", 0.75).to_dict()
    {'start': 1.0, 'end': 2.5, 'label': 'wave', 'score': 0.75}
    """

    start: float
    end: float
    label: str
    score: float

    def to_dict(self):
        """The fields, ready for JSON, to the microsecond and the millionth."""
        return {
            name: value if isinstance(value, str) else round(value, 6)
            for name, value in dataclasses.asdict(self).items()
        }


def find_segments(
    timeline: Timeline,
    *,
    threshold: float = 0.5,
    min_length: float = 1.0,
    max_gap: float = 1.0,
) -> list[Segment]:
    """Merges predictions over time into segments of one label each.

    1. Smoothing: the probability of a label at an instant is its mean over all windows that contain
       the instant.
    2. Threshold: a label is active where this mean is at least `threshold`. Of classes that exclude
       each other (softmax), only the most probable one can be active. Times without an active label
       or without a window are background, which is in no segment.
    3. Gaps: two stretches of one label that are at most `max_gap` seconds apart are joined, if the
       background is all that lies between them or the labels do not exclude each other.
    4. Minimum length: segments shorter than `min_length` seconds are left out.

    Args:
        timeline: The result of `classify_over_time`.
        threshold: Probability, above 0 and up to 1.
        min_length: Seconds, 0 or more.
        max_gap: Seconds, 0 or more.

    Returns:
        A list of `Segment`s by their start. They overlap only where labels do not exclude each
        other.

    Raises:
        ValueError: If a number is out of its range.

    Example:

    >>> model = ki3d.InceptionI3D(weights=folder / "mine.h5")
    >>> timeline = ki3d.classify_over_time(folder / "video.mp4", model, window=16, stride=8)
    >>> [(segment.start, segment.end, segment.label) for segment in ki3d.find_segments(timeline)]
    [(0.0, 1.0, 'stand')]
    """
    check_merging(threshold=threshold, min_length=min_length, max_gap=max_gap)
    check_timeline(timeline)
    edges, means = mean_over_windows(timeline)
    active = means >= threshold
    exclusive = timeline.activation == "softmax"
    if exclusive:
        active &= np.arange(means.shape[1]) == means.argmax(axis=1)[:, np.newaxis]
    background = ~active.any(axis=1)
    lengths = np.diff(edges)
    segments = []
    for label in np.flatnonzero(active.any(axis=0)):
        runs: list = []
        for begin, stop in _runs(active[:, label]):
            if (
                runs
                and edges[begin] - edges[runs[-1][1]] <= max_gap
                and (not exclusive or background[runs[-1][1] : begin].all())
            ):
                begin = runs.pop()[0]
            runs.append((begin, stop))
        for begin, stop in runs:
            start, end = float(edges[begin]), float(edges[stop])
            if end - start >= min_length - 1e-9:  # seconds are rounded sums
                score = np.average(means[begin:stop, label], weights=lengths[begin:stop])
                segments.append(Segment(start, end, timeline.labels[label], float(score)))
    return sorted(segments, key=lambda segment: (segment.start, segment.end, segment.label))


def check_merging(*, threshold, min_length, max_gap):
    """Raises `ValueError` if an argument of `find_segments` is out of range."""
    if not 0 < threshold <= 1:
        raise ValueError(
            f"`threshold` must be above 0 and at most 1. Received: threshold={threshold!r}"
        )
    for name, value in (("min_length", min_length), ("max_gap", max_gap)):
        if not 0 <= value < math.inf:
            raise ValueError(f"`{name}` must be seconds, 0 or more. Received: {name}={value!r}")


def check_timeline(timeline):
    """Raises `ValueError` for anything but a `Timeline`."""
    if not hasattr(timeline, "probabilities"):
        raise ValueError(
            "`timeline` must be a result of classify_over_time(). Received: "
            f"{type(timeline).__name__}"
        )


def mean_over_windows(timeline):
    """(edges, means): between two consecutive edges, the mean of the windows that overlap there.

    Edges are seconds, (parts + 1,); means are float64 (parts, classes), 0 without a window.
    """
    edges = np.unique(np.concatenate([timeline.start, timeline.end]))
    # Starts and ends both increase, so that the windows over a part are consecutive.
    first = np.searchsorted(timeline.end, edges[:-1], side="right")
    stop = np.searchsorted(timeline.start, edges[:-1], side="right")
    sums = np.zeros((len(timeline) + 1, len(timeline.labels)))
    np.cumsum(timeline.probabilities, axis=0, dtype=np.float64, out=sums[1:])
    counts = np.maximum(stop - first, 1)[:, np.newaxis]
    return edges, (sums[np.maximum(stop, first)] - sums[first]) / counts


def _runs(active):
    """(begin, stop) of each run of True."""
    changes = np.flatnonzero(np.diff(active, prepend=False, append=False))
    return [(int(begin), int(stop)) for begin, stop in changes.reshape(-1, 2)]
