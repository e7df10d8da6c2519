"""The model card, provenance of weights, and the texts that artifacts carry."""

import json
from types import MappingProxyType

import pytest

import kinetics_i3d as ki3d
from kinetics_i3d.core.labels import label_list
from kinetics_i3d.exporting.model_card import (
    UNKNOWN,
    descriptions,
    metadata,
    model_card,
    provenance,
)
from kinetics_i3d.weights.catalog import CATALOG, PAIRS
from kinetics_i3d.weights.read import read_weights


def test_the_card_has_known_texts_and_marks_unknown_ones(model):
    card = model_card(model, about={"accuracy": "half of them", "command": "train it"})
    assert "| rgb | 10 | 9 | short_side to 36, bilinear | 32 x 32, the middle | -0.5 to 2 |" in card
    assert "## Accuracy\n\nhalf of them\n" in card and card.count(UNKNOWN) == 2
    assert "Trained with `train it`." in card
    assert "3 (sit, stand, wave)" in card and "Flow is x then y" not in card
    assert f"with {model.count_params() / 1e6:.1f} million\nparameters, based on" in card
    assert "A video classifier, InceptionI3D (" in card and '- "i3d"' in card


def test_the_card_tells_one_class_from_several(model, sigmoid_model):
    assert "It predicts one of the classes below for every video" in model_card(model)
    assert "It gives every class a probability of its own" in model_card(sigmoid_model)


def test_the_tags_are_those_of_the_system():
    other = ki3d.C3D(architecture="c3d_eighth", classes=3)
    other.labels = ("sit", "stand", "wave")
    card = model_card(other)
    assert '- "c3d"' in card and '- "i3d"' not in card and "C3D (c3d_eighth)" in card


def test_only_the_classes_of_kinetics_are_called_those(short):
    other = ki3d.InceptionI3D(architecture=short, classes=400)
    other.labels = [f"mine {number}" for number in range(400)]
    assert "400 (mine 0, mine 1, " in model_card(other)
    other.labels = label_list("kinetics400")
    assert "400 (Kinetics')" in model_card(other)


@pytest.mark.parametrize("name", [*CATALOG, *PAIRS])
def test_every_row_of_the_catalog_has_a_provenance(name):
    texts = provenance(name)
    assert texts["name"] == name and "Apache-2.0" in texts["license"] and texts["accuracy"]


def test_provenance_of_names_files_and_pairs(tmp_path, model):
    texts = provenance("rgb_kinetics_jhmdb")
    assert texts["accuracy"].startswith("top1 76.9 %, top5 97.0 %, mean_class 75.2 % (268 test")
    assert "CC BY 4.0" in texts["license"] and "three runs" in texts["command"]
    pair = provenance("imagenet_kinetics400")
    assert pair["accuracy"].startswith("top1 74.2 %") and pair["data"].count("Released") == 1
    path = tmp_path / "mine.h5"
    about = {"accuracy": {"top1": 0.5, "videos": 8}, "terms": "mine alone"}
    ki3d.save_weights(model, path, about=about)
    texts = {"name": "mine.h5", "accuracy": "top1 50.0 %, videos 8", "license": "mine alone"}
    assert provenance(path) == provenance(str(path)) == texts
    both = provenance({"rgb": path, "flow": "flow_kinetics400"})
    assert both["name"] == "mine.h5 and flow_kinetics400"
    assert both["license"].startswith("rgb: mine alone; flow: Released by DeepMind")
    ki3d.save_weights(model, tmp_path / "text.h5", about={"accuracy": {"top1": 76.9, "top5": "?"}})
    assert provenance(tmp_path / "text.h5")["accuracy"] == "top1 76.9, top5 ?"
    assert provenance(model) == {}
    checkpoint = read_weights(path)
    assert provenance({"rgb": checkpoint, "flow": checkpoint}) == {}
    assert provenance(MappingProxyType({"rgb": path, "flow": "flow_kinetics400"})) == both
    (tmp_path / "broken.h5").write_bytes(b"\x89HDF\r\n\x1a\n, and no more")
    assert provenance(tmp_path / "broken.h5") == {"name": "broken.h5"}
    assert provenance(tmp_path / "model.ckpt") == {"name": "model.ckpt"}


def test_descriptions_and_metadata_have_the_labels_and_the_spec(model):
    texts = descriptions(model)
    assert texts["labels.txt"] == "sit\nstand\nwave\n"
    fields = json.loads(texts["clip_spec.json"])
    assert fields == {"rgb": {**model.clip_spec.to_dict(), "minimum_frames": 9}}
    assert json.loads(metadata(model)["labels"]) == ["sit", "stand", "wave"]
    assert json.loads(metadata(model)["clip_spec"]) == fields


def test_descriptions_and_metadata_state_the_activation(model, sigmoid_model):
    for described, name in ((model, "softmax"), (sigmoid_model, "sigmoid")):
        assert descriptions(described)["activation.txt"] == f"{name}\n"
        assert metadata(described)["activation"] == name
