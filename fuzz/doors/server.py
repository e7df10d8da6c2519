"""The doors of serving: requests to an exported signature, and answers to the example's client."""

import functools
import http.client
import importlib.util
import io
import json
import pathlib
from unittest import mock

import numpy as np

from fuzz.door import Door
from kinetics_i3d.core.errors import DAMAGE, UserError

ROOT = pathlib.Path(__file__).resolve().parents[2]
ANSWERS = {
    "rest": {"predictions": [{"labels": ["sit", "stand"], "scores": [0.75, 0.25]}]},
    "v2": {
        "outputs": [
            {"name": "labels", "data": ["sit", "stand"], "shape": [2], "datatype": "BYTES"},
            {"name": "scores", "data": [0.75, 0.25], "shape": [2], "datatype": "FP32"},
        ]
    },
}


@functools.cache
def client():
    """The module of `examples/serve_video.py`."""
    path = ROOT / "examples" / "serve_video.py"
    spec = importlib.util.spec_from_file_location("serve_video", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _plant_answers(folder):
    (folder / "http").mkdir()
    body = json.dumps(ANSWERS["rest"])
    lines = ["HTTP/1.1 200 OK", "Content-Type: application/json", f"Content-Length: {len(body)}"]
    (folder / "http" / "answer.txt").write_text("\r\n".join([*lines, "", body]), newline="")
    for name, answer in ANSWERS.items():
        (folder / name).mkdir()
        text = json.dumps(answer)
        # The client takes the status from the length, see `_read_answer`.
        (folder / name / "answer.json").write_text(text if len(text) % 4 else f"{text} ")


class _Connection:
    """A connection to a server whose answer is the content of a file."""

    def __init__(self, body, status):
        head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        self.sock, self.data = self, body if body.startswith(b"HTTP/") else head + body

    def makefile(self, mode, *_):
        """The answer, as `http.client` reads it from a socket."""
        return io.BytesIO(self.data)

    def close(self):
        """Does nothing."""

    def getresponse(self):
        """The answer's head."""
        response = http.client.HTTPResponse(self)
        response.begin()
        return response


def _read_answer(folder):
    """The labels and scores that the example's client takes from an answer."""
    module = client()
    body = next((path.read_bytes() for path in folder.iterdir() if path.is_file()), b"")
    module.post = lambda connection, path, body, length: connection.getresponse()
    connection = _Connection(body, 200 if len(body) % 4 else 400)
    connects = mock.patch.object(http.client, "HTTPConnection", return_value=connection)
    try:
        frames = module.Frames((1, 2, 2, 3), lambda: iter(np.zeros((1, 2, 2, 3), np.uint8)))
        protocol = module.v2 if b"datatype" in body else module.rest
        with connects:
            url = "http://localhost:1/v1/models/x"
            outputs = module.predict_http(protocol, url, {"rgb": frames})
    except SystemExit as error:
        raise UserError(str(error.code)) from error
    rows = zip(outputs["labels"], outputs["scores"], strict=True)
    return [f"{100 * score:6.2f} %  {label}" for label, score in rows]


MOST_VALUES = 20_000_000  # a server refuses larger bodies by their length
REQUESTS = {
    "pixels": {"signature": "serving_default", "name": "rgb", "dtype": "uint8", "value": 7},
    "clips": {"signature": "float_clips", "name": "rgb", "dtype": "float32", "value": 0.25},
    "features": {"signature": "features", "name": "rgb", "dtype": "uint8", "value": 200},
}


def _plant_requests(folder):
    for name, fields in REQUESTS.items():
        (folder / name).mkdir()
        for number, shape in enumerate(([1, 9, 40, 48, 3], [2, 16, 33, 64, 3])):
            text = json.dumps({"shape": shape, **fields})
            (folder / name / f"request{number}.json").write_text(text)


@functools.cache
def _signatures():
    """The signatures of an exported model, of a network of three modules."""
    import dataclasses

    import kinetics_i3d as ki3d
    from kinetics_i3d.exporting.tensorflow import signatures
    from kinetics_i3d.models.architecture import Mixed
    from kinetics_i3d.models.inception_i3d import ARCHITECTURES

    row = ARCHITECTURES["inception_v1_quarter"]
    kept = ("Mixed_3c", "Mixed_4f", "Mixed_5c")
    parts = tuple(part for part in row.backbone if not isinstance(part, Mixed) or part.name in kept)
    ARCHITECTURES["fuzz"] = dataclasses.replace(row, name="fuzz", backbone=parts)
    model = ki3d.InceptionI3D(architecture="fuzz", classes=2)
    model.labels, model.clip_spec = ("sit", "stand"), ki3d.ClipSpec("fuzz", short_side=36, size=32)
    return signatures(model, top=5, endpoints=None)


def _read_request(folder):
    """The outputs for the requests of a folder, as a server gets them from the network."""
    import tensorflow as tf

    outputs = []
    for path in sorted(folder.iterdir()):
        try:
            fields = json.loads(path.read_bytes())
            shape = fields["shape"]
            if np.prod(np.asarray(shape, np.float64)) > MOST_VALUES:
                raise ValueError("larger than a request may be")
            array = np.full(shape, fields["value"], fields["dtype"])
            tensor = {fields["name"]: tf.constant(array)}
            function = _signatures()[fields["signature"]]
            if not fields["name"]:
                raise ValueError("an input without a name")
        except (*DAMAGE, DeprecationWarning) as error:  # no such request can be sent
            raise UserError("no request") from error
        try:
            result = {name: value.numpy() for name, value in function(**tensor).items()}
        except (tf.errors.InvalidArgumentError, ValueError, TypeError) as error:
            # TensorFlow itself names the input, its type or its rank.
            raise UserError(str(error).splitlines()[0]) from error
        outputs.append((shape[0], result))
    return outputs


def _request_problem(seed, result, forged):
    for batch, outputs in result:
        for name, array in outputs.items():
            if len(array) != batch or (array.dtype.kind == "f" and not np.isfinite(array).all()):
                return f"{name} of {array.dtype} {array.shape} for {batch} clips"
    return None


DOORS = [
    Door("answers", _plant_answers, _read_answer),
    Door("requests", _plant_requests, _read_request, _request_problem),
]
