"""TensorFlow Serving: a folder that its official image runs, with model, settings and warm-up.

https://www.tensorflow.org/tfx/guide/serving; the folders `NAME/VERSION` are its layout. Flags:
https://www.tensorflow.org/tfx/serving/serving_config; batching: its `session_bundle_config.proto`.
"""

import pathlib
import re

from kinetics_i3d.core.files import atomic_folder
from kinetics_i3d.core.types import check_count
from kinetics_i3d.exporting.model_card import model_card
from kinetics_i3d.exporting.tensorflow import (
    feature_tensors,
    verify_saved_model,
    write_saved_model,
)
from kinetics_i3d.models.clip_model import fixed_size

WARM_UP = pathlib.Path("assets.extra", "tf_serving_warmup_requests")
IMAGE = "tensorflow/serving:2.18.0"

_MODELS = """\
# --model_config_file
model_config_list {{
  config {{
    name: "{name}"
    base_path: "/models/{name}"
    model_platform: "tensorflow"
  }}
}}
"""

_BATCHING = """\
# --batching_parameters_file, with --enable_batching
# One clip occupies the processor, and videos of different sizes or lengths do not fit into one
# tensor, so requests are not merged. The queue bounds how many clips are in memory at once; the
# server answers UNAVAILABLE when it is full. If all clients send clips of one size to a GPU, a
# max_batch_size of 4 and a timeout of 20000 may be faster.
max_batch_size { value: 1 }
batch_timeout_micros { value: 0 }
num_batch_threads { value: 2 }
max_enqueued_batches { value: 16 }
"""

_ARGUMENTS = (
    "--model_config_file=/models/models.config",
    "--enable_batching=true",
    "--batching_parameters_file=/models/batching.config",
    "--rest_api_timeout_in_ms=120000",
)

_COMPOSE = """\
services:
  {name}:
    image: {image}
    command:
{arguments}
    ports: ["8500:8500", "8501:8501"]  # gRPC, REST
    volumes: ["./models:/models:ro"]
    mem_limit: 8g
    restart: unless-stopped
"""

_KUBERNETES = """\
# The folder `models` is on the volume claim {dns}.
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {dns}
spec:
  replicas: 1
  selector:
    matchLabels: {{app: {dns}}}
  template:
    metadata:
      labels: {{app: {dns}}}
    spec:
      containers:
        - name: serving
          image: {image}
          args:
{arguments}
          ports: [{{containerPort: 8500}}, {{containerPort: 8501}}]
          readinessProbe:  # after the warm-up
            httpGet: {{path: /v1/models/{name}, port: 8501}}
          resources:
            requests: {{cpu: "2", memory: 4Gi}}
            limits: {{memory: 8Gi}}
          volumeMounts: [{{name: models, mountPath: /models, readOnly: true}}]
      volumes:
        - name: models
          persistentVolumeClaim: {{claimName: {dns}}}
---
apiVersion: v1
kind: Service
metadata:
  name: {dns}
spec:
  selector: {{app: {dns}}}
  ports: [{{name: grpc, port: 8500}}, {{name: rest, port: 8501}}]
"""
_USAGE = """\
Run `docker compose up` in this folder, or `kubectl apply -f kubernetes.yaml`. Then, for a video:

```
python examples/serve_video.py video.mp4 \\
    --url http://localhost:8501/v1/models/{name} \\
    --spec models/{name}/{version}/assets/clip_spec.json
```

Signatures: `serving_default` takes uint8 frames of any size and returns labels, scores and
probabilities; `logits`{features} take the same; `float_clips` takes prepared clips. An error in a
request is reported in the response. A newer version goes beside the old one, as
`models/{name}/{next}`; the server switches to it by itself.

"""

# Field numbers in tensorflow_serving/apis/{prediction_log,predict,model}.proto.
_LOG_PREDICT, _PREDICT_REQUEST = 6, 1
_REQUEST_SPEC, _REQUEST_INPUTS = 1, 2
_SPEC_NAME, _SPEC_SIGNATURE = 1, 3
_ENTRY_KEY, _ENTRY_VALUE = 1, 2


def export_serving(model, output, *, name="i3d", version=1, top=5, endpoints=None, about=None):
    """Writes a SavedModel with warm-up requests in a versioned folder, and its settings.

    Args:
        model: A `ClipModel` that ends in logits.
        output: The folder to write; it must be empty, or not exist.
        name: The model's name on the server: a letter, then letters, digits, `-` and `_`.
        version: Its version, 1 or more.
        top: Number of labels that `serving_default` returns.
        endpoints: Activations that the signature `features` returns.
        about: Texts for the card, see `model_card.provenance`.

    Returns:
        `output` as a `pathlib.Path`. It holds `models/NAME/VERSION`, `models/models.config`,
        `models/batching.config`, `compose.yaml`, `kubernetes.yaml` and `README.md`.

    Raises:
        ExportError: If the classes have no names, or the outputs of the artifact differ.
        UserError: If `output` exists.
        ValueError: If `name` or `version` is out of range, or an endpoint is unknown.
    """
    # The rule of Kubernetes, the strictest of the programs that use the name.
    if not re.fullmatch(r"[A-Za-z]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?", str(name or "")):
        raise ValueError(
            "`name` must start with a letter, contain only letters, digits, - and _, end in a "
            f"letter or digit, and have at most 63 characters. Received: name={name!r}"
        )
    version = check_count("version", version)
    output = pathlib.Path(output)
    has_features = bool(feature_tensors(model, endpoints))
    signatures = [
        "serving_default",
        "logits",
        *(["features"] if has_features else []),
        "float_clips",
    ]
    with atomic_folder(output) as folder:
        saved = folder / "models" / name / str(version)
        write_saved_model(model, saved, top=top, endpoints=endpoints)
        verify_saved_model(model, saved, output=output, endpoints=endpoints)
        write_warm_up(model, saved, name=name, signatures=signatures)
        usage = _USAGE.format(
            name=name,
            version=version,
            next=version + 1,
            features=" and `features`" if has_features else "",
        )
        assets = f"models/{name}/{version}/assets/"
        card = model_card(model, about=about, usage=usage, folder=assets)
        texts = {**settings(name), "README.md": card}
        for path, text in texts.items():
            (folder / path).write_text(text, encoding="utf-8")
    return output


def settings(name):
    """{path in the folder: text} of the settings of the server, Docker Compose and Kubernetes."""
    lines = {
        indent: "\n".join(f"{' ' * indent}- {argument}" for argument in _ARGUMENTS)
        for indent in (6, 12)
    }
    dns = name.lower().replace("_", "-")
    return {
        "models/models.config": _MODELS.format(name=name),
        "models/batching.config": _BATCHING,
        "compose.yaml": _COMPOSE.format(name=name, image=IMAGE, arguments=lines[6]),
        "kubernetes.yaml": _KUBERNETES.format(name=name, dns=dns, image=IMAGE, arguments=lines[12]),
    }


def write_warm_up(model, folder, *, name, signatures):
    """Writes the requests that TensorFlow Serving replays before it reports that it is ready.

    One black clip of the minimum length for each signature, in a TFRecord of `PredictionLog`
    messages: https://www.tensorflow.org/tfx/serving/saved_model_warmup.

    Args:
        model: The `ClipModel` that was exported.
        folder: The SavedModel.
        name: The model's name on the server.
        signatures: Names of signatures.
    """
    import tensorflow as tf

    path = pathlib.Path(folder, WARM_UP)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature in signatures:
            inputs = {}
            for stream, shape in _warm_up_shapes(model, signature).items():
                dtype = tf.float32 if signature == "float_clips" else tf.uint8
                # A single value represents all, so that the file is small for every shape.
                inputs[stream] = tf.make_tensor_proto(0, dtype=dtype, shape=shape)
            writer.write(prediction_log(inputs, name=name, signature=signature))


def _warm_up_shapes(model, signature):
    shapes = {}
    for stream, spec in model.clip_specs.items():
        frames = fixed_size(model, stream)[0] or model.minimums[stream][0]
        side = spec.size if signature == "float_clips" or stream == "flow" else spec.short_side
        shapes[stream] = (1, frames, side, side, spec.channels)
    return shapes


def prediction_log(inputs, *, name, signature):
    """A serialized `PredictionLog` of one request with inputs {name: `TensorProto`}.

    The few messages are written field by field: the package that defines them is large and requires
    a certain version of TensorFlow.
    """
    spec = _field(_SPEC_NAME, name.encode()) + _field(_SPEC_SIGNATURE, signature.encode())
    request = _field(_REQUEST_SPEC, spec)
    for key, tensor in inputs.items():
        entry = _field(_ENTRY_KEY, key.encode())
        entry += _field(_ENTRY_VALUE, tensor.SerializeToString())
        request += _field(_REQUEST_INPUTS, entry)
    return _field(_LOG_PREDICT, _field(_PREDICT_REQUEST, request))


def _field(number, payload):
    """A field of a protocol buffer that holds bytes: tag, length, payload."""
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def varint(number):
    """A whole number of 0 or more as a protocol buffer's varint: seven bits per byte, low first."""
    parts = []
    while number > 127:
        parts.append(number & 127 | 128)
        number >>= 7
    return bytes([*parts, number])
