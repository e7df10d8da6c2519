"""Reads and writes safetensors files (huggingface.co/docs/safetensors) with their own library.

The library checks the header and the offsets, and that the tensors cover the file exactly. This
module adds:

- A checksum in the metadata, since the format has none.
- Limits on dtypes and on the size, and the refusal of duplicate names.
- A fixed order of the metadata, so that the same weights give the same file.
"""

import contextlib
import json
import pathlib

import numpy as np

from kinetics_i3d.core.errors import WeightsError, first_line
from kinetics_i3d.core.files import atomic_path
from kinetics_i3d.weights.readers.values import (
    as_float32,
    check_total,
    count,
    digest,
    tensor_digest,
    warn_unchecked,
)

_CHECKSUM = "sha256_of_tensors"  # `digest` of the tensors as stored and of the other metadata
# The format's names of the dtypes that weights may have, and NumPy's.
_DTYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U8": "uint8",
    "BOOL": "bool",
}


def read_safetensors(path):
    """Reads the tensors of a safetensors file.

    A file without a checksum is read with a warning.

    Returns:
        {name: array}, floats in float32.

    Raises:
        WeightsError: If the file is missing, damaged, does not match its checksum, or holds
            something other than weights.

    Example:

    >>> write_safetensors(folder / "mine.safetensors", {"a/bias": np.ones(2, np.float32)})
    >>> read_safetensors(folder / "mine.safetensors")
    {'a/bias': array([1., 1.], dtype=float32)}
    """
    path = pathlib.Path(path)
    arrays, digests = {}, []
    with _open(path) as file:
        check_total(path.stat().st_size, path)
        _check_names(path)
        metadata = dict(file.metadata() or {})
        # One tensor at a time: all of them would be in memory twice.
        for name in sorted(file.keys()):
            view = file.get_slice(name)
            count(view.get_shape(), name, path)
            if view.get_dtype() not in _DTYPES:
                raise WeightsError(f"{path}: {name} has a dtype other than {', '.join(_DTYPES)}")
            if view.get_dtype() == "BF16":
                import ml_dtypes  # noqa: F401 - makes the dtype known to NumPy
            array = file.get_tensor(name)
            digests.append(tensor_digest(name, array))
            arrays[name] = as_float32(array, name, path)
    checksum = metadata.pop(_CHECKSUM, None)
    if checksum is None:
        warn_unchecked(path)
    elif checksum != _checksum(digests, metadata):
        raise WeightsError(f"{path}: damaged: its tensors do not match its checksum")
    return arrays


def read_safetensors_metadata(path):
    """Reads the metadata of a safetensors file.

    Returns:
        {key: text}, empty if the file has none.

    Raises:
        WeightsError: If the file is missing or damaged.

    Example:

    >>> write_safetensors(folder / "mine.safetensors", {}, {"by": "me"})
    >>> read_safetensors_metadata(folder / "mine.safetensors")
    {'by': 'me'}
    """
    with _open(pathlib.Path(path)) as file:
        metadata = dict(file.metadata() or {})
    metadata.pop(_CHECKSUM, None)
    return metadata


def write_safetensors(path, arrays, metadata=None):
    """Writes a safetensors file atomically.

    Args:
        path: The file, usually `*.safetensors`.
        arrays: {name: array}; dtypes are kept.
        metadata: {key: text}.

    Raises:
        ValueError: If the format does not support a dtype, a name is reserved, or the metadata is
            not text.
    """
    from safetensors.numpy import save

    metadata = dict(metadata or {})
    if not all(isinstance(text, str) for pair in metadata.items() for text in pair):
        raise ValueError(f"`metadata` must be {{text: text}}. Received: metadata={metadata!r}")
    # The library writes the memory of an array and ignores its strides. (Not np.ascontiguousarray,
    # which makes a scalar a vector.)
    arrays = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    for name, array in arrays.items():
        if array.dtype.name not in _DTYPES.values() or name == "__metadata__":
            raise ValueError(
                f"`arrays` must be of dtypes {sorted(_DTYPES.values())}, none called "
                f"'__metadata__'. Received: {name!r} of {array.dtype}"
            )
    digests = [tensor_digest(name, array) for name, array in arrays.items()]
    metadata = metadata | {_CHECKSUM: _checksum(digests, metadata)}
    data = save(arrays)
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.dumps(
        {"__metadata__": metadata, **json.loads(data[8:end])}, separators=(",", ":")
    ).encode()
    header += b" " * (-len(header) % 8)  # the data begin at a multiple of 8 bytes
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.write(memoryview(data)[end:])


def _checksum(digests, metadata):
    texts = json.dumps(metadata, sort_keys=True).encode()
    return digest([*digests, tensor_digest("__metadata__", np.frombuffer(texts, np.uint8))])


@contextlib.contextmanager
def _open(path):
    """Opens a file with the library, which checks its header."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise WeightsError(f"{path}: no such file")
    try:
        with safe_open(path, framework="np") as file:
            yield file
    except (SafetensorError, OSError) as error:
        reason = first_line(error).removeprefix("Error while deserializing header: ")
        raise WeightsError(f"{path}: not a complete safetensors file ({reason})") from error


def _check_names(path):
    """Raises `WeightsError` if a header that is otherwise valid has duplicate names."""

    def check(pairs):
        if len(dict(pairs)) != len(pairs):
            raise WeightsError(f"{path}: its header has a duplicate name")
        return dict(pairs)

    with path.open("rb") as file:
        json.loads(file.read(int.from_bytes(file.read(8), "little")), object_pairs_hook=check)
