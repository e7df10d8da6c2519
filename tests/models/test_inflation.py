"""Inflation: the inflated answers as the image network where padding in time is out of reach."""

import dataclasses

import numpy as np
import pytest
import reference

from kinetics_i3d.core.clip_spec import DEEPMIND, INCEPTION5H, ClipSpec
from kinetics_i3d.core.errors import WeightsError
from kinetics_i3d.models.inception_i3d import InceptionI3D
from kinetics_i3d.models.inception_v1 import InceptionV1
from kinetics_i3d.models.inflation import adapt_to_stream, inflate, inflate_kernel
from kinetics_i3d.models.load import feature_model, load_model
from kinetics_i3d.models.pretrained import checkpoint_of, save_weights
from kinetics_i3d.weights.assign import named_variables

pytestmark = pytest.mark.slow

FIRST = "Conv3d_1a_7x7_conv"
FRAMES = {"inception_v1": 120, "googlenet": 200}


@pytest.fixture(scope="module")
def flat(known, randomize):
    """Image networks of 7 classes, by the name of their row."""
    models = {}
    for name, row in known.items():
        models[name] = randomize(InceptionV1(architecture=row, classes=7), seed=5)
        models[name].labels = tuple("abcdefg")
    return models


def image(seed=6, side=40):
    return np.random.default_rng(seed).uniform(-1, 1, (1, side, side, 3)).astype(np.float32)


def boring(picture, frames):
    return np.repeat(picture[:, np.newaxis], frames, axis=1)


def out_of_reach(frames, third):
    """{endpoint: bool per time step}: whether no zero padding in time is seen from there.

    A pool ignores what is outside, a convolution reads zeros there.
    """

    def pass_on(clean, kernel, stride, *, pool=False):
        front, behind = reference.same_padding(len(clean), kernel, stride)
        clean = np.concatenate([[pool] * front, clean, [pool] * behind])
        return np.array(
            [clean[at : at + kernel].all() for at in range(0, len(clean) - kernel + 1, stride)]
        )

    first = clean = pass_on(np.ones(frames, bool), 7, 2)
    clean = pass_on(clean, 3, 1)
    for modules, pool in ((2, 3), (5, 3 if third == 5 else 2), (2, None)):
        for _ in range(modules):
            clean = pass_on(clean, third, 1)
        if pool:
            clean = pass_on(clean, pool, 2, pool=True)
    logits = clean[1:] & clean[:-1]
    return {"Conv3d_1a_7x7": first, "Mixed_5c": clean, "Conv3d_0c_1x1": logits}


@pytest.mark.long
@pytest.mark.parametrize("row", ["inception_v1", "googlenet"])
def test_inner_frames_of_a_boring_video_are_those_of_the_image(flat, row):
    inflated, picture = inflate(flat[row]), image()
    clips = boring(picture, FRAMES[row])
    reach = out_of_reach(FRAMES[row], third=5 if row == "googlenet" else 3)
    for endpoint, inner in reach.items():
        found = np.asarray(feature_model(inflated, endpoint)(clips))[0]
        expected = np.asarray(feature_model(flat[row], endpoint.replace("3d", "2d"))(picture))[0]
        scale = np.abs(expected).max()
        assert inner.any() and not inner.all() and len(inner) == len(found), endpoint
        error = np.abs(found - expected).max(axis=(1, 2, 3)) / scale
        assert error[inner].max() < 1e-5, endpoint
        assert min(error[0], error[-1]) > 1e-3, endpoint  # the zeros do count at the ends


@pytest.mark.parametrize("row", ["inception_v1", "googlenet"])
@pytest.mark.parametrize("frames", [9, 12])
def test_center_answers_as_the_image_network_at_every_step(flat, row, frames):
    inflated, picture = inflate(flat[row], temporal="center"), image()
    found = np.asarray(inflated(boring(picture, frames)))
    np.testing.assert_allclose(found, np.asarray(flat[row](picture)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("temporal", ["average", "center"])
@pytest.mark.parametrize("frames", [1, 3, 5, 7])
def test_a_kernel_answers_the_same_where_nothing_is_padded(temporal, frames):
    random = np.random.default_rng(frames)
    kernel = random.normal(0, 1, (3, 5, 4, 6)).astype(np.float32)
    picture = random.normal(0, 1, (2, 9, 11, 4))
    inflated = inflate_kernel(kernel, frames, temporal=temporal)
    assert inflated.shape == (frames, 3, 5, 4, 6) and inflated.dtype == np.float32
    flat = reference.conv(picture, kernel, valid=True)
    deep = reference.conv(boring(picture, frames + 2), inflated, valid=True)
    assert deep.shape == (2, 3, 7, 7, 6)
    np.testing.assert_allclose(deep, np.repeat(flat[:, None], 3, axis=1), rtol=1e-5, atol=1e-5)


def test_average_spreads_evenly_and_center_keeps_one_frame():
    kernel = np.arange(1, 5, dtype=np.float32).reshape(1, 1, 2, 2)
    average, center = (inflate_kernel(kernel, 5, temporal=how) for how in ("average", "center"))
    for frame in average:
        np.testing.assert_array_equal(frame, kernel / np.float32(5))
    np.testing.assert_array_equal(center[2], kernel)
    assert not center[[0, 1, 3, 4]].any()


@pytest.mark.parametrize("row", ["inception_v1", "googlenet"])
def test_all_but_kernels_is_carried_to_the_bit(flat, row):
    inflated = inflate(flat[row])
    theirs = {n.replace("2d", "3d"): v.numpy() for n, v in named_variables(flat[row]).items()}
    ours = {name: variable.numpy() for name, variable in named_variables(inflated).items()}
    # Rank 3 with 3x3x3 branches misspells one unit as the release does.
    wrong = "Mixed_5b_Branch_2_Conv3d_0b_3x3"
    theirs = {name.replace(wrong, wrong.replace("0b", "0a")): a for name, a in theirs.items()}
    assert ours.keys() == theirs.keys()
    parts = {name.split("/")[1] for name in ours}
    assert parts == {"kernel", "bias"} | (
        {"beta", "moving_mean", "moving_variance"} if row == "inception_v1" else set()
    )
    for name, array in ours.items():
        if name.endswith("/kernel"):
            assert array.shape[1:] == theirs[name].shape
            np.testing.assert_allclose(array.sum(axis=0), theirs[name], rtol=1e-6, atol=1e-7)
        else:
            np.testing.assert_array_equal(array, theirs[name])
    np.testing.assert_array_equal(ours["Conv3d_0c_1x1/kernel"][0], theirs["Conv3d_0c_1x1/kernel"])


def test_the_inflated_model_keeps_labels_spec_and_architecture(flat):
    inflated = inflate(flat["googlenet"], dropout=0.25)
    assert inflated.labels == tuple("abcdefg") and inflated.output_shape == (None, 7)
    assert inflated.clip_spec == INCEPTION5H and inflated.architecture == "googlenet_narrow"
    assert (
        inflated.name == "inflated_inception_v1" and inflated.get_layer("Dropout_0b").rate == 0.25
    )
    assert inflated.input_shape == (None, None, None, None, 3)
    assert inflate(flat["googlenet"], name="mine").name == "mine"


def test_a_new_classifier_replaces_the_old_one(flat):
    inflated = inflate(flat["googlenet"], classes=7)
    assert inflated.output_shape == (None, 7) and inflated.labels == ()
    old = flat["googlenet"].get_layer("Conv2d_0c_1x1").kernel.numpy()
    new = inflated.get_layer("Conv3d_0c_1x1").kernel.numpy()[0]
    assert new.std() > 0 and not np.isclose(new, old).any()
    bias = inflated.get_layer("Conv3d_0c_1x1").bias.numpy()
    np.testing.assert_array_equal(bias, np.zeros(7))
    assert inflate(flat["googlenet"], classes=3).output_shape == (None, 3)


def test_without_a_top_there_is_none_unless_requested(known):
    body = InceptionV1(architecture=known["googlenet"], include_top=False)
    inflated = inflate(body)
    assert "Conv3d_0c_1x1" not in [layer.name for layer in inflated.layers]
    assert inflate(body, classes=4).output_shape == (None, 4)


def test_other_channels_read_the_mean_of_the_first_kernel(flat):
    old = flat["inception_v1"].get_layer("Conv2d_1a_7x7_conv").kernel.numpy().astype(np.float64)
    inflated = inflate(flat["inception_v1"], channels=2)
    new = inflated.get_layer(FIRST).kernel.numpy()
    assert inflated.input_shape[-1] == 2 and new.shape == (7, 7, 7, 2, old.shape[-1])
    mean = old.sum(axis=2) / 3 / 7
    for frame in range(7):
        for channel in range(2):
            np.testing.assert_allclose(new[frame, :, :, channel], mean, rtol=1e-5, atol=1e-8)


def test_two_channels_bring_a_flow_spec(flat, tmp_path):
    inflated = inflate(flat["inception_v1"], channels=2)
    assert inflated.clip_spec == flat["inception_v1"].clip_spec.for_flow()
    made = InceptionI3D(
        architecture=inflated.architecture, classes=2, input_shape=(None, None, None, 2)
    )
    assert made.clip_spec.stream == "flow"
    save_weights(made, tmp_path / "flow.h5")
    assert load_model(tmp_path / "flow.h5").input_shape[-1] == 2
    with pytest.raises(ValueError, match="`clip_spec` must be of a stream of 2 channels"):
        save_weights(made, tmp_path / "rgb.h5", clip_spec=DEEPMIND)


def test_a_flow_spec_brings_two_channels(flat):
    spec = ClipSpec("flow", stream="flow")
    inflated = inflate(flat["inception_v1"], clip_spec=spec)
    assert inflated.input_shape[-1] == 2 and inflated.clip_spec == spec


@pytest.mark.parametrize("spec", [DEEPMIND, ClipSpec("unit", low=0.0, high=1.0)])
def test_another_range_is_folded_into_the_first_unit(flat, spec):
    model = flat["googlenet"]
    inflated = inflate(model, clip_spec=spec, temporal="center")
    assert inflated.clip_spec == spec
    pixels = np.random.default_rng(7).integers(0, 256, (1, 40, 44, 3))
    expected = np.asarray(feature_model(model, "Conv2d_1a_7x7")(INCEPTION5H.normalize(pixels)))
    clips = boring(spec.normalize(pixels), 9)
    found = np.asarray(feature_model(inflated, "Conv3d_1a_7x7")(clips))
    # At the edge the zeros outside mean another gray in each range. At the ends nothing changes:
    # the kernel's one frame is always inside.
    inner = (slice(1, -2), slice(1, -2))
    scale = expected.max()
    for step in range(found.shape[1]):
        np.testing.assert_allclose(
            found[0, step][inner], expected[0][inner], rtol=1e-4, atol=1e-5 * scale
        )
    assert np.abs(found[0, 0] - expected[0]).max() > 1e-3 * scale


def test_a_range_for_flow_is_folded_by_the_channels_that_it_reads(flat):
    model = flat["googlenet"]
    same = dataclasses.replace(model.clip_spec, stream="flow")  # of the same range
    same = inflate(model, clip_spec=same, temporal="center")
    spec = ClipSpec("flow", stream="flow")
    inflated = inflate(model, clip_spec=spec, temporal="center")
    pixels = np.random.default_rng(8).integers(0, 256, (1, 40, 44, 2))
    expected, found = (
        np.asarray(feature_model(m, "Conv3d_1a_7x7")(boring(m.clip_spec.normalize(pixels), 9)))
        for m in (same, inflated)
    )
    inner = (slice(None), slice(None), slice(1, -2), slice(1, -2))
    np.testing.assert_allclose(found[inner], expected[inner], rtol=1e-3, atol=1e-4 * expected.max())


def test_a_range_needs_a_bias(flat):
    spec = ClipSpec("unit", low=0.0, high=1.0)
    with pytest.raises(ValueError, match=r"'unit' cannot be folded .* without bias.*-1.0 to 1.0"):
        inflate(flat["inception_v1"], clip_spec=spec)
    other = dataclasses.replace(DEEPMIND, name="other", fps=12.5, size=112)
    assert inflate(flat["inception_v1"], clip_spec=other).clip_spec == other


def test_inflation_leaves_the_image_network_alone(flat):
    before = [value.copy() for value in flat["googlenet"].get_weights()]
    inflate(flat["googlenet"], clip_spec=DEEPMIND)
    for old, new in zip(before, flat["googlenet"].get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_wrong_arguments(flat, narrow):
    with pytest.raises(ValueError, match=r"`model` must read images\. Received: input_shape"):
        inflate(InceptionI3D(architecture=narrow["googlenet"]))
    with pytest.raises(ValueError, match=r"`temporal` must be one of \('average', 'center'\)"):
        inflate(flat["googlenet"], temporal="first")
    stranger = InceptionV1(architecture=dataclasses.replace(narrow["googlenet"], name="new"))
    with pytest.raises(WeightsError, match="unknown architecture 'new'"):
        inflate(stranger)


def test_rgb_weights_adapted_to_flow_see_the_mean_of_the_input_channels(short, randomize):
    rgb = randomize(InceptionI3D(architecture=short, classes=3), seed=1)
    before = checkpoint_of(rgb)
    after = adapt_to_stream(before, "flow")
    flow = InceptionI3D(weights=after, architecture=short)
    assert flow.clip_spec == dataclasses.replace(rgb.clip_spec, stream="flow")
    kernel = f"{FIRST}/kernel"
    for name, array in before.arrays.items():
        if name != kernel:
            np.testing.assert_array_equal(after.arrays[name], array)
    # With one value in all channels, two averaged channels weigh two thirds of three.
    values = np.random.default_rng(2).uniform(-1, 1, (1, 9, 32, 32, 1)).astype(np.float32)
    three = feature_model(rgb, f"{FIRST}")(np.repeat(values, 3, axis=-1)).numpy()
    two = feature_model(flow, f"{FIRST}")(np.repeat(values, 2, axis=-1)).numpy()
    np.testing.assert_allclose(two, three * 2 / 3, rtol=1e-4, atol=1e-5)
    assert adapt_to_stream(after, "flow") is after


def test_only_an_i3d_is_adapted_to_another_stream(known):
    images = InceptionV1(architecture=known["inception_v1"], classes=2)
    with pytest.raises(WeightsError, match="only weights of an InceptionI3D can be adapted"):
        adapt_to_stream(checkpoint_of(images), "flow")
