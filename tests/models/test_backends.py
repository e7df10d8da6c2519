"""The same checkpoint gives the same logits on every Keras backend that is installed."""

import importlib.util
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import reference

from kinetics_i3d.models.inception_i3d import InceptionI3D
from kinetics_i3d.models.pretrained import save_weights

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPT = """
import dataclasses, pathlib, sys
import numpy as np
import keras
from kinetics_i3d.models import inception_i3d

folder = pathlib.Path(sys.argv[1])
rows = inception_i3d.ARCHITECTURES
for name in ("inception_v1", "googlenet"):
    row = dataclasses.replace(rows[name], name=f"{name}_narrow", width=0.1)
    rows[row.name] = row
for path in sorted(folder.glob("*.h5")):
    model = inception_i3d.InceptionI3D(weights=path)
    logits = model.predict(np.load(path.with_suffix(".clips.npy")), verbose=0)
    np.save(path.with_suffix(f".{keras.backend.backend()}.npy"), logits)
print("tensorflow" in sys.modules)
"""


@pytest.fixture(scope="module")
def folder(backends, tmp_path_factory, narrow, randomize):
    """Checkpoints with the clips to try them on."""
    folder = tmp_path_factory.mktemp("backends")
    random = np.random.default_rng(0)
    models = {
        "narrow": (narrow["inception_v1"], 5, (2, 11, 33, 40, 3)),
        "googlenet": (narrow["googlenet"], 5, (2, 12, 40, 33, 3)),
        "full": ("inception_v1", 400, (1, 12, 64, 64, 3)),
    }
    for name, (row, classes, shape) in models.items():
        model = randomize(InceptionI3D(architecture=row, classes=classes), seed=len(name))
        save_weights(model, folder / f"{name}.h5")
        np.save(folder / f"{name}.clips.npy", random.uniform(-1, 1, shape).astype(np.float32))
    return folder


@pytest.fixture(scope="module")
def expected(folder, arrays_of, known):
    """{name: logits by plain NumPy}, the full network's by TensorFlow here."""
    logits = {}
    for path in folder.glob("*.h5"):
        model, clips = InceptionI3D(weights=path), np.load(path.with_suffix(".clips.npy"))
        if path.stem == "full":
            logits[path.stem] = model.predict(clips, verbose=0)
        else:
            of_2014 = path.stem == "googlenet"
            seen = reference.inception_v1(clips, arrays_of(model), of_2014=of_2014)
            logits[path.stem] = seen["logits"]
    return logits


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_a_backend_gives_the_same_logits(folder, expected, backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder)],
        env={
            **os.environ,
            "KERAS_BACKEND": backend,
            "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
            # Most of JAX's time here is LLVM's, which need not try hard for one clip.
            "XLA_FLAGS": "--xla_backend_optimization_level=0",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for name, logits in expected.items():
        found = np.load(folder / f"{name}.{backend}.npy")
        assert found.shape == logits.shape and found.dtype == np.float32
        error = np.abs(found - logits).max() / np.abs(logits).max()
        print(f"{backend} {name}: {error:.1e}")
        assert error < 1e-4, name
    # The zoo asks Keras for everything, so no backend drags in another.
    assert done.stdout.split()[-1] == str(backend == "tensorflow")
