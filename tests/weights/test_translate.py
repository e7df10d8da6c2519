"""From foreign names to ours: layouts told apart, axes turned, scales folded, faults listed."""

import numpy as np
import pytest

from kinetics_i3d.core.clip_spec import DEEPMIND
from kinetics_i3d.core.errors import WeightsError
from kinetics_i3d.core.labels import label_list
from kinetics_i3d.weights.layouts import LAYOUTS, to_layout, translate

WIDTH = 2


def made(layout, *, classes=3, channels=3, scales=True, seed=0):
    """Random arrays under a layout's names, every kernel with axes of different lengths."""
    random = np.random.default_rng(seed)
    arrays = {}
    for name, ours in layout.names().items():
        if ours.endswith("/gamma") and not scales:
            continue
        count = classes if "_0c_1x1/" in ours else WIDTH
        if ours.endswith("/kernel"):
            into = channels if "d_1a_7x7_" in ours else WIDTH
            shape = np.array([3, 4, 5, into, count] if layout.rank == 3 else [4, 5, into, count])
            if layout.kernel_axes:
                there = np.empty(5, int)
                there[list(layout.kernel_axes)] = shape
                shape = there
        else:
            shape = (count,)
        arrays[layout.prefixes[0] + name if "Logits" not in name else name] = random.uniform(
            0.5, 1.5, tuple(shape)
        ).astype(np.float32)
    if layout.name == "deepmind":
        head = [name for name in arrays if name.startswith("Logits")]
        arrays |= {layout.prefixes[0] + name: arrays.pop(name) for name in head}
    return arrays


@pytest.fixture(params=LAYOUTS.values(), ids=lambda layout: layout.name)
def layout(request):
    return request.param


def test_each_layout_is_recognized_and_read_whole(layout):
    read = translate(made(layout), "file")
    assert len(read.arrays) == 57 * 4 + 2
    assert read.info.rank == layout.rank and read.info.architecture is None
    assert (read.info.classes, read.info.labels, read.info.clip_spec) == (3, (), DEEPMIND)
    assert not any(name.endswith("gamma") for name in read.arrays)
    first = read.arrays[f"Conv{layout.rank}d_1a_7x7_conv/kernel"]
    assert first.shape == (3, 4, 5, 3, WIDTH)[-layout.rank - 2 :]


def test_torch_kernels_are_turned_element_by_element():
    arrays = made(LAYOUTS["torch"], scales=False)
    theirs = arrays["Mixed_3b.b1b.conv3d.weight"]
    ours = translate(arrays, "file").arrays["Mixed_3b_Branch_1_Conv3d_0b_3x3_conv/kernel"]
    for out, into, time, row, column in np.ndindex(*theirs.shape):
        assert ours[time, row, column, into, out] == theirs[out, into, time, row, column]


def test_a_scale_is_folded_exactly(layout):
    """At given statistics the unit answers as with the scale, of any sign and zero too."""
    arrays = made(layout)
    names = {ours: name for name, ours in layout.names().items()}
    unit = f"Mixed_4d_Branch_1_Conv{layout.rank}d_0b_3x3"

    def theirs(part):
        name = names[f"{unit}_{part}"]
        return layout.prefixes[0] + name

    arrays[theirs("bn/gamma")] = np.array([-1.75, 0.0], np.float32)
    stored = {part: arrays[theirs(part)].astype(np.float64) for part in UNIT}
    kernel = stored["conv/kernel"]
    kernel = kernel.transpose(layout.kernel_axes) if layout.kernel_axes else kernel
    x = np.random.default_rng(1).normal(size=kernel.shape[:-1])
    axes = kernel.ndim - 1

    def unit_of(kernel, beta, mean, variance, gamma=1.0):
        response = np.tensordot(x, kernel, axes=axes)
        return gamma * (response - mean) / np.sqrt(variance + 1e-3) + beta

    wanted = unit_of(kernel, *(stored[part] for part in UNIT[1:]))
    read = translate(arrays, "file").arrays
    found = unit_of(*(read[f"{unit}_{part}"] for part in UNIT[:-1]))
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


UNIT = ("conv/kernel", "bn/beta", "bn/moving_mean", "bn/moving_variance", "bn/gamma")


def test_statistics_of_rank_five_become_vectors():
    arrays = made(LAYOUTS["deepmind"], scales=False)
    bare = {name.removeprefix("RGB/inception_i3d/"): array for name, array in arrays.items()}
    wide = {
        name: array.reshape(1, 1, 1, 1, -1) if "batch_norm" in name else array
        for name, array in bare.items()
    }
    slots = {f"{name}/Momentum": array for name, array in wide.items()}
    read = translate(wide | slots, "file").arrays
    for name, array in translate(arrays, "file").arrays.items():
        np.testing.assert_array_equal(read[name], array)


def test_a_bias_without_axes_is_refused():
    arrays = made(LAYOUTS["deepmind"], scales=False)
    name = "RGB/inception_i3d/Logits/Conv3d_0c_1x1/conv_3d/b"
    with pytest.raises(WeightsError, match=f"scalars: .*{name}"):
        translate(arrays | {name: np.float32(1)}, "file")


@pytest.mark.parametrize(("classes", "name"), [(400, "kinetics400"), (600, "kinetics600")])
def test_the_releases_class_counts_bring_kinetics_labels(classes, name):
    read = translate(made(LAYOUTS["torch"], classes=classes), "file")
    assert read.info.labels == label_list(name)


def test_the_usual_width_says_the_architecture():
    arrays = made(LAYOUTS["torch"], scales=False)
    first = "Conv3d_1a_7x7.conv3d.weight"
    arrays[first] = np.resize(arrays[first], (64, *arrays[first].shape[1:]))
    assert translate(arrays, "file").info.architecture == "inception_v1"


def test_two_channels_are_flow():
    read = translate(made(LAYOUTS["keras_2018"], channels=2), "file")
    assert read.info.clip_spec.stream == "flow"


def test_a_file_without_classifier_has_no_classes(layout):
    arrays = {
        name: array
        for name, array in made(layout).items()
        if not any(name.endswith(head) for head in layout.head)
    }
    read = translate(arrays, "file")
    assert read.info.classes == 0 and len(read.arrays) == 57 * 4


def test_half_a_classifier_is_missing_something():
    arrays = made(LAYOUTS["torch"])
    del arrays["logits.conv3d.bias"]
    with pytest.raises(WeightsError, match=r"missing: logits\.conv3d\.bias"):
        translate(arrays, "file")


def test_everything_wrong_stands_in_one_message():
    arrays = made(LAYOUTS["torch"])
    del arrays["Mixed_3b.b0.conv3d.weight"], arrays["Mixed_5c.b3b.bn.bias"]
    arrays["fc.weight"] = arrays["logits.conv3d.weight"]
    arrays["Mixed_3c.b0.bn.running_var"] = -arrays["Mixed_3c.b0.bn.running_var"]
    arrays["Mixed_4b.b0.bn.bias"] = arrays["Mixed_4b.b0.bn.bias"] * np.nan
    arrays["Mixed_4c.b0.conv3d.weight"] = arrays["Mixed_4c.b0.conv3d.weight"][0]
    with pytest.raises(WeightsError) as raised:
        translate(arrays, "somewhere/x.pt")
    message = str(raised.value)
    assert message.startswith("somewhere/x.pt: read as torch (")
    for part in (
        "missing: Mixed_3b.b0.conv3d.weight, Mixed_5c.b3b.bn.bias",
        "unknown: fc.weight",
        "negative: Mixed_3c.b0.bn.running_var",
        "not finite: Mixed_4b.b0.bn.bias",
        "not of the rank of a kernel: Mixed_4c.b0.conv3d.weight",
    ):
        assert part in message


def test_another_network_error_lists_what_is_known():
    resnet = {f"layer{i}.{j}.conv1.weight": np.zeros(1) for i in range(4) for j in range(3)}
    with pytest.raises(WeightsError, match=r"not an Inception-V1 .*deepmind .*torch_branches"):
        translate(resnet, "resnet.pt")


def test_a_scale_of_another_length_does_not_broadcast():
    arrays = made(LAYOUTS["torch"])
    arrays["Mixed_3b.b0.bn.weight"] = np.ones(1, np.float32)
    with pytest.raises(WeightsError, match="Mixed_3b_Branch_0_Conv3d_0a_1x1: the scale's shape"):
        translate(arrays, "file")


def test_a_layout_there_and_back_is_the_identity(layout):
    ours = translate(made(layout, scales=False), "file").arrays
    again = translate(to_layout(ours, layout), "file").arrays
    assert set(again) == set(ours)
    for name, array in ours.items():
        np.testing.assert_array_equal(again[name], array)


def test_what_a_layout_cannot_name_is_refused():
    ours = translate(made(LAYOUTS["torch"]), "file").arrays
    ours["Conv3d_1a_7x7_conv/bias"] = ours.pop("Conv3d_1a_7x7_bn/beta")
    with pytest.raises(
        WeightsError, match=r"'torch' holds .*_conv/bias.*missing variables.*_bn/beta"
    ):
        to_layout(ours, LAYOUTS["torch"])
