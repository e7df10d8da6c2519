"""Which program computes flow, and what is said where a package is missing."""

import importlib.util
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
from absl import logging

import kinetics_i3d
from kinetics_i3d.core.errors import UserError
from kinetics_i3d.flow import TVL1, methods, optical_flow, tvl1_tensorflow
from kinetics_i3d.flow.methods import pair_function
from kinetics_i3d.flow.settings import BACKENDS


@pytest.fixture
def without(monkeypatch):
    """Makes packages unimportable."""

    def remove(*names):
        for name in names:
            monkeypatch.setitem(sys.modules, name, None)
        find_spec = importlib.util.find_spec
        monkeypatch.setattr(
            importlib.util, "find_spec", lambda name: None if name in names else find_spec(name)
        )

    return remove


def test_numba_is_the_default_and_tensorflow_without_it(without):
    pytest.importorskip("numba", reason="needs numba, an extra")
    assert pair_function("tvl1").__module__ == "kinetics_i3d.flow.tvl1_numba"
    without("numba")
    assert pair_function("tvl1") is tvl1_tensorflow.tvl1


def test_a_missing_package_is_named_with_the_extra(without):
    without("numba", "cv2")
    with pytest.raises(UserError, match=r"pip install 'kinetics-i3d\[flow\]'$"):
        pair_function("tvl1", "numba")
    for method in BACKENDS:
        with pytest.raises(UserError, match=r"pip install 'kinetics-i3d\[opencv\]'$") as raised:
            pair_function(method, "opencv")
        assert "\n" not in str(raised.value)


def test_a_numba_that_cannot_be_imported_is_reported_with_its_reason(tmp_path, monkeypatch):
    (tmp_path / "numba.py").write_text("raise ImportError('Numba needs NumPy 1\\nor less')")
    monkeypatch.delitem(sys.modules, "numba", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match=r"\(Numba needs NumPy 1\); backend='tensorflow'"):
        pair_function("tvl1")


def test_an_opencv_without_contrib_error_says_what_to_do(monkeypatch):
    cv2 = pytest.importorskip("cv2", reason="needs opencv-contrib-python-headless, an extra")
    monkeypatch.delattr(cv2, "optflow")
    with pytest.raises(UserError, match=r"without optflow; remove all opencv-\* packages"):
        pair_function("tvl1", "opencv")
    assert pair_function("dis") is methods.opencv_dis


def test_every_choice_has_a_loader_and_others_are_refused():
    assert {name for names in BACKENDS.values() for name in names} == set(methods.LOADERS)
    with pytest.raises(
        ValueError, match=r"`backend` must be one of \('opencv',\) for method='dis'"
    ):
        pair_function("dis", "numba")


@pytest.mark.parametrize("method", BACKENDS)
def test_opencv_finds_a_shift(video, method):
    pytest.importorskip("cv2", reason="needs opencv-contrib-python-headless, an extra")
    flow = optical_flow(video[:2], method=method, backend="opencv")
    assert flow.dtype == np.float32 and flow.shape == (1, 48, 64, 2)
    middle = np.median(flow[0, 12:-12, 12:-12], axis=(0, 1))
    np.testing.assert_allclose(middle, (1, 0.5), atol=0.15)


def test_every_parameter_reaches_opencv(video, monkeypatch):
    cv2 = pytest.importorskip("cv2", reason="needs opencv-contrib-python-headless, an extra")
    made, create = [], cv2.optflow.DualTVL1OpticalFlow_create
    monkeypatch.setattr(
        cv2.optflow,
        "DualTVL1OpticalFlow_create",
        lambda *args: made.append(create(*args)) or made[-1],
    )
    other = TVL1(0.2, 0.08, 0.4, 3, 4, 0.02, 7, 2, 0.6, False)
    optical_flow(video[:2], backend="opencv", parameters=other)
    optical_flow(video[:2], backend="opencv")
    changed, default, opencv_s = *made, create()
    assert changed.getTau() == 0.2 and changed.getLambda() == 0.08 and changed.getTheta() == 0.4
    assert changed.getScalesNumber() == 3 and changed.getWarpingsNumber() == 4
    assert changed.getEpsilon() == 0.02 and changed.getScaleStep() == 0.6
    assert changed.getInnerIterations() == 7 and changed.getOuterIterations() == 2
    assert changed.getMedianFiltering() == 1 and changed.getGamma() == 0
    getters = [
        name for name in dir(opencv_s) if name.startswith("get") and name != "getDefaultName"
    ]
    assert len(getters) >= 12
    for name in getters:
        assert getattr(default, name)() == getattr(opencv_s, name)()


@pytest.mark.slow
def test_kernels_compile_where_no_folder_can_be_written(tmp_path):
    """An installation that belongs to somebody else, and a home that cannot be written."""
    pytest.importorskip("numba", reason="needs numba, an extra")
    package = pathlib.Path(kinetics_i3d.__file__).parent
    ignored = shutil.ignore_patterns("__pycache__", "*.h5")
    shutil.copytree(package, tmp_path / "kinetics_i3d", ignore=ignored)
    # A file where the folder has to be stops the superuser too.
    (tmp_path / "kinetics_i3d" / "flow" / "__pycache__").write_text("")
    (tmp_path / "file").write_text("")
    places = ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME", "HOME", "IPYTHONDIR")
    blocked = {name: str(tmp_path / "file" / "cache") for name in places}
    code = (
        "from kinetics_i3d.flow import tvl1_numba as t;"
        "print(t.__file__, t._order.stats.cache_path, t._order(2.0, 1.0))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, **blocked, "PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    path = tmp_path / "kinetics_i3d" / "flow" / "tvl1_numba.py"
    assert done.stdout.split(maxsplit=2) == [str(path), "None", "(1.0, 2.0)\n"]


@pytest.mark.slow
def test_kernels_are_compiled_by_who_asks_for_them():
    """And not in threads: Python 3.11 cannot parse in two at once, and AutoGraph parses as well."""
    pytest.importorskip("numba", reason="needs numba, an extra")
    code = (
        "from kinetics_i3d.flow.methods import pair_function as found;"
        "tvl1 = found('tvl1', 'numba');"
        "from kinetics_i3d.flow import tvl1_numba as t;"
        "before = len(t._tvl1.signatures);"
        "import numpy as np; from kinetics_i3d.flow import optical_flow;"
        "optical_flow(np.zeros((3, 20, 30, 1), np.uint8));"
        "print(before, len(t._tvl1.signatures))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "1 1\n"


def test_flow_without_numba_is_announced_as_slow(without, caplog, monkeypatch):
    without("numba")
    monkeypatch.setattr(
        logging, "log_first_n", lambda level, message, _: logging.log(level, message)
    )
    pair_function("tvl1")
    assert "install it: pip install 'kinetics-i3d[flow]'" in caplog.text
    caplog.clear()
    pair_function("tvl1", "tensorflow")
    assert not caplog.text
