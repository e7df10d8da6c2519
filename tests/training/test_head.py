"""A network in two parts answers as the whole does, and its head is that of the whole."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from kinetics_i3d.training.head import answer, part
from kinetics_i3d.training.network import build, frames_of

SYSTEMS = {
    "InceptionI3D": {},
    "C3D": {
        "architecture": "c3d_eighth",
        "frames": 16,
        "size": 112,
        "test_size": 112,
        "test_short_side": 128,
    },
    "ConvNetLSTM": {"frames": 3, "stride": 5},
    "TwoStream": {"frames": 20, "stride": 10},
    "TwoStreamFused": {"frames": 20, "stride": 10},
    "TwoStreamI3D": {},
}


def clips_of(config, model, batch=2):
    channels = {"rgb": 3, "flow": 2}
    random = np.random.default_rng(0)
    clips = {
        name: random.uniform(-1, 1, (batch, frames, config.size, config.size, channels[name]))
        for name, frames in frames_of(config, model).items()
    }
    clips = {name: tf.constant(clip, tf.float32) for name, clip in clips.items()}
    return clips if len(clips) > 1 else next(iter(clips.values()))


@pytest.mark.slow
@pytest.mark.parametrize("system", SYSTEMS)
def test_the_parts_give_what_the_whole_gives(tiny, system):
    config = dataclasses.replace(tiny, system=system, **SYSTEMS[system])
    model = build(config, ("a", "b", "c"))
    trunk, head = part(model)
    clips = clips_of(config, model)
    features = trunk(clips)
    logits = answer(head)(features)
    np.testing.assert_allclose(logits, model(clips), rtol=1e-4, atol=1e-5)
    apart = tf.nest.flatten(head(features))
    assert len(apart) == (2 if system == "TwoStreamI3D" else 1)
    np.testing.assert_allclose(sum(apart), logits, rtol=1e-5, atol=1e-6)
    mine = {id(variable) for variable in model.trainable_variables}
    assert {id(one) for one in head.trainable_variables} <= mine
    assert [tuple(one.shape)[-1] for one in head.trainable_variables] == [3, 3] * (
        2 if system in ("TwoStream", "TwoStreamI3D") else 1
    )


def test_dropout_is_the_heads(tiny):
    model = build(dataclasses.replace(tiny, dropout=0.6), ("a", "b"))
    trunk, head = part(model)
    names = [layer.name for layer in head.layers]
    assert "Dropout_0b" in names and "Dropout_0b" not in [layer.name for layer in trunk.layers]
    features = trunk(clips_of(tiny, model))
    once, again = (np.asarray(head(features, training=True)) for _ in range(2))
    assert not np.array_equal(once, again)
    np.testing.assert_array_equal(head(features), head(features))
