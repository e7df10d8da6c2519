"""Files in each released layout give the logits of an independent forward pass."""

import json
import pathlib

import numpy as np
import pytest
import release_network
from tensorflow_checkpoint import save

from kinetics_i3d.core.errors import WeightsError
from kinetics_i3d.models.convert import convert
from kinetics_i3d.models.inception_i3d import InceptionI3D
from kinetics_i3d.weights.readers.torch import read_torch, write_torch

RELEASES = pathlib.Path(__file__).parents[1] / "weights" / "releases"
PREFIXES = {
    "rgb_kinetics400": "RGB/inception_i3d/",
    "flow_kinetics400": "Flow/inception_i3d/",
    "rgb_kinetics600": "",
}


def random_values(release, seed=0):
    """{name: array} with the names and shapes of a release, activations in sight of 1."""
    random = np.random.default_rng(seed)
    arrays = {}
    for name, shape in json.loads((RELEASES / f"{release}.json").read_text()).items():
        if name.endswith("/w"):
            values = random.normal(0, np.sqrt(2 / np.prod(shape[:-1])), shape)
        elif name.endswith("/moving_variance"):
            values = random.uniform(0.5, 2.0, shape)
        else:
            values = random.normal(0, 0.3, shape)
        arrays[name] = values.astype(np.float32)
    return arrays


@pytest.fixture(scope="module", params=PREFIXES)
def release(request, tmp_path_factory):
    """(prefix of the checkpoint, its arrays, prefix of its names)."""
    name = request.param
    arrays = random_values(name)
    return save(arrays, tmp_path_factory.mktemp(name) / "model.ckpt"), arrays, PREFIXES[name]


def clips_for(channels):
    return np.random.default_rng(7).uniform(-1, 1, (2, 18, 40, 33, channels)).astype(np.float32)


def close(found, wanted):
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-4 * np.abs(wanted).max())


@pytest.mark.slow
def test_a_released_checkpoint_gives_the_independent_logits(release):
    path, arrays, prefix = release
    model = InceptionI3D(weights=path)
    clips = clips_for(model.input_shape[-1])
    wanted = release_network.logits(clips, release_network.of_release(arrays, prefix))
    close(np.asarray(model(clips)), wanted)
    assert wanted.std() > 0.1  # not all alike
    assert model.labels[0] == "abseiling" and len(model.labels) == wanted.shape[-1]
    assert model.clip_spec.stream == ("flow" if "Flow" in prefix else "rgb")


@pytest.mark.slow
def test_it_does_so_through_the_torch_layout_too(release, tmp_path):
    path, arrays, prefix = release
    state = read_torch(convert(path, tmp_path / "i3d.pt"))
    assert len(state) == 57 * 6 + 2
    # A scale of its own in each unit: folded on the way in.
    random = np.random.default_rng(3)
    for name, array in state.items():
        if name.endswith(".bn.weight"):
            np.testing.assert_array_equal(array, 1)
            state[name] = random.uniform(0.6, 1.4, array.shape).astype(np.float32)
    write_torch(tmp_path / "scaled.pt", state)
    model = InceptionI3D(weights=tmp_path / "scaled.pt")
    clips = clips_for(model.input_shape[-1])
    scaled = release_network.logits(clips, release_network.of_torch(state))
    close(np.asarray(model(clips)), scaled)
    plain = release_network.logits(clips, release_network.of_release(arrays, prefix))
    assert np.abs(scaled - plain).max() > 0.01 * np.abs(plain).max()  # the scales count


@pytest.mark.slow
def test_another_class_count_is_refused_unless_requested(release):
    path, _, _ = release
    with pytest.raises(WeightsError, match=r"has \d+ classes, not 21; use head='new'"):
        InceptionI3D(weights=path, classes=21)
    model = InceptionI3D(weights=path, classes=21, head="new")
    assert model.output_shape == (None, 21) and model.labels == ()
    whole = InceptionI3D(weights=path)
    for old, new in zip(whole.get_weights()[:-2], model.get_weights()[:-2], strict=True):
        np.testing.assert_array_equal(old, new)
