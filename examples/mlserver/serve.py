"""Serves an exported SavedModel with MLServer, in bounded memory, whatever arrives.

    kinetics-i3d export rgb_figures --to savedmodel saved
    python examples/mlserver/serve.py saved --port 8080
    python examples/serve_video.py VIDEO --protocol v2 --url http://localhost:8080/v2/models/i3d

MLServer reads bodies of any size, unpacks what is compressed and takes any number at once. `Gate`
stands before it. Its gRPC port stays closed: messages there become Python lists before anybody
could refuse them.
"""

import argparse
import asyncio

import mlserver
from gate import Gate
from mlserver.settings import ModelParameters
from runtime import SavedModelRuntime


class Server(mlserver.MLServer):
    """MLServer behind the gate, REST alone."""

    def _create_servers(self):
        super()._create_servers()
        self._rest_server._app.add_middleware(Gate)
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
        )
    )
    model = mlserver.ModelSettings(
        name=options.name,
        implementation=SavedModelRuntime,
        parameters=ModelParameters(uri=options.folder),
    )
    asyncio.run(server.start([model]))


if __name__ == "__main__":
    main()
