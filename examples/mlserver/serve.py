"""Serves an exported SavedModel with MLServer, in bounded memory, whatever arrives.

    pip install "mlserver>=1.7" tensorflow av
    kinetics-i3d export rgb_figures --to savedmodel --output saved
    python examples/mlserver/serve.py saved --port 8080
    python examples/serve_video.py VIDEO --protocol v2 --url http://localhost:8080/v2/models/i3d

MLServer reads bodies of any size, unpacks what is compressed and takes any number at once. `Gate`
stands before it. Its gRPC port stays closed: messages there become Python lists before anybody
could refuse them.
"""

import argparse
import asyncio
import json
import pathlib

import mlserver
from gate import MIB, Gate
from mlserver.settings import ModelParameters
from runtime import SavedModelRuntime

FRAMES = 250  # 10 seconds at 25 a second, the longest clip that is tested in the paper
HEAD = 64 * 1024  # bytes of a request beside its frames


def most_bytes(folder):
    """Bytes of the largest body that is let in: `FRAMES` of the model's squares in base64."""
    path = pathlib.Path(folder, "assets", "clip_spec.json")
    sides = [32]
    if path.is_file():
        specs = json.loads(path.read_text(encoding="utf-8"))
        sides += [spec["short_side"] for spec in specs.values()]
    return max(32 * MIB, FRAMES * max(sides) ** 2 * 4 + HEAD)


class Server(mlserver.MLServer):
    """MLServer behind the gate, REST alone.

    Args:
        settings: MLServer's.
        most: Bytes of one body; twice as many are held at once.
    """

    def __init__(self, settings, *, most):
        self._most = most
        super().__init__(settings)

    def _create_servers(self):
        super()._create_servers()
        self._rest_server._app.add_middleware(Gate, most=self._most, together=2 * self._most)
        self._grpc_server = Closed()


class Closed:
    """In the place of the gRPC server."""

    async def start(self):
        """Opens nothing."""

    async def stop(self, sig=None):
        """Nothing is open."""

    async def add_custom_handlers(self, model):
        """There is nothing to add them to."""


def main():
    """Serves until it is interrupted."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", help="a SavedModel: of any of our folders")
    parser.add_argument("--name", default="i3d")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    options = parser.parse_args()
    server = Server(
        mlserver.Settings(
            host=options.host,
            http_port=options.port,
            parallel_workers=0,  # TensorFlow uses all cores by itself
            metrics_endpoint=None,
            debug=False,
        ),
        most=most_bytes(options.folder),
    )
    model = mlserver.ModelSettings(
        name=options.name,
        implementation=SavedModelRuntime,
        parameters=ModelParameters(uri=options.folder),
    )
    asyncio.run(server.start([model]))


if __name__ == "__main__":
    main()
