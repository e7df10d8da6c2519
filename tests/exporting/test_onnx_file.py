"""ONNX files: what ONNX Runtime answers, what is in the metadata, and that they are run first."""

import json
import sys

import numpy as np
import pytest

import kinetics_i3d as ki3d
from kinetics_i3d.core.clip_spec import ClipSpec
from kinetics_i3d.core.errors import ExportError, UserError
from kinetics_i3d.core.labels import softmax
from kinetics_i3d.exporting import fresh_onnx, onnx_file

pytestmark = pytest.mark.slow
WHY = "requirements/formats.txt is not installed"
SOME = np.random.default_rng(3).integers(0, 256, (2, 11, 36, 44, 3), np.uint8)


def installed():
    """onnx, onnxruntime and tf2onnx, or no test."""
    pytest.importorskip("tf2onnx", reason=WHY)
    return pytest.importorskip("onnx", reason=WHY), pytest.importorskip("onnxruntime", reason=WHY)


@pytest.fixture(scope="module")
def file(model, tmp_path_factory):
    installed()
    return ki3d.export(model, tmp_path_factory.mktemp("onnx") / "tiny.onnx", to="onnx")


def test_any_number_and_size_of_frames_is_answered(file, model):
    _, runtime = installed()
    session = runtime.InferenceSession(file, providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    axes = ["batch", "rgb_frames", "rgb_height", "rgb_width", 3]
    assert (given.name, given.type, given.shape) == ("rgb", "tensor(uint8)", axes)
    clips = SOME[:, :, 2:34, 6:38].astype(np.float32) / 255 * 2.5 - 0.5
    wanted = model(clips, training=False).numpy()
    logits, odds = session.run(["logits", "probabilities"], {"rgb": SOME})
    np.testing.assert_allclose(logits, wanted, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(odds, softmax(wanted), rtol=1e-4)


@pytest.mark.parametrize("shape", [(1, 8, 36, 44, 3), (1, 4, 36, 44, 3), (2, 1, 36, 44, 3)])
def test_too_few_frames_are_refused_in_words(file, shape):
    _, runtime = installed()
    session = runtime.InferenceSession(file, providers=["CPUExecutionProvider"])
    with pytest.raises(Exception, match="Name:'rgb_must_have_9_frames_or_more'"):
        session.run(["logits"], {"rgb": np.zeros(shape, np.uint8)})


def test_labels_and_spec_are_in_the_metadata(file, model):
    onnx, _ = installed()
    found = {each.key: each.value for each in onnx.load(file).metadata_props}
    assert json.loads(found["labels"]) == ["sit", "stand", "wave"]
    fields = json.loads(found["clip_spec"])["rgb"]
    assert fields.pop("minimum_frames") == 9
    assert ClipSpec(**fields) == model.clip_spec


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("one/logits", r"its logits would be off by 0\.01 of the largest value, where 0\.0001"),
        ("two/logits", r"its logits would be off by 0\.01"),
        ("one/probabilities", r"its probabilities would be off by 0\.01"),
    ],
)
def test_a_failing_comparison_leaves_nothing_and_says_by_how_much(
    file, model, tmp_path, monkeypatch, key, said
):
    import tf2onnx

    onnx, _ = installed()
    convert = lambda *_, **__: (onnx.load(file), None)  # noqa: E731
    monkeypatch.setattr(tf2onnx.convert, "from_function", convert)
    seen = []

    def run_fresh(path, inputs, *, output, program):
        assert program is fresh_onnx and path.parent == tmp_path and path != output
        beside = tmp_path.parent / f"{tmp_path.name}_{len(seen)}.npz"
        np.savez(beside, **inputs)
        fresh_onnx.run(path, beside, beside)
        found = dict(np.load(beside))
        seen.append({name: array.shape[:2] for name, array in inputs.items()})
        found[key] = found[key] * 1.01
        return found

    monkeypatch.setattr(onnx_file, "run_fresh", run_fresh)
    with pytest.raises(ExportError, match=said):
        ki3d.export(model, tmp_path / "x.onnx", to="onnx")
    assert list(tmp_path.iterdir()) == []
    assert seen == [{"one/rgb": (1, 9), "two/rgb": (2, 18)}]


def test_wrong_arguments(model, tmp_path, monkeypatch):
    with pytest.raises(ExportError, match=r"x\.bin: the name must end in \.onnx"):
        ki3d.export(model, tmp_path / "x.bin", to="onnx")
    (tmp_path / "taken.onnx").write_text("old")
    with pytest.raises(UserError, match=r"taken\.onnx: exists already"):
        ki3d.export(model, tmp_path / "taken.onnx", to="onnx")
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    with pytest.raises(ExportError, match=r"ONNX needs .*pip install 'kinetics-i3d\[onnx\]'"):
        ki3d.export(model, tmp_path / "x.onnx", to="onnx")
