"""Synthetic videos whose frames tell their own number, even after a lossy codec."""

import contextlib
import socket
import threading

import numpy as np
import pytest

BLOCK = 16  # Pixels; a macroblock, which any codec keeps apart from its neighbors.


def coded_frame(number):
    """64x64 RGB frame of 4x4 gray blocks: the 16 bits of its number."""
    bits = [(number >> bit) & 1 for bit in range(16)]
    blocks = np.array(bits, np.uint8).reshape(4, 4) * 255
    return np.repeat(np.kron(blocks, np.ones((BLOCK, BLOCK), np.uint8))[..., None], 3, axis=2)


def number_of(frame):
    """The number in a coded frame of any size."""
    rows = np.linspace(0, frame.shape[0], 9).astype(int)[1::2]
    columns = np.linspace(0, frame.shape[1], 9).astype(int)[1::2]
    bits = (frame[np.ix_(rows, columns)].mean(-1) > 127).ravel()
    return int(sum(1 << bit for bit in range(16) if bits[bit]))


@pytest.fixture
def coded():
    """Number -> its frame, uint8 (64, 64, 3)."""
    return coded_frame


@pytest.fixture
def numbers():
    """Frames -> the list of the numbers that they show."""
    return lambda frames: [number_of(frame) for frame in frames]


@pytest.fixture
def decoded(monkeypatch):
    """A list that grows by one entry with every picture that any `Source` decodes."""
    from kinetics_i3d.video.source import Source

    seen = []
    plain = Source.pictures

    def counted(self):
        for picture in plain(self):
            seen.append(picture.pts)
            yield picture

    monkeypatch.setattr(Source, "pictures", counted)
    return seen


@pytest.fixture
def tcp_sender():
    """(data) -> (address of plain TCP, semaphore: one for each connection that got the data)."""
    with contextlib.ExitStack() as servers:

        def serve(data):
            server = servers.enter_context(socket.create_server(("127.0.0.1", 0)))
            servers.callback(server.shutdown, socket.SHUT_RDWR)  # ends the wait for connections
            sent = threading.Semaphore(0)

            def send():
                with contextlib.suppress(OSError):  # the server is shut down, or a reader has left
                    while True:
                        with server.accept()[0] as connection:
                            connection.sendall(data)
                        sent.release()

            threading.Thread(target=send, daemon=True).start()
            return f"tcp://127.0.0.1:{server.getsockname()[1]}", sent

        yield serve
