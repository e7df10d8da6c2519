"""Asks a server what happens in a video: TensorFlow Serving by REST or gRPC, MLServer by REST.

    kinetics-i3d export rgb_figures --to serving --output served
    docker compose --project-directory served up
    python examples/serve_video.py wave.mp4 --spec served/models/i3d/1/assets/clip_spec.json

It needs PyAV and NumPy, and for gRPC the packages of `pip install kinetics-i3d[serving]`. Only the
frames that the model reads are sent, at its rate and size, and of each only the square around what
it sees. HTTP sends each as it is decoded: numbers of one width to TensorFlow Serving, base64 to
MLServer, a third of that. The length is known before, and one frame is in memory at a time.
"""

import argparse
import base64
import http.client
import json
import pathlib
import select
import socket
import urllib.parse

import av
import numpy as np

NUMBERS = np.array([f"{value:3d}," for value in range(256)], "S4")
TIMEOUT = 120
PATIENCE = 1.0  # seconds for a server to say that it does not want a body


def frames_of(path, *, fps, short_side, most):
    """Yields uint8 arrays (height, width, 3): what is on the screen `fps` times a second."""

    def paint(frame):
        scale = short_side / min(frame.width, frame.height)
        size = {"width": round(frame.width * scale), "height": round(frame.height * scale)}
        return frame.reformat(format="rgb24", **size).to_ndarray()

    with av.open(path) as file:
        stream = file.streams.video[0]
        shown, begin, end, tick = None, None, 0.0, 0
        for frame in file.decode(stream):
            begin = frame.time if begin is None else begin
            end = frame.time - begin
            while shown is not None and tick < most and tick / fps < end - 1e-3:
                yield paint(shown)
                tick += 1
            if tick == most:
                return
            shown = frame
        end += float(1 / (stream.average_rate or fps))
        while shown is not None and tick < most and tick / fps < end - 1e-3:
            yield paint(shown)
            tick += 1


def nested(frame):
    """The numbers of a frame as nested lists, each number three characters wide."""
    height, width, channels = frame.shape
    pixels = NUMBERS[frame].reshape(height, width * channels).tobytes()
    line = width * channels * 4
    rows = []
    for row in range(height):
        numbers = pixels[row * line : (row + 1) * line]
        triples = [numbers[at : at + 12][:-1] for at in range(0, line, 12)]
        rows.append(b"[[" + b"],[".join(triples) + b"]]")
    return b"[" + b",".join(rows) + b"]"


def coded(frame):
    """The bytes of a frame in base64. They are three a pixel, so that frames join without a gap."""
    return base64.b64encode(frame.tobytes())


def middle(frame, *, side, size):
    """The part of a frame that a model sees, with what its resize to `side` needs around it.

    A model cuts the square of `size` out of the middle. The square of `side` around it is resized
    to itself, and has the same square in its middle.
    """
    height, width = frame.shape[:2]
    top, left = ((each - size) // 2 - (side - size) // 2 for each in (height, width))
    return frame[max(0, top) : max(0, top) + side, max(0, left) : max(0, left) + side]


def rest(shape):
    """(path, text before the frames, a frame, between, behind) of TensorFlow Serving's REST."""
    return ":predict", b'{"instances": [[', nested, b",", b"]]}"


def v2(shape):
    """The same of the Open Inference Protocol, as the runtime in `examples/mlserver` speaks it."""
    about = {"name": "rgb", "datatype": "UINT8", "shape": [1, *shape]}
    text = json.dumps(about | {"parameters": {"content_type": "base64"}})
    return "/infer", b'{"inputs": [' + text[:-1].encode() + b', "data": ["', coded, b"", b'"]}]}'


def ask_http(form, url, frames, shape):
    """What a server answers over HTTP, as JSON.

    Args:
        form: `rest` or `v2`.
        url: The model's, such as `http://localhost:8501/v1/models/i3d`.
        frames: Function that begins to yield the frames.
        shape: (frames, height, width, 3) of all that it will yield.
    """
    place, before, write, between, behind = form(shape)
    one = len(write(np.zeros(shape[1:], np.uint8)))

    def body():
        yield before
        for number, frame in enumerate(frames()):
            yield (between if number else b"") + write(frame)
        yield behind

    where = urllib.parse.urlsplit(url)
    kind = http.client.HTTPSConnection if where.scheme == "https" else http.client.HTTPConnection
    connection = kind(where.hostname, where.port, timeout=TIMEOUT)
    length = len(before) + shape[0] * one + (shape[0] - 1) * len(between) + len(behind)
    try:
        response = post(connection, f"{where.path}{place}", body(), length)
        text = response.read().decode("utf-8", errors="replace")
    except OSError as error:
        raise SystemExit(f"{url}: no answer to {length} bytes ({error})") from error
    finally:
        connection.close()
    try:
        answer = json.loads(text)
    except ValueError:  # a proxy's page
        answer = {"error": " ".join(text.split())[:200] or response.reason}
    if response.status != 200 or "error" in answer:
        said = answer.get("error", text) if isinstance(answer, dict) else text
        raise SystemExit(f"{url}: {response.status}: {said}")
    if "outputs" in answer:
        return {each["name"]: each["data"] for each in answer["outputs"]}
    return answer["predictions"][0]


def post(connection, path, body, length):
    """Sends a body, unless the server refuses it by its length alone; gives the answer.

    A server that refuses a large body does not read it: who sends it anyway is cut off, and never
    sees why.
    """
    connection.putrequest("POST", path)
    connection.putheader("Content-Type", "application/json")
    connection.putheader("Content-Length", str(length))
    connection.putheader("Expect", "100-continue")
    connection.endheaders()
    if select.select([connection.sock], [], [], PATIENCE)[0] and refused(connection.sock):
        return connection.getresponse()
    try:
        for part in body:
            connection.send(part)
    except (BrokenPipeError, ConnectionResetError):
        return connection.getresponse()  # what it had said before
    return connection.getresponse()


def refused(sock):
    """Whether the first line of what a server says is another than that it goes on."""
    if not isinstance(sock, socket.socket) or hasattr(sock, "cipher"):
        return False  # of TLS nothing can be read ahead
    return b" 100 " not in sock.recv(64, socket.MSG_PEEK).partition(b"\r\n")[0]


def ask_grpc(target, name, frames, shape):
    """What TensorFlow Serving answers over gRPC; one message holds all frames, a byte a number.

    Args:
        target: Such as `localhost:8500`.
        name: The model's.
        frames: As for `ask_http`.
        shape: As for `ask_http`.
    """
    import grpc
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = name, "serving_default"
    tensor = request.inputs["rgb"]
    tensor.dtype = tf.uint8.as_datatype_enum
    for side in (1, *shape):
        tensor.tensor_shape.dim.add(size=side)
    tensor.tensor_content = b"".join(frame.tobytes() for frame in frames())
    with grpc.insecure_channel(target) as channel:
        service = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        try:
            answer = service.Predict(request, timeout=TIMEOUT)
        except grpc.RpcError as error:
            said = " ".join(error.details().split())
            raise SystemExit(f"{target}: {error.code().name}: {said}") from error
    found = {key: tf.make_ndarray(tensor)[0] for key, tensor in answer.outputs.items()}
    return {**found, "labels": [label.decode() for label in found["labels"]]}


def ask(path, *, protocol, url, fps, short_side, most, size=None, most_bytes=256 << 20):
    """What a server says of a video: {"labels": [...], "scores": [...], ...}.

    Args:
        path: The video.
        protocol: "rest", "v2" or "grpc".
        url: The model's; for gRPC `host:port/name`.
        fps: Frames a second, as the model card says.
        short_side: Pixels of the smaller side, as the model card says.
        most: How many frames may be sent.
        size: Pixels of the square in the middle that the model sees; None sends whole frames.
        most_bytes: How large they may be altogether, a byte a number.

    Raises:
        SystemExit: If the frames are too large, or with the server's own words if it refuses.
    """

    def frames():
        whole = frames_of(path, fps=fps, short_side=short_side, most=most)
        if size is None:
            return whole
        return (middle(frame, side=short_side, size=size) for frame in whole)

    count, first = 0, None
    for frame in frames():  # decoding twice is cheaper than keeping them
        first, count = frame if first is None else first, count + 1
    if first is None:
        raise SystemExit(f"{path}: holds no frame")
    shape = (count, *first.shape)
    if np.prod(shape, dtype=np.int64) > most_bytes:
        raise SystemExit(f"{path}: {shape} is larger than {most_bytes} bytes; take fewer --frames")
    if protocol == "grpc":
        target, _, name = url.rpartition("/")
        return ask_grpc(target, name, frames, shape)
    return ask_http({"rest": rest, "v2": v2}[protocol], url, frames, shape)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("video")
    parser.add_argument("--protocol", choices=("rest", "v2", "grpc"), default="rest")
    parser.add_argument(
        "--url",
        default="http://localhost:8501/v1/models/i3d",
        help="v2: http://localhost:8080/v2/models/i3d; grpc: localhost:8500/i3d",
    )
    parser.add_argument("--spec", type=pathlib.Path, help="the artifact's assets/clip_spec.json")
    parser.add_argument("--frames", type=int, default=250, help="at most, for long videos")
    options = parser.parse_args()
    spec = {"fps": 25.0, "short_side": 256, "size": 224, "resize": "short_side"}
    if options.spec:
        spec = json.loads(options.spec.read_text(encoding="utf-8"))["rgb"]
    found = ask(
        options.video,
        protocol=options.protocol,
        url=options.url,
        fps=spec["fps"],
        short_side=spec["short_side"],
        most=options.frames,
        size=spec["size"] if spec["resize"] == "short_side" else None,
    )
    for label, score in zip(found["labels"], found["scores"], strict=True):
        print(f"{100 * score:6.2f} %  {label}")
