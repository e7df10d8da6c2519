"""Real clips and the released Kinetics-400 weights: the labels and probabilities known of them."""

import pytest

import kinetics_i3d as ki3d
from kinetics_i3d.core.errors import WeightsError

pytestmark = pytest.mark.slow

# The first label, and its probability as measured when the weights were first read.
KNOWN = {
    "cricket_shot.avi": ("playing cricket", 0.998),
    "archery.avi": ("archery", 0.987),
    "arm_wrestling.mp4": ("arm wrestling", 1.000),
    "walking_the_dog.mp4": ("walking the dog", 1.000),
    "weightlifting.mp4": ("clean and jerk", 0.999),
    "flipping_pancake.mkv": ("flipping pancake", 1.000),
    "baseball_pitch.avi": ("side kick", 0.20),  # a miss, and known to be one
}


@pytest.fixture(scope="module")
def model(shared, tmp_path_factory):
    """What `load_model` builds by default; skips where its weights are not on this machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KINETICS_I3D_SOURCE", str(tmp_path_factory.mktemp("nothing")))
        try:
            return ki3d.load_model()
        except WeightsError as error:
            if "cannot be read" not in str(error):
                raise
            pytest.skip(f"no weights to test: {error}")


@pytest.mark.long
@pytest.mark.parametrize("name", KNOWN)
def test_real_clips_get_their_labels(model, shared, name):
    label, probability = KNOWN[name]
    result = ki3d.classify(shared / "clips" / name, model, top=1)
    assert [name for name, _ in result.predictions] == [label]
    assert result.predictions[0][1] == pytest.approx(probability, abs=0.003)
