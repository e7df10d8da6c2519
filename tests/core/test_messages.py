"""Messages between processes: what is written is read, and nothing else is."""

import fractions
import io
import json
import struct

import numpy as np
import pytest

from kinetics_i3d.core.messages import MessageError, read_message, write_message


def written(value, kind="item"):
    file = io.BytesIO()
    write_message(file, kind, value)
    return file.getvalue()


def read(data, limit=2**20):
    return read_message(io.BufferedReader(io.BytesIO(data)), limit=limit)


def test_values_come_back_as_they_were():
    value = {"a": [1, (2.5, None)], "b": fractions.Fraction(-2, 3), "c": "\udce9\n", "d": {}}
    assert read(written(value, "end")) == ("end", value)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((3, 0, 2), np.uint8),
        np.array(5.5),
        np.arange(24, dtype=np.float32).reshape(2, 3, 4)[:, ::-1],
        np.array([True, False]),
    ],
)
def test_arrays_come_back_as_they_were(array):
    (result, same), kind = read(written((array, array)))[1], np.asarray(array).dtype
    np.testing.assert_array_equal(result, array)
    np.testing.assert_array_equal(same, array)
    assert result.dtype == kind and result.flags.writeable and result.shape == array.shape


def head(content):
    text = json.dumps(content).encode()
    return struct.pack("<I", len(text)) + text


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (written(np.zeros(100)), "an array is too large"),
        (head(["item", {"array": 0}, [["|O", [1]]]]) + bytes(8), "an array is too large"),
        (head(["item", {"array": 0}, [["|u1", [-1]]]]), "negative"),
        (head(["item", {"array": 3}, []]), "index"),
        (head(["item", {"pickle": "x"}, []]), "unknown kind"),
        (head(["item", {"fraction": "1/0"}, []]), "Fraction"),
        (head(["item", {"dict": [1]}, []]), "items"),
        (head(["item"]), "unpack"),
        (head(7), "unpack"),
        (struct.pack("<I", 3) + b"abc", "Expecting value"),
        (struct.pack("<I", 2**31), "the text is too large"),
    ],
)
def test_anything_else_is_refused(data, why):
    with pytest.raises(MessageError, match=why):
        read(data, limit=799)


@pytest.mark.parametrize("end", [0, 2, 20, -1])
def test_a_cut_message_ends_the_file(end):
    with pytest.raises(EOFError):
        read(written(np.zeros(100))[:end])
