"""FFmpeg with a bug: videos of three names hang, crash or fill memory at their fourth picture.

Copied as `sitecustomize.py` to a folder of PYTHONPATH, it takes effect in child processes too.
"""

import ctypes
import pathlib
import time

from kinetics_i3d.video.source import Source

pictures = Source.pictures


def hostile(self):
    """As `Source.pictures`."""
    name = pathlib.Path(self.path).stem
    for number, picture in enumerate(pictures(self)):
        if number == 3 and name == "hangs":
            time.sleep(1000)
        if number == 3 and name == "crashes":
            ctypes.CDLL(None).abort()
        if number == 3 and name == "fills_memory":
            blocks = []
            while True:
                blocks.append(bytes(2**24))
        yield picture


Source.pictures = hostile
