"""`classify`: the name of the action in a video.

Carreira & Zisserman, CVPR 2017, section 2.5: every frame, centre crop, logits averaged over time;
section 2.4: those of both streams added.
"""

import dataclasses
import functools
import time

from kinetics_i3d.core.labels import BY_COUNT, decode_predictions
from kinetics_i3d.core.progress import track
from kinetics_i3d.data.joint_frames import count_frames
from kinetics_i3d.data.stream_specs import fastest
from kinetics_i3d.data.views import video_views
from kinetics_i3d.models.clip_model import check_ends_in_logits
from kinetics_i3d.models.load import as_model, load_model
from kinetics_i3d.models.systems import clips_at_test
from kinetics_i3d.video.source import check_video


@dataclasses.dataclass(frozen=True)
class Classification:
    """What a model sees in one video.

    Args:
        path: The file.
        predictions: (label, probability) of the best classes, best first.
        seconds: Time that it took: decoding, flow and network.
        clip_specs: {stream: `ClipSpec`}, how its clips were made.
    """

    path: str
    predictions: tuple
    seconds: float
    clip_specs: dict = dataclasses.field(default_factory=dict)

    def to_dict(self):
        """The fields as a JSON-ready dictionary."""
        return {
            "path": self.path,
            "predictions": [
                {"label": label, "probability": probability}
                for label, probability in self.predictions
            ],
            "seconds": round(self.seconds, 3),
            "clip_specs": {stream: spec.to_dict() for stream, spec in self.clip_specs.items()},
        }


def classify(path, model=None, *, top=5, window=None):
    """Names the action in a video, by the clips of it that the paper tests on: of most, all of it.

    Args:
        path: A local video file, or `VideoFrames`.
        model: A `ClipModel` that ends in logits, such as `InceptionI3D(weights=...)` of rgb or of
            flow, or `TwoStreamI3D(weights=...)`; or weights, as `load_model` takes them, by default
            `rgb_kinetics400` for the 400 actions of Kinetics. Flow is computed on the way, or read
            from the file beside the video where `kinetics-i3d flow` has left one.
        top: How many classes to tell, 1 or more; all of them if there are fewer.
        window: Most frames that the network reads at once. A longer video is read in windows, whose
            logits are averaged by their frames; memory grows with the window, not with the video.
            None is the paper's, 10 seconds, or the one length that the network reads.

    Returns:
        A `Classification`.

    Raises:
        ValueError: If `model` cannot name actions, or a number is out of its range.
        VideoError: If the file cannot be decoded.
        WeightsError: If weights are named and cannot be read.

    Example:

    >>> model = ki3d.InceptionI3D(weights=folder / "mine.h5")
    >>> label, probability = ki3d.classify(folder / "video.mp4", model).predictions[0]
    >>> label
    'stand'
    """
    if not isinstance(top, int) or top < 1:
        raise ValueError(f"`top` must be a whole number above 0. Received: top={top!r}")
    path = check_video(path)
    model = _default_model() if model is None else as_model(model)
    check_model(model)
    begin = time.perf_counter()
    clips = clips_at_test(model) | ({} if window is None else {"window": window})
    streams = (*model.clip_specs,)
    views = video_views(path, spec=model.clip_specs, streams=streams, **clips)
    if clips["snapshots"] is None:
        spec = fastest(model.clip_specs)
        total, noun = count_frames(path, spec, flow="flow" in streams) or None, "frames"
    else:
        total, noun = clips["snapshots"], "clips"
    shown = track(views, str(path), total=total, noun=noun, size=lambda view: view[1])
    logits = model.predict_views(shown)
    (predictions,) = decode_predictions(logits[None], top=top, labels=model.labels)
    seconds = time.perf_counter() - begin
    return Classification(str(path), tuple(predictions), seconds, model.clip_specs)


@functools.cache
def _default_model():
    """Built once: of several videos each would wait for it."""
    return load_model()


def check_model(model):
    """Refuses a model whose outputs are not the logits of named classes of clips.

    Args:
        model: A `ClipModel`.

    Raises:
        ValueError: With what is wrong and what helps.
    """
    check_ends_in_logits(model)
    classes = model.output_shape[-1]
    if not model.labels and classes not in BY_COUNT:
        raise ValueError(
            f"`model` must name its {classes} classes; save_weights(model, path, labels=...) keeps "
            f"the names with the weights. Received: {model.name} with labels={model.labels!r}"
        )
