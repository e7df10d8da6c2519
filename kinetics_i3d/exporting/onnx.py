"""ONNX: one file that takes raw frames, of any number and any size; run before it gets its name.

https://onnx.ai/onnx/, opset 18, converted from TensorFlow by tf2onnx.
"""

import json
import warnings

import numpy as np

from kinetics_i3d.core.errors import ExportError
from kinetics_i3d.core.files import atomic_path
from kinetics_i3d.exporting import fresh_onnx
from kinetics_i3d.exporting.graph_preprocessing import fixed_shape
from kinetics_i3d.exporting.output import check_output
from kinetics_i3d.exporting.serving_function import frames_function
from kinetics_i3d.exporting.tensorflow import descriptions, run_fresh
from kinetics_i3d.exporting.verify import Probe, compare

OPSET = 18
AXES = ("batch", "frames", "height", "width")


def export_onnx(model, output):
    """Writes an ONNX file, which ONNX Runtime and others run without TensorFlow.

    Its inputs are called by their streams, uint8 (batch, frames, height, width, channels) of any
    size and number; flow in its 8-bit codes, of frames of the spec's size. It answers `logits` and
    `probabilities`. Labels (a JSON list) and specs are in its metadata, `labels` and `clip_spec`.

    Args:
        model: A `ClipModel` that ends in logits.
        output: The file, called such as `"mine.onnx"`; nothing may stand there.

    Returns:
        `output` as a `pathlib.Path`.

    Raises:
        ExportError: If the classes have no names, `output` has another ending, a package is
            missing, or the file answers otherwise than the model.
        UserError: If something stands at `output`.
    """
    output = check_output(model, output, ".onnx")
    onnx, tf2onnx = _libraries()
    function, signature = frames_function(model)
    with atomic_path(output) as temporary:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # tf2onnx meets NumPy 2
            file, _ = tf2onnx.convert.from_function(
                function, input_signature=signature, opset=OPSET
            )
        for each in file.graph.input:
            for axis, dim in zip(AXES, each.type.tensor_type.shape.dim, strict=False):
                if not dim.dim_value:
                    dim.dim_param = f"{each.name}_{axis}" if axis != "batch" else axis
        for each in file.graph.output:
            each.type.tensor_type.shape.dim[0].dim_param = "batch"
        onnx.helper.set_model_props(file, metadata(model))
        onnx.checker.check_model(file)
        onnx.save(file, temporary)
        verify(model, temporary, output=output, program=fresh_onnx)
    return output


def metadata(model):
    """{key: text} of what an artifact says about itself.

    Args:
        model: A `ClipModel`.

    Returns:
        `labels`, a JSON list; `clip_spec`, JSON of the specs by stream, as in `descriptions`.

    Example:

    >>> metadata(model)["labels"]
    '["sit", "stand"]'
    """
    texts = descriptions(model)
    labels = texts["labels.txt"].splitlines()
    specs = json.loads(texts["clip_spec.json"])
    return {"labels": json.dumps(labels, ensure_ascii=False), "clip_spec": json.dumps(specs)}


def verify(model, path, *, output, program):
    """Compares an artifact, run by a fresh interpreter without this package, with its model.

    It is asked twice: for one clip, and for two that are longer and wider.

    Args:
        model: The `ClipModel` that it was made from.
        path: The artifact.
        output: What to call it in an error.
        program: The module that runs it.

    Returns:
        The largest difference of a logit, of the largest.

    Raises:
        ExportError: If it cannot be run, or answers otherwise.
    """
    probe = Probe.of(model)
    other = _other(model, probe)
    asked = {f"one/{stream}": pixels for stream, pixels in probe.pixels.items()}
    asked |= {f"two/{stream}": pixels for stream, pixels in other.pixels.items()}
    found = run_fresh(path, asked, output=output, program=program)
    wanted = probe.ask(model)
    compare(found["two/logits"], other.ask(model), what="logits", path=output)
    odds = np.exp(wanted - wanted.max())
    compare(found["one/probabilities"], odds / odds.sum(), what="probabilities", path=output)
    return compare(found["one/logits"], wanted, what="logits", path=output)


def _other(model, probe):
    """The same, twice as many of twice the length where that may be, and a little wider."""
    pixels, clips = {}, {}
    for stream, spec in model.clip_specs.items():
        times = 1 if fixed_shape(model, stream)[0] else 2
        given = probe.pixels[stream]
        wide = (given.shape[2], given.shape[3] + 4)
        # Two columns on both sides change neither the resize nor the crop.
        aside = (2, 2) if spec.resized(*wide) == wide else (0, 0)
        given = np.pad(given, ((0, 0), (0, 0), (0, 0), aside, (0, 0)))
        pixels[stream] = np.tile(given, (2, times, 1, 1, 1))
        clips[stream] = np.tile(probe.clips[stream], (2, times, 1, 1, 1))
    return Probe(pixels, clips)


def _libraries():
    try:
        import onnx
        import onnxruntime  # noqa: F401 - the file is run before it counts
        import tf2onnx
    except ImportError as error:
        raise ExportError(
            "ONNX needs tf2onnx, onnx and onnxruntime: pip install 'kinetics-i3d[onnx]'"
        ) from error
    return onnx, tf2onnx
