"""The client in `examples/` over HTTP, against a server of plain JSON."""

import base64
import http.server
import importlib.util
import json
import pathlib
import socket
import threading

import av
import numpy as np
import pytest

from kinetics_i3d.core.clip_spec import ClipSpec
from kinetics_i3d.data.views import load_streams
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
        protocol_version = "HTTP/1.1"  # answers `Expect: 100-continue`, as servers do

        def do_POST(self):
            text = self.rfile.read(int(self.headers["Content-Length"]))
            request = json.loads(text)
            if self.path == "/v1/models/tiny:predict":
                (instance,) = request["instances"]
                if not isinstance(instance, dict):  # a model of one input
                    instance = {{3: "rgb", 2: "flow"}[len(instance[0][0][0])]: instance}
                streams = {name: np.array([clip]) for name, clip in instance.items()}
                outputs = {"labels": ["sit", "stand"], "scores": [0.75, 0.25]}
                answer = {"predictions": [outputs]}
            else:
                streams = {}
                for tensor in request["inputs"]:
                    assert tensor["datatype"] == "UINT8"
                    assert tensor["parameters"] == {"content_type": "base64"}
                    (text,) = tensor["data"]
                    values = np.frombuffer(base64.b64decode(text, validate=True), np.uint8)
                    streams[tensor["name"]] = values.reshape(tensor["shape"])
                labels, scores = (
                    {"name": name, "data": data}
                    for name, data in (("labels", ["sit", "stand"]), ("scores", [0.75, 0.25]))
                )
                answer = {"outputs": [labels, scores]}
            frames = streams["rgb"] if [*streams] == ["rgb"] else streams
            received.append((self.path, frames))
            few = any(clip.shape[1] < 3 for clip in streams.values())
            self.send_response(400 if few else 200)
            answer = {"error": "rgb must have more"} if few else answer
            body = json.dumps(answer).encode()
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

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
    ("protocol", "endpoint", "full"),
    [("rest", "/v1/models/tiny", ":predict"), ("v2", "/v2/models/tiny", "/infer")],
)
def test_the_frames_arrive_unchanged(client, server, video, protocol, endpoint, full):
    url, received = server
    actual = client.predict(
        video, protocol=protocol, url=url + endpoint, fps=5, short_side=24, max_frames=100
    )
    assert actual["labels"] == ["sit", "stand"] and actual["scores"] == [0.75, 0.25]
    ((path, sent),) = received
    assert path == endpoint + full
    expected = np.stack(list(client.read_frames(video, fps=5, short_side=24, max_frames=100)))
    assert sent.shape == (1, 5, 24, 32, 3) and (sent[0] == expected).all()
    # The video has 10 frames per second, so every second frame is sent.
    assert expected[0, :, -1].mean() > 200 > expected[1, :, -1].mean()


def test_frames_are_those_that_the_package_reads(client, video):
    for fps in (4, 10, 25):
        expected = list(read_frames(video, fps=fps, short_side=24))
        actual = list(client.read_frames(video, fps=fps, short_side=24, max_frames=100))
        assert len(actual) == len(expected)
        off = np.abs(np.stack(actual).astype(int) - np.stack(expected).astype(int))
        assert off.mean() < 2  # another resize, the same frames


def test_the_number_of_frames_is_bounded_and_a_refusal_is_reported(client, server, video):
    url, received = server
    options = {"protocol": "rest", "url": f"{url}/v1/models/tiny", "fps": 10, "short_side": 24}
    with pytest.raises(SystemExit, match="rgb must have more"):
        client.predict(video, max_frames=2, **options)
    assert received[0][1].shape[1] == 2
    size = 10 * 24 * 32 * 3
    with pytest.raises(SystemExit, match=f"is larger than {size - 1} bytes; take fewer --frames"):
        client.predict(video, max_frames=100, max_bytes=size - 1, **options)
    assert len(received) == 1
    client.predict(video, max_frames=100, max_bytes=size, **options)
    assert len(received) == 2


def test_the_crop_of_the_square_is_that_of_the_frame(client):
    rng = np.random.default_rng(0)
    for height, width in ((256, 341), (455, 256), (257, 256), (256, 340)):
        frame = rng.integers(0, 256, (height, width, 3), np.uint8)
        cut = client.crop_square(frame, side=256, size=224)
        assert cut.shape == (256, 256, 3)
        np.testing.assert_array_equal(center_crop(cut, 224), center_crop(frame, 224))
    small = client.crop_square(rng.integers(0, 256, (36, 49, 3), np.uint8), side=36, size=33)
    assert small.shape == (36, 36, 3)


def test_only_the_square_is_sent(client, server, video):
    url, received = server
    options = {"protocol": "v2", "url": f"{url}/v2/models/tiny", "fps": 5, "short_side": 24}
    client.predict(video, max_frames=100, size=20, **options)
    assert received[0][1].shape == (1, 5, 24, 24, 3)


@pytest.mark.parametrize("says_why_first", [True, False])
def test_the_error_of_a_server_that_refuses_a_large_body_is_reported(client, says_why_first):
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
        streams = {"rgb": client.Frames((1, 2, 2, 3), lambda: [frame])}
        with pytest.raises(SystemExit, match="413: bodies must have 5 bytes or fewer"):
            client.predict_http(client.v2, url, streams)
        thread.join()
    assert len(bodies) == (not says_why_first)


def test_a_missing_server_is_reported_in_one_line(client, server):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    streams = {"rgb": client.Frames((1, 2, 2, 3), list)}
    with pytest.raises(SystemExit, match="no answer to"):
        client.predict_http(client.v2, f"http://127.0.0.1:{port}/v2", streams)


FLOW = {"name": "flow", "fps": 5.0, "short_side": 25, "size": 20, "stream": "flow"}


@pytest.mark.parametrize("fps", [None, 5])
@pytest.mark.parametrize(
    ("protocol", "endpoint"), [("rest", "/v1/models/tiny"), ("v2", "/v2/models/tiny")]
)
def test_flow_arrives_alone_and_beside_rgb(client, server, video, protocol, endpoint, fps):
    """The 800 bytes of a frame are no multiple of three, as base64 has them."""
    url, received = server
    options = {"protocol": protocol, "url": url + endpoint, "max_frames": 100}
    actual = client.predict(
        video, fps=fps, short_side=25, size=20, flow=FLOW | {"minimum_frames": 9}, **options
    )
    assert actual["labels"] == ["sit", "stand"]
    ((_, sent),) = received
    spec = ClipSpec(**FLOW)
    expected = spec.denormalize(load_streams(video, {"flow": spec}))
    assert expected.shape == (1, 4, 20, 20, 2)
    np.testing.assert_array_equal(sent["flow"], expected)
    # Five frames are read, of which the last has no flow.
    assert {name: clip.shape for name, clip in sent.items()} == {
        "flow": (1, 4, 20, 20, 2),
        **({} if fps is None else {"rgb": (1, 4, 25, 25, 3)}),
    }


def test_flow_is_bounded_and_a_single_frame_is_reported(client, server, video, tmp_path):
    url, received = server
    options = {"protocol": "v2", "url": f"{url}/v2/models/tiny", "short_side": 25, "flow": FLOW}
    client.predict(video, fps=None, max_frames=3, **options)
    assert received[0][1]["flow"].shape == (1, 3, 20, 20, 2)
    write_video(tmp_path / "one.mp4", np.zeros((1, 48, 64, 3), np.uint8), fps=10)
    with pytest.raises(SystemExit, match="a single frame has no flow"):
        client.predict(tmp_path / "one.mp4", fps=None, max_frames=3, **options)


def test_playlists_are_not_followed(client, tmp_path):
    write_video(tmp_path / "secret.mp4", np.zeros((4, 32, 32, 3), np.uint8), fps=25)
    playlist = tmp_path / "list.mp4"
    for text in (
        f"ffconcat version 1.0\nfile '{tmp_path / 'secret.mp4'}'\n",
        f"#EXTM3U\n#EXTINF:1,\n{tmp_path / 'secret.mp4'}\n#EXT-X-ENDLIST\n",
    ):
        playlist.write_text(text)
        with pytest.raises(av.error.FFmpegError, match="Invalid"):
            next(client.read_frames(str(playlist), fps=25, short_side=32, max_frames=4))
    frames = client.read_frames(str(tmp_path / "secret.mp4"), fps=25, short_side=32, max_frames=4)
    assert len(list(frames)) == 4


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n1.5", "200: 1.5"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"[" * 100_000, r"200: \[\["),
        (b'HTTP/1.1 200 OK\r\n\r\n{"predictions": []}', "has no labels with scores"),
        (b'HTTP/1.1 200 OK\r\n\r\n{"predictions": [{"labels": ["a"]}]}', "has no labels with"),
        (b'HTTP/1.1 200 OK\r\n\r\n{"predictions": [{"labels": ["a"], "scores": []}]}', "has no l"),
        (b'HTTP/1.1 200 OK\r\n\r\n{"predictions": [{"labels": [1], "scores": ["x"]}]}', "has no"),
        (b'HTTP/1.1 400 No\r\n\r\n{"error": "two\\nlines\\u001b[2J"}', r"400: two lines \[2J$"),
        (b"HTTP/1.1 two hundred\r\n\r\n", r"no answer to \d+ bytes \(HTTP/1.1 two hundred\)$"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", "200: {$"),
    ],
)
def test_an_answer_of_another_program_is_an_error_of_one_line(client, video, answer, why):
    def serve(listening):
        connection, _ = listening.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, args=(listening,))
        thread.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1/models/tiny"
        with pytest.raises(SystemExit, match=why) as stopped:
            client.predict(video, protocol="rest", url=url, fps=5, short_side=24, max_frames=100)
        thread.join()
    assert "\n" not in str(stopped.value) and "\x1b" not in str(stopped.value)
