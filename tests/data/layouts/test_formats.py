"""Readers of public layouts: official counts, files wherever they lie, wrong lines by number."""

import logging
import os
import pathlib

import pytest

from kinetics_i3d.core.errors import DatasetError
from kinetics_i3d.core.files import read_lines
from kinetics_i3d.core.labels import label_list
from kinetics_i3d.data.datasets import open_dataset
from kinetics_i3d.data.layouts.files import VideoFinder, walk_videos
from kinetics_i3d.data.layouts.formats import recognize
from kinetics_i3d.data.layouts.labels import bare
from kinetics_i3d.data.layouts.listing import Row, read_csv
from kinetics_i3d.data.video_dataset import Video

KINETICS = "label,youtube_id,time_start,time_end,split,is_cc"


@pytest.fixture
def plant(tmp_path):
    """({path: lines}, empty files) below a folder -> the folder."""

    def write(texts, videos=(), end="\n"):
        for name, lines in texts.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes((end.join(lines) + end).encode())
        for name in videos:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b".")
        return tmp_path

    return write


def found(dataset):
    """{path below the folder: (label, split, source)}."""
    root = pathlib.Path(os.path.commonpath([video.path.parent for video in dataset.videos]))
    return {
        video.path.relative_to(root).as_posix(): (video.label, video.split, video.source)
        for video in dataset.videos
    }


# Kinetics


def test_kinetics_finds_videos_however_they_are_kept(plant, caplog):
    rows = [
        "riding a bike,-aB_4567890,0,10,train,0",
        "riding a bike,bbbbbbbbbbb,7,17,validate,1",
        "using remote controller (not gaming),ccccccccccc,1234,1244,train,0",
        '"sit, down",ddddddddddd,5.0,15.0,test,0',
        "riding a bike,eeeeeeeeeee,1,11,train,0",
    ]
    videos = [
        "videos/-aB_4567890_000000_000010.mp4",
        "videos/riding_a_bike/bbbbbbbbbbb.mkv",
        "train/using remote controller/ccccccccccc_001234_001244.MP4",
        "ddddddddddd_000005_000015.webm",
        "videos/eeeeeeeeeee_000001_000012.mp4",  # another piece
        "videos/fffffffffff_000001_000012.mp4",
        "videos/eeeeeeeeeee.json",
        "videos/.eeeeeeeeeee.mp4",
    ]
    folder = plant({"list.csv": [KINETICS, *rows]}, videos)
    with caplog.at_level(logging.WARNING, logger="absl"):
        dataset = open_dataset(folder)
    assert found(dataset) == {
        videos[0]: ("riding a bike", "train", "-aB_4567890"),
        videos[1]: ("riding a bike", "val", "bbbbbbbbbbb"),
        videos[2]: ("using remote controller (not gaming)", "train", "ccccccccccc"),
        videos[3]: ("sit, down", "test", "ddddddddddd"),
    }
    gone = folder / "eeeeeeeeeee_000001_000011.mp4"
    assert dataset.missing == (Video(gone, "riding a bike", "train", "eeeeeeeeeee"),)
    assert "list.csv: 1 of 5 videos are missing" in caplog.text
    assert dataset.name == "list"
    assert dataset.labels == ("riding a bike", "sit, down", "using remote controller (not gaming)")


def test_kinetics_takes_the_piece_before_the_whole(plant):
    videos = ["aaaaaaaaaaa.mp4", "x/aaaaaaaaaaa_000003_000013.avi"]
    folder = plant({"a.csv": [KINETICS, "sit,aaaaaaaaaaa,3,13,train,0"]}, videos)
    assert [video.path.name for video in open_dataset(folder).videos] == [
        "aaaaaaaaaaa_000003_000013.avi"
    ]


def test_an_id_of_two_pieces_does_not_name_either(plant):
    rows = [f"sit,aaaaaaaaaaa,{at},{at + 10},train,0" for at in (3, 40)]
    folder = plant(
        {"a.csv": [KINETICS, *rows]}, ["aaaaaaaaaaa.mp4", "aaaaaaaaaaa_000040_000050.mp4"]
    )
    dataset = open_dataset(folder)
    assert [video.path.name for video in dataset.videos] == ["aaaaaaaaaaa_000040_000050.mp4"]
    assert [video.path.name for video in dataset.missing] == ["aaaaaaaaaaa_000003_000013.mp4"]


def test_of_several_files_the_class_and_then_the_split_decide(plant):
    rows = ["sit down,aaaaaaaaaaa,0,10,train,0", "sit down,bbbbbbbbbbb,0,10,val,0"]
    rows += ["sit down,ccccccccccc,0,10,test,0"]
    videos = [
        *(f"val/{label}/aaaaaaaaaaa.mp4" for label in ("run", "sit_down")),
        *(f"{split}/sit_down/bbbbbbbbbbb.mp4" for split in ("all", "val")),
        *(f"{number}/ccccccccccc.mp4" for number in (2, 1)),
    ]
    dataset = open_dataset(plant({"a.csv": [KINETICS, *rows]}, videos))
    assert list(found(dataset)) == [videos[1], videos[3], videos[5]]


def test_kinetics_in_several_tables_whose_test_has_no_labels(plant, caplog):
    texts = {
        "annotations/train.csv": [KINETICS, "sit,aaaaaaaaaaa,0,10,train,0"],
        "annotations/val.csv": [KINETICS, "run,bbbbbbbbbbb,0,10,val,0"],
        "annotations/test.csv": ["youtube_id,time_start,time_end,split", "ccccccccccc,0,10,test"],
    }
    folder = plant(texts, [f"v/{letter * 11}.mp4" for letter in "abc"])
    with caplog.at_level(logging.WARNING, logger="absl"):
        dataset = open_dataset(folder)
    assert {video.split for video in dataset.videos} == {"train", "val"} and not dataset.missing
    assert "test.csv: has no labels; its 1 videos are left out" in caplog.text
    assert dataset.name == folder.name
    with pytest.raises(DatasetError, match=r"test\.csv: must have videos with labels"):
        open_dataset(folder / "annotations/test.csv")
    again = texts["annotations/val.csv"] + ["sit,aaaaaaaaaaa,0,10,val,0"]
    plant({"annotations/val.csv": again})
    with pytest.raises(
        DatasetError,
        match=r"val\.csv, line 3: aaaaaaaaaaa_000000_000010.mp4 is already in .*train\.csv, line 2",
    ):
        open_dataset(folder)


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (",aaaaaaaaaaa,0,10,train,0", "line 3: one of .* is empty"),
        ("sit,aaaaaaaaaaa,0,10", "line 3: one of .* is empty"),
        ("sit,aaaaaaaaaaa,0.5,10,train,0", "line 3: times must be whole seconds. Received: '0.5'"),
        ("sit,aaaaaaaaaaa,0,,train,0", "line 3: times must be whole seconds. Received: ''"),
        ("sit,aaaaaaaaaaa,-1,9,train,0", "line 3: times must be whole seconds. Received: '-1'"),
        ("sit, down,aaaaaaaaaaa,0,10,train,0", "line 3: must have 6 cells, .* has 7"),
        ('"sit,aaaaaaaaaaa,0,10,train,0', "line 3: not a csv row"),
        (
            "sit,zzzzzzzzzzz,0,10,train,0",
            "line 3: zzzzzzzzzzz_000000_000010.mp4 is already in",
        ),
    ],
)
def test_a_wrong_row_of_kinetics(plant, row, why):
    folder = plant({"a.csv": [KINETICS, "run,zzzzzzzzzzz,0,10,train,0", row]}, ["zzzzzzzzzzz.mp4"])
    with pytest.raises(DatasetError, match=rf"a\.csv, {why}"):
        open_dataset(folder)


def test_the_released_list_of_kinetics_400(shared, tmp_path):
    table = shared / "reference/splits/kinetics/kinetics400_val.csv"
    # 0wR5jVB-WPk, 417 to 427, and 3caPS4FHFF8, 36 to 46, are the first two rows.
    for name in ("0wR5jVB-WPk_000417_000427.mp4", "abseiling/3caPS4FHFF8.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b".")
    dataset = open_dataset(table, videos=tmp_path)
    assert (len(dataset), len(dataset.missing)) == (2, 19904)
    assert {(v.label, v.split) for v in dataset.videos} == {("abseiling", "val")}
    assert dataset.labels == label_list("kinetics400")
    assert len({video.label for video in dataset.missing}) == 400
    with pytest.raises(DatasetError, match=r"none of its 19906 videos exist below"):
        open_dataset(table)


# UCF-101


UCF = {
    "lists/classInd.txt": ["1 Sit", "2 HandstandPushups", "3 Run"],
    "lists/trainlist01.txt": [
        "Sit/v_Sit_g08_c01.avi 1",
        "HandstandPushups/v_HandStandPushups_g09_c02.avi 2",
    ],
    "lists/testlist01.txt": ["Run/v_Run_g01_c07.avi", "Sit/v_Sit_g01_c01.avi"],
    "lists/trainlist02.txt": ["Run/v_Run_g01_c07.avi 3"],
    "lists/testlist02.txt": ["v_Sit_g08_c01.avi"],
}


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_ucf101_in_class_folders_or_flat_or_in_another_format(plant, end):
    videos = [
        "UCF-101/Sit/v_Sit_g08_c01.avi",
        "v_HandStandPushups_g09_c02.mp4",
        "UCF-101/Run/v_Run_g01_c07.avi",
    ]
    folder = plant(UCF, videos, end=end)
    dataset = open_dataset(folder)
    assert found(dataset) == {
        videos[0]: ("Sit", "train", "g08"),
        videos[1]: ("HandstandPushups", "train", "g09"),
        videos[2]: ("Run", "test", "g01"),
    }
    assert dataset.labels == ("Sit", "HandstandPushups", "Run")  # as the index, not sorted
    assert [video.path for video in dataset.missing] == [folder / "Sit/v_Sit_g01_c01.avi"]
    other = open_dataset(folder / "lists", videos=folder, split_number=2)
    assert [(v.label, v.split, v.source) for v in other.videos] == [
        ("Run", "train", "g01"),
        ("Sit", "test", "g08"),
    ]
    with pytest.raises(DatasetError, match=r"has no trainlist03.txt; its splits are \[1, 2\]"):
        open_dataset(folder, split_number=3)
    with pytest.raises(DatasetError, match=r"one of the files of a 'ucf101' dataset; pass"):
        open_dataset(folder / "lists/testlist01.txt")


@pytest.mark.parametrize(
    ("file", "lines", "why"),
    [
        ("trainlist01", ["Sit/v_Sit_g08_c01.avi 2"], "line 1: Sit is class 1 in .*, but 2 here"),
        (
            "trainlist01",
            ["", "HandStandPushups/v_HandStandPushups_g09_c02.avi 2"],
            "line 2: unknown label 'HandStandPushups'; did you mean 'HandstandPushups'",
        ),
        ("testlist01", ["Sit/Sit_01.avi"], "line 1: must name a video v_<class>"),
        (
            "testlist01",
            ["Run/v_Run_g01_c07.avi", "Sit/v_Sit_g08_c01.avi"],
            r"line 2: Sit/v_Sit_g08_c01.avi is already in .*trainlist01.txt, line 1",
        ),
        ("classInd", ["1 Sit", "3 Run"], "line 2: ids must be 1 to 2 without gaps"),
        ("classInd", ["1 Sit", "2 Sit"], "line 2: 'Sit' is already in line 1"),
    ],
)
def test_a_wrong_line_of_ucf101(plant, file, lines, why):
    folder = plant({**UCF, f"lists/{file}.txt": lines}, ["v_Sit_g08_c01.avi"])
    with pytest.raises(DatasetError, match=rf"{file}\.txt, {why}"):
        open_dataset(folder)


def make_official(lists, names, folder):
    """Empty videos of all names in a copy of the lists."""
    for file in lists:
        (folder / file.name).write_bytes(file.read_bytes())
    for name in names:
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b".")


@pytest.mark.slow
@pytest.mark.parametrize("flat", [False, True])
def test_the_official_splits_of_ucf101(shared, tmp_path, flat):
    lists = sorted((shared / "reference/splits/ucf101").glob("*.txt"))
    words = [line.split() for file in lists for line in file.read_text().splitlines()]
    names = {word for line in words for word in line if word.endswith(".avi")}
    make_official(lists, {name.split("/")[1] if flat else name for name in names}, tmp_path)
    counts = {}
    for split in (1, 2, 3):
        dataset = open_dataset(tmp_path, split_number=split)
        counts[split] = tuple(len(dataset.split(part)) for part in ("train", "test"))
        assert not dataset.missing and not dataset.shared_sources()
        assert {video.source for video in dataset.videos} == {f"g{n:02}" for n in range(1, 26)}
    assert counts == {1: (9537, 3783), 2: (9586, 3734), 3: (9624, 3696)}
    assert len(dataset.labels) == 101 and dataset.labels != tuple(sorted(dataset.labels))
    assert dataset.labels[:2] == ("ApplyEyeMakeup", "ApplyLipstick")
    assert dataset.labels[-1] == "YoYo" and {v.label for v in dataset.videos} == set(dataset.labels)


# HMDB-51


HMDB = {
    "splits/sit_test_split1.txt": [
        "sit_on_a_sit_in_sit_u_cm_np1_fr_med_0.avi 1 ",
        "#2 !film_sit_f_nm_np12_le_goo_11.avi 2",
        "b_sit_f_nm_np1_le_goo_1.avi 0",
    ],
    "splits/climb_stairs_test_split1.txt": ["b_climb_stairs_f_nm_np1_le_goo_1.avi 2"],
}


def test_hmdb51_in_class_folders_or_flat(plant):
    videos = [
        "sit/sit_on_a_sit_in_sit_u_cm_np1_fr_med_0.avi",
        "#2 !film_sit_f_nm_np12_le_goo_11.mp4",
        "b_sit_f_nm_np1_le_goo_1.avi",
    ]
    folder = plant(HMDB, videos)
    dataset = open_dataset(folder)
    assert found(dataset) == {
        videos[0]: ("sit", "train", "sit_on_a_sit_in"),
        videos[1]: ("sit", "test", "#2 !film"),
    }
    assert dataset.labels == ("climb_stairs", "sit")
    (gone,) = dataset.missing
    assert gone.path == folder / "climb_stairs/b_climb_stairs_f_nm_np1_le_goo_1.avi"
    with pytest.raises(DatasetError, match=r"no climb_stairs_test_split2.txt; .* are \[1\]"):
        open_dataset(folder, split_number=2)


@pytest.mark.parametrize("line", ["b_sit_f_nm_np1_le_goo_1.avi 3", "b.avi", "1"])
def test_a_wrong_line_of_hmdb51(plant, line):
    folder = plant({"sit_test_split1.txt": ["a.avi 1", "", line]}, ["a.avi"])
    with pytest.raises(DatasetError, match=r"sit_test_split1.txt, line 3: must be a video and 1"):
        open_dataset(folder)


@pytest.mark.slow
@pytest.mark.parametrize("flat", [False, True])
def test_the_official_splits_of_hmdb51(shared, tmp_path, flat):
    lists = sorted((shared / "reference/splits/hmdb51").glob("*.txt"))
    assert len(lists) == 153
    names = {
        ("" if flat else file.name.split("_test_split")[0] + "/") + line.split()[0]
        for file in lists
        for line in file.read_text(encoding="utf-8").splitlines()
    }
    make_official(lists, names, tmp_path)
    for split in (1, 2, 3):
        dataset = open_dataset(tmp_path, split_number=split)
        assert (len(dataset.split("train")), len(dataset.split("test"))) == (3570, 1530)
        assert not dataset.missing and not dataset.shared_sources() and len(dataset.labels) == 51
        sizes = [sum(v.label == label for v in dataset.videos) for label in ("brush_hair", "wave")]
        assert sizes == [100, 100]
        assert not [video for video in dataset.videos if "_np" in video.source]


# Lists without a header


def test_lists_by_name_or_number(plant):
    texts = {
        "kinetics_train_list.txt": ["a b/x y.mp4 0", "c.avi 1"],
        "val.csv": ["a b/z.mp4,1", '"d, e.mp4",0'],
        "videos.list": ["f.mp4 2"],
        "labels.txt": ["stand up", "sit", "run"],
    }
    videos = ["a b/x y.mp4", "c.avi", "a b/z.mp4", "d, e.mp4", "f.mp4"]
    folder = plant(texts, videos)
    dataset = open_dataset(folder)
    assert found(dataset) == {
        videos[0]: ("stand up", "train", videos[0]),
        videos[1]: ("sit", "train", videos[1]),
        videos[2]: ("sit", "val", videos[2]),
        videos[3]: ("stand up", "val", videos[3]),
        videos[4]: ("run", "all", videos[4]),
    }
    assert dataset.labels == ("stand up", "sit", "run")
    one = open_dataset(folder / "val.csv", labels=("A", "B"))
    assert [(video.label, video.split) for video in one.videos] == [("B", "val"), ("A", "val")]
    plant({"val.labels.txt": ["C", "D"]})
    assert open_dataset(folder / "val.csv").labels == ("C", "D")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("labels.txt", "id,name\n0,sit\n1,stand"),
        ("classids.json", '{"stand": 1, "sit": 0}'),
        ("kinetics_400_labels.csv", "id,name\n0,sit\n1,stand"),
        ("label_map_k400.txt", "sit\nstand"),
        ("something-something-v2-labels.json", '{"sit": "0", "stand": "1"}'),
        ("classInd.txt", "1 sit\n2 stand"),  # as MMAction2 uses it: the list counts from 0
    ],
)
def test_numbers_of_a_list_by_any_label_file(plant, name, text):
    folder = plant({"train.txt": ["a.mp4 1", "b.mp4 0"], name: [text]}, ["a.mp4", "b.mp4"])
    dataset = open_dataset(folder)
    assert [video.label for video in dataset.videos] == ["stand", "sit"]
    assert dataset.labels == ("sit", "stand")


def test_label_files_that_count_from_one(plant):
    texts = {"train.txt": ["a.mp4 1", "b.mp4 2"], "classes.txt": ["1 sit", "2 stand"]}
    folder = plant(texts, ["a.mp4", "b.mp4"])
    assert [video.label for video in open_dataset(folder).videos] == ["sit", "stand"]
    plant({"train.txt": ["a.mp4 1"]})
    with pytest.raises(
        DatasetError, match=r"classes.txt: counts from 1, and the lists use neither"
    ):
        open_dataset(folder)


def test_label_files_that_differ_are_refused(plant):
    texts = {"train.txt": ["a.mp4 0"], "labels.txt": ["sit"], "classids.json": ['{"stand": 0}']}
    folder = plant(texts, ["a.mp4"])
    with pytest.raises(DatasetError, match=r"label files labels.txt and classids.json differ"):
        open_dataset(folder)


def test_the_shared_list_with_a_header_in_its_labels(shared):
    dataset = open_dataset(shared / "cases/labels_header")
    assert {video.path.name: video.label for video in dataset.videos} == {
        "x.mp4": "abseiling",
        "y.mp4": "air drumming",
    }


def test_a_list_with_names_is_sorted(plant):
    folder = plant({"train.txt": ["b.mp4 stand", "a.mp4 Sit"]}, ["a.mp4", "b.mp4"])
    assert recognize(folder)[0] == "list"
    assert open_dataset(folder).labels == ("Sit", "stand")


@pytest.mark.parametrize(
    ("lines", "labels", "why"),
    [
        (["a.mp4 0", "b.mp4 1"], None, "train.txt: its labels are numbers; needs labels.txt"),
        (["a.mp4 0", "b.mp4 2"], ["x", "y"], "line 2: label 2 must be one of 0 to 1"),
        (
            ["a.mp4 0", "b.mp4"],
            ["x"],
            "line 2: must be a video's path and its label, but is 'b.mp4'",
        ),
        (["a.mp4 0", "b.mp4 y"], ["x", "y"], "line 1: unknown label '0'$"),
        (
            ["a.mp4 0", "b.mp4 1 2"],
            ["x", "y", "z"],
            "line 2: has two numbers, but other lines",
        ),
        (["a.mp4 0", "a.mp4 0"], ["x"], "line 2: a.mp4 is already in line 1"),
        (["a.mp4 0"], ["x", "y", "x"], "labels.txt, line 3: 'x' is already in line 1"),
        (["a.mp4 0"], [""], "labels.txt: must have one label per line, but is empty"),
    ],
)
def test_a_wrong_list(plant, lines, labels, why):
    texts = {"train.txt": lines} | ({"labels.txt": labels} if labels else {})
    folder = plant(texts, ["a.mp4", "b.mp4"])
    with pytest.raises(DatasetError, match=why):
        open_dataset(folder)


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("kinetics400_val_list_videos", "val"),
        ("TrainList", "train"),
        ("test_split_2", "test"),
        ("validation", "val"),
        ("train_and_test", "all"),
        ("interval", "all"),
        ("latest", "all"),
    ],
)
def test_the_split_is_in_a_list_s_name(plant, name, split):
    folder = plant({f"{name}.txt": ["a.mp4 sit"]}, ["a.mp4"])
    assert [video.split for video in open_dataset(folder).videos] == [split]


# A folder a class


def test_folders_of_classes(plant):
    videos = ["sit/a.mp4", "sit/b.AVI", "Stand up/a.mp4"]
    folder = plant({"sit/notes.md": [""], "more/readme.md": [""]}, [*videos, "sit/.c.mp4"])
    dataset = open_dataset(folder)
    assert found(dataset) == {name: (name.split("/")[0], "all", name) for name in videos}
    assert dataset.labels == ("Stand up", "sit") and dataset.name == folder.name
    with pytest.raises(DatasetError, match="folders contains its videos"):
        open_dataset(folder, videos=folder)


def test_folders_of_splits_of_classes(plant):
    videos = ["Train/sit/a.mp4", "validation/sit/a.mp4", "test/run/b.mp4"]
    dataset = open_dataset(plant({}, videos))
    assert found(dataset) == {
        videos[0]: ("sit", "train", videos[0]),
        videos[1]: ("sit", "val", videos[1]),
        videos[2]: ("run", "test", videos[2]),
    }


@pytest.mark.parametrize(
    ("videos", "why"),
    [
        (["sit/a.mp4", "b.mp4"], r"b.mp4: must be in .* as <class>/<video>$"),
        (["sit/a.mp4", "sit/more/b.mp4"], r"sit/more/b.mp4: must be in .* as <class>/<video>$"),
        (["train/sit/a.mp4", "train/b.mp4"], "as <split>/<class>/<video>$"),
        (["train/a.mp4", "sit/b.mp4"], "splits or classes; train is a split, sit a class"),
    ],
)
def test_folders_that_are_neither(plant, videos, why):
    with pytest.raises(DatasetError, match=why):
        open_dataset(plant({}, videos))


def test_folders_of_kinetics_get_its_labels_and_order(plant):
    known = label_list("kinetics400")
    videos = [f"{label.replace(' ', '_').replace(chr(39), '')}/a.mp4" for label in known]
    folder = plant({}, videos)
    dataset = open_dataset(folder)
    assert dataset.labels == known and len(dataset) == 400
    assert {video.label for video in dataset.videos if "not_gaming" in str(video.path)} == {
        "using remote controller (not gaming)"
    }
    (folder / videos[0]).unlink()
    assert open_dataset(folder).labels[0] == "air_drumming"


@pytest.mark.parametrize("name", ["kinetics400", "kinetics600"])
def test_no_two_labels_of_kinetics_are_spelt_alike(name):
    assert len({bare(label) for label in label_list(name)}) == len(label_list(name))


def test_figures_share_worlds(plant):
    rows = ["bow/bow_12.mp4,bow,train", "sit_down/sit_down_12.mp4,sit_down,train"]
    table = {"figures.csv": ["path,label,split", *rows]}
    folder = plant(table, [row.split(",")[0] for row in rows])
    assert recognize(folder)[0] == recognize(folder / "figures.csv")[0] == "figures"
    assert [video.source for video in open_dataset(folder).videos] == ["12", "12"]


# Which kind it is


def test_lists_come_before_folders_and_folders_can_be_requested(plant):
    folder = plant({"a.csv": [KINETICS, "sit,aaaaaaaaaaa,0,10,train,0"]}, ["run/aaaaaaaaaaa.mp4"])
    assert recognize(folder)[0] == "kinetics"
    assert [video.label for video in open_dataset(folder).videos] == ["sit"]
    assert [video.label for video in open_dataset(folder, kind="folders").videos] == ["run"]


def test_several_kinds_are_reported_and_kind_decides(plant):
    texts = {**UCF, **HMDB, "a.csv": ["path,label,split", "Sit/v_Sit_g08_c01.avi,Sit,train"]}
    texts = {name.split("/")[-1]: lines for name, lines in texts.items()}
    folder = plant(texts, ["Sit/v_Sit_g08_c01.avi"])
    with pytest.raises(DatasetError) as caught:
        open_dataset(folder)
    text = str(caught.value)
    assert "'ucf101' (classInd.txt, testlist01.txt, ...)" in text and "'table' (a.csv)" in text
    assert "'hmdb51' (" in text and "set `kind` (--kind)" in text and "'list'" not in text
    assert open_dataset(folder, kind="ucf101").labels == ("Sit", "HandstandPushups", "Run")
    assert open_dataset(folder, kind="table").labels == ("Sit",)


def test_of_three_files_of_a_kind_two_are_named(plant):
    names = ("classInd.txt", "trainlist01.txt", "testlist01.txt")
    texts = {name: UCF[f"lists/{name}"] for name in names}
    folder = plant({**texts, "a.csv": ["path,label,split", "Sit/v_Sit_g08_c01.avi,Sit,train"]}, [])
    with pytest.raises(DatasetError, match=r"'ucf101' \(classInd\.txt, testlist01\.txt, \.\.\.\)"):
        open_dataset(folder)


def test_lists_in_two_folders_are_not_mixed(plant):
    lists = {f"{year}/val.csv": [KINETICS, "sit,aaaaaaaaaaa,0,10,val,0"] for year in (1, 2)}
    with pytest.raises(DatasetError, match="has lists of kinetics in 1 and in 2; pass the path"):
        open_dataset(plant(lists, ["aaaaaaaaaaa.mp4"]))


# Text and files as people have them


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_tables_of_other_programs(tmp_path, end, mark):
    lines = [
        " Label , PATH,split,",
        'sit,"a, ä\u2028.mp4",train,',
        ",,,",
        "run,b.mp4, test ",
        "",
        "  ",
    ]
    table = tmp_path / "t.csv"
    table.write_bytes(mark + end.join([*lines, ""]).encode())
    for name in ("a, ä\u2028.mp4", "b.mp4"):
        (tmp_path / name).write_bytes(b".")
    dataset = open_dataset(table)
    assert found(dataset) == {
        "a, ä\u2028.mp4": ("sit", "train", "a, ä\u2028.mp4"),
        "b.mp4": ("run", "test", "b.mp4"),
    }
    assert [line for line, _ in read_csv(table)[1]] == [2, 4]
    assert read_lines(table)[-1] == (4, "run,b.mp4, test")


def test_a_table_in_another_encoding(tmp_path):
    table = tmp_path / "t.csv"
    table.write_bytes("path,label,split\nä.mp4,sit,train\n".encode("latin-1"))
    with pytest.raises(DatasetError, match=r"t.csv: must be UTF-8 text; byte 17 is invalid"):
        open_dataset(table)


def test_names_may_be_composed_or_not(plant):
    composed, apart = "\u00e4.mp4", "a\u0308.mp4"
    texts = {"t.csv": ["path,label,split", f"sit/{composed},sit,train", "b.mp4,sit,train"]}
    folder = plant(texts, [f"sit/{apart}", "b.mp4"])
    assert [video.path.name for video in open_dataset(folder).videos] == [apart, "b.mp4"]
    kept = plant({"h/x_test_split1.txt": [f"{apart} 1"]}, [f"h/x/{composed}"])
    assert [video.path.name for video in open_dataset(kept / "h").videos] == [composed]


def test_links_are_followed_and_rings_are_not(plant):
    folder = plant({}, ["disk/run/b.mp4", "data/sit/a.mp4"])
    (folder / "data/run").symlink_to(folder / "disk/run")
    (folder / "data/sit/c.mp4").symlink_to(folder / "disk/run/b.mp4")
    (folder / "data/sit/d.mp4").symlink_to(folder / "disk/nothing.mp4")
    (folder / "data/sit/up").symlink_to(folder / "data")
    (folder / "data/sit/folder.mp4").mkdir()
    assert list(walk_videos(folder / "data")) == ["sit/a.mp4", "sit/c.mp4", "run/b.mp4"]
    rows = [f"{name},x,train" for name in ("sit/a.mp4", "sit/c.mp4", "sit/d.mp4", "run/b.mp4")]
    rows.append("sit/folder.mp4,x,train")
    (folder / "data/t.csv").write_text("\n".join(["path,label,split", *rows]))
    dataset = open_dataset(folder / "data/t.csv")
    assert [video.path.name for video in dataset.missing] == ["d.mp4", "folder.mp4"]


def test_a_link_to_itself_is_left_out(plant):
    folder = plant({"t.csv": ["path,label,split", "a.mp4,x,train", "b.mp4,x,train"]}, ["a.mp4"])
    for name in ("b.mp4", "u.csv", "clips"):
        (folder / name).symlink_to(folder / name)
    assert list(walk_videos(folder)) == ["a.mp4"]
    assert [video.path.name for video in open_dataset(folder).missing] == ["b.mp4"]


def test_the_disk_is_read_once_per_folder_and_not_per_row(plant, monkeypatch):
    names = [f"{number % 3}/{number:011}.mp4" for number in range(300)]
    texts = {
        "t.csv": ["path,label,split", *(f"{name},x,train" for name in names)],
        "k/k.csv": [KINETICS, *(f"x,{name[2:13]},0,10,train,0" for name in names)],
    }
    folder = plant(texts, names)
    # Of a file that is named by its id alone the length has to be read.
    for name in names:
        plant({}, [f"cut/{name[:-4]}_000000_000010.mp4"])
    calls = []

    def counted(real):
        def call(*args, **kwargs):
            calls.append(real.__name__)
            return real(*args, **kwargs)

        return call

    for name in ("stat", "lstat", "scandir", "open"):
        monkeypatch.setattr(os, name, counted(getattr(os, name)))
    assert len(open_dataset(folder / "t.csv")) == 300
    assert len(open_dataset(folder / "k/k.csv", videos=folder / "cut")) == 300
    assert len(calls) < 50


def test_a_finder_of_a_row_without_its_folder(tmp_path):
    row = Row("no/such/a.mp4", "x", "train", "", tmp_path, 0)
    assert VideoFinder(tmp_path).find_stem(row) == (None, None)
    (tmp_path / "no").touch()
    assert VideoFinder(tmp_path).find_stem(row) == (None, None)


def test_an_empty_folder_and_videos_without_classes_are_described(tmp_path):
    with pytest.raises(DatasetError, match=r"this folder is empty$"):
        recognize(tmp_path)
    (tmp_path / "a.mp4").write_bytes(b"x")
    with pytest.raises(DatasetError, match="put the videos of each class into a subfolder of"):
        recognize(tmp_path)
