"""A tiny model, and its SavedModel."""

import pytest
from short_network import register

from kinetics_i3d.core.clip_spec import ClipSpec

LABELS = ("sit", "stand", "wave")
SPEC = ClipSpec("tiny", fps=10, short_side=36, size=32, low=-0.5, high=2.0)


def tiny(**options):
    """A short I3D whose statistics are not those of the start."""
    import keras

    import kinetics_i3d as ki3d

    keras.utils.set_random_seed(0)
    model = ki3d.InceptionI3D(architecture=register(), classes=3, **options)
    random = keras.random.SeedGenerator(1)
    for variable in model.non_trainable_variables:
        if "moving" in variable.path:
            low = 0.5 if "variance" in variable.path else -0.3
            variable.assign(keras.random.uniform(variable.shape, low, low + 0.6, seed=random))
    model.labels, model.clip_spec = LABELS, SPEC
    return model


@pytest.fixture(scope="session")
def model():
    return tiny()


@pytest.fixture(scope="session")
def saved(model, tmp_path_factory):
    """The folder of its SavedModel."""
    import kinetics_i3d as ki3d

    return ki3d.export(model, tmp_path_factory.mktemp("export") / "saved", top=2)
