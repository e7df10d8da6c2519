"""Datasets whose videos have several labels: tables, splits, targets, and what refuses them."""

import dataclasses
import logging

import numpy as np
import pytest

from kinetics_i3d.core.errors import DatasetError
from kinetics_i3d.data.datasets import open_dataset
from kinetics_i3d.data.layouts.tables import read_one
from kinetics_i3d.data.video_clips import targets_of
from kinetics_i3d.data.video_dataset import split_undivided


@pytest.fixture
def table(tmp_path):
    """(header, *lines, name=) -> the path of a table beside five files."""
    for name in "abcde":
        (tmp_path / f"{name}.mp4").write_bytes(b"x")

    def write(header, *lines, name="videos.csv"):
        (tmp_path / name).write_text("\n".join([header, *lines]) + "\n")
        return tmp_path / name

    return write


def classes(dataset):
    return {video.path.name: video.classes for video in dataset.videos}


@pytest.mark.parametrize(
    ("header", "lines", "wanted"),
    [
        ("path,labels,split", ["a.mp4,sit down;wave,train", "b.mp4,wave,train"], "ab"),
        ("path,tags,split", ["a.mp4,sit down|wave,train", "b.mp4,wave,train"], "ab"),
        ("path;classes;split", ['a.mp4;"sit down; wave";train', "b.mp4;wave;train"], "ab"),
        # Lists as pandas writes them, and as JSON has them.
        (
            "path,labels,split",
            ["a.mp4,\"['sit down', 'wave']\",train", "b.mp4,['wave'],train"],
            "ab",
        ),
        (
            "path,labels,split",
            ['a.mp4,"[""sit down"", ""wave""]",train', 'b.mp4,"[""wave""]",train'],
            "ab",
        ),
        (  # a row of each
            "path,label,split",
            ["a.mp4,sit down,train", "b.mp4,wave,train", "a.mp4,wave,train"],
            "ab",
        ),
    ],
)
def test_tables_of_several_labels_a_video(table, header, lines, wanted, caplog):
    caplog.set_level(logging.WARNING, logger="absl")
    dataset = open_dataset(table(header, *lines))
    assert dataset.multi_label and dataset.labels == ("sit down", "wave")
    assert classes(dataset) == {"a.mp4": ("sit down", "wave"), "b.mp4": ("wave",)}
    assert [video.label for video in dataset.videos] == ["sit down", "wave"]
    assert "1 of " in caplog.text and "have several labels, such as a.mp4" in caplog.text


def test_a_rate_is_that_of_folders_of_frames_only(table):
    """A video file has its own; `#fps=` in its path would name no file."""
    (video,) = open_dataset(table("path,label,split,fps", "a.mp4,sit,train,30")).videos
    assert video.path.name == "a.mp4" and video.path.is_file()


def test_commas_part_what_are_labels_by_themselves(table):
    lines = ['a.mp4,"sit, wave",train', "b.mp4,wave,train", "c.mp4,sit,train"]
    dataset = open_dataset(table("path,labels,split", *lines))
    assert classes(dataset) == {"a.mp4": ("sit", "wave"), "b.mp4": ("wave",), "c.mp4": ("sit",)}
    # Nothing says that these are two.
    whole = open_dataset(table("path,labels,split", *lines[:2]))
    assert whole.labels == ("sit, wave", "wave") and not whole.multi_label
    labeled = table("path,labels,split", *lines[:2], name="labeled.csv")
    labeled.with_name("labeled.labels.txt").write_text("wave\nsit\n")
    assert classes(open_dataset(labeled))["a.mp4"] == ("sit", "wave")


def test_several_labels_in_a_column_for_one_are_reported(table, caplog):
    caplog.set_level(logging.WARNING, logger="absl")
    lines = ["a.mp4,sit;wave,train", "b.mp4,wave,train", "c.mp4,sit,train"]
    dataset = open_dataset(table("path,label,split", *lines))
    assert dataset.labels == ("sit", "sit;wave", "wave")
    assert (
        "'sit;wave' is read as one label because the column is named 'label'; rename" in caplog.text
    )
    caplog.clear()
    open_dataset(table("path,label,split", *lines[:2]))  # nothing says that "sit" is a label
    assert not caplog.messages


def test_lists_in_cells_may_be_empty_and_what_is_no_list_is_a_label(table):
    lines = ('a.mp4,"[1, 3]",train', "b.mp4,[],train", "c.mp4,[3],train")
    listed = classes(open_dataset(table("path,labels,split", *lines)))
    assert listed == {"a.mp4": ("1", "3"), "b.mp4": (), "c.mp4": ("3",)}
    for text in ("[sit]", "[sit", "[1.5]", "[['sit']]", "[__import__('os')]"):
        dataset = open_dataset(table("path,labels,split", f"a.mp4,{text},train", "b.mp4,x,train"))
        assert dataset.labels == tuple(sorted((text, "x")))


def test_blanks_part_class_ids_and_known_labels_alone(table):
    ids = table("path,labels,split", "a.mp4,c1 c02,train", "b.mp4,c02,train")
    assert classes(open_dataset(ids)) == {"a.mp4": ("c1", "c02"), "b.mp4": ("c02",)}
    lines = ("a.mp4,sit down,train", "b.mp4,wave,train")
    single = open_dataset(table("path,labels,split", *lines))
    assert not single.multi_label and single.labels == ("sit down", "wave")
    assert [video.labels for video in single.videos] == [None, None]
    path = table("path,labels,split", *lines)
    path.with_suffix(".labels.txt").write_text("down\nsit\nwave\n")
    assert classes(open_dataset(path))["a.mp4"] == ("sit", "down")


def test_blank_lines_before_the_header_are_skipped(table):
    for first in ("", "\nsep=,"):
        dataset = open_dataset(table(first, "path,label,split", "a.mp4,sit,train"))
        assert dataset.labels == ("sit",)


def test_charades(table, tmp_path):
    header = "id,subject,scene,script,actions,length"
    table(header, 'a,S,Kitchen,"x, y",c001 11.90 21.20;c000 0.00 12.6;c001 1 2,30', "b,S,K,x,,9",
          name="Charades_v1_train.csv")  # fmt: skip
    table(header, "c,S,K,x,c002 0.00 1.00,9", name="Charades_v1_test.csv")
    dataset = open_dataset(tmp_path)
    assert dataset.labels == ("c000", "c001", "c002")
    assert classes(dataset.split("train")) == {"a.mp4": ("c001", "c000"), "b.mp4": ()}
    assert classes(dataset.split("test")) == {"c.mp4": ("c002",)}
    targets = targets_of(dataset, dataset.videos)
    assert targets.dtype == np.float32
    np.testing.assert_array_equal(sorted(targets.tolist()), [[0, 0, 0], [0, 0, 1], [1, 1, 0]])
    (tmp_path / "Charades_v1_classes.txt").write_text("c000 Holding\nc001 Putting on\nc002 Run\n")
    named = open_dataset(tmp_path / "Charades_v1_train.csv")
    assert named.labels == ("Holding", "Putting on", "Run")
    assert classes(named)["a.mp4"] == ("Putting on", "Holding")


def test_a_row_that_stands_there_twice_stays_an_error(table):
    twice = ("a.mp4,sit,train", "a.mp4,sit,train")
    other = ("a.mp4,sit,train", "a.mp4,wave,test")
    for lines in (twice, other):
        with pytest.raises(DatasetError, match=r"line 3: a\.mp4 is already in line 2"):
            open_dataset(table("path,label,split", *lines))
    with pytest.raises(DatasetError, match=r"line 2: one of .* is empty"):
        open_dataset(table("path,tags,split", "a.mp4,,train", "b.mp4,sit;wave,train"))
    with pytest.raises(DatasetError, match="line 2: unknown label 'wave'"):
        open_dataset(table("path,labels,split", "a.mp4,sit;wave,train"), labels=("sit",))


def test_several_labels_survive_a_table_and_single_ones_are_written_as_before(
    table, tmp_path, caplog
):
    caplog.set_level(logging.WARNING, logger="absl")
    dataset = open_dataset(table("path,labels,split", "a.mp4,sit;wave,train", "b.mp4,,test"))
    dataset.write_table(tmp_path / "copy.csv")
    assert (tmp_path / "copy.csv").read_text().splitlines()[:2] == [
        "path,labels,split,source",
        'a.mp4,"[""sit"", ""wave""]",train,a.mp4',
    ]
    again = open_dataset(tmp_path / "copy.csv")
    assert "1 of 2 videos have no label, such as b.mp4" in caplog.text
    assert [video.labels for video in again.videos] == [("sit", "wave"), ()]
    single = open_dataset(table("path,label,split", "a.mp4,sit,train", name="one.csv"))
    single.write_table(tmp_path / "copy.csv")
    assert (tmp_path / "copy.csv").read_text().splitlines()[0] == "path,label,split,source"
    assert targets_of(single, single.videos) == [0]


def test_a_written_table_keeps_that_videos_may_have_several_labels(table, tmp_path):
    lines = ("a.mp4,sit;wave,train", "b.mp4,wave,test", "c.mp4,sit,test")
    open_dataset(table("path,labels,split", *lines)).split("test").write_table(tmp_path / "one.csv")
    again = open_dataset(tmp_path / "one.csv")
    assert [video.labels for video in again.videos] == [("wave",), ("sit",)]


def test_labels_with_separators_survive_a_table(table, tmp_path):
    dataset = open_dataset(table("path,labels,split", 'a.mp4,"[""sit; up"", ""1|2""]",train'))
    dataset.write_table(tmp_path / "copy.csv")
    assert classes(open_dataset(tmp_path / "copy.csv")) == {"a.mp4": ("sit; up", "1|2")}


def test_several_labels_in_one_of_two_tables_hold_for_both(table, tmp_path):
    table("path,labels", "a.mp4,sit;wave", name="train.csv")
    table("path,labels", "b.mp4,wave", name="test.csv")
    assert open_dataset(tmp_path).split("test").multi_label


def test_no_source_is_on_both_sides_of_a_part_that_is_held_out(table):
    lines = ("a.mp4,sit;wave,x", "b.mp4,wave,x", "c.mp4,run;sit,y", "d.mp4,run,z", "e.mp4,sit,z")
    dataset = open_dataset(table("path,labels,source", *lines))
    for seed in range(5):
        for left, right in (
            dataset.hold_out(0.34, seed=seed),
            split_undivided(dataset, share=0.34, seed=seed),
        ):
            sources = [{video.source for video in part.videos} for part in (left, right)]
            assert len(sources[1]) == 1 and not sources[0] & sources[1]
            assert len(left) + len(right) == 5 and left.multi_label and right.multi_label


def test_part_of_a_multi_label_dataset_is_multi_label(table):
    dataset = open_dataset(table("path,labels,split", "a.mp4,sit;wave,train", "b.mp4,wave,test"))
    only = dataclasses.replace(dataset, videos=dataset.videos[1:])
    assert only.multi_label  # also where a part has one label each


def test_times_of_epic_kitchens_are_read(table):
    header = "video_id,class,start_timestamp,stop_timestamp,start_frame,stop_frame"
    (tmp := table(header, "a,sit,00:01:00.50,00:01:02,10,20")).with_name("a.mp4").write_bytes(b"x")
    (row,) = read_one(tmp).rows
    assert (row.start, row.end) == (60.5, 62.0)


@pytest.mark.parametrize(
    ("header", "line", "unread"),
    [
        ("path,label,start_frame,end_frame", "a.mp4,sit,1,5", "start_frame, end_frame"),
        ("path,label,frame_start,frame_end", "a.mp4,sit,1,5", "frame_start, frame_end"),
        ("path,label,start_ms,end_ms", "a.mp4,sit,100,500", "start_ms, end_ms"),
        ("path,label,t0,t1", "a.mp4,sit,1,5", "t0, t1"),
        ("path,label,start,duration", "a.mp4,sit,1,5", "duration"),
        ("path,label,start,end,duration,start_frame", "a.mp4,sit,1,5,4,25", None),
        ("path,label,duration,frames", "a.mp4,sit,5,125", None),
    ],
)
def test_parts_of_videos_that_are_not_read_are_told(table, caplog, header, line, unread):
    caplog.set_level(logging.WARNING, logger="absl")
    read_one(table(header, line))
    lines = [record.getMessage() for record in caplog.records if "not read" in record.getMessage()]
    assert len(lines) == (unread is not None)
    assert unread is None or f"the columns {unread} are not read" in lines[0]


def test_a_column_that_is_there_twice_is_refused(table):
    with pytest.raises(DatasetError, match="the column 'label' occurs 2 times"):
        open_dataset(table("path,label,Label,split", "a.mp4,sit,wave,train"))
    assert open_dataset(table("path,label,note,note", "a.mp4,sit,1,2")).labels == ("sit",)


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("t.csv", "path\tlabel\na.mp4\tsit\n".encode("utf-16"), "is UTF-16; save it as UTF-8"),
        ("t.xlsx", b"PK\x03\x04" + bytes(100), "is a workbook; save the sheet as csv"),
    ],
)
def test_tables_of_excel_are_told(tmp_path, name, content, why):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DatasetError, match=why):
        open_dataset(tmp_path / name)


def test_a_missing_video_is_named(table, caplog):
    caplog.set_level(logging.WARNING, logger="absl")
    open_dataset(table("path,label", "a.mp4,sit", "gone.mp4,wave"))
    assert "1 of 2 videos are missing, such as gone.mp4" in caplog.text
