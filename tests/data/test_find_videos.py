"""What arguments of commands name: videos, folders, patterns, lists and tables."""

import os
import shutil

import pytest

from kinetics_i3d.cli.arguments import expand_videos
from kinetics_i3d.core.errors import DatasetError, UserError, VideoError
from kinetics_i3d.data.datasets import find_videos
from kinetics_i3d.inference.features_files import output_paths
from kinetics_i3d.video.source import VIDEO_SUFFIXES


@pytest.fixture
def tree(coded_video, tmp_path, monkeypatch):
    for name in ("b.mp4", "a.avi", "in/c.webm", "in/d.gif"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(coded_video(5), tmp_path / name)
    (tmp_path / "b.mp4.flow.mp4").write_bytes(b".")
    (tmp_path / "notes.md").write_text("x")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_folders_and_patterns(tree):
    names = ["a.avi", "b.mp4", "in/c.webm", "in/d.gif"]
    assert find_videos(tree) == (tree, [str(tree / name) for name in names])
    assert expand_videos(["."]) == [f"./{name}" for name in names]
    assert expand_videos(["*.avi", "in/*", "b.mp4"]) == [*names[:1], *names[2:], "b.mp4"]
    assert expand_videos(["**/*.gif"]) == ["in/d.gif"]
    assert expand_videos(["i?"]) == names[2:]  # a folder
    assert expand_videos(["*.mp4"]) == ["b.mp4"]  # without the video of its flow


def test_every_suffix_of_a_video_is_found_by_all(tree):
    folder = tree / "all"
    folder.mkdir()
    for suffix in VIDEO_SUFFIXES:
        (folder / f"x{suffix.upper()}").write_bytes(b"")  # whoever reads it reports it as empty
    assert len(expand_videos([folder])) == len(VIDEO_SUFFIXES) == 18


def test_lists_and_tables_with_spans(tree):
    (tree / "t.csv").write_text(
        "path;label;split;start;end\nb.mp4;x;train;0,04;0,12\na.avi;x;val;;\n"
    )
    (tree / "list.txt").write_text("in/c.webm x\n")
    assert expand_videos(["t.csv", "list.txt"]) == ["b.mp4#t=0.04,0.12", "a.avi", "in/c.webm"]
    (tree / "notes.txt").write_text("two words\n")
    with pytest.raises(DatasetError, match=r"notes\.txt: no dataset of a known kind"):
        expand_videos(["notes.txt"])


def test_what_is_a_video_itself_stays_as_it_is(tree):
    (tree / "frames").mkdir()
    for number in (1, 2):
        (tree / f"frames/img_{number}.jpg").write_bytes(b".")
    shutil.copy(tree / "b.mp4", tree / "[a]*.mp4")
    shutil.copy(tree / "b.mp4", tree / "-b.mp4")
    for name in (
        "b.mp4",
        "b.mp4#t=1,2",
        "frames",
        "frames#fps=5",
        "[a]*.mp4",
        "-b.mp4",
        "none.mp4",
    ):
        assert expand_videos([name, name]) == [name, name]


def test_a_part_is_one_of_a_video(tree):
    (tree / "list.txt").write_text("in/c.webm x\n")
    for name in ("in#t=0,10", "list.txt#t=0,10"):
        with pytest.raises(UserError, match="`#t=` selects a part of a video, not of a folder or"):
            expand_videos([name])
    with pytest.raises(VideoError, match=r"b.mp4#t=15,5: the end of the part must be after its st"):
        expand_videos(["b.mp4#t=15,5"])


@pytest.mark.parametrize("header", ["", "path\n"])
@pytest.mark.parametrize("suffix", ["txt", "csv"])
def test_a_list_of_paths_needs_no_classes(tree, header, suffix):
    (tree / f"list.{suffix}").write_text(f"{header}b.mp4\nnone.mp4\nin/c.webm#t=1,2\n")
    assert expand_videos([f"list.{suffix}"]) == ["b.mp4", "none.mp4", "in/c.webm#t=1,2"]


def test_missing_videos_of_a_table_are_named(tree):
    (tree / "table.csv").write_text("path,label\nnone.mp4,sit\nb.mp4,sit\n")
    assert expand_videos(["table.csv"]) == ["b.mp4", "none.mp4"]
    # The paths of files that exist do not depend on those that do not.
    (tree / "table.csv").write_text("path,label\n/old/none.mp4,sit\nin/c.webm,sit\n")
    root, paths = find_videos("table.csv")
    assert (str(root), paths) == ("in", ["in/c.webm", "/old/none.mp4"])
    outputs = output_paths([(root, paths)], "out", content="features")
    assert [path.as_posix() for path in outputs.values()] == ["out/c", "out/old/none"]
    absolute = tree / "in" / "c.webm"
    (tree / "list.txt").write_text(f"{absolute}\nb.mp4\n")
    assert expand_videos(["list.txt"]) == [str(absolute), str(tree / "b.mp4")]


@pytest.mark.parametrize("line", ["/old/machine/{}/{}", "D:/v/{}/{}", "{}\\{}"])
def test_a_list_of_paths_of_another_machine_is_resolved(tree, line):
    for name in ("sit/x.mp4", "stand/y.mp4"):
        (tree / name).parent.mkdir()
        shutil.copy(tree / "b.mp4", tree / name)
    lines = [line.format("sit", "x.mp4"), line.format("stand", "y.mp4")]
    (tree / "list.txt").write_text("\n".join(lines) + "\n")
    assert expand_videos(["list.txt"]) == ["sit/x.mp4", "stand/y.mp4"]


def test_files_of_a_list_are_below_its_root(tree):
    (tree / "lists").mkdir()
    (tree / "lists" / "list.txt").write_text("../in/c.webm\n../b.mp4\n")
    root, paths = find_videos("lists/list.txt")
    outputs = output_paths([(root, paths)], "out", content="features")
    assert [path.as_posix() for path in outputs.values()] == ["out/in/c", "out/b"]
    (tree / "lists" / "d.mp4").touch()
    (tree / "lists" / "list.txt").write_text("d.mp4\n../b.mp4\n")
    root, paths = find_videos("lists/list.txt")
    assert (root, paths) == (tree, [str(tree / "lists" / "d.mp4"), str(tree / "b.mp4")])
    (tree / "lists" / "table.csv").write_text(f"path,label\n{tree / 'a.avi'},sit\n")
    root, paths = find_videos("lists/*.csv")
    assert (root, paths) == (tree, [str(tree / "a.avi")])


def test_nothing_to_find_is_reported(tree):
    (tree / "empty").mkdir()
    with pytest.raises(
        UserError, match=r"empty: no video in this folder; names of videos end in \.3gp"
    ):
        expand_videos(["empty"])
    with pytest.raises(UserError, match=r"\*\.mkv: no video matches this pattern"):
        expand_videos(["*.mkv"])


def test_files_that_begin_with_a_hyphen_are_reported(tree, monkeypatch):
    from kinetics_i3d.cli.main import make_parser

    os.rename("b.mp4", "-b.mp4")
    monkeypatch.setattr("sys.argv", ["kinetics-i3d", "classify", "-b.mp4"])
    with pytest.raises(UserError, match=r"write \./-b.mp4 for a file that begins with a hyphen"):
        make_parser().parse_args(["classify", "-b.mp4"])


def test_subfolder_without_permission_is_logged_and_skipped(tree, monkeypatch, caplog):
    plain = os.scandir

    def refuse(path="."):
        if os.path.basename(path) == "in":
            raise PermissionError(13, "Permission denied", path)
        return plain(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert find_videos(tree)[1] == [str(tree / name) for name in ("a.avi", "b.mp4")]
    assert f"{tree / 'in'}: skipped: cannot be read (Permission denied)" in caplog.text
