"""The split of videos that come without one: by group, by seed, and never all of a class."""

import pathlib

import pytest

from kinetics_i3d.core.errors import DatasetError
from kinetics_i3d.data.datasets import open_dataset
from kinetics_i3d.data.video_dataset import Video, VideoDataset, group_of, split_undivided


def dataset_of(names, *, split="all"):
    """A dataset of `<class>/<file>` names, each its own source."""
    videos = tuple(
        Video(pathlib.Path(name), name.partition("/")[0], split, name) for name in sorted(names)
    )
    return VideoDataset("mine", tuple(sorted({video.label for video in videos})), videos)


def messages_of(caplog):
    return [record.getMessage() for record in caplog.records]


UCF = dataset_of(
    f"{label}/v_{label}_g{group:02d}_c{clip:02d}.avi"
    for label in ("Archery", "Billiards")
    for group in range(1, 11)
    for clip in range(1, 5)
)
PLAIN = dataset_of(f"{label}/clip{number}.mp4" for label in "ab" for number in range(10))


def test_clips_of_one_group_stay_on_one_side(caplog):
    caplog.set_level("INFO", logger="absl")
    training, held_out = split_undivided(UCF)
    assert (len(training), len(held_out)) == (64, 16)
    sides = [
        {(video.label, video.source) for video in side.videos} for side in (training, held_out)
    ]
    assert not sides[0] & sides[1]
    assert {label for label, _ in sides[1]} == set(UCF.labels)
    assert {video.split for video in training.videos} == {"train"}
    assert {video.split for video in held_out.videos} == {"val"}
    (message,) = messages_of(caplog)
    assert message == (
        "mine: no split is given; 16 of 80 videos are held out for validation, chosen by the "
        "groups in the file names (seed 0)"
    )


def test_other_names_are_split_at_random_by_the_seed(caplog):
    caplog.set_level("INFO", logger="absl")
    training, held_out = split_undivided(PLAIN, share=0.3, seed=4)
    assert (len(training), len(held_out)) == (14, 6)
    assert split_undivided(PLAIN, share=0.3, seed=4) == (training, held_out)
    assert split_undivided(PLAIN, share=0.3, seed=5) != (training, held_out)
    assert "6 of 20 videos are held out for validation, chosen at random (seed 4)" in caplog.text


GROUPED = [
    ("a.mp4", "sit", "train", "g01"),
    ("b.mp4", "stand", "test", "g01"),
    ("c.mp4", "sit", "train", "g02"),
    ("d.mp4", "stand", "test", "g03=x"),
    ("e.mp4", "sit", "test", ""),
]


@pytest.mark.parametrize("column", ["source", "group", "Group"])
def test_one_group_is_left_out_by_a_column(tmp_path, column):
    for name, *_ in GROUPED:
        (tmp_path / name).write_bytes(b"x")
    rows = [",".join((*row[:3], f" {row[3]} ")) for row in GROUPED]
    text = "\n".join([f"path,label,split,{column}", *rows]) + "\n"
    (tmp_path / "videos.csv").write_text(text)
    dataset = open_dataset(tmp_path / "videos.csv")

    def names(split):
        return "".join(video.path.stem for video in dataset.split(split).videos)

    # Whatever the column `split` says; a video without a group is its own.
    assert (names("source=g01"), names("source!=g01")) == ("ab", "cde")
    assert (names("source=g03=x"), names("source!=g03=x")) == ("d", "abce")
    assert (names("source=e.mp4"), names("source!=e.mp4")) == ("e", "abcd")
    assert names("train") == "ac"
    with pytest.raises(DatasetError, match=r"no videos in 'source=g1'; there are 4 sources, such"):
        dataset.split("source=g1")
    alone = dataset.split("source=g02")
    with pytest.raises(DatasetError, match=r"no videos in 'source!=g02'; there are 1 sources"):
        alone.split("source!=g02")


def test_missing_videos_and_several_labels_follow_their_group():
    videos = [
        Video(pathlib.Path(name), "sit", "train", group, labels=("sit", "wave"))
        for name, group in (("a.mp4", "g1"), ("b.mp4", "g2"), ("c.mp4", "g2"))
    ]
    dataset = VideoDataset("mine", ("sit", "wave"), tuple(videos[:2]), missing=(videos[2],))
    left, out = dataset.split("source!=g2"), dataset.split("source=g2")
    assert (len(left), len(left.missing), len(out), len(out.missing)) == (1, 0, 1, 1)
    assert left.multi_label and out.multi_label


def test_a_class_of_one_group_is_trained_on():
    names = [*(f"Archery/v_Archery_g01_c0{clip}.avi" for clip in range(1, 5)), "b/1.mp4", "b/2.mp4"]
    training, held_out = split_undivided(dataset_of(names))
    assert [video.label for video in held_out.videos] == ["b"]
    assert sum(video.label == "Archery" for video in training.videos) == 4
    training, held_out = split_undivided(dataset_of(["a/1.mp4", "b/1.mp4"]))
    assert (len(training), len(held_out)) == (2, 0)


@pytest.mark.parametrize(
    ("name", "label", "group"),
    [
        ("v_Archery_g07_c01.avi", "Archery", "g07"),
        ("April_09_brush_hair_u_nm_np1_ba_goo_0.avi", "brush_hair", "April_09"),
        ("-0_xYz12abC_000010_000020.mp4", "archery", "-0_xYz12abC"),
        ("holiday.mp4", "archery", "archery/holiday.mp4"),
    ],
)
def test_groups_are_read_from_the_names_of_public_datasets(name, label, group):
    assert group_of(Video(pathlib.Path(name), label, "all", f"{label}/{name}")) == group


def test_a_source_without_a_suffix_is_the_file_itself():
    name = "Dr.No_kick_f_cm_np1_ba_med_1"
    assert group_of(Video(pathlib.Path(f"{name}.avi"), "kick", "all", f"kick/{name}")) == "Dr.No"


def test_a_source_of_the_table_comes_before_the_name():
    name = pathlib.Path("-0_xYz12abC_000010_000020.mp4")
    assert group_of(Video(name, "archery", "all", "person A")) == "person A"


def test_a_class_of_one_source_is_not_held_out():
    kept, held_out = dataset_of(["a/1.mp4", "a/2.mp4", "b/1.mp4"]).hold_out(0.1)
    assert {video.label for video in kept.videos} == {"a", "b"}
    assert [video.label for video in held_out.videos] == ["a"]


def test_only_videos_without_any_split_are_undivided():
    assert PLAIN.is_undivided
    assert not dataset_of(["a/1.mp4"], split="train").is_undivided


def test_a_split_of_another_spelling_is_suggested():
    videos = (Video(pathlib.Path("a.mp4"), "sit", "Train", "a"),)
    with pytest.raises(DatasetError, match="no videos in split 'train'; did you mean 'Train'"):
        VideoDataset("x", ("sit",), videos).split("train")
