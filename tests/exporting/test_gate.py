"""The gate in `examples/mlserver`: the bodies that it accepts, and how many at once."""

import asyncio
import importlib.util
import pathlib

import pytest

PATH = pathlib.Path(__file__).parents[2] / "examples" / "mlserver" / "gate.py"


@pytest.fixture(scope="module")
def gate():
    spec = importlib.util.spec_from_file_location("gate", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Inside:
    """An application that reads a body and answers; it counts the bytes that are held at once."""

    def __init__(self):
        self.bodies, self.in_memory, self.most = [], 0, 0

    async def __call__(self, scope, receive, send):
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        self.bodies.append(body)
        self.in_memory += len(body)
        self.most = max(self.most, self.in_memory)
        await asyncio.sleep(0.01)
        self.in_memory -= len(body)
        await send({"type": "http.response.start", "status": 200})


async def post(app, messages, *, length=None, method="POST", encoding=None):
    """The status of the answer, or None where there is none."""
    headers = [] if length is None else [(b"content-length", str(length).encode())]
    headers += [] if encoding is None else [(b"content-encoding", encoding)]
    waiting, sent = list(messages), []

    async def receive():
        return waiting.pop(0) if waiting else await asyncio.Event().wait()

    async def send(message):
        sent.append(message)

    await app({"type": "http", "method": method, "headers": headers}, receive, send)
    return sent[0]["status"] if sent else None


def part(body, more=False):
    return {"type": "http.request", "body": body, "more_body": more}


def test_a_body_arrives_unchanged(gate):
    inside = Inside()
    app = gate.Gate(inside, max_body=10)
    answer = asyncio.run(post(app, [part(b"abc", True), part(b"", True), part(b"de")], length=5))
    assert answer == 200 and inside.bodies == [b"abcde"]


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"length": 11}, 413),
        ({"length": 10**12}, 413),
        ({"length": None}, 411),
        ({"length": -1}, 411),
        ({"length": "٣"}, 411),
        ({"length": 3, "encoding": b"gzip"}, 415),
    ],
)
def test_a_refused_body_is_not_read(gate, options, status):
    inside = Inside()
    answer = asyncio.run(post(gate.Gate(inside, max_body=10), [part(b"abc")], **options))
    assert answer == status and inside.bodies == []


def test_requests_without_a_body_pass(gate):
    inside = Inside()
    assert asyncio.run(post(gate.Gate(inside), [part(b"")], method="GET")) == 200


def test_bodies_wait_for_free_memory(gate):
    inside = Inside()

    async def many():
        app = gate.Gate(inside, max_body=10, max_total=25)
        return await asyncio.gather(
            *(post(app, [part(b"x" * 10)], length=10) for _ in range(40))
        ), app.free

    answers, free = asyncio.run(many())
    assert answers == [200] * 40 and inside.most == 20 and free == 25


def test_a_stalled_body_frees_its_memory(gate):
    inside = Inside()

    async def slow():
        app = gate.Gate(inside, max_body=10, max_total=10, timeout=0.05)
        stalled = asyncio.create_task(post(app, [part(b"x", True)], length=10))
        await asyncio.sleep(0)
        gone = post(app, [part(b"x", True), {"type": "http.disconnect"}], length=10)
        answers = await asyncio.gather(stalled, gone, return_exceptions=True)
        return answers, await post(app, [part(b"y" * 10)], length=10)

    (stalled, _), good = asyncio.run(slow())
    assert stalled == 408 and good == 200 and inside.bodies == [b"y" * 10]


def test_the_number_of_waiting_requests_is_bounded(gate):
    async def many():
        app = gate.Gate(Inside(), max_body=10, max_total=10, max_waiting=2, timeout=0.5)
        return await asyncio.gather(*(post(app, [part(b"x" * 10)], length=10) for _ in range(5)))

    answers = asyncio.run(many())
    assert sorted(answers) == [200, 200, 200, 503, 503]
