"""The example videos, and the page: served by the command, over HTTP or in a browser."""

import contextlib
import dataclasses
import importlib.metadata
import importlib.util
import os
import pathlib
import shutil
import signal
import subprocess
import sys

import pytest
from packaging.requirements import Requirement

from kinetics_i3d.app.examples import write_examples

ROOT = pathlib.Path(__file__).resolve().parents[2]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def examples(tmp_path_factory):
    """{name: path} as the page offers them."""
    return write_examples(tmp_path_factory.mktemp("examples"))


@dataclasses.dataclass(frozen=True)
class Server:
    """A running page: its address, its process and its folder of temporary files."""

    address: str
    process: subprocess.Popen
    temporary: pathlib.Path


@pytest.fixture(scope="session")
def start_server(tmp_path_factory):
    """(*words) -> context manager of a `Server`; skips where Gradio is not installed."""
    if importlib.util.find_spec("gradio") is None:
        pytest.skip("needs Gradio; `make page` installs it and runs this")
    # `make formats` installs another server, which needs an earlier Starlette.
    for requirement in map(Requirement, importlib.metadata.requires("gradio")):
        if requirement.name == "starlette":
            version = importlib.metadata.version("starlette")
            if version not in requirement.specifier:
                pytest.skip(f"Gradio needs {requirement}, not {version}; `make page` installs it")

    @contextlib.contextmanager
    def start(*words):
        temporary = tmp_path_factory.mktemp("temporary")
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(temporary)}
        environment.pop("TF_CPP_MIN_LOG_LEVEL", None)  # TensorFlow sets it to a talkative one
        # The command prints its address when it is ready; stderr is read at the end.
        with (temporary.parent / f"{temporary.name}.err").open("w+") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-m", "kinetics_i3d", "demo", "--port", "0", *map(str, words)],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                # A shell has the programs that it starts in the background ignore Ctrl-C.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )
            try:
                address = process.stdout.readline().partition(" ")[0].strip()
                if not address:
                    process.wait()
                    stderr.seek(0)
                    raise AssertionError(stderr.read())
                yield Server(address, process, temporary)
            finally:
                process.kill()
                process.communicate()

    return start


@pytest.fixture(scope="session")
def other_weights(tmp_path_factory):
    """Weights of a network that has not been trained, called other.h5."""
    import keras

    import kinetics_i3d as ki3d

    path = tmp_path_factory.mktemp("weights") / "other.h5"
    keras.utils.set_random_seed(0)
    model = ki3d.InceptionI3D(architecture="inception_v1_quarter", classes=3)
    spec = ki3d.ClipSpec("tiny", fps=10, short_side=36, size=32)
    ki3d.save_weights(model, path, labels=("sit", "stand", "wave"), clip_spec=spec)
    return path


@pytest.fixture(scope="session")
def server(start_server, other_weights):
    """A `Server` of two networks and of damaged weights, for files of 2 MB and 20 s."""
    damaged = other_weights.with_name("damaged.h5")
    damaged.write_bytes(other_weights.read_bytes()[:3000])
    names = ("rgb_figures", other_weights, damaged)
    words = ("--weights", *names, "--max-size", 2, "--max-seconds", 20)
    with start_server(*words) as running:
        yield running


@pytest.fixture(scope="module")  # its event loop would be in the way of other tests
def browser():
    """A headless Chromium; skips where Playwright or a Chromium is missing."""
    if importlib.util.find_spec("playwright") is None:
        pytest.skip("needs Playwright; `make page` installs it and runs this")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        installed = next(filter(None, map(shutil.which, BROWSERS)), None)
        program = installed or playwright.chromium.executable_path
        if not os.path.exists(program):
            pytest.skip(f"needs a browser: {', '.join(BROWSERS)}, or `playwright install chromium`")
        # Its sandbox needs rights that containers do not have.
        chromium = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield chromium
        chromium.close()
