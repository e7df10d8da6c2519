"""The card says what is known and what is not, and a handle's page what Kaggle reads."""

import json

import pytest

import kinetics_i3d as ki3d
from kinetics_i3d.exporting.hub_page import hub_page
from kinetics_i3d.exporting.model_card import UNKNOWN, model_card
from kinetics_i3d.exporting.origin import origin
from kinetics_i3d.weights.catalog import CATALOG, PAIRS


def test_the_card_says_what_is_known_and_what_is_not(model):
    card = model_card(model, about={"accuracy": "half of them", "command": "train it"})
    assert "| rgb | 10 | 9 | short_side to 36, bilinear | 32 x 32, the middle | -0.5 to 2 |" in card
    assert "## Accuracy\n\nhalf of them\n" in card and card.count(UNKNOWN) == 2
    assert "Trained by `train it`." in card
    assert "3 (sit, stand, wave)" in card and "Flow is x then y" not in card
    assert f"of\n{model.count_params() / 1e6:.1f} million parameters" in card


@pytest.mark.parametrize("name", [*CATALOG, *PAIRS])
def test_every_row_of_the_catalog_has_an_origin(name):
    known = origin(name)
    assert known["name"] == name and "Apache-2.0" in known["licence"] and known["accuracy"]


def test_the_origin_of_weights(tmp_path, model):
    known = origin("rgb_kinetics_jhmdb")
    assert known["accuracy"].startswith("top1 73.9 %, top5 95.9 %, mean_class 72.1 % (268 test")
    assert "CC BY 4.0" in known["licence"] and "--recipe finetune_kinetics" in known["command"]
    pair = origin("imagenet_kinetics400")
    assert pair["accuracy"].startswith("top1 74.2 %") and pair["data"].count("Released") == 1
    path = tmp_path / "mine.h5"
    about = {"accuracy": {"top1": 0.5, "videos": 8}, "terms": "mine alone"}
    ki3d.save_weights(model, path, about=about)
    known = {"name": "mine.h5", "accuracy": "top1 50.0 %, videos 8", "licence": "mine alone"}
    assert origin(path) == origin(str(path)) == known
    both = origin({"rgb": path, "flow": "flow_kinetics400"})
    assert both["name"] == "mine.h5 and flow_kinetics400"
    assert both["licence"].startswith("rgb: mine alone; flow: Released by DeepMind")
    assert origin(model) == {}
    (tmp_path / "broken.h5").write_bytes(b"\x89HDF\r\n\x1a\n, and no more")
    assert origin(tmp_path / "broken.h5") == {"name": "broken.h5"}


@pytest.mark.parametrize(
    ("terms", "licence"),
    [
        ("Trained on CC BY 4.0, from Apache-2.0", "Attribution 4.0 International (CC BY 4.0)"),
        ("Apache-2.0", "Apache 2.0"),
        ("mine alone", "INSERT_LICENSE_NAME_HERE"),
    ],
)
def test_the_page_of_a_handle(model, terms, licence):
    page = hub_page(model, model, about={"name": "My Model.h5", "licence": terms, "data": "films"})
    whole, one = (json.loads(page[f"{name}-metadata.json"]) for name in ("model", "model-instance"))
    assert whole["licenseName"] == one["licenseName"] == licence
    assert whole["slug"] == one["modelSlug"] == "my-model" and whole["title"] == "My Model"
    assert whole["description"] == page["README.md"] and page["README.md"].startswith("# My Model")
    assert one["framework"] == "tensorFlow2" and one["fineTunable"] is True
    assert one["trainingData"] == ["films"]
    headings = [line for line in one["usage"].splitlines() if line.startswith("# ")]
    kinds = ("Model format", "Model inputs", "Model outputs", "Model usage", "Fine-tuning")
    assert headings == [f"# {kind}" for kind in kinds]
    assert '"${PATH}", trainable=True' in one["usage"] and "| rgb | 10 |" in one["usage"]
    assert "### Fine-tuning" in page["README.md"] and "${PATH}" not in page["README.md"]
