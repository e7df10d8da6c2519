"""The catalog: names, paths, and rows that agree with their files."""

import numpy as np
import pytest

from kinetics_i3d.core.clip_spec import DEEPMIND
from kinetics_i3d.core.errors import WeightsError
from kinetics_i3d.weights import catalog
from kinetics_i3d.weights.catalog import CATALOG, CatalogEntry, find_weights, read_weights
from kinetics_i3d.weights.checkpoint import Checkpoint, WeightsInfo, write_checkpoint

LABELS = ("sit", "stand")


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
    rows = {name: entry(name) for name in ("rgb_figures", "rgb_jhmdb")}
    monkeypatch.setattr(catalog, "CATALOG", rows)
    return places


def write(path):
    info = WeightsInfo("inception_v1", 3, DEEPMIND, 2, LABELS)
    write_checkpoint(path, Checkpoint(info, {"a/kernel": np.ones(2, np.float32)}))


def test_a_name_is_looked_up_in_the_folders_in_order(folders):
    inside, beside = (folder / "rgb_figures.h5" for folder in folders)
    write(beside)
    assert find_weights("rgb_figures") == beside
    write(inside)
    assert find_weights("rgb_figures") == inside
    assert read_weights("rgb_figures").info.labels == LABELS


def test_a_missing_file_of_the_catalog_is_an_error_that_names_the_folders(folders):
    with pytest.raises(WeightsError, match=r"rgb_figures: rgb_figures.h5 is missing in ") as raised:
        find_weights("rgb_figures")
    assert all(str(folder) in str(raised.value) for folder in folders)


def test_a_path_is_taken_as_it_is(folders, tmp_path):
    write(tmp_path / "mine.h5")
    assert find_weights(str(tmp_path / "mine.h5")) == tmp_path / "mine.h5"
    assert read_weights(tmp_path / "mine.h5").path == tmp_path / "mine.h5"


@pytest.mark.parametrize(
    ("wrong", "near"),
    [("rgb_figure", "rgb_figures"), ("jhmdb", "rgb_jhmdb"), ("xyz", "rgb_figures")],
)
def test_an_unknown_name_is_answered_with_near_ones(folders, wrong, near):
    with pytest.raises(WeightsError, match=f"unknown weights '{wrong}'; did you mean .*{near}"):
        find_weights(wrong)


@pytest.mark.parametrize("wrong", ["none.h5", "some/where", "rgb_figures.h5"])
def test_a_path_that_does_not_exist_is_called_a_file(folders, wrong):
    with pytest.raises(WeightsError, match=f"^{wrong}: no such weights file$"):
        find_weights(wrong)


def test_a_folder_is_no_weights(tmp_path):
    with pytest.raises(WeightsError, match="a folder, not weights"):
        read_weights(tmp_path)


def test_both_places_of_the_checkpoints_are_known():
    ends = [folder.parts[-2:] for folder in catalog.FOLDERS]
    assert ends[0] == ("kinetics_i3d", "checkpoints")
    assert catalog.FOLDERS[1].parent == catalog.FOLDERS[0].parents[1]


@pytest.mark.skipif(not CATALOG, reason="the catalog is empty")
@pytest.mark.parametrize("name", CATALOG)
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
    assert row.accuracy and all(0 <= percent <= 100 for percent in row.accuracy.values())
