"""`Cluster`: Ray on one machine or many, and its options for the distribution of work.

Ray Data streams blocks from one operator to the next, and recomputes blocks that are lost with a
killed process: https://docs.ray.io/en/latest/data/data.html.
"""

import contextlib
import dataclasses
import logging
import os
import signal
import socket
import sys
import threading

from kinetics_i3d.core.errors import UserError, first_line
from kinetics_i3d.core.threads import usable_processors
from kinetics_i3d.core.types import check_count
from kinetics_i3d.scale.storage import require

MAX_BLOCKS = 5000  # tasks that Ray tracks; with more videos, blocks have several of them
SECONDS_TO_ANSWER = 10


@dataclasses.dataclass(frozen=True)
class Cluster:
    """A Ray cluster, or this machine.

    Args:
        address: `HOST:PORT` of a running cluster's head node, or `"auto"` on one of its nodes; None
            uses the cluster named by the environment variable `RAY_ADDRESS`, or this machine if it
            is not set.
        networks: Maximum number of processes with a network; None is one per GPU or, without GPUs,
            as many as fit on all processors but one.
        cpus: Processors of each of these processes, including its threads.
        gpus: GPUs of each of these processes, which may be a fraction; None is 1 if the cluster has
            GPUs.
        bounded_decoder: Whether videos are decoded in child processes with limits on time and
            memory, as by `set_bounded_decoder`.

    Raises:
        ValueError: If a field is outside its range.
    """

    address: str | None = None
    networks: int | None = None
    cpus: int = 1
    gpus: float | None = None
    bounded_decoder: bool = True

    def __post_init__(self):
        for name in ("networks", "cpus"):
            value = getattr(self, name)
            if not (value is None and name == "networks"):
                object.__setattr__(self, name, check_count(name, value))
        if self.gpus is not None and self.gpus < 0:
            raise ValueError(f"`gpus` must be 0 or more. Received: gpus={self.gpus!r}")

    @contextlib.contextmanager
    def connected(self, *, has_network=True):
        """Connects to the cluster for a `with` block, unless this process is connected.

        Args:
            has_network: Whether the work needs a process with a network.

        Raises:
            UserError: If Ray is missing, no cluster answers at the address, or the cluster is too
                small.
        """
        require("ray", "pyarrow")
        address = self.address or os.environ.get("RAY_ADDRESS") or "local"
        source = "--address" if self.address else "RAY_ADDRESS"
        if address not in ("local", "auto"):
            _check_answers(address, source)
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported to anyone
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        os.environ.setdefault("RAY_TQDM_PATCH_PRINT", "0")  # `print` stays Python's
        import ray
        import ray.data

        starts = not ray.is_initialized()
        with contextlib.ExitStack() as stack:
            # Ray prints the loss of processes on stdout, which is for results.
            stack.enter_context(contextlib.redirect_stdout(sys.stderr))
            if starts:
                self._start(ray, address, source)
                stack.callback(ray.shutdown)
            needed = 1 + self.cpus if has_network else 1
            total = int(ray.cluster_resources().get("CPU", 0))
            if total < needed:
                reason = f", including {self.cpus} for a network" if has_network else ""
                raise UserError(f"scale needs {needed} processors{reason}; the cluster has {total}")
            gpus = ray.cluster_resources().get("GPU", 0)
            if (self.gpus or 0) > gpus:
                raise UserError(
                    f"scale needs {self.gpus:g} GPUs for a network; the cluster has {gpus:g}"
                )
            context = ray.data.DataContext.get_current()
            context.enable_progress_bars = False
            logging.getLogger("ray.data").setLevel(logging.ERROR)
            yield ray

    def _start(self, ray, address, source):
        options = {"log_to_driver": False, "logging_level": "error"}
        if address == "local":
            options["num_cpus"] = max(usable_processors(), 1 + self.cpus)
            options["include_dashboard"] = False
        handler = signal.getsignal(signal.SIGTERM)
        try:
            ray.init(address=address, **options)
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            where = "Ray does not start" if address == "local" else f"{source} {address}"
            raise UserError(f"{where}: {first_line(error)}") from error
        finally:  # Ray sets a handler that exits with code 15
            is_main = threading.current_thread() is threading.main_thread()
            if is_main and handler is not None:  # None: a handler that Python has not set
                signal.signal(signal.SIGTERM, handler)

    def _gpus_of_network(self, resources):
        if self.gpus is None:
            return 1 if resources.get("GPU") else 0
        return self.gpus

    def reading_options(self, ray):
        """Arguments of `map_batches` for the tasks that decode.

        If networks reserve processors, decoding reserves none: after the loss of a node, the
        restarted networks could occupy all remaining processors, and would wait for videos forever.
        """
        resources = ray.cluster_resources()
        if self._gpus_of_network(resources):
            return {"num_cpus": 1}
        size = max(1, int(resources["CPU"]) - self.cpus)
        return {"num_cpus": 0, "compute": ray.data.TaskPoolStrategy(size=size)}

    def network_options(self, ray):
        """Arguments of `map_batches` for the actors that hold a network."""
        resources = ray.cluster_resources()
        gpus = self._gpus_of_network(resources)
        workers = self.networks
        if workers is None:
            whole = resources["GPU"] / gpus if gpus else (resources["CPU"] - 1) / self.cpus
            workers = max(1, int(whole))
        return {
            "compute": ray.data.ActorPoolStrategy(
                min_size=1, max_size=workers, max_tasks_in_flight_per_actor=2
            ),
            "num_cpus": 0 if gpus else self.cpus,  # GPUs already limit their number
            "num_gpus": gpus,
            "max_restarts": -1,
            "max_task_retries": -1,  # calls of an actor that is being restarted count as retries
        }


def dataset_of(ray, rows):
    """A `ray.data.Dataset` of rows in small blocks, which are distributed while the work runs."""
    return ray.data.from_items(rows, override_num_blocks=min(len(rows), MAX_BLOCKS))


@contextlib.contextmanager
def losses_reported(ray, output):
    """Turns the loss of too many processes into a `UserError` with advice."""
    lost = (
        ray.exceptions.RayActorError,
        ray.exceptions.WorkerCrashedError,
        ray.exceptions.ObjectLostError,
        ray.exceptions.NodeDiedError,
        ray.exceptions.OutOfMemoryError,
        ray.exceptions.OutOfDiskError,
    )
    try:
        yield
    except lost as error:
        raise UserError(
            f"{output}: the cluster has lost too many processes ({type(error).__name__}); "
            "finished results are kept, and rerunning the command completes the rest"
        ) from error


def _check_answers(address, source):
    """Raises `UserError` unless something answers at HOST:PORT; Ray itself waits for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        raise UserError(f"{source} must be HOST:PORT or auto. Received: {address}")
    try:
        socket.create_connection((host, int(port)), timeout=SECONDS_TO_ANSWER).close()
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or first_line(error)
        raise UserError(f"{source} {address}: no cluster answers ({reason})") from error
