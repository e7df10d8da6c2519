"""Synthetic videos whose frames tell their own number, even after a lossy codec."""

import fractions

import numpy as np
import pytest

ENCODER = {"threads": "1", "preset": "veryfast"}  # Still with pictures stored out of order.
BLOCK = 16  # Pixels; a macroblock, which any codec keeps apart from its neighbours.


def coded_frame(number):
    """64x64 RGB frame of 4x4 grey blocks: the 16 bits of its number."""
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
def mux(tmp_path):
    """(name, ticks, ...) -> path: frame k of the new file is coded k and shown at `ticks[k]`."""

    def write(
        name,
        ticks,
        *,
        tick=fractions.Fraction(1, 1000),
        rate=25,
        frames=None,
        rotation=None,
        hflip=False,
        gop=12,
        pix_fmt="yuv420p",
        codec="libx264",
        options=None,
        colors=None,
    ):
        import av

        path = tmp_path / name
        settings = ENCODER | (options or {}) if codec == "libx264" else {}
        if frames is None:
            frames = (coded_frame(k) for k in range(len(ticks)))
        with av.open(str(path), "w") as out:
            stream = None
            for pts, frame in zip(ticks, frames, strict=True):
                if stream is None:
                    stream = out.add_stream(codec, rate=rate, options=settings)
                    stream.height, stream.width = frame.shape[:2]
                    stream.pix_fmt = pix_fmt
                    stream.gop_size = gop
                    stream.codec_context.time_base = tick
                    for key, value in (colors or {}).items():
                        setattr(stream.codec_context, key, value)
                    if rotation is not None or hflip:
                        stream.set_display_rotation(rotation or 0, hflip=hflip)
                picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
                target = {f"dst_{key}": value for key, value in (colors or {}).items()}
                picture = picture.reformat(format=pix_fmt, **target)
                picture.pts, picture.time_base = pts, tick
                out.mux(stream.encode(picture))
            out.mux(stream.encode(None))
        return path

    return write


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
