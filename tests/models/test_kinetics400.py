"""The Kinetics-400 weights of an installed distribution against outputs of other programs."""

import numpy as np
import pytest

from kinetics_i3d.inference.classify import classify
from kinetics_i3d.models.inception_i3d import InceptionI3D
from kinetics_i3d.models.load import feature_model

SCRIPT = """
import pathlib, sys
import keras
import numpy as np
from kinetics_i3d.models.load import feature_model
from kinetics_i3d.models.inception_i3d import InceptionI3D

folder = pathlib.Path(sys.argv[1])
clips = np.load(folder / "clips.npy")
model = InceptionI3D(weights="rgb_kinetics400")
logits = model.predict(clips, batch_size=1, verbose=0)
mixed = feature_model(model, "Mixed_5c").predict(clips, batch_size=1, verbose=0)
np.savez(folder / f"{keras.backend.backend()}.npz", logits=logits, Mixed_5c=mixed)
"""


@pytest.fixture(scope="module", autouse=True)
def empty_cache(tmp_path_factory, kinetics_file):
    """An empty cache, so that the weights come from the distribution."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KINETICS_I3D_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def goldens(shared):
    """{"clips", "logits", "Mixed_5c"}: three real clips and what another graph made of them."""
    path = shared / "reference" / "kinetics400_rgb_goldens.npz"
    if not path.is_file():
        pytest.skip(f"no {path}")
    with np.load(path) as file:
        names = sorted({key.split("/")[0] for key in file})
        assert len(names) == 3
        stacked = {
            part: np.stack([file[f"{name}/{part}"] for name in names])
            for part in ("frames", "logits", "Mixed_5c")
        }
    clips = stacked.pop("frames").astype(np.float32) / 127.5 - 1
    return {"clips": clips, **stacked}


def close(found, wanted):
    assert found.shape == wanted.shape
    error = np.abs(found - wanted).max() / np.abs(wanted).max()
    assert error < 1e-5, error


@pytest.mark.slow
def test_another_graph_gives_the_same_logits_and_activations(goldens):
    model = InceptionI3D(weights="rgb_kinetics400")
    for part, made in (("logits", model), ("Mixed_5c", feature_model(model, "Mixed_5c"))):
        found = np.concatenate([np.asarray(made(clip[None])) for clip in goldens["clips"]])
        for one, wanted in zip(found, goldens[part], strict=True):
            close(one, wanted)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_every_backend_gives_the_same_logits_and_activations(
    backends, run_on, goldens, tmp_path, backend
):
    np.save(tmp_path / "clips.npy", goldens["clips"])
    run_on(backend, SCRIPT, tmp_path)
    with np.load(tmp_path / f"{backend}.npz") as found:
        for part in ("logits", "Mixed_5c"):
            for one, wanted in zip(found[part], goldens[part], strict=True):
                close(one, wanted)


@pytest.mark.slow
def test_black_frames_give_the_logits_that_the_network_of_fvd_is_known_by():
    """Printed by public implementations of FVD, whose reference network is this one."""
    model = InceptionI3D(weights="rgb_kinetics400")
    logits = np.asarray(model(np.full((1, 15, 224, 224, 3), -1, np.float32)))[0]
    known = [0.7422105, 2.829727, 0.39993525, -1.4021297]
    np.testing.assert_allclose([*logits[:3], logits[-1]], known, atol=2e-5)


@pytest.mark.slow
def test_a_real_video_is_named(shared):
    path = shared / "clips" / "cricket_shot.avi"
    if not path.is_file():
        pytest.skip(f"no {path}")
    (label, probability), *_ = classify(path, InceptionI3D(weights="rgb_kinetics400")).predictions
    assert label == "playing cricket" and probability == pytest.approx(0.998, abs=2e-3)
