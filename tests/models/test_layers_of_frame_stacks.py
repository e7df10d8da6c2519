"""Stacks of frames: where each number goes, and the way back."""

import keras
import numpy as np
import pytest

from kinetics_i3d.models.layers import StackFrames, UnstackFrames, per_stack


def numbered(*shape):
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


def test_ten_flow_frames_become_interleaved_channels():
    flow = numbered(2, 30, 3, 4, 2)
    found = np.asarray(StackFrames(10)(flow))
    assert found.shape == (6, 3, 4, 20)
    for video in range(2):
        for stack in range(3):
            for frame in range(10):
                for channel, what in enumerate("xy"):
                    expected = flow[video, 10 * stack + frame, :, :, channel]
                    image = found[3 * video + stack, :, :, 2 * frame + channel]
                    np.testing.assert_array_equal(image, expected, err_msg=f"{what}{frame}")


def test_single_frames_only_move_to_the_batch():
    clips = numbered(2, 3, 4, 5, 3)
    np.testing.assert_array_equal(np.asarray(StackFrames()(clips)), clips.reshape(6, 4, 5, 3))


@pytest.mark.parametrize("frames", [1, 5])
def test_the_way_back_gives_every_stack_its_place(frames):
    clips = numbered(2, 15, 2, 2, 1)
    images = np.asarray(StackFrames(frames)(clips))
    found = np.asarray(UnstackFrames(frames)([images[..., :1], clips]))
    assert found.shape == (2, 15 // frames, 2, 2, 1)
    np.testing.assert_array_equal(found, clips[:, ::frames])


def test_shapes_are_known_as_far_as_they_can_be():
    stack, unstack = StackFrames(10), UnstackFrames(10)
    assert stack.compute_output_shape((2, 30, 8, None, 2)) == (6, 8, None, 20)
    assert stack.compute_output_shape((None, 30, 8, 8, 2)) == (None, 8, 8, 20)
    shapes = [(None, 7, 7, 5), (None, 30, 8, 8, 2)]
    assert unstack.compute_output_shape(shapes) == (None, 3, 7, 7, 5)
    assert unstack.compute_output_shape([(6, 5), (2, None, 8, 8, 2)]) == (2, None, 5)


def test_a_graph_of_any_size_is_saved_and_runs(tmp_path):
    clips = keras.Input((None, None, None, 2))
    pool = keras.layers.GlobalMaxPooling2D()
    model = keras.Model(clips, per_stack(pool, clips, stream="flow", frames=3))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for frames, side in ((3, 4), (9, 5)):
        values = np.random.default_rng(0).normal(0, 1, (2, frames, side, 4, 2)).astype(np.float32)
        found = loaded.predict_on_batch(values)
        expected = values.max(axis=(2, 3)).reshape(2, frames // 3, 6)
        np.testing.assert_array_equal(found, expected)
