"""Conversion to every format and back, and refusal of what would be wrong."""

import keras
import numpy as np
import pytest

from kinetics_i3d.core.clip_spec import ClipSpec
from kinetics_i3d.core.errors import WeightsError
from kinetics_i3d.exporting.model_card import provenance
from kinetics_i3d.models import convert as conversion
from kinetics_i3d.models.convert import ENDINGS, convert
from kinetics_i3d.models.inception_i3d import InceptionI3D
from kinetics_i3d.models.inception_v1 import InceptionV1
from kinetics_i3d.models.pretrained import save_weights
from kinetics_i3d.models.systems import SYSTEMS
from kinetics_i3d.weights.assign import named_variables
from kinetics_i3d.weights.formats import stored_info

SPEC = ClipSpec("own", fps=12.5, short_side=40, size=32, low=-3.0, high=2.0)
pytestmark = pytest.mark.slow  # whole models, written and read
LABELS = ("a", "b", "c")
ROW = "inception_v1_narrow"
TELLS_ALL = (".h5", ".keras", ".safetensors")  # spec, labels and architecture with the variables


@pytest.fixture(scope="module")
def model(known, randomize):
    made = InceptionI3D(architecture=ROW, classes=3)
    made.clip_spec, made.labels = SPEC, LABELS
    return randomize(made, seed=5)


@pytest.fixture(scope="module")
def source(tmp_path_factory, model):
    path = tmp_path_factory.mktemp("source") / "mine.h5"
    save_weights(model, path)
    return path


@pytest.mark.long
@pytest.mark.parametrize("ending", ENDINGS)
def test_every_format_holds_every_variable(ending, source, model, tmp_path):
    written = convert(source, tmp_path / f"mine{ending}")
    row = None if ending in TELLS_ALL else ROW
    again = InceptionI3D(weights=written, architecture=row)
    for old, new in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    if ending in TELLS_ALL:
        assert (again.clip_spec, again.labels, again.architecture) == (SPEC, LABELS, ROW)
    assert [path.name for path in tmp_path.iterdir()] == [f"mine{ending}"]  # nothing beside it


@pytest.mark.long
def test_a_whole_model_loads_in_keras(source, model, tmp_path):
    loaded = keras.saving.load_model(convert(source, tmp_path / "mine.keras"))
    assert loaded.labels == LABELS and loaded.clip_spec == SPEC


@pytest.mark.long
def test_features_and_images_are_converted_too(tmp_path, known, randomize):
    features = randomize(InceptionI3D(architecture=ROW, include_top=False))
    save_weights(features, tmp_path / "features.h5")
    convert(tmp_path / "features.h5", tmp_path / "features.pt", architecture=ROW)
    flat = randomize(InceptionV1(architecture="googlenet_narrow", classes=2))
    save_weights(flat, tmp_path / "flat.h5")
    again = InceptionV1(weights=convert(tmp_path / "flat.h5", tmp_path / "flat.safetensors"))
    for name, variable in named_variables(flat).items():
        np.testing.assert_array_equal(variable.numpy(), named_variables(again)[name].numpy())


def test_what_torchs_i3d_cannot_hold_is_refused_and_nothing_written(tmp_path, known, randomize):
    save_weights(InceptionV1(architecture=ROW, classes=2), tmp_path / "flat.h5")
    with pytest.raises(WeightsError, match="reads clips; inflate the image network first"):
        convert(tmp_path / "flat.h5", tmp_path / "flat.pt")
    with pytest.raises(ValueError, match=r"`output` must end in \.keras .*'.*flat\.h5'"):
        convert(tmp_path / "flat.h5", tmp_path / "flat.h5", to="keras")
    save_weights(InceptionI3D(architecture="googlenet_narrow", classes=2), tmp_path / "2014.h5")
    with pytest.raises(WeightsError, match="holds only the network 'inception_v1'"):
        convert(tmp_path / "2014.h5", tmp_path / "2014.pt")
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".h5", ".h5"]


@pytest.mark.parametrize("ending", [".h5", ".safetensors"])
def test_further_information_is_kept(tmp_path, ending):
    about = {"terms": "CC BY 4.0", "accuracy": {"top1": 0.5}}
    model = InceptionI3D(architecture=ROW, classes=2)
    save_weights(model, tmp_path / "mine.safetensors", about=about)
    path = convert(tmp_path / "mine.safetensors", tmp_path / f"other{ending}")
    assert stored_info(path).about == about
    assert provenance(path)["accuracy"] == "top1 50.0 %"


def test_a_file_that_answers_otherwise_never_gets_its_name(source, tmp_path, monkeypatch):
    def wrong(model, path, about):
        random = np.random.default_rng(0)
        model.get_layer("Conv3d_0c_1x1").bias.assign(random.normal(size=3))
        save_weights(model, path)
        model.get_layer("Conv3d_0c_1x1").bias.assign(np.zeros(3))

    monkeypatch.setitem(conversion._WRITERS, "h5", wrong)
    with pytest.raises(WeightsError, match="not written; its outputs differ by"):
        convert(source, tmp_path / "other.h5")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.long
@pytest.mark.parametrize("system", ["ConvNetLSTM", "TwoStream"])
def test_systems_are_converted_where_the_format_tells_what_they_are(system, tmp_path, known):
    constructor = SYSTEMS[system].builder
    model = constructor(architecture=f"{ROW}_short", classes=2)
    save_weights(model, tmp_path / "mine.h5", labels=("a", "b"))
    written = convert(tmp_path / "mine.h5", tmp_path / "mine.safetensors")
    again = constructor(weights=written)
    loaded = keras.saving.load_model(convert(written, tmp_path / "mine.keras"))
    for found in (again, loaded):
        assert (found.labels, found.clip_specs) == (("a", "b"), model.clip_specs)
        for old, new in zip(model.get_weights(), found.get_weights(), strict=True):
            np.testing.assert_array_equal(old, new)
    for ending in (".pt", ".weights.h5"):
        with pytest.raises(WeightsError, match=f"use .h5, .safetensors or .keras for {system}"):
            convert(written, tmp_path / f"mine{ending}")
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("ending", [ending for ending in ENDINGS if ending != ".pt"])
def test_a_full_disk_is_one_error_and_leaves_nothing(ending, source, tmp_path, capfd):
    resource = pytest.importorskip("resource", reason="limits of files are POSIX's")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        with pytest.raises(OSError, match="too large") as raised:
            convert(source, tmp_path / f"mine{ending}")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert raised.value.filename == str(tmp_path / f"mine{ending}")
    assert list(tmp_path.iterdir()) == [] and "Traceback" not in capfd.readouterr().err


def test_an_unknown_format_is_refused(source, tmp_path):
    with pytest.raises(ValueError, match=r"`to` must be one of .*onnx"):
        convert(source, tmp_path / "mine.onnx")
