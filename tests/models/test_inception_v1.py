"""The 2D network: counts, options, its numbers against plain NumPy, and the ImageNet release."""

import numpy as np
import pytest
import reference

from kinetics_i3d.core.clip_spec import DEEPMIND, INCEPTION5H
from kinetics_i3d.core.labels import softmax
from kinetics_i3d.models.inception_v1 import InceptionV1
from kinetics_i3d.models.inflation import inflate
from kinetics_i3d.models.load import feature_model

pytestmark = pytest.mark.slow

# Side and channels for a picture of 224 pixels.
ENDPOINTS = {
    "Conv2d_1a_7x7": (112, 64),
    "MaxPool2d_2a_3x3": (56, 64),
    "Conv2d_2b_1x1": (56, 64),
    "Conv2d_2c_3x3": (56, 192),
    "MaxPool2d_3a_3x3": (28, 192),
    "Mixed_3b": (28, 256),
    "Mixed_3c": (28, 480),
    "MaxPool2d_4a_3x3": (14, 480),
    "Mixed_4b": (14, 508),
    "Mixed_4c": (14, 512),
    "Mixed_4d": (14, 512),
    "Mixed_4e": (14, 528),
    "Mixed_4f": (14, 832),
    "MaxPool2d_5a_3x3": (7, 832),
    "Mixed_5b": (7, 832),
    "Mixed_5c": (7, 1024),
}

DALMATIAN = "n02110341 dalmatian, coach dog, carriage dog"


@pytest.fixture(scope="module")
def googlenet():
    return InceptionV1(architecture="googlenet", classes=1008)


def test_parameters_of_the_network_of_2014(googlenet):
    assert googlenet.count_params() == 7_066_380
    assert googlenet.clip_spec == INCEPTION5H and googlenet.architecture == "googlenet"


def test_parameters_with_batch_norm():
    model = InceptionV1()
    # FACTS section 2 at rank 2: the same rows, kernels without a time axis.
    assert model.output_shape == (None, 1000) and len(model.weights) == 230
    assert model.clip_spec == DEEPMIND and model.minimum == (32, 32)
    kernels = [tuple(v.shape) for v in model.weights if v.name == "kernel"]
    assert len(kernels) == 58 and {len(shape) for shape in kernels} == {4}
    assert {shape[:2] for shape in kernels} == {(7, 7), (3, 3), (1, 1)}
    units = sum(shape[-1] for shape in kernels[:-1])
    assert model.count_params() == sum(map(np.prod, kernels)) + 3 * units + 1000


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_every_endpoint_can_be_had(googlenet, endpoint):
    side, channels = ENDPOINTS[endpoint]
    cut = feature_model(googlenet, endpoint)
    assert cut.compute_output_shape((3, 224, 224, 3)) == (3, side, side, channels)


@pytest.mark.parametrize("row", ["inception_v1", "googlenet"])
def test_network_equals_plain_numpy(narrow, randomize, arrays_of, row):
    model = randomize(InceptionV1(architecture=narrow[row], classes=7), seed=3)
    images = np.random.default_rng(4).uniform(-1, 1, (2, 67, 90, 3)).astype(np.float32)
    expected = reference.inception_v1(images, arrays_of(model), of_2014=row == "googlenet")
    for endpoint in ("Conv2d_1a_7x7", "Conv2d_2c_3x3", "Mixed_3c", "Mixed_4f", "Mixed_5c"):
        close(np.asarray(feature_model(model, endpoint)(images)), expected[endpoint], endpoint)
    close(np.asarray(model(images)), expected["logits"], "logits")
    features = InceptionV1(architecture=narrow[row], include_top=False, pooling="max")
    features.set_weights(model.get_weights()[:-2])
    close(np.asarray(features(images)), expected["Mixed_5c"].max(axis=(1, 2)), "features")


def close(found, expected, what):
    assert found.shape == expected.shape
    scale = np.abs(expected).max()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * scale, err_msg=what)


def test_options(narrow):
    row = narrow["inception_v1"]
    model = InceptionV1(architecture=row, classes=3, dropout=0.125, classifier_activation="softmax")
    assert model.get_layer("Dropout_0b").rate == 0.125 and model.name == "inception_v1"
    images = np.random.default_rng(0).uniform(-1, 1, (2, 32, 32, 3)).astype(np.float32)
    np.testing.assert_allclose(np.asarray(model(images)).sum(axis=1), 1, rtol=1e-5)
    assert InceptionV1(architecture=row).get_layer("Dropout_0b").rate == 0.2
    assert InceptionV1(architecture=row, input_shape=(64, 32, 4)).input_shape == (None, 64, 32, 4)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"input_shape": (9, 64, 64, 3)}, r"`input_shape` must be \(height, width, channels\)"),
        ({"input_shape": (31, 32, 3)}, r"needs 32 x 32 \(height x width\) or more.*height=31"),
        ({"input_shape": (32, 31, 3)}, "width=31"),
        ({"include_top": False, "pooling": "sum"}, "`pooling` must be one of"),
    ],
)
def test_wrong_arguments(narrow, options, why):
    with pytest.raises(ValueError, match=why):
        InceptionV1(architecture=narrow["googlenet"], **options)


def test_a_picture_that_is_too_small_is_refused(narrow):
    model = InceptionV1(architecture=narrow["googlenet"])
    with pytest.raises(ValueError, match="height=31"):
        model(np.zeros((1, 31, 40, 3), np.float32))


def picture(path, *, short_side, size):
    """Center crop of an RGB picture, uint8 (1, size, size, 3)."""
    from PIL import Image

    image = Image.open(path).convert("RGB")
    scale = short_side / min(image.size)
    image = image.resize([round(side * scale) for side in image.size], Image.Resampling.BILINEAR)
    pixels = np.asarray(image)
    top, left = ((side - size) // 2 for side in pixels.shape[:2])
    return pixels[None, top : top + size, left : left + size]


@pytest.fixture(scope="module")
def imagenet(shared):
    pytest.importorskip("PIL")
    return InceptionV1(weights=shared / "reference/inception5h")


def test_the_imagenet_release_knows_a_dog(shared, imagenet):
    assert imagenet.count_params() == 7_066_380 and len(imagenet.labels) == 1008
    assert imagenet.architecture == "googlenet" and imagenet.clip_spec == INCEPTION5H
    dog = picture(shared / "reference/inception5h/dog.jpg", short_side=256, size=224)
    probabilities = softmax(imagenet.predict(INCEPTION5H.normalize(dog), verbose=0)[0])
    assert imagenet.labels[probabilities.argmax()] == DALMATIAN
    assert probabilities.max() > 0.99


def test_the_imagenet_release_gives_features(shared, imagenet):
    model = InceptionV1(weights=shared / "reference/inception5h", include_top=False, pooling="avg")
    images = INCEPTION5H.normalize(np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3)))
    expected = np.asarray(feature_model(imagenet, "Mixed_5c")(images)).mean(axis=(1, 2))
    np.testing.assert_allclose(np.asarray(model(images)), expected, rtol=1e-4, atol=1e-4)
    assert model.labels == ()


@pytest.mark.long
def test_the_inflated_imagenet_release_knows_the_dog_too(shared, imagenet):
    dog = picture(shared / "reference/inception5h/dog.jpg", short_side=256, size=224)
    steady = np.repeat(INCEPTION5H.normalize(dog)[:, None], 9, axis=1)
    center = inflate(imagenet, temporal="center")
    assert center.labels == imagenet.labels
    logits = center.predict(steady, verbose=0)
    np.testing.assert_allclose(logits, imagenet.predict(steady[:, 0], verbose=0), atol=1e-3)
    # The average reaches 180 frames far, so a smaller picture of the dog.
    dog = picture(shared / "reference/inception5h/dog.jpg", short_side=112, size=96)
    steady = np.repeat(INCEPTION5H.normalize(dog)[:, None], 192, axis=1)
    plain = imagenet.predict(steady[:, 0], verbose=0)[0]
    inflated = inflate(imagenet)
    steps = feature_model(inflated, "Conv3d_0c_1x1").predict(steady, verbose=0)[0, :, 0, 0]
    inner = steps[len(steps) // 2]
    assert imagenet.labels[plain.argmax()] == imagenet.labels[inner.argmax()] == DALMATIAN
    np.testing.assert_allclose(inner, plain, atol=2e-3)
