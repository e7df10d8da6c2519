"""`datasets`: what it says of a path, and the options that other verbs read a dataset with."""

import json
import logging

import pytest

from kinetics_i3d.cli.arguments import add_dataset_arguments, read_dataset
from kinetics_i3d.cli.main import make_parser
from kinetics_i3d.cli.parser import Parser
from kinetics_i3d.core.errors import UserError
from kinetics_i3d.data.datasets import open_dataset

LISTS = {
    "classInd.txt": "1 Sit\n2 Run\n3 Bow\n",
    "trainlist01.txt": "Sit/v_Sit_g01_c01.avi 1\nSit/v_Sit_g02_c01.avi 1\n"
    "Run/v_Run_g01_c01.avi 2\n",
    "testlist01.txt": "Sit/v_Sit_g02_c02.avi\nBow/v_Bow_g01_c01.avi\n",
    "trainlist02.txt": "Bow/v_Bow_g01_c01.avi 3\n",
    "testlist02.txt": "",
}


@pytest.fixture
def ucf101(tmp_path):
    """Lists in one folder, videos in another, one of which is missing."""
    for name, text in LISTS.items():
        path = tmp_path / "lists" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    (tmp_path / "videos").mkdir()
    for name in ("Sit_g01_c01", "Sit_g02_c01", "Run_g01_c01", "Sit_g02_c02"):
        (tmp_path / "videos" / f"v_{name}.avi").write_bytes(b".")
    return tmp_path


def test_it_says_what_is_there(command, ucf101, caplog):
    with caplog.at_level(logging.WARNING, logger="absl"):
        code, out, _ = command("datasets", ucf101)
    assert code == 0
    assert [line.split(maxsplit=1) for line in out.splitlines()] == [
        ["dataset", ucf101.name],
        ["kind", "ucf101"],
        ["classes", "3"],
        ["videos", "4"],
        ["train", "3"],
        ["test", "1"],
        ["largest", "3 Sit"],
        ["smallest", "0 Bow"],
        ["missing", "1"],
    ]
    assert "1 of 5 videos are missing" in caplog.text
    assert "1 sources have videos of a class in more than one split, such as g02 of Sit" in (
        caplog.text
    )


def test_json_has_the_videos_of_each_class_and_split(command, ucf101, tmp_path):
    table = tmp_path / "all.csv"
    code, out, _ = command("datasets", ucf101, "--json", "--missing", "--output", table)
    result = json.loads(out)
    assert code == 0 and result["classes"] == {"Sit": 3, "Run": 1, "Bow": 0}
    assert result["splits"] == {"train": 3, "test": 1} and result["missing"] == 1
    assert result["missing_paths"] == [str(ucf101 / "Bow/v_Bow_g01_c01.avi")]
    assert result["output"] == str(table) and table.is_file()


def test_splits_have_their_usual_order(command, tmp_path):
    rows = [f"{part}.mp4,x,{part}" for part in ("zero", "test", "val", "all", "train")]
    (tmp_path / "t.csv").write_text("\n".join(["path,label,split", *rows]))
    for row in rows:
        (tmp_path / row.split(",")[0]).write_bytes(b".")
    out = command("datasets", tmp_path)[1]
    parts = [line.split()[0] for line in out.splitlines() if line.startswith("  ")]
    assert parts == ["train", "val", "test", "all", "zero"]


def test_a_dataset_without_shared_sources_gets_no_warning(command, ucf101, caplog):
    (ucf101 / "videos/v_Sit_g02_c02.avi").unlink()
    with caplog.at_level(logging.WARNING, logger="absl"):
        assert command("datasets", ucf101)[0] == 0
    assert "2 of 5 videos are missing" in caplog.text and "sources" not in caplog.text


def test_missing_videos_are_listed_on_request(command, ucf101):
    lost = ucf101 / "videos/Bow/v_Bow_g01_c01.avi"
    words = ("datasets", ucf101 / "lists", "--videos", ucf101 / "videos")
    assert str(lost) not in command(*words)[1]
    assert command(*words, "--missing")[1].splitlines()[-1] == str(lost)


def test_the_number_of_the_split(command, ucf101):
    (ucf101 / "videos/v_Bow_g01_c01.avi").write_bytes(b".")
    out = command("datasets", ucf101, "--split-number", 2)[1]
    assert "videos    1\n  train   1\nlargest   1 Bow\n" in out
    code, out, err = command("datasets", ucf101, "--split-number", 3)
    assert (code, out) == (2, "") and "its splits are [1, 2]" in err and err.count("\n") == 1


def test_a_table_is_written(command, ucf101):
    table = ucf101 / "out/all.csv"
    out = command("datasets", ucf101, "--output", table)[1]
    assert out.splitlines()[-1] == f"table     {table}"
    read, original = open_dataset(table), open_dataset(ucf101)
    assert (read.videos, read.labels) == (original.videos, original.labels)


def test_mistakes_are_one_line(command, ucf101, tmp_path):
    cases = [
        ([tmp_path / "none"], "none: no such file or folder"),
        ([ucf101, "--kind", "hmdb51"], "not of kind 'hmdb51'; looked for"),
        ([ucf101, "--kind", "ucf"], "invalid choice: 'ucf'"),
        ([ucf101, "--split-number", "0"], "must be 1 or more"),
        ([ucf101, "--videos", ucf101 / "lists"], "none of its 5 videos exist below"),
        (
            [ucf101 / "lists/classInd.txt"],
            "one of the files of a 'ucf101' dataset; pass",
        ),
    ]
    for words, why in cases:
        code, out, err = command("datasets", *words)
        assert (code, out) == (2, "") and why in err and err.count("\n") == 1, words


@pytest.mark.parametrize("verb", ["train InceptionI3D --output out --data", "evaluate --weights x"])
def test_verbs_read_the_dataset_that_is_meant(ucf101, verb):
    words = [*verb.split(), str(ucf101 / "lists")]
    words += ["--kind", "ucf101", "--videos", str(ucf101 / "videos"), "--split", "train"]
    options = make_parser().parse_args(words)
    dataset = read_dataset(options)
    assert dataset == open_dataset(ucf101 / "lists", videos=ucf101 / "videos")
    assert len(dataset.split(options.split)) == 3
    (ucf101 / "videos/v_Bow_g01_c01.avi").write_bytes(b".")
    options = make_parser().parse_args([*words, "--split-number", "2"])
    assert [video.label for video in read_dataset(options).videos] == ["Bow"]


def test_the_shared_arguments_refuse_other_kinds():
    parser = Parser()
    add_dataset_arguments(parser)
    options = parser.parse_args(["data"])
    assert vars(options) == {"dataset": "data", "kind": None, "videos": None, "split_number": 1}
    with pytest.raises(UserError, match="invalid choice: 'nothing'"):
        parser.parse_args(["data", "--kind", "nothing"])


def test_the_table_of_the_dataset_is_not_overwritten(command, tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"x")
    table = tmp_path / "videos.csv"
    table.write_text("path,label,note\na.mp4,sit,mine\ngone.mp4,wave,mine\n")
    for dataset in (table, tmp_path):
        before = table.read_text()
        code, _, err = command("datasets", dataset, "--output", table)
        assert code == 2 and "a list of the dataset itself" in err
        assert table.read_text() == before
    assert command("datasets", table, "--output", tmp_path / "new.csv")[0] == 0
