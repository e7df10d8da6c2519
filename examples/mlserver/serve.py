"""Serves an exported SavedModel with MLServer in bounded memory.

    pip install "mlserver>=1.7" tensorflow av
    kinetics-i3d export rgb_figures --to savedmodel --output saved
    python examples/mlserver/serve.py saved --port 8080
    python examples/serve_video.py VIDEO --protocol v2 --url http://localhost:8080/v2/models/i3d

MLServer reads bodies of any size and number and decompresses them, so `Gate` is put before it. Its
gRPC port stays closed: messages there become Python lists before they could be refused.
"""

import argparse
import asyncio
import json
import pathlib

import mlserver
from gate import MIB, Gate
from mlserver.settings import ModelParameters
from runtime import SavedModelRuntime

FRAMES = 250  # 10 seconds at 25 fps, the longest clip of the paper's tests
CHANNELS = {"rgb": 3, "flow": 2}
HEADER = 64 * 1024  # bytes of a request in addition to its frames


def max_body(folder):
    """Bytes of the largest accepted body: `FRAMES` of the model's squares in base64."""
    path = pathlib.Path(folder, "assets", "clip_spec.json")
    letters = 0
    if path.is_file():
        specs = json.loads(path.read_text(encoding="utf-8"))
        for name, spec in specs.items():
            size = FRAMES * CHANNELS[name] * spec["short_side"] ** 2
            letters += 4 * -(-size // 3)
    return max(32 * MIB, letters + HEADER)


class Server(mlserver.MLServer):
    """MLServer behind the gate, with REST only.

    Args:
        settings: The settings of MLServer.
        max_body: Bytes of one body; two such bodies are processed at the same time.
    """

    def __init__(self, settings, *, max_body):
        self._max_body = max_body
        super().__init__(settings)

    def _create_servers(self):
        super()._create_servers()
        limits = {"max_body": self._max_body, "max_total": 2 * self._max_body}
        self._rest_server._app.add_middleware(Gate, **limits)
        self._grpc_server = Closed()


class Closed:
    """Replaces the gRPC server."""

    async def start(self):
        """Does nothing."""

    async def stop(self, sig=None):
        """Does nothing."""

    async def add_custom_handlers(self, model):
        """Does nothing."""


def main():
    """Serves until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", help="a SavedModel, such as `kinetics-i3d export` writes")
    parser.add_argument("--name", default="i3d")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    options = parser.parse_args()
    server = Server(
        mlserver.Settings(
            host=options.host,
            http_port=options.port,
            parallel_workers=0,  # TensorFlow uses all cores itself
            metrics_endpoint=None,
            debug=False,
        ),
        max_body=max_body(options.folder),
    )
    model = mlserver.ModelSettings(
        name=options.name,
        implementation=SavedModelRuntime,
        parameters=ModelParameters(uri=options.folder),
    )
    asyncio.run(server.start([model]))


if __name__ == "__main__":
    main()
