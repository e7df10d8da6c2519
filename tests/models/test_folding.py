"""Folded copies answer as their models do, in float32 and in bfloat16."""

import keras
import numpy as np
import pytest
from keras import layers
from short_network import shortened

import kinetics_i3d as ki3d
from kinetics_i3d.core.clip_spec import DEEPMIND
from kinetics_i3d.models.clip_model import ClipModel
from kinetics_i3d.models.folding import Folded, fold, foldable, folded, late_layers

SMALL = {"rgb": (9, 32, 40, 3), "flow": (9, 32, 40, 2)}
STACKS = {"rgb": (2, 32, 32, 3), "flow": (20, 32, 32, 2)}
# System: (options of its constructor, clip shapes, batch norms that no kernel stands before)
SYSTEMS = {
    "InceptionI3D": ({"architecture": "inception_v1"}, SMALL["rgb"], 0),
    "GoogLeNet": ({"architecture": "googlenet"}, (9, 40, 33, 3), 0),
    "C3D": ({"architecture": "c3d_eighth"}, (16, 112, 112, 3), 0),
    "ConvNetLSTM": ({"architecture": "inception_v1"}, STACKS["rgb"], 1),
    "TwoStream": ({"architecture": "inception_v1"}, STACKS, 0),
    "TwoStreamFused": ({"architecture": "inception_v1"}, STACKS, 0),
    "TwoStreamI3D": ({"architecture": "inception_v1"}, SMALL, 0),
}


def build(name, narrow):
    options = dict(SYSTEMS[name][0])
    row = options["architecture"]
    options["architecture"] = shortened(narrow[row]) if row in narrow else row
    return getattr(ki3d, name.replace("GoogLeNet", "InceptionI3D"))(classes=5, **options)


def all_layers(model):
    """{path: layer}, those of networks inside too."""
    found = {}
    for layer in model.layers:
        found[layer.name] = layer
        if hasattr(layer, "layers"):
            found |= {f"{layer.name}/{key}": one for key, one in all_layers(layer).items()}
    return found


def late_paths(model):
    """The paths of the late layers, those of networks inside too."""
    found = set(late_layers(model))
    for layer in model.layers:
        if hasattr(layer, "layers"):
            found |= {f"{layer.name}/{path}" for path in late_paths(layer)}
    return found


def clips_of(name, count=2):
    random, shape = np.random.default_rng(1), SYSTEMS[name][1]
    draw = lambda one: random.uniform(-1, 1, (count, *one)).astype(np.float32)  # noqa: E731
    return (
        {key: draw(one) for key, one in shape.items()} if isinstance(shape, dict) else draw(shape)
    )


@pytest.mark.long
@pytest.mark.parametrize("name", SYSTEMS)
def test_the_copy_answers_alike(name, narrow, randomize):
    model, clips = randomize(build(name, narrow)), clips_of(name)
    model.labels = tuple("abcde")
    before = [array.copy() for array in model.get_weights()]
    right = model.predict_on_batch(clips)
    assert right.std(0).max() > 1e-3  # the clips can be told apart
    quick = fold(model)
    reach = np.abs(right).max()
    np.testing.assert_allclose(quick.predict_on_batch(clips), right, atol=1e-4 * reach)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)

    old, new = ([type(one) for one in all_layers(each).values()] for each in (model, quick))
    norm = layers.BatchNormalization
    assert new.count(norm) == SYSTEMS[name][2] == old.count(norm) - new.count(Folded)
    assert set(all_layers(quick)) == set(all_layers(model))
    for field in ("name", "labels", "clip_specs", "minimums", "system"):
        assert getattr(quick, field) == getattr(model, field)
    assert not quick.trainable_variables

    low = fold(model, "mixed_bfloat16")
    if name in ("InceptionI3D", "TwoStreamFused"):  # each takes seconds to compile
        near = low.predict_on_batch(clips)
        assert near.dtype == np.float32 and not np.array_equal(near, right)
        np.testing.assert_allclose(near, right, atol=0.05 * reach)
    # The same layers as the builders' own stay exact, and the late ones.
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        mixed = all_layers(build(name, narrow))
    finally:
        keras.config.set_dtype_policy("float32")
    late = late_paths(model)
    for path, layer in all_layers(low).items():
        if not isinstance(layer, (layers.InputLayer, ClipModel)):
            wanted = "float32" if path in late else mixed[path].compute_dtype
            assert layer.compute_dtype == wanted, path


def clip_model(inputs, outputs):
    return ClipModel(inputs, outputs, clip_spec=DEEPMIND, architecture="x", minimum=(1, 1, 1))


@pytest.mark.slow
def test_late_layers_of_i3d_are_those_after_the_last_pool_with_a_stride():
    late = late_layers(ki3d.InceptionI3D(classes=5))
    assert {name.split("_")[0] + name.split("_")[1] for name in late if "Mixed" in name} == {
        "Mixed5b",
        "Mixed5c",
    }
    assert "Conv3d_0c_1x1" in late and "MaxPool3d_5a_2x2" not in late


@pytest.mark.parametrize("scaled", [True, False])
def test_kernel_and_bias_are_those_of_the_formula(scaled):
    clips = keras.Input((2, 3, 3, 3))
    norm = layers.BatchNormalization(scale=scaled, center=scaled, epsilon=0.1)
    conv = layers.Conv3D(4, 2, use_bias=scaled)
    clip_model(clips, norm(conv(clips)))
    random = np.random.default_rng(0)
    for variable in [*conv.weights, *norm.weights]:
        variable.assign(random.uniform(0.5, 2, variable.shape))
    kernel, bias = folded(conv, norm)
    assert kernel.dtype == bias.dtype == np.float32
    values = {one.name: one.numpy() for one in [*norm.weights, *conv.weights]}
    deviation = np.sqrt(values["moving_variance"] + 0.1)
    gamma = values.get("gamma", 1.0)
    np.testing.assert_allclose(kernel, values["kernel"] * gamma / deviation, rtol=1e-6)
    zero = (values.get("bias", 0.0) - values["moving_mean"]) / deviation  # of an input of zeros
    np.testing.assert_allclose(bias, zero * gamma + values.get("beta", 0.0), rtol=1e-5)


def test_a_norm_that_is_not_alone_behind_a_plain_kernel_stays():
    clips = keras.Input((4, 4, 4, 3))
    lit = layers.Conv3D(4, 1, activation="relu", name="lit")(clips)
    twice = layers.Conv3D(4, 1, name="twice")(clips)
    shown = layers.Conv3D(4, 1, name="shown")(clips)
    across = layers.Conv3D(4, 1, name="across")(clips)
    alone = layers.Conv3D(4, 1, name="alone")(clips)
    tensors = {"lit": lit, "twice": twice, "shown": shown, "alone": alone}
    norms = [layers.BatchNormalization(name=f"{key}_bn")(one) for key, one in tensors.items()]
    norms.append(layers.BatchNormalization(axis=1, name="across_bn")(across))
    model = clip_model(clips, [layers.Add()([*norms, twice]), shown])
    assert list(foldable(model)) == ["alone_bn"]


@pytest.mark.slow
def test_the_copy_is_saved_as_a_model_and_not_as_weights(tmp_path, narrow, randomize):
    quick = fold(randomize(build("InceptionI3D", narrow)))
    quick.save(tmp_path / "quick.keras")
    again = keras.saving.load_model(tmp_path / "quick.keras")
    clips = clips_of("InceptionI3D", 1)
    np.testing.assert_array_equal(again.predict_on_batch(clips), quick.predict_on_batch(clips))
    ki3d.save_weights(quick, tmp_path / "quick.h5")
    with pytest.raises(ki3d.WeightsError, match=r"unknown architecture '.*, optimized'"):
        ki3d.InceptionI3D(weights=tmp_path / "quick.h5")
