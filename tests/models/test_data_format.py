"""Models read channels last, whatever `image_data_format` an old keras.json sets."""

import keras
import numpy as np
import pytest
from short_network import register

import kinetics_i3d as ki3d

SHORT = {"architecture": register()}
MODELS = {
    "InceptionV1": (ki3d.InceptionV1, SHORT),
    "InceptionI3D": (ki3d.InceptionI3D, SHORT),
    "features": (ki3d.InceptionI3D, {**SHORT, "include_top": False, "pooling": "avg"}),
    "ConvNetLSTM": (ki3d.ConvNetLSTM, SHORT),
    "C3D": (ki3d.C3D, {"architecture": "c3d_eighth"}),
    "TwoStream": (ki3d.TwoStream, SHORT),
    "TwoStreamFused": (ki3d.TwoStreamFused, SHORT),
    "TwoStreamI3D": (ki3d.TwoStreamI3D, SHORT),
}


@pytest.fixture
def channels_first():
    """A function that sets the default that an old keras.json has; undone after the test."""
    before = keras.config.image_data_format()
    yield lambda: keras.config.set_image_data_format("channels_first")
    keras.config.set_image_data_format(before)


def inputs_of(model):
    random = np.random.default_rng(0)

    def one(tensor, minimum):
        sizes = [
            size or (32 if axis > len(minimum) - 3 else least)
            for axis, (size, least) in enumerate(zip(tensor.shape[1:-1], minimum, strict=True))
        ]
        return random.uniform(-1, 1, (1, *sizes, tensor.shape[-1])).astype(np.float32)

    if not isinstance(model.input, dict):
        return one(model.input, model.minimum)
    return {stream: one(tensor, model.minimums[stream]) for stream, tensor in model.input.items()}


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_outputs_do_not_depend_on_the_default_data_format(name, channels_first):
    build, settings = MODELS[name]
    usual = build(**settings)
    inputs = inputs_of(usual)
    expected = usual.predict(inputs, verbose=0)
    channels_first()
    model = build(**settings)
    model.set_weights(usual.get_weights())
    np.testing.assert_array_equal(model.predict(inputs, verbose=0), expected)
