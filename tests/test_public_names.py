"""Examples, CI and the tools for checkpoints use the public names, and so do the pages."""

import ast
import pathlib
import re

import pytest
from doc_pages import PAGES, blocks_of

import kinetics_i3d as ki3d

ROOT = pathlib.Path(__file__).resolve().parents[1]
PROGRAMS = sorted(
    path for folder in ("examples", ".ci", "checkpoints") for path in (ROOT / folder).rglob("*.py")
)


def inner_names(source):
    """Uses of the package other than `import kinetics_i3d as ki3d` and its public names."""
    wrong = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.ImportFrom(module=str(module)) if module.split(".")[0] == "kinetics_i3d":
                wrong.append(f"from {module} import {', '.join(name.name for name in node.names)}")
            case ast.Import(names=names):
                wrong += [
                    f"import {name.name}"
                    for name in names
                    if name.name.split(".")[0] == "kinetics_i3d"
                    and (name.name, name.asname) != ("kinetics_i3d", "ki3d")
                ]
            case ast.Attribute(value=ast.Name(id="ki3d"), attr=attribute):
                if attribute not in (*ki3d.__all__, "__version__"):
                    wrong.append(f"ki3d.{attribute}")
    return wrong


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_programs_use_public_names_only(path):
    assert inner_names(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_pages_use_public_names_only(path):
    for block in blocks_of(path):
        if block.language == "python" and not block.is_recipe:
            assert inner_names(block.text) == []
    text = path.read_text(encoding="utf-8")
    for name in re.findall(r"`ki3d\.(\w+)", text):
        assert name in ki3d.__all__


@pytest.mark.parametrize(
    ("source", "wrong"),
    [
        ("import kinetics_i3d as ki3d\nki3d.train", []),
        ("import kinetics_i3d.data", ["import kinetics_i3d.data"]),
        ("from kinetics_i3d.data import datasets", ["from kinetics_i3d.data import datasets"]),
        ("from kinetics_i3d import train", ["from kinetics_i3d import train"]),
        ("ki3d.nothing()", ["ki3d.nothing"]),
    ],
)
def test_an_inner_name_is_noticed(source, wrong):
    assert inner_names(source) == wrong


def public_imports():
    """{name: module} of the imports under `if TYPE_CHECKING:` of the package."""
    tree = ast.parse((ROOT / "kinetics_i3d" / "__init__.py").read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    return {
        alias.name: statement.module.removeprefix("kinetics_i3d.")
        for statement in block.body
        for alias in statement.names
        if alias.asname == alias.name
    }


def test_type_checkers_see_the_public_names():
    assert public_imports() == ki3d._PUBLIC
    assert (ROOT / "kinetics_i3d" / "py.typed").is_file()


def test_mypy_checks_a_use_of_every_public_name():
    program = (ROOT / "tests" / "typing_of_public_names.py").read_text(encoding="utf-8")
    assert set(re.findall(r"\bki3d\.(\w+)", program)) == {*ki3d.__all__}
