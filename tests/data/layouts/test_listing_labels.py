"""Labels in another spelling: matched if only one class is meant, else reported."""

import types

import pytest

from kinetics_i3d.core.errors import DatasetError
from kinetics_i3d.core.labels import label_list
from kinetics_i3d.data.datasets import open_dataset
from kinetics_i3d.data.layouts.labels import match_labels
from kinetics_i3d.data.video_dataset import Video, VideoDataset
from kinetics_i3d.evaluation.protocols import with_model_labels

K400 = label_list("kinetics400")


def model_of(labels):
    return types.SimpleNamespace(labels=labels, output_shape=(None, len(labels)))


def dataset_of(tmp_path, *labels):
    videos = tuple(Video(tmp_path / f"{k}.mp4", each, "val", "") for k, each in enumerate(labels))
    return VideoDataset("mine", tuple(sorted(set(labels))), videos, videos[:1])


@pytest.mark.parametrize(
    ("spelt", "label"),
    [
        ("playing_cricket", "playing cricket"),
        ("Playing Cricket", "playing cricket"),
        ("PlayingCricket", "playing cricket"),
        ("PLAYING-CRICKET", "playing cricket"),
        ("massaging_persons_head", "massaging person's head"),
        ("using_remote_controller_(not_gaming)", "using remote controller (not gaming)"),
        ("zumba", "zumba"),
    ],
)
def test_other_spellings_of_kinetics_are_matched(tmp_path, spelt, label):
    found = with_model_labels(model_of(K400), dataset_of(tmp_path, spelt, "abseiling"))
    assert [video.label for video in found.videos] == [label, "abseiling"]
    assert [video.label for video in found.missing] == [label]
    assert found.labels == K400


@pytest.mark.parametrize(
    ("labels", "why"),
    [
        (("playing_kricket",), "'playing_kricket'; did you mean 'playing cricket'"),
        (("playing_cricket", "Playing Cricket"), "'Playing Cricket'; did you mean"),
        (("playing_cricket", "playing cricket"), "not have: 'playing_cricket'; did you mean"),
        (("???",), r"not have: '\?\?\?'; it has 400, such as 'abseiling'"),
    ],
)
def test_labels_that_may_be_several_or_none_are_reported(tmp_path, labels, why):
    with pytest.raises(DatasetError, match=why):
        with_model_labels(model_of(K400), dataset_of(tmp_path, *labels))


def test_known_labels_that_are_spelt_alike_match_only_as_they_stand():
    known = ("sit down", "sit-down", "run")
    assert match_labels(["sit_down", "Run"], known) == ({"Run": "run"}, ["sit_down"])
    assert match_labels(["sit-down"], known) == ({"sit-down": "sit-down"}, [])
    assert match_labels(["cafe\u0301"], ["Caf\u00e9"])[0] == {"cafe\u0301": "Caf\u00e9"}
    assert match_labels(["\u5750", "!"], ["\u5750", "?"]) == ({"\u5750": "\u5750"}, ["!"])


def test_a_table_in_another_spelling_than_its_labels(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b".")
    (tmp_path / "t.csv").write_text("path,label,split\na.mp4,Sit_Down,train\n")
    assert (
        open_dataset(tmp_path / "t.csv", labels=("run", "sit down")).videos[0].label == "sit down"
    )
    (tmp_path / "t.labels.txt").write_text("sit down\nrun\n")
    dataset = open_dataset(tmp_path)
    assert (dataset.labels, dataset.videos[0].label) == (("sit down", "run"), "sit down")


def test_the_shared_folders_are_those_of_kinetics(shared):
    dataset = open_dataset(shared / "cases/eval_folders").split("val")
    found = with_model_labels(model_of(K400), dataset)
    assert {video.label for video in found.videos} == {"playing cricket", "walking the dog"}
