"""A generator in a thread: its items, its errors and its end."""

import pytest

from kinetics_i3d.core.errors import VideoError
from kinetics_i3d.core.threads import read_ahead


def test_errors_reach_the_reader_and_the_thread_stops():
    def failing():
        yield 1
        raise VideoError("broken")

    items = read_ahead(failing())
    assert next(items) == 1
    with pytest.raises(VideoError, match="broken"):
        next(items)

    closed = []

    def endless():
        try:
            while True:
                yield 0
        finally:
            closed.append(True)

    items = read_ahead(endless())
    assert next(items) == 0
    items.close()
    assert closed == [True]
