"""Keras' own `fit` on JAX, as docs/distributed.md has it: two devices take the steps of one."""

import importlib.util
import json
import os
import subprocess
import sys

import numpy as np
import pytest

FIT = """
import json, sys
import keras
from short_network import register
import kinetics_i3d as ki3d
from kinetics_i3d.core.clip_spec import ClipSpec
from kinetics_i3d.data.datasets import open_dataset
from kinetics_i3d.data.pipeline import augmentation, training_clips

table, count = sys.argv[1:]
devices = keras.distribution.list_devices()[: int(count)]
keras.distribution.set_distribution(
    keras.distribution.DataParallel(devices=devices, auto_shard_dataset=False)
)
keras.utils.set_random_seed(0)
# Batch norms of few values magnify the rounding of float32.
keras.config.set_dtype_policy("float64")
model = ki3d.InceptionI3D(architecture=register(), classes=2, input_shape=(9, 32, 32, 3))
spec = ClipSpec("tiny", short_side=36, size=32)
videos = open_dataset(table).split("train")
clips = training_clips(videos, spec=spec, frames=9, batch=4, augment=augmentation(spec))
clips = clips.take(1).cache().repeat()  # one batch, so that nothing but the steps changes the loss
model.compile(
    keras.optimizers.SGD(1e-3, momentum=0.9),
    keras.losses.CategoricalCrossentropy(from_logits=True),
)
# Three epochs of a step: the loss of each.
losses = model.fit(clips, steps_per_epoch=1, epochs=3, verbose=0).history["loss"]
# On how many devices the weights lie, whole on each.
places = {len(one.value.sharding.device_set) for one in model.trainable_weights}
print(json.dumps({"devices": [*places], "losses": losses}))
"""


@pytest.mark.slow
@pytest.mark.usefixtures("backends")
def test_two_devices_take_the_steps_of_one(noise):
    if importlib.util.find_spec("jax") is None:
        pytest.skip("jax is not installed")
    found = []
    for count in (1, 2):
        done = subprocess.run(
            [sys.executable, "-c", FIT, str(noise), str(count)],
            env={
                **os.environ,
                "KERAS_BACKEND": "jax",
                "JAX_ENABLE_X64": "1",
                "PYTHONPATH": os.pathsep.join(sys.path),
                "TF_CPP_MIN_LOG_LEVEL": "3",
                "XLA_FLAGS": "--xla_force_host_platform_device_count=2 "
                "--xla_backend_optimization_level=0",
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        found.append(json.loads(done.stdout.splitlines()[-1]))
    one, two = found
    assert (one["devices"], two["devices"]) == ([1], [2])
    assert len(one["losses"]) == 3
    # The logits are float32 under every policy.
    np.testing.assert_allclose(two["losses"], one["losses"], rtol=1e-5)
    assert max(one["losses"]) > 1.1 * min(one["losses"])
