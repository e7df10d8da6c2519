"""Docstrings: examples run, and documented arguments are those of the signature."""

import ast
import doctest
import functools
import importlib
import importlib.util
import inspect
import pathlib
import pkgutil
import re
import shutil
import textwrap

import numpy as np
import pytest
from short_network import register

import kinetics_i3d as ki3d
from kinetics_i3d.video.writer import write_video


def public_things():
    """{dotted name: function or class} that a module of the package defines without underscore."""
    found = {}
    for module in pkgutil.walk_packages(ki3d.__path__, "kinetics_i3d."):
        if module.name.rsplit(".", 1)[1].startswith("_"):
            continue  # `python -m` runs on import
        for name, thing in vars(importlib.import_module(module.name)).items():
            defined = getattr(thing, "__module__", None) == module.name
            if defined and not name.startswith("_") and callable(thing) and inspect.getdoc(thing):
                found[f"{module.name}.{name}".removeprefix("kinetics_i3d.")] = thing
                if inspect.isclass(thing):
                    for part, method in vars(thing).items():
                        if inspect.isfunction(method) and not part.startswith("_"):
                            key = f"{module.name}.{name}.{part}".removeprefix("kinetics_i3d.")
                            found[key] = method
    return found


THINGS = public_things()
# Examples that train, or build networks of full size.
LONG = {
    "data.pipeline.training_clips",
    "data.views.load_streams",
    "exporting.export.export",
    "models.inflation.start_from_images",
    "models.pretrained.save_weights",
    "models.two_stream.TwoStream",
    "models.two_stream_fused.TwoStreamFused",
    "models.two_stream_i3d.TwoStreamI3D",
    "training.train.train",
    "weights.readers.tensorflow.read_tensorflow",
}
EXAMPLES = [
    pytest.param(name, marks=pytest.mark.long if name in LONG else ())
    for name, thing in THINGS.items()
    if ">>>" in (thing.__doc__ or "")
]
ARGS = re.compile(r"^ *Args:\n((?: +.*\n|\n)+)", re.MULTILINE)
WITH_ARGS = [name for name, thing in THINGS.items() if ARGS.search(thing.__doc__ or "")]


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    """What examples find: a video, a table of two, and a model that always says "stand"."""
    folder = tmp_path_factory.mktemp("docs")
    picture = np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)
    for name in ("video.mp4", "more.mp4"):
        write_video(folder / name, [picture] * 25, fps=25)
    table = "path,label,split\nvideo.mp4,sit,train\nmore.mp4,stand,test\n"
    (folder / "videos.csv").write_text(table)
    model = ki3d.InceptionI3D(architecture=register(), classes=2)
    kernel, _ = (np.zeros(part.shape, np.float32) for part in model.get_weights()[-2:])
    model.get_layer("Conv3d_0c_1x1").set_weights([kernel, np.array([0.0, 9.0], np.float32)])
    ki3d.save_weights(model, folder / "mine.h5", labels=("sit", "stand"))
    return folder


@pytest.fixture
def folder(stage, tmp_path):
    """A copy, since examples write into it."""
    return shutil.copytree(stage, tmp_path / "folder")


@pytest.mark.slow
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_runs(name, folder, monkeypatch):
    monkeypatch.chdir(folder)
    thing = THINGS[name]
    names = {**vars(inspect.getmodule(thing)), "ki3d": ki3d, "np": np, "folder": folder}
    if re.search(r"\bmodel\b", "".join(re.findall(">>>.*", thing.__doc__))):
        names["model"] = ki3d.InceptionI3D(weights=folder / "mine.h5")
    (test,) = doctest.DocTestFinder(recurse=False).find(
        inspect.unwrap(thing), name, globs=names, module=False
    )
    message = []
    runner = doctest.DocTestRunner(
        optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS, verbose=False
    )
    runner.run(test, out=message.append)
    assert not message, "".join(message)
    assert runner.tries > 0


def documented(text):
    """Names in the `Args:` of a docstring; `a, b: ...` are two."""
    block = ARGS.search(inspect.cleandoc(text) + "\n")[1]
    heads = re.findall(r"^ {4}([*\w][\w, *]*): ", block, re.MULTILINE)
    return [name.strip().lstrip("*") for head in heads for name in head.split(",")]


def test_long_examples_exist():
    assert THINGS.keys() >= LONG


@pytest.mark.parametrize("name", WITH_ARGS)
def test_documented_arguments_are_those_of_the_signature(name):
    parameters = inspect.signature(THINGS[name]).parameters.values()
    named = [p.name for p in parameters if p.name != "self" and p.kind is not p.VAR_KEYWORD]
    passed_on = [p.name for p in parameters if p.kind is p.VAR_KEYWORD]  # need no line
    found = [arg for arg in documented(THINGS[name].__doc__) if arg not in passed_on]
    assert found == named


@pytest.mark.parametrize("name", ki3d.__all__)
def test_a_public_name_is_documented(name):
    thing = getattr(ki3d, name)
    text = inspect.getdoc(thing)
    first, *rest = text.splitlines()
    assert first.endswith((".", ":")) or "." in first
    assert not rest or rest[0] == "", "one line first"
    if not (inspect.isclass(thing) and issubclass(thing, Exception)):
        assert "Example:" in text and ">>>" in text
        assert "Args:" in text or not inspect.signature(thing).parameters
        if inspect.isfunction(thing):
            assert ("Returns:" in text) == returns_something(thing)


def returns_something(function):
    """Whether a function returns a value; functions inside it do not count."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(function))).body
    waiting = list(definition.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Return) and node.value is not None:
            return True
        if not isinstance(node, (ast.FunctionDef, ast.Lambda, ast.ClassDef)):
            waiting += ast.iter_child_nodes(node)
    return False


def test_the_public_names_are_those_of_the_package():
    assert ki3d.__all__ == sorted(ki3d.__all__) and set(ki3d.__all__) <= set(dir(ki3d))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        ki3d.nothing  # noqa: B018


def test_every_module_says_what_it_does():
    root = pathlib.Path(ki3d.__file__).parent
    for path in root.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert not text or text.startswith('"""'), path


def site_generator():
    """The module `docs/generate.py`, which needs MkDocs only when it builds the site."""
    path = pathlib.Path(ki3d.__file__).parents[1] / "docs" / "generate.py"
    spec = importlib.util.spec_from_file_location("site_generator", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_site_lists_every_public_name_once():
    listed = [name for names in site_generator().API.values() for name in names]
    assert sorted(listed) == ki3d.__all__


def test_every_page_is_in_the_navigation_of_the_site():
    root = pathlib.Path(ki3d.__file__).parents[1]
    listed = re.findall(r": ([\w/]+\.md)$", (root / "mkdocs.yml").read_text(), re.MULTILINE)
    pages = {path.relative_to(root / "docs").as_posix() for path in root.glob("docs/*.md")}
    assert pages <= set(listed)


def test_links_of_repository_pages_lead_to_pages_of_the_site():
    from types import SimpleNamespace

    files = SimpleNamespace(
        src_uris=["features.md", "benchmarks/results/fvd.md", "CONTRIBUTING.md"]
    )
    page = SimpleNamespace(file=SimpleNamespace(src_uri="fvd.md"))
    rewrite = functools.partial(
        site_generator().on_page_markdown, page=page, config=None, files=files
    )
    assert rewrite("[a](../benchmarks/results/fvd.md)") == "[a](benchmarks/results/fvd.md)"
    assert rewrite("[a](features.md#x)") == "[a](features.md#x)"
    assert rewrite("[a script](../setup.py)") == "a script (`setup.py`)"
    assert rewrite("[a](missing.md)") == "[a](missing.md)"  # MkDocs reports it
    page.file.src_uri = "CONTRIBUTING.md"
    assert rewrite("[a](docs/features.md)") == "[a](features.md)"
