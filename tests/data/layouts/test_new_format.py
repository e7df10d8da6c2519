"""The recipe of CONTRIBUTING: a new format of datasets is one file and one row."""

from xml.etree import ElementTree

import pytest

from kinetics_i3d.core.errors import DatasetError
from kinetics_i3d.data.datasets import find_videos, open_dataset
from kinetics_i3d.data.layouts.formats import FORMATS, DatasetFormat, recognize
from kinetics_i3d.data.layouts.listing import Listing, Row
from kinetics_i3d.training.config import TrainConfig
from kinetics_i3d.training.preflight import training_and_validation

CLIPS = '<clips><clip file="a.mp4" label="sit"/><clip file="b.mp4" label="run" test="1"/></clips>'


def find(location):
    """The files of the format in a `Location`."""
    return tuple(file for file in location.files if "<clips>" in location.start(file))


def read(files, *, root, split, labels):
    """A `Listing` of the clips of one file."""
    rows = tuple(
        Row(
            clip.get("file"),
            clip.get("label"),
            "test" if clip.get("test") else "train",
            clip.get("file"),
            files[0],
            line=0,
        )
        for clip in ElementTree.parse(files[0]).getroot()
    )
    return Listing(files[0], "clips", root, rows)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setitem(
        FORMATS, "xml", DatasetFormat("an XML file of clips", find, read, suffixes=(".xml",))
    )
    (tmp_path / "clips.xml").write_text(CLIPS)
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).write_bytes(b".")
    return tmp_path


def test_one_row_makes_a_format_known_to_everything_that_opens_datasets(folder):
    dataset = open_dataset(folder)
    assert recognize(folder)[0] == "xml"
    assert dataset.labels == ("run", "sit") and dataset.splits == ("test", "train")
    assert [video.path for video in dataset.split("test").videos] == [folder / "b.mp4"]
    assert open_dataset(folder / "clips.xml", kind="xml") == open_dataset(dataset) == dataset
    assert find_videos(folder / "clips.xml")[1] == [str(folder / "a.mp4"), str(folder / "b.mp4")]
    config = TrainConfig(split="train", validation="test")
    training, held_out = training_and_validation(dataset, config)
    assert len(training) == len(held_out) == 1


def test_a_format_is_not_recognized_without_its_row(folder, monkeypatch):
    monkeypatch.delitem(FORMATS, "xml")
    with pytest.raises(DatasetError, match="no dataset of a known kind"):
        open_dataset(folder / "clips.xml")


def test_formats_that_both_fit_are_named(folder):
    (folder / "videos.csv").write_text("path,label,split\na.mp4,sit,train\n")
    with pytest.raises(DatasetError, match=r"'table' \(videos.csv\); 'xml' \(clips.xml\)"):
        open_dataset(folder)
    assert len(open_dataset(folder, kind="table")) == 1
