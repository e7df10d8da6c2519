"""`settings`: what TensorFlow Serving's official image reads, and how it is started.

Flags: https://www.tensorflow.org/tfx/serving/serving_config; batching: its
`session_bundle_config.proto`.
"""

IMAGE = "tensorflow/serving:2.18.0"

MODELS = """\
# --model_config_file
model_config_list {{
  config {{
    name: "{name}"
    base_path: "/models/{name}"
    model_platform: "tensorflow"
  }}
}}
"""

BATCHING = """\
# --batching_parameters_file, with --enable_batching
# One clip occupies a processor by itself. Videos of other sizes or lengths do not fit into one
# tensor, and merging them would fail them all. So nothing is merged: this is a queue, which bounds
# how many clips are in memory at once and answers UNAVAILABLE where it is full. Where all clients
# send clips of one size to a GPU, a max_batch_size of 4 and a timeout of 20000 may pay.
max_batch_size { value: 1 }
batch_timeout_micros { value: 0 }
num_batch_threads { value: 2 }
max_enqueued_batches { value: 16 }
"""

ARGUMENTS = (
    "--model_config_file=/models/models.config",
    "--enable_batching=true",
    "--batching_parameters_file=/models/batching.config",
    "--rest_api_timeout_in_ms=120000",
)

COMPOSE = """\
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

KUBERNETES = """\
# The folder `models` lies on the volume claim {dns}.
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


def settings(name):
    """What the server and those who start it read.

    Args:
        name: The model's.

    Returns:
        {path in the folder: text}.

    Example:

    >>> 'name: "i3d"' in settings("i3d")["models/models.config"]
    True
    """
    lines = {
        indent: "\n".join(f"{' ' * indent}- {each}" for each in ARGUMENTS) for indent in (6, 12)
    }
    dns = name.lower().replace("_", "-")
    return {
        "models/models.config": MODELS.format(name=name),
        "models/batching.config": BATCHING,
        "compose.yaml": COMPOSE.format(name=name, image=IMAGE, arguments=lines[6]),
        "kubernetes.yaml": KUBERNETES.format(name=name, dns=dns, image=IMAGE, arguments=lines[12]),
    }
