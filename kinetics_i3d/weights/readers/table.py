"""`table_entries`: the sorted table of keys and values that TensorFlow's checkpoints are made of.

LevelDB's format: blocks of entries, an index of blocks, and a footer. TensorFlow verifies the CRCs;
what is held here against the file's size is what its reader would believe and allocate.
"""

import struct

from kinetics_i3d.core.errors import WeightsError
from kinetics_i3d.weights.readers.varint import read_varint

FOOTER = 48
MAGIC = bytes.fromhex("57fb808b247547db")
TRAILER = 5  # of a block: how it is compressed, and its CRC
MAX_KEY = 4096  # what keys share is not stored again: a bomb, were they long
SNAPPY_RATIO = 32  # of 64 bytes by a copy of 3, and more than that


def is_table(path):
    """Whether a file ends as such a table does."""
    with open(path, "rb") as file:
        if file.seek(0, 2) < FOOTER:
            return False
        file.seek(-len(MAGIC), 2)
        return file.read() == MAGIC


def table_entries(data, path, *, first_block=False):
    """The entries of a table, with everything checked to lie inside the file.

    Args:
        data: The whole file, bytes-like.
        path: The file, for errors.
        first_block: Whether those of the first block alone are wanted.

    Returns:
        [(key, value)] in the table's order; nothing of compressed blocks.

    Raises:
        WeightsError: If anything lies outside of the file.
    """
    try:
        if len(data) < FOOTER or bytes(data[-len(MAGIC) :]) != MAGIC:
            raise ValueError("no footer: cut short")
        footer = bytes(data[-FOOTER:])
        _, _, at = _handle(footer, 0, data)
        start, size, _ = _handle(footer, at, data)
        found, end = [], 0
        for number, (_, handle) in enumerate(_block(data, start, size)):
            start, size, _ = _handle(handle, 0, data)
            if start < end:
                raise ValueError("blocks that overlap")  # and could be read for ever
            end = start + size
            if number == 0 or not first_block:
                found += _block(data, start, size)
        return found
    except (ValueError, IndexError, struct.error) as error:
        raise WeightsError(f"{path}: not a whole checkpoint of TensorFlow ({error})") from error


def _handle(data, at, file):
    """(start, size, where it ends) of a block's handle."""
    start, at = read_varint(data, at)
    size, at = read_varint(data, at)
    if start + size + TRAILER > len(file) - FOOTER:
        raise ValueError("a block beyond the end of the file")
    return start, size, at


def _block(data, start, size):
    """The entries of a block: keys are stored as what differs from the key before."""
    block, kind = bytes(data[start : start + size]), data[start + size]
    if kind == 1:
        length, _ = read_varint(block, 0)
        if length > SNAPPY_RATIO * size:
            raise ValueError("a block that would unpack to too much")
        return []
    (restarts,) = struct.unpack("<I", block[-4:])
    end = size - 4 * (restarts + 1)
    if kind or end < 0:
        raise ValueError("a strange block")
    entries, key, at = [], b"", 0
    while at < end:
        shared, at = read_varint(block, at)
        fresh, at = read_varint(block, at)
        length, at = read_varint(block, at)
        if shared + fresh > MAX_KEY or shared > len(key) or at + fresh + length > end:
            raise ValueError("a key too long, or an entry beyond the end of its block")
        key = key[:shared] + block[at : at + fresh]
        entries.append((key, block[at + fresh : at + fresh + length]))
        at += fresh + length
    return entries
