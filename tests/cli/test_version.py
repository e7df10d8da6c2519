"""`--version`: the package, the backends and the extras, by the metadata of packages alone."""

import importlib.metadata
import subprocess
import sys

import pytest

import kinetics_i3d
from kinetics_i3d.cli import main, version


def test_version_lists_the_backends_and_the_extras(monkeypatch, capsys):
    installed = {"kinetics-i3d": "1.2", "keras": "3.9", "tensorflow-cpu": "2.20", "pillow": "11"}
    requires = [
        "numpy>=1.26",
        'pillow>=10; extra == "pictures"',
        'pyarrow>=16; extra == "scale"',
        'ray[data]>=2.51; extra == "scale"',
        'tensorflow==2.16.*; python_version < "3.13" and extra == "io"',
        'ruff; extra == "dev"',
    ]

    def find(name):
        if name not in installed:
            raise importlib.metadata.PackageNotFoundError(name)
        return installed[name]

    monkeypatch.setattr(importlib.metadata, "version", find)
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: requires)
    with pytest.raises(SystemExit) as done:
        main.main(["--version"])
    assert done.value.code == 0
    first, *lines = capsys.readouterr().out.splitlines()
    assert first == "kinetics-i3d 1.2"
    rows = dict(line.split(None, 1) for line in lines if line.startswith("  "))
    assert rows.pop("Python")
    assert rows == {
        "Keras": "3.9",
        "TensorFlow": "2.20",
        "JAX": "not installed",
        "PyTorch": "not installed",
        "pictures": "pillow 11",
        "scale": "not installed: pyarrow, ray",
        "io": "not installed: tensorflow",
    }


def test_version_imports_no_backend():
    code = (
        "import sys; from kinetics_i3d.cli.version import version_text; print(version_text());"
        "print(*[name for name in ('tensorflow', 'jax', 'torch', 'keras') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    first, *_, modules = done.stdout.splitlines()
    assert first == f"kinetics-i3d {kinetics_i3d.__version__}" and modules == ""


def test_the_extras_are_those_of_the_package():
    assert {"flow", "onnx", "scale"} <= set(version.extras()) and "dev" not in version.extras()
