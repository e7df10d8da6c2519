"""OpenVINO: a model that takes raw frames, in float32 or quantised by NNCF; run before it counts.

https://docs.openvino.ai. In 8 bits the weights and what the convolutions read are integers, by
ranges found on real clips; what comes before the first convolution is as exact as in float32.
"""

import contextlib
import importlib
import logging
import os

import numpy as np

from kinetics_i3d.core.errors import ExportError
from kinetics_i3d.core.files import atomic_folder
from kinetics_i3d.core.progress import waiting
from kinetics_i3d.exporting import fresh_openvino
from kinetics_i3d.exporting.calibration import calibration_clips, check_precision
from kinetics_i3d.exporting.eight_bits import is_late, round_kernel
from kinetics_i3d.exporting.graph_preprocessing import fixed_shape
from kinetics_i3d.exporting.onnx import metadata, verify
from kinetics_i3d.exporting.output import check_output
from kinetics_i3d.exporting.serving_function import (
    clips_function,
    frames_function,
    pixels_function,
)
from kinetics_i3d.exporting.tensorflow import descriptions, run_fresh
from kinetics_i3d.exporting.verify import Probe, compare

PRECISIONS = ("float32", "int8")
FRAMES = 24  # of a calibration clip; the ranges depend little on the length
CLIPS = 32
# How far 8 bits may take the logits of a clip, of the largest. This only finds what is broken; how
# much a quantised network has lost is measured on a test set.
TOLERANCE = 0.35


def export_openvino(model, output, *, precision="float32", calibration=None):
    """Writes a folder with `model.xml` and `model.bin`, `labels.txt` and `clip_spec.json`.

    Its inputs are called by their streams, uint8 (batch, frames, height, width, channels) of any
    size and number; flow in its 8-bit codes, of frames of the spec's size. It answers `logits` and
    `probabilities`. Labels and specs are in the model's runtime info too, under `kinetics_i3d`.

    Bfloat16 is not written but chosen where it runs: `INFERENCE_PRECISION_HINT` is `"bf16"`, which
    is OpenVINO's default where the processor has it, or `"f32"`.

    Args:
        model: A `ClipModel` that ends in logits.
        output: The folder; nothing, or an empty folder, may stand there.
        precision: `"float32"`, or `"int8"` for weights and activations in 8 bits.
        calibration: For `"int8"`: a dataset or paths of videos, as for `calibration_clips`.

    Returns:
        `output` as a `pathlib.Path`.

    Raises:
        DatasetError: If the videos to calibrate by cannot be found.
        ExportError: If the classes have no names, a package is missing, or the files answer
            otherwise than the model.
        UserError: If something stands at `output`.
        ValueError: If an argument is out of range.
        VideoError: If a video cannot be read.
    """
    check_precision(precision, calibration, PRECISIONS)
    output = check_output(model, output)
    openvino = _library("openvino")
    with atomic_folder(output) as folder:
        if precision == "int8":
            network, first = quantized(model, calibration)
            # Only now the pixels before it, or NNCF would put the resize in 8 bits too.
            graph = joined(_graph(*pixels_function(model)), network)
        else:
            graph, first = _graph(*frames_function(model)), None
        for key, text in metadata(model).items():
            graph.set_rt_info(text, ["kinetics_i3d", key])
        openvino.save_model(graph, folder / "model.xml", compress_to_fp16=False)
        for name, text in descriptions(model).items():
            (folder / name).write_text(text, encoding="utf-8")
        if first is None:
            verify(model, folder / "model.xml", output=output, program=fresh_openvino)
        else:
            verify_quantized(model, folder / "model.xml", first, output=output)
    return output


def quantized(model, calibration):
    """The network of a model in 8 bits.

    Args:
        model: A `ClipModel` that ends in logits.
        calibration: As for `calibration_clips`.

    Returns:
        (the OpenVINO model that takes clips in the range of the specs, {stream: the first clip}).

    Raises:
        DatasetError: If the videos cannot be found.
        ExportError: If OpenVINO or NNCF is missing.
        VideoError: If a video cannot be read.
    """
    _library("openvino")
    nncf = _library("nncf")
    from nncf.quantization.range_estimator import RangeEstimatorParametersSet

    logging.getLogger("nncf").setLevel(logging.WARNING)  # it tells every node to stdout
    clips = list(calibration_clips(calibration, model, clip_sizes(model), count=CLIPS))
    graph = _graph(*clips_function(model))
    late = prepare_kernels(graph)
    # NNCF draws bars of its own on stdout, asked or not.
    with (
        open(os.devnull, "w", encoding="utf-8") as nothing,
        contextlib.redirect_stdout(nothing),
        waiting("quantization"),
    ):
        network = nncf.quantize(
            graph,
            nncf.Dataset(clips),
            # Weights symmetric, activations not.
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(clips),
            # Sums of squares are of many sizes, and 8 bits lose the small ones.
            ignored_scope=nncf.IgnoredScope(names=[*response_norms(graph), *late]),
            advanced_parameters=nncf.AdvancedQuantizationParameters(
                # By default 7 bits in the first layer, for processors without VNNI.
                overflow_fix=nncf.OverflowFix.DISABLE,
                # It more than doubles the error of I3D's logits (docs/export_onnx.md).
                disable_bias_correction=True,
                # By default the mean of the clips' ranges, which cuts off the larger half.
                activations_range_estimator_params=RangeEstimatorParametersSet.MINMAX,
            ),
        )
    return network, clips[0]


def prepare_kernels(graph):
    """Rounds the kernels of a network's convolutions by `round_kernel`, but of the late ones.

    NNCF takes the same steps, so that it changes them no more.

    Args:
        graph: An `openvino.Model`, whose kernels are changed.

    Returns:
        The names of the operations that keep float32: convolutions and pools of which `is_late`
        holds, and all means.
    """
    openvino = _library("openvino")
    whole = max(given.partial_shape[-2].get_length() for given in graph.inputs)
    late = []
    for node in graph.get_ordered_ops():
        kind = node.get_type_name()
        if kind not in ("Convolution", "AvgPool", "ReduceMean"):
            continue
        side = node.input_value(0).partial_shape[-1]
        if kind == "ReduceMean" or (side.is_static and is_late(side.get_length(), whole)):
            late.append(node.get_friendly_name())
        if kind != "Convolution" or late[-1:] == [node.get_friendly_name()]:
            continue
        constant, order = node.input_value(1).get_node(), None
        if constant.get_type_name() == "Transpose":
            order = constant.input_value(1).get_node().get_data()
            constant = constant.input_value(0).get_node()
        kernel = constant.get_data()
        if order is not None:
            kernel = kernel.transpose(order)
        # (filters, channels, ...) here
        rounded = np.moveaxis(round_kernel(np.moveaxis(kernel, (1, 0), (-2, -1))), (-2, -1), (1, 0))
        made = openvino.op.Constant(np.ascontiguousarray(rounded))
        node.input(1).replace_source_output(made.output(0))
    return late


def response_norms(graph):
    """The names of the nodes of all response norms, from the squares to the last product.

    Args:
        graph: An `openvino.Model`.

    Returns:
        A list; of a norm only the product with its band keeps the layer's name, and leads to the
        others.
    """
    names = []
    for node in graph.get_ordered_ops():
        if node.get_type_name() == "MatMul" and "ResponseNorm" in node.get_friendly_name():
            before = [node.input_value(0).get_node()]
            if before[0].get_type_name() == "Transpose":
                before.append(before[0].input_value(0).get_node())
            after = [node]
            while len(after) < 2 or after[-2].get_type_name() != "Power":
                (reader,) = after[-1].output(0).get_target_inputs()
                after.append(reader.get_node())
            names += [each.get_friendly_name() for each in (*before, *after)]
    return names


def joined(before, after):
    """One OpenVINO model of two, where the first makes the clips that the second reads.

    Args:
        before: The `openvino.Model` of `pixels_function`.
        after: That of `clips_function`, which is changed.

    Returns:
        An `openvino.Model`.
    """
    openvino = _library("openvino")
    for given in after.inputs:
        made = before.output(f"{given.any_name}_clips").get_node().input_value(0)
        given.replace(made)
    return openvino.Model(after.get_results(), before.get_parameters(), "kinetics_i3d")


def verify_quantized(model, path, clips, *, output):
    """Compares a model in 8 bits with the Keras model, on a clip of a real video.

    Args:
        model: The `ClipModel` that it was made from.
        path: Its `.xml`.
        clips: {stream: clip}; noise lies outside of the ranges that were found.
        output: What to call it in an error.

    Returns:
        The largest difference of a logit, of the largest.

    Raises:
        ExportError: If it cannot be run, or answers otherwise.
    """
    specs = model.clip_specs
    pixels = {stream: specs[stream].denormalize(clip) for stream, clip in clips.items()}
    asked = {f"one/{stream}": framed(each, specs[stream]) for stream, each in pixels.items()}
    probe = Probe(pixels, {stream: specs[stream].normalize(pixels[stream]) for stream in pixels})
    found = run_fresh(path, asked, output=output, program=fresh_openvino)["one/logits"]
    return compare(found, probe.ask(model), what="logits in int8", path=output, tolerance=TOLERANCE)


def framed(pixels, spec):
    """Frames whose crop, after the resize of a spec, is these pixels.

    Args:
        pixels: (batch, frames, spec.size, spec.size, channels).
        spec: The `ClipSpec`.

    Returns:
        The same in black borders, as large as the spec resizes to.

    Example:

    >>> from kinetics_i3d.core.clip_spec import DEEPMIND
    >>> framed(np.ones((1, 1, 224, 224, 3), np.uint8), DEEPMIND).shape
    (1, 1, 256, 256, 3)
    """
    sides = spec.resized(spec.short_side, spec.short_side + spec.short_side % 2)
    around = [(side - spec.size) // 2 for side in sides]
    borders = [
        (before, side - spec.size - before) for before, side in zip(around, sides, strict=True)
    ]
    return np.pad(pixels, [(0, 0), (0, 0), *borders, (0, 0)])


def clip_sizes(model):
    """The clips that a model is calibrated by: {stream: (1, frames, size, size, channels)}.

    Args:
        model: A `ClipModel`.

    Example:

    >>> clip_sizes(model)
    {'rgb': (1, 18, 224, 224, 3)}
    """
    times = max(1, FRAMES // max(size[0] for size in model.minimums.values()))
    return {
        stream: (
            1,
            fixed_shape(model, stream)[0] or times * model.minimums[stream][0],
            *(spec.size, spec.size, spec.channels),
        )
        for stream, spec in model.clip_specs.items()
    }


def _graph(function, _):
    """An OpenVINO model whose inputs and outputs are called as the function's."""
    return _library("openvino").convert_model(function.get_concrete_function())


def _library(name):
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ExportError(
            f"OpenVINO in this form needs {name}: pip install 'kinetics-i3d[openvino]'"
        ) from error
