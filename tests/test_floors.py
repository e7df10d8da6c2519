"""Who may import whom: the floors of the house, held against every import in the source.

Imports inside functions count too. Only the roof, `__init__.py` and `__main__.py`, sees every room.
"""

import ast
import dataclasses
import importlib.util
import os
import pathlib
import subprocess
import sys

import pytest

PACKAGE = "kinetics_i3d"
ROOT = pathlib.Path(__file__).resolve().parent.parent

# Imports point down: not up, and not sideways to another room of the same floor.
FLOORS = {
    7: ("cli",),
    6: ("app",),
    5: (
        "experiments",
        "exporting",
        "scale",
        "visualization",
    ),  # an artifact may hold an optimized model of `inference`
    4: ("training", "evaluation", "inference"),
    3: ("models", "data"),  # models read weights: InceptionI3D(weights=...)
    2: ("flow", "figures"),  # flow is computed from decoded videos
    1: ("weights", "video"),
    0: ("core",),
}
FLOOR_OF = {room: floor for floor, rooms in FLOORS.items() for room in rooms}
ROOMS = tuple(FLOOR_OF)
ROOF = "the roof"
ROOF_FILES = ("__init__.py", "__main__.py")
EVERYWHERE = (*ROOMS, ROOF)

ANYWHERE, ON_IMPORT = "", " while it is being imported"


@dataclasses.dataclass(frozen=True)
class Ban:
    """In `rooms`, no import of `libraries`: not anywhere, or only not outside functions."""

    rooms: tuple[str, ...]
    libraries: tuple[str, ...]
    when: str


BANS = (
    # The zoo runs on every Keras backend.
    Ban(("models",), ("tensorflow", "jax", "torch"), ANYWHERE),
    # Files, names and pixels need no deep learning framework.
    Ban(("core", "video"), ("keras", "tensorflow"), ANYWHERE),
    Ban(("weights",), ("keras",), ANYWHERE),
    # `import kinetics_i3d` does no work, and what is optional may be absent.
    Ban(EVERYWHERE, ("av", "PIL", "cv2", "ray", "gradio", "jinja2", "matplotlib"), ON_IMPORT),
    Ban(
        tuple(room for room in EVERYWHERE if room not in ("data", "training")),
        ("tensorflow",),
        ON_IMPORT,
    ),
    # Kernels are compiled by core/compiled.py, in modules that are loaded when they are needed.
    Ban(tuple(room for room in EVERYWHERE if room not in ("core", "flow")), ("numba",), ANYWHERE),
)


@dataclasses.dataclass(frozen=True)
class Import:
    """One imported name, dotted and absolute, and whether importing the file runs it."""

    name: str
    line: int
    on_import: bool

    @property
    def library(self):
        return self.name.split(".")[0]

    @property
    def room(self):
        """The room of this package that the name lies in; what lies in none is the roof's."""
        inner = self.name.split(".")[1:2]
        return inner[0] if inner and inner[0] in ROOMS else ROOF


def imports(tree, package):
    """Yields every `Import` of a module; `package` is the dotted package that it lies in."""

    def visit(node, on_import):
        for name in names(node, package):
            yield Import(name, node.lineno, on_import)
        inside = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        for child in ast.iter_child_nodes(node):
            yield from visit(child, on_import and not inside)

    yield from visit(tree, True)


def names(node, package):
    """The dotted names that one node imports: by a statement, or by a call with a plain string."""
    match node:
        case ast.Import():
            return [alias.name for alias in node.names]
        case ast.ImportFrom():
            dots = "." * node.level + (node.module or "")
            base = importlib.util.resolve_name(dots, package)
            return [f"{base}.{alias.name}" for alias in node.names]
        case ast.Call(
            func=ast.Name(id="__import__" | "import_module") | ast.Attribute(attr="import_module"),
            args=[ast.Constant(value=str(name)), *_],
        ):
            return [importlib.util.resolve_name(name, package)]
    return []


def room_of(path):
    """The room of a file, by its path inside the package; None if the plan has no such room."""
    if len(path.parts) == 1:
        return ROOF if path.name in ROOF_FILES else None
    return path.parts[0] if path.parts[0] in ROOMS else None


def complaint(room, found):
    """Why `room` may not have this import, or None if it may."""
    if found.library == PACKAGE and room not in (ROOF, found.room):
        if found.room == ROOF:
            return f"{room} imports the package itself, which stands above it"
        here, there = FLOOR_OF[room], FLOOR_OF[found.room]
        if here <= there:
            way = "up" if here < there else "sideways"
            return f"{room} (floor {here}) imports {way}: {found.room} (floor {there})"
    for ban in BANS:
        banned = room in ban.rooms and found.library in ban.libraries
        if banned and (ban.when == ANYWHERE or found.on_import):
            return f"{room} imports {found.library}{ban.when}"
    return None


def violations(folder):
    """All complaints about the package in `folder`, as `path:line: why`."""
    found = []
    for path in sorted(folder.rglob("*.py")):
        inner = path.relative_to(folder)
        room = room_of(inner)
        if room is None:
            found.append(f"{inner}:1: not in a room of the plan")
            continue
        package = ".".join([PACKAGE, *inner.parts[:-1]])
        for each in imports(ast.parse(path.read_text(encoding="utf-8")), package):
            why = complaint(room, each)
            if why:
                found.append(f"{inner}:{each.line}: {why}")
    return found


@pytest.mark.slow
def test_imports_point_down():
    assert violations(ROOT / PACKAGE) == []


ALLOWED = {
    "__init__.py": "from kinetics_i3d.core import errors\nfrom kinetics_i3d.cli.main import run",
    "__main__.py": "from .cli.main import run",
    "cli/main.py": "from kinetics_i3d.inference import classify\nfrom ..core import errors",
    "cli/classify.py": "from .main import run",
    "experiments/run.py": "import kinetics_i3d.training\nfrom ..evaluation import report",
    "cli/view.py": "def view():\n    import av\n    import tensorflow",
    "training/fit.py": "import tensorflow as tf\nimport keras",
    "data/records.py": "import tensorflow as tf\nfrom kinetics_i3d.video import decode",
    "models/i3d.py": "import keras\nfrom kinetics_i3d.weights import catalog",
    "models/parts/unit.py": "from ...core import clip_spec\nfrom ..i3d import MIXED",
    "weights/catalog.py": "import h5py\nimport importlib\nimportlib.import_module('numpy')",
    "weights/readers/tensorflow.py": "def read(path):\n    import tensorflow",
    "video/decode.py": "def decode(path):\n    import av",
    "flow/kernel.py": "import numba\ndef flow():\n    import cv2, tensorflow",
}

PLANTED = [
    ("core/a.py", "from kinetics_i3d.video import x", "core (floor 0) imports up: video (floor 1)"),
    ("core/a.py", "def f():\n    import kinetics_i3d.cli", "core (floor 0) imports up: cli"),
    ("weights/a.py", "from ..models import i3d", "weights (floor 1) imports up: models (floor 3)"),
    (
        "flow/a.py",
        "import kinetics_i3d.figures.x",
        "flow (floor 2) imports sideways: figures (floor 2)",
    ),
    ("models/b/a.py", "from ... import data", "models (floor 3) imports sideways: data (floor 3)"),
    ("app/a.py", "from kinetics_i3d import cli", "app (floor 6) imports up: cli (floor 7)"),
    (
        "flow/a.py",
        "import importlib\nimportlib.import_module('kinetics_i3d.data')",
        "flow (floor 2) imports up: data (floor 3)",
    ),
    (
        "training/a.py",
        "from ..experiments import run",
        "training (floor 4) imports up: ",
    ),
    ("cli/a.py", "from kinetics_i3d import InceptionI3D", "cli imports the package itself"),
    ("models/a.py", "def f():\n    import tensorflow.nn", "models imports tensorflow"),
    ("models/a.py", "class A:\n    def f(self):\n        import jax.nn", "models imports jax"),
    ("models/a.py", "import torch", "models imports torch"),
    ("core/a.py", "def f():\n    import keras", "core imports keras"),
    ("weights/a.py", "def f():\n    from keras import ops", "weights imports keras"),
    ("video/a.py", "async def f():\n    import tensorflow", "video imports tensorflow"),
    ("video/a.py", "try:\n    import av\nfinally:\n    pass", "video imports av while"),
    ("evaluation/a.py", "class A:\n    from PIL import Image", "evaluation imports PIL while"),
    ("app/a.py", "import gradio as gr", "app imports gradio while"),
    ("flow/a.py", "import cv2", "flow imports cv2 while"),
    ("flow/a.py", "import tensorflow as tf", "flow imports tensorflow while"),
    ("models/a.py", "def f():\n    import numba", "models imports numba"),
    ("scale/a.py", "import ray.data", "scale imports ray while"),
    ("inference/a.py", "import tensorflow as tf", "inference imports tensorflow while"),
    ("__init__.py", "import matplotlib.pyplot", "the roof imports matplotlib while"),
    ("utils/a.py", "", "not in a room of the plan"),
    ("stray.py", "", "not in a room of the plan"),
]


def plant(folder, files):
    for name, source in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, encoding="utf-8")


def test_what_the_plan_allows_passes(tmp_path):
    plant(tmp_path, ALLOWED)
    assert violations(tmp_path) == []


@pytest.mark.parametrize(("path", "source", "why"), PLANTED)
def test_a_planted_violation_is_found(tmp_path, path, source, why):
    plant(tmp_path, {**ALLOWED, path: source})
    (found,) = violations(tmp_path)
    assert found.startswith(f"{path}:")
    assert why in found


def test_importing_the_package_loads_nothing_heavy():
    heavy = {lib for ban in BANS for lib in ban.libraries}
    code = f"import sys, {PACKAGE}; print(*sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == []
