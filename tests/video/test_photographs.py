"""Folders of photographs, whose Exif data say how the camera was held."""

import struct

import av
import numpy as np
import pytest

import kinetics_i3d as ki3d

# {orientation of Exif: the upright picture}, TIFF 6.0, page 36.
UPRIGHT = {
    1: lambda picture: picture,
    2: lambda picture: picture[:, ::-1],
    3: lambda picture: picture[::-1, ::-1],
    4: lambda picture: picture[::-1],
    5: lambda picture: picture.swapaxes(0, 1),
    6: lambda picture: picture.swapaxes(0, 1)[:, ::-1],
    7: lambda picture: picture.swapaxes(0, 1)[::-1, ::-1],
    8: lambda picture: picture.swapaxes(0, 1)[::-1],
}


def photograph(path, pixels, orientation):
    """Writes a JPEG with an orientation in its Exif data."""
    codec = av.CodecContext.create("mjpeg", "w")
    codec.height, codec.width = pixels.shape[:2]
    codec.pix_fmt, codec.time_base = "yuvj444p", 1
    frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format="yuvj444p")
    data = b"".join(map(bytes, [*codec.encode(frame), *codec.encode(None)]))
    entry = struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0)
    tiff = b"II*\0" + struct.pack("<IH", 8, 1) + entry + bytes(4)
    exif = b"Exif\0\0" + tiff
    path.write_bytes(data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:])


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_photographs_are_read_upright(tmp_path, orientation):
    pixels = np.zeros((32, 48, 3), np.uint8)
    pixels[:16, :24], pixels[:16, 24:], pixels[16:, :24] = 60, 120, 240
    for number in range(3):
        photograph(tmp_path / f"img_{number:05d}.jpg", pixels, orientation)
    frames = list(ki3d.read_frames(tmp_path))
    upright = UPRIGHT[orientation](pixels)
    assert len(frames) == 3
    for frame in frames:
        assert frame.shape == upright.shape
        assert np.abs(frame.astype(int) - upright).max() < 8
