"""The metadata of model cards: Hugging Face's YAML of every catalog row, and Kaggle's fields."""

import pathlib
import re

import pytest

from kinetics_i3d.exporting.card_metadata import (
    LICENSES,
    TASKS,
    front_matter,
    hugging_face_fields,
    kaggle_fields,
)
from kinetics_i3d.exporting.model_card import model_card, provenance
from kinetics_i3d.weights.catalog import CATALOG, IMAGES, PAIRS

NAMES = (*CATALOG, *PAIRS, *IMAGES)
RESULTS = pathlib.Path(__file__).resolve().parents[2] / "benchmarks" / "results"


def card_of(name):
    about = provenance(name)
    return front_matter(hugging_face_fields(about, library="keras")) + f"# {name}\n"


def parse(card):
    """The metadata of a card, as a program reads them."""
    yaml = pytest.importorskip("yaml")
    _, block, text = card.split("---\n", 2)
    assert text.strip()
    return yaml.safe_load(block)


@pytest.mark.parametrize("name", NAMES)
def test_hugging_face_metadata_of_every_row_have_their_fields(name):
    fields = parse(card_of(name))
    assert fields == hugging_face_fields(provenance(name), library="keras")
    assert fields["license"] in {hub for _, hub, _ in LICENSES.values()}
    assert fields["library_name"] == "keras" and fields["pipeline_tag"] in TASKS
    assert fields["pipeline_tag"] in fields["tags"] and fields["metrics"] == ["accuracy"]
    assert all(re.fullmatch("[a-z0-9-]+", tag) for tag in fields["tags"] + fields["datasets"])
    entry = {**CATALOG, **PAIRS, **IMAGES}[name]
    assert ("model-index" in fields) == bool(entry.accuracy)
    for model in fields.get("model-index", ()):
        assert model["name"] == name
        (result,) = model["results"]
        assert result["task"]["type"] == fields["pipeline_tag"]
        assert {"type", "name", "split"} <= set(result["dataset"])
        assert [metric["value"] for metric in result["metrics"]] == [*entry.accuracy.values()]
        assert {metric["type"] for metric in result["metrics"]} == {"accuracy"}
        measured = entry.name in ("rgb_figures", *(row for row in NAMES if "jhmdb" in row))
        assert measured or result["source"]["url"].startswith("https://")


@pytest.mark.parametrize("name", ["rgb_kinetics_jhmdb", "flow_kinetics_jhmdb", "kinetics_jhmdb"])
def test_the_accuracies_of_shipped_weights_are_those_of_the_record(name):
    record = (RESULTS / "jhmdb_weights.md").read_text(encoding="utf-8")
    (model,) = hugging_face_fields(provenance(name), library="keras")["model-index"]
    for metric in model["results"][0]["metrics"]:
        assert f"{metric['value']:.1f}" in record


@pytest.mark.parametrize("name", NAMES)
def test_huggingface_hub_reads_the_metadata(name):
    hub = pytest.importorskip("huggingface_hub")
    data = hub.ModelCard(card_of(name)).data
    entry = {**CATALOG, **PAIRS, **IMAGES}[name]
    values = [result.metric_value for result in data.eval_results or ()]
    assert values == [*entry.accuracy.values()]


def test_a_card_begins_with_its_metadata(model):
    fields = parse(model_card(model, about={"name": "My: Model", "license": "mine alone"}))
    assert fields == {
        "library_name": "tensorflow",
        "pipeline_tag": "video-classification",
        "tags": [
            *("video-classification", "action-recognition", "i3d", "inception"),
            *("inceptioni3d", "keras", "rgb"),
        ],
        "metrics": ["accuracy"],
    }


def test_front_matter_is_yaml_in_block_style():
    fields = {"a": "x: y", "b": ["p", "q"], "c": [{"d": 1.5, "e": [{"f": "g"}]}]}
    lines = ["---", 'a: "x: y"', "b:", '  - "p"', '  - "q"', "c:", "  - d: 1.5", "    e:"]
    lines += ['      - f: "g"', "---"]
    assert front_matter(fields) == "\n".join(lines) + "\n"
    assert parse(front_matter(fields) + "text") == fields


@pytest.mark.parametrize("name", NAMES)
def test_kaggle_fields_of_every_row(name):
    page, instance = kaggle_fields(provenance(name), description="", instance={"framework": "f"})
    assert page["licenseName"] in {kaggle for *_, kaggle in LICENSES.values()}
    assert 6 <= len(page["title"]) <= 50 and 20 <= len(page["subtitle"]) <= 255
    assert instance["modelSlug"] == page["slug"] and instance["framework"] == "f"
    assert page["provenanceSources"] == instance["trainingData"][0] == provenance(name)["data"]
