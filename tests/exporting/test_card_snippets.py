"""The Python of the model card in each artifact runs, on the artifact."""

import ast
import re
import zipfile

import numpy as np
import pytest

import kinetics_i3d as ki3d

pytestmark = pytest.mark.slow  # each artifact is run by another interpreter before it is complete

FRAMES = 16
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# Format -> (package that runs it, name of the artifact, shape of the result of each block).
# tests/compat runs the card of the Hub.
FORMATS = {
    "savedmodel": ("tensorflow", "saved", [(1, 5)]),
    "litert": ("ai_edge_litert", "figures.tflite", [(1, 12)]),
    "onnx": ("onnxruntime", "figures.onnx", [(1, 12)]),
    "openvino": ("openvino", "openvino", [(1, 12)]),
}


def card_of(kind, path):
    """The text of the card of an artifact."""
    if kind == "litert":
        with zipfile.ZipFile(path) as archive:
            return archive.read("README.md").decode()
    if kind == "onnx":
        import onnx

        return onnx.load(path).doc_string
    return (path / "README.md").read_text(encoding="utf-8")


def value_of(text, names):
    """Runs a block; the value of its last line."""
    *lines, last = ast.parse(text).body
    exec(compile(ast.Module(lines, []), "card", "exec"), names)
    return eval(compile(ast.Expression(last.value), "card", "eval"), names)


@pytest.mark.parametrize("kind", FORMATS)
def test_the_python_of_a_card_runs(kind, tmp_path):
    package, name, shapes = FORMATS[kind]
    pytest.importorskip(package, reason="`make formats` installs it and runs this")
    path = tmp_path / name
    model = ki3d.load_model("rgb_figures")
    ki3d.export(model, path, to=kind, **({"frames": FRAMES} if kind == "litert" else {}))
    size = model.clip_spec.size
    pixels = np.zeros((1, FRAMES, size, size, 3), np.uint8)
    names = {"rgb_frames": pixels}
    blocks = BLOCK.findall(card_of(kind, path))
    results = []
    for text in blocks:
        code = re.sub(r"PATH/TO/THIS/(FILE|FOLDER)", path.as_posix(), text)
        assert code != text
        result = value_of(code, names)
        results.append(np.shape(result[0] if isinstance(result, list) else result))
    assert results == shapes
