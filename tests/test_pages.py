"""The commands and snippets of README.md and docs/ run as they are written.

Each page's blocks run from top to bottom in one folder and one namespace. What does not run stands
in `NOT_RUN` with the reason; it is compiled, or parsed by the parser of its verb, all the same.
"""

import os
import re
import shlex
import shutil
import tomllib

import pytest
from doc_pages import (
    PAGES,
    ROOT,
    blocks_of,
    commands_of,
    inline_commands,
    make_stage,
    nested_commands,
    options_of,
    put_small_networks,
    put_stand_ins,
)

import kinetics_i3d as ki3d
from kinetics_i3d.cli.main import main, make_parser

# test_contributing.py follows the recipes.
BLOCKS = [block for path in PAGES for block in blocks_of(path) if not block.is_recipe]

# page, pattern of a command or of a Python block, reason. Packages in front of the reason: it runs
# where these are installed.
LONG = "takes minutes"
NETWORK = "downloads"
NOT_RUN = (
    ("CONTRIBUTING.md", "make (check|test|faults|bench|coverage|mutants|audit)", LONG),
    ("README.md", "make demo VIDEO=", "needs the environment that make builds"),
    ("README.md", "make demo$", "needs the environment that make builds"),
    ("README.md", "make (check|test|docs|backends|formats|scale|page|compat|acceptance)$", LONG),
    ("docs/index.md", "make demo VIDEO=", "needs the environment that make builds"),
    ("docs/index.md", "pip install", NETWORK),
    ("docs/index.md", "python examples/mlserver/serve.py", "needs MLServer"),
    ("docs/index.md", "python examples/serve_video.py", "test_serve_video.py has one"),
    ("checkpoints/README.md", "python checkpoints/ship.py", "needs the whole run before it"),
    ("checkpoints/README.md", "kinetics-i3d figures --output FIGURES", LONG),
    ("checkpoints/README.md", "finetune_kinetics_flow", "the stand-in of JHMDB has no split"),
    ("checkpoints/README.md", "--streams rgb --freeze", "the stand-in of JHMDB has no split"),
    ("docs/compatibility.md", "pip install", NETWORK),
    ("docs/compatibility.md", "kinetics-i3d train .* s3://", "needs a server; make compat has one"),
    ("docs/compatibility.md", "kinetics-i3d export .* features", "that of export_serving.md runs"),
    ("docs/compatibility.md", "import tensorflow_addons", "needs Keras 2; make compat has it"),
    ("docs/compatibility.md", "^export ", "for the server of the line below"),
    ("docs/distributed.md", "^export ", "for the line below"),
    ("docs/distributed.md", "kinetics-i3d train", "needs two machines; test_distribute.py has two"),
    ("docs/distributed.md", "keras.distribution", "needs JAX; make backends trains on it"),
    ("docs/pictures.md", "draw (curves|confusion)", "test_draw_command.py has a run"),
    ("docs/examples.md", "python examples/", "test_examples.py runs them"),
    ("docs/export_litert.md", "kinetics-i3d export", "test_litert.py writes such files"),
    ("docs/export_litert.md", "python examples/classify_litert.py", "test_litert.py runs it"),
    ("docs/export_onnx.md", "pip install", NETWORK),
    ("docs/export_onnx.md", "kinetics-i3d export .* --to onnx", "make formats runs it"),
    ("docs/export_onnx.md", "kinetics-i3d export .* --to openvino", "make formats runs it"),
    ("docs/export_onnx.md", "import onnxruntime", "needs onnxruntime; make formats runs it"),
    ("docs/export_onnx.md", "import openvino", "needs OpenVINO; make formats runs it"),
    ("docs/export_serving.md", "kinetics-i3d export .* reusable", "that of features runs"),
    ("docs/export_serving.md", "import tensorflow_hub", "needs tf_keras; make compat has it"),
    ("docs/export_serving.md", "docker compose", "needs Docker"),
    ("docs/export_serving.md", "pip install", NETWORK),
    ("docs/export_serving.md", "python examples/mlserver/serve.py", "needs MLServer"),
    ("docs/export_serving.md", "python examples/serve_video.py", "test_serve_video.py has one"),
    ("docs/live_video.md", "watch rtsp:", "needs a camera; test_live_frames.py has a stream"),
    ("docs/live_video.md", "watch 0 ", "needs a camera"),
    ("docs/web_page.md", "pip install", NETWORK),
    ("docs/web_page.md", "kinetics-i3d demo", "serves until it is stopped; make page runs it"),
    ("docs/web_page.md", "python examples/ask_web_page.py", "test_web_page.py runs it"),
    ("docs/web_page.md", "import Client", "test_web_page.py runs such a client"),
    ("docs/features.md", "python examples/localize.py", "test_localize_example.py has one"),
    ("docs/scale.md", "pip install", NETWORK),
    ("docs/scale.md", "kinetics-i3d scale", "needs Ray; make scale runs such commands"),
    ("docs/scale.md", "import pyarrow", "needs PyArrow; tests/scale reads and merges such results"),
    ("docs/tables.md", "kinetics-i3d (figures|tables)", "an hour; small ones are tested"),
    ("docs/two_streams.md", "kinetics-i3d train", "the stand-in of DATASET has no split"),
    ("docs/two_streams.md", "kinetics-i3d evaluate", "the stand-in of DATASET has other classes"),
    ("docs/weights.md", "kinetics-i3d weights rgb_kinetics600 --fetch", NETWORK),
    ("docs/weights.md", "pip install", NETWORK),
    ("docs/weights.md", "weights imagenet_slim --fetch", NETWORK),
    ("benchmarks/results/tables.md", "", "the commands of a measurement of hours"),
)  # fmt: skip
FOREIGN = {"yaml", "kotlin"}  # languages that nothing here runs
SLURM = "#!/bin/bash"


def reason(page, text):
    """Why a command or a Python block is not run, or None."""
    for where, pattern, why in NOT_RUN:
        if where == page and re.search(pattern, text):
            return why
    return None


def pieces(block):
    """The texts of a block that are run each by itself: commands, or the whole of it."""
    if block.language == "python":
        return [block.text]
    if block.language != "bash" or block.text.startswith(SLURM):
        return []
    return [shlex.join(words) for words in commands_of(block)]


RUNNABLE = {b.page for b in BLOCKS if any(reason(b.page, text) is None for text in pieces(b))}


def test_every_block_is_in_a_known_language():
    for block in BLOCKS:
        assert block.language in {"python", "bash", "", *FOREIGN}, block
        if not block.language:  # a drawing of folders
            code = re.search(r"^(\$ )?(kinetics-i3d|python|pip|import) ", block.text, re.MULTILINE)
            assert not code, block


def test_what_is_not_run_is_still_on_its_page():
    for page, pattern, why in NOT_RUN:
        texts = [text for one in BLOCKS if one.page == page for text in pieces(one)]
        assert why and any(re.search(pattern, text) for text in texts), (page, pattern)


def check_command(words):
    """Checks a command without running it: programs, targets, extras and options exist."""
    program, *rest = words
    if program == "kinetics-i3d":
        make_parser().parse_args(rest)
    elif program == "python":
        assert (ROOT / rest[0]).is_file(), words
    elif program == "make":
        targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert rest[0] in targets, words
    elif program == "pip":
        extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        for extra in re.findall(r"kinetics-i3d\[(\w+)\]", " ".join(rest)):
            assert extra in extras["optional-dependencies"], words
    else:
        assert program in ("docker", "export"), words


@pytest.mark.parametrize("page", sorted({block.page for block in BLOCKS}))
def test_what_a_page_says_can_be_said(page):
    """Without running anything: Python compiles, public names exist, commands parse."""
    for block in BLOCKS:
        if block.page != page:
            continue
        if block.language == "python":
            compile(block.text, f"{page}:{block.line}", "exec")
            for name in re.findall(r"\bki3d\.(\w+)", block.text):
                assert name in ki3d.__all__, (page, name)
        elif block.language == "bash" and not block.text.startswith(SLURM):
            for words in commands_of(block):
                check_command(words)
        else:
            for words in nested_commands(block):
                make_parser().parse_args(words)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_verbs_and_options_in_the_text_exist(path):
    if path.name == "CHANGELOG.md":
        pytest.skip("tells of options of the past too")
    parser = make_parser()
    for text in inline_commands(path):
        verb = text.split()[1]
        missing = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text)) - options_of(parser, verb)
        assert not missing, (text, missing)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_modules_that_a_page_names_exist(path):
    if path.name == "CHANGELOG.md":
        pytest.skip("tells of modules of the past too")
    text = re.sub("# new file .*", "", path.read_text(encoding="utf-8"))
    text = re.sub(r"https?://\S+", "", text)  # files of other projects
    for name in re.findall(r"(?:[\w.]+/)+\w+\.py\b", text):
        places = (ROOT / name, ROOT / "kinetics_i3d" / name, path.parent / name)
        assert any(place.is_file() for place in places), name


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    with pytest.MonkeyPatch.context() as patch:
        put_small_networks(patch)
        make_stage(folder)
        yield folder


@pytest.mark.skipif(
    not os.environ.get("KINETICS_I3D_PAGES"), reason="takes minutes; `make acceptance` runs this"
)
@pytest.mark.slow
@pytest.mark.parametrize("page", sorted(RUNNABLE))
def test_a_page_runs_as_it_is_written(page, stage, tmp_path, monkeypatch, capsys):
    folder = tmp_path / "stage"
    shutil.copytree(stage, folder, copy_function=os.link)
    put_stand_ins(monkeypatch, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("KINETICS_I3D_CACHE", str(folder / "cache"))
    monkeypatch.setenv("KINETICS_I3D_SOURCE", str(folder))
    names = {"__name__": page}
    for block in BLOCKS:
        if block.page != page:
            continue
        for text in pieces(block):
            if reason(page, text) is not None:
                continue
            if block.language == "python":
                exec(compile("\n" * (block.line - 1) + text, page, "exec"), names)
                continue
            program, *words = shlex.split(text)
            assert program == "kinetics-i3d", f"{text}: does not run here; `NOT_RUN` must say why"
            code = main(words)
            assert code == 0, (text, capsys.readouterr().err)
