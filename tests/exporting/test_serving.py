"""The folder that TensorFlow Serving's image runs: its files and settings."""

import json
import re
import shutil

import pytest

import kinetics_i3d as ki3d
from kinetics_i3d.core.errors import ExportError
from kinetics_i3d.exporting import serving
from kinetics_i3d.exporting.serving import IMAGE, WARM_UP, settings, varint


@pytest.fixture(scope="module")
def served(model, saved, tmp_path_factory):
    """A folder with the SavedModel of the other tests, which has passed the parity check."""
    folder = tmp_path_factory.mktemp("serving") / "served"

    def write(model, folder, **options):
        shutil.copytree(saved, folder)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(serving, "write_saved_model", write)
        patch.setattr(serving, "verify_saved_model", lambda *_, **__: None)
        return ki3d.export(model, folder, to="serving", name="tiny", version=3, top=2)


@pytest.mark.slow
def test_the_settings_name_files_that_exist(served):
    models = served / "models"
    config = (models / "models.config").read_text()
    assert re.findall(r'(name|base_path): "(.*)"', config) == [
        ("name", "tiny"),
        ("base_path", "/models/tiny"),
    ]
    assert config.count("{") == config.count("}") == 2
    for name in ("compose.yaml", "kubernetes.yaml"):
        text = (served / name).read_text()
        arguments = re.findall(r"- --\w+=/models/(\S+)", text)
        assert arguments == ["models.config", "batching.config"]
        assert all((models / name).is_file() for name in arguments)
        assert IMAGE in text and "8501" in text and "mem" in text
    batching = (models / "batching.config").read_text()
    assert "max_batch_size { value: 1 }" in batching
    assert sorted(path.name for path in (models / "tiny").iterdir()) == ["3"]
    assert (models / "tiny/3" / WARM_UP).is_file()
    labels = models / "tiny/3/assets/labels.txt"
    assert labels.read_text().split() == ["sit", "stand", "wave"]
    assert json.loads(labels.with_name("clip_spec.json").read_text())["rgb"]["size"] == 32


@pytest.mark.slow
def test_the_card_names_files_that_exist(served):
    card = (served / "README.md").read_text()
    named = re.findall(r"(?<!v1/)(models/[\w./]+)", card)
    assert "models/tiny/3/assets/labels.txt" in named
    assert named.count("models/tiny/3/assets/clip_spec.json") == 2
    assert {name for name in named if not (served / name).exists()} == {"models/tiny/4"}
    assert "http://localhost:8501/v1/models/tiny " in card


@pytest.mark.slow
def test_a_failed_parity_check_leaves_no_folder(model, tmp_path, monkeypatch):
    def refuse(model, folder, *, output, **_):
        assert folder.parts[-3:] == ("models", "i3d", "1")
        raise ExportError(f"{output}: off by much")

    monkeypatch.setattr(serving, "write_saved_model", lambda *_, **__: None)
    monkeypatch.setattr(serving, "verify_saved_model", refuse)
    with pytest.raises(ExportError, match="served: off by much"):
        ki3d.export(model, tmp_path / "served", to="serving")
    assert list(tmp_path.iterdir()) == []


def test_the_command_passes_its_options_on(tmp_path, monkeypatch, capsys):
    from kinetics_i3d.cli.main import main
    from kinetics_i3d.exporting import export

    calls = []

    def note(weights, output, **options):
        calls.append((weights, options))
        return output

    monkeypatch.setattr(export, "export", note)
    words = ["export", "rgb_figures", "--to", "serving", "--output", str(tmp_path / "out")]
    assert main([*words, "--model-name", "mine", "--model-version", "2"]) == 0
    assert calls == [("rgb_figures", {"to": "serving", "name": "mine", "version": 2})]
    assert capsys.readouterr().out == f"{tmp_path / 'out'}\n"


def test_names_for_kubernetes_are_dns_labels():
    text = settings("My_I3D")["kubernetes.yaml"]
    assert "name: my-i3d" in text and "/v1/models/My_I3D" in text
    assert "{dns}" not in text and "{name}" not in text


@pytest.mark.parametrize("name", ["", "../x", "a b", "-a", "a-", "3d", "a" * 64, None])
def test_an_invalid_name_is_refused(name, model, tmp_path):
    with pytest.raises(ValueError, match="`name` must start with a letter"):
        ki3d.export(model, tmp_path / "x", to="serving", name=name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("version", [0, -1, "1", 1.0, True])
def test_an_invalid_version_is_refused(version, model, tmp_path):
    with pytest.raises(ValueError, match="`version` must be a whole number above 0"):
        ki3d.export(model, tmp_path / "x", to="serving", version=version)


@pytest.mark.parametrize(
    ("number", "expected"), [(0, "00"), (127, "7f"), (128, "8001"), (300, "ac02")]
)
def test_varints(number, expected):
    assert varint(number).hex() == expected
