"""`StreamSpecs`: one or several streams, with one way to ask for either."""

import dataclasses
import pickle

import pytest

from kinetics_i3d.core.clip_spec import DEEPMIND, DEEPMIND_FLOW, ClipSpec, as_rate
from kinetics_i3d.core.stream_specs import StreamSpecs

BOTH = ("rgb", "flow")
PAIR = {"flow": DEEPMIND_FLOW, "rgb": DEEPMIND}


def test_streams_are_ordered_and_compare_as_dictionaries():
    specs = StreamSpecs(PAIR)
    assert specs.streams == (*specs,) == BOTH and len(specs) == 2
    assert specs == PAIR and specs == PAIR and specs != {"rgb": DEEPMIND}
    assert hash(specs) == hash(StreamSpecs(specs)) and pickle.loads(pickle.dumps(specs)) == specs
    assert specs.get("flow") == DEEPMIND_FLOW and StreamSpecs(DEEPMIND).get("flow") is None


def test_one_rgb_spec_also_describes_the_flow_beside_it():
    specs = StreamSpecs(dataclasses.replace(DEEPMIND, low=0.0), BOTH)
    assert specs["flow"] == dataclasses.replace(DEEPMIND_FLOW, name="deepmind_flow")
    assert StreamSpecs(DEEPMIND, ("flow",)).streams == ("flow",)
    assert StreamSpecs(DEEPMIND).streams == ("rgb",)
    assert StreamSpecs(DEEPMIND_FLOW).streams == ("flow",)


@pytest.mark.parametrize(
    ("streams", "joint"), [(BOTH, True), (("rgb",), False), (("flow",), False)]
)
def test_wrap_and_unwrap_are_inverse(streams, joint):
    specs = StreamSpecs(PAIR, streams)
    by_stream = {stream: f"clips of {stream}" for stream in streams}
    clips = specs.unwrap(by_stream)
    assert specs.is_joint == (len(streams) > 1) == isinstance(clips, dict)
    assert specs.wrap(clips) == by_stream


def test_rates_give_strides_and_the_fastest_stream():
    slow = StreamSpecs({"rgb": ClipSpec("slow", fps=2.5), "flow": DEEPMIND_FLOW})
    assert slow.strides() == {"rgb": 10, "flow": 1} and slow.fastest == DEEPMIND_FLOW
    assert StreamSpecs(DEEPMIND).strides(50) == {"rgb": 2}
    with pytest.raises(ValueError, match="equals it for flow"):
        slow.strides(50)


@pytest.mark.parametrize("fps", [16.6667, 3.3333, 14.2857, 1.4985, 23.976, 2.3976])
def test_a_rate_with_decimals_is_its_own(fps):
    specs = StreamSpecs(ClipSpec("typed", fps=fps))
    assert specs.strides(fps) == specs.strides(as_rate(fps)) == {"rgb": 1}


@pytest.mark.parametrize("fps", [-25, 0, float("nan"), float("inf"), "x"])
def test_a_rate_of_the_video_is_a_number_above_zero(fps):
    with pytest.raises(ValueError, match="`fps` must be a number above 0"):
        StreamSpecs(DEEPMIND).strides(fps)


def test_rates_with_decimals_keep_their_ratio():
    for fast, slow in ((23.976, 2.3976), (24000 / 1001, 2400 / 1001), (29.97, 2.997)):
        specs = StreamSpecs(
            {
                "rgb": ClipSpec("slow", fps=slow),
                "flow": dataclasses.replace(DEEPMIND_FLOW, fps=fast),
            }
        )
        assert specs.strides() == specs.strides(fast) == {"rgb": 10, "flow": 1}
    with pytest.raises(ValueError, match="that divides 24 for rgb"):
        StreamSpecs(
            {
                "rgb": ClipSpec("slow", fps=2.41),
                "flow": dataclasses.replace(DEEPMIND_FLOW, fps=24),
            }
        )


def test_sizes_may_differ_only_apart():
    smaller = PAIR | {"flow": dataclasses.replace(DEEPMIND_FLOW, size=112)}
    with pytest.raises(ValueError, match="the same `size` for all streams"):
        StreamSpecs(smaller)
    assert StreamSpecs(smaller, apart=True).one_size  # other crops of the same frames
    coarser = PAIR | {"flow": dataclasses.replace(DEEPMIND_FLOW, short_side=230)}
    assert not StreamSpecs(coarser, apart=True).one_size


@pytest.mark.parametrize(
    ("spec", "streams", "message"),
    [
        (DEEPMIND, (), "`streams` must be"),
        ({}, None, "`streams` must be"),
        (DEEPMIND, ("rgb", "rgb"), "`streams` must be"),
        (DEEPMIND, ("depth",), "`streams` must be"),
        (DEEPMIND_FLOW, BOTH, "`spec` must have a spec for each"),
        (PAIR | {"flow": DEEPMIND}, BOTH, "for the stream 'flow'"),
        (PAIR | {"flow": dataclasses.replace(DEEPMIND_FLOW, fps=10)}, BOTH, "equals it for flow"),
        (PAIR | {"rgb": dataclasses.replace(DEEPMIND, fps=10)}, BOTH, "that divides 25"),
    ],
)
def test_specs_that_do_not_fit_are_refused(spec, streams, message):
    with pytest.raises(ValueError, match=message):
        StreamSpecs(spec, streams)
