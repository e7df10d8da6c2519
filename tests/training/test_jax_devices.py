"""Keras' own `fit` on JAX, as docs/distributed.md has it: two devices take the steps of one."""

import importlib.util
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from doc_pages import block_with

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
clips = training_clips(videos, spec=spec, frames=9, batch_size=4, augment=augmentation(spec))
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


# Runs the block of the page on a short network, clips of 9 frames and one epoch.
PAGE = """
import dataclasses, json, sys
import keras
from short_network import register
import kinetics_i3d as ki3d
from kinetics_i3d.data import pipeline
from kinetics_i3d.models import inception_i3d as networks

network, clips, fit = networks.InceptionI3D, pipeline.training_clips, keras.Model.fit

def small_network(*, classes, input_shape):
    model = network(architecture=register(), classes=classes, input_shape=(9, 32, 32, 3))
    model.clip_spec = dataclasses.replace(model.clip_spec, short_side=36, size=32)
    return model

def few_frames(videos, *, frames, **options):
    return clips(videos, frames=9, **options)

def one_epoch(model, clips, *, epochs, **options):
    return fit(model, clips, epochs=1, verbose=0, **options)

networks.InceptionI3D, pipeline.training_clips = small_network, few_frames
keras.Model.fit = one_epoch
names = {}
exec(compile(sys.argv[1], "docs/distributed.md", "exec"), names)
model = names["model"]
devices = {len(variable.value.sharding.device_set) for variable in model.trainable_weights}
print(json.dumps({"devices": [*devices], "steps": int(model.optimizer.iterations)}))
"""


def run(code, *arguments, **options):
    """Runs Python on JAX with two devices; returns the JSON that it prints last."""
    if importlib.util.find_spec("jax") is None:
        pytest.skip("jax is not installed")
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env={
            **os.environ,
            "KERAS_BACKEND": "jax",
            "PYTHONPATH": os.pathsep.join(sys.path),
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "XLA_FLAGS": "--xla_force_host_platform_device_count=2 "
            "--xla_backend_optimization_level=0",
            **options.pop("env", {}),
        },
        capture_output=True,
        text=True,
        check=False,
        **options,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.usefixtures("backends")
def test_the_page_trains_on_two_devices(noise, tmp_path):
    video = noise.parent / "0.mp4"
    for number in range(51):
        folder = tmp_path / "path" / "to" / "HMDB51" / "train" / f"class {number}"
        folder.mkdir(parents=True)
        (folder / "0.mp4").symlink_to(video)
    text = block_with("docs/distributed.md", "keras.distribution")
    assert run(PAGE, text, cwd=tmp_path) == {"devices": [2], "steps": 1}


@pytest.mark.slow
@pytest.mark.usefixtures("backends")
def test_two_devices_take_the_steps_of_one(noise):
    one, two = (run(FIT, noise, count, env={"JAX_ENABLE_X64": "1"}) for count in (1, 2))
    assert (one["devices"], two["devices"]) == ([1], [2])
    assert len(one["losses"]) == 3
    # The logits are float32 under every policy: the third losses differ by 1.7e-5 on an AMD EPYC,
    # by less than 1e-5 on an Intel Xeon. A learning rate that is 1 % higher changes them by 3e-2.
    np.testing.assert_allclose(two["losses"], one["losses"], rtol=1e-4)
    assert max(one["losses"]) > 1.1 * min(one["losses"])
