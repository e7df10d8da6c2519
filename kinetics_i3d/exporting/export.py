"""`export`: weights to an artifact that serves without this package, run before it counts.

Each format has a module beside this one, which names its source.
"""

import inspect
import pathlib
from collections.abc import Callable

from kinetics_i3d.core.progress import waiting
from kinetics_i3d.exporting.hub import export_hub
from kinetics_i3d.exporting.litert import export_litert
from kinetics_i3d.exporting.onnx_file import export_onnx
from kinetics_i3d.exporting.openvino_folder import export_openvino
from kinetics_i3d.exporting.origin import origin
from kinetics_i3d.exporting.saved_model import export_saved_model
from kinetics_i3d.exporting.serving import export_serving
from kinetics_i3d.models.clip_model import check_ends_in_logits
from kinetics_i3d.models.load import as_model

FORMATS: dict[str, Callable] = {
    "savedmodel": export_saved_model,
    "hub": export_hub,
    "serving": export_serving,
    "litert": export_litert,
    "onnx": export_onnx,
    "openvino": export_openvino,
}


def export(weights, output, *, to="savedmodel", **options):
    """Writes an artifact, which takes raw frames and carries its preprocessing and its labels.

    It is loaded and run where this package cannot be imported, and gets its name only if it answers
    as the Keras model does. What fails leaves nothing.

    Args:
        weights: A name in the catalog, of a pair too; a path; `{"rgb": ..., "flow": ...}`; or a
            `ClipModel` that ends in logits.
        output: Where to.
        to: One of `FORMATS`: `"savedmodel"`, a folder with the signatures `serving_default`,
            `logits`, `features`, `float_clips` and, of one stream, `default`, the name in
            TensorFlow Hub's tutorial; `"hub"`, one that can be trained further, with a model card;
            `"serving"`, one with all that TensorFlow Serving needs;
            `"litert"`, a file of builtin operations for clips of one size, in one of several
            precisions; `"onnx"`, a file; `"openvino"`, a folder, in float32 or in 8 bits.
        **options: Those of the format, such as `top=5`, labels told; see its function in `FORMATS`.

    Returns:
        `output` as a `pathlib.Path`.

    Raises:
        ExportError: If the model cannot be exported, or the artifact answers otherwise.
        UserError: If something stands at `output`.
        ValueError: If the format, or one of its options, is unknown or out of range.
        WeightsError: If the weights cannot be read.

    Example:

    >>> ki3d.export(folder / "mine.h5", folder / "saved").name
    'saved'
    """
    if to not in FORMATS:
        raise ValueError(f"`to` must be one of {(*FORMATS,)}. Received: to={to!r}")
    known = [
        name
        for name, each in inspect.signature(FORMATS[to]).parameters.items()
        if each.kind is each.KEYWORD_ONLY
    ]
    for name, value in options.items():
        if name not in known:
            raise ValueError(
                f"`{name}` must be left out for to={to!r}, whose options are {known}. "
                f"Received: {name}={value!r}"
            )
    if "about" in known:
        options = {"about": origin(weights), **options}
    model = as_model(weights)
    check_ends_in_logits(model)
    with waiting(f"writing {output}"):
        return FORMATS[to](model, pathlib.Path(output), **options)
