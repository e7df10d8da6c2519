"""The same checkpoint gives the same logits on every Keras backend that is installed."""

import numpy as np
import pytest
import reference

from kinetics_i3d.models.inception_i3d import InceptionI3D
from kinetics_i3d.models.pretrained import save_weights

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
def test_a_backend_gives_the_same_logits(run_on, folder, expected, backend):
    printed = run_on(backend, SCRIPT, folder)
    for name, logits in expected.items():
        found = np.load(folder / f"{name}.{backend}.npy")
        assert found.shape == logits.shape and found.dtype == np.float32
        error = np.abs(found - logits).max() / np.abs(logits).max()
        print(f"{backend} {name}: {error:.1e}")
        assert error < 1e-4, name
    # The zoo asks Keras for everything, so no backend drags in another.
    assert printed.split()[-1] == str(backend == "tensorflow")
