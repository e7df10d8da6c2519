"""The five systems have the same logits and gradients on every Keras backend that is installed."""

import numpy as np
import pytest
from model_gradients import gradients

from kinetics_i3d.models.c3d import C3D
from kinetics_i3d.models.conv_net_lstm import ConvNetLSTM
from kinetics_i3d.models.pretrained import save_weights
from kinetics_i3d.models.two_stream import TwoStream
from kinetics_i3d.models.two_stream_fused import TwoStreamFused
from kinetics_i3d.models.two_stream_i3d import TwoStreamI3D

BOTH = {"rgb": (9, 40, 33, 3), "flow": (9, 40, 33, 2)}
SNAPSHOTS = {"rgb": (2, 40, 33, 3), "flow": (20, 40, 33, 2)}
C3D_CLIP = {"clips": (5, 33, 40, 3)}
CLIPS = {
    ConvNetLSTM: {"clips": (4, 33, 40, 3)},
    C3D: C3D_CLIP,
    TwoStream: SNAPSHOTS,
    TwoStreamFused: SNAPSHOTS,
    TwoStreamI3D: BOTH,
}
# Their gradients are compared too: TensorFlow's own of these pools is wrong on CPUs.
POOLS_3D = (TwoStreamI3D,)
SCRIPT = """
import dataclasses, pathlib, sys
import numpy as np
import keras
import kinetics_i3d as ki3d
from kinetics_i3d.models import inception_i3d
from model_gradients import gradients

folder = pathlib.Path(sys.argv[1])

row = dataclasses.replace(inception_i3d.GOOGLENET, name="googlenet_narrow", width=0.1)
inception_i3d.ARCHITECTURES[row.name] = row
for path in sorted(folder.glob("*.h5")):
    clips = dict(np.load(path.with_suffix(".npz")))
    shape = {"input_shape": (5, 33, 40, 3)} if path.stem == "C3D" else {}
    model = getattr(ki3d, path.stem)(weights=path, **shape)
    clips = clips.pop("clips", clips)
    logits = model.predict(clips, verbose=0)
    np.save(path.with_suffix(f".{keras.backend.backend()}.npy"), logits)
    if (folder / f"{path.stem}.gradients.npz").exists():
        name = f"{path.stem}.{keras.backend.backend()}.gradients"
        np.savez(folder / name, **gradients(model, clips))
loss = ki3d.all_steps_loss(np.eye(3, dtype="float32"), np.ones((3, 5, 3), "float32"))
np.testing.assert_allclose(keras.ops.convert_to_numpy(loss), np.log(3) * np.ones(3), rtol=1e-5)
print("tensorflow" in sys.modules)
"""


@pytest.fixture(scope="module")
def folder(backends, tmp_path_factory, known, randomize):
    """Checkpoints with clips, and TensorFlow's logits, which other tests hold against NumPy."""
    folder = tmp_path_factory.mktemp("systems")
    random = np.random.default_rng(0)
    for constructor, shapes in CLIPS.items():
        row = "c3d_eighth" if constructor is C3D else "googlenet_narrow"
        shape = {"input_shape": shapes["clips"]} if constructor is C3D else {}
        model = randomize(constructor(architecture=row, classes=5, **shape), seed=len(shapes))
        path = folder / f"{constructor.__name__}.h5"
        save_weights(model, path)
        clips = {k: random.uniform(-1, 1, (1, *s)).astype(np.float32) for k, s in shapes.items()}
        np.savez(path.with_suffix(".npz"), **clips)
        clips = clips.get("clips", clips)
        np.save(path.with_suffix(".npy"), np.asarray(model(clips)))
        if constructor in POOLS_3D:
            np.savez(folder / f"{path.stem}.gradients", **gradients(model, clips))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_a_backend_has_the_same_logits_and_gradients(run_on, folder, backend):
    printed = run_on(backend, SCRIPT, folder)
    for constructor in CLIPS:
        name = constructor.__name__
        expected = np.load(folder / f"{name}.npy")
        actual = np.load(folder / f"{name}.{backend}.npy")
        assert actual.shape == expected.shape == (1, 5) and actual.dtype == np.float32
        assert np.ptp(expected) > 1e-3
        error = np.abs(actual - expected).max() / np.abs(expected).max()
        print(f"{backend} {name}: {error:.1e}")
        assert error < 1e-4, name
    for constructor in POOLS_3D:
        name = constructor.__name__
        wanted = np.load(folder / f"{name}.gradients.npz")
        actual = np.load(folder / f"{name}.{backend}.gradients.npz")
        assert {*actual} == {*wanted} and len(wanted.files) > 10
        largest = max(np.abs(array).max() for array in wanted.values())
        for path, array in wanted.items():
            np.testing.assert_allclose(actual[path], array, rtol=1e-3, atol=1e-4 * largest)
    assert printed.split()[-1] == "False"
