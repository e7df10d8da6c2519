"""ONNX: one file that takes raw frames of any number and size.

https://onnx.ai/onnx/, opset 18, converted from TensorFlow by tf2onnx.
"""

import warnings

from kinetics_i3d.core.errors import ExportError
from kinetics_i3d.core.files import atomic_path, check_free
from kinetics_i3d.exporting.model_card import metadata, model_card
from kinetics_i3d.exporting.serving_function import serving_function
from kinetics_i3d.exporting.verify import check_output, verify_any_size

_USAGE = """\
```python
import onnxruntime

session = onnxruntime.InferenceSession("PATH/TO/THIS/FILE")
session.run(["probabilities"], {inputs})  # uint8 (batch, frames, height, width, channels), any size
```
"""
_OPSET = 18
_AXES = ("batch", "frames", "height", "width")


def export_onnx(model, output, *, about=None):
    """Writes an ONNX file, which ONNX Runtime and others run without TensorFlow.

    Its inputs are named by their streams, uint8 (batch, frames, height, width, channels) of any
    number and size; flow is 8-bit flow of frames of the spec's size. The outputs are `logits` and
    `probabilities`. The metadata contains `labels` (a JSON list), `clip_spec` (JSON) and
    `activation`, the function from logits to probabilities. The `doc_string` is the model card.

    Args:
        model: A `ClipModel` that ends in logits.
        output: The file, such as `"mine.onnx"`; it must not exist.
        about: Texts for the card, see `model_card.provenance`.

    Returns:
        `output` as a `pathlib.Path`.

    Raises:
        ExportError: If the classes have no names, `output` has another suffix, a package is
            missing, or the outputs of the file differ.
        UserError: If `output` exists.
    """
    output = check_output(model, output, ".onnx")
    onnx, tf2onnx = _import_libraries()
    function, signature = serving_function(model)
    with atomic_path(output) as temporary:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # tf2onnx uses what NumPy 2 deprecates
            file, _ = tf2onnx.convert.from_function(
                function, input_signature=signature, opset=_OPSET
            )
        for tensor in file.graph.input:
            for axis, dim in zip(_AXES, tensor.type.tensor_type.shape.dim, strict=False):
                if not dim.dim_value:
                    dim.dim_param = f"{tensor.name}_{axis}" if axis != "batch" else axis
        for tensor in file.graph.output:
            tensor.type.tensor_type.shape.dim[0].dim_param = "batch"
        onnx.helper.set_model_props(file, metadata(model))
        inputs = ", ".join(f'"{stream}": {stream}_frames' for stream in model.clip_specs)
        usage = _USAGE.format(inputs=f"{{{inputs}}}")
        card = model_card(model, about=about, usage=usage, library="onnx", folder="")
        for name in ("labels.txt", "clip_spec.json"):  # they are properties of the file
            card = card.replace(f"`{name}`", f"the metadata property `{name.partition('.')[0]}`")
        file.doc_string = card
        onnx.checker.check_model(file)
        onnx.save(file, temporary)
        verify_any_size(model, temporary, runtime="onnx", output=output)
        check_free(output)  # another process may have written it meanwhile
    return output


def _import_libraries():
    try:
        import onnx
        import onnxruntime  # noqa: F401 - the parity check needs it
        import tf2onnx
    except ImportError as error:
        raise ExportError(
            "ONNX needs tf2onnx, onnx and onnxruntime: pip install 'kinetics-i3d[onnx]'"
        ) from error
    return onnx, tf2onnx
