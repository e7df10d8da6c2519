"""`ClipSpec`: its ranges, its scaling and its checks."""

import dataclasses
import json
from fractions import Fraction

import numpy as np
import pytest

import kinetics_i3d as ki3d
from kinetics_i3d.core.clip_spec import (
    DEEPMIND,
    DEEPMIND_FLOW,
    FVD,
    INCEPTION5H,
    MEDIAPIPE,
    SPECS,
    ClipSpec,
    as_rate,
    as_streams,
    parse_spec,
    resized,
)


def test_the_release_reads_minus_one_to_one():
    assert DEEPMIND.to_dict() == {
        "name": "deepmind",
        "stream": "rgb",
        "fps": 25.0,
        "short_side": 256,
        "size": 224,
        "low": -1.0,
        "high": 1.0,
        "resize": "short_side",
        "interpolation": "bilinear",
    }
    found = DEEPMIND.normalize(np.array([0, 51, 255], np.uint8))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [-1.0, -0.6, 1.0], atol=1e-6)


def test_the_network_of_2014_reads_pixels_minus_117():
    pixels = np.arange(256, dtype=np.uint8)
    np.testing.assert_allclose(INCEPTION5H.normalize(pixels), np.arange(256) - 117.0, atol=1e-4)


@pytest.mark.parametrize("spec", [DEEPMIND, INCEPTION5H, ClipSpec("x", low=0.25, high=0.5)])
def test_denormalize_is_the_inverse(spec):
    pixels = np.arange(256, dtype=np.uint8).reshape(2, 8, 16)
    scaled = spec.normalize(pixels)
    assert scaled.shape == pixels.shape
    assert abs(scaled.min() - spec.low) < 1e-4 and abs(scaled.max() - spec.high) < 1e-4
    back = spec.denormalize(scaled)
    assert back.dtype == np.uint8
    np.testing.assert_array_equal(back, pixels)


def test_denormalize_rounds_and_clips():
    step = 2 / 255
    found = DEEPMIND.denormalize([-1.5, -1 + 0.4 * step, -1 + 0.6 * step, 1.5])
    assert found.tolist() == [0, 0, 1, 255]


def test_channels_follow_the_stream():
    assert ClipSpec("a").channels == 3 and ClipSpec("a", stream="flow").channels == 2


def test_a_dictionary_brings_it_back_through_json():
    spec = ClipSpec("a", stream="flow", fps=12.5, short_side=9, size=9, low=0.0, high=0.5)
    assert ClipSpec(**json.loads(json.dumps(spec.to_dict()))) == spec


def test_it_is_frozen_and_can_be_a_key():
    with pytest.raises(dataclasses.FrozenInstanceError):
        DEEPMIND.fps = 30
    assert {DEEPMIND: 1}[ClipSpec("deepmind")] == 1


def test_specs_are_listed_by_their_names():
    assert {name: spec.name for name, spec in SPECS.items()} == {name: name for name in SPECS}
    assert SPECS["deepmind"] is DEEPMIND and SPECS["inception5h"] is INCEPTION5H


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (
            {"stream": "depth"},
            r"`stream` must be one of \('rgb', 'flow'\). Received: stream='depth'",
        ),
        ({"fps": 0}, "`fps` must be above 0. Received: fps=0"),
        ({"fps": float("nan")}, "`fps` must be finite. Received: fps=nan"),
        ({"fps": float("inf")}, "`fps` must be finite. Received: fps=inf"),
        ({"low": -np.inf}, "`low` must be finite. Received: low=-inf"),
        ({"size": 0}, "`size` must be at least 1 .* Received: size=0, short_side=256"),
        ({"size": 111.5}, "`size` must be a whole number. Received: size=111.5"),
        ({"short_side": 256.5}, "`short_side` must be a whole number. Received: short_side=256.5"),
        ({"size": 257}, "no more than `short_side`. Received: size=257, short_side=256"),
        ({"low": 1.0}, "`low` must be below `high`. Received: low=1.0, high=1.0"),
        ({"high": float("nan")}, "`high` must be finite"),
        ({"resize": "fit"}, r"`resize` must be one of \('short_side', .* Received: resize='fit'"),
        ({"interpolation": "cubic"}, "`interpolation` must be one of .* interpolation='cubic'"),
        (
            {"resize": "stretch"},
            "`short_side` must be `size` .* Received: short_side=256, size=224",
        ),
    ],
)
def test_a_field_out_of_range(wrong, why):
    with pytest.raises(ValueError, match=why):
        ClipSpec("a", **wrong)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"fps": 1e9}, "`fps` must be at most 1000"),
        ({"short_side": 3000, "size": 3000}, "`short_side` at most 2048"),
        ({"high": float("inf")}, "`high` must be finite"),
        ({"fps": "25"}, "`clip_spec` must have `fps` of float"),
        ({"size": True}, "`clip_spec` must have `size` of int"),
        ({"sise": 224}, "`clip_spec` must have the fields"),
        ({"size": 0}, "`size` must be at least 1"),
    ],
)
def test_a_spec_in_a_file_is_checked(change, why):
    assert parse_spec("clip_spec", {"name": "a", "fps": 12.5}) == ClipSpec("a", fps=12.5)
    with pytest.raises(ValueError, match=why):
        parse_spec("clip_spec", {**ClipSpec("a").to_dict(), **change})
    for fields in (None, [], "a", {}):
        with pytest.raises(ValueError, match="must have the fields"):
            parse_spec("clip_spec", fields)


def test_the_edges_of_the_ranges_are_allowed():
    assert ClipSpec("a", size=256).size == 256
    assert ClipSpec("a", size=1, short_side=1, fps=0.01).fps == 0.01
    largest = ClipSpec("a", fps=1000, short_side=2048)
    assert parse_spec("clip_spec", largest.to_dict()) == largest


@pytest.mark.parametrize("wrong", ["fast", None, True, float("nan"), float("inf"), 0, -25])
def test_a_rate_is_a_number_above_0(wrong):
    with pytest.raises(
        ValueError, match=f"`fps` must be a number above 0. Received: fps={wrong!r}"
    ):
        as_rate(wrong)


def test_a_rate_is_exact():
    expected = {30000 / 1001: Fraction(30000, 1001), 12.5: Fraction(25, 2), 1e-3: Fraction(1, 1000)}
    assert {fps: as_rate(fps) for fps in expected} == expected
    assert as_rate(np.float64(29.97)) == as_rate(29.97) == Fraction(2997, 100)
    assert as_rate(Fraction(1, 5000)) == Fraction(1, 5000)


def test_what_weights_of_before_say_still_loads():
    old = (
        '{"fps": 15.0, "high": 1.0, "low": -1.0, "name": "jhmdb", "short_side": 208, "size": 192, '
    )
    spec = ClipSpec(**json.loads(old + '"stream": "rgb"}'))
    assert spec == ClipSpec("jhmdb", fps=15.0, short_side=208, size=192)
    assert (spec.resize, spec.interpolation) == ("short_side", "bilinear")
    assert (spec.reading["fps"], spec.reading["short_side"]) == (15.0, 208)


def test_named_specs_are_those_of_their_sources():
    assert ClipSpec("mediapipe", resize="height", interpolation="area_cubic") == MEDIAPIPE
    assert ClipSpec("fvd", short_side=224, size=224, resize="stretch") == FVD
    assert DEEPMIND.for_flow() == DEEPMIND_FLOW == ClipSpec("deepmind_flow", stream="flow")
    assert ClipSpec("deepmind", low=0.0, high=2.0).for_flow() == DEEPMIND_FLOW
    assert {spec.low for spec in (MEDIAPIPE, FVD, DEEPMIND_FLOW)} == {-1.0}
    assert MEDIAPIPE.reading == {
        "fps": 25.0,
        "short_side": 256,
        "resize": "height",
        "interpolation": "area_cubic",
    }
    assert FVD.reading == {
        "fps": 25.0,
        "short_side": 224,
        "resize": "stretch",
        "interpolation": "bilinear",
    }


@pytest.mark.parametrize(
    ("size", "deepmind", "mediapipe", "fvd"),
    [
        ((240, 320), (256, 341), (256, 340), (224, 224)),
        ((320, 240), (341, 256), (256, 192), (224, 224)),
        ((360, 480), (256, 341), (256, 340), (224, 224)),
        ((1080, 1920), (256, 455), (256, 454), (224, 224)),
        ((135, 239), (256, 453), (256, 452), (224, 224)),
        ((50, 50), (256, 256), (256, 256), (224, 224)),
        ((9, 16), (256, 455), (256, 454), (224, 224)),
        ((1000, 3), (85333, 256), (256, 2), (224, 224)),
    ],
)
def test_sizes_after_the_resize(size, deepmind, mediapipe, fvd):
    found = [spec.resized(*size) for spec in (DEEPMIND, MEDIAPIPE, FVD)]
    assert found == [deepmind, mediapipe, fvd]
    assert resized(size, 256) == deepmind


def test_numbers_of_numpy_and_fractions_become_those_of_json():
    spec = ClipSpec("a", fps=Fraction(30000, 1001), short_side=np.int64(64), size=np.int32(32))
    assert json.loads(json.dumps(spec.to_dict()))["size"] == 32
    assert as_rate(spec.fps) == Fraction(30000, 1001)
    assert ClipSpec("a", fps=np.float32(25), low=np.float32(-0.5)).to_dict()["low"] == -0.5


@pytest.mark.parametrize(
    "streams", ["rgb,flow", "flow,rgb", "both", ("flow", "rgb"), ["rgb", "flow"]]
)
def test_streams_may_be_in_any_form_and_order(streams):
    assert as_streams(streams) == ("rgb", "flow")
    assert ki3d.PrepareConfig(streams=streams).streams == ("rgb", "flow")
    assert ki3d.TrainConfig(system="TwoStreamI3D", streams=streams).streams == ("rgb", "flow")


@pytest.mark.parametrize(
    "streams", [np.array(["flow", "rgb"]), {"flow": 1, "rgb": 2}, {"rgb": 1, "flow": 2}.keys()]
)
def test_streams_may_be_any_iterable_of_names(streams):
    assert as_streams(streams) == ("rgb", "flow")
    assert ki3d.TrainConfig(system="TwoStream", streams=streams).streams == ("rgb", "flow")


@pytest.mark.parametrize("streams", ["", "rgb,", "rgb,rgb", "depth", (), ("rgb", "depth"), 1, None])
def test_other_streams_are_refused(streams):
    with pytest.raises(ValueError, match="`streams` must be 'rgb', 'flow' or"):
        as_streams(streams)
