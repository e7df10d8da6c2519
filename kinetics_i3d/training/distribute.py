"""The devices and processes of a run, as a tf.distribute strategy.

Several processes find each other by the environment variable TF_CONFIG; docs/distributed.md has an
example.
"""

import contextlib
import functools
import json
import os

from kinetics_i3d.training.config import check_choice
from kinetics_i3d.training.errors import TrainingError

DISTRIBUTE = ("none", "auto", "mirrored", "multiworker")


def make_strategy(distribute="none"):
    """The `tf.distribute.Strategy` of a name.

    In a run of several processes, each has to call this before it uses TensorFlow otherwise.

    Args:
        distribute: `"none"`; `"mirrored"` for all devices of this process; `"multiworker"` for the
            devices of all processes in TF_CONFIG; or `"auto"`: multiworker with several workers in
            TF_CONFIG, mirrored with several GPUs, otherwise none.

    Raises:
        ValueError: If `distribute` is unknown, or TF_CONFIG is missing or malformed.
    """
    import tensorflow as tf

    check_choice("distribute", distribute, DISTRIBUTE)
    workers = len(cluster()["worker"])
    if distribute == "auto":
        has_gpus = len(tf.config.list_physical_devices("GPU")) > 1
        distribute = "multiworker" if workers > 1 else "mirrored" if has_gpus else "none"
    if distribute == "multiworker" and not workers:
        raise ValueError(
            "`distribute` must be 'none' or 'mirrored' without workers in TF_CONFIG. "
            f"Received: distribute='multiworker', TF_CONFIG={os.environ.get('TF_CONFIG')!r}"
        )
    if distribute == "none":
        return tf.distribute.get_strategy()
    return _strategy(distribute, os.environ.get("TF_CONFIG"))


# One strategy for all runs of a process: a second strategy over the same devices would number its
# collective operations from 0 again, and TensorFlow would match them with those of the first.
@functools.cache
def _strategy(distribute, tf_config):
    import tensorflow as tf

    del tf_config  # a cache key; TensorFlow reads the variable itself
    if distribute == "multiworker":
        return tf.distribute.MultiWorkerMirroredStrategy()
    # Without GPUs, several logical CPUs stand in for them, as in the tests.
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return tf.distribute.MirroredStrategy([device.name for device in devices])


def cluster():
    """{"worker": addresses, "index": index of this process}, as TF_CONFIG has them.

    Raises:
        ValueError: If TF_CONFIG is not the JSON that TensorFlow expects, or has a chief.
    """
    text = os.environ.get("TF_CONFIG", "{}")
    try:
        config = json.loads(text)
        members = config.get("cluster", {})
        task = config.get("task", {})
        workers = list(members.get("worker", ()))
        index = int(task.get("index", 0))
        # A chief would be one more process, and another one than the first worker.
        if "chief" in members or task.get("type", "worker") != "worker":
            raise ValueError("workers only")
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(
            '`TF_CONFIG` must be JSON of workers alone, such as {"cluster": {"worker": '
            '["host:port", ...]}, "task": {"type": "worker", "index": 0}}. '
            f"Received: TF_CONFIG={text!r}"
        ) from error
    return {"worker": workers, "index": index}


def process_of(strategy):
    """(process_rank, world_size) of this process in a strategy."""
    # Only strategies of several processes have a resolver; TF_CONFIG may be set for others.
    if getattr(strategy, "cluster_resolver", None) is None:
        return 0, 1
    return cluster()["index"], len(cluster()["worker"])


@contextlib.contextmanager
def reporting_lost_processes(world_size, output):
    """Turns the death of another process of the run into a `TrainingError` of one line.

    Args:
        world_size: Number of processes.
        output: Folder of the run.
    """
    import tensorflow as tf

    try:
        yield
    except (tf.errors.AbortedError, tf.errors.UnavailableError) as error:
        # A single process raises these only for reasons of its own.
        if world_size == 1:
            raise
        raise TrainingError(
            f"{output}: another of the {world_size} processes ended; restart all of them to "
            "resume from the last state"
        ) from error
