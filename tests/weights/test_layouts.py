"""Name maps against the frozen names of the releases, and their properties."""

import json
import pathlib
import re

import pytest

from kinetics_i3d.weights.layouts import LAYOUTS, required

RELEASES = sorted((pathlib.Path(__file__).parent / "releases").glob("*.json"))


def stored(release):
    """{name without prefix: shape} of a release, slots of the optimizer left out."""
    shapes = json.loads(release.read_text())
    return {
        re.sub("^(RGB|Flow)/inception_i3d/", "", name): shape
        for name, shape in shapes.items()
        if not name.endswith("/Momentum")
    }


@pytest.mark.parametrize("release", RELEASES, ids=lambda path: path.stem)
def test_the_map_has_exactly_the_names_of_each_release(release):
    known = {name for name in LAYOUTS["deepmind"].names() if not name.endswith("/gamma")}
    assert set(stored(release)) == known and len(known) == 230


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=lambda layout: layout.name)
def test_maps_are_one_to_one(layout):
    names = layout.names()
    assert len(set(names.values())) == len(names) == 57 * 5 + 2
    assert len(required(layout)) == 57 * 4


def test_all_maps_of_clips_meet_in_the_same_variables():
    clips = [set(layout.names().values()) for layout in LAYOUTS.values() if layout.rank == 3]
    assert len(clips) == 5 and all(names == clips[0] for names in clips)


def test_the_map_has_exactly_the_variables_of_the_network():
    manifest = pathlib.Path(__file__).parents[1] / "models" / "inception_i3d_manifest.json"
    variables = set(json.loads(manifest.read_text()))
    ours = set(LAYOUTS["deepmind"].names().values())
    assert {name for name in ours if not name.endswith("/gamma")} == variables


# Names as they stand in files that people have.
@pytest.mark.parametrize(
    ("layout", "theirs", "ours"),
    [
        (
            "deepmind",
            "Mixed_5b/Branch_2/Conv3d_0a_3x3/conv_3d/w",
            "Mixed_5b_Branch_2_Conv3d_0a_3x3_conv/kernel",
        ),
        (
            "deepmind",
            "Mixed_5c/Branch_2/Conv3d_0b_3x3/batch_norm/moving_variance",
            "Mixed_5c_Branch_2_Conv3d_0b_3x3_bn/moving_variance",
        ),
        (
            "torch",
            "Mixed_5b.b2b.conv3d.weight",
            "Mixed_5b_Branch_2_Conv3d_0a_3x3_conv/kernel",
        ),
        ("torch", "Mixed_4e.b0.bn.running_mean", "Mixed_4e_Branch_0_Conv3d_0a_1x1_bn/moving_mean"),
        ("torch", "logits.conv3d.bias", "Conv3d_0c_1x1/bias"),
        ("flax", "Logits/Conv3d_0c_1x1/Conv_0/kernel", "Conv3d_0c_1x1/kernel"),
        ("flax", "Conv3d_1a_7x7/BatchNorm_0/bias", "Conv3d_1a_7x7_bn/beta"),
        (
            "flax",
            "Mixed_5b/Branch_2/Conv3d_0b_3x3/Conv_0/kernel",
            "Mixed_5b_Branch_2_Conv3d_0a_3x3_conv/kernel",
        ),
        (
            "flax",
            "Mixed_3c/Branch_3/Conv3d_0b_1x1/BatchNorm_0/var",
            "Mixed_3c_Branch_3_Conv3d_0b_1x1_bn/moving_variance",
        ),
        ("torch", "Conv3d_1a_7x7.bn.bias", "Conv3d_1a_7x7_bn/beta"),
        (
            "torch_branches",
            "mixed_5b.branch_2.1.batch3d.running_var",
            "Mixed_5b_Branch_2_Conv3d_0a_3x3_bn/moving_variance",
        ),
        (
            "torch_branches",
            "mixed_3b.branch_3.1.conv3d.weight",
            "Mixed_3b_Branch_3_Conv3d_0b_1x1_conv/kernel",
        ),
        (
            "keras_2018",
            "Conv3d_5b_2b_3x3_conv/kernel",
            "Mixed_5b_Branch_2_Conv3d_0a_3x3_conv/kernel",
        ),
        ("keras_2018", "Conv3d_6a_1x1_conv/bias", "Conv3d_0c_1x1/bias"),
        (
            "slim",
            "Mixed_5b/Branch_2/Conv2d_0a_3x3/BatchNorm/beta",
            "Mixed_5b_Branch_2_Conv2d_0b_3x3_bn/beta",
        ),
        ("slim", "InceptionV1/Logits/Conv2d_0c_1x1/biases", "Conv2d_0c_1x1/bias"),
    ],
)
def test_names_as_people_hold_them(layout, theirs, ours):
    assert LAYOUTS[layout].names()[theirs] == ours
