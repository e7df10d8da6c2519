"""The rows of the catalog that are downloaded, exported and served by MLServer as documented.

The weights are random and the network is short: what a server and its client depend on are a
row's streams, labels and clip specs.
"""

import contextlib
import pathlib
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

import kinetics_i3d as ki3d
from kinetics_i3d.weights.catalog import CATALOG, PAIRS

pytest.importorskip("mlserver", reason="mlserver is not installed")
pytestmark = pytest.mark.slow  # each starts a server

ROOT = pathlib.Path(__file__).parents[2]
ROWS = {name: {row.clip_spec.stream: row} for name, row in CATALOG.items()} | {
    name: {"rgb": CATALOG[pair.rgb], "flow": CATALOG[pair.flow]} for name, pair in PAIRS.items()
}
DOWNLOADED = [
    name
    for name, rows in ROWS.items()
    if all(row.sources[-1] == "download" for row in rows.values())
]


def random_weights(row, short, folder):
    """A file of a short network with the labels and the clip spec of a row."""
    shape = (None, None, None, row.clip_spec.channels)
    model = ki3d.InceptionI3D(input_shape=shape, architecture=short, classes=len(row.labels))
    path = folder / f"{row.name}.h5"
    ki3d.save_weights(model, path, labels=row.labels, clip_spec=row.clip_spec)
    return path


@contextlib.contextmanager
def served(folder):
    """Serves an export by the documented command; yields the address of the model."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = [sys.executable, ROOT / "examples/mlserver/serve.py", folder, "--port", str(port)]
    address = f"http://127.0.0.1:{port}/v2/models/i3d"
    with open(folder / "log", "wb") as log:
        server = subprocess.Popen(words, stdout=log, stderr=log)
        try:
            for _ in range(600):
                with contextlib.suppress(OSError), urllib.request.urlopen(f"{address}/ready"):
                    break
                assert server.poll() is None, (folder / "log").read_text()
                time.sleep(0.2)
            yield address
        finally:
            server.terminate()
            server.wait(30)


@pytest.mark.parametrize("name", DOWNLOADED)
def test_a_server_answers_for_every_row(name, short, tmp_path):
    rows = ROWS[name]
    paths = {stream: random_weights(row, short, tmp_path) for stream, row in rows.items()}
    model = ki3d.load_model(paths if len(paths) > 1 else next(iter(paths.values())))
    folder = ki3d.export(model, tmp_path / "saved", to="savedmodel")
    spec = folder / "assets" / "clip_spec.json"
    words = [ROOT / "examples/serve_video.py", ROOT / "examples/wave.mp4", "--spec", spec]
    with served(folder) as address:
        done = subprocess.run(
            [sys.executable, *words, "--protocol", "v2", "--url", address],
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    labels = set(next(iter(rows.values())).labels)
    answers = [line.split(maxsplit=2)[-1] for line in done.stdout.splitlines()]
    assert len(labels.intersection(answers)) == 5, done.stdout
