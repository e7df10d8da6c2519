"""`read_torch`, `write_torch`: PyTorch state dicts, without PyTorch.

Reads the zip format of `torch.save`, and the older format of the I3D conversions of 2018.
"""

import io
import mmap
import pathlib
import pickle
import re
import struct
import zipfile

import numpy as np

from kinetics_i3d.core.errors import WeightsError
from kinetics_i3d.core.files import atomic_path
from kinetics_i3d.weights.readers.archive import open_archive
from kinetics_i3d.weights.readers.pickled import MAX_PICKLE, Tensor, load_pickle
from kinetics_i3d.weights.readers.values import as_float32, check_total, count, warn_unchecked

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_START = b"\x8a\n" + LEGACY_MAGIC.to_bytes(10, "little") + b"."  # its pickle
LEGACY_VERSION = 1001
SAVE = "torch.save({}.state_dict(), 'weights.pt') saves one; pass that file"
WRAPPERS = (
    *("state_dict", "model_state_dict", "model", "net", "network"),
    *("ema", "model_ema", "state_dict_ema", "ema_state_dict", "params"),
)
# What DataParallel, torch.compile, Lightning and wrapping modules put before every name.
PREFIX = re.compile(r"(?:module|_orig_mod|model|net|network|backbone|i3d)\.")


def read_torch(path):
    """Reads a PyTorch state dict; nothing in the file is executed.

    `{"state_dict": ...}` and similar dictionaries are unwrapped, and the prefixes of wrappers, such
    as `module.` or `_orig_mod.`, are removed.

    Args:
        path: A `.pt` or `.pth` file.

    Returns:
        {name: array}, floats in float32.

    Raises:
        WeightsError: If the file is missing, damaged or not a state dict, or attempts to call a
            function.

    Example:

    >>> write_torch(folder / "mine.pt", {"bn.bias": np.ones(2)})
    >>> read_torch(folder / "mine.pt")
    {'bn.bias': array([1., 1.], dtype=float32)}
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise WeightsError(f"{path}: no such file")
    with path.open("rb") as file:
        start = file.read(4)
    if start[:2] == b"PK":
        return _read_zip(path)
    if start[:1] != b"\x80":
        raise WeightsError(f"{path}: not a file of torch.save")
    with path.open("rb") as file:
        # Not closed explicitly: arrays in a traceback may still refer to it.
        arrays = _read_legacy(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), path)
    warn_unchecked(path)
    return arrays


def write_torch(path, arrays):
    """Writes a state dict that `torch.load(path, weights_only=True)` reads.

    Args:
        path: The file, usually `*.pt`, written atomically.
        arrays: {name: array}; integers become int64, everything else float32.
    """
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w") as file:
        # PyTorch names the folder after the file; any name works.
        tensors = {}
        for name, array in arrays.items():
            integer = np.asarray(array).dtype.kind in "iub"
            tensors[name] = np.asarray(array, "<i8" if integer else "<f4")
        _put(file, "archive/data.pkl", _pickled(tensors))
        _put(file, "archive/byteorder", b"little")
        for number, array in enumerate(tensors.values()):
            _put(file, f"archive/data/{number}", array.tobytes())
        _put(file, "archive/version", b"3\n")


def _put(file, name, data):
    """Adds a member aligned to 64 bytes, as PyTorch does, without a date."""
    info = zipfile.ZipInfo(name)
    info.external_attr = 0o600 << 16
    start = file.fp.tell() + 30 + len(name) + 4  # a local header and an extra field's
    padding = -start % 64
    info.extra = struct.pack("<HH", 0x4246, padding) + b"Z" * padding
    file.writestr(info, data)


def _pickled(tensors):
    """The pickle of an OrderedDict of tensors, which `pickle` can write only with PyTorch."""
    code = [b"\x80\x02ccollections\nOrderedDict\n)R("]
    for number, (name, array) in enumerate(tensors.items()):
        kind = b"LongStorage" if array.dtype.kind == "i" else b"FloatStorage"
        strides = tuple(stride // array.itemsize for stride in _contiguous(array))
        code += [
            _plain(name),
            b"ctorch._utils\n_rebuild_tensor_v2\n((",
            _plain("storage") + b"ctorch\n" + kind + b"\n" + _plain(str(number)) + _plain("cpu"),
            _plain(array.size) + b"tQK\x00" + _plain(array.shape) + _plain(strides),
            b"\x89ccollections\nOrderedDict\n)RtR",
        ]
    return b"".join([*code, b"u."])


def _contiguous(array):
    """Strides in C order; those of NumPy are arbitrary for axes of length 1."""
    return np.empty(array.shape, array.dtype).strides


def _plain(value):
    """The opcodes of a text, a number or a tuple of numbers."""
    if isinstance(value, tuple):
        return b"(" + b"".join(_plain(item) for item in value) + b"t"
    return pickle.dumps(value, 2)[2:-1] if isinstance(value, int) else _text(value)


def _text(value):
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def _read_zip(path):
    with open_archive(path) as archive:
        pickles = [name for name in archive.sizes if name.split("/")[1:] == ["data.pkl"]]
        if len(pickles) != 1:
            raise WeightsError(f"{path}: not a file of torch.save: needs exactly one data.pkl")
        root = pickles[0].removesuffix("data.pkl")
        if f"{root}byteorder" in archive.sizes:
            _check_order(archive.read(f"{root}byteorder", 16) == b"little", path)
        archive.read(f"{root}version", 64)  # there is always one
        if any(name.startswith(f"{root}code/") for name in archive.sizes):
            raise WeightsError(
                f"{path}: a TorchScript archive, a whole module and not a state dict: "
                f"{SAVE.format(f'torch.jit.load({path.name!r})')}"
            )
        pickled = archive.read(pickles[0], MAX_PICKLE)
        _check_no_module(pickled, path)
        unpickled = load_pickle(io.BytesIO(pickled), path)
        tensors = _state_dict(unpickled, path)
        for tensor in tensors.values():
            name = f"{root}data/{tensor.storage.key}"
            size = tensor.storage.count * _dtype(tensor.storage.dtype).itemsize
            if archive.sizes.get(name) != size:
                raise WeightsError(f"{path}: {name} is missing, or does not have {size} bytes")
        # One storage at a time, so that they are never all in memory at once.
        users: dict = {}
        for name, tensor in tensors.items():
            users.setdefault(tensor.storage.key, []).append(name)
        arrays = dict.fromkeys(tensors)
        for key, names in users.items():
            data = archive.read(f"{root}data/{key}")
            for name in names:
                arrays[name] = _array(tensors[name], data, name, path)
    return arrays


def _read_legacy(data, path):
    if load_pickle(data, path) != LEGACY_MAGIC or load_pickle(data, path) != LEGACY_VERSION:
        raise WeightsError(f"{path}: a pickle, but not one of torch.save")
    system = load_pickle(data, path)
    _check_order(isinstance(system, dict) and system.get("little_endian") is True, path)
    _check_no_module(data[data.tell() : data.tell() + MAX_PICKLE], path)
    content = load_pickle(data, path)
    tensors = _state_dict(content, path)
    keys = load_pickle(data, path)
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise WeightsError(f"{path}: its list of storages is damaged")
    storages = _storages(content) | {t.storage.key: t.storage for t in tensors.values()}
    if sorted(keys) != sorted(storages):
        raise WeightsError(f"{path}: its list of storages does not match its tensors")
    starts, at = {}, data.tell()
    for key in keys:
        size = int.from_bytes(data[at : at + 8], "little")
        starts[key] = at + 8
        at += 8 + storages[key].count * _dtype(storages[key].dtype).itemsize
        if size != storages[key].count or at > len(data):
            raise WeightsError(f"{path}: the storage {key} is truncated or has another size")
    if at != len(data):
        raise WeightsError(f"{path}: {len(data) - at} bytes are left after the storages")
    return {
        name: _array(tensor, data, name, path, starts[tensor.storage.key])
        for name, tensor in tensors.items()
    }


def _storages(content):
    """The storages of all tensors by key, also of those outside the state dict."""
    storages, waiting, seen = {}, [content], set()
    while waiting:
        value = waiting.pop()
        if isinstance(value, Tensor):
            storages[value.storage.key] = value.storage
        elif isinstance(value, (dict, list, tuple)) and id(value) not in seen:
            seen.add(id(value))  # a pickle can contain itself
            waiting += value.values() if isinstance(value, dict) else value
    return storages


def _check_no_module(pickled, path):
    """Raises `WeightsError` if a pickle contains modules, whose classes are not available here."""
    if all(word in pickled for word in (b"_parameters", b"_buffers", b"_modules")):
        load = f"torch.load({path.name!r}, weights_only=False)"
        raise WeightsError(
            f"{path}: a whole module, pickled with its class, not a state dict: where its code is "
            f"available, {SAVE.format(load)}"
        )


def _check_order(little, path):
    if not little:
        raise WeightsError(f"{path}: written on a big-endian machine, which is not supported")


def _state_dict(state, path):
    """The tensors of a state dict by name, each checked to be inside its storage."""
    for wrapper in WRAPPERS:
        if isinstance(state, dict) and isinstance(state.get(wrapper), dict):
            state = state[wrapper]
    if not isinstance(state, dict) or not state:
        raise WeightsError(f"{path}: not a state dict: a dictionary of tensors by name")
    for name, tensor in state.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise WeightsError(f"{path}: not a state dict: {str(name)[:80]!r} is not a tensor")
    while (first := PREFIX.match(next(iter(state)))) and all(
        name.startswith(first[0]) for name in state
    ):
        state = {name.removeprefix(first[0]): tensor for name, tensor in state.items()}
    kinds: dict = {}
    for name, tensor in state.items():
        storage = tensor.storage
        if kinds.setdefault(storage.key, (storage.dtype, storage.count)) != (
            storage.dtype,
            storage.count,
        ):
            raise WeightsError(f"{path}: {name} reads its storage differently from another tensor")
        _check_inside(tensor, name, path)
    check_total(sum(_size(tensor, name, path) for name, tensor in state.items()), path)
    storages = {tensor.storage.key: tensor.storage for tensor in state.values()}
    check_total(sum(s.count * _dtype(s.dtype).itemsize for s in storages.values()), path)
    return state


def _size(tensor, name, path):
    return count(tensor.shape, name, path) * _dtype(tensor.storage.dtype).itemsize


def _check_inside(tensor, name, path):
    elements = count(tensor.shape, name, path)
    if type(tensor.offset) is not int or tensor.offset < 0:
        raise WeightsError(f"{path}: {name} has an impossible offset")
    strides = tensor.strides if isinstance(tensor.strides, tuple) else ()
    if len(strides) != len(tensor.shape) or any(type(n) is not int or n < 0 for n in strides):
        raise WeightsError(f"{path}: {name} has impossible strides")
    last = sum(
        (length - 1) * stride for length, stride in zip(tensor.shape, tensor.strides, strict=True)
    )
    first = tensor.storage.first + tensor.offset
    if elements and first + last >= tensor.storage.count:
        raise WeightsError(f"{path}: {name} extends beyond its storage")


def _dtype(code):
    if code == "bfloat16":
        import ml_dtypes

        return np.dtype(ml_dtypes.bfloat16)
    return np.dtype(code)


def _array(tensor, data, name, path, start=0):
    """The values of a tensor whose storage begins at `start` of `data`."""
    dtype, storage = _dtype(tensor.storage.dtype), tensor.storage
    values = np.frombuffer(data, dtype, storage.count, start)
    values = values[storage.first + tensor.offset :]
    # The stride of an axis of length 1 is never used, and may have any value.
    strides = tuple(
        stride * dtype.itemsize if length > 1 else 0
        for length, stride in zip(tensor.shape, tensor.strides, strict=True)
    )
    if not count(tensor.shape, name, path):
        values, strides = np.zeros(tensor.shape, dtype), None
    view = np.lib.stride_tricks.as_strided(values, tensor.shape, strides, writeable=False)
    return as_float32(view, name, path)
