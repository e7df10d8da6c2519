"""The release's own sample gives its published outputs, where its weights are in the cache."""

import numpy as np
import pytest

from kinetics_i3d.models.inception_i3d import InceptionI3D
from kinetics_i3d.weights.catalog import CATALOG
from kinetics_i3d.weights.released import blob_id, cache_folder, state

# Git blob ids of the sample's arrays in the release's folder `data/`.
SAMPLES = {
    "rgb": ("v_CricketShot_g04_c01_rgb.npy", "d756c5020a6e0fb56a99b210e32f5865da712bba"),
    "flow": ("v_CricketShot_g04_c01_flow.npy", "ee00e78e6f380caa5463de878d7c85ad7a01e668"),
}
# Norm of the logits and the best logit, of each stream and of their sum.
PUBLISHED = {
    "rgb": (87.108871, 25.856646),
    "flow": (63.252754, 15.957031),
    "joint": (138.468643, 41.8137),
}


def logits(stream):
    """The logits of the sample by the ImageNet and Kinetics weights; skips what is not there."""
    name = f"{stream}_imagenet_kinetics400"
    folder = cache_folder() / name
    if state(folder, CATALOG[name].release) == "to download":
        pytest.skip(f"{name} is not in {folder}; `kinetics-i3d weights {name} --fetch` brings it")
    file, blob = SAMPLES[stream]
    sample = cache_folder() / "samples" / file
    if not sample.is_file():
        pytest.skip(f"the release's sample is not at {sample}")
    assert blob_id(sample) == blob
    model = InceptionI3D(weights=name)
    return model.predict(np.load(sample).astype(np.float32), verbose=0)[0], model.labels


@pytest.mark.slow
@pytest.mark.parametrize("stream", PUBLISHED)
def test_the_cricket_sample_gives_the_published_logits(stream):
    streams = ("rgb", "flow") if stream == "joint" else (stream,)
    parts, labels = zip(*(logits(one) for one in streams), strict=True)
    found = np.sum(parts, axis=0)
    norm, best = PUBLISHED[stream]
    assert labels[0][found.argmax()] == "playing cricket"
    np.testing.assert_allclose([np.linalg.norm(found), found.max()], [norm, best], rtol=1e-4)
