"""The client in `examples/` over HTTP, against a server that reads JSON and knows nothing else."""

import base64
import http.server
import importlib.util
import json
import pathlib
import socket
import threading

import numpy as np
import pytest

from kinetics_i3d.video.clip import center_crop
from kinetics_i3d.video.reader import read_frames
from kinetics_i3d.video.writer import write_video

PATH = pathlib.Path(__file__).parents[2] / "examples" / "serve_video.py"


@pytest.fixture(scope="module")
def client():
    spec = importlib.util.spec_from_file_location("serve_video", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def server():
    """(url, requests received); it refuses a clip of fewer than three frames."""
    received = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            text = self.rfile.read(int(self.headers["Content-Length"]))
            request = json.loads(text)
            if self.path == "/v1/models/tiny:predict":
                frames = np.array(request["instances"])
                found = {"labels": ["sit", "stand"], "scores": [0.75, 0.25]}
                answer = {"predictions": [found]}
            else:
                (given,) = request["inputs"]
                assert (given["name"], given["datatype"]) == ("rgb", "UINT8")
                assert given["parameters"] == {"content_type": "base64"}
                (text,) = given["data"]
                frames = np.frombuffer(base64.b64decode(text), np.uint8).reshape(given["shape"])
                labels, scores = (
                    {"name": name, "data": data}
                    for name, data in (("labels", ["sit", "stand"]), ("scores", [0.75, 0.25]))
                )
                answer = {"outputs": [labels, scores]}
            received.append((self.path, frames))
            few = frames.shape[1] < 3
            self.send_response(400 if few else 200)
            self.end_headers()
            answer = {"error": "rgb must have more"} if few else answer
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}", received
        listening.shutdown()
        thread.join()


@pytest.fixture
def video(tmp_path):
    ramp = np.linspace(0, 255, 64).astype(np.uint8)[None, :, None]
    frames = [np.broadcast_to(ramp // (1 + number), (48, 64, 3)) for number in range(10)]
    write_video(tmp_path / "ramp.mp4", np.stack(frames), fps=10)
    return str(tmp_path / "ramp.mp4")


@pytest.mark.parametrize(
    ("protocol", "place", "full"),
    [("rest", "/v1/models/tiny", ":predict"), ("v2", "/v2/models/tiny", "/infer")],
)
def test_the_frames_arrive_as_they_are(client, server, video, protocol, place, full):
    url, received = server
    found = client.ask(video, protocol=protocol, url=url + place, fps=5, short_side=24, most=100)
    assert found["labels"] == ["sit", "stand"] and found["scores"] == [0.75, 0.25]
    ((path, sent),) = received
    assert path == place + full
    wanted = np.stack(list(client.frames_of(video, fps=5, short_side=24, most=100)))
    assert sent.shape == (1, 5, 24, 32, 3) and (sent[0] == wanted).all()
    assert wanted[0, :, -1].mean() > 200 > wanted[1, :, -1].mean()  # 10 a second: each second one


def test_frames_are_those_that_the_package_reads(client, video):
    for fps in (4, 10, 25):
        wanted = list(read_frames(video, fps=fps, short_side=24))
        found = list(client.frames_of(video, fps=fps, short_side=24, most=100))
        assert len(found) == len(wanted)
        off = np.abs(np.stack(found).astype(int) - np.stack(wanted).astype(int))
        assert off.mean() < 2  # another resize, the same frames


def test_the_number_of_frames_is_bounded_and_a_refusal_is_told(client, server, video):
    url, received = server
    options = {"protocol": "rest", "url": f"{url}/v1/models/tiny", "fps": 10, "short_side": 24}
    with pytest.raises(SystemExit, match="rgb must have more"):
        client.ask(video, most=2, **options)
    assert received[0][1].shape[1] == 2
    size = 10 * 24 * 32 * 3
    with pytest.raises(SystemExit, match=f"is larger than {size - 1} bytes; take fewer --frames"):
        client.ask(video, most=100, most_bytes=size - 1, **options)
    assert len(received) == 1
    client.ask(video, most=100, most_bytes=size, **options)
    assert len(received) == 2


def test_the_middle_is_what_the_model_cuts(client):
    rng = np.random.default_rng(0)
    for height, width in ((256, 341), (455, 256), (257, 256), (256, 340)):
        frame = rng.integers(0, 256, (height, width, 3), np.uint8)
        cut = client.middle(frame, side=256, size=224)
        assert cut.shape == (256, 256, 3)
        np.testing.assert_array_equal(center_crop(cut, 224), center_crop(frame, 224))
    small = client.middle(rng.integers(0, 256, (36, 49, 3), np.uint8), side=36, size=33)
    assert small.shape == (36, 36, 3)


def test_only_the_square_is_sent(client, server, video):
    url, received = server
    options = {"protocol": "v2", "url": f"{url}/v2/models/tiny", "fps": 5, "short_side": 24}
    client.ask(video, most=100, size=20, **options)
    assert received[0][1].shape == (1, 5, 24, 24, 3)


@pytest.mark.parametrize("says_why_first", [True, False])
def test_a_body_that_is_too_large_is_refused_in_the_server_s_words(client, says_why_first):
    """As the gate: it answers by the announced length alone, reads nothing and closes."""
    bodies = []

    def serve(listening):
        connection, _ = listening.accept()
        with connection:
            head = connection.recv(65536)
            assert b"Expect: 100-continue" in head
            if not says_why_first:
                connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
                bodies.append(connection.recv(10))
            text = b'{"error": "bodies must have 5 bytes or fewer"}'
            head = b"HTTP/1.1 413 Too Large\r\nContent-Length: %d\r\n\r\n" % len(text)
            connection.sendall(head + text)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, args=(listening,))
        thread.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/v2/models/tiny"
        frame = np.zeros((2, 2, 3), np.uint8)
        with pytest.raises(SystemExit, match="413: bodies must have 5 bytes or fewer"):
            client.ask_http(client.v2, url, lambda: [frame], (1, 2, 2, 3))
        thread.join()
    assert len(bodies) == (not says_why_first)


def test_a_server_that_is_not_there_or_no_json_is_one_line(client, server):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    with pytest.raises(SystemExit, match="no answer to"):
        client.ask_http(client.v2, f"http://127.0.0.1:{port}/v2", list, (1, 2, 2, 3))
