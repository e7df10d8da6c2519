"""Flow as grey pictures, `flow_x_00001.jpg` and `flow_y_00001.jpg`, as denseflow and MMAction2 do.

Each direction is a picture of 8 bits from -bound to bound pixels, 20 by default there as here. JPEG
loses a little: about half a code on average at quality 95.
"""

import pathlib

import numpy as np

from kinetics_i3d.core.errors import VideoError
from kinetics_i3d.core.files import atomic_folder
from kinetics_i3d.flow.cache import FlowFile, FlowFileError
from kinetics_i3d.flow.info import CHUNK, FlowInfo
from kinetics_i3d.flow.video import FlowSettings
from kinetics_i3d.video.frame_folder import RATE, decode_picture, numbered_pictures, split_rate
from kinetics_i3d.video.span import split_span

NAME = "flow_{axis}_{number:05d}.jpg"
PREFIXES = (("flow_x_", "flow_y_"), ("flow_x", "flow_y"), ("x_", "y_"), ("u_", "v_"))
# The same in two folders beside each other.
FOLDERS = (("flow_x", "flow_y"), ("x", "y"), ("u", "v"))


def write_flow_pictures(flow, folder, *, quality=95):
    """Writes the flow of a flow file as pictures.

    Args:
        flow: The path of the flow file.
        folder: Where to; it appears whole or not at all. The first pictures have the number 1.
        quality: Of JPEG, 1 to 100.

    Returns:
        How many flows were written, two pictures each.

    Raises:
        FlowFileError: If the flow file is missing or damaged.

    Example:

    >>> from kinetics_i3d.flow.cache import write_flow_file
    >>> from kinetics_i3d.flow.paths import flow_path
    >>> video = folder / "video.mp4"
    >>> _ = write_flow_file(video, settings=FlowSettings("farneback"))
    >>> write_flow_pictures(flow_path(video), folder / "pictures")
    24
    """
    from kinetics_i3d.core.canvas import pillow

    image, *_ = pillow()
    with FlowFile(flow) as file, atomic_folder(folder) as temporary:
        for first in range(0, len(file), CHUNK):
            codes = file.codes(first, min(first + CHUNK, len(file)))
            for number, flows in enumerate(codes, first + 1):
                for axis, part in zip("xy", np.moveaxis(flows, -1, 0), strict=True):
                    name = NAME.format(axis=axis, number=number)
                    picture = image.fromarray(np.ascontiguousarray(part))
                    picture.save(temporary / name, quality=quality)
        return len(file)


class FlowPictures:
    """Pictures of flow with the interface of `FlowFile`; use it in a `with` block.

    Args:
        folder: Of frames, with the flow in it; `#fps=30` behind it tells its rate.

    Raises:
        FlowFileError: If there are no pictures of flow, or not as many of x as of y.

    Attributes:
        info: Its `FlowInfo`. What computed it is not told; the bound is that of denseflow, 20.
    """

    def __init__(self, folder):
        path, rate = split_rate(folder)
        self.path = str(path)
        pairs = _pairs(pathlib.Path(path))
        if not pairs or len(pairs[0]) != len(pairs[1]):
            counts = [len(files) for files in pairs] or [0, 0]
            raise FlowFileError(
                f"{path}: needs as many pictures of flow in x as in y, flow_x_00001.jpg and "
                f"flow_y_00001.jpg; has {counts[0]} and {counts[1]}"
            )
        self._files = pairs
        size = self._read(0, 1).shape[1:3]
        self.info = FlowInfo(
            settings=FlowSettings(),
            reading={
                "fps": float(RATE if rate is None else rate),
                "short_side": min(size),
                "resize": "short_side",
                "interpolation": "bilinear",
            },
            size=size,
            flows=len(pairs[0]),
            video={"name": pathlib.Path(path).name, "bytes": 0, "sha256": ""},
            version="pictures",
        )

    def __len__(self):
        return self.info.flows

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def close(self):
        """Does nothing: each picture is opened by itself."""

    def codes(self, start=0, stop=None):
        """The 8-bit codes from `start` up to `stop`, as `FlowFile.codes`."""
        return self._read(start, len(self) if stop is None else stop)

    def _read(self, start, stop):
        try:
            parts = [
                [decode_picture(file).to_ndarray(format="gray") for file in files[start:stop]]
                for files in self._files
            ]
            codes = np.stack([np.stack(part) for part in parts], axis=-1) if parts[0] else None
        except (VideoError, ValueError) as error:
            raise FlowFileError(f"{self.path}: its flow cannot be read ({error})") from error
        return np.zeros((0, *self.info.size, 2), np.uint8) if codes is None else codes


def has_flow_pictures(video):
    """Whether a video is a folder of frames that holds pictures of flow, too."""
    return bool(_pairs(pathlib.Path(split_rate(split_span(video)[0])[0])))


def _pairs(folder):
    """(files of x, files of y) in a folder or in two inside; empty if there are none."""
    if not folder.is_dir():
        return ()
    pictures = numbered_pictures(folder)
    for names in PREFIXES:
        if any(name in pictures for name in names):
            return tuple(pictures.get(name, []) for name in names)
    for names in FOLDERS:
        if any((folder / name).is_dir() for name in names):
            parts = [numbered_pictures(folder / name) for name in names]
            return tuple(next(iter(files.values()), []) for files in parts)
    return ()
