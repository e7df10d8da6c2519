"""A server under load: many concurrent requests, four of five malformed or hostile.

`python benchmarks/serving.py` exports the figures model, serves it with `examples/mlserver` and
reports the responses to each kind of request, the latency of valid ones and the server's memory.
`--python` names an interpreter with mlserver and TensorFlow; `--url` a running server: TensorFlow
Serving's REST (`.../v1/models/NAME`) or MLServer's (`.../v2/models/NAME`).
"""

import argparse
import collections
import contextlib
import http.client
import json
import pathlib
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

import numpy as np
from report import publish

SERVE = pathlib.Path(__file__).parents[1] / "examples" / "mlserver" / "serve.py"
FRAMES = (1, 16, 48, 64, 3)
TIMEOUT = 300


def v2(pixels, *, shape=None, datatype="UINT8", signature="serving_default"):
    """A request of the Open Inference Protocol."""
    tensor = {
        "name": "rgb",
        "datatype": datatype,
        "shape": list(shape or pixels.shape),
        "data": pixels.ravel().tolist(),
    }
    return {"parameters": {"signature": signature}, "inputs": [tensor]}


def v1(pixels, *, shape=None, datatype="UINT8", signature="serving_default"):
    """The same for TensorFlow Serving, whose shape is the nesting of the lists."""
    return {"signature_name": signature, "instances": pixels.tolist()}


def requests(form):
    """{kind: body as bytes, or (announced length, body)}."""
    pixels = np.random.default_rng(0).integers(0, 256, FRAMES, np.uint8)
    few = pixels[:, :2]
    small = (1, 9, 32, 32, 3)
    good = json.dumps(form(pixels)).encode()
    zeros = json.dumps(form(np.zeros((1, 1, 1, 1, 1), np.uint8)))
    large = zeros.replace("[0]", f"[{'0,' * (4 << 20)}0]").encode()
    texts = {
        "good": form(pixels),
        "wrong dtype": form(pixels[:, :9] + 0.5, datatype="FP32"),
        "text for numbers": form(np.full((1, 9, 4, 4, 3), "1e999")),
        "NaN": form(np.full(small, np.nan), datatype="FP32", signature="float_clips"),
        "infinite": form(np.full(small, 1e39), datatype="FP32", signature="float_clips"),
        "256 for a byte": form(np.full(small, 256)),
        "no signature": form(few, signature="train"),
        "10^9 frames announced": form(few, shape=(1, 10**9, *FRAMES[2:])),
        "too few frames": form(few),
        "no frames": form(few, shape=(1, 0, *FRAMES[2:])),
    }
    return {
        **{kind: json.dumps(text).encode() for kind, text in texts.items()},
        "8 MB for 9216 numbers": large,
        "not JSON": b"\x00" * 1000,
        "nested 100000 deep": b"[" * 100_000,
        "truncated body": (len(good), good[: len(good) // 2]),
        "10^12 bytes announced": (10**12, good[:1000]),
    }


def send_request(url, place, body):
    """Sends one request over a socket; returns its status, or how the connection ended."""
    announced, body = body if isinstance(body, tuple) else (len(body), body)
    where = urllib.parse.urlsplit(url)
    head = (
        f"POST {where.path}{place} HTTP/1.1\r\nHost: {where.netloc}\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {announced}\r\n\r\n"
    )
    try:
        with socket.create_connection((where.hostname, where.port), timeout=TIMEOUT) as connection:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(head.encode() + body)
            if announced > len(body):
                connection.shutdown(socket.SHUT_WR)
            response = http.client.HTTPResponse(connection, method="POST")
            response.begin()
            response.read()
            return response.status
    except (http.client.HTTPException, ConnectionError):
        return "closed"
    except TimeoutError:
        return "no response"


def load_test(url, place, bodies, *, concurrent, rounds):
    """Sends `concurrent` requests at once, `rounds` times; a fifth of them are valid.

    Returns:
        ({kind: Counter of responses}, seconds of each valid request).
    """
    kinds = [kind for kind in bodies if kind != "good"]
    responses = collections.defaultdict(collections.Counter)
    seconds, lock = [], threading.Lock()
    for number in range(rounds):
        chosen = ["good"] * (concurrent // 5)
        chosen += [kinds[index % len(kinds)] for index in range(concurrent - len(chosen))]
        random.Random(number).shuffle(chosen)
        start = threading.Barrier(concurrent)

        def send(kind, start=start):
            start.wait()
            began = time.perf_counter()
            response = send_request(url, place, bodies[kind])
            with lock:
                responses[kind][response] += 1
                if kind == "good" and response == 200:
                    seconds.append(time.perf_counter() - began)

        threads = [threading.Thread(target=send, args=(kind,)) for kind in chosen]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return responses, seconds


def memory(pid):
    """(resident MB, peak resident MB) of a process on Linux."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    lines = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    return tuple(int(lines[key].split()[0]) / 1024 for key in ("VmRSS", "VmHWM"))


@contextlib.contextmanager
def served(python, weights):
    """Exports weights and serves them; yields (URL of the model, process id of the server)."""
    import kinetics_i3d as ki3d

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        model = ki3d.export(weights, pathlib.Path(folder, "served"), to="serving") / "models/i3d/1"
        command = [python, str(SERVE), str(model), "--port", str(port)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        url = f"http://127.0.0.1:{port}/v2/models/i3d"
        try:
            wait_for(process, port)
            yield url, process.pid
        finally:
            process.terminate()
            process.wait()


def server_of(url):
    """Name and version of an Open Inference Protocol server; empty for other servers."""
    where = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(where.hostname, where.port, timeout=TIMEOUT)
    connection.request("GET", "/v2")
    response = connection.getresponse()
    text = response.read()
    connection.close()
    if response.status != 200:
        return ""
    return "{name} {version}, ".format(**json.loads(text))


def wait_for(process, port):
    """Waits until the model is ready."""
    while process.poll() is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
        try:
            connection.request("GET", "/v2/models/i3d/ready")
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        finally:
            connection.close()
        time.sleep(0.5)
    raise SystemExit("the server did not start")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", default=sys.executable, help="interpreter that has mlserver")
    parser.add_argument("--weights", default="rgb_figures")
    parser.add_argument("--url", help="URL of a running server, whose memory is not measured")
    parser.add_argument("--concurrent", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    running = (
        contextlib.nullcontext((options.url, None))
        if options.url
        else served(options.python, options.weights)
    )
    with running as (url, pid):
        form, place = (v1, ":predict") if "/v1/" in url else (v2, "/infer")
        bodies = requests(form)
        alone = []
        for _ in range(5):
            began = time.perf_counter()
            assert send_request(url, place, bodies["good"]) == 200, (
                "a single valid request was refused"
            )
            alone.append(time.perf_counter() - began)
        server = server_of(url)
        used = [memory(pid)[0]] if pid else []
        responses, seconds = load_test(
            url, place, bodies, concurrent=options.concurrent, rounds=options.rounds
        )
        last = send_request(url, place, bodies["good"])
        assert last == 200, f"after the load a valid request got status {last}"
        used += memory(pid) if pid else ()
    report(bodies, responses, alone, seconds, used, server, options)


def report(bodies, responses, alone, seconds, used, server, options):
    """Writes the table of requests and responses, with latency and memory in the notes."""
    rows = [
        {
            "request": kind,
            "bytes": len(body[1] if isinstance(body, tuple) else body),
            "sent": sum(responses[kind].values()),
            "responses": ", ".join(f"{n} x {status}" for status, n in responses[kind].items()),
        }
        for kind, body in bodies.items()
    ]
    notes = (
        f"{server}{options.rounds} rounds of {options.concurrent} concurrent requests, "
        f"{options.weights}, "
        f"clips of {FRAMES[1]} frames {FRAMES[2]}x{FRAMES[3]} as JSON. A valid request alone takes "
        f"{statistics.median(alone):.2f} s; under load {statistics.median(seconds):.1f} s in the "
        f"median and {max(seconds):.1f} s at most."
    )
    if used:
        notes += (
            f" The server's memory: {used[0]:.0f} MB after the first requests, {used[1]:.0f} MB "
            f"after the load, {used[2]:.0f} MB at its peak."
        )
    title = "A server under valid and hostile requests"
    publish("serving", title, "python benchmarks/serving.py", rows, notes=notes)


if __name__ == "__main__":
    main()
