r"""Sends a video to a model server: TensorFlow Serving by REST or gRPC, or MLServer by REST.

    kinetics-i3d export rgb_figures --to serving --output served
    docker compose --project-directory served up
    python examples/serve_video.py examples/wave.mp4 \
        --spec served/models/i3d/1/assets/clip_spec.json

It needs PyAV and NumPy, for gRPC the packages of `pip install "kinetics-i3d[serving]"`, and for a
model that reads flow kinetics_i3d itself, which computes the flow. Only the frames that the model
reads are sent, at its rate and size, and only the square around its crop. Over HTTP each frame is
sent as it is decoded: as numbers of fixed width to TensorFlow Serving, as base64, a third of that
size, to MLServer. So the length is known before the first frame, and only one frame is in memory at
a time; flow is in memory as a whole.
"""

import argparse
import base64
import functools
import http.client
import json
import pathlib
import select
import socket
import typing
import urllib.parse

import av
import numpy as np

NUMBERS = np.array([f"{value:3d}," for value in range(256)], "S4")
FORMATS = "asf,avi,flv,gif,matroska,mov,mpeg,mpegts,ogg"  # no playlists
TIMEOUT = 120
MOST_BYTES = 64 << 20  # of an answer; 400 classes with their probabilities have 20 kB
REFUSAL_TIMEOUT = 1.0  # seconds in which a server can refuse a body


def read_frames(path, *, fps, short_side, max_frames):
    """Yields the frames shown at `fps` frames per second, uint8 (height, width, 3)."""

    def paint(frame):
        scale = short_side / min(frame.width, frame.height)
        size = {"width": round(frame.width * scale), "height": round(frame.height * scale)}
        image = frame.reformat(format="rgb24", **size).to_ndarray()
        return np.ascontiguousarray(np.rot90(image, round(frame.rotation / 90)))  # phones rotate

    # "file:" and no format that names further files: a request must not read any other file.
    options = {"format_whitelist": FORMATS, "protocol_whitelist": "file"}
    # Titles may have any encoding, which PyAV accepts by itself from version 19 on.
    errors = {"metadata_errors": "replace"} if av.__version__.startswith("18.") else {}
    with av.open(f"file:{path}", options=options, **errors) as file:
        stream = file.streams.video[0]
        shown, begin, end, tick = None, None, 0.0, 0
        for frame in file.decode(stream):
            begin = frame.time if begin is None else begin
            end = frame.time - begin
            while shown is not None and tick < max_frames and tick / fps < end - 1e-3:
                yield paint(shown)
                tick += 1
            if tick == max_frames:
                return
            shown = frame
        end += float(1 / (stream.average_rate or fps))
        while shown is not None and tick < max_frames and tick / fps < end - 1e-3:
            yield paint(shown)
            tick += 1


def as_json(frame):
    """A frame as nested JSON lists, each number three characters wide."""
    height, width, channels = frame.shape
    pixels = NUMBERS[frame].reshape(height, width * channels).tobytes()
    pixel, line = channels * 4, width * channels * 4
    rows = []
    for row in range(height):
        numbers = pixels[row * line : (row + 1) * line]
        values = [numbers[at : at + pixel][:-1] for at in range(0, line, pixel)]
        rows.append(b"[[" + b"],[".join(values) + b"]]")
    return b"[" + b",".join(rows) + b"]"


def as_base64(frames):
    """Yields frames in base64, as one text: three bytes are four letters."""
    pending = b""
    for frame in frames:
        pending += frame.tobytes()
        whole = len(pending) - len(pending) % 3
        yield base64.b64encode(pending[:whole])
        pending = pending[whole:]
    yield base64.b64encode(pending)


def crop_square(frame, *, side, size):
    """The centered square of `side` pixels of a frame, of which a model crops `size` pixels.

    The model's resize does not change it, and its center crop is that of the whole frame.
    """
    top, left = ((length - size) // 2 - (side - size) // 2 for length in frame.shape[:2])
    return frame[max(0, top) : max(0, top) + side, max(0, left) : max(0, left) + side]


class Frames(typing.NamedTuple):
    """The frames of a stream, uint8, and where they come from.

    Args:
        shape: (frames, height, width, channels) of all frames.
        read: Function that returns an iterator over them.
    """

    shape: tuple
    read: typing.Callable


def rest(streams):
    """(path, length of the body, its parts) of a request to TensorFlow Serving.

    Args:
        streams: {stream: `Frames`}.
    """
    several = len(streams) > 1

    def parts(read):
        yield b'{"instances": [' + (b"{" if several else b"")
        for number, (name, frames) in enumerate(streams.items()):
            if several:
                yield (b", " if number else b"") + json.dumps(name).encode() + b": "
            for index, frame in enumerate(read(frames)):
                yield (b"," if index else b"[") + as_json(frame)
            yield b"]"
        yield (b"}" if several else b"") + b"]}"

    def black(frames):
        return [np.zeros(frames.shape[1:], np.uint8)]

    # All frames of a stream are as long as a black one, and a comma.
    length = sum(map(len, parts(black)))
    for frames in streams.values():
        length += (frames.shape[0] - 1) * (len(as_json(*black(frames))) + 1)
    return ":predict", length, parts(lambda frames: frames.read())


def v2(streams):
    """The same for the Open Inference Protocol, with the runtime in `examples/mlserver`."""
    heads, sizes = [], [int(np.prod(frames.shape, dtype=np.int64)) for frames in streams.values()]
    for number, (name, frames) in enumerate(streams.items()):
        tensor = {"name": name, "datatype": "UINT8", "shape": [1, *frames.shape]}
        text = json.dumps(tensor | {"parameters": {"content_type": "base64"}})
        start = ", " if number else '{"inputs": ['
        heads.append(f'{start}{text[:-1]}, "data": ["'.encode())

    def parts():
        for head, frames in zip(heads, streams.values(), strict=True):
            yield head
            yield from as_base64(frames.read())
            yield b'"]}'
        yield b"]}"

    length = sum(len(head) + 4 * -(-size // 3) + 3 for head, size in zip(heads, sizes, strict=True))
    return "/infer", length + 2, parts()


def predict_http(protocol, url, streams):
    """Sends frames over HTTP and returns the outputs of the response.

    Args:
        protocol: `rest` or `v2`.
        url: The model's URL, such as `http://localhost:8501/v1/models/i3d`.
        streams: {stream: `Frames`}.
    """
    path, length, body = protocol(streams)
    parts = urllib.parse.urlsplit(url)
    https = parts.scheme == "https"
    connect = http.client.HTTPSConnection if https else http.client.HTTPConnection
    connection = connect(parts.hostname, parts.port, timeout=TIMEOUT)
    try:
        with post(connection, f"{parts.path}{path}", body, length) as response:
            text = response.read(MOST_BYTES).decode("utf-8", errors="replace")
    except (OSError, http.client.HTTPException) as error:
        raise SystemExit(f"{url}: no answer to {length} bytes ({printable(str(error))})") from error
    finally:
        connection.close()
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):  # such as the error page of a proxy
        answer = {"error": " ".join(text.split())[:200] or response.reason}
    if response.status != 200 or not isinstance(answer, dict) or "error" in answer:
        reason = answer.get("error", text) if isinstance(answer, dict) else text
        raise SystemExit(f"{url}: {response.status}: {printable(str(reason))}")
    try:
        outputs = (
            answer["predictions"][0]
            if protocol is rest
            else {tensor["name"]: tensor["data"] for tensor in answer["outputs"]}
        )
        labels = [printable(str(label)) for label in outputs["labels"]]
        scores = [float(score) for score in outputs["scores"]]
        if len(labels) != len(scores):
            raise ValueError("not as many scores as labels")
        return outputs | {"labels": labels, "scores": scores}
    except (LookupError, TypeError, ValueError, OverflowError) as error:
        reason = f"the answer has no labels with scores: {printable(text)[:200]}"
        raise SystemExit(f"{url}: {reason}") from error


def printable(text):
    """Text of a server in one line, without what would move the cursor of a terminal."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def post(connection, path, body, length):
    """Sends a body, unless the server refuses it by its length, and returns the response.

    A server that refuses a large body does not read it. If it is sent nevertheless, the connection
    is reset and the reason is lost.
    """
    connection.putrequest("POST", path)
    connection.putheader("Content-Type", "application/json")
    connection.putheader("Content-Length", str(length))
    connection.putheader("Expect", "100-continue")
    connection.endheaders()
    if select.select([connection.sock], [], [], REFUSAL_TIMEOUT)[0] and refused(connection.sock):
        return connection.getresponse()
    try:
        for part in body:
            connection.send(part)
    except (BrokenPipeError, ConnectionResetError):
        return connection.getresponse()  # sent before the reset
    return connection.getresponse()


def refused(sock):
    """Whether the first line of a response is not `100 Continue`."""
    if not isinstance(sock, socket.socket) or hasattr(sock, "cipher"):
        return False  # TLS data cannot be read ahead
    return b" 100 " not in sock.recv(64, socket.MSG_PEEK).partition(b"\r\n")[0]


def predict_grpc(target, name, streams):
    """Sends all frames in one gRPC message to TensorFlow Serving and returns the outputs.

    Args:
        target: Such as `localhost:8500`.
        name: The model's name.
        streams: {stream: `Frames`}.
    """
    import grpc
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = name, "serving_default"
    for stream, frames in streams.items():
        tensor = request.inputs[stream]
        tensor.dtype = tf.uint8.as_datatype_enum
        for side in (1, *frames.shape):
            tensor.tensor_shape.dim.add(size=side)
        tensor.tensor_content = b"".join(frame.tobytes() for frame in frames.read())
    with grpc.insecure_channel(target) as channel:
        service = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        try:
            answer = service.Predict(request, timeout=TIMEOUT)
        except grpc.RpcError as error:
            reason = " ".join(error.details().split())
            raise SystemExit(f"{target}: {error.code().name}: {reason}") from error
    outputs = {key: tf.make_ndarray(tensor)[0] for key, tensor in answer.outputs.items()}
    return {**outputs, "labels": [label.decode() for label in outputs["labels"]]}


def rgb_frames(path, *, fps, short_side, max_frames, size=None):
    """The `Frames` of a video, only the square around a center crop of `size` pixels if given."""

    def read():
        whole = read_frames(path, fps=fps, short_side=short_side, max_frames=max_frames)
        if size is None:
            return whole
        return (crop_square(frame, side=short_side, size=size) for frame in whole)

    count, first = 0, None
    for frame in read():  # decoding twice needs less memory than keeping them
        first, count = frame if first is None else first, count + 1
    if first is None:
        raise SystemExit(f"{path}: holds no frame")
    return Frames((count, *first.shape), read)


def flow_frames(path, *, fields, max_frames):
    """The `Frames` of a video's flow, in 8 bits, of the model's center crop.

    Args:
        path: The video. Flow that `kinetics-i3d flow` stored beside it is not computed again.
        fields: Those of the stream in `clip_spec.json`.
        max_frames: Maximum number of frames.
    """
    import kinetics_i3d as ki3d

    fields = {name: value for name, value in fields.items() if name != "minimum_frames"}
    spec = ki3d.ClipSpec(**fields)
    rate = {"fps": spec.fps, "short_side": spec.short_side, "max_frames": max_frames + 1}
    count = sum(1 for _ in read_frames(path, **rate))  # the last frame has no flow
    try:
        (clip,) = ki3d.load_streams(path, {"flow": spec}, frames=max(1, count - 1))
    except ki3d.VideoError as error:
        raise SystemExit(str(error)) from error
    pixels = spec.denormalize(clip)
    return Frames(pixels.shape, functools.partial(iter, pixels))


def predict(
    path, *, protocol, url, fps, short_side, max_frames, size=None, flow=None, max_bytes=256 << 20
):
    """Classifies a video on a server: {"labels": [...], "scores": [...], ...}.

    Args:
        path: The video.
        protocol: "rest", "v2" or "grpc".
        url: The model's URL; for gRPC `host:port/name`.
        fps: Frames per second, see the model card; `None` sends no rgb.
        short_side: Pixels of the smaller side, see the model card.
        max_frames: Maximum number of frames that are sent.
        size: Side of the model's center crop in pixels; `None` sends whole frames.
        flow: The fields of flow in `clip_spec.json`; `None` sends no flow.
        max_bytes: Maximum size of all frames.

    Raises:
        SystemExit: If the frames are too large, or with the server's error.
    """
    streams = {}
    if flow is not None:
        streams["flow"] = flow_frames(path, fields=flow, max_frames=max_frames)
        max_frames = streams["flow"].shape[0]
    if fps is not None:
        streams["rgb"] = rgb_frames(
            path, fps=fps, short_side=short_side, max_frames=max_frames, size=size
        )
    shapes = [frames.shape for frames in streams.values()]
    if sum(np.prod(shape, dtype=np.int64) for shape in shapes) > max_bytes:
        text = " and ".join(map(str, shapes))
        raise SystemExit(f"{path}: {text} is larger than {max_bytes} bytes; take fewer --frames")
    if protocol == "grpc":
        target, _, name = url.rpartition("/")
        return predict_grpc(target, name, streams)
    return predict_http({"rest": rest, "v2": v2}[protocol], url, streams)


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
    parser.add_argument("--frames", type=int, default=250, help="maximum number of frames")
    options = parser.parse_args()
    specs = {"rgb": {"fps": 25.0, "short_side": 256, "size": 224, "resize": "short_side"}}
    if options.spec:
        specs = json.loads(options.spec.read_text(encoding="utf-8"))
    rgb = specs.get("rgb", {"fps": None, "short_side": None, "size": None, "resize": None})
    outputs = predict(
        options.video,
        protocol=options.protocol,
        url=options.url,
        fps=rgb["fps"],
        short_side=rgb["short_side"],
        max_frames=options.frames,
        size=rgb["size"] if rgb["resize"] == "short_side" else None,
        flow=specs.get("flow"),
    )
    for label, score in zip(outputs["labels"], outputs["scores"], strict=True):
        print(f"{100 * score:6.2f} %  {label}")
