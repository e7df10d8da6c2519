"""Arrays out of bytes: as NumPy reads them, in threads too."""

import ast
import io
import threading

import numpy as np
import pytest

from kinetics_i3d.core.files import parse_npy


def saved(array):
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((3, 4, 5, 2), np.uint8),
        np.arange(7, dtype=np.float32),
        np.arange(6, dtype=">i8").reshape(2, 3),
        np.zeros((0, 3), np.float16),
        np.float64(2.5),
        np.array("wörds ☃"),
        np.array(["a", "bcd"]),
        np.array([True, False]),
    ],
)
def test_it_reads_what_numpy_writes(array):
    found = parse_npy(saved(array))
    assert found.dtype == np.asarray(array).dtype and found.shape == np.shape(array)
    np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "no header"),
        (b"PK\x03\x04" + bytes(200), "no header"),
        (saved(np.zeros((2, 3), order="F")), "no header"),
        (saved(np.zeros(3, [("a", "f4")])), "no header"),
        (saved(np.arange(9.0))[:-1], "71 bytes that should be 72"),
        (saved(np.arange(9.0)) + b"x", "73 bytes that should be 72"),
        (saved(np.arange(9.0)).replace(b"(9,)", b"(10**9,)"), "no header"),
    ],
)
def test_anything_else_is_refused(data, why):
    with pytest.raises(ValueError, match=why):
        parse_npy(data)


def test_no_python_is_parsed(monkeypatch):
    """`ast` in two threads at once is what fails on Python 3.11."""
    data = saved(np.arange(5))
    monkeypatch.setattr(ast, "parse", None)
    monkeypatch.setattr(ast, "literal_eval", None)
    found = []
    thread = threading.Thread(target=lambda: found.append(parse_npy(data)))
    thread.start()
    thread.join()
    assert found[0].tolist() == [0, 1, 2, 3, 4]
