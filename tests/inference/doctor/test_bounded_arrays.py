"""The doctor's report of an array that is read in a child process with limits."""

import sys

import numpy as np
import pytest

from kinetics_i3d.core.clip_spec import DEEPMIND
from kinetics_i3d.core.errors import UserError
from kinetics_i3d.inference.doctor import examine, examine_array_bounded

LIMITS = "KINETICS_I3D_VIDEO_LIMITS"


def test_the_report_is_that_of_examine(tmp_path):
    clip = np.random.default_rng(0).uniform(0, 255, (16, 40, 40, 3)).astype(np.float32)
    np.savez(tmp_path / "clip.npz", clip)
    report = examine_array_bounded(tmp_path / "clip.npz", spec=DEEPMIND)
    assert report == examine(tmp_path / "clip.npz", spec=DEEPMIND)
    assert report.has_errors


def test_errors_are_those_of_examine(tmp_path):
    (tmp_path / "clip.npy").write_text("no array")
    with pytest.raises(UserError, match=r"clip.npy: not an array of numbers"):
        examine_array_bounded(tmp_path / "clip.npy", spec=DEEPMIND)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="Linux limits memory")
def test_an_archive_of_zeros_does_not_fill_the_memory(tmp_path, monkeypatch):
    path = tmp_path / "zeros.npz"
    np.savez_compressed(path, np.zeros((500, 200, 400, 3), np.uint8))
    assert path.stat().st_size < 200_000
    monkeypatch.setenv(LIMITS, "memory=60000000")
    with pytest.raises(UserError, match=rf"^{path}: reading it needs more memory than [^\n]*$"):
        examine_array_bounded(path, spec=DEEPMIND)
    monkeypatch.setenv(LIMITS, "memory=1000000000")
    assert examine_array_bounded(path, spec=DEEPMIND).findings
