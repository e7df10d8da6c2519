"""`read_safetensors`, `write_safetensors`: weights as JSON and raw bytes, without their package.

The format: 8 bytes of header length, JSON, little-endian data (huggingface.co/docs/safetensors). It
has no checksum, so files written here carry one in their metadata.
"""

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

CHECKSUM = "sha256_of_tensors"  # `digest` of the tensors as stored and of the other metadata
MAX_HEADER = 100_000_000  # the format's own bound
DTYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "bfloat16",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U8": "u1",
    "BOOL": "?",
}
CODES = {str(np.dtype(dtype)): code for code, dtype in DTYPES.items() if code != "BF16"}


def read_safetensors(path):
    """Reads the tensors of a safetensors file.

    Of a file without our checksum the log says that it has none.

    Args:
        path: The file.

    Returns:
        {name: array}, floats in float32.

    Raises:
        WeightsError: If the file is missing, damaged, not what its checksum says, or holds
            something else than weights.

    Example:

    >>> write_safetensors(folder / "mine.safetensors", {"a/bias": np.ones(2, np.float32)})
    >>> read_safetensors(folder / "mine.safetensors")
    {'a/bias': array([1., 1.], dtype=float32)}
    """
    path = pathlib.Path(path)
    start, header = _read_header(path)
    metadata = header.pop("__metadata__", {})
    rows = [_row(name, entry, path) for name, entry in header.items()]
    _check_layout(rows, path.stat().st_size - start, path)
    arrays, digests = {}, []
    with path.open("rb") as file:
        for name, dtype, shape, (first, last) in rows:
            file.seek(start + first)
            data = np.frombuffer(file.read(last - first), dtype)
            if data.nbytes != last - first:
                raise WeightsError(f"{path}: {name} is cut short")
            data = data.reshape(shape)
            digests.append(tensor_digest(name, data))
            arrays[name] = as_float32(data, name, path)
    checksum = metadata.pop(CHECKSUM, None)
    if checksum is None:
        warn_unchecked(path)
    elif checksum != _checksum(digests, metadata):
        raise WeightsError(f"{path}: damaged: its tensors are not those of its checksum")
    return arrays


def read_safetensors_metadata(path):
    """Reads the texts that a safetensors file carries beside its tensors.

    Args:
        path: The file.

    Returns:
        {key: text}, empty where the file has none.

    Raises:
        WeightsError: If the file is missing or its header is damaged.

    Example:

    >>> write_safetensors(folder / "mine.safetensors", {}, {"by": "me"})
    >>> read_safetensors_metadata(folder / "mine.safetensors")
    {'by': 'me'}
    """
    metadata = _read_header(pathlib.Path(path))[1].get("__metadata__", {})
    return {key: text for key, text in metadata.items() if key != CHECKSUM}


def write_safetensors(path, arrays, metadata=None):
    """Writes a safetensors file; it appears whole or not at all.

    Args:
        path: Where to, by custom `*.safetensors`.
        arrays: {name: array}; dtypes are kept.
        metadata: {key: text}.

    Raises:
        ValueError: If a dtype has no code in the format, a name is taken, or metadata are no texts.
    """
    metadata = dict(metadata or {})
    if not all(isinstance(text, str) for pair in metadata.items() for text in pair):
        raise ValueError(f"`metadata` must be texts by text. Received: metadata={metadata!r}")
    arrays = {name: np.asarray(array) for name, array in arrays.items()}
    header: dict = {"__metadata__": metadata}
    end = 0
    # Wide types first: every tensor then lies on a multiple of its own width.
    order = sorted(arrays, key=lambda name: -arrays[name].dtype.itemsize)
    for name in order:
        array = arrays[name]
        code = "BF16" if array.dtype.name == "bfloat16" else CODES.get(array.dtype.name)
        if code is None or name == "__metadata__":
            raise ValueError(
                f"`arrays` must be of dtypes {sorted(CODES)}, none called '__metadata__'. "
                f"Received: {name!r} of {array.dtype}"
            )
        span = [end, end := end + array.nbytes]
        header[name] = {"dtype": code, "shape": list(array.shape), "data_offsets": span}
    digests = [tensor_digest(name, array) for name, array in arrays.items()]
    header["__metadata__"] = metadata | {CHECKSUM: _checksum(digests, metadata)}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in order:
            file.write(arrays[name].astype(arrays[name].dtype.newbyteorder("<")).tobytes())


def _checksum(digests, metadata):
    texts = json.dumps(metadata, sort_keys=True).encode()
    return digest([*digests, tensor_digest("__metadata__", np.frombuffer(texts, np.uint8))])


def _read_header(path):
    """(where the data start, the header)."""
    if not path.is_file():
        raise WeightsError(f"{path}: no such file")
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= min(MAX_HEADER, path.stat().st_size - 8):
            raise WeightsError(f"{path}: not safetensors: a header of {length} bytes does not fit")
        text = file.read(length)
    try:
        header = json.loads(text.decode(), object_pairs_hook=_without_doubles)
    except (ValueError, RecursionError) as error:
        reason = first_line(error)
        raise WeightsError(f"{path}: not safetensors: no JSON in the header ({reason})") from error
    metadata = header.get("__metadata__", {}) if isinstance(header, dict) else None
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise WeightsError(f"{path}: not safetensors: the header or its metadata are no dictionary")
    return 8 + length, header


def _without_doubles(pairs):
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands there twice")
    return found


def _row(name, entry, path):
    """(name, dtype, shape, (first, last)) of a header's entry, checked for itself."""
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise WeightsError(f"{path}: {name} must have dtype, shape and data_offsets, no more")
    code, shape, span = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(code, str) or code not in DTYPES:
        raise WeightsError(f"{path}: {name} has a dtype other than {', '.join(DTYPES)}")
    elements = count(shape, name, path)
    if code == "BF16":
        import ml_dtypes

        dtype = np.dtype(ml_dtypes.bfloat16)
    else:
        dtype = np.dtype(DTYPES[code])
    if not isinstance(span, list) or len(span) != 2 or any(type(at) is not int for at in span):
        raise WeightsError(f"{path}: {name} must have two data_offsets")
    if span[1] - span[0] != elements * dtype.itemsize:
        raise WeightsError(f"{path}: {name}: its offsets and its shape in {code} disagree")
    return name, dtype, tuple(shape), tuple(span)


def _check_layout(rows, size, path):
    """Tensors must fill the data exactly, without overlap and without holes."""
    end = 0
    for name, _, _, (first, last) in sorted(rows, key=lambda row: row[3]):
        if first != end:
            raise WeightsError(f"{path}: {name} begins at byte {first} of the data, not at {end}")
        end = last
    if end != size:
        raise WeightsError(f"{path}: its tensors take {end} bytes and its data {size}")
    check_total(size, path)
