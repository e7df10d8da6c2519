"""The program that runs artifacts: it cannot import the package, so that no artifact needs it."""

import subprocess
import sys

import numpy as np
import pytest

from kinetics_i3d.exporting import isolated_runner
from kinetics_i3d.exporting.isolated_runner import LiteRTNetwork

CODE = """
import runpy, sys
try:
    del sys.argv[0]
    runpy.run_path(sys.argv[0], run_name="__main__")
except (ImportError, OSError) as error:
    assert "kinetics_i3d" not in str(error), error
    import kinetics_i3d
"""


@pytest.mark.slow
def test_the_runner_cannot_import_the_package():
    words = [sys.executable, "-c", CODE, isolated_runner.__file__]
    process = subprocess.run(
        [*words, "saved_model", "no.model", "no.npz", "no.npz"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "ModuleNotFoundError: import of kinetics_i3d halted" in process.stderr


@pytest.mark.slow
def test_every_signature_is_run_with_its_own_inputs(saved, tmp_path):
    random = np.random.default_rng(0)
    frames = random.integers(0, 256, (1, 9, 36, 36, 3), np.uint8)
    clips = random.uniform(0, 1, (2, 9, 32, 32, 3)).astype(np.float32)
    np.savez(tmp_path / "in.npz", **{"serving_default/rgb": frames, "float_clips/rgb": clips})
    isolated_runner.run_file("saved_model", saved, tmp_path / "in.npz", tmp_path / "out.npz")
    with np.load(tmp_path / "out.npz") as arrays:
        assert arrays["serving_default/labels"].dtype.kind == "U"
        assert arrays["serving_default/probabilities"].shape == (1, 3)
        assert arrays["float_clips/logits"].shape == (2, 3)


class Runner:
    """An interpreter's runner, which records its inputs."""

    def __init__(self):
        self.calls = []

    def get_input_details(self):
        return {"rgb": {"shape": np.array([1, 10, 32, 32, 3], np.int32), "dtype": np.uint8}}

    def __call__(self, **clips):
        self.calls.append(clips)
        return {"logits": 1}


@pytest.mark.parametrize(
    ("clips", "message"),
    [
        ({"rgb": np.zeros((1, 4, 32, 32, 3), np.uint8)}, r"Received: shape=\(1, 4, 32, 32, 3\)"),
        ({"rgb": np.zeros((1, 10, 16, 32, 3), np.uint8)}, r"shape \(1, 10, 32, 32, 3\); the file"),
        ({"rgb": np.zeros((10, 32, 32, 3), np.uint8)}, r"shape=\(10, 32, 32, 3\)"),
        ({"rgb": np.zeros((1, 10, 32, 32, 3), np.float32)}, "`rgb` must be uint8.*dtype=float32"),
        ({"flow": np.zeros((1, 10, 32, 32, 2), np.uint8)}, r"inputs must be \['rgb'\]"),
    ],
)
def test_litert_clips_of_another_shape_are_refused_with_both_shapes(clips, message):
    runner = Runner()
    with pytest.raises(ValueError, match=message):
        LiteRTNetwork(runner)(**clips)
    assert runner.calls == []


def test_litert_clips_that_fit_are_run():
    runner = Runner()
    clip = np.zeros((1, 10, 32, 32, 3), np.uint8)
    assert LiteRTNetwork(runner)(rgb=clip) == {"logits": 1} and runner.calls
