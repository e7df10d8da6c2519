"""Tables of videos: what is wrong in them is told by line, and parts share no source."""

import dataclasses
import logging
import os
import pathlib

import numpy as np
import pytest

from kinetics_i3d.core.errors import DatasetError
from kinetics_i3d.core.labels import label_list
from kinetics_i3d.data.datasets import open_dataset
from kinetics_i3d.data.layouts import labels as listing_labels
from kinetics_i3d.data.layouts.formats import KINDS
from kinetics_i3d.data.video_dataset import Video, VideoDataset
from kinetics_i3d.video.span import Span


@pytest.fixture
def table(tmp_path):
    """Lines -> path of a table; every file that a good line names exists."""

    def write(*lines, header="path,label,split", present=True, name="videos.csv"):
        path = tmp_path / name
        path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
        for line in lines if present else ():
            file = tmp_path / line.split(",")[0]
            if file.suffix:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(b".")
        return path

    return write


def test_rows_are_read_relative_to_the_table(table, tmp_path):
    path = table("run/b.mp4,run,train", "sit/ä.mp4,sit,test", "run/a.mp4,run,test")
    dataset = open_dataset(str(path))
    assert dataset.name == tmp_path.name and dataset.labels == ("run", "sit") and len(dataset) == 3
    assert dataset.videos[1] == Video(tmp_path / "sit/ä.mp4", "sit", "test", "sit/ä.mp4")
    assert [video.source for video in dataset.videos] == ["run/b.mp4", "sit/ä.mp4", "run/a.mp4"]


def test_columns_may_stand_in_any_order_beside_others(table, tmp_path):
    (tmp_path / "a.mp4").write_bytes(b".")
    path = table("x,train,sit,a.mp4", header="more,split,label,path")
    assert open_dataset(path).videos == (Video(tmp_path / "a.mp4", "sit", "train", "a.mp4"),)


def test_labels_can_be_given(table):
    dataset = open_dataset(table("a_1.mp4,sit,train"), labels=["stand", "sit"])
    assert dataset.labels == ("stand", "sit")


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        (
            ["a.mp4,sit,train", "b.mp4,,train"],
            r"line 3: one of \('path', 'label', 'split'\) is empty",
        ),
        (["a.mp4,sit"], "line 2: one of"),
        ([",sit,train"], "line 2: one of"),
        (["a.mp4,sit,train", "b.mp4,fly,train"], "line 3: unknown label 'fly'"),
        (
            ["a.mp4,sit,train", "b.mp4,sit,train", "a.mp4,sit,test"],
            "line 4: a.mp4 is already in line 2",
        ),
        (
            ["a.mp4,sit,test", "a.mp4,sit,val", "a.mp4,sit,val"],
            "line 4: a.mp4 is already in line 3",
        ),
    ],
)
def test_a_wrong_line_is_named_by_its_number(table, lines, why):
    path = table(*lines)
    with pytest.raises(DatasetError, match=f"^{path}, {why}"):
        open_dataset(path, labels=("sit",))


def test_a_path_without_a_table_is_refused(table, tmp_path):
    with pytest.raises(DatasetError, match=r"none.csv: no such file or folder"):
        open_dataset(tmp_path / "none.csv")
    with pytest.raises(DatasetError, match=r"looked for .*; its first line is 'path,color'"):
        open_dataset(table("a.mp4,sit", header="path,color"))
    with pytest.raises(DatasetError, match=r"videos\.csv: lists no videos$"):
        open_dataset(table())
    with pytest.raises(DatasetError, match="none of its 1 videos exist"):
        open_dataset(table("b.mp4,sit,train", present=False))
    (tmp_path / "empty.csv").touch()
    with pytest.raises(DatasetError, match=r"it is empty or no text"):
        open_dataset(tmp_path / "empty.csv")


def test_missing_files_are_counted_and_left_out(table, tmp_path, caplog):
    path = table("a.mp4,sit,train", "b.mp4,run,train", "c.mp4,sit,train")
    (tmp_path / "b.mp4").unlink()
    with caplog.at_level(logging.WARNING, logger="absl"):
        dataset = open_dataset(path)
    assert [video.path.name for video in dataset.videos] == ["a.mp4", "c.mp4"]
    assert dataset.labels == ("run", "sit")  # outputs keep their order
    assert "1 of 3 videos are missing" in caplog.text and str(path) in caplog.text
    assert dataset.missing == (Video(tmp_path / "b.mp4", "run", "train", "b.mp4"),)


def test_a_part_has_its_own_missing_videos(table, tmp_path):
    path = table("a.mp4,sit,train", "b.mp4,sit,test", "c.mp4,sit,val", "d.mp4,sit,test")
    for name in ("b", "c"):
        (tmp_path / f"{name}.mp4").unlink()
    dataset = open_dataset(path)
    assert [video.path.name for video in dataset.missing] == ["b.mp4", "c.mp4"]
    assert dataset.split("train").missing == ()
    assert [video.path.name for video in dataset.split("test").missing] == ["b.mp4"]
    with pytest.raises(DatasetError, match=r"'val' \(all 1 are missing\); there are"):
        dataset.split("val")


def test_hold_out_parts_what_is_missing_as_what_is_there():
    dataset = many()
    gone = VideoDataset("many", dataset.labels, dataset.videos[::2], dataset.videos[1::2])
    sides = gone.hold_out(0.3)
    assert sorted(v.path for side in sides for v in side.missing) == sorted(
        v.path for v in gone.missing
    )
    kept, held_out = ({(v.label, v.source) for v in side.videos + side.missing} for side in sides)
    assert not kept & held_out and sides[0].missing and sides[1].missing


@pytest.mark.parametrize(("fraction", "counts"), [(0, (1, 1)), (0.5, (1, 2)), (0.9, (1, 3))])
def test_a_part_that_is_held_out_leaves_a_source_of_each_class(fraction, counts):
    videos = tuple(
        Video(pathlib.Path(f"{label}{number}.mp4"), label, "train", f"{label}{number}")
        for label, count in (("a", 2), ("b", 4), ("c", 1))
        for number in range(count)
    )
    kept, held_out = VideoDataset("three", ("a", "b", "c"), videos).hold_out(fraction)
    assert (held_out.class_counts()["a"], held_out.class_counts()["b"]) == counts
    assert {video.label for video in kept.videos} == {"a", "b", "c"}
    assert len(VideoDataset("three", ("a", "b", "c"), videos).hold_out(1)[0]) == 1


def test_times_near_0_are_written_as_they_are_read(table, tmp_path):
    path = table("a.mp4,sit,train,0.00001,4", header="path,label,split,start,end")
    open_dataset(path).write_table(tmp_path / "copy.csv")
    assert open_dataset(tmp_path / "copy.csv").videos[0].span == Span(0.00001, 4.0)


@pytest.mark.parametrize("rate", ["x", "0", "-5", "1:30", "nan"])
def test_a_rate_is_a_number_above_0(table, rate):
    path = table(f"a/1,sit,train,{rate}", header="path,label,split,fps")
    with pytest.raises(DatasetError, match=f"line 2: fps must be a number above 0, .*'{rate}'"):
        open_dataset(path)


def test_a_split_is_a_part(table):
    dataset = open_dataset(table("a.mp4,sit,train", "b.mp4,run,test", "c.mp4,sit,test"))
    part = dataset.split("test")
    assert [video.path.name for video in part.videos] == ["b.mp4", "c.mp4"]
    assert (part.labels, part.name) == (dataset.labels, dataset.name)
    with pytest.raises(
        DatasetError, match=r"no videos in split 'val'; there are \['test', 'train'\]"
    ):
        dataset.split("val")


def many(sources=10, copies=3, labels=("run", "sit")):
    """Every class with the same number of sources, each cut into some videos."""
    videos = tuple(
        Video(f"{label}{source}_{copy}.mp4", label, "train", f"film {source}")
        for label in labels
        for source in range(sources)
        for copy in range(copies)
    )
    return VideoDataset("many", labels, videos)


@pytest.mark.parametrize(("fraction", "held_sources"), [(0.2, 2), (0.01, 1), (0.5, 5)])
def test_hold_out_parts_by_source_in_every_class(fraction, held_sources):
    dataset = many()
    kept, held_out = dataset.hold_out(fraction)
    assert sorted(map(str, kept.videos + held_out.videos)) == sorted(map(str, dataset.videos))
    assert (kept.labels, kept.name) == (held_out.labels, held_out.name) == (dataset.labels, "many")
    for label in dataset.labels:
        sides = [{v.source for v in part.videos if v.label == label} for part in (kept, held_out)]
        assert not sides[0] & sides[1] and len(sides[1]) == held_sources
        assert sum(v.label == label for v in held_out.videos) == 3 * held_sources


def test_a_folder_that_cannot_be_read_is_skipped(tmp_path, monkeypatch, caplog):
    """Such as lost+found at the root of a disk; root may read it, hence the patch."""
    for label in ("sit", "stand"):
        (tmp_path / label).mkdir()
        (tmp_path / label / "1.mp4").write_bytes(b"x")
    (tmp_path / "lost+found").mkdir()
    scandir = os.scandir

    def scan(path):
        if str(path).endswith("lost+found"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", scan)
    assert open_dataset(tmp_path).labels == ("sit", "stand")


def test_hold_out_follows_its_seed():
    dataset = many()
    assert dataset.hold_out(0.3) == dataset.hold_out(0.3, seed=0)
    assert dataset.hold_out(0.3) != dataset.hold_out(0.3, seed=1)
    first = {
        label: {v.source for v in dataset.hold_out(0.3)[1].videos if v.label == label}
        for label in dataset.labels
    }
    assert first["run"] != first["sit"]  # each class draws its own


def test_the_order_of_the_rows_does_not_move_the_parts():
    dataset = many()
    turned = VideoDataset("many", dataset.labels, dataset.videos[::-1])
    assert set(dataset.hold_out(0.3)[1].videos) == set(turned.hold_out(0.3)[1].videos)


def test_shared_sources_are_of_one_class_and_several_splits():
    rows = [("a", "run", "train"), ("a", "run", "test"), ("a", "sit", "test"), ("b", "sit", "test")]
    rows += [
        ("c", "sit", "train"),
        ("c", "sit", "train"),
        ("0", "sit", "val"),
        ("0", "sit", "test"),
    ]
    videos = tuple(Video("x", label, split, source) for source, label, split in rows)
    dataset = VideoDataset("some", ("run", "sit"), videos)
    assert dataset.shared_sources() == (("run", "a"), ("sit", "0"))
    assert dataset.split("test").shared_sources() == ()


HMDB_CLIPS = (
    "my_sit_in_sit_u_nm_np1_ba_goo_0.mp4,sit,train",
    "b_run_f_cm_np1_le_bad_1.mp4,run,test",
)


def test_open_dataset_knows_a_table_a_folder_and_jhmdb(table, tmp_path):
    path = table("a_sit_1.mp4,sit,train")
    assert open_dataset(path) == open_dataset(str(tmp_path)) == open_dataset(path)
    table("a_sit_1.mp4,sit,train", name="split1.csv")
    assert open_dataset(tmp_path / "split1.csv").videos[0].source == "a_sit_1.mp4"
    with pytest.raises(
        DatasetError, match=r"has 2 \(split1.csv, videos.csv\); pass the path of one"
    ):
        open_dataset(tmp_path)
    table(*HMDB_CLIPS, name="split1.csv")
    with pytest.raises(
        DatasetError, match=r"'jhmdb' \(split1.csv\); 'table' \(videos.csv\); set `kind`"
    ):
        open_dataset(tmp_path)
    clips = open_dataset(tmp_path, kind="jhmdb")
    assert [video.source for video in clips.videos] == ["my_sit_in", "b"]
    assert clips == open_dataset(tmp_path / "split1.csv")
    assert open_dataset(tmp_path, kind="table") == open_dataset(path)
    path.unlink()
    assert open_dataset(tmp_path) == clips
    with pytest.raises(DatasetError, match=r"has no split2\.csv; its splits are \[1\]"):
        open_dataset(tmp_path, split_number=2)
    table(HMDB_CLIPS[0].replace("train", "test"), name="split2.csv")
    for number in (2, np.int64(2)):
        assert [v.split for v in open_dataset(tmp_path, split_number=number).videos] == ["test"]


def test_what_is_no_dataset_is_reported_with_what_was_looked_for(table, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("")
    with pytest.raises(DatasetError) as caught:
        open_dataset(tmp_path / "other")
    text = str(caught.value)
    assert text.startswith(f"{tmp_path / 'other'}: no dataset of a known kind; looked for ")
    for word in (*KINDS, "youtube_id", "classInd.txt", "_test_split1.txt", "path and label"):
        assert word in text
    assert "\n" not in text
    with pytest.raises(DatasetError, match="none: no such file or folder"):
        open_dataset(tmp_path / "none")
    with pytest.raises(DatasetError, match=r"its first line is 'path,color'$"):
        open_dataset(table("a.mp4,sit", header="path,color"))
    (tmp_path / "film.mp4").write_bytes(b"\0\1\2")
    with pytest.raises(DatasetError, match=r"film.mp4: .*it is empty or no text$"):
        open_dataset(tmp_path / "film.mp4")
    with pytest.raises(DatasetError, match=r"not of kind 'ucf101'; looked for classInd.txt"):
        open_dataset(tmp_path, kind="ucf101")


def test_arguments_that_cannot_be(table, tmp_path):
    path = table("a.mp4,sit,train")
    for wrong in (
        {"kind": "ucf"},
        {"split_number": 0},
        {"split_number": "1"},
        {"split_number": True},
        {"labels": "sit"},
    ):
        (name,) = wrong
        with pytest.raises(ValueError, match=f"`{name}` must be .* Received: {name}="):
            open_dataset(path, **wrong)
    for labels in ((), ("sit", "sit")):
        with pytest.raises(ValueError, match="`labels` must be unique"):
            open_dataset(path, labels=labels)
    with pytest.raises(DatasetError, match="table has no official splits by number"):
        open_dataset(path, split_number=2)
    with pytest.raises(DatasetError, match="nowhere: no such video folder"):
        open_dataset(path, videos=tmp_path / "nowhere")


def test_videos_may_be_elsewhere_and_labels_be_given(table, tmp_path):
    path = table("a.mp4,sit,train", "b.mp4,stand,train", present=False)
    with pytest.raises(
        DatasetError, match=r"none of its 2 .* such as a.mp4; set `videos` \(--videos\)"
    ):
        open_dataset(path)
    (tmp_path / "there").mkdir()
    (tmp_path / "there/b.mp4").write_bytes(b".")
    dataset = open_dataset(path, videos=str(tmp_path / "there"), labels=["stand", "sit"])
    assert [video.path for video in dataset.videos] == [tmp_path / "there/b.mp4"]
    assert [video.path for video in dataset.missing] == [tmp_path / "there/a.mp4"]
    assert dataset.labels == ("stand", "sit")


@pytest.mark.parametrize("count", [400, 600])
def test_labels_of_kinetics_have_the_order_of_the_released_weights(table, tmp_path, count):
    known = label_list(f"kinetics{count}")
    (tmp_path / "a.mp4").write_bytes(b".")
    lines = [f"{number}.mp4,{label},train" for number, label in enumerate(known)][::-1]
    lines.append("a.mp4,abseiling,test")
    assert open_dataset(table(*lines, present=False)).labels == known
    fewer = [line for line in lines if not line.endswith("zumba,train")]
    assert open_dataset(table(*fewer, present=False)).labels == tuple(
        sorted(set(known) - {"zumba"})
    )


def test_the_order_of_the_released_weights_need_not_be_sorted(table, monkeypatch):
    monkeypatch.setattr(listing_labels, "label_list", lambda name: ("stand", "run"))
    lines = ("a.mp4,run,train", "b.mp4,stand,train")
    assert open_dataset(table(*lines)).labels == ("stand", "run")
    assert open_dataset(table(*lines, "c.mp4,sit,train")).labels == ("run", "sit", "stand")


def test_a_misspelt_label_error_suggests_labels(table):
    path = table("a.mp4,Sit_Down,train")
    with pytest.raises(
        DatasetError, match=r"line 2: unknown label 'Sit_Down'; did you mean 'sit dawn'\?$"
    ):
        open_dataset(path, labels=("run", "sit dawn"))
    with pytest.raises(DatasetError, match=r"unknown label 'Sit_Down'$"):
        open_dataset(path, labels=("run", "swim"))


def test_two_spellings_of_one_label_are_logged(table, caplog):
    with caplog.at_level(logging.WARNING, logger="absl"):
        dataset = open_dataset(
            table("a.mp4,sit down,train", "b.mp4,sit_down,train", "c.mp4,run,train")
        )
    assert dataset.labels == ("run", "sit down", "sit_down")
    assert (
        "'sit down' and 'sit_down' are read as two different labels" in caplog.text
        and "run" not in caplog.text
    )


def test_a_table_that_is_written_is_read_back(tmp_path):
    inside, outside = tmp_path / "data", tmp_path / "else"
    rows = [
        (inside / "a, b/ä.mp4", "sit", "train", "film 1"),
        (outside / 'quoted "c".mp4', "sit", "test", "film, 2"),
        (inside / "d.mp4", "Run", "test", "film 3"),
    ]
    videos = tuple(Video(*row) for row in rows)
    for video in videos:
        video.path.parent.mkdir(parents=True, exist_ok=True)
        video.path.write_bytes(b".")
    gone = Video(inside / "gone.mp4", "sit", "train", "film 4")
    dataset = VideoDataset("data", ("sit", "stand", "Run"), videos, (gone,))
    dataset.write_table(inside / "new/../videos.csv")
    text = (inside / "videos.csv").read_text(encoding="utf-8")
    assert text.splitlines()[:2] == ["path,label,split,source", '"a, b/ä.mp4",sit,train,film 1']
    assert open_dataset(inside / "videos.csv") == dataclasses.replace(dataset, missing=())
    assert open_dataset(inside / "videos.csv", labels=("Run", "sit")).labels == ("Run", "sit")
    assert sorted(path.name for path in inside.iterdir() if path.is_file()) == [
        "d.mp4",
        "videos.csv",
        "videos.labels.txt",
    ]


def test_a_table_written_from_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pathlib.Path("a.mp4").write_bytes(b".")
    video = Video(pathlib.Path("a.mp4"), "sit", "train", "a")
    VideoDataset("here", ("sit",), (video,)).write_table("sub/videos.csv")
    assert (tmp_path / "sub/videos.csv").read_text().splitlines()[
        1
    ] == f"{tmp_path}/a.mp4,sit,train,a"
    VideoDataset("here", ("sit",), (video,)).write_table("videos.csv")
    assert open_dataset("videos.csv") == VideoDataset(tmp_path.name, ("sit",), (video,))


def sources(dataset):
    """A film may hold several actions: the official split parts each action's films by itself."""
    return {(video.label, video.source) for video in dataset.videos}


def test_jhmdb_is_whole_and_its_official_split_shares_no_source(shared):
    dataset = open_dataset(shared / "data/jhmdb")
    train, test = dataset.split("train"), dataset.split("test")
    assert (len(dataset), len(train), len(test), len(dataset.labels)) == (928, 660, 268, 21)
    assert not sources(train) & sources(test)
    assert len(sources(dataset)) < 500 and ("brush_hair", "April_09") in sources(dataset)
    assert all(video.path.parent.name == video.label for video in dataset.videos)
    assert open_dataset(shared / "data/jhmdb") == dataset


def test_jhmdb_can_be_parted_again(shared):
    train = open_dataset(shared / "data/jhmdb").split("train")
    kept, held_out = train.hold_out(0.2)
    assert len(kept) + len(held_out) == 660 and not sources(kept) & sources(held_out)
    assert {video.label for video in held_out.videos} == set(train.labels)
    assert 0.1 < len(held_out) / 660 < 0.3


def test_one_source_can_be_left_out(table):
    lines = ["a.mp4,sit,train,g1", "b.mp4,run,test,g1", "c.mp4,sit,train,g2", "d.mp4,run,train,g3"]
    path = table(*lines, header="path,label,split,source")
    (path.parent / "d.mp4").unlink()
    dataset = open_dataset(path)
    names = {
        name: [video.path.name for video in dataset.split(name).videos]
        for name in ("source=g1", "source!=g1", "train")
    }
    assert names == {
        "source=g1": ["a.mp4", "b.mp4"],
        "source!=g1": ["c.mp4"],
        "train": ["a.mp4", "c.mp4"],
    }
    assert [video.path.name for video in dataset.split("source!=g1").missing] == ["d.mp4"]
    assert not {v.source for v in dataset.split("source!=g2").videos} & {"g2"}
    with pytest.raises(DatasetError, match=r"no videos in 'source=g4'; there are 2 sources, .* g1"):
        dataset.split("source=g4")
    with pytest.raises(DatasetError, match="no videos in split 'val'"):
        dataset.split("val")


def test_an_empty_path_is_refused():
    with pytest.raises(ValueError, match="`path` must be the path of a dataset"):
        open_dataset("")


def test_spaces_around_the_name_of_a_class_folder_are_removed(tmp_path):
    for name in (" sit", "stand"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.mp4").write_bytes(b"x")
    dataset = open_dataset(tmp_path)
    assert dataset.labels == ("sit", "stand") and all(v.path.is_file() for v in dataset.videos)
