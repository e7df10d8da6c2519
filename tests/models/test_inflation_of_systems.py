"""ImageNet weights in the systems: each stream answers as the image network where it can."""

import numpy as np
import pytest

from kinetics_i3d.core.clip_spec import INCEPTION5H
from kinetics_i3d.models.c3d import C3D
from kinetics_i3d.models.conv_net_lstm import ConvNetLSTM
from kinetics_i3d.models.inception_i3d import InceptionI3D
from kinetics_i3d.models.inception_v1 import InceptionV1
from kinetics_i3d.models.inflation import start_from_images
from kinetics_i3d.models.load import feature_model
from kinetics_i3d.models.two_stream import TwoStream
from kinetics_i3d.models.two_stream_fused import TwoStreamFused
from kinetics_i3d.models.two_stream_i3d import TwoStreamI3D
from kinetics_i3d.weights.assign import named_variables

pytestmark = pytest.mark.slow  # each trains or runs whole networks

SYSTEMS = (ConvNetLSTM, TwoStream, TwoStreamFused, TwoStreamI3D)


@pytest.fixture(scope="module")
def images(known, randomize):
    return {
        row: randomize(InceptionV1(architecture=f"{row}_narrow", classes=7), seed=5)
        for row in ("inception_v1", "googlenet")
    }


def pixels(channels, side=40):
    return np.random.default_rng(6).integers(0, 256, (1, side, side, channels))


@pytest.mark.parametrize(
    ("system", "row"), [*zip(SYSTEMS, ("googlenet", "inception_v1") * 2, strict=True)]
)
def test_every_inception_gets_the_weights_and_the_rest_keeps_its_own(images, system, row):
    model = system(architecture=f"{row}_narrow", classes=7)
    before = {name: v.numpy() for name, v in named_variables(model).items()}
    assert start_from_images(model, images[row]) is model
    theirs = {name: v.numpy() for name, v in named_variables(images[row]).items()}
    for name, variable in named_variables(model).items():
        stream, _, plain = name.partition("/")
        inside = stream in ("rgb", "flow") and "0c_1x1" not in name
        if not inside:
            np.testing.assert_array_equal(variable.numpy(), before[name], err_msg=name)
            continue
        source = plain.replace("3d", "2d").replace(
            "5b_Branch_2_Conv2d_0a_3", "5b_Branch_2_Conv2d_0b_3"
        )
        expected, found = theirs[source], variable.numpy()
        if found.ndim == 5:
            found = found.sum(axis=0)  # over time
        if "1a_7x7_conv" not in name:
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7, err_msg=name)


@pytest.mark.parametrize("stream", ["rgb", "flow"])
@pytest.mark.parametrize("row", ["inception_v1", "googlenet"])
def test_the_first_kernel_reads_the_mean_for_every_channel(images, stream, row):
    """Pixels of any number of channels give what the image network gives of their mean."""
    model = start_from_images(TwoStream(architecture=f"{row}_narrow", classes=2), images[row])
    network = model.streams[stream]
    spec, channels = model.clip_specs[stream], network.input_shape[-1]
    picture = pixels(channels)
    found = np.asarray(feature_model(network, "Conv2d_1a_7x7_conv")(spec.normalize(picture)))
    old = images[row].clip_spec
    kernel = images[row].get_layer("Conv2d_1a_7x7_conv")
    seen = old.normalize(picture)
    if channels != 3:  # all three read the mean of what stands there, as often as it stands there
        seen = np.repeat(seen.sum(axis=-1, keepdims=True), 3, axis=-1) / 3
    expected = np.asarray(kernel(seen.astype(np.float32)))
    inner = (slice(None), slice(2, -2), slice(2, -2))
    scale = np.abs(expected).max()
    np.testing.assert_allclose(found[inner], expected[inner], rtol=1e-3, atol=1e-4 * scale)


def test_temporal_center_gives_the_images_answer_at_once(images):
    model = TwoStreamI3D(architecture="googlenet_narrow", classes=2)
    start_from_images(model, images["googlenet"], temporal="center")
    picture = INCEPTION5H.normalize(pixels(3))
    clip = np.repeat(picture[:, None], 9, axis=1)
    found = np.asarray(feature_model(model.streams["rgb"], "Mixed_3c")(clip))
    expected = np.asarray(feature_model(images["googlenet"], "Mixed_3c")(picture))
    for step in range(found.shape[1]):
        np.testing.assert_allclose(found[:, step], expected, rtol=1e-3, atol=1e-5 * expected.max())


def test_what_does_not_fit_is_refused(images, known):
    flat = images["googlenet"]
    with pytest.raises(ValueError, match=r"`model` must contain an Inception-V1.*c3d"):
        start_from_images(C3D(architecture="c3d_eighth"), flat)
    model = TwoStream(architecture="inception_v1_narrow", classes=2)
    with pytest.raises(ValueError, match="`images` must have the architecture 'inception_v1_narr"):
        start_from_images(model, flat)
    clips = InceptionI3D(architecture="googlenet_narrow")
    with pytest.raises(ValueError, match=r"`images` must read images\. Received: input_shape"):
        start_from_images(model, clips)
    with pytest.raises(ValueError, match="`temporal` must be one of"):
        start_from_images(model, flat, temporal="first")


@pytest.mark.long
def test_the_release_of_2014_starts_every_system(shared):
    flat = InceptionV1(weights=shared / "reference" / "inception5h")
    backbone = feature_model(flat, "Mixed_5c")
    picture = INCEPTION5H.normalize(pixels(3, side=64))
    expected = np.asarray(backbone(picture))
    assert expected.max() > 1
    for system in SYSTEMS:
        model = start_from_images(system(architecture="googlenet", classes=2), flat)
        network = model.streams["rgb"]
        if system is TwoStreamI3D:
            # Inner frames of a boring video; zeros in time reach less deep at an early layer.
            clip, endpoint = np.repeat(picture[:, None], 25, axis=1), "Conv3d_2c_3x3"
            found = np.asarray(feature_model(network, endpoint)(clip))[:, 6]
            plain = np.asarray(feature_model(flat, "Conv2d_2c_3x3")(picture))
            np.testing.assert_allclose(found, plain, rtol=1e-3, atol=1e-4 * plain.max())
        else:
            found = np.asarray(feature_model(network, "Mixed_5c")(picture))
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * expected.max())
        del model, network
