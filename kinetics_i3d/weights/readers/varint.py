"""`read_varint`: the integers of variable length in protocol buffers and TensorFlow's tables."""


def read_varint(data, at):
    """Reads an unsigned integer of up to 64 bits, seven bits in each byte, the lowest first.

    Args:
        data: Bytes.
        at: Where it begins.

    Returns:
        (the integer, the position behind it).

    Raises:
        IndexError: If the data end first.
        ValueError: If it has more than 64 bits.

    Example:

    >>> read_varint(bytes([0xAC, 0x7F, 0x01]), 0)
    (16300, 2)

    Source: Protocol Buffers, "Encoding", section "Base 128 Varints".
    """
    value = 0
    for shift in range(0, 64, 7):
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
    raise ValueError("a number of more than 64 bits")
