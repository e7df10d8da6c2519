"""The recipes of CONTRIBUTING.md: one file and one row each, followed in a copy of the package."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from doc_pages import ROOT, blocks_of

from kinetics_i3d.video.writer import write_video

# Where the rows of a table begin.
TABLES = {
    "FORMATS": re.compile(r"^FORMATS[^\n]* = \{\n", re.MULTILINE),
    "SYSTEMS": re.compile(r"^SYSTEMS = \{\n    row\.name: row\n    for row in \(\n", re.MULTILINE),
}


IN_ACCEPTANCE = pytest.mark.skipif(
    not os.environ.get("KINETICS_I3D_PAGES"), reason="takes long; `make acceptance` runs this"
)


@pytest.fixture
def package(tmp_path):
    """A folder with a copy of the package."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "kinetics_i3d", tmp_path / "package" / "kinetics_i3d", ignore=ignored)
    return tmp_path / "package"


def follow(package, title):
    """Follows the recipe of a heading: writes its file, and puts its row into the table."""
    page = ROOT / "CONTRIBUTING.md"
    lines = page.read_text(encoding="utf-8").splitlines()
    begin = lines.index(f"## {title}") + 1
    end = next((n for n in range(begin, len(lines)) if lines[n].startswith("## ")), len(lines))
    blocks = [block.text for block in blocks_of(page) if begin < block.line <= end]
    assert len(blocks) == 2, "one file and one row"
    head, _, text = blocks[0].partition("\n")
    file = package / re.fullmatch(r"# new file (\S+)", head)[1]
    assert not file.exists()
    file.write_text(text)
    head, _, text = blocks[1].partition("\n")
    table, path = re.fullmatch(r"# row in (\w+) of (\S+)", head).groups()
    imports = "".join(re.findall(r"^from .*\n", text, re.MULTILINE))
    row = re.sub(r"^from .*\n", "", text, flags=re.MULTILINE).lstrip("\n")
    source = (package / path).read_text(encoding="utf-8")
    (start,) = TABLES[table].finditer(source)
    (package / path).write_text(
        source[: start.start()] + imports + start.group() + row + source[start.end() :]
    )


def run(package, *words, cwd):
    """Runs Python with the copied package; its stdout."""
    done = subprocess.run(
        [sys.executable, *map(str, words)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(package), "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_dataset_format_is_one_file_and_one_row(package, tmp_path):
    follow(package, "A dataset format")
    folder = tmp_path / "data"
    for name in ("a", "b", "c"):
        write_video(folder / f"{name}.mp4", np.zeros((3, 32, 32, 3), np.uint8), fps=25)
    (folder / "actions.txt").write_text("[sit]\na.mp4\nb.mp4\n[stand]\nc.mp4\n")
    words = ("-m", "kinetics_i3d", "datasets", folder)
    for more in ((), ("--kind", "actions")):
        out = run(package, *words, *more, cwd=tmp_path).splitlines()
        assert out[1:4] == ["kind      actions", "classes   2", "videos    3"]


@IN_ACCEPTANCE
@pytest.mark.slow
def test_a_system_is_one_file_and_one_row(package, tmp_path):
    follow(package, "A system")
    code = """
import numpy as np, pathlib
import kinetics_i3d as ki3d
from kinetics_i3d.models.systems import SYSTEMS
model = SYSTEMS["Tiny"].build(classes=2)
ki3d.save_weights(model, "tiny.h5", labels=("sit", "stand"))
loaded = ki3d.load_model("tiny.h5")
clip = np.random.default_rng(0).uniform(-1, 1, (1, 16, 32, 32, 3)).astype("float32")
assert np.array_equal(model(clip), loaded(clip)) and loaded.labels == ("sit", "stand")
ki3d.write_video("a.mp4", np.zeros((20, 40, 40, 3), "uint8"), fps=25)
print(ki3d.classify("a.mp4", "tiny.h5").predictions[0][0] in loaded.labels)
config = ki3d.TrainConfig(
    system="Tiny", steps=1, batch_size=1, frames=16, size=32, test_size=32, test_short_side=36
)
pathlib.Path("t.csv").write_text("path,label,split\\na.mp4,sit,train\\na.mp4#t=0.2,stand,train\\n")
print(ki3d.train("t.csv", config, "run").system)
"""
    assert run(package, "-c", code, cwd=tmp_path).split() == ["True", "Tiny"]


@IN_ACCEPTANCE
@pytest.mark.slow
def test_an_export_runtime_is_one_file_and_one_row(package, tmp_path):
    follow(package, "An export runtime")
    assert "frozen_graph" in run(package, "-m", "kinetics_i3d", "export", "--help", cwd=tmp_path)
    words = ("export", "rgb_figures", "--to", "frozen_graph", "--output", "figures.pb")
    checkpoints = package / "kinetics_i3d" / "checkpoints"
    checkpoints.mkdir(exist_ok=True)
    shutil.copy(ROOT / "checkpoints" / "rgb_figures.h5", checkpoints)
    out = run(package, "-m", "kinetics_i3d", *words, cwd=tmp_path)
    assert out == "figures.pb\n" and pathlib.Path(tmp_path / "figures.pb").stat().st_size > 1e6
