"""The gate in `examples/mlserver`: what it lets through, and how much of it at once."""

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
        self.bodies, self.held, self.most = [], 0, 0

    async def __call__(self, scope, receive, send):
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        self.bodies.append(body)
        self.held += len(body)
        self.most = max(self.most, self.held)
        await asyncio.sleep(0.01)
        self.held -= len(body)
        await send({"type": "http.response.start", "status": 200})


async def post(app, messages, *, length=None, method="POST", encoding=None):
    """The status of the answer, or None where there is none."""
    headers = [] if length is None else [(b"content-length", str(length).encode())]
    headers += [] if encoding is None else [(b"content-encoding", encoding)]
    waiting, said = list(messages), []

    async def receive():
        return waiting.pop(0) if waiting else await asyncio.Event().wait()

    async def send(message):
        said.append(message)

    await app({"type": "http", "method": method, "headers": headers}, receive, send)
    return said[0]["status"] if said else None


def part(body, more=False):
    return {"type": "http.request", "body": body, "more_body": more}


def test_a_body_arrives_as_it_was_sent(gate):
    inside = Inside()
    app = gate.Gate(inside, most=10)
    found = asyncio.run(post(app, [part(b"abc", True), part(b"", True), part(b"de")], length=5))
    assert found == 200 and inside.bodies == [b"abcde"]


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({"length": 11}, 413),
        ({"length": 10**12}, 413),
        ({"length": None}, 411),
        ({"length": -1}, 411),
        ({"length": "٣"}, 411),
        ({"length": 3, "encoding": b"gzip"}, 415),
    ],
)
def test_what_is_refused_is_not_read(gate, given, status):
    inside = Inside()
    found = asyncio.run(post(gate.Gate(inside, most=10), [part(b"abc")], **given))
    assert found == status and inside.bodies == []


def test_only_bodies_are_held(gate):
    inside = Inside()
    assert asyncio.run(post(gate.Gate(inside), [part(b"")], method="GET")) == 200


def test_bodies_wait_for_their_place(gate):
    inside = Inside()

    async def many():
        app = gate.Gate(inside, most=10, together=25)
        return await asyncio.gather(
            *(post(app, [part(b"x" * 10)], length=10) for _ in range(40))
        ), app.free

    answers, free = asyncio.run(many())
    assert answers == [200] * 40 and inside.most == 20 and free == 25


def test_who_sends_no_body_gives_its_place_back(gate):
    inside = Inside()

    async def slow():
        app = gate.Gate(inside, most=10, together=10, patience=0.05)
        stalled = asyncio.create_task(post(app, [part(b"x", True)], length=10))
        await asyncio.sleep(0)
        gone = post(app, [part(b"x", True), {"type": "http.disconnect"}], length=10)
        found = await asyncio.gather(stalled, gone, return_exceptions=True)
        return found, await post(app, [part(b"y" * 10)], length=10)

    (stalled, _), good = asyncio.run(slow())
    assert stalled == 408 and good == 200 and inside.bodies == [b"y" * 10]


def test_the_line_is_bounded(gate):
    async def many():
        app = gate.Gate(Inside(), most=10, together=10, line=2, patience=0.5)
        return await asyncio.gather(*(post(app, [part(b"x" * 10)], length=10) for _ in range(5)))

    answers = asyncio.run(many())
    assert sorted(answers) == [200, 200, 200, 503, 503]
