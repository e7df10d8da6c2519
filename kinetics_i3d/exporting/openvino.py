"""OpenVINO: a model that takes raw frames, in float32 or with an 8-bit network.

https://docs.openvino.ai. In 8 bits the weights and the inputs of convolutions are integers (see
`inference.quantize`); the preprocessing stays in float32.
"""

import numpy as np

from kinetics_i3d.core.errors import ExportError, first_line
from kinetics_i3d.core.files import atomic_folder
from kinetics_i3d.exporting.model_card import descriptions, metadata, model_card
from kinetics_i3d.exporting.serving_function import pixels_function, serving_function
from kinetics_i3d.exporting.verify import (
    ParityInputs,
    check_output,
    check_parity,
    run_in_subprocess,
    verify_any_size,
)
from kinetics_i3d.inference.quantize import (
    check_precision,
    import_openvino,
    openvino_graph,
    quantize_network,
)

_USAGE = """\
```python
import openvino

model = openvino.compile_model("PATH/TO/THIS/FOLDER/model.xml")
model({inputs})["probabilities"]  # uint8 (batch, frames, height, width, channels), of any size
```
"""
PRECISIONS = ("float32", "int8")
# Tolerance of the logits in 8 bits, relative to the largest one. It only detects broken networks;
# the loss of accuracy is measured on a test set.
_INT8_TOLERANCE = 0.35


def export_openvino(model, output, *, precision="float32", calibration=None, about=None):
    """Writes `model.xml`, `model.bin`, `labels.txt`, `clip_spec.json` and a model card.

    Its inputs are named by their streams, uint8 (batch, frames, height, width, channels) of any
    number and size; flow is 8-bit flow of frames of the spec's size. The outputs are `logits` and
    `probabilities`. The texts are also in the model's runtime info, under `kinetics_i3d`.

    Bfloat16 is not an export option but one of the runtime: `INFERENCE_PRECISION_HINT` is `"bf16"`,
    which is OpenVINO's default where the processor has it, or `"f32"`.

    Args:
        model: A `ClipModel` that ends in logits.
        output: The folder to write; it must be empty, or not exist.
        precision: `"float32"`, or `"int8"` for weights and activations in 8 bits.
        calibration: For `"int8"`: a dataset or paths of videos, as for `optimize`.
        about: Texts for the card, see `model_card.provenance`.

    Returns:
        `output` as a `pathlib.Path`.

    Raises:
        DatasetError: If the calibration videos cannot be found.
        ExportError: If the classes have no names, a package is missing, or the outputs differ.
        UserError: If `output` exists.
        ValueError: If an argument is out of range.
        VideoError: If a video cannot be read.
    """
    check_precision(precision, calibration, PRECISIONS)
    output = check_output(model, output)
    openvino = import_openvino()
    with atomic_folder(output) as folder:
        if precision == "int8":
            network, clips = quantize_network(model, calibration)
            # The preprocessing is added afterwards; otherwise NNCF would quantize the resize too.
            graph = _joined(openvino_graph(pixels_function(model)[0]), network)
        else:
            graph = openvino_graph(serving_function(model)[0])
        for key, text in metadata(model).items():
            graph.set_rt_info(text, ["kinetics_i3d", key])
        try:
            openvino.save_model(graph, folder / "model.xml", compress_to_fp16=False)
        except RuntimeError as error:  # from a C++ stream, which gives no reason
            raise ExportError(
                f"{output}: cannot be written, perhaps because the disk is full "
                f"({first_line(error)})"
            ) from error
        inputs = ", ".join(f'"{stream}": {stream}_frames' for stream in model.clip_specs)
        usage = _USAGE.format(inputs=f"{{{inputs}}}")
        card = model_card(model, about=about, usage=usage, library="openvino", folder="")
        for name, text in {**descriptions(model), "README.md": card}.items():
            (folder / name).write_text(text, encoding="utf-8")
        if precision == "int8":
            _verify_quantized(model, folder / "model.xml", clips, output=output)
        else:
            verify_any_size(model, folder / "model.xml", runtime="openvino", output=output)
    return output


def _joined(preprocessing, network):
    """Joins two `openvino.Model`s: the first prepares the clips for the second."""
    openvino = import_openvino()
    for clips in network.inputs:
        result = preprocessing.output(f"{clips.any_name}_clips").get_node()
        clips.replace(result.input_value(0))
    return openvino.Model(network.get_results(), preprocessing.get_parameters(), "kinetics_i3d")


def _verify_quantized(model, path, clips, *, output):
    """Compares an 8-bit model with the Keras model on a clip of a real video.

    Noise would be outside the calibrated ranges.
    """
    inputs = ParityInputs.from_clips(model, clips)
    frames = {
        f"one/{stream}": with_borders(pixels, model.clip_specs[stream])
        for stream, pixels in inputs.pixels.items()
    }
    actual = run_in_subprocess(path, frames, runtime="openvino", output=output)["one/logits"]
    expected = inputs.run_model(model)
    check_parity(actual, expected, what="logits in int8", path=output, tolerance=_INT8_TOLERANCE)


def with_borders(pixels, spec):
    """Adds black borders, so that the spec's resize and crop give exactly these pixels.

    Args:
        pixels: (batch, frames, spec.size, spec.size, channels).
        spec: The `ClipSpec`.

    Returns:
        The frames, as large as the spec resizes to.
    """
    sides = spec.resized(spec.short_side, spec.short_side + spec.short_side % 2)
    around = [(side - spec.size) // 2 for side in sides]
    borders = [
        (before, side - spec.size - before) for before, side in zip(around, sides, strict=True)
    ]
    return np.pad(pixels, [(0, 0), (0, 0), *borders, (0, 0)])
