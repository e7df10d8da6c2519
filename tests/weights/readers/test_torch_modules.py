"""Whole modules of PyTorch are refused with the line that saves their state dict."""

import io
import pickle
import zipfile

import pytest

from kinetics_i3d.core.errors import WeightsError
from kinetics_i3d.weights.read import read_weights
from kinetics_i3d.weights.readers.torch import LEGACY_MAGIC, LEGACY_VERSION


class Module:
    """Pickles as a `torch.nn.Module` does: by its class, and with these three attributes."""

    def __init__(self):
        self._parameters, self._buffers, self._modules = {}, {}, {}


def archive(path, members):
    with zipfile.ZipFile(path, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


def test_the_handed_torchscript_archive_error_says_how_to_make_a_state_dict(shared):
    path = shared / "cases" / "torchscript_weights" / "i3d_torchscript.pt"
    with pytest.raises(
        WeightsError, match=r"torch\.save\(torch\.jit\.load\('i3d_torchscript\.pt'\)\.state_dict"
    ):
        read_weights(path)


def test_the_handed_module_error_says_how_to_make_a_state_dict(shared):
    path = shared / "cases" / "torchscript_weights" / "wholemodel.pt"
    with pytest.raises(WeightsError, match=r"a whole module.*weights_only=False\)\.state_dict\(\)"):
        read_weights(path)


def test_a_torchscript_archive(tmp_path):
    members = {"m/data.pkl": pickle.dumps({}), "m/version": "3", "m/code/__torch__.py": ""}
    with pytest.raises(WeightsError, match=r"m\.pt: a TorchScript archive.*torch\.jit\.load"):
        read_weights(archive(tmp_path / "m.pt", members))


@pytest.mark.parametrize("content", [Module(), {"model": Module(), "epoch": 3}])
def test_a_pickled_module_alone_and_in_a_checkpoint(tmp_path, content):
    members = {"m/data.pkl": pickle.dumps(content, 2), "m/version": "3"}
    with pytest.raises(WeightsError, match=r"m\.pth: a whole module"):
        read_weights(archive(tmp_path / "m.pth", members))


def test_a_pickled_module_of_the_older_format(tmp_path):
    file = io.BytesIO()
    for part in (LEGACY_MAGIC, LEGACY_VERSION, {"little_endian": True}, Module()):
        pickle.dump(part, file, 2)
    (tmp_path / "old.pt").write_bytes(file.getvalue())
    with pytest.raises(WeightsError, match=r"old\.pt: a whole module"):
        read_weights(tmp_path / "old.pt")


def test_a_program_of_torch_export(tmp_path):
    path = archive(tmp_path / "m.pt2", {"serialized_exported_program.json": "{}"})
    with pytest.raises(WeightsError, match=r"torch\.export\.load\('m\.pt2'\)\.state_dict"):
        read_weights(path)


def test_other_classes_are_refused_as_before(tmp_path):
    members = {"m/data.pkl": pickle.dumps(print, 2), "m/version": "3"}
    with pytest.raises(WeightsError, match="its pickle calls"):
        read_weights(archive(tmp_path / "m.pt", members))
