"""`analyze` and `check_file`: the results that the web page shows, as plain Python without Gradio.

Videos are untrusted: the size and length of a file are checked before it is decoded, it is read
under its own name in a folder that is removed afterwards, and errors name no folder of the server.
"""

import contextlib
import dataclasses
import os
import pathlib
import re
import tempfile
from collections.abc import Iterator

import numpy as np

from kinetics_i3d.app.limits import Limits
from kinetics_i3d.core.clip_spec import FLOW_BOUND, as_rate
from kinetics_i3d.core.errors import UserError
from kinetics_i3d.core.stream_specs import StreamSpecs
from kinetics_i3d.data.streams import read_streams
from kinetics_i3d.flow.cache import write_flow_file
from kinetics_i3d.flow.quantization import dequantize_flow
from kinetics_i3d.flow.visualization import flow_picture
from kinetics_i3d.inference.classify import classify
from kinetics_i3d.inference.doctor import examine, examine_array_bounded, is_array, spec_of_weights
from kinetics_i3d.inference.timeline import Timeline, classify_over_time, find_segments
from kinetics_i3d.video.clip import darken_outside_crop
from kinetics_i3d.video.reader import spread_frames, video_info
from kinetics_i3d.video.span import Span
from kinetics_i3d.visualization.grad_cam import grad_cam, overlay_heatmap

WINDOW = 2.56  # seconds of a prediction over time: the 64 frames that I3D was trained on
STEPS = 0.64, 1.28  # seconds between two of them, and in videos longer than `LONG`
LONG = 20.0
STRIP = 8  # pictures of a strip
_SHORT_SIDE = 180  # pixels of a picture in a strip
_TOP = 5
_FOLDERS = re.compile(r"(?<![\w.:/])/(?:[^/\s:'\"]+/)+")


@dataclasses.dataclass(frozen=True, eq=False)
class Analysis:
    """The results for a video so far; fields that are not computed yet are None.

    Args:
        name: The file, without folders.
        weights: The name of the weights.
        classes: Number of classes.
        predictions: (label, probability) of the best classes, best first.
        seconds: Time for decoding, flow and network.
        strip: [(seconds, uint8 frame)], dark outside the part that the network sees.
        flow: Pictures of the flow at the frames of `strip`, for networks that read flow.
        timeline: The `Timeline` of a video longer than a window.
        segments: The `Segment`s of the timeline.
        attention: [(seconds, uint8 frame)], frames under their Grad-CAM heatmap.
        complete: Whether nothing more will come.
    """

    name: str
    weights: str
    classes: int
    predictions: tuple
    seconds: float
    strip: list | None = None
    flow: list | None = None
    timeline: Timeline | None = None
    segments: list | None = None
    attention: list | None = None
    complete: bool = False

    def to_dict(self):
        """Predictions and timeline as a JSON-ready dictionary; pictures are left out."""
        return {
            "name": self.name,
            "weights": self.weights,
            "predictions": [
                {"label": label, "probability": round(probability, 6)}
                for label, probability in self.predictions
            ],
            "timeline": [] if self.timeline is None else list(self.timeline.to_dicts(top=_TOP)),
            "segments": [segment.to_dict() for segment in self.segments or ()],
            "seconds": round(self.seconds, 3),
        }


def analyze(
    video,
    model,
    *,
    weights: str,
    limits: Limits | None = None,
    pictures: bool = True,
    over_time: bool = True,
) -> Iterator[Analysis]:
    """Classifies a video and explains the result, step by step.

    Args:
        video: The path of the file.
        model: A `ClipModel` that ends in logits.
        weights: The name to show for it.
        limits: The `Limits` of the file.
        pictures: Whether to draw the strips.
        over_time: Whether to classify the windows of a long video.

    Yields:
        `Analysis`, each with more fields than the one before: the predictions, the strip and its
        flow, the timeline, and the Grad-CAM.

    Raises:
        UserError: If the file is too large or too long, or cannot be read. The message has no
            folders.
    """
    limits = limits or Limits()
    with _in_private_folder(video, limits) as (path, name):
        duration = video_info(path).duration
        limits.check_length(name, duration)
        # Headers may be wrong or say nothing, as those of recordings in a browser.
        source = Span(0, limits.seconds).located(path)
        if "flow" in model.clip_specs:
            write_flow_file(source, spec=model.clip_specs["flow"])  # everything below reads it
        result = classify(source, model, top=_TOP)
        classes = model.output_shape[-1]
        analysis = Analysis(name, weights, classes, result.predictions, result.seconds)
        yield analysis
        if pictures:
            strip = spread_frames(source, STRIP, fps=_rate(path, model), short_side=_SHORT_SIDE)
            flow = _flow_strip(source, model, [seconds for seconds, _ in strip])
            darkened = [
                (seconds, darken_outside_crop(frame, model.clip_spec)) for seconds, frame in strip
            ]
            analysis = dataclasses.replace(analysis, strip=darkened, flow=flow)
            yield analysis
        best = 0.0  # seconds at which the window of the Grad-CAM begins
        if over_time and (duration is None or duration > WINDOW + STEPS[0]):
            step = STEPS[1] if duration is None or duration > LONG else STEPS[0]
            timeline = classify_over_time(source, model, window=f"{WINDOW}s", stride=f"{step}s")
            if len(timeline) > 1:
                segments = find_segments(timeline)
                analysis = dataclasses.replace(analysis, timeline=timeline, segments=segments)
                yield analysis
                label = timeline.labels.index(result.predictions[0][0])
                best = float(timeline.start[timeline.probabilities[:, label].argmax()])
        if pictures:
            attention = _attention_strip(path, model, result.predictions[0][0], best)
            analysis = dataclasses.replace(analysis, attention=attention)
        yield dataclasses.replace(analysis, complete=True)


def check_file(path, *, weights, limits: Limits | None = None):
    """The doctor's report of a video or an array, as `examine` makes it, under the file's name.

    Args:
        path: The file.
        weights: Name or path of the weights whose `ClipSpec` it is checked against.
        limits: The `Limits` of the file.

    Returns:
        A `Report`.

    Raises:
        UserError: As `analyze`.
    """
    limits = limits or Limits()
    with _in_private_folder(path, limits) as (path, name):
        spec = spec_of_weights(weights)
        if is_array(path):
            report = examine_array_bounded(path, spec=spec)
        else:
            limits.check_length(name, video_info(path).duration)
            source = Span(0, limits.seconds).located(path)  # as in `analyze`
            report = examine(source, spec=spec)
    return dataclasses.replace(report, path=name)


def without_folders(text, *folders):
    """A message in one line, in which files are named without their folders.

    Example:

    >>> without_folders("/srv/data/a.mp4: not a video (see /etc/hosts)")
    'a.mp4: not a video (see hosts)'
    """
    for folder in folders:
        text = text.replace(f"{folder}{os.sep}", "")
    return " ".join(_FOLDERS.sub("", text).split())


@contextlib.contextmanager
def _in_private_folder(path, limits):
    """Yields (path, name) of a link to a file in a private folder.

    Folders are removed from the message of a `UserError` that the block raises. The private folder
    takes the flow file that is written beside the video. In the name, `#` is replaced, since the
    end of the name could otherwise be read as a span.
    """
    path = pathlib.Path(path)
    name = path.name.replace("#", "_")
    with tempfile.TemporaryDirectory(prefix="kinetics_i3d-") as folder:
        inside = pathlib.Path(folder) / name
        try:
            limits.check_size(name, path.stat().st_size)
            inside.symlink_to(path.absolute())
            yield str(inside), name
        except UserError as error:
            raise type(error)(without_folders(str(error), folder, path.parent)) from error
        except FileNotFoundError as error:
            raise UserError(f"{name}: the file is gone; upload it again") from error


def _rate(path, model):
    """The sampling rate at which consecutive frames differ."""
    return min(model.clip_spec.fps, video_info(path).fps)


def _flow_strip(source, model, times):
    """Pictures of the flow at the given seconds, or None for a network that reads no flow."""
    if "flow" not in model.clip_specs:
        return None
    specs = StreamSpecs({"flow": model.clip_specs["flow"]}, apart=True)
    rate = as_rate(specs.fastest.fps)
    wanted = [int(seconds * rate) for seconds in times]
    flows, last = {}, None
    with contextlib.closing(read_streams(source, specs)) as frames:
        for number, frame in enumerate(frames):
            last = frame["flow"]
            if number in wanted:
                flows[number] = last
    chosen = [dequantize_flow(flows.get(number, last), bound=FLOW_BOUND) for number in wanted]
    # A shared scale; otherwise the colors could not be compared.
    lengths = [np.percentile(np.hypot(flow[..., 0], flow[..., 1]), 99.5) for flow in chosen]
    longest = max(1.0, *map(float, lengths))
    return [flow_picture(flow, longest=longest, legend=False) for flow in chosen]


def _attention_strip(path, model, label, start):
    """[(seconds, frame)] of the window that begins at `start`, under the Grad-CAM of a label."""
    window = Span(start, start + WINDOW).located(path)
    cam = grad_cam(model, window, label=label)
    chosen = np.unique(np.linspace(0, len(cam.frames) - 1, STRIP).round().astype(int))
    shown = overlay_heatmap(cam.frames[chosen], cam.heatmap[chosen])
    return [(start + index / cam.fps, frame) for index, frame in zip(chosen, shown, strict=True)]
