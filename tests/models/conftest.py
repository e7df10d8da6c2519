"""Narrow networks with random values everywhere, the moving statistics too."""

import dataclasses
import importlib.util
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from short_network import shortened

from kinetics_i3d.models.inception_i3d import ARCHITECTURES, GOOGLENET, INCEPTION_V1
from kinetics_i3d.weights.assign import named_variables

ROOT = pathlib.Path(__file__).resolve().parents[2]
NARROW = {
    row.name: dataclasses.replace(row, name=f"{row.name}_narrow", width=0.1)
    for row in (INCEPTION_V1, GOOGLENET)
}


def fill(model, seed=0):
    """Random values that keep activations of every layer in sight of 1; returns the model."""
    random = np.random.default_rng(seed)
    for name, variable in named_variables(model).items():
        shape, part = tuple(variable.shape), name.split("/")[-1]
        if part.endswith("kernel"):
            values = random.normal(0, np.sqrt(2 / np.prod(shape[:-1])), shape)
        elif part == "moving_variance":
            values = random.uniform(0.5, 2.0, shape)
        else:
            values = random.normal(0, 0.3, shape)
        variable.assign(values.astype(np.float32))
    return model


@pytest.fixture(scope="session")
def narrow():
    """{"inception_v1": a tenth of its width, "googlenet": likewise}."""
    return NARROW


@pytest.fixture(scope="session")
def randomize():
    """(model, seed=0) -> the model, every variable random."""
    return fill


@pytest.fixture(scope="session")
def arrays_of():
    """model -> {name: float64 array}."""

    def read(model):
        return {name: np.asarray(v, np.float64) for name, v in named_variables(model).items()}

    return read


@pytest.fixture(scope="session")
def known():
    """Puts the narrow rows, and short ones, among `ARCHITECTURES`, so that files may name them."""
    with pytest.MonkeyPatch.context() as patch:
        for row in (*NARROW.values(), *map(shortened, NARROW.values())):
            patch.setitem(ARCHITECTURES, row.name, row)
        yield NARROW


@pytest.fixture(scope="session")
def run_on():
    """(backend, script, folder) -> what the script printed, run on that backend of Keras."""

    def run(backend, script, folder):
        if importlib.util.find_spec(backend) is None:
            pytest.skip(f"{backend} is not installed")
        done = subprocess.run(
            [sys.executable, "-c", script, str(folder)],
            env={
                **os.environ,
                "KERAS_BACKEND": backend,
                "PYTHONPATH": os.pathsep.join(
                    [str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")]
                ),
                # Most of JAX's time here is LLVM's, which need not try hard for one clip.
                "XLA_FLAGS": "--xla_backend_optimization_level=0",
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run
