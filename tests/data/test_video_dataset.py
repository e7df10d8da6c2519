"""The split of videos that come without one: by group, by seed, and never all of a class."""

import pathlib

import pytest

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
    training, held = split_undivided(UCF)
    assert (len(training), len(held)) == (64, 16)
    sides = [{(video.label, video.source) for video in side.videos} for side in (training, held)]
    assert not sides[0] & sides[1]
    assert {label for label, _ in sides[1]} == set(UCF.labels)
    assert {video.split for video in training.videos} == {"train"}
    assert {video.split for video in held.videos} == {"val"}
    (message,) = messages_of(caplog)
    assert message == (
        "mine: no split is given; 16 of 80 videos are held out for validation, chosen by the "
        "groups in the file names (seed 0)"
    )


def test_other_names_are_split_at_random_by_the_seed(caplog):
    caplog.set_level("INFO", logger="absl")
    training, held = split_undivided(PLAIN, share=0.3, seed=4)
    assert (len(training), len(held)) == (14, 6)
    assert split_undivided(PLAIN, share=0.3, seed=4) == (training, held)
    assert split_undivided(PLAIN, share=0.3, seed=5) != (training, held)
    assert "6 of 20 videos are held out for validation, chosen at random (seed 4)" in caplog.text


def test_a_class_of_one_group_is_trained_on():
    names = [*(f"Archery/v_Archery_g01_c0{clip}.avi" for clip in range(1, 5)), "b/1.mp4", "b/2.mp4"]
    training, held = split_undivided(dataset_of(names))
    assert [video.label for video in held.videos] == ["b"]
    assert sum(video.label == "Archery" for video in training.videos) == 4
    training, held = split_undivided(dataset_of(["a/1.mp4", "b/1.mp4"]))
    assert (len(training), len(held)) == (2, 0)


@pytest.mark.parametrize(
    ("name", "label", "group"),
    [
        ("v_Archery_g07_c01.avi", "Archery", "g07"),
        ("April_09_brush_hair_u_nm_np1_ba_goo_0.avi", "brush_hair", "April_09"),
        ("-0_xYz12abC_000010_000020.mp4", "archery", "-0_xYz12abC"),
        ("holiday.mp4", "archery", "of the table"),
    ],
)
def test_groups_are_read_from_the_names_of_public_datasets(name, label, group):
    assert group_of(Video(pathlib.Path(name), label, "all", "of the table")) == group


def test_only_videos_without_any_split_are_undivided():
    assert PLAIN.is_undivided
    assert not dataset_of(["a/1.mp4"], split="train").is_undivided
