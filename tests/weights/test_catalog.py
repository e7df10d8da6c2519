"""The catalog: names, paths, and rows that agree with their files."""

import dataclasses
import pathlib

import numpy as np
import pytest

from kinetics_i3d.core.clip_spec import DEEPMIND
from kinetics_i3d.core.errors import WeightsError
from kinetics_i3d.weights import catalog, read
from kinetics_i3d.weights.catalog import (
    CATALOG,
    PAIRS,
    CatalogEntry,
)
from kinetics_i3d.weights.checkpoint import Checkpoint, WeightsInfo, write_checkpoint
from kinetics_i3d.weights.read import fetch_weights, find_entries, read_weights, resolve_weights
from kinetics_i3d.weights.released import RELEASES

LABELS = ("sit", "stand")
SHIPPED = [name for name, row in CATALOG.items() if row.file]
METRICS = ("top1", "top5", "mean_class")

# The published table: release folder, stream, classes, top-1, top-5.
RELEASED = {
    "rgb_imagenet_kinetics400": ("rgb_imagenet", "rgb", 400, 71.1, 89.3),
    "flow_imagenet_kinetics400": ("flow_imagenet", "flow", 400, 63.4, 84.9),
    "rgb_kinetics400": ("rgb_scratch", "rgb", 400, 68.4, 88.0),
    "flow_kinetics400": ("flow_scratch", "flow", 400, 61.5, 83.4),
    "rgb_kinetics600": ("rgb_scratch_kin600", "rgb", 600, None, None),
}


def entry(name):
    return CatalogEntry(
        name=name,
        system="InceptionI3D",
        file=f"{name}.h5",
        architecture="inception_v1",
        clip_spec=DEEPMIND,
        labels=LABELS,
        accuracy={"top1": 50.0},
        protocol="all of it",
        command="none",
        terms="free",
    )


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Two empty folders in the place of `FOLDERS`, two rows in the place of `CATALOG`."""
    places = (tmp_path / "inside", tmp_path / "beside")
    for place in places:
        place.mkdir()
    monkeypatch.setattr(catalog, "FOLDERS", places)
    for name in CATALOG.copy():
        monkeypatch.delitem(CATALOG, name)
    for name in ("rgb_figures", "rgb_jhmdb"):
        monkeypatch.setitem(CATALOG, name, entry(name))
    return places


def write(path):
    info = WeightsInfo("inception_v1", 3, DEEPMIND, 2, LABELS)
    write_checkpoint(path, Checkpoint(info, {"a/kernel": np.ones(2, np.float32)}))


def test_a_name_is_looked_up_in_the_folders_in_order(folders):
    inside, beside = (folder / "rgb_figures.h5" for folder in folders)
    write(beside)
    assert fetch_weights("rgb_figures") == [beside]
    write(inside)
    assert fetch_weights("rgb_figures") == [inside]
    assert read_weights("rgb_figures").info.labels == LABELS


def test_a_missing_file_of_the_catalog_is_an_error_that_names_the_folders(folders):
    with pytest.raises(WeightsError, match=r"rgb_figures: rgb_figures.h5 is missing in ") as raised:
        fetch_weights("rgb_figures")
    assert all(str(folder) in str(raised.value) for folder in folders)


def test_a_path_is_taken_as_it_is(folders, tmp_path):
    write(tmp_path / "mine.h5")
    assert fetch_weights(str(tmp_path / "mine.h5")) == [tmp_path / "mine.h5"]
    assert read_weights(tmp_path / "mine.h5").path == tmp_path / "mine.h5"


@pytest.mark.parametrize(
    ("wrong", "near"),
    [("rgb_figure", "rgb_figures"), ("jhmdb", "rgb_jhmdb")],
)
def test_an_unknown_name_is_answered_with_near_ones(folders, wrong, near):
    with pytest.raises(WeightsError, match=f"unknown weights '{wrong}'; did you mean .*{near}"):
        fetch_weights(wrong)


def test_a_name_that_resembles_none_is_answered_with_all(folders):
    message = "^unknown weights 'xyz'; the names are rgb_figures, rgb_jhmdb$"
    with pytest.raises(WeightsError, match=message):
        fetch_weights("xyz")


@pytest.mark.parametrize("wrong", ["none.h5", "some/where", "rgb_figures.h5"])
def test_a_path_that_does_not_exist_is_called_a_file(folders, wrong):
    with pytest.raises(WeightsError, match=f"^{wrong}: no such weights file$"):
        fetch_weights(wrong)


def test_a_name_must_be_a_string(folders):
    message = "^rgb_figures: no such weights file; the name of weights must be a string$"
    with pytest.raises(WeightsError, match=message):
        fetch_weights(pathlib.Path("rgb_figures"))


def test_a_folder_is_no_weights(tmp_path):
    message = "a folder must be a SavedModel or contain exactly one checkpoint"
    with pytest.raises(WeightsError, match=message):
        read_weights(tmp_path)


def test_both_places_of_the_checkpoints_are_known():
    ends = [folder.parts[-2:] for folder in catalog.FOLDERS]
    assert ends[0] == ("kinetics_i3d", "checkpoints")
    assert catalog.FOLDERS[1].parent == catalog.FOLDERS[0].parents[1]


@pytest.mark.parametrize("name", SHIPPED)
def test_a_row_agrees_with_its_file(name):
    from kinetics_i3d.models.inception_i3d import ARCHITECTURES

    row = CATALOG[name]
    info = read_weights(name).info
    assert row.name == name and row.architecture in ARCHITECTURES
    assert (info.architecture, info.clip_spec, info.labels) == (
        row.architecture,
        row.clip_spec,
        row.labels,
    )
    assert info.classes == len(row.labels) == len(set(row.labels))
    for text in (row.protocol, row.command, row.terms):
        assert text.strip()
    measured = info.about["accuracy"]
    assert row.accuracy == {key: round(100 * measured[key], 1) for key in METRICS}


@pytest.mark.parametrize("name", RELEASED)
def test_a_released_row_is_as_published(name):
    row = CATALOG[name]
    folder, stream, classes, top1, top5 = RELEASED[name]
    assert (row.name, row.file, row.release) == (name, None, RELEASES[folder])
    assert (row.system, row.architecture) == ("InceptionI3D", "inception_v1")
    assert row.clip_spec == dataclasses.replace(DEEPMIND, stream=stream)
    assert len(row.labels) == len(set(row.labels)) == classes and row.labels[0] == "abseiling"
    assert row.accuracy == ({"top1": top1, "top5": top5} if top1 else {})
    assert "Apache-2.0" in row.terms and row.protocol and not row.command


def test_all_rows_are_shipped_or_released():
    assert set(CATALOG) == {*SHIPPED, *RELEASED}
    kept = {"file": "x.h5", "release": RELEASES["rgb_scratch"]}
    for wrong in ({"file": None}, kept):
        with pytest.raises(ValueError, match="Exactly one of `file` and `release` must be given"):
            dataclasses.replace(entry("mine"), **wrong)


def test_pairs_are_two_streams_of_one_kind():
    assert {name: (pair.name, *pair.accuracy.values()) for name, pair in PAIRS.items()} == {
        "kinetics_jhmdb": ("kinetics_jhmdb", 82.5, 95.9, 81.4),
        "imagenet_kinetics400": ("imagenet_kinetics400", 74.2, 91.3),
        "kinetics400": ("kinetics400", 71.6, 90.0),
    }
    for name, pair in PAIRS.items():
        assert pair.members == (f"rgb_{name}", f"flow_{name}") == (pair.rgb, pair.flow)
        rgb, flow = find_entries(name)
        assert (rgb.clip_spec.stream, flow.clip_spec.stream) == ("rgb", "flow")
        assert rgb.labels == flow.labels
        # Two streams know more than either.
        assert pair.accuracy["top1"] > max(rgb.accuracy["top1"], flow.accuracy["top1"])


def test_a_pair_instead_of_a_stream_names_its_members():
    reason = (
        "^kinetics400: a pair of two streams, but one stream is needed; "
        "use rgb_kinetics400 or flow_kinetics400$"
    )
    with pytest.raises(WeightsError, match=reason):
        fetch_weights("kinetics400")


def test_rows_are_found_by_name():
    assert find_entries("rgb_figures") == [CATALOG["rgb_figures"]]
    reason = "unknown weights 'kinetics40'; did you mean kinetics400 or "
    with pytest.raises(WeightsError, match=reason):
        find_entries("kinetics40")
    # Where one stream is needed, no pair is suggested.
    with pytest.raises(WeightsError, match=r"did you mean (rgb|flow)_kinetics400 or") as raised:
        fetch_weights("kinetics40")
    assert " kinetics400" not in str(raised.value)


def test_a_released_row_is_fetched(monkeypatch):
    fetched = []
    monkeypatch.setattr(read, "fetch", lambda row: fetched.append(row) or "prefix")
    assert fetch_weights("flow_kinetics400") == ["prefix"]
    assert fetched == [CATALOG["flow_kinetics400"]]
    with pytest.raises(WeightsError, match="flow_kinetics400: not shipped; fetch_weights"):
        CATALOG["flow_kinetics400"].path  # noqa: B018


def test_two_networks_are_resolved_rgb_first():
    pair = {"flow": "flow_kinetics400", "rgb": "rgb_kinetics400"}
    names = [source.name for source in resolve_weights(pair, pairs=True)]
    assert names == ["rgb_kinetics400", "flow_kinetics400"]
    with pytest.raises(ValueError, match="must have the keys 'rgb' and 'flow'"):
        resolve_weights({"rgb": "rgb_kinetics400", "depth": "x"}, pairs=True)


def test_a_name_that_is_too_long_for_a_file_is_unknown():
    with pytest.raises(WeightsError, match="x" * 300):
        resolve_weights("x" * 300)
