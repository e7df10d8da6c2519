"""`open_hdf5`: the groups and datasets of an HDF5 file, without anything outside of it."""

import contextlib
import functools
import os
import pathlib
import subprocess
import sys

import numpy as np

from kinetics_i3d.core.errors import DAMAGE, WeightsError, first_line

MAX_DEPTH = 64
MAX_ITEMS = 100_000
MAX_RATIO = 1100  # of deflate


class Hdf5:
    """The groups and datasets of an open file by their paths.

    Args:
        file: An open `h5py.File`.
        path: Where it lies, for errors.
    """

    def __init__(self, file, path):
        self._file, self._path, self._seen = file, path, set()
        self.attributes = {}
        self.datasets = {}
        self._visit(file, "", 0)

    def read(self, name):
        """The numbers of a dataset; those of bfloat16, which HDF5 does not know, as such.

        Args:
            name: Its path in the file.

        Raises:
            WeightsError: If they are damaged.
        """
        dataset = self.datasets[name]
        try:
            array = np.asarray(dataset[()])
            brain = dataset.attrs.get("dtype") == "bfloat16" and array.dtype.itemsize == 2
        except DAMAGE as error:
            raise WeightsError(f"{self._path}: {name} is damaged ({first_line(error)})") from error
        if brain:
            import ml_dtypes

            return array.view(ml_dtypes.bfloat16)
        return array

    def _visit(self, group, name, depth):
        import h5py

        if depth > MAX_DEPTH or len(self._seen) > MAX_ITEMS:
            raise WeightsError(f"{self._path}: nested too deeply, or of too many parts")
        self.attributes[name] = dict(group.attrs)
        for key in group:
            inner = f"{name}/{key}" if name else key
            if not isinstance(group.get(key, getlink=True), h5py.HardLink):
                raise WeightsError(f"{self._path}: {inner} is a link to somewhere else")
            item = group[key]
            address = h5py.h5o.get_info(item.id).addr
            if address in self._seen:
                raise WeightsError(f"{self._path}: {inner} is another part under a second name")
            self._seen.add(address)
            if isinstance(item, h5py.Group):
                self._visit(item, inner, depth + 1)
            elif isinstance(item, h5py.Dataset):
                self._check(item, inner)
                self.datasets[inner] = item

    def _check(self, dataset, name):
        stored, claimed = dataset.id.get_storage_size(), dataset.nbytes
        packed = dataset.compression is not None
        if dataset.dtype.kind == "f" and not _is_standard(dataset):
            raise WeightsError(f"{self._path}: {name} has floats of an unknown kind")
        if dataset.is_virtual or dataset.external:
            raise WeightsError(f"{self._path}: {name} lies outside of the file")
        if claimed > stored * (MAX_RATIO if packed else 1) and claimed:
            raise WeightsError(
                f"{self._path}: {name} claims {claimed} bytes, of which {stored} are there"
            )
        if not packed and dataset.chunks is None and claimed != stored:
            raise WeightsError(f"{self._path}: {name} claims {claimed} of {stored} bytes")


_PROBE = """
import pathlib, sys
from kinetics_i3d.core.errors import WeightsError
from kinetics_i3d.weights.readers.hdf5 import open_hdf5
path = pathlib.Path(sys.argv[1])
try:
    with open_hdf5(path, sys.argv[2]) as file:
        for name in file.datasets:
            file.read(name)
except WeightsError as error:
    sys.stdout.buffer.write(str(error).encode(errors="replace"))
    sys.exit(3)
"""
_REFUSED = 3  # exit code
_VERSION_AT, _CHECKSUMMED = 8, 2  # of the superblock
_PROBE_SECONDS = 300


def check_survivable(path):
    """Raises `WeightsError` if an HDF5 file is damaged, or crashes the HDF5 library.

    A flipped bit does so in version 1.14 where metadata have checksums of HDF5's own, which is from
    version 2 of a file's first block on. Such a file is read in another process first.
    """
    path = pathlib.Path(path)
    with path.open("rb") as file:
        start = file.read(_VERSION_AT + 1)
    if len(start) > _VERSION_AT and start[_VERSION_AT] >= _CHECKSUMMED and sys.executable:
        state = path.stat()
        problem = _problem(os.path.abspath(path), str(path), state.st_size, state.st_mtime_ns)
        if problem is not None:
            raise WeightsError(problem)


@functools.cache
def _problem(path, name, _size, _time):
    """The error that reading a file in another process ends with; None if it can be read."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "MALLOC_PERTURB_": "165",  # with glibc, memory that is used after it was freed is no luck
    }
    with contextlib.suppress(subprocess.TimeoutExpired):
        done = subprocess.run(
            [sys.executable, "-c", _PROBE, path, name],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_PROBE_SECONDS,
        )
        if done.returncode == 0:
            return None
        if done.returncode == _REFUSED:
            return done.stdout.decode(errors="replace")
    return f"{name}: damaged: the HDF5 library crashes when it reads the file"


def _is_standard(dataset):
    """Whether its floats are IEEE's: HDF5 can describe any others, a flipped bit among them."""
    from h5py import h5t

    # Little-endian alone: nobody writes the other, but a flipped bit can claim it.
    standards = {2: h5t.IEEE_F16LE, 4: h5t.IEEE_F32LE, 8: h5t.IEEE_F64LE}
    standard = standards.get(dataset.dtype.itemsize)
    return standard is not None and dataset.id.get_type().equal(standard)


@contextlib.contextmanager
def open_hdf5(source, path):
    """Opens an HDF5 file.

    Args:
        source: The file, or its bytes as a stream.
        path: Where it lies, for errors.

    Yields:
        An `Hdf5`.

    Raises:
        WeightsError: If it is damaged, or refers to anything outside of itself.
    """
    import h5py

    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(h5py.File(source, "r"))
            opened = Hdf5(file, path)
        except DAMAGE as error:
            raise WeightsError(f"{path}: not a whole HDF5 file ({first_line(error)})") from error
        yield opened
