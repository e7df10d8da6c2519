"""Strategies: which devices, and which processes, one run is spread over.

tf.distribute's, for a loop of our own. Several processes find one another by the variable
TF_CONFIG, as docs/distributed.md says.
"""

import functools
import json
import os

from kinetics_i3d.training.config import check_choice

DISTRIBUTE = ("none", "auto", "mirrored", "multiworker")


def make_strategy(distribute="none"):
    """The strategy of a name.

    Several processes have to make it before TensorFlow has done anything else.

    Args:
        distribute: `"none"`; `"mirrored"`, all devices of this process; `"multiworker"`, those of
            all processes of TF_CONFIG; or `"auto"`, the last with TF_CONFIG, else mirrored where
            there are several GPUs.

    Returns:
        A `tf.distribute.Strategy`.

    Raises:
        ValueError: If there is no such name, or TF_CONFIG is missing or is not JSON.

    Example:

    >>> make_strategy("none").num_replicas_in_sync
    1
    """
    import tensorflow as tf

    check_choice("distribute", distribute, DISTRIBUTE)
    workers = len(cluster()["worker"])
    if distribute == "auto":
        several = len(tf.config.list_physical_devices("GPU")) > 1
        distribute = "multiworker" if workers > 1 else "mirrored" if several else "none"
    if distribute == "multiworker" and not workers:
        raise ValueError(
            "`distribute` must be 'none' or 'mirrored' without workers in TF_CONFIG. "
            f"Received: distribute='multiworker', TF_CONFIG={os.environ.get('TF_CONFIG')!r}"
        )
    if distribute == "none":
        return tf.distribute.get_strategy()
    return _strategy(distribute, os.environ.get("TF_CONFIG"))


@functools.cache
def _strategy(distribute, config):
    """One for all runs of a process.

    A second one of the same devices would number what these exchange from the start again, and
    TensorFlow would take it for what the first one exchanged.
    """
    import tensorflow as tf

    del config  # TensorFlow reads the variable
    if distribute == "multiworker":
        return tf.distribute.MultiWorkerMirroredStrategy()
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return tf.distribute.MirroredStrategy([device.name for device in devices])


def cluster():
    """What TF_CONFIG says: {"worker": addresses, "index": of this process among them}.

    Raises:
        ValueError: If it is not what TensorFlow takes.
    """
    text = os.environ.get("TF_CONFIG", "{}")
    try:
        said = json.loads(text)
        workers = list(said.get("cluster", {}).get("worker", ()))
        index = int(said.get("task", {}).get("index", 0))
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(
            '`TF_CONFIG` must be JSON such as {"cluster": {"worker": ["host:port", ...]}, "task": '
            f'{{"type": "worker", "index": 0}}}}. Received: TF_CONFIG={text!r}'
        ) from error
    return {"worker": workers, "index": index}


def place(strategy):
    """(index, count) of this process among those of a strategy."""
    extended = getattr(strategy, "cluster_resolver", None)
    return (cluster()["index"], len(cluster()["worker"])) if extended else (0, 1)
