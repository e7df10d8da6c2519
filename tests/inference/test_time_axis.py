"""`time_axis` and `plan_chunks`: chunks give the output of one pass over the whole video."""

import numpy as np
import pytest

import kinetics_i3d as ki3d
from kinetics_i3d.inference.time_axis import TimeAxis, min_frames_of, plan_chunks, time_axis

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def model(short):
    import keras

    keras.utils.set_random_seed(0)
    model = ki3d.InceptionI3D(architecture=short, classes=3)
    random = keras.random.SeedGenerator(1)
    for variable in model.non_trainable_variables:  # zeros that are padded must not stay zeros
        if "moving_mean" in variable.path:
            variable.assign(keras.random.uniform(variable.shape, -0.3, 0.3, seed=random))
    return model


@pytest.fixture(scope="module")
def clip():
    return np.random.default_rng(0).uniform(-1, 1, (1, 131, 32, 32, 3)).astype(np.float32)


def run(network, clips):
    """The network's output; eagerly, since every length would be another graph."""
    return np.asarray(network(clips))


def in_chunks(network, clip, most):
    """The network's output, chunk by chunk."""
    frames = clip.shape[1]
    chunks = plan_chunks(time_axis(network, frames), frames, most)
    outputs = [run(network, clip[:, c.start : c.stop])[:, c.kept] for c in chunks]
    return np.concatenate(outputs, axis=1), chunks


@pytest.mark.parametrize("endpoint", ["Conv3d_1a_7x7", "Mixed_4f", "Mixed_5c", "Conv3d_0c_1x1"])
def test_chunks_give_the_steps_of_one_pass_at_every_length(model, clip, endpoint):
    network = ki3d.feature_model(model, endpoint)
    # Odd, even, every remainder by the stride; one chunk, exactly one, and several.
    for frames in (17, 80, 81, 124, 125, 126, 131):
        part = clip[:, :frames]
        output, chunks = in_chunks(network, part, 80)
        assert (len(chunks) > 1) == (frames > 80)
        expected = run(network, part)
        assert output.shape == expected.shape
        np.testing.assert_allclose(output, expected, atol=1e-5)
        assert all(chunk.stop - chunk.start <= 80 for chunk in chunks)
        assert len({chunk.stop - chunk.start for chunk in chunks}) == 1


def test_the_border_is_as_wide_as_it_must_be_and_no_wider(model, clip):
    network = ki3d.feature_model(model, "Mixed_5c")
    whole = run(network, clip[:, :128])[0]
    axis = time_axis(network, 128)
    border = -(axis.first // axis.stride)
    cut = run(network, clip[:, 40:128])[0]
    changed = np.abs(cut - whole[5:]).max(axis=(1, 2, 3)) > 1e-5
    assert changed[border - 1] and not changed[border:].any()
    start = run(network, clip[:, :88])[0]
    inner = (88 - 1 - axis.last) // axis.stride + 1
    changed = np.abs(start - whole[:11]).max(axis=(1, 2, 3)) > 1e-5
    assert changed[inner] and not changed[:inner].any()


@pytest.mark.parametrize("frames", [64, 67])
def test_a_step_depends_on_the_frames_that_the_axis_says(model, clip, frames):
    network = ki3d.feature_model(model, "Mixed_4f")
    axis = time_axis(network, frames)
    part = clip[:, :frames]
    before = run(network, part)[0]
    assert axis.steps == len(before)
    step = axis.steps // 2
    first, last = (edge + step * axis.stride for edge in (axis.first, axis.last))
    assert 0 < first < last < frames - 1
    for frame, depends in ((first - 1, False), (first, True), (last, True), (last + 1, False)):
        other = part.copy()
        other[:, frame] *= -1
        moved = np.abs(run(network, other)[0, step] - before[step]).max()
        assert (moved > 0) == depends, frame


def test_the_axes_of_the_full_network():
    model = ki3d.InceptionI3D(architecture="inception_v1_quarter")
    axis = time_axis(ki3d.feature_model(model, "Mixed_5c"), 250)
    assert (axis.steps, axis.stride, axis.span, axis.receptive_field) == (32, 8, 8, 99)
    axis = time_axis(ki3d.feature_model(model, "Conv3d_0c_1x1"), 250)
    assert (axis.steps, axis.stride, axis.span, axis.receptive_field) == (31, 8, 16, 107)
    assert time_axis(ki3d.feature_model(model, "Conv3d_1a_7x7"), 9) == TimeAxis(5, 2, -3, 3, 2)
    assert time_axis(ki3d.feature_model(model, "Conv3d_1a_7x7"), 8) == TimeAxis(4, 2, -2, 4, 2)
    assert time_axis(ki3d.feature_model(model, "Logits"), 250) is None


@pytest.mark.parametrize("frames", range(1000, 1008))
def test_chunks_cover_the_steps_of_a_long_video_once(frames):
    axis = TimeAxis(steps=126, stride=8, first=-47, last=51, span=8)
    for most in (min_frames_of(axis), 250):
        chunks = plan_chunks(axis, frames, most)
        steps = [step for c in chunks for step in range(c.first_step, c.stop_step)]
        assert steps == [*range(126)]
        assert chunks[0].start == 0 and chunks[-1].stop == frames
        for chunk in chunks:
            assert chunk.start % 8 == 0 and chunk.stop % 8 == frames % 8
            if chunk.start > 0:
                assert chunk.first_step * 8 + axis.first >= chunk.start
            if chunk.stop < frames:
                assert (chunk.stop_step - 1) * 8 + axis.last < chunk.stop


def test_chunks_that_are_all_border_are_refused():
    axis = TimeAxis(steps=126, stride=8, first=-47, last=51, span=8)
    with pytest.raises(
        ValueError, match=r"`max_frames` must be at least 107. Received: max_frames=106"
    ):
        plan_chunks(axis, 1000, 106)
