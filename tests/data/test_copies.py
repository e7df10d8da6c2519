"""One video in two splits under other names is reported."""

import os

import pytest

from kinetics_i3d.cli.main import main
from kinetics_i3d.data.copies import copies_across
from kinetics_i3d.data.datasets import open_dataset
from kinetics_i3d.video.span import Span


@pytest.fixture
def folder(tmp_path):
    for name, content in (("a", b"1" * 9000), ("b", b"2" * 9000), ("c", b"3" * 9000)):
        (tmp_path / f"{name}.mp4").write_bytes(content)
    return tmp_path


def splits(folder, *rows):
    table = folder / "table.csv"
    table.write_text("\n".join(["path,label,split", *rows]) + "\n")
    parts = {}
    for video in open_dataset(table).videos:
        parts.setdefault(video.split, []).append(video)
    return parts


def names(copies):
    return [tuple(os.path.basename(location) for location in group) for group in copies]


def link(folder):
    (folder / "other.mp4").symlink_to("a.mp4")
    return "other.mp4"


def hard_link(folder):
    os.link(folder / "a.mp4", folder / "other.mp4")
    return "other.mp4"


def copy(folder):
    (folder / "A.MP4").write_bytes((folder / "a.mp4").read_bytes())
    return "A.MP4"


def dots(folder):
    (folder / "sub").mkdir()
    return "./sub/../a.mp4"


@pytest.mark.parametrize("make", [link, hard_link, copy, dots])
def test_another_spelling_of_a_video_is_found(folder, make, caplog):
    other = make(folder)
    rows = ("a.mp4,sit,train", "b.mp4,sit,train", "c.mp4,sit,test", f"{other},sit,test")
    assert names(copies_across(splits(folder, *rows))) == [("a.mp4", os.path.basename(other))]
    assert main(["datasets", str(folder / "table.csv")]) == 0
    (line,) = [text for text in caplog.messages if "more than one split, such as" in text]
    assert "1 videos" in line and str(folder / "a.mp4") in line


def test_different_videos_and_copies_within_a_split_are_not(folder, caplog):
    rows = ("a.mp4,sit,train", f"{copy(folder)},sit,train", "b.mp4,sit,test", "c.mp4,sit,val")
    assert copies_across(splits(folder, *rows)) == []
    assert main(["datasets", str(folder / "table.csv")]) == 0
    assert "more than one split, such as" not in caplog.text


def test_spans_of_a_video_are_videos_of_their_own(folder):
    (video,) = splits(folder, "a.mp4,sit,train")["train"]
    import dataclasses

    first, second = (dataclasses.replace(video, span=Span(n, n + 1)) for n in range(2))
    assert copies_across({"train": [first], "test": [second]}) == []
    assert len(copies_across({"train": [first], "test": [first]})) == 1


def test_a_file_that_has_gone_is_left_to_its_reader(folder):
    parts = splits(folder, "a.mp4,sit,train", "b.mp4,sit,test")
    for name in ("a", "b"):
        (folder / f"{name}.mp4").unlink()
    assert copies_across(parts) == []
