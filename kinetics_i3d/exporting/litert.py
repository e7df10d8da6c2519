"""LiteRT: one file of builtin operations for phones and small machines, in four precisions.

https://ai.google.dev/edge/litert. The network is rewritten in 2D first, see `lower_3d_to_2d`: there
is no builtin 3D pool, and 3D convolutions cannot be quantized. For 8 bits, see
https://ai.google.dev/edge/litert/conversion/tensorflow/quantization/post_training_quantization.
"""

import collections
import itertools
import json
import zipfile

import numpy as np

from kinetics_i3d.core.errors import ExportError
from kinetics_i3d.core.files import atomic_path, check_free
from kinetics_i3d.exporting.lower_3d_to_2d import lower_3d_to_2d
from kinetics_i3d.exporting.model_card import descriptions, model_card
from kinetics_i3d.exporting.verify import (
    ParityInputs,
    check_output,
    check_parity,
    run_in_subprocess,
)
from kinetics_i3d.inference.quantize import calibration_clips, check_precision, is_late
from kinetics_i3d.models.clip_model import fixed_size

_USAGE = """\
```python
from ai_edge_litert.interpreter import Interpreter

network = Interpreter(model_path="PATH/TO/THIS/FILE").get_signature_runner()
network({inputs})["logits"]  # uint8 (1, frames, size, size, channels), resized and cropped
```

This file is also a zip archive of this card and the files that it names.
"""
PRECISIONS = ("float32", "float16", "dynamic_int8", "int8")
# Tolerances of the logits, relative to the largest one. For 8 bits they only detect broken files;
# the loss of accuracy must be measured on a test set.
_TOLERANCES = {"float32": 1e-4, "float16": 0.02, "dynamic_int8": 0.35, "int8": 0.35}
_FRAMES = 64
# Minimum range relative to the widest one: runtimes refuse a convolution whose output has far
# smaller steps than its input, for example if no calibration clip activates its filters.
_NARROWEST = 1e-3


def export_litert(
    model, output, *, precision="float32", frames=None, calibration=None, report=None, about=None
):
    """Writes a LiteRT file, from one clip of pixels to logits.

    Its inputs are named by their streams, uint8 (1, frames, size, size, channels): pixels of the
    crop, RGB, or 8-bit flow. The file scales the pixels; the caller resizes and crops.

    Args:
        model: A `ClipModel` that ends in logits.
        output: The file, such as `"mine.tflite"`. It is also a zip archive that contains
            `README.md` (the model card), `labels.txt`, `clip_spec.json`, `activation.txt` and
            `operations.json`.
        precision: `"float32"`; `"float16"` for weights of half the size; `"dynamic_int8"` for
            weights in 8 bits; `"int8"` for activations too, except in the classifier.
        frames: Frames of a clip, of the slowest stream; by default the model's fixed number, or 64,
            or the minimum if the streams have different rates.
        calibration: For `"int8"`: a dataset or paths of videos, as for `optimize`.
        report: A function that is called with {operation: count} once the file is written.
        about: Texts for the card, see `model_card.provenance`.

    Returns:
        `output` as a `pathlib.Path`.

    Raises:
        DatasetError: If the calibration videos cannot be found.
        ExportError: If the classes have no names, a layer has no 2D form, `output` has another
            suffix, or the outputs of the file differ.
        UserError: If `output` exists.
        ValueError: If an argument is out of range.
        VideoError: If a video cannot be read.
    """
    output = check_output(model, output, ".tflite")
    sizes = clip_sizes(model, frames)
    check_precision(precision, calibration, PRECISIONS)
    clips = [] if calibration is None else calibration_clips(calibration, model, sizes)
    with atomic_path(output) as temporary:
        inputs, clips = _parity_inputs(model, sizes, clips)
        file = convert(model, sizes, precision=precision, clips=clips)
        operations = count_operations(file)
        custom = [name for name in operations if name.startswith("custom")]
        if custom:
            raise ExportError(
                f"{output}: not written; these operations are not builtin: {', '.join(custom)}"
            )
        temporary.write_bytes(file)
        # A zip appended to a LiteRT file is the format's way to add files.
        with zipfile.ZipFile(temporary, "a") as archive:
            frames_by_name = ", ".join(f"{name}={name}_frames" for name in model.clip_specs)
            usage = _USAGE.format(inputs=frames_by_name)
            card = model_card(model, about=about, usage=usage, library="litert", folder="")
            for name, text in {**descriptions(model), "README.md": card}.items():
                archive.writestr(name, text)
            archive.writestr("operations.json", json.dumps(operations, indent=2) + "\n")
        _verify(model, temporary, inputs, output=output, precision=precision)
        check_free(output)  # another process may have written it meanwhile
    if report is not None:
        report(operations)
    return output


def clip_sizes(model, frames=None):
    """{stream: (1, frames, height, width, channels)} of the clips of a LiteRT file.

    Args:
        model: A `ClipModel`.
        frames: Frames of the slowest stream, or `None` for the default.

    Raises:
        ValueError: If the model cannot read so few frames, or its number is fixed.
    """
    minimums = {stream: size[0] for stream, size in model.minimums.items()}
    slowest = min(minimums, key=lambda stream: (model.clip_specs[stream].fps, stream != "rgb"))
    fixed = {stream: fixed_size(model, stream) for stream in minimums}
    default = _FRAMES if len(set(minimums.values())) == 1 else minimums[slowest]
    count = fixed[slowest][0] or frames or max(default, minimums[slowest])
    if count < minimums[slowest] or frames not in (None, count):
        raise ValueError(
            f"`frames` must be {'' if fixed[slowest][0] else 'at least '}"
            f"{fixed[slowest][0] or minimums[slowest]} for {model.name}. "
            f"Received: frames={frames!r}"
        )
    sizes = {}
    for stream, spec in model.clip_specs.items():
        ratio = round(spec.fps / model.clip_specs[slowest].fps)
        height, width = (side or spec.size for side in fixed[stream][1:])
        sizes[stream] = (1, ratio * count, height, width, spec.channels)
    return sizes


def _parity_inputs(model, sizes, clips):
    """(inputs of the parity check, calibration clips); the inputs are the first of these clips."""
    clips = iter(clips)
    first = next(clips, None)
    if first is not None:  # noise would be outside the calibrated ranges
        return ParityInputs.from_clips(model, first), itertools.chain([first], clips)
    random, specs = np.random.default_rng(0), model.clip_specs
    pixels = {key: random.integers(0, 256, size, np.uint8) for key, size in sizes.items()}
    return ParityInputs(pixels, {key: specs[key].normalize(pixels[key]) for key in specs}), ()


def _verify(model, path, inputs, *, output, precision):
    pixels = {f"logits/{stream}": array for stream, array in inputs.pixels.items()}
    actual = run_in_subprocess(path, pixels, runtime="litert", output=output)
    exact = precision in ("float32", "float16")
    check_parity(
        actual["logits/logits"],
        inputs.run_model(model),
        what="logits" if exact else f"logits in {precision}",
        path=output,
        tolerance=_TOLERANCES[precision],
    )


def convert(model, sizes, *, precision="float32", clips=()):
    """Converts a model to the bytes of a LiteRT file, from pixels to logits.

    Args:
        model: A `ClipModel` that ends in logits.
        sizes: {stream: (1, frames, height, width, channels)}.
        precision: One of `PRECISIONS`.
        clips: For `"int8"`: one or more {stream: float32 array of its size} for calibration.
    """
    import tensorflow as tf

    int8 = precision == "int8"
    quantizer = FakeQuantizer(max(size[2] for size in sizes.values())) if int8 else None
    network = lower_3d_to_2d(model, sizes, quantizer)

    def run(inputs):
        return network(inputs if len(inputs) > 1 else next(iter(inputs.values())), training=False)

    for clip in clips:
        run(clip)

    def logits(**frames):
        values = {}
        for stream, pixels in frames.items():
            spec = model.clip_specs[stream]
            if int8:  # the quantized values are the pixels themselves
                values[stream] = tf.quantization.fake_quant_with_min_max_args(
                    pixels, spec.low, spec.high
                )
            else:
                step = np.float32((spec.high - spec.low) / 255)
                values[stream] = tf.cast(pixels, tf.float32) * step + spec.low
        return {"logits": run(values)}

    dtype = tf.float32 if int8 else tf.uint8
    signature = {stream: tf.TensorSpec(size, dtype, name=stream) for stream, size in sizes.items()}
    traced = tf.function(logits, autograph=False).get_concrete_function(**signature)
    # All weights are constants, so the converter cannot lose Keras 3's variables.
    converter = tf.lite.TFLiteConverter.from_concrete_functions([traced], tf.Module())
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    if precision != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if int8:
        converter.inference_input_type = tf.uint8
    return converter.convert()


def count_operations(file):
    """{name: count} of the operations in the bytes of a LiteRT file, sorted by name.

    An operation that is not builtin has a name such as `"custom FlexMaxPool3D"`.
    """
    from tensorflow.lite.python import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(file, 0))
    names = {code: name for name, code in vars(schema.BuiltinOperator).items() if name.isupper()}
    kinds = []
    for kind in model.operatorCodes:
        # The deprecated field is too narrow for newer operations, where it has its largest value.
        name = names[max(kind.builtinCode, kind.deprecatedBuiltinCode)]
        kinds.append(f"custom {kind.customCode.decode()}" if name == "CUSTOM" else name)
    counts = collections.Counter(
        kinds[operation.opcodeIndex] for graph in model.subgraphs for operation in graph.operators
    )
    return dict(sorted(counts.items()))


class FakeQuantizer:
    """Measures the activations of a lowered model, and then rounds them and its kernels to 8 bits.

    Eager calls measure the activations, clip by clip. Graphs that are traced afterwards contain the
    rounding as `FakeQuant` operations, which specify the ranges for TensorFlow's converter. Tensors
    that are not passed through it, such as those of the classifier, keep float32.

    Args:
        side: Height of the clips, which determines the layers that keep float32, see `is_late`.
    """

    def __init__(self, side):
        self._highest: dict = {}
        self._lowest: dict = {}
        self._side = side

    def is_late(self, frames):
        """Whether a layer that reads these frames keeps float32."""
        return is_late(frames.shape[1], self._side)

    def activation(self, key):
        """A function that returns an activation, measured or rounded.

        Activations of the same key share a range. This is required for activations that are
        concatenated later, which would otherwise have to be rounded again.
        """
        lowest = self._lowest.setdefault(key, [])
        highest = self._highest.setdefault(key, [])

        def quantize(x):
            import tensorflow as tf

            if tf.executing_eagerly():
                lowest.append(float(tf.reduce_min(x)))
                highest.append(float(tf.reduce_max(x)))
                return x
            widest = max(max(values) for values in self._highest.values() if values)
            low, high = min(0.0, *lowest), max(_NARROWEST * widest, *highest)
            return tf.quantization.fake_quant_with_min_max_args(x, low, high)

        return quantize

    def kernel(self, kernel):
        """A kernel (..., filters), rounded in graphs with one step per filter."""
        import tensorflow as tf

        if tf.executing_eagerly():
            return kernel
        top = np.maximum(np.abs(kernel).max(tuple(range(kernel.ndim - 1))), 1e-9)
        return tf.quantization.fake_quant_with_min_max_vars_per_channel(
            kernel, -top, top, narrow_range=True
        )
