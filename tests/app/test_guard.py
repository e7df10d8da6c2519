"""The guard before the page: sizes of requests, files that may be named, paths that are hidden."""

import asyncio
import json
import time

import pytest

from kinetics_i3d.app.guard import Guard

FOLDER = "/srv/secret/uploads-1234"
SIZE = 200_000
JSON = [(b"content-type", b"application/json")]


class Inner:
    """An ASGI application that reads its request and gives a prepared answer."""

    def __init__(self, body=b"{}", kind=b"application/json", parts=1):
        self.body, self.kind, self.parts = body, kind, parts
        self.request, self.scope = b"", None

    async def __call__(self, scope, receive, send):
        self.scope = scope
        while True:
            message = await receive()
            self.request += message.get("body", b"")
            if not message.get("more_body"):
                break
        headers = [
            (b"content-type", self.kind),
            (b"content-length", str(len(self.body)).encode()),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        step = -(-len(self.body) // self.parts)
        for number in range(self.parts):
            part = self.body[number * step : (number + 1) * step]
            more = number < self.parts - 1
            await send({"type": "http.response.body", "body": part, "more_body": more})


def call(inner, path="/gradio_api/upload", headers=(), parts=(b"",), folder=FOLDER):
    """(status, headers, body, number of parts that were read) of a request.

    Without parts the client never sends a body.
    """
    waiting, sent, reads = list(parts), [], 0

    async def receive():
        nonlocal reads
        if not waiting:
            await asyncio.Event().wait()
        reads += 1
        return {"type": "http.request", "body": waiting.pop(0), "more_body": bool(waiting)}

    async def send(message):
        sent.append(message)

    headers = list(headers)
    if any(parts) and b"content-length" not in dict(headers):
        headers.append((b"transfer-encoding", b"chunked"))
    scope = {"type": "http", "path": path, "raw_path": path.encode(), "headers": headers}
    asyncio.run(Guard(inner, folder=folder, size=SIZE)(scope, receive, send))
    start, *bodies = sent
    assert start["type"] == "http.response.start"
    body = b"".join(message["body"] for message in bodies)
    return start["status"], dict(start["headers"]), body, reads


def length(size):
    return [(b"content-length", str(size).encode())]


@pytest.mark.parametrize("expect", [[], [(b"expect", b"100-continue")]])
def test_an_announcement_of_four_gigabytes_is_refused_before_the_body_is_there(expect, monkeypatch):
    monkeypatch.setattr("kinetics_i3d.app.guard._DISCARD", 0.01)
    inner = Inner()
    status, headers, body, reads = call(inner, headers=length(4 * 2**30) + expect, parts=())
    assert (status, reads, inner.scope) == (413, 0, None)
    assert json.loads(body) == {"detail": "The file is too large: at most 0.2 MB are accepted"}
    assert int(headers[b"content-length"]) == len(body)


def test_what_follows_a_refusal_is_read_so_that_clients_see_the_answer():
    inner = Inner()
    status, _, _, reads = call(inner, headers=length(SIZE * 2), parts=[b"x" * SIZE] * 2)
    assert (status, reads, inner.scope) == (413, 2, None)
    parts, expect = [b"x" * SIZE] * 2, (b"expect", b"100-continue")
    assert call(inner, headers=[*length(SIZE * 2), expect], parts=parts)[3] == 0


def test_a_length_that_is_no_number_is_refused():
    assert call(Inner(), headers=[(b"content-length", b"-1")])[0] == 413


def test_a_body_of_unknown_length_is_refused_where_it_becomes_too_large():
    inner = Inner()
    parts = [b"x" * 100_000] * 10
    status, _, body, reads = call(inner, parts=parts)
    assert status == 413 and b"at most 0.2 MB" in body
    assert reads == 10 and len(inner.request) == 200_000  # the rest is discarded


def test_a_file_of_the_largest_size_passes():
    inner = Inner()
    assert call(inner, headers=length(SIZE + 1000), parts=[b"x" * (SIZE + 1000)])[0] == 200
    assert len(inner.request) == SIZE + 1000


def test_uploads_are_refused_where_twenty_of_the_largest_size_are_kept(tmp_path):
    (tmp_path / "ab").mkdir()
    (tmp_path / "ab" / "wave.mp4").write_bytes(b"x" * 19 * SIZE)
    assert call(Inner(), headers=length(SIZE), parts=[b"x" * SIZE], folder=tmp_path)[0] == 200
    (tmp_path / "other.mp4").write_bytes(b"x" * SIZE)
    inner = Inner()
    status, _, body, _ = call(inner, headers=length(SIZE), parts=[b"x" * SIZE], folder=tmp_path)
    assert (status, inner.scope) == (507, None) and b"no room" in body
    assert call(Inner(), path="/gradio_api/info", folder=tmp_path)[0] == 200


def test_old_uploads_make_room(tmp_path, monkeypatch):
    """Also those that were interrupted, of which Gradio knows nothing."""
    (tmp_path / "tmpab12").write_bytes(b"x" * 20 * SIZE)
    size = length(SIZE)
    assert call(Inner(), headers=size, parts=[b"x" * SIZE], folder=tmp_path)[0] == 507
    now = time.time()
    monkeypatch.setattr("kinetics_i3d.app.guard.time.time", lambda: now + 3500)
    assert call(Inner(), headers=size, parts=[b"x" * SIZE], folder=tmp_path)[0] == 507
    monkeypatch.setattr("kinetics_i3d.app.guard.time.time", lambda: now + 3700)
    assert call(Inner(), headers=size, parts=[b"x" * SIZE], folder=tmp_path)[0] == 200
    assert not list(tmp_path.iterdir())


def test_uploads_that_are_being_received_count(tmp_path):
    """What is not yet on the disk; one of unknown length counts as a whole file."""
    (tmp_path / "wave.mp4").write_bytes(b"x" * 18 * SIZE)
    answers = []

    async def wait(scope, receive, send):
        await asyncio.Event().wait()

    async def upload(guard, headers):
        scope = {"type": "http", "path": "/gradio_api/upload", "headers": headers}

        async def send(message):
            answers.append(message.get("status"))

        await guard(scope, asyncio.Event().wait, send)

    async def three():
        guard = Guard(wait, folder=tmp_path, size=SIZE)
        waits = [(b"expect", b"100-continue")]
        uploads = [upload(guard, headers) for headers in (waits, length(SIZE), waits)]
        tasks = [asyncio.create_task(coroutine) for coroutine in uploads]
        await asyncio.wait(tasks, timeout=0.2)
        for task in tasks:
            task.cancel()

    asyncio.run(three())
    assert [status for status in answers if status] == [507]


@pytest.mark.parametrize("missing", [0, 1000])
def test_what_has_been_received_does_not_count_twice(tmp_path, missing):
    (tmp_path / "wave.mp4").write_bytes(b"x" * (18 * SIZE + 65_000))
    guards, answers = [], []

    async def keep(scope, receive, send):
        message = await receive()
        (tmp_path / "tmpab12").write_bytes(message["body"])
        await call_again()

    async def call_again():
        async def send(message):
            answers.append(message.get("status"))

        guards[0].app = Inner()
        await guards[0](scope(SIZE), receive_of(b"x" * SIZE), send)

    def scope(size):
        return {"type": "http", "path": "/gradio_api/upload", "headers": length(size)}

    def receive_of(body, more=False):
        async def receive():
            return {"type": "http.request", "body": body, "more_body": more}

        return receive

    guards.append(Guard(keep, folder=tmp_path, size=SIZE))
    parts = receive_of(b"x" * SIZE, more=True)
    asyncio.run(guards[0](scope(SIZE + missing), parts, None))
    assert answers[0] == (507 if missing else 200)


def test_an_upload_that_stalls_is_ended(monkeypatch):
    monkeypatch.setattr("kinetics_i3d.app.guard._STALLED", 0.05)
    status, _, body, reads = call(Inner(), headers=length(SIZE), parts=[])
    assert (status, reads) == (408, 0)
    assert json.loads(body) == {"detail": "Nothing of the file was received for 0.05 seconds"}
    headers = [(b"transfer-encoding", b"chunked"), *length(0)]
    assert call(Inner(), headers=headers, parts=[])[0] == 408
    # Whoever waits for the end of the connection waits longer.
    assert call(Inner(), headers=length(1), parts=[b"x"])[0] == 200


def test_other_requests_than_uploads_are_small():
    status, _, body, _ = call(Inner(), path="/gradio_api/queue/join", headers=length(1_000_001))
    assert (status, json.loads(body)["detail"]) == (
        413,
        "The request is too large: at most 1 MB are accepted",
    )
    parts = [b"[" + b"1," * 400_000, b"1," * 400_000]
    assert call(Inner(), "/gradio_api/queue/join", JSON, parts)[0] == 413


@pytest.mark.parametrize("kind", [b"application/json", b"text/html; charset=utf-8"])
def test_answers_name_the_folder_of_uploads_by_another_name(kind):
    answer = json.dumps([f"{FOLDER}/ab/wave.mp4", "é"]).encode()
    _, headers, body, _ = call(Inner(answer, kind, parts=3))
    assert json.loads(body) == ["/uploads/ab/wave.mp4", "é"]
    assert int(headers[b"content-length"]) == len(body)


def test_events_are_passed_on_one_by_one():
    inner = Inner(f"data: {FOLDER}/a\n\n".encode() * 2, b"text/event-stream", parts=2)
    assert call(inner)[2] == b"data: /uploads/a\n\n" * 2


def test_files_are_passed_on_as_they_are():
    inner = Inner(f"{FOLDER}/a".encode(), b"video/mp4")
    assert call(inner, path="/gradio_api/file=/uploads/ab/a.mp4")[2] == inner.body
    assert inner.scope["path"] == f"/gradio_api/file={FOLDER}/ab/a.mp4"
    assert inner.scope["raw_path"] == inner.scope["path"].encode()


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/file=http://elsewhere/big.txt",
        "/gradio_api/file=https://elsewhere/uploads/a.mp4",
        "/gradio_api/file=/etc/passwd",
        "/gradio_api/file=uploads/a.mp4",
        "/file=http://elsewhere/a",
        "/gradio_api/file/http://elsewhere/big.txt",
        "/gradio_api/file//etc/passwd",
        "/gradio_api/file/uploads/ab/a.mp4",
        "/gradio_api/proxy=https://elsewhere.hf.space/a",
    ],
)
def test_no_other_file_or_address_is_fetched(path):
    inner = Inner()
    status, _, body, _ = call(inner, path=path)
    assert (status, inner.scope) == (404, None)
    assert json.loads(body) == {"detail": "Only uploaded files are served"}


def test_pages_may_load_nothing_from_other_servers():
    _, headers, _, _ = call(Inner(b"<html>", b"text/html"))
    assert headers[b"content-security-policy"].startswith(b"default-src 'self'")


def test_a_request_names_files_by_what_their_upload_returned():
    inner = Inner()
    file = {"path": "/uploads/ab/wave.mp4", "url": "http://elsewhere/wave.mp4", "size": 3}
    status, _, _, _ = call(inner, "/call", JSON, [json.dumps({"data": [file, 1]}).encode()])
    expected = {"data": [{"path": f"{FOLDER}/ab/wave.mp4", "size": 3}, 1]}
    assert (status, json.loads(inner.request)) == (200, expected)
    assert dict(inner.scope["headers"])[b"content-length"] == str(len(inner.request)).encode()


@pytest.mark.parametrize(
    "path",
    [
        *("/etc/passwd", "/uploads/../../etc/passwd", "http://elsewhere/a.mp4", f"{FOLDER}/a"),
        *("", "a", "/uploads", "/uploads/ab", "/uploads/ab/.", "/uploads/ab/wave.mp4/a"),
    ],
)
def test_a_request_can_name_no_other_file(path):
    inner = Inner()
    content = {"data": [[{"video": {"path": path}}]]}
    status, _, body, _ = call(inner, "/call", JSON, [json.dumps(content).encode()])
    assert (status, inner.scope) == (400, None)
    detail = "A file must be given as the path that its upload returned"
    assert json.loads(body) == {"detail": detail}


def test_a_file_inside_a_file_is_checked_too():
    inner = Inner()
    content = {"path": "/uploads/ab/a", "x": {"path": "/etc/passwd"}}
    assert call(inner, "/call", JSON, [json.dumps(content).encode()])[0] == 400
    content = {"path": "/uploads/ab/a", "x": {"path": "/uploads/ab/b", "url": "http://elsewhere"}}
    assert call(inner, "/call", JSON, [json.dumps(content).encode()])[0] == 200
    assert json.loads(inner.request) == {"path": f"{FOLDER}/ab/a", "x": {"path": f"{FOLDER}/ab/b"}}


def test_a_request_that_is_nested_too_deeply_is_refused():
    body = b"[" * 950 + b"]" * 950
    assert call(Inner(), "/call", JSON, [body])[0] == 400


@pytest.mark.parametrize(
    "kind", ["Application/JSON", "application/x+json", "application/vnd.api+json", "text/plain", ""]
)
@pytest.mark.parametrize("path", ["/gradio_api/call/classify", "/gradio_api/run/upload"])
def test_a_request_of_any_content_type_can_name_no_other_file(kind, path):
    inner = Inner()
    headers = [(b"content-type", kind.encode())] if kind else []
    body = json.dumps({"data": [{"path": "/etc/passwd"}]}).encode()
    for announced in ([], length(len(body))):
        status, _, _, _ = call(inner, path, [*headers, *announced], [body])
        assert (status, inner.scope) == (400, None)


@pytest.mark.parametrize("body", [b"{", b"\xff", b"[" * 100_000, b"path=/etc/passwd"])
def test_a_request_that_is_not_json_is_refused(body):
    assert call(Inner(), "/call", JSON, [body])[0] == 400


FILE = {"path": "/uploads/ab/wave.mp4", "meta": {"_type": "gradio.FileData"}}


@pytest.mark.parametrize(
    "content",
    [
        *(None, 7, "data", {}, {"data": None}, {"data": {}}, {"data": []}, {"data": [FILE]}),
        *({"data": [7, "rgb_figures"]}, {"data": [[FILE], "rgb_figures"]}),
        *({"data": [{"path": FILE["path"]}, "rgb_figures"]}, {"data": [FILE, "rgb_figures", 1]}),
    ],
)
def test_a_call_with_other_arguments_is_refused_in_one_line(content):
    inner = Inner()
    body = json.dumps(content).encode()
    status, _, body, _ = call(inner, "/gradio_api/call/classify", JSON, [body])
    assert (status, inner.scope) == (400, None)
    detail = json.loads(body)["detail"]
    assert detail.startswith("`data` must be a list of two items: a file or null, and the name of")
    assert "\n" not in detail


@pytest.mark.parametrize("file", [None, FILE])
def test_a_call_with_a_file_and_weights_passes(file):
    inner = Inner()
    body = json.dumps({"data": [file, "rgb_figures"]}).encode()
    assert call(inner, "/gradio_api/call/doctor", JSON, [body])[0] == 200
