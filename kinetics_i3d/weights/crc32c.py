"""`masked_crc32c`: the checksum that TensorFlow's checkpoints keep of each tensor, in NumPy.

CRC-32C (Castagnoli; RFC 3720, appendix B.4) is linear over GF(2), so the data are folded in halves:
of two neighbouring blocks, the remainder of the first is advanced by the length of the second and
added to it. To advance by a fixed length takes two table lookups, one per half of the remainder.
"""

import functools

import numpy as np

POLYNOMIAL = 0x82F63B78  # with reversed bits
MASK_DELTA = 0xA282EAD8  # added after a rotation by 15 bits: tensorflow/core/lib/hash/crc32c.h
WORD = 2  # log2 of the bytes that the fold starts with


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
    return ((crc >> 15 | crc << 17) + MASK_DELTA) & 0xFFFFFFFF


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
    """The remainder of the data alone, which leading zeros do not change."""
    if not len(data):
        return np.uint32(0)
    words = np.concatenate([np.zeros(-len(data) % 4, np.uint8), data]).view("<u4")
    level = WORD
    while len(words) > 1:
        if len(words) % 2:
            words = np.concatenate([np.zeros(1, np.uint32), words])
        words = _advance(words[0::2], level) ^ words[1::2]
        level += 1
    return _advance(words[0], WORD)


def _advance(remainders, level):
    """Remainders followed by 2**level zero bytes."""
    low, high = _tables(level)
    return low[remainders & np.uint32(0xFFFF)] ^ high[remainders >> np.uint32(16)]


@functools.cache
def _tables(level):
    """What the lower and the upper 16 bits of a remainder become after 2**level zero bytes."""
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
    return remainder >> 1 ^ (POLYNOMIAL if remainder & 1 else 0)
