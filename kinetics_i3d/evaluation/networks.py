"""`networks_of`: what is run of a model, network by network, and on which clips.

The streams of a Two-Stream I3D are trained and tested separately (Carreira & Zisserman, CVPR 2017,
section 2.4); the other systems of two streams are one network.
"""

import dataclasses
import functools
import hashlib
from typing import Any

import numpy as np

from kinetics_i3d.data.views import VIEWS, video_views
from kinetics_i3d.evaluation.result import BOTH
from kinetics_i3d.flow.info import fingerprint
from kinetics_i3d.flow.stored import open_stored
from kinetics_i3d.flow.video import FlowSettings
from kinetics_i3d.models.clip_model import check_ends_in_logits
from kinetics_i3d.models.systems import clips_at_test
from kinetics_i3d.video.span import split_span
from kinetics_i3d.weights.assign import named_variables

SEPARATE = ("TwoStreamI3D",)  # systems whose logits are the sum of those of their streams


@dataclasses.dataclass(frozen=True)
class Network:
    """A network that is run, and the clips that it is run on.

    Args:
        name: `"rgb"`, `"flow"`, or `"both"` where it reads both.
        model: The `ClipModel`.
        specs: {stream: `ClipSpec`} of its clips.
    """

    name: str
    model: Any
    specs: dict

    @property
    def classes(self):
        """The number of its outputs."""
        return self.model.output_shape[-1]

    @functools.cached_property
    def digest(self):
        """The `weights_digest` of the model."""
        return weights_digest(self.model)

    def depends(self, views):
        """What logits depend on beside the video.

        Args:
            views: A name in `VIEWS`.

        Returns:
            A JSON-ready dictionary.
        """
        return {
            "weights": self.digest,
            "precision": sorted({layer.compute_dtype for layer in self.model.layers}),
            "views": dataclasses.asdict(VIEWS[views]),
            "clips": clips_at_test(self.model),
            "specs": {stream: spec.to_dict() for stream, spec in self.specs.items()},
        }

    def mark(self, path):
        """What a video is known again by, with the flow that it would be shown by.

        Args:
            path: The video.

        Returns:
            A JSON-ready dictionary.

        Raises:
            VideoError: If it cannot be read.
        """
        mark = {"video": fingerprint(path)}
        span = split_span(path)[1]
        if span is not None:
            mark["span"] = [span.start, span.end]
        if "flow" in self.specs:
            stored = open_stored(path, spec=self.specs["flow"])
            mark["flow"] = FlowSettings().to_dict()
            if stored is not None:
                with stored:
                    mark["flow"] = fingerprint(stored.path)
        return mark

    def views(self, path, views):
        """Reads the views of a video.

        Args:
            path: The video.
            views: A name in `VIEWS`.

        Returns:
            An iterator of (clips, share), for `ClipModel.predict_views`.
        """
        clips = clips_at_test(self.model)
        return video_views(path, spec=self.specs, view=views, streams=(*self.specs,), **clips)


def networks_of(model):
    """Parts a model in what has to be run on its own.

    Args:
        model: A `ClipModel`.

    Returns:
        A list of `Network`: one, or both streams of a `TwoStreamI3D`.

    Raises:
        ValueError: If the model does not read clips or does not end in logits.

    Example:

    >>> [network.name for network in networks_of(ki3d.InceptionI3D(classes=2))]
    ['rgb']
    """
    check_ends_in_logits(model)
    specs = model.clip_specs
    if model.system in SEPARATE:
        return [
            Network(stream, inside, {stream: specs[stream]})
            for stream, inside in model.streams.items()
        ]
    return [Network(BOTH if len(specs) > 1 else next(iter(specs)), model, specs)]


def weights_digest(model):
    """A checksum of a model's weights and of what they are the weights of.

    Args:
        model: A `ClipModel`.

    Returns:
        64 hexadecimal digits; the same whatever file the weights came from.

    Example:

    >>> len(weights_digest(model))
    64
    """
    digest = hashlib.sha256(f"{model.architecture} {model.system} {model.output_shape}".encode())
    for name, variable in sorted(named_variables(model).items()):
        array = np.ascontiguousarray(variable.numpy())
        digest.update(f"{name} {array.shape} {array.dtype}".encode())
        digest.update(array)
    return digest.hexdigest()
