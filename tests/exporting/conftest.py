"""A tiny model, and its SavedModel."""

import pytest
from short_network import tiny_model


@pytest.fixture(scope="session")
def model():
    return tiny_model()


@pytest.fixture(scope="session")
def sigmoid_model():
    """The same, as trained on several labels per video."""
    model = tiny_model()
    model.activation = "sigmoid"
    return model


@pytest.fixture(scope="session")
def saved(model, tmp_path_factory):
    """The folder of its SavedModel."""
    import kinetics_i3d as ki3d

    return ki3d.export(model, tmp_path_factory.mktemp("export") / "saved", top=2)
