"""The web page's server under load: hundreds of videos and requests at once, most of them hostile.

`python benchmarks/serving_videos.py` serves `kinetics-i3d demo`, whose decoder is bounded, sends it
good, damaged and hostile videos over its HTTP API, several at once, and reports the responses to
each kind, the latency of good ones, the server's memory, and what is left behind. FFmpeg gets a
bug for three of the videos: it hangs, fills memory or crashes. Needs the extra demo, on Linux.
"""

import argparse
import collections
import contextlib
import fractions
import functools
import http.client
import itertools
import json
import os
import pathlib
import queue
import random
import runpy
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import zipfile

import numpy as np
from report import publish
from serving import TIMEOUT, memory, send_request

ROOT = pathlib.Path(__file__).parents[1]
WAVE = ROOT / "examples" / "wave.mp4"
CLIENT = runpy.run_path(str(ROOT / "examples" / "ask_web_page.py"))
WEIGHTS = "rgb_figures"
API = CLIENT["API"]
MEGABYTES, SECONDS = 2, 20  # of a file, that the server accepts
LIMITS = "seconds=10,memory=1000000000"  # of the bounded decoder
GOOD = "a good MP4"
HOSTILE_DECODER = ROOT / "tests" / "hostile_decoder.py"


def encode(path, frames, *, codec, times=None, rate=25, metadata=None, options=None):
    """Writes pictures; `times` are their seconds."""
    import av

    with av.open(str(path), "w", options=options or {}) as out:
        out.metadata.update(metadata or {})
        stream = out.add_stream(codec, rate=rate)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "rgb8" if codec == "gif" else "yuv420p"
        stream.codec_context.time_base = fractions.Fraction(1, rate)
        if codec == "libx264":
            stream.options = {"preset": "ultrafast"}
        for number, pixels in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            picture.pts = number if times is None else round(times[number] * rate)
            picture.time_base = fractions.Fraction(1, rate)
            out.mux(stream.encode(picture))
        out.mux(stream.encode(None))


def make_videos(folder):
    """{kind: path} of the videos; those whose kind begins with "a good" are sound."""
    import kinetics_i3d as ki3d

    wave = list(ki3d.read_frames(WAVE))
    small = [frame[::4, ::4] for frame in wave]
    paths = {}

    def add(kind, name, content=None):
        paths[kind] = folder / name
        if content is not None:
            paths[kind].write_bytes(content)
        return paths[kind]

    add(GOOD, "good.mp4", WAVE.read_bytes())
    for suffix in ("avi", "mkv", "mov", "ts"):
        ki3d.write_video(add(f"a good {suffix.upper()}", f"good.{suffix}"), wave, fps=25)
    encode(add("a good WebM, VP8", "good.webm"), wave, codec="libvpx")
    encode(add("a good MPEG-1", "good.mpg"), wave, codec="mpeg1video")
    encode(add("a good GIF", "good.gif"), wave, codec="gif")
    title = add("a good MP4, its title in Latin-1", "title.mp4")
    encode(title, wave, codec="libx264", metadata={"title": "Cafe! XYZW"})
    text = title.read_bytes()
    assert b"Cafe!" in text
    title.write_bytes(text.replace(b"Cafe!", b"Caf\xe9!"))

    mp4, mkv = WAVE.read_bytes(), paths["a good MKV"].read_bytes()
    middle = len(mp4) // 2
    add(
        "MP4 with zeros in the middle",
        "zeros.mp4",
        mp4[:middle] + bytes(3000) + mp4[middle + 3000 :],
    )
    add("half of an MP4, without its index", "half.mp4", mp4[:middle])
    add("half of an MKV", "half.mkv", mkv[: len(mkv) // 2])
    add("an empty file", "empty.mp4", b"")
    add("text", "text.mp4", b"no video\n" * 999)
    add("noise", "noise.mp4", np.random.default_rng(0).bytes(100_000))
    hls = b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"
    add("a playlist of a local file", "playlist.mp4", hls)
    add("a list for FFmpeg's concat", "concat.mp4", b"ffconcat version 1.0\nfile /etc/passwd\n")
    encode(
        add("two pictures, ten hours apart", "ten_hours.mp4"),
        small[:2],
        codec="libx264",
        times=(0, 36_000),
    )
    encode(
        add("the same, no length in the header", "gaps.mkv"),
        small[:2],
        codec="libx264",
        times=(0, 3599),
        options={"live": "1"},
    )
    black = functools.partial(np.zeros, dtype=np.uint8)
    huge = add("pictures of 8192 x 8192", "huge.mp4")
    encode(huge, [black((8192, 8192, 3))] * 2, codec="libx264")
    encode(add("pictures of 16000 x 2", "wide.mp4"), [black((2, 16000, 3))] * 9, codec="libx264")
    encode(
        add(f"a video of {SECONDS + 1} s", "long.mp4"),
        list(itertools.islice(itertools.cycle(small), 5 * (SECONDS + 1))),
        codec="libx264",
        rate=5,
    )
    add("a file of 3 MB", "large.mp4", mp4 + bytes(3_000_000))
    add("a name of 250 letters", f"{'n' * 246}.mp4", mp4)
    add("a name that ends like a span", "name.mp4#t=9,8", mp4)
    for fault in ("hangs", "fills_memory", "crashes"):
        add(f"a decoder that {fault.replace('_', ' ')}", f"{fault}.mp4", mp4)
    return paths


def make_arrays(folder):
    """{kind: path} of arrays for the doctor."""
    paths = {name: folder / f"{name}.npy" for name in ("announced", "pickled")}
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000, 1000000), }"
    head = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    paths["announced"].write_bytes(head + bytes(1000))
    with paths["pickled"].open("wb") as file:
        np.save(file, np.array([{}, 1], object), allow_pickle=True)
    paths["bomb"] = folder / "bomb.npz"
    shape = (1500, 400, 500, 3)
    with (
        zipfile.ZipFile(paths["bomb"], "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("clip.npy", "w") as file,
    ):
        array = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, array)
        for _ in range(shape[0]):
            file.write(bytes(400 * 500 * 3))
    return {
        "doctor: an array that announces 10^12 values": paths["announced"],
        "doctor: a pickled array": paths["pickled"],
        "doctor: 0.9 GB of zeros in an archive of 1 MB": paths["bomb"],
    }


class Page:
    """A running server, as the API's clients see it.

    Args:
        address: Its address.
        pid: Its process id.
        temporary: Its folder of temporary files.
    """

    def __init__(self, address, pid, temporary):
        self.address, self.pid, self.temporary = address, pid, temporary

    def call(self, endpoint, path, weights=WEIGHTS):
        """Uploads a file and calls an endpoint with it."""
        file = CLIENT["file_data"](CLIENT["upload"](self.address, path))
        return CLIENT["call"](self.address, endpoint, file, weights)

    def classify(self, path):
        """The first label of a video."""
        return self.call("classify", path)["predictions"][0]["label"]

    def examine(self, path):
        """What the doctor says of a file."""
        report = self.call("doctor", path)
        return "a report with errors" if report["has_errors"] else "a report"

    def raw(self, place, head, body, *, leave=False):
        """The status of a request that is sent as it is; `leave` does not wait for it."""
        where = urllib.parse.urlsplit(self.address)
        head = "\r\n".join([f"POST {place} HTTP/1.1", "Host: page", "Connection: close", *head])
        with socket.create_connection((where.hostname, where.port), timeout=TIMEOUT) as connection:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(head.encode() + b"\r\n\r\n" + body)
            if leave:
                return "the client left"
            try:
                response = http.client.HTTPResponse(connection, method="POST")
                response.begin()
                response.read()
                return f"status {response.status}"
            except (http.client.HTTPException, ConnectionError):
                return "closed"


def make_requests(paths, arrays):
    """{kind: function of a `Page` that sends a request and returns the response in words}."""
    call = f"{API}/call/classify"
    good = paths[GOOD]

    def with_arguments(*arguments):
        return lambda page: str(CLIENT["call"](page.address, "classify", *arguments))

    def raw_json(body):
        return lambda page: f"status {send_request(page.address, call, body)}"

    def form(content):
        head = (
            b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.mp4"\r\n'
            b"Content-Type: video/mp4\r\n\r\n"
        )
        return head + content + b"\r\n--x--\r\n"

    def upload(body, *, announced=None, chunked=False, leave=False):
        length = f"Content-Length: {len(body) if announced is None else announced}"
        head = ["Content-Type: multipart/form-data; boundary=x"]
        head.append("Transfer-Encoding: chunked" if chunked else length)
        if chunked:
            body = b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"
        return lambda page: page.raw(f"{API}/upload", head, body, leave=leave)

    def leave_early(page):
        """Calls an endpoint, and closes the stream of events before the answer."""
        file = CLIENT["file_data"](CLIENT["upload"](page.address, good))
        body = json.dumps({"data": [file, WEIGHTS]}).encode()
        with CLIENT["post"](page.address + call, body, "application/json") as response:
            event = json.load(response)["event_id"]
        where = urllib.parse.urlsplit(page.address)
        with socket.create_connection((where.hostname, where.port), timeout=TIMEOUT) as connection:
            connection.sendall(f"GET {call}/{event} HTTP/1.1\r\nHost: page\r\n\r\n".encode())
            time.sleep(0.1)
        return "the client left"

    def file_named(path):
        return with_arguments(CLIENT["file_data"](path), WEIGHTS)

    requests = {kind: lambda page, path=path: page.classify(path) for kind, path in paths.items()}
    for kind in (GOOD, "text", "a decoder that hangs", "a decoder that crashes"):
        requests[f"doctor: {kind}"] = lambda page, path=paths[kind]: page.examine(path)
    for kind, path in arrays.items():
        requests[kind] = lambda page, path=path: page.examine(path)
    body = form(good.read_bytes())
    return requests | {
        "unknown weights": lambda page: str(page.call("classify", good, "nonsense")),
        "weights that are no text": lambda page: str(page.call("classify", good, [[1], {}])),
        "no video": with_arguments(None, WEIGHTS),
        "a number for a video": with_arguments(7, WEIGHTS),
        "too few arguments": with_arguments(),
        "100 arguments": with_arguments(*range(100)),
        "a file of the server": file_named("/etc/passwd"),
        "a file above the uploads": file_named("/uploads/../../etc/passwd"),
        "an upload that never was": file_named("/uploads/0123456789/a.mp4"),
        "not JSON": raw_json(b"\x00" * 1000),
        "JSON nested 100000 deep": raw_json(b"[" * 100_000),
        "10^12 bytes of JSON announced": raw_json((10**12, b"{" * 1000)),
        "2 MB of JSON": raw_json(b'{"data": ["' + b"a" * 2_000_000 + b'"]}'),
        "4 GB announced": upload(body, announced=4 * 2**30),
        "3 MB, chunked": upload(form(bytes(3_000_000)), chunked=True),
        "an upload that ends early": upload(
            body[: len(body) // 2], announced=len(body), leave=True
        ),
        "an upload without a file": upload(b"--x--\r\n"),
        "an upload that is no form": upload(b"\x00" * 1000),
        "a client that leaves": leave_early,
    }


def is_good(kind):
    """Whether requests of a kind are to be answered."""
    return kind.startswith("a good")


def response_of(request, page):
    """A response, or the line of the refusal."""
    try:
        return request(page)
    except RuntimeError as error:
        return f"“{error}”"
    except (OSError, http.client.HTTPException, LookupError, ValueError) as error:
        return f"{type(error).__name__}: {error}"


def load_test(page, requests, kinds, *, concurrent):
    """Sends requests of the given kinds, several at once.

    Returns:
        ({kind: Counter of responses}, {kind: [seconds]}).
    """
    waiting: queue.SimpleQueue = queue.SimpleQueue()
    for kind in kinds:
        waiting.put(kind)
    responses, seconds = collections.defaultdict(collections.Counter), collections.defaultdict(list)
    lock = threading.Lock()

    def work():
        with contextlib.suppress(queue.Empty):
            while True:
                kind = waiting.get_nowait()
                began = time.perf_counter()
                response = response_of(requests[kind], page)
                with lock:
                    responses[kind][response] += 1
                    seconds[kind].append(time.perf_counter() - began)

    threads = [threading.Thread(target=work) for _ in range(concurrent)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return responses, seconds


def descendants(pid):
    """Process ids of the children of a process and of theirs, on Linux."""
    children = collections.defaultdict(list)
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended
            _, _, rest = path.read_text().rpartition(")")
            children[int(rest.split()[1])].append(int(path.parent.name))
    pids = list(children[pid])
    for child in pids:
        pids += children[child]
    return pids


def leftovers(folder):
    """Process ids of all processes that were started with a folder for temporary files."""
    pids = []
    for path in pathlib.Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if f"TMPDIR={folder}\0".encode() in path.read_bytes():
                pids.append(int(path.parent.name))
    return pids


class ChildWatch:
    """Samples the children of a process: how many there are, and their memory together."""

    def __init__(self, pid):
        self._pid, self._stopped = pid, threading.Event()
        self.most, self.peak = 0, 0.0
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stopped.set()
        self._thread.join()

    def _watch(self):
        while not self._stopped.wait(0.25):
            pids, total = descendants(self._pid), 0.0
            for pid in pids:
                with contextlib.suppress(OSError, KeyError):
                    total += memory(pid)[0]
            self.most, self.peak = max(self.most, len(pids)), max(self.peak, total)


@contextlib.contextmanager
def served(folder, python, max_queue):
    """Serves the page; yields a `Page`, whose process has ended after the block."""
    start, temporary = folder / "start", folder / "temporary"
    start.mkdir()
    temporary.mkdir()
    shutil.copy(HOSTILE_DECODER, start / "sitecustomize.py")
    words = ["--port", 0, "--weights", WEIGHTS, "--max-size", MEGABYTES, "--max-seconds", SECONDS]
    words += ["--max-queue", max_queue]
    with (folder / "stderr").open("w") as stderr:
        process = subprocess.Popen(
            [python, "-m", "kinetics_i3d", "demo", *map(str, words)],
            env={
                **os.environ,
                "PYTHONPATH": f"{start}{os.pathsep}{ROOT}",
                "TMPDIR": str(temporary),
                "KINETICS_I3D_VIDEO_LIMITS": LIMITS,
            },
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            # A shell has the programs that it starts in the background ignore Ctrl-C.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        try:
            address = process.stdout.readline().partition(" ")[0].strip()
            if not address:
                process.wait()
                raise SystemExit((folder / "stderr").read_text())
            yield Page(address, process.pid, temporary)
            process.send_signal(signal.SIGINT)
            code = process.wait(TIMEOUT)
            assert code == 0, f"the server ended with exit code {code}"
        finally:
            process.kill()
            process.wait()


def chosen_kinds(requests, count):
    """Kinds of requests in random order; two of five are sound videos."""
    sound = [kind for kind in requests if is_good(kind)]
    others = [kind for kind in requests if kind not in sound]
    kinds = [sound[number % len(sound)] for number in range(2 * count // 5)]
    kinds += [others[number % len(others)] for number in range(count - len(kinds))]
    random.Random(0).shuffle(kinds)
    return kinds


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", default=sys.executable, help="interpreter that has Gradio")
    parser.add_argument("--requests", type=int, default=400, metavar="N")
    parser.add_argument("--concurrent", type=int, default=16, metavar="N")
    parser.add_argument("--dry-run", action="store_true", help="print and write nothing")
    options = parser.parse_args()
    socket.setdefaulttimeout(TIMEOUT)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "files").mkdir()
        paths = make_videos(folder / "files")
        requests = make_requests(paths, make_arrays(folder / "files"))
        with served(folder, options.python, max_queue=20) as page:
            state = {"start": memory(page.pid)[0]}
            alone = []
            for _ in range(5):
                began = time.perf_counter()
                label = response_of(requests[GOOD], page)
                assert label == "wave", f"a single good request was answered by {label}"
                alone.append(time.perf_counter() - began)
            state["first"] = memory(page.pid)[0]
            kinds = chosen_kinds(requests, options.requests)
            with ChildWatch(page.pid) as children:
                responses, seconds = load_test(page, requests, kinds, concurrent=options.concurrent)
            burst, _ = load_test(page, requests, [GOOD] * 60, concurrent=60)
            last = response_of(requests[GOOD], page)
            assert last == "wave", f"after the load a good request was answered by {last}"
            state["after"], state["peak"] = memory(page.pid)
            state["copies"] = len(list(page.temporary.glob("kinetics_i3d-[!d]*")))
            state["idle"] = len(descendants(page.pid))
        state["processes"] = len(leftovers(page.temporary))
        state["files"] = len(list(page.temporary.iterdir()))
        errors = (folder / "stderr").read_text()
    report(responses, seconds, alone, burst[GOOD], state, children, errors, options)


def report(responses, seconds, alone, burst, state, children, errors, options):
    """Prints or writes the table of requests and responses, with all else in the notes."""
    rows = [
        {
            "request": kind,
            "sent": sum(counts.values()),
            "responses": "; ".join(f"{n} x {text}" for text, n in counts.items()).replace("|", "/"),
            "seconds, median": f"{statistics.median(seconds[kind]):.1f}",
        }
        for kind, counts in sorted(
            responses.items(), key=lambda item: not item[0].startswith("a good")
        )
    ]
    good = [value for kind in seconds if is_good(kind) for value in seconds[kind]]
    tracebacks = errors.count("Traceback")
    sent = sum(map(len, seconds.values()))
    refused = "; ".join(f"{n} x {text}" for text, n in burst.items())
    notes = (
        f"`kinetics-i3d demo` with `{WEIGHTS}`, for files of {MEGABYTES} MB and {SECONDS} s, the "
        f"bounded decoder with `{LIMITS}`. {sent} requests in random order, {options.concurrent} "
        "at once; networks run one at a time. A good video alone takes "
        f"{statistics.median(alone):.2f} s; under load {statistics.median(good):.1f} s in the "
        f"median and {max(good):.1f} s at most, most of it in the queue, where each decoder that "
        "hangs holds the network for its 10 seconds. After that 60 good requests at once to the "
        f"queue of 20: {refused}.\n\nThe server's memory: {state['start']:.0f} MB after the start, "
        f"{state['first']:.0f} MB after the first requests, {state['after']:.0f} MB after the "
        f"load, {state['peak']:.0f} MB at its peak. Its child processes: {children.most} at "
        f"once, {children.peak:.0f} MB together at most; {state['idle']} wait for the next file at "
        f"the end. Left behind: {state['copies']} temporary files of requests while it runs; after "
        f"Ctrl-C {state['processes']} processes and {state['files']} files. Tracebacks on the "
        f"server's stderr: {tracebacks}."
    )
    if options.dry_run:
        print(*rows, notes, errors, sep="\n")
        return
    publish(
        "serving_videos",
        "A server that decodes videos, under good and hostile requests",
        " ".join(["python", "benchmarks/serving_videos.py", *sys.argv[1:]]),
        rows,
        notes=notes,
    )


if __name__ == "__main__":
    main()
