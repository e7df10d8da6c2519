"""`read_hdf5`: the arrays and names in an HDF5 file; links out of the file are refused.

A flipped bit can crash the HDF5 library or make it loop forever, and files may be hostile. The
library therefore runs in a child process with limits on time and memory, which sends plain arrays.
"""

import contextlib
import dataclasses
import io
import math
import os
import pathlib

import numpy as np

from kinetics_i3d.core.child_process import ChildError, stream_in_child
from kinetics_i3d.core.errors import DAMAGE, WeightsError, first_line
from kinetics_i3d.weights.readers.archive import open_archive
from kinetics_i3d.weights.readers.values import as_float32, check_total

MAX_DEPTH = 64
MAX_ITEMS = 100_000
MAX_RATIO = 1100  # of deflate
SIGNATURE = b"\x89HDF\r\n\x1a\n"
# The attributes that readers use: Keras' names, and the metadata of weights and of features.
ATTRIBUTES = ("kinetics_i3d", "layer_names", "metadata", "name", "weight_names")
_SECONDS, _BYTES_PER_SECOND = 15, 10_000_000
_MEMORY, _MEMORY_PER_BYTE = 2**30, 4


@dataclasses.dataclass(frozen=True)
class Hdf5:
    """The content of a file, by the paths of its groups and datasets.

    Args:
        attributes: {group: {one of `ATTRIBUTES`: text, number or list}}.
        shapes: {dataset: shape}.
        contents: {dataset: array as `as_float32` returns it, or the error}.
    """

    attributes: dict
    shapes: dict
    contents: dict

    def read(self, name):
        """The array of a dataset; `WeightsError` if it is damaged or does not hold weights."""
        content = self.contents[name]
        if isinstance(content, str):
            raise WeightsError(content)
        return content


def read_hdf5(path, *, member=None, trusted=False):
    """Reads an entire HDF5 file.

    Args:
        path: The file.
        member: Its name in the zip archive `path`, or None if `path` is the HDF5 file.
        trusted: Whether to read it in this process; only for files that ship with the package.

    Returns:
        An `Hdf5`.

    Raises:
        WeightsError: If it is damaged, links to other files, or takes too much time or memory.
    """
    with _messages(stream_hdf5, path, member, trusted=trusted) as messages:
        attributes, shapes = next(messages)
        check_total(sum(4 * math.prod(shape) for shape in shapes.values()), path)
        return Hdf5(attributes, shapes, dict(messages))


def read_root_attribute(path, name, *, trusted=False):
    """Reads an attribute of the root group; None if the file does not have it.

    Args:
        path: As for `read_hdf5`.
        name: One of `ATTRIBUTES`.
        trusted: As for `read_hdf5`.

    Raises:
        WeightsError: As for `read_hdf5`.
    """
    with _messages(stream_root_attributes, path, trusted=trusted) as messages:
        return next(messages).get(name)


def is_hdf5(path):
    """Whether a file begins with the HDF5 signature."""
    with open(path, "rb") as file:
        return file.read(len(SIGNATURE)) == SIGNATURE


@contextlib.contextmanager
def _messages(function, path, *arguments, trusted):
    """Iterates over the items of a generator function of this module, run in a child process."""
    arguments = (os.fspath(path), *arguments)
    if trusted:
        with contextlib.closing(function(*arguments)) as messages:
            yield messages
        return
    size = os.path.getsize(path)
    stream = stream_in_child(
        f"{__name__}:{function.__name__}",
        *arguments,
        seconds=_SECONDS + size / _BYTES_PER_SECOND,
        memory=_MEMORY + _MEMORY_PER_BYTE * size,
        imports=("h5py", "ml_dtypes"),
    )
    try:
        with contextlib.closing(stream):
            yield stream
    except ChildError as error:
        raise WeightsError(
            f"{path}: cannot be read: the HDF5 library {error} on it; the file may be damaged, or "
            "the machine short of memory"
        ) from error


def stream_hdf5(path, member):
    """Yields (attributes, shapes) of an `Hdf5`, then its contents; for a child process."""
    with _open(path, member) as file:
        yield file.attributes, {name: dataset.shape for name, dataset in file.datasets.items()}
        for name in file.datasets:
            try:
                content = file.read(name)
            except WeightsError as error:  # raised only if a reader requests this dataset
                content = str(error)
            yield name, content


def stream_root_attributes(path):
    """Yields the attributes of the root group; for a child process."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            attributes = _attributes(file)
    except DAMAGE as error:
        raise _damaged(path, error) from error
    yield attributes


class _OpenFile:
    """The groups and datasets of an open file, by path.

    Args:
        file: An open `h5py.File`.
        path: Its path, for errors.
    """

    def __init__(self, file, path):
        self._file, self._path, self._seen = file, path, set()
        self.attributes = {}
        self.datasets = {}
        self._visit(file, "", 0)

    def read(self, name):
        """The values of a dataset, including bfloat16, which HDF5 has no type for."""
        dataset = self.datasets[name]
        try:
            array = np.asarray(dataset[()])
            brain = dataset.attrs.get("dtype") == "bfloat16" and array.dtype.itemsize == 2
        except DAMAGE as error:
            raise WeightsError(f"{self._path}: {name} is damaged ({first_line(error)})") from error
        if brain:
            import ml_dtypes

            array = array.view(ml_dtypes.bfloat16)
        return as_float32(array, name, self._path)

    def _visit(self, group, name, depth):
        import h5py

        if depth > MAX_DEPTH or len(self._seen) > MAX_ITEMS:
            raise WeightsError(f"{self._path}: nested too deeply, or has too many objects")
        self.attributes[name] = _attributes(group)
        for key in group:
            inner = f"{name}/{key}" if name else key
            if not isinstance(group.get(key, getlink=True), h5py.HardLink):
                raise WeightsError(f"{self._path}: {inner} is an external or soft link")
            item = group[key]
            address = h5py.h5o.get_info(item.id).addr
            if address in self._seen:
                raise WeightsError(f"{self._path}: {inner} is a second name of another object")
            self._seen.add(address)
            if isinstance(item, h5py.Group):
                self._visit(item, inner, depth + 1)
            elif isinstance(item, h5py.Dataset):
                self._check(item, inner)
                self.datasets[inner] = item

    def _check(self, dataset, name):
        if dataset.shape is None:
            raise WeightsError(f"{self._path}: {name} is a dataset without values")
        stored, claimed = dataset.id.get_storage_size(), dataset.nbytes
        packed = dataset.compression is not None
        if dataset.dtype.kind == "f" and not _is_standard(dataset):
            raise WeightsError(f"{self._path}: {name} has an unknown floating-point type")
        if dataset.is_virtual or dataset.external:
            raise WeightsError(f"{self._path}: {name} is stored outside the file")
        if claimed > stored * (MAX_RATIO if packed else 1) and claimed:
            raise WeightsError(
                f"{self._path}: {name} declares {claimed} bytes, but {stored} are stored"
            )
        if not packed and dataset.chunks is None and claimed != stored:
            raise WeightsError(
                f"{self._path}: {name} declares {claimed} bytes, but {stored} are stored"
            )


def _attributes(group):
    """The `ATTRIBUTES` of a group as plain values."""
    names = [name for name in ATTRIBUTES if name in group.attrs]
    return {name: _plain(group.attrs[name]) for name in names}


def _plain(value):
    """An attribute's value as text, a number, or a list of these; None for anything else."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, np.ndarray):
        return [_plain(item) for item in value.ravel().tolist()]
    return value if isinstance(value, (str, bool, int, float)) else None


def _is_standard(dataset):
    """Whether a dataset holds IEEE floats; a flipped bit in a file can make it describe others."""
    from h5py import h5t

    # Only little-endian: big-endian files do not occur in practice, but a flipped bit can produce
    # one.
    standards = {2: h5t.IEEE_F16LE, 4: h5t.IEEE_F32LE, 8: h5t.IEEE_F64LE}
    standard = standards.get(dataset.dtype.itemsize)
    return standard is not None and dataset.id.get_type().equal(standard)


@contextlib.contextmanager
def _open(path, member):
    """Opens a file, or one in a zip archive, as an `_OpenFile`."""
    import h5py

    with contextlib.ExitStack() as stack:
        source = path
        if member is not None:
            archive = stack.enter_context(open_archive(pathlib.Path(path)))
            source = io.BytesIO(archive.read(member))
        try:
            opened = _OpenFile(stack.enter_context(h5py.File(source, "r")), path)
        except DAMAGE as error:
            raise _damaged(path, error) from error
        yield opened


def _damaged(path, error):
    return WeightsError(f"{path}: not a complete HDF5 file ({first_line(error)})")
