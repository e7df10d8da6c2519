"""Runs what a page of the documentation says, as it is written, in the folder of stand-ins.

`python page_runner.py VERB ...` runs a command of `kinetics-i3d` on the same stand-ins in a process
of its own, as servers and the machines of a cluster need it.
"""

import ast
import contextlib
import http.server
import json
import os
import pathlib
import re
import runpy
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

import numpy as np
from doc_pages import ROOT, put_short_trainings, put_small_networks, put_stand_ins

# Commands that serve until they are stopped: the address on the page, and a path that answers when
# the server is ready.
SERVERS = {
    "kinetics-i3d demo": ("127.0.0.1:7860", "/"),
    "python examples/mlserver/serve.py": ("localhost:8080", "/v2/models/i3d/ready"),
}
# Of clients that name no address: the option for it, the address on the page, and its path.
CLIENTS = {
    "python examples/ask_web_page.py": ("--server", "127.0.0.1:7860", ""),
    "python examples/serve_video.py": ("--url", "localhost:8501", "/v1/models/i3d"),
}
READY = 300  # seconds, in which TensorFlow is imported on a busy machine


class PageRunner:
    """Runs the commands and Python blocks of one page in the current folder.

    Args:
        page: The page.
        monkeypatch: pytest's.
        stack: An `ExitStack`, whose end stops the servers.
    """

    def __init__(self, page, monkeypatch, stack):
        self.page, self._patch, self._stack = page, monkeypatch, stack
        self._names = {"__name__": page}
        self._addresses = {}  # {address on the page: address of the server}

    def run(self, block, text):
        """Runs a Python block, or one of the commands of a block."""
        if block.language == "python":
            text = "\n" * (block.line - 1) + self._with_addresses(text)
            exec(compile(text, self.page, "exec"), self._names)
        else:
            self.run_command(shlex.split(text))

    def run_command(self, words):
        """Runs a command; an error if it fails."""
        text = shlex.join(words)
        program, *rest = words
        served = next((name for name in SERVERS if text.startswith(name)), None)
        if program == "export":
            for word in rest:
                name, _, value = word.partition("=")
                self._patch.setenv(name, value)
        elif served:
            self._start_server(words, *SERVERS[served])
        elif text.startswith("kinetics-i3d watch rtsp:"):
            self._watch_stream(rest)
        elif text.startswith("kinetics-i3d scale"):  # the processes of Ray have no stand-ins
            subprocess.run([sys.executable, "-m", "kinetics_i3d", *rest], check=True)
        elif program == "kinetics-i3d" and "multiworker" in rest:
            self._run_on_two_machines(rest)
        elif program == "kinetics-i3d":
            self._run_verb(rest)
        elif program == "python":
            self._run_script(rest)
        elif text.startswith("make demo"):
            self._make_demo(rest)
        else:
            raise AssertionError(f"{text}: does not run; `NOT_RUN` must say why")

    def _run_verb(self, words):
        from kinetics_i3d.cli.main import main

        code = main(words)
        assert code == 0, f"{shlex.join(words)}: exit code {code}"

    def _make_demo(self, words):
        """Runs the command of the package that the target runs in its environment."""
        recipe = subprocess.run(
            ["make", "--dry-run", "--always-make", "--directory", str(ROOT), *words],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        commands = [line for line in recipe.splitlines() if "/kinetics-i3d " in line]
        for command in commands:
            self._run_verb(shlex.split(command)[1:])
        assert commands, recipe

    def _run_script(self, words):
        """Runs a script of this project in this process, on the stand-ins."""
        script, *rest = words
        text = shlex.join(["python", *words])
        if self.page == "docs/examples.md":
            self._prepare_example(script)
        for name, (option, address, path) in CLIENTS.items():
            if text.startswith(name) and option not in rest:
                self._address(address)
                rest += [option, f"http://{address}{path}"]
        if "grpc" in rest:
            self._address("localhost:8500")
        rest = [self._with_addresses(word) for word in rest]
        self._patch.setattr(sys, "argv", [script, *rest])
        try:
            runpy.run_path(script, run_name="__main__")
        except SystemExit as end:
            if end.code:
                raise

    def _prepare_example(self, script):
        """Runs the commands by which the first lines of an example say to begin."""
        usage = ast.get_docstring(ast.parse(pathlib.Path(script).read_text(encoding="utf-8")))
        for line in re.findall(r"^ +(kinetics-i3d .*)$", usage, re.MULTILINE):
            self.run_command(shlex.split(line))

    def _with_addresses(self, text):
        for address, actual in self._addresses.items():
            text = text.replace(address, actual)
        return text

    def _address(self, address):
        """The address of the server that a page has at an address, which may start it."""
        if address not in self._addresses and address in STARTED:
            server = STARTED[address]("served/models/i3d/1")
            self._addresses[address] = self._stack.enter_context(server)
        return self._addresses[address]

    def _start_server(self, words, address, path):
        """Starts a server at a free port instead of that on the page, and waits for it."""
        port = free_ports(1)[0]
        program, *rest = words
        script = [str(pathlib.Path(__file__)), *rest] if program == "kinetics-i3d" else rest
        process = self._stack.enter_context(
            process_of([sys.executable, *script, "--port", str(port)])
        )
        self._addresses[address] = f"127.0.0.1:{port}"
        url = f"http://127.0.0.1:{port}{path}"
        deadline = time.monotonic() + READY
        while not answers(url):
            assert process.poll() is None, f"{shlex.join(words)}: ended"
            assert time.monotonic() < deadline, f"{shlex.join(words)}: does not answer"
            time.sleep(0.2)

    def _watch_stream(self, words):
        """Watches a stream over HTTP in place of a camera, until Ctrl-C after the first line."""
        from kinetics_i3d.cli import watch as verb

        serve = runpy.run_path(str(ROOT / "benchmarks" / "live_server.py"))["serve_in_real_time"]

        def interrupt(prediction):
            raise KeyboardInterrupt

        self._patch.setattr(verb, "_print_text", interrupt)
        (source,) = [word for word in words if word.startswith("rtsp:")]
        with serve("VIDEO", seconds=3600) as address:
            self._run_verb([address if word == source else word for word in words])

    def _run_on_two_machines(self, words):
        """Runs a command once for each worker of `TF_CONFIG`, whose addresses become free ports."""
        config = json.loads(os.environ["TF_CONFIG"])
        workers = config["cluster"]["worker"]
        config["cluster"]["worker"] = [f"127.0.0.1:{port}" for port in free_ports(len(workers))]
        words = [word.replace("/shared/", f"{os.getcwd()}/shared/") for word in words]
        with contextlib.ExitStack() as stack:
            processes = []
            for index in range(len(workers)):
                config["task"]["index"] = index
                command = [sys.executable, __file__, *words]
                process = process_of(command, TF_CONFIG=json.dumps(config))
                processes.append(stack.enter_context(process))
            for process in processes:
                assert process.wait(timeout=300) == 0, shlex.join(words)


@contextlib.contextmanager
def process_of(words, **environment):
    """A process for a `with` block, which is stopped like by Ctrl-C if it has not ended."""
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    process = subprocess.Popen(words, env={**os.environ, "PYTHONPATH": paths, **environment})
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_ports(count):
    """Ports that nothing listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [
            stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)
        ]
        return [server.getsockname()[1] for server in sockets]


def answers(url):
    """Whether a server answers at an address."""
    try:
        with urllib.request.urlopen(url, timeout=10):
            return True
    except (OSError, urllib.error.HTTPError):
        return False


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

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def serve_grpc(folder):
    """The same over gRPC."""
    from grpc_service import serve

    with serve(saved_model(folder)) as address:
        yield address


STARTED = {"localhost:8501": serve_rest, "localhost:8500": serve_grpc}


class Patch:
    """The methods of pytest's `monkeypatch` that make stand-ins, without an end."""

    setattr = staticmethod(setattr)

    @staticmethod
    def setitem(mapping, key, value):
        """Sets an item."""
        mapping[key] = value


if __name__ == "__main__":
    from kinetics_i3d.cli.main import run

    put_small_networks(Patch)
    put_short_trainings(Patch)
    if pathlib.Path("inception5h.zip").exists():  # in the stage
        put_stand_ins(Patch, pathlib.Path.cwd())
    run()
