"""8-bit networks: calibration on real clips, rounding of kernels, and quantization by OpenVINO.

Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference", CVPR 2018. Section 3: about a hundred clips from the training distribution are enough.
"""

import contextlib
import importlib
import logging
import os
import random

import keras
import numpy as np

from kinetics_i3d.core.errors import ExportError
from kinetics_i3d.core.progress import track, waiting
from kinetics_i3d.data.dataset import Dataset
from kinetics_i3d.data.datasets import open_dataset
from kinetics_i3d.data.views import video_views
from kinetics_i3d.models.clip_model import fixed_size
from kinetics_i3d.models.folding import fold

_CALIBRATION_CLIPS = 64
# OpenVINO measures fewer and shorter clips: the ranges depend little on either.
_OPENVINO_CLIPS = 32
_OPENVINO_FRAMES = 24
_LATE_STRIDE = 32  # of I3D's last module; no layer after it averages out rounding errors
_LARGEST_STEP = 127  # of a weight: the range is symmetric


def check_precision(precision, calibration, allowed):
    """Raises `ValueError` for an unknown precision, or unless only `"int8"` comes with videos."""
    if precision not in allowed:
        raise ValueError(f"`precision` must be one of {allowed}. Received: precision={precision!r}")
    if (calibration is not None) != (precision == "int8"):
        raise ValueError(
            "`calibration` must be given for precision='int8', and left out for others. "
            f"Received: precision={precision!r}, calibration={calibration!r}"
        )


def calibration_clips(videos, model, sizes, *, count=_CALIBRATION_CLIPS, seed=0):
    """Reads the first clip of each calibration video, prepared as the model's spec says.

    Args:
        videos: A dataset, or its path as `open_dataset` takes it, from which `count` videos are
            sampled, from its split `"train"` if it has one; or an iterable of paths, which are all
            read.
        model: A `ClipModel`.
        sizes: {stream: (1, frames, height, width, channels)} of the clips.
        count: Number of videos sampled from a dataset.
        seed: Seed of the sample.

    Yields:
        {stream: float32 array of its size}, in the range of its spec; short videos are looped.

    Raises:
        DatasetError: If a dataset cannot be read.
        ExportError: If there is no video, or a clip does not have the size that the model reads.
        VideoError: If a video cannot be read.
    """
    if isinstance(videos, str | os.PathLike | Dataset):
        videos = _training_videos(videos, count, seed)
    videos = list(videos)
    if not videos:
        raise ExportError("no videos to calibrate with; pass some of the training videos")
    window = max(size[1] for size in sizes.values())
    streams = (*model.clip_specs,)
    for path in track(videos, "calibration", total=len(videos), noun="videos"):
        views = video_views(
            path, spec=model.clip_specs, streams=streams, minimum=window, window=window
        )
        clips, _ = next(views)
        views.close()
        clips = clips if isinstance(clips, dict) else {streams[0]: clips}
        for stream, clip in clips.items():
            if clip.shape != tuple(sizes[stream]):
                raise ExportError(
                    f"{path}: the {stream} clip has the shape {clip.shape}, but the model reads "
                    f"{tuple(sizes[stream])}"
                )
        yield {stream: np.asarray(clips[stream], np.float32) for stream in streams}


def _training_videos(path, count, seed):
    dataset = open_dataset(path)
    if any(video.split == "train" for video in dataset.videos):
        dataset = dataset.split("train")
    videos = sorted(video.location for video in dataset.videos)
    return random.Random(seed).sample(videos, min(count, len(videos)))


def is_late(side, clip_side):
    """Whether a layer that reads frames of height `side` keeps float32 in an 8-bit network.

    The layers after the last pool have 2 % of I3D's multiply-adds, but in 8 bits they cause a third
    of the squared error of the logits.
    """
    return side * _LATE_STRIDE <= clip_side


def round_kernel(kernel):
    """Rounds a kernel (..., channels, filters) to 8 bits, preserving the sums over its taps.

    The values become multiples of 1/127 of the largest absolute value of their filter.
    """
    # Rounding each weight to the nearest step leaves an error in the sum over the taps of an input
    # channel. Frames are smooth in space and time, so that sum decides most of the output's error.
    # Here the weights nearest to the middle between two steps are rounded the other way until the
    # error of the sum is at most half a step.
    axes = tuple(range(kernel.ndim - 1))
    step = np.maximum(np.abs(kernel).max(axes), 1e-9) / _LARGEST_STEP
    exact = (kernel / step).reshape(-1, *kernel.shape[-2:])
    rounded = np.round(exact)
    error = exact - rounded
    missing = np.round(error.sum(0))
    rank = np.argsort(np.argsort(-error, axis=0, kind="stable"), axis=0, kind="stable")
    up = (rank < missing) & (rounded < _LARGEST_STEP)
    down = (rank >= len(rank) + missing) & (rounded > -_LARGEST_STEP)
    return ((rounded + up - down) * step).reshape(kernel.shape).astype(np.float32)


def clips_function(model):
    """The folded model as a function of clips that converters can read, and its signature.

    Returns:
        (`tf.function`, list of `tf.TensorSpec`): float32 clips in the range of the specs, one
        argument per stream, to {"logits", "probabilities"}.
    """
    import tensorflow as tf

    network = fold(model)  # batch norms need not be converted
    for part in (network, *network.streams.values()):
        part.guards_graph = False  # formats other than TensorFlow's have no assertions
    streams = (*model.clip_specs,)
    activation = {"softmax": keras.ops.softmax, "sigmoid": keras.ops.sigmoid}[model.activation]

    def predict(*clips):
        inputs = dict(zip(streams, clips, strict=True)) if len(clips) > 1 else clips[0]
        logits = network(inputs, training=False)
        return {"logits": logits, "probabilities": activation(logits)}

    signature = []
    for stream, spec in model.clip_specs.items():
        shape = (None, fixed_size(model, stream)[0], spec.size, spec.size, spec.channels)
        signature.append(tf.TensorSpec(shape, tf.float32, name=stream))
    return tf.function(predict, input_signature=signature, autograph=False), signature


def import_openvino(name="openvino"):
    """Imports `openvino` or `nncf`.

    Raises:
        ExportError: If it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ExportError(
            f"OpenVINO models need {name}: pip install 'kinetics-i3d[openvino]'"
        ) from error


def openvino_graph(function):
    """Converts a `tf.function` to an `openvino.Model` with the same names of inputs and outputs."""
    return import_openvino().convert_model(function.get_concrete_function())


def quantize_network(model, calibration):
    """Quantizes weights and activations of a model to 8 bits.

    Args:
        model: A `ClipModel` that ends in logits.
        calibration: Videos, see `calibration_clips`.

    Returns:
        (`openvino.Model` of clips in the range of the specs, {stream: the first calibration clip}).

    Raises:
        DatasetError: If the videos cannot be found.
        ExportError: If OpenVINO or NNCF is missing.
        VideoError: If a video cannot be read.
    """
    import_openvino()
    nncf = import_openvino("nncf")
    from nncf.quantization.range_estimator import RangeEstimatorParametersSet

    logging.getLogger("nncf").setLevel(logging.WARNING)  # it reports every node on stdout
    sizes = calibration_sizes(model)
    clips = list(calibration_clips(calibration, model, sizes, count=_OPENVINO_CLIPS))
    graph = openvino_graph(clips_function(model)[0])
    float32_nodes = _round_kernels(graph)
    # NNCF draws its own progress bars on stdout; there is no option against it.
    with (
        open(os.devnull, "w", encoding="utf-8") as nothing,
        contextlib.redirect_stdout(nothing),
        waiting("quantization"),
    ):
        network = nncf.quantize(
            graph,
            nncf.Dataset(clips),
            # Symmetric weights, asymmetric activations.
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(clips),
            # Sums of squares vary over many magnitudes, and 8 bits lose the small ones.
            ignored_scope=nncf.IgnoredScope(names=[*response_norms(graph), *float32_nodes]),
            advanced_parameters=nncf.AdvancedQuantizationParameters(
                # The default has 7 bits in the first layer, for processors without VNNI.
                overflow_fix=nncf.OverflowFix.DISABLE,
                # It more than doubles the error of I3D's logits (docs/export_onnx.md).
                disable_bias_correction=True,
                # The default averages the ranges of the clips, which clips the larger half of them.
                activations_range_estimator_params=RangeEstimatorParametersSet.MINMAX,
            ),
        )
    return network, clips[0]


def calibration_sizes(model):
    """{stream: (1, frames, size, size, channels)} of the clips that OpenVINO is calibrated with."""
    # The same multiple of the minimum number of frames of each stream keeps the ratio of rates.
    times = max(1, _OPENVINO_FRAMES // max(size[0] for size in model.minimums.values()))
    return {
        stream: (
            1,
            fixed_size(model, stream)[0] or times * model.minimums[stream][0],
            *(spec.size, spec.size, spec.channels),
        )
        for stream, spec in model.clip_specs.items()
    }


def _round_kernels(graph):
    """Applies `round_kernel` in place; returns the names of the operations that keep float32.

    Those are late convolutions and pools (see `is_late`), and all means. NNCF uses the same steps,
    so it leaves the rounded kernels as they are.
    """
    openvino = import_openvino()
    clip_side = max(clips.partial_shape[-2].get_length() for clips in graph.inputs)
    float32_nodes = []
    for node in graph.get_ordered_ops():
        kind = node.get_type_name()
        if kind not in ("Convolution", "AvgPool", "ReduceMean"):
            continue
        side = node.input_value(0).partial_shape[-1]
        if kind == "ReduceMean" or (side.is_static and is_late(side.get_length(), clip_side)):
            float32_nodes.append(node.get_friendly_name())
            continue
        if kind != "Convolution":
            continue
        constant, order = node.input_value(1).get_node(), None
        if constant.get_type_name() == "Transpose":
            order = constant.input_value(1).get_node().get_data()
            constant = constant.input_value(0).get_node()
        kernel = constant.get_data()
        if order is not None:
            kernel = kernel.transpose(order)
        # OpenVINO's kernels are (filters, channels, ...).
        rounded = np.moveaxis(round_kernel(np.moveaxis(kernel, (1, 0), (-2, -1))), (-2, -1), (1, 0))
        constant = openvino.op.Constant(np.ascontiguousarray(rounded))
        node.input(1).replace_source_output(constant.output(0))
    return float32_nodes


def response_norms(graph):
    """The names of all nodes of the response norms, from the squares to the last product."""
    names = []
    for node in graph.get_ordered_ops():
        # Of a norm only the product with its band keeps the layer's name; it leads to the others.
        if node.get_type_name() == "MatMul" and "ResponseNorm" in node.get_friendly_name():
            before = [node.input_value(0).get_node()]
            if before[0].get_type_name() == "Transpose":
                before.append(before[0].input_value(0).get_node())
            after = [node]
            while len(after) < 2 or after[-2].get_type_name() != "Power":
                (reader,) = after[-1].output(0).get_target_inputs()
                after.append(reader.get_node())
            names += [member.get_friendly_name() for member in (*before, *after)]
    return names
