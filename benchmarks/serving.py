"""A server under load: many requests at once, most of them hostile, good ones among them.

`python benchmarks/serving.py` exports the figures' model, serves it with `examples/mlserver` and
reports who was answered how, how long the good ones took, and how far the server's memory rose.
`--python` names an interpreter that has mlserver beside TensorFlow; `--url` a server that runs
already, TensorFlow Serving's REST (`.../v1/models/NAME`) or MLServer's (`.../v2/models/NAME`).
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
    given = {
        "name": "rgb",
        "datatype": datatype,
        "shape": list(shape or pixels.shape),
        "data": pixels.ravel().tolist(),
    }
    return {"parameters": {"signature": signature}, "inputs": [given]}


def v1(pixels, *, shape=None, datatype="UINT8", signature="serving_default"):
    """The same for TensorFlow Serving, whose shape is the nesting of the lists."""
    return {"signature_name": signature, "instances": pixels.tolist()}


def requests(form):
    """{kind: body as bytes, or (bytes that are announced, body)}."""
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


def ask(url, place, body):
    """Sends one request by hand; returns what became of it: a status, or how the line broke."""
    announced, body = body if isinstance(body, tuple) else (len(body), body)
    where = urllib.parse.urlsplit(url)
    head = (
        f"POST {where.path}{place} HTTP/1.1\r\nHost: {where.netloc}\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {announced}\r\n\r\n"
    )
    try:
        with socket.create_connection((where.hostname, where.port), timeout=TIMEOUT) as line:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                line.sendall(head.encode() + body)
            if announced > len(body):
                line.shutdown(socket.SHUT_WR)
            answer = http.client.HTTPResponse(line, method="POST")
            answer.begin()
            answer.read()
            return answer.status
    except (http.client.HTTPException, ConnectionError):
        return "closed"
    except TimeoutError:
        return "no answer"


def storm(url, place, bodies, *, together, rounds):
    """Sends `together` requests at once, `rounds` times; a fifth of them are good.

    Returns:
        ({kind: Counter of answers}, seconds of each good one).
    """
    kinds = [kind for kind in bodies if kind != "good"]
    answers = collections.defaultdict(collections.Counter)
    seconds, lock = [], threading.Lock()
    for number in range(rounds):
        chosen = ["good"] * (together // 5)
        chosen += [kinds[each % len(kinds)] for each in range(together - len(chosen))]
        random.Random(number).shuffle(chosen)
        start = threading.Barrier(together)

        def send(kind, start=start):
            start.wait()
            began = time.perf_counter()
            answer = ask(url, place, bodies[kind])
            with lock:
                answers[kind][answer] += 1
                if kind == "good" and answer == 200:
                    seconds.append(time.perf_counter() - began)

        threads = [threading.Thread(target=send, args=(kind,)) for kind in chosen]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return answers, seconds


def memory(pid):
    """(resident MB now, at most so far) of a process, as Linux counts them."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    lines = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    return tuple(int(lines[key].split()[0]) / 1024 for key in ("VmRSS", "VmHWM"))


@contextlib.contextmanager
def served(python, weights):
    """Exports weights and serves them; gives (the model's URL, the server's process id)."""
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
    """What an Open Inference Protocol server calls itself; "" where there is no such answer."""
    where = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(where.hostname, where.port, timeout=TIMEOUT)
    connection.request("GET", "/v2")
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    if answer.status != 200:
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
    parser.add_argument("--python", default=sys.executable, help="has mlserver and TensorFlow")
    parser.add_argument("--weights", default="rgb_figures")
    parser.add_argument("--url", help="of a server that runs; its memory is then not told")
    parser.add_argument("--together", type=int, default=200)
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
            assert ask(url, place, bodies["good"]) == 200, "a good request alone is refused"
            alone.append(time.perf_counter() - began)
        server = server_of(url)
        used = [memory(pid)[0]] if pid else []
        answers, seconds = storm(
            url, place, bodies, together=options.together, rounds=options.rounds
        )
        last = ask(url, place, bodies["good"])
        assert last == 200, f"after the storm a good request is answered with {last}"
        used += memory(pid) if pid else ()
    report(bodies, answers, alone, seconds, used, server, options)


def report(bodies, answers, alone, seconds, used, server, options):
    """Writes the table: what was sent, what became of it, how long good ones took, the memory."""
    rows = [
        {
            "request": kind,
            "bytes": len(body[1] if isinstance(body, tuple) else body),
            "sent": sum(answers[kind].values()),
            "answers": ", ".join(f"{many} x {said}" for said, many in answers[kind].items()),
        }
        for kind, body in bodies.items()
    ]
    notes = (
        f"{server}{options.rounds} rounds of {options.together} requests at once, "
        f"{options.weights}, "
        f"clips of {FRAMES[1]} frames {FRAMES[2]}x{FRAMES[3]} as JSON. A good request alone takes "
        f"{statistics.median(alone):.2f} s; in the storm {statistics.median(seconds):.1f} s in the "
        f"median and {max(seconds):.1f} s at most."
    )
    if used:
        notes += (
            f" The server's memory: {used[0]:.0f} MB after the first requests, {used[1]:.0f} MB "
            f"after the storm, {used[2]:.0f} MB at its peak."
        )
    title = "A server under good and hostile requests"
    publish("serving", title, "python benchmarks/serving.py", rows, notes=notes)


if __name__ == "__main__":
    main()
