"""Tables of videos: what is wrong in them is told by line, and parts share no source."""

import logging

import pytest

from kinetics_i3d.core.errors import DatasetError
from kinetics_i3d.data.datasets import Video, VideoDataset, jhmdb, open_dataset, read_table


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
                file.touch()
        return path

    return write


def test_rows_are_read_relative_to_the_table(table, tmp_path):
    path = table("run/b.mp4,run,train", "sit/ä.mp4,sit,test", "run/a.mp4,run,test")
    dataset = read_table(str(path))
    assert dataset.name == tmp_path.name and dataset.labels == ("run", "sit") and len(dataset) == 3
    assert dataset.videos[1] == Video(tmp_path / "sit/ä.mp4", "sit", "test", "sit/ä.mp4")
    assert [video.source for video in dataset.videos] == ["run/b.mp4", "sit/ä.mp4", "run/a.mp4"]


def test_columns_may_stand_in_any_order_beside_others(table, tmp_path):
    (tmp_path / "a.mp4").touch()
    path = table("x,train,sit,a.mp4", header="more,split,label,path")
    assert read_table(path).videos == (Video(tmp_path / "a.mp4", "sit", "train", "a.mp4"),)


def test_labels_and_sources_can_be_given(table):
    path = table("a_1.mp4,sit,train")
    dataset = read_table(
        path, labels=["stand", "sit"], source=lambda video: f"{video.path.stem[0]}/{video.label}"
    )
    assert dataset.labels == ("stand", "sit") and dataset.videos[0].source == "a/sit"


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
            "line 4: a.mp4 stands in line 2 already",
        ),
    ],
)
def test_a_wrong_line_is_named_by_its_number(table, lines, why):
    path = table(*lines)
    with pytest.raises(DatasetError, match=f"^{path}, {why}"):
        read_table(path, labels=("sit",))


def test_a_table_that_is_none(table, tmp_path):
    with pytest.raises(DatasetError, match=r"none.csv: no such table of videos"):
        read_table(tmp_path / "none.csv")
    with pytest.raises(DatasetError, match=r"needs the columns .* has \['path', 'class'\]"):
        read_table(table("a.mp4,sit", header="path,class"))
    with pytest.raises(DatasetError, match="none of its 0 videos exist"):
        read_table(table())
    with pytest.raises(DatasetError, match="none of its 1 videos exist"):
        read_table(table("b.mp4,sit,train", present=False))
    (tmp_path / "empty.csv").touch()
    with pytest.raises(DatasetError, match=r"needs the columns .* has None"):
        read_table(tmp_path / "empty.csv")


def test_missing_files_are_counted_and_left_out(table, tmp_path, caplog):
    path = table("a.mp4,sit,train", "b.mp4,run,train", "c.mp4,sit,train")
    (tmp_path / "b.mp4").unlink()
    with caplog.at_level(logging.WARNING, logger="absl"):
        dataset = read_table(path)
    assert [video.path.name for video in dataset.videos] == ["a.mp4", "c.mp4"]
    assert dataset.labels == ("run", "sit")  # outputs keep their order
    assert "1 of 3 videos are missing" in caplog.text and str(path) in caplog.text


def test_a_split_is_a_part(table):
    dataset = read_table(table("a.mp4,sit,train", "b.mp4,run,test", "c.mp4,sit,test"))
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
    kept, held = dataset.hold_out(fraction)
    assert sorted(map(str, kept.videos + held.videos)) == sorted(map(str, dataset.videos))
    assert (kept.labels, kept.name) == (held.labels, held.name) == (dataset.labels, "many")
    for label in dataset.labels:
        sides = [{v.source for v in part.videos if v.label == label} for part in (kept, held)]
        assert not sides[0] & sides[1] and len(sides[1]) == held_sources
        assert sum(v.label == label for v in held.videos) == 3 * held_sources


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


def test_open_dataset_knows_a_table_a_folder_and_jhmdb(table, tmp_path):
    path = table("a_sit_1.mp4,sit,train")
    assert open_dataset(path) == open_dataset(str(tmp_path)) == read_table(path)
    table("a_sit_1.mp4,sit,train", name="more.csv")
    with pytest.raises(DatasetError, match="needs exactly one csv table, has 2"):
        open_dataset(tmp_path)
    table("a_sit_1.mp4,sit,train", name="split1.csv")
    assert open_dataset(tmp_path).videos[0].source == "a"
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="has 0"):
        open_dataset(tmp_path / "empty")
    with pytest.raises(DatasetError, match="no such table"):
        open_dataset(tmp_path / "none")


def sources(dataset):
    """A film may hold several actions: the official split parts each action's films by itself."""
    return {(video.label, video.source) for video in dataset.videos}


def test_jhmdb_is_whole_and_its_official_split_shares_no_source(shared):
    dataset = jhmdb(shared / "data/jhmdb")
    train, test = dataset.split("train"), dataset.split("test")
    assert (len(dataset), len(train), len(test), len(dataset.labels)) == (928, 660, 268, 21)
    assert not sources(train) & sources(test)
    assert len(sources(dataset)) < 500 and ("brush_hair", "April_09") in sources(dataset)
    assert all(video.path.parent.name == video.label for video in dataset.videos)
    assert open_dataset(shared / "data/jhmdb") == dataset


def test_jhmdb_can_be_parted_again(shared):
    train = jhmdb(shared / "data/jhmdb").split("train")
    kept, held = train.hold_out(0.2)
    assert len(kept) + len(held) == 660 and not sources(kept) & sources(held)
    assert {video.label for video in held.videos} == set(train.labels)
    assert 0.1 < len(held) / 660 < 0.3
