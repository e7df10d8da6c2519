"""The rows and how they scale."""

import dataclasses

import pytest

from kinetics_i3d.models.inception_i3d import ARCHITECTURES, GOOGLENET, INCEPTION_V1, MIXED

# FACTS: 1x1 | 3x3 reduce, 3x3 | 3x3 reduce, 3x3 | pool projection; written by channels out.
CHANNELS = {
    "Mixed_3b": 256,
    "Mixed_3c": 480,
    "Mixed_4b": 512,
    "Mixed_4c": 512,
    "Mixed_4d": 512,
    "Mixed_4e": 528,
    "Mixed_4f": 832,
    "Mixed_5b": 832,
    "Mixed_5c": 1024,
}


def test_modules_give_the_papers_channels():
    one, _, three, _, third, projection = zip(*MIXED.values(), strict=True)
    sums = map(sum, zip(one, three, third, projection, strict=True))
    assert dict(zip(MIXED, sums, strict=True)) == CHANNELS


def test_the_network_of_2014_differs_in_two_modules():
    different = {name for name in MIXED if GOOGLENET.mixed[name] != INCEPTION_V1.mixed[name]}
    assert different == {"Mixed_4b", "Mixed_5b"}
    assert GOOGLENET.mixed["Mixed_4b"][2] == 204 and GOOGLENET.mixed["Mixed_5b"][3] == 48


@pytest.mark.parametrize(
    ("width", "counts"),
    [
        (1.0, {64: 64, 204: 204, 16: 16}),
        (0.5, {64: 32, 204: 104, 16: 8}),
        (0.25, {64: 16, 204: 52, 16: 4, 112: 28}),
        (0.1, {64: 8, 204: 20, 16: 4, 192: 20}),
        (0.01, {64: 4, 384: 4}),
        (2.0, {64: 128}),
    ],
)
def test_width_rounds_up_to_multiples_of_four(width, counts):
    row = dataclasses.replace(INCEPTION_V1, width=width)
    assert {count: row.filters(count) for count in counts} == counts


def test_rows_are_listed_by_their_own_names():
    assert all(name == row.name for name, row in ARCHITECTURES.items())
    assert {"inception_v1", "googlenet", "inception_v1_quarter"} <= set(ARCHITECTURES)
    assert ARCHITECTURES["inception_v1_quarter"].width == 0.25
    assert len({row.name for row in INCEPTION_V1.backbone}) == len(INCEPTION_V1.backbone)


def test_a_narrow_network_is_narrow_everywhere():
    from kinetics_i3d.models.inception_i3d import InceptionI3D

    model = InceptionI3D(architecture="inception_v1_quarter", include_top=False)
    widths = {layer.name: layer.output.shape[-1] for layer in model.layers}
    assert widths["Conv3d_1a_7x7"] == 16 and widths["Conv3d_2c_3x3"] == 48
    assert widths["Mixed_3b"] == 16 + 32 + 8 + 8
    assert widths["Mixed_5c"] == 96 + 96 + 32 + 32
