"""Readers of other programs' weights: each gives {name: array} under the names of the file."""

import pathlib

from kinetics_i3d.core.errors import WeightsError
from kinetics_i3d.weights.readers.archive import open_archive
from kinetics_i3d.weights.readers.flax import read_flax
from kinetics_i3d.weights.readers.keras import read_keras
from kinetics_i3d.weights.readers.safetensors import read_safetensors
from kinetics_i3d.weights.readers.tensorflow import checkpoint_prefix, read_tensorflow
from kinetics_i3d.weights.readers.torch import LEGACY_START, read_torch

READERS = {
    "tensorflow": read_tensorflow,
    "torch": read_torch,
    "safetensors": read_safetensors,
    "keras": read_keras,
    "flax": read_flax,
}
KNOWN = (
    "TensorFlow checkpoints and SavedModels, PyTorch state dicts (.pt, .pth), safetensors, "
    "Keras' .keras, .weights.h5 and .h5, and pickled dictionaries of NumPy arrays (Flax)"
)
HDF5 = b"\x89HDF\r\n\x1a\n"


def read_arrays(path):
    """Reads weights of any of the known formats, which is recognised by what is in the file.

    Args:
        path: A file, a folder, or the prefix of a TensorFlow checkpoint.

    Returns:
        (format, {name: array}); the format is `"tensorflow"`, `"torch"`, `"safetensors"`,
        `"keras"` or `"flax"`.

    Raises:
        WeightsError: If there is nothing, it is of no known format, or it is damaged.

    Example:

    >>> model.save(folder / "mine.keras")
    >>> read_arrays(folder / "mine.keras")[0]
    'keras'
    """
    path = pathlib.Path(path)
    kind = _recognise(path)
    return kind, READERS[kind](path)


def _recognise(path):
    if path.is_dir():
        if checkpoint_prefix(path):
            return "tensorflow"
        raise WeightsError(f"{path}: a folder that is no SavedModel and holds not one checkpoint")
    if not path.is_file():
        if checkpoint_prefix(path):
            return "tensorflow"
        raise WeightsError(f"{path}: no such file")
    with path.open("rb") as file:
        start = file.read(32)
    if start.startswith(b"PK"):
        return _inside(path)
    if start.startswith(HDF5):
        return "keras"
    # Before the pickle: the length of a header may begin with any byte.
    if start[8:9] == b"{" and int.from_bytes(start[:8], "little") < path.stat().st_size:
        return "safetensors"
    if start.startswith(b"\x80"):
        return "torch" if LEGACY_START in start else "flax"
    if checkpoint_prefix(path):
        return "tensorflow"
    raise WeightsError(f"{path}: unknown content; read are {KNOWN}")


def _inside(path):
    """Of two formats that are zip archives, the one whose members are there."""
    with open_archive(path) as archive:
        if any(name.split("/")[1:] == ["data.pkl"] for name in archive.sizes):
            return "torch"
        if "config.json" in archive.sizes:
            return "keras"
        if any(name.endswith("serialized_exported_program.json") for name in archive.sizes):
            raise WeightsError(
                f"{path}: a program of torch.export, no state dict: torch.save(torch.export.load("
                f"{path.name!r}).state_dict, 'weights.pt') saves one; give that file"
            )
    raise WeightsError(f"{path}: a zip archive without weights; read are {KNOWN}")
