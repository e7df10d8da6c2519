"""The metadata of timed features: their inputs, their content key and their receptive field."""

import hashlib
import importlib.metadata
import json
import os
from collections.abc import Mapping

import numpy as np

from kinetics_i3d.core.clip_spec import as_rate
from kinetics_i3d.data.streams import flow_identity
from kinetics_i3d.flow.info import fingerprint
from kinetics_i3d.inference.feature_options import BATCH_FRAMES
from kinetics_i3d.inference.feature_windows import CroppedVideo
from kinetics_i3d.inference.time_axis import time_axis
from kinetics_i3d.video.frame_folder import split_rate
from kinetics_i3d.video.header import read_header
from kinetics_i3d.video.span import split_span
from kinetics_i3d.video.video_frames import VideoFrames


def receptive_field(network):
    """(frames that one time step of a network's output depends on, frames from step to step).

    Both are None if the output has no time axis. SAME padding adds zeros at the ends of a clip: if
    a window is shorter than the field, every step depends on all of it.
    """
    axis = time_axis(network, BATCH_FRAMES)
    return (None, None) if axis is None else (axis.receptive_field, axis.stride)


def name_of(weights, stream):
    """The name or the path of the weights of a stream."""
    from kinetics_i3d.models.clip_model import ClipModel  # the rest of this module needs no Keras

    if isinstance(weights, Mapping):
        weights = weights.get(stream)
    return weights.name if isinstance(weights, ClipModel) else os.fspath(weights)


def dtypes_of(network):
    """The dtypes that the layers of a network compute in, sorted."""
    return sorted({layer.compute_dtype for layer in network.layers})


def video_identity(video):
    """Identifies a video by its name and by its content, as in flow files."""
    if isinstance(video, VideoFrames):
        digest = hashlib.sha256(f"{video.frames.shape} {video.fps}".encode())
        for frame in video.frames:
            digest.update(np.ascontiguousarray(frame).tobytes())
        size = video.frames.size
        return {"name": str(video), "bytes": size, "sha256": digest.hexdigest(), "span": None}
    file, span = split_span(video)
    path, rate = split_rate(file)
    identity = file_identity(path, span, fingerprint(file))
    return identity if rate is None else {**identity, "fps": float(rate)}


def file_identity(path, span, fingerprint):
    """The `video_identity` of a file, or of a span of it, by its fingerprint."""
    times = None if span is None else [span.start, span.end]
    return {"name": os.path.basename(path), **fingerprint, "span": times}


def identify(video, specs):
    """Identifies the content from which the streams of a video are read, JSON-ready."""
    if isinstance(video, CroppedVideo):
        return video.identity
    flow = flow_identity(video, specs) if "flow" in specs else None
    return {"video": video_identity(video), "flow": flow}


def content_key(fields):
    """The SHA-256 of everything that a result depends on.

    Args:
        fields: A JSON-ready dictionary: `video` as returned by `identify`, the settings and, if a
            network computes the result, `weights` and `clip_specs`.
    """
    text = json.dumps(_key_fields(fields), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _key_fields(fields):
    """The fields of the content key, without names: renamed files give the same features."""
    video = {name: value for name, value in fields["video"].items() if name != "name"}
    weights = {stream: row["sha256"] for stream, row in fields.get("weights", {}).items()}
    specs = {
        stream: {name: value for name, value in spec.items() if name != "name"}
        | {"fps": float(spec["fps"])}
        for stream, spec in fields.get("clip_specs", {}).items()
    }
    return {**fields, "video": video, "weights": weights, "clip_specs": specs}


def first_picture_time(video):
    """The time of the first picture by the file's clock; `start` and `end` count from it."""
    if isinstance(video, CroppedVideo):
        return video.first_picture
    if isinstance(video, VideoFrames):
        return 0.0
    first = read_header(split_span(video)[0], first_picture=True).first_time
    return None if first is None else float(first)


def frame_rate(video):
    """Frames per second of a video by its header, as a fraction."""
    if isinstance(video, CroppedVideo):
        return video.rate
    if isinstance(video, VideoFrames):
        return as_rate(video.fps)
    rate = read_header(split_span(video)[0]).rate
    return as_rate(float(rate))  # the average rate of a file can be an arbitrary fraction


def versions():
    """{package: version} of the packages that compute the features."""
    import keras

    backend = keras.backend.backend()
    # Not by the metadata of a distribution: TensorFlow is distributed under several names.
    return {
        "kinetics_i3d": importlib.metadata.version("kinetics-i3d"),
        "keras": keras.__version__,
        backend: importlib.import_module(backend).__version__,
    }
