"""What a model cannot read is refused by name in exported graphs, and in words by our runners."""

import dataclasses
import types

import numpy as np
import pytest
from conftest import SPEC

from kinetics_i3d.core.clip_spec import ClipSpec
from kinetics_i3d.exporting import fresh_litert
from kinetics_i3d.exporting.frames_function import pixels_function

FLOW = ClipSpec("tiny_flow", stream="flow", fps=10, short_side=36, size=32)


def network(**specs):
    """As much of a `ClipModel` as pixels need."""
    inputs = {
        stream: types.SimpleNamespace(shape=(None, None, 32, 32, spec.channels))
        for stream, spec in specs.items()
    }
    single = next(iter(inputs.values()))
    return types.SimpleNamespace(
        clip_specs=specs,
        minimums=dict.fromkeys(specs, (9, 32, 32)),
        input=inputs if len(inputs) > 1 else single,
    )


RGB = network(rgb=SPEC)
HIGH = network(rgb=dataclasses.replace(SPEC, resize="height"))
ONE_FLOW = network(flow=FLOW)
BOTH = network(rgb=SPEC, flow=FLOW)


@pytest.mark.parametrize(
    ("model", "shapes", "said"),
    [
        (RGB, [(1, 4, 40, 44, 3)], "rgb_must_have_9_frames_or_more"),
        (RGB, [(2, 8, 40, 44, 3)], "rgb_must_have_9_frames_or_more"),
        (HIGH, [(1, 9, 40, 20, 3)], "rgb_.*must_be_32_pixels_or_wider_when_it_is_36_high"),
        (ONE_FLOW, [(1, 8, 32, 32, 2)], "flow_must_have_9_frames_or_more"),
        # As many values as one clip of the right size has: they would be read as that.
        (ONE_FLOW, [(16, 9, 16, 16, 2)], "flow_.*must_be_32_x_32_pixels_or_more"),
        (BOTH, [(1, 9, 40, 44, 3), (1, 8, 36, 40, 2)], "flow_must_have_9_frames_or_more"),
        (
            BOTH,
            [(1, 9, 40, 44, 3), (1, 10, 36, 40, 2)],
            "must_have_1_times_the_frames_of_rgb",
        ),
        (BOTH, [(1, 9, 40, 44, 3), (2, 9, 36, 40, 2)], "flow_.*must_be_of_as_many_videos_as_rgb"),
    ],
)
def test_the_operation_that_fails_is_called_by_what_is_wrong(model, shapes, said):
    import tensorflow as tf

    function, _ = pixels_function(model)
    with pytest.raises(tf.errors.InvalidArgumentError, match=said):
        function(*(np.zeros(shape, np.uint8) for shape in shapes))


@pytest.mark.parametrize(
    ("model", "shapes"),
    [
        (RGB, [(1, 9, 40, 44, 3)]),
        (RGB, [(2, 12, 20, 60, 3)]),
        (HIGH, [(1, 9, 40, 44, 3)]),
        (ONE_FLOW, [(1, 9, 32, 32, 2)]),
        (BOTH, [(2, 9, 40, 44, 3), (2, 9, 36, 40, 2)]),
    ],
)
def test_what_fits_passes(model, shapes):
    function, _ = pixels_function(model)
    found = function(*(np.zeros(shape, np.uint8) for shape in shapes))
    for clip, shape in zip(found.values(), shapes, strict=True):
        assert tuple(clip.shape) == (*shape[:2], 32, 32, shape[-1])


class Runner:
    """An interpreter's runner that must not be asked for what it cannot read."""

    def __init__(self):
        self.asked = []

    def get_input_details(self):
        return {"rgb": {"shape": np.array([1, 10, 32, 32, 3], np.int32), "dtype": np.uint8}}

    def __call__(self, **clips):
        self.asked.append(clips)
        return {"logits": 1}


@pytest.mark.parametrize(
    ("clips", "said"),
    [
        ({"rgb": np.zeros((1, 4, 32, 32, 3), np.uint8)}, r"Received: shape=\(1, 4, 32, 32, 3\)"),
        ({"rgb": np.zeros((1, 10, 16, 32, 3), np.uint8)}, r"shape \(1, 10, 32, 32, 3\); the file"),
        ({"rgb": np.zeros((10, 32, 32, 3), np.uint8)}, r"shape=\(10, 32, 32, 3\)"),
        ({"rgb": np.zeros((1, 10, 32, 32, 3), np.float32)}, "`rgb` must be uint8.*dtype=float32"),
        ({"flow": np.zeros((1, 10, 32, 32, 2), np.uint8)}, r"inputs must be \['rgb'\]"),
    ],
)
def test_a_litert_runner_refuses_in_words(clips, said):
    runner = Runner()
    with pytest.raises(ValueError, match=said):
        fresh_litert.Network(runner)(**clips)
    assert runner.asked == []


def test_a_litert_runner_passes_on_what_fits():
    runner = Runner()
    clip = np.zeros((1, 10, 32, 32, 3), np.uint8)
    assert fresh_litert.Network(runner)(rgb=clip) == {"logits": 1} and runner.asked
