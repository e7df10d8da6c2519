"""`classify_over_time`: the actions in a long video, window by window, with their times.

`find_segments` merges the predictions into segments of one label each; `write_timeline` writes both
to text files.
"""

import contextlib
import csv
import dataclasses
import json

import numpy as np

from kinetics_i3d.core.files import atomic_path
from kinetics_i3d.core.labels import ACTIVATIONS
from kinetics_i3d.core.types import PathLike, Weights, check_fraction, check_seconds
from kinetics_i3d.inference.classify import class_names
from kinetics_i3d.inference.extract_features import make_extractor
from kinetics_i3d.inference.feature_options import WHOLE, FeatureOptions
from kinetics_i3d.models.clip_model import ClipModel, check_finite_logits
from kinetics_i3d.video.video_frames import VideoFrames, check_video

_ROUNDING = 1e-9  # seconds are rounded sums

FORMATS = ("jsonl", "csv")  # of `write_timeline`
# The logits of each time step; `Logits` is their mean over time.
LOGITS_OF_STEPS = "Conv3d_0c_1x1"


@dataclasses.dataclass(frozen=True, eq=False)
class Timeline:
    """Predictions along a video, a row for each window.

    Args:
        path: The video.
        labels: The names of the classes.
        probabilities: float32 array (windows, classes), 0 to 1.
        start: float64 array (windows,): seconds of the source video at which a window begins.
        end: float64 array (windows,): seconds at which it ends.
        activation: `"softmax"` of classes that exclude each other, or `"sigmoid"`.

    Example:

    >>> start = np.array([0.0, 1.0])
    >>> rows = np.array([[0.9, 0.1], [0.2, 0.8]], np.float32)
    >>> timeline = ki3d.Timeline("video.mp4", ("sit", "stand"), rows, start, start + 2)
    >>> [row["predictions"][0]["label"] for row in timeline.to_dicts(top=1)]
    ['sit', 'stand']
    """

    path: str
    labels: tuple
    probabilities: np.ndarray
    start: np.ndarray
    end: np.ndarray
    activation: str = "softmax"

    def __len__(self):
        return len(self.start)

    def to_dicts(self, top=5):
        """Yields start, end and the best `top` predictions of each window, ready for JSON."""
        for start, end, row in zip(self.start, self.end, self.probabilities, strict=True):
            best = np.argsort(-row, kind="stable")[:top]
            predictions = [
                {"label": self.labels[label], "probability": round(float(row[label]), 6)}
                for label in best
            ]
            yield {
                "start": round(float(start), 6),
                "end": round(float(end), 6),
                "predictions": predictions,
            }


def classify_over_time(
    video: PathLike | VideoFrames,
    model: ClipModel | Weights | None = None,
    *,
    window: int | str = 64,
    stride: int | str = 16,
    tail: str = "pad",
    short: str = "loop",
) -> Timeline:
    """Classifies the actions in each window of a video, in bounded memory.

    Args:
        video: A video, as `extract_features` takes it.
        model: A `ClipModel` that ends in logits, of one stream or a `TwoStreamI3D`; or weights as
            `load_model` takes them, by default `rgb_kinetics400` for the 400 actions of Kinetics.
        window: Frames of a window at the rate of the model's `ClipSpec`, or seconds as text:
            `"2.56s"`; or `"whole"`: the network runs once over the whole video, see
            `extract_features`, and each time step before the mean over time counts as a window;
            for an I3D, of 16 frames with a stride of 8.
        stride: Frames from the beginning of a window to that of the next, or seconds as text.
        tail: As for `extract_features`.
        short: As for `extract_features`.

    Returns:
        A `Timeline`. Logits of two streams are added before they become probabilities.

    Raises:
        ValueError: If an argument is invalid, or the model does not end in the logits of named
            classes.
        VideoError: If the video cannot be decoded, or is too short with `short="error"`.
        WeightsError: If `model` is weights that cannot be read.

    Example:

    >>> model = ki3d.InceptionI3D(weights=folder / "mine.h5")
    >>> timeline = ki3d.classify_over_time(folder / "video.mp4", model, window=16, stride=8)
    >>> timeline.probabilities.shape, timeline.start.tolist()
    ((3, 2), [0.0, 0.32, 0.64])
    """
    video = check_video(video)
    options = timeline_options(window=window, stride=stride, tail=tail, short=short)
    extractor = make_extractor(model, options)
    labels = class_names(extractor.model)
    return timeline_of(extractor.extract(video), extractor.model, labels, path=video)


def timeline_options(**options):
    """The `FeatureOptions` that extract the logits of each window."""
    endpoint = LOGITS_OF_STEPS if options.get("window") == WHOLE else "Logits"
    return FeatureOptions(endpoint=endpoint, **options)


def timeline_of(features, model, labels, *, path):
    """The `Timeline` of logits that were extracted by `timeline_options`."""
    check_finite_logits(features.features, model.name, path)
    logits = features.features.reshape(len(features), -1, len(labels)).sum(axis=1)
    probabilities = ACTIVATIONS[model.activation](logits).astype(np.float32)
    times = (features.start, features.end)
    return Timeline(str(path), tuple(labels), probabilities, *times, model.activation)


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
        ValueError: If a number is out of its range, or `timeline` is not a `Timeline`.

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
                and edges[begin] - edges[runs[-1][1]] <= max_gap + _ROUNDING
                and (not exclusive or background[runs[-1][1] : begin].all())
            ):
                begin = runs.pop()[0]
            runs.append((begin, stop))
        for begin, stop in runs:
            start, end = float(edges[begin]), float(edges[stop])
            if end - start >= min_length - _ROUNDING:
                score = np.average(means[begin:stop, label], weights=lengths[begin:stop])
                segments.append(Segment(start, end, timeline.labels[label], float(score)))
    return sorted(segments, key=lambda segment: (segment.start, segment.end, segment.label))


def write_timeline(path, timeline, segments, *, file_format="jsonl", top=5):
    """Writes `PATH.jsonl` and `PATH.segments.jsonl`, or `.csv` files of the same names.

    Args:
        path: A `pathlib.Path` without a suffix.
        timeline: A `Timeline`.
        segments: Its `Segment`s.
        file_format: `"jsonl"`, a JSON object in each line; or `"csv"`, a table with a row for each
            label of each window.
        top: Labels of each window, the most probable ones.

    Returns:
        The paths of both files.
    """
    if file_format not in FORMATS:
        raise ValueError(f"`format` must be one of {FORMATS}. Received: format={file_format!r}")
    video = {"video": timeline.path}
    windows = (video | row for row in timeline.to_dicts(top))
    merged = [video | segment.to_dict() for segment in segments]
    paths = [path.with_name(f"{path.name}{part}.{file_format}") for part in ("", ".segments")]
    if file_format == "jsonl":
        _write_lines(paths[0], windows)
        _write_lines(paths[1], merged)
    else:
        times = ["video", "start", "end"]
        predictions = (
            {name: row[name] for name in times} | prediction
            for row in windows
            for prediction in row["predictions"]
        )
        _write_table(paths[0], [*times, "label", "probability"], predictions)
        _write_table(paths[1], [*times, "label", "score"], merged)
    return paths


@contextlib.contextmanager
def _text_file(path):
    """A text file that is written atomically; bytes of names that are not UTF-8 are escaped."""
    options = {"encoding": "utf-8", "errors": "backslashreplace", "newline": ""}
    with atomic_path(path) as temporary, temporary.open("w", **options) as file:
        yield file


def _write_lines(path, rows):
    with _text_file(path) as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def _write_table(path, columns, rows):
    with _text_file(path) as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def check_merging(*, threshold, min_length, max_gap):
    """Raises `ValueError` if an argument of `find_segments` is out of range."""
    check_fraction("threshold", threshold, with_0=False)
    check_seconds("min_length", min_length)
    check_seconds("max_gap", max_gap)


def check_timeline(timeline):
    """Raises `ValueError` for anything but a `Timeline`."""
    if not isinstance(timeline, Timeline):
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
