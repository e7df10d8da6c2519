"""A tiny model on disk, small videos, and the command in this process."""

import functools
import os

import numpy as np
import pytest

from kinetics_i3d.cli.main import main
from kinetics_i3d.core.clip_spec import ClipSpec
from kinetics_i3d.video.writer import write_video

LABELS = ("sit", "stand", "wave")
SPEC = ClipSpec("tiny", fps=10, short_side=36, size=32)


@pytest.fixture(scope="session")
def weights(tmp_path_factory, short):
    """Paths of checkpoints by what is special about them."""
    import keras

    import kinetics_i3d as ki3d

    folder = tmp_path_factory.mktemp("weights")
    paths = {name: folder / f"{name}.h5" for name in ("good", "nameless", "damaged", "image")}
    keras.utils.set_random_seed(0)
    model = ki3d.InceptionI3D(architecture=short, classes=3)
    ki3d.save_weights(model, paths["good"], labels=LABELS, clip_spec=SPEC)
    ki3d.save_weights(model, paths["nameless"], clip_spec=SPEC)
    paths["damaged"].write_bytes(paths["good"].read_bytes()[:3000])
    image = ki3d.InceptionV1(architecture=short, classes=3)
    ki3d.save_weights(image, paths["image"], labels=LABELS)
    return paths


@pytest.fixture(scope="session")
def videos(tmp_path_factory):
    """Paths of good videos and of files that are none, by name."""
    folder = tmp_path_factory.mktemp("videos")
    rng = np.random.default_rng(0)
    paths = {}
    for name, frames in (("one", 12), ("two", 20), ("three", 5)):
        paths[name] = folder / f"{name}.mp4"
        write_video(paths[name], rng.integers(0, 256, (frames, 48, 64, 3), np.uint8), fps=10)
    paths["empty"] = folder / "empty.mp4"
    paths["empty"].touch()
    paths["text"] = folder / "text.mp4"
    paths["text"].write_text("no video at all\n" * 100)
    paths["missing"] = folder / "missing.mp4"
    paths["folder"] = folder
    return paths


@functools.cache
def _load(path):
    from kinetics_i3d.models import load

    return load.load_model(path)


@pytest.fixture
def models_loaded_once(monkeypatch):
    """Loads each model of `features` and `timeline` once for all tests."""
    from kinetics_i3d.inference import features

    def as_model(weights, **_):
        return _load(str(weights)) if isinstance(weights, (str, os.PathLike)) else weights

    monkeypatch.setattr(features, "as_model", as_model)


@pytest.fixture
def tree(tmp_path, videos):
    """A folder of two videos, one of them in a folder inside, and a broken one."""
    folder = tmp_path / "tree"
    for name, source in (("b.mp4", "two"), ("inside/a.mp4", "one"), ("broken.mp4", "text")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(videos[source].read_bytes())
    return folder


@pytest.fixture
def command(capsys, monkeypatch):
    """(*words) -> (exit code, stdout, stderr) of the command, run in this process."""
    monkeypatch.setattr("kinetics_i3d.core.progress.EVERY", 3600.0)  # no lines on a slow machine

    def call(*words):
        code = main([str(word) for word in words])
        out, err = capsys.readouterr()
        return code, out, err

    return call
