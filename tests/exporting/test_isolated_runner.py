"""The programs that run what was exported: none can import the package, so that none needs it."""

import subprocess
import sys

import pytest

from kinetics_i3d.exporting import fresh_litert, fresh_onnx, fresh_openvino, isolated_runner

CODE = """
import runpy, sys
try:
    del sys.argv[0]
    runpy.run_path(sys.argv[0], run_name="__main__")
except (ImportError, FileNotFoundError) as error:
    assert "kinetics_i3d" not in str(error), error
    import kinetics_i3d
"""


@pytest.mark.slow
@pytest.mark.parametrize("program", [isolated_runner, fresh_litert, fresh_onnx, fresh_openvino])
def test_a_program_cannot_import_the_package(program):
    words = [sys.executable, "-c", CODE, program.__file__, "no.model", "no.npz", "no.npz"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert "ModuleNotFoundError: import of kinetics_i3d halted" in done.stderr
