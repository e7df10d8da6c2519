"""Small videos, and the same files behind a file system that is not local."""

import numpy as np
import pytest

from kinetics_i3d.scale.storage import Storage
from kinetics_i3d.video.writer import write_video


@pytest.fixture(scope="session")
def videos(tmp_path_factory):
    """A folder of two videos, one inside a subfolder, a file that is none, and other files."""
    folder = tmp_path_factory.mktemp("videos")
    random = np.random.default_rng(0)
    for name, frames in (("b.mp4", 21), ("inside/a.mp4", 12)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_video(folder / name, random.integers(0, 256, (frames, 48, 64, 3), np.uint8), fps=25)
    (folder / "broken.mp4").write_text("no video at all\n" * 100)
    return folder


@pytest.fixture
def remote():
    """folder -> a `Storage` of it that is not local: its files are read through Arrow only."""

    def make(folder, address="store://bucket"):
        import pyarrow.fs

        files = pyarrow.fs.SubTreeFileSystem(str(folder), pyarrow.fs.LocalFileSystem())
        return Storage(files, "", address)

    return make
