"""Videos whose frames tell their own number, even after a lossy codec and a resize."""

import fractions

import numpy as np
import pytest

from kinetics_i3d.video.writer import write_video

BITS = 16  # in 4 x 4 blocks
ENCODER = {"threads": "1", "preset": "veryfast"}  # Still with pictures stored out of order.


def coded_frame(number, *, side=64):
    """uint8 (side, side, 3): black and white blocks, the bits of the number."""
    bits = np.array([(number >> bit) & 1 for bit in range(BITS)], np.uint8).reshape(4, 4)
    blocks = np.kron(bits * 255, np.ones((side // 4, side // 4), np.uint8))
    return np.repeat(blocks[..., np.newaxis], 3, axis=-1)


def number_of(frame, *, gray=127.5):
    """The number that a square frame of any size shows; `gray` lies between black and white."""
    middles = (np.arange(4) * 2 + 1) * len(frame) // 8
    bits = np.asarray(frame)[np.ix_(middles, middles)].mean(axis=-1).ravel() > gray
    return sum(1 << bit for bit in range(BITS) if bits[bit])


@pytest.fixture(scope="session")
def numbers():
    """(clip, gray=127.5) -> the list of the numbers of its frames."""
    return lambda clip, gray=127.5: [number_of(frame, gray=gray) for frame in clip]


@pytest.fixture(scope="session")
def coded_video(tmp_path_factory):
    """(frames, first=0, fps=25) -> path of a 64x64 video whose frame k shows `first + k`."""
    folder, made = tmp_path_factory.mktemp("coded"), {}

    def write(frames, *, first=0, fps=25):
        key = (frames, first, fps)
        if key not in made:
            made[key] = folder / f"{frames}_{first}_{len(made)}.mp4"
            write_video(made[key], (coded_frame(first + k) for k in range(frames)), fps=fps)
        return made[key]

    return write


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
