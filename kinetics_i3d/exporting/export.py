"""`export`: writes weights as an artifact that serves without this package.

Each runtime has a module in this package and a row in `FORMATS`.
"""

import importlib
import inspect
import pathlib
from typing import TYPE_CHECKING, Any

from kinetics_i3d.core.errors import ExportError, first_line
from kinetics_i3d.core.files import check_unicode
from kinetics_i3d.core.progress import waiting
from kinetics_i3d.core.types import PathLike, Weights

if TYPE_CHECKING:
    from kinetics_i3d.models.clip_model import ClipModel

# {format: module and function that write it}. Only the module in use is imported, and the command
# line lists the formats without Keras.
FORMATS = {
    "savedmodel": "tensorflow.export_saved_model",
    "hub": "hub.export_hub",
    "serving": "serving.export_serving",
    "litert": "litert.export_litert",
    "onnx": "onnx.export_onnx",
    "openvino": "openvino.export_openvino",
}
_SUFFIXES = {".onnx": "onnx", ".tflite": "litert"}


def export(
    weights: "ClipModel | Weights", output: PathLike, *, to: str | None = None, **options: Any
) -> pathlib.Path:
    """Exports a model as an artifact that takes pixels and carries its labels and its clip spec.

    The artifact is written under a temporary name, and run in a process where this package cannot
    be imported. It is renamed to `output` only if its outputs equal those of the Keras model; after
    an error it is removed.

    Args:
        weights: Name of an entry or of a pair in the catalog; a path; `{"rgb": ..., "flow": ...}`;
            or a `ClipModel` that ends in logits.
        output: The file or folder to write. It must not exist, except as an empty folder for a
            format that is a folder.
        to: One of `FORMATS`: `"savedmodel"`, a folder with the signatures `serving_default`,
            `logits`, `features`, `float_clips` and, for one stream, `default`, the name in
            TensorFlow Hub's tutorial; `"hub"`, a reusable SavedModel that can be trained further,
            with a model card; `"serving"`, a SavedModel in a folder with everything that TensorFlow
            Serving needs; `"litert"`, a file of builtin operations for clips of one size, in one of
            several precisions; `"onnx"`, a file; `"openvino"`, a folder, in float32 or 8 bits. By
            default `"onnx"` for `*.onnx`, `"litert"` for `*.tflite`, otherwise `"savedmodel"`.
        **options: Options of the format, such as `top=5`; see its function in `FORMATS`.

    Returns:
        `output` as a `pathlib.Path`.

    Raises:
        ExportError: If the model cannot be exported, or the outputs of the artifact differ.
        UserError: If `output` exists.
        ValueError: If the format or an option is unknown or out of range, or the suffix of `output`
            is that of another format.
        WeightsError: If the weights cannot be read.

    Example:

    >>> ki3d.export(folder / "mine.h5", folder / "saved").name
    'saved'
    """
    to = format_of(output) if to is None else to
    if to not in FORMATS:
        raise ValueError(f"`to` must be one of {(*FORMATS,)}. Received: to={to!r}")
    if format_of(output) not in (to, "savedmodel"):
        raise ValueError(
            f"`output` must not have the suffix of another format for to={to!r}. "
            f"Received: output={str(output)!r}"
        )
    import tensorflow as tf

    from kinetics_i3d.exporting.model_card import provenance
    from kinetics_i3d.models.clip_model import check_ends_in_logits
    from kinetics_i3d.models.layers import check_backend
    from kinetics_i3d.models.load import as_model

    check_backend("export", ExportError)
    write = find_writer(to)
    allowed = [
        parameter.name
        for parameter in inspect.signature(write).parameters.values()
        if parameter.kind is parameter.KEYWORD_ONLY
    ]
    for name, value in options.items():
        if name not in allowed:
            raise ValueError(
                f"`{name}` must be left out for to={to!r}, whose options are {allowed}. "
                f"Received: {name}={value!r}"
            )
    if "about" in allowed:
        options = {"about": provenance(weights), **options}
    check_unicode(output)
    model = as_model(weights)
    check_ends_in_logits(model, argument="weights")
    try:
        with waiting(f"writing {output}"):
            return write(model, pathlib.Path(output), **options)
    except tf.errors.ResourceExhaustedError as error:  # a full disk, or too little memory
        raise ExportError(f"{output}: cannot be written ({first_line(error)})") from error


def format_of(output):
    """The format that the suffix of a path stands for, `"savedmodel"` for any other suffix.

    Example:

    >>> format_of("mine.onnx"), format_of("mine.tflite"), format_of("saved")
    ('onnx', 'litert', 'savedmodel')
    """
    return _SUFFIXES.get(pathlib.Path(output).suffix.lower(), "savedmodel")


def find_writer(to):
    """The function that writes a format."""
    module, function = FORMATS[to].split(".")
    return getattr(importlib.import_module(f"kinetics_i3d.exporting.{module}"), function)
