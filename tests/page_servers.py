"""Servers and processes that the pages of the documentation speak of, on this machine."""

import contextlib
import http.server
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

import numpy as np
from doc_pages import ROOT

READY = 300  # seconds, in which TensorFlow is imported on a busy machine
# Where `make compat` has an S3-compatible server; `make scale` installs that too.
S3_PYTHON = pathlib.Path(
    os.environ.get("KINETICS_I3D_COMPAT", ROOT / ".venv-compat"), "s3/bin/python"
)


@contextlib.contextmanager
def process_of(words, **environment):
    """A process for a `with` block, which is stopped like by Ctrl-C if it has not ended."""
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    process = subprocess.Popen(
        words, env={**os.environ, "PYTHONPATH": paths, **environment}, start_new_session=True
    )
    try:
        yield process
    finally:
        stop(process, signal.SIGTERM)


def stop(process, number):
    """Stops a process, and what is left of those that it has started."""
    for sent in (number, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, sent)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=60)


def wait_until(ready, process, name):
    """Waits until a server that a process starts is ready."""
    deadline = time.monotonic() + READY
    while not ready():
        assert process.poll() is None, f"{name}: ended"
        assert time.monotonic() < deadline, f"{name}: does not answer"
        time.sleep(0.2)


def free_ports(count):
    """Ports that nothing listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [
            stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)
        ]
        return [server.getsockname()[1] for server in sockets]


def is_open(port):
    """Whether something listens on a port."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def answers(url):
    """Whether a server answers at an address."""
    try:
        with urllib.request.urlopen(url, timeout=10):
            return True
    except (OSError, urllib.error.HTTPError):
        return False


@contextlib.contextmanager
def serve_s3(folder, bucket):
    """Serves a folder as a bucket of S3; yields (`host:port`, {variable: value} of a client)."""
    program = ROOT / "tests" / "compat" / "s3_server.py"
    server = subprocess.Popen(
        [S3_PYTHON, program, folder, bucket],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # a line a request
        text=True,
    )
    variables = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
    try:
        address = server.stdout.readline().strip()
        assert address.startswith("127.0.0.1:"), address
        yield address, {**variables, "AWS_REGION": "us-east-1"}
    finally:
        server.communicate(timeout=30)  # its input ends, and so does it


@contextlib.contextmanager
def start_ray(**environment):
    """A Ray cluster of this machine for a `with` block, which `--address auto` finds."""
    (port,) = free_ports(1)
    ray = str(pathlib.Path(sys.executable).with_name("ray"))
    words = [ray, "start", "--head", "--block", "--port", str(port), "--num-cpus", "2"]
    quiet = {"RAY_USAGE_STATS_ENABLED": "0"}
    with process_of([*words, "--include-dashboard=false"], **quiet, **environment) as process:
        wait_until(lambda: is_open(port), process, "ray start")
        yield


def saved_model(folder):
    """A function of a signature's name and arrays by name, as a server of the model has it."""
    import tensorflow as tf

    signatures = tf.saved_model.load(folder).signatures

    def answer(name, **inputs):
        tensors = {key: tf.constant(array) for key, array in inputs.items()}
        outputs = signatures[name or "serving_default"](**tensors)
        return {key: tensor.numpy() for key, tensor in outputs.items()}

    return answer


@contextlib.contextmanager
def serve_http(handler):
    """Serves a `BaseHTTPRequestHandler` for a `with` block; yields `host:port`."""
    handler.log_message = lambda *_: None
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def serve_rest(folder):
    """Serves a SavedModel as TensorFlow Serving does over HTTP; yields `host:port`."""
    answer = saved_model(folder)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            assert self.path == "/v1/models/i3d:predict", self.path
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            frames = np.array(request["instances"], np.uint8)
            outputs = answer("serving_default", rgb=frames)
            labels = [label.decode() for label in outputs["labels"][0]]
            row = {"labels": labels, "scores": outputs["scores"][0].tolist()}
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"predictions": [row]}).encode())

    with serve_http(Handler) as address:
        yield address


@contextlib.contextmanager
def serve_grpc(folder):
    """The same over gRPC."""
    from grpc_service import serve

    with serve(saved_model(folder)) as address:
        yield address


# What the image of TensorFlow Serving listens on.
SERVING = {8501: serve_rest, 8500: serve_grpc}


def serve_compose(folder):
    """What `docker compose up` starts in a folder, without Docker and the image.

    Args:
        folder: It contains `compose.yaml`, of one service of TensorFlow Serving.

    Returns:
        {published address: context manager that serves the model there, and yields `host:port`}.
    """
    import yaml

    folder = pathlib.Path(folder)
    ((_, service),) = yaml.safe_load((folder / "compose.yaml").read_text())["services"].items()
    assert service["image"].startswith("tensorflow/serving:")
    mounts = {}  # {place in the container: path here}
    for volume in service["volumes"]:
        source, target, *_ = volume.split(":")
        mounts[target] = folder / source

    def path_of(place):
        (mount,) = [mount for mount in mounts if f"{place}/".startswith(f"{mount}/")]
        path = mounts[mount] / pathlib.PurePosixPath(place).relative_to(mount)
        assert path.exists(), place
        return path

    flags = dict(word.removeprefix("--").split("=", 1) for word in service["command"])
    path_of(flags["batching_parameters_file"])
    config = path_of(flags["model_config_file"]).read_text()
    (base,) = [line.split('"')[1] for line in config.splitlines() if "base_path:" in line]
    newest = max(path_of(base).iterdir(), key=lambda path: int(path.name))
    ports = [map(int, row.split(":")) for row in service["ports"]]
    return {f"localhost:{here}": lambda to=to: SERVING[to](str(newest)) for here, to in ports}
