"""Lists and folders as toolkits and releases leave them: each is read rightly or refused."""

import json
import logging
import os

import numpy as np
import pytest

from kinetics_i3d.core.errors import DatasetError, VideoError
from kinetics_i3d.data.datasets import open_dataset
from kinetics_i3d.data.layouts.formats import recognize
from kinetics_i3d.video.frame_folder import FrameFolder, is_frame_folder
from kinetics_i3d.video.reader import read_frames, video_info
from kinetics_i3d.video.writer import write_video

PIL = pytest.importorskip("PIL.Image")
KINETICS = "label,youtube_id,time_start,time_end,split"


@pytest.fixture
def plant(tmp_path):
    """({path: text or lines}, paths of videos) -> the folder."""

    def write(texts, videos=()):
        for name, text in texts.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            text = text if isinstance(text, str) else "\n".join(text) + "\n"
            path.write_text(text, encoding="utf-8")
        for name in videos:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b".")
        return tmp_path

    return write


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """A video of 4 seconds, 4 frames a second."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    write_video(path, [np.full((36, 48, 3), 10 * k, np.uint8) for k in range(16)], fps=4)
    return path


def pictures(folder, count, *, form="img_{:05d}.jpg", first=1):
    """A folder of pictures; the gray level of picture k is 5 k."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        picture = np.full((36, 48, 3), 5 * number, np.uint8)
        PIL.fromarray(picture).save(folder / form.format(number + first), quality=95)
    return folder


def found(folder, **options):
    """{path below the folder: (label, split)}."""
    root = folder if folder.is_dir() else folder.parent
    videos = open_dataset(folder, **options).videos
    return {os.path.relpath(video.location, root): (video.label, video.split) for video in videos}


# Folders of frames


@pytest.mark.parametrize(
    ("form", "first"),
    [
        ("img_{:05d}.jpg", 1),
        ("frame_{:06d}.png", 0),
        ("{:05d}.jpg", 1),
        ("image_{:d}.jpeg", 1),
        ("v_X_g01_{:d}.bmp", 7),
    ],
)
def test_a_folder_of_frames_is_read_like_a_video(tmp_path, form, first):
    folder = pictures(tmp_path / "frames", 12, form=form, first=first)
    gray = [round(frame.mean() / 5) for frame in read_frames(folder, fps=25, short_side=36)]
    assert gray == list(range(12))
    info = video_info(folder)
    assert (info.width, info.height, info.fps, info.duration) == (48, 36, 25.0, 0.48)
    assert len(list(read_frames(f"{folder}#fps=5", fps=25))) == 60
    part = read_frames(f"{folder}#fps=5#t=1.2,2", fps=5)
    assert [round(frame.mean() / 5) for frame in part] == [6, 7, 8, 9]


def test_flow_and_other_files_beside_frames_are_no_frames(tmp_path):
    folder = pictures(tmp_path / "frames", 5)
    for axis in "xy":
        pictures(folder, 4, form=f"flow_{axis}_{{:05d}}.jpg")
    (folder / "notes.txt").write_text("x")
    assert len(FrameFolder(folder).files) == 5 and is_frame_folder(folder)
    assert not is_frame_folder(tmp_path)
    pictures(tmp_path / "two", 2, form="left_{:d}.jpg")
    pictures(tmp_path / "two", 2, form="right_{:d}.jpg")
    with pytest.raises(VideoError, match=r"several prefixes, \['left_', 'right_'\]"):
        list(read_frames(tmp_path / "two"))
    with pytest.raises(VideoError, match="a video file is needed; this is a folder without"):
        list(read_frames(tmp_path))


def test_damaged_pictures_are_left_out_and_logged_once(tmp_path, caplog):
    folder = pictures(tmp_path / "frames", 6)
    (folder / "img_00003.jpg").write_bytes(b"")
    (folder / "img_00004.jpg").write_text("no picture")
    with caplog.at_level(logging.WARNING, logger="absl"):
        gray = [round(frame.mean() / 5) for frame in read_frames(folder, fps=25)]
    assert len(gray) == 6 and set(gray) == {0, 1, 4, 5}
    assert caplog.text.count("is damaged") == 1


@pytest.mark.parametrize(
    "line",
    [
        "{path} 12 {number}",
        "{path} {number}",
        "{path},{number}",
        "{path};{label}",
        "{path}\t{label}",
    ],
)
def test_lists_of_folders_of_frames(plant, tmp_path, line):
    lines, labels = [], ("sit", "stand up")
    for number, label in enumerate(labels):
        path = f"{label.replace(' ', '_')}/v_{number}"
        pictures(tmp_path / "rawframes" / path, 3)
        lines.append(line.format(path=path, number=number, label=label))
    folder = plant({"x_train_list_rawframes.txt": lines, "labels.txt": labels})
    assert found(folder) == {
        "rawframes/sit/v_0": ("sit", "train"),
        "rawframes/stand_up/v_1": ("stand up", "train"),
    }


def test_folders_of_frames_in_folders_of_classes(tmp_path):
    for name in ("train/sit/a", "train/run/b", "val/sit/c"):
        pictures(tmp_path / name, 2)
    assert found(tmp_path) == {
        "train/sit/a": ("sit", "train"),
        "train/run/b": ("run", "train"),
        "val/sit/c": ("sit", "val"),
    }


def test_folders_of_frames_of_public_lists(plant, tmp_path):
    pictures(tmp_path / "rawframes/v_Sit_g01_c01", 2)
    pictures(tmp_path / "frames/aaaaaaaaaaa_000001_000011", 2)
    plant(
        {
            "ucf/classInd.txt": ["1 Sit"],
            "ucf/trainlist01.txt": ["Sit/v_Sit_g01_c01.avi 1"],
            "ucf/testlist01.txt": [],
            "kinetics/train.csv": [KINETICS, "sit,aaaaaaaaaaa,1,11,train"],
        }
    )
    for lists, name in (
        ("ucf", "v_Sit_g01_c01"),
        ("kinetics", "aaaaaaaaaaa_000001_000011"),
    ):
        (video,) = open_dataset(tmp_path / lists, videos=tmp_path).videos
        assert video.path.name == name and video.span is None


def test_a_table_tells_the_rate_of_folders_of_frames(plant, tmp_path):
    pictures(tmp_path / "a/1", 10)
    folder = plant({"t.csv": ["path,label,split,fps,start,end", "a/1,sit,train,5,1,1.6"]})
    (video,) = open_dataset(folder / "t.csv").videos
    assert str(video.location) == f"{tmp_path}/a/1#fps=5#t=1,1.6"
    assert [round(frame.mean() / 5) for frame in read_frames(video.location, fps=5)] == [5, 6, 7]
    open_dataset(folder / "t.csv").write_table(folder / "copy.csv")
    assert open_dataset(folder / "copy.csv").videos[0].location == video.location


# JSON


def gloss(**fields):
    return [{"gloss": "a", "instances": [{"video_id": "a", **fields}]}]


def entry(label, start, end, subset="train"):
    return {"annotations": {"label": label, "segment": [start, end]}, "subset": subset}


def test_kinetics_json_is_the_same_as_its_table(plant, film):
    annotations = {"-aaaaaaaaaa": entry("sit", 1.0, 11.0), "bbbbbbbbbbb": entry("run", 1, 2, "val")}
    folder = plant({"train.json": json.dumps(annotations)}, ["-aaaaaaaaaa_000001_000011.mp4"])
    (folder / "bbbbbbbbbbb.mp4").write_bytes(film.read_bytes())
    wanted = {
        "-aaaaaaaaaa_000001_000011.mp4": ("sit", "train"),
        "bbbbbbbbbbb.mp4#t=1,2": ("run", "val"),
    }
    assert recognize(folder)[0] == "json" and found(folder) == wanted
    rows = [KINETICS, "sit,-aaaaaaaaaa,1,11,train", "run,bbbbbbbbbbb,1,2,val"]
    plant({"train.csv": rows})
    assert recognize(folder)[0] == "kinetics" and found(folder) == wanted


def test_activity_net_is_cut_to_its_segments(plant, film):
    database = {
        "aaaaaaaaaaa": {
            "subset": "training",
            "annotations": [
                {"label": "Sit", "segment": [0.5, 1.25]},
                {"label": "Run", "segment": [2, 3.5]},
                {"label": "Run", "segment": [2, 3.5]},  # both are in the release
                {"label": "Sit", "segment": [1, 1]},
            ],
        },
        "bbbbbbbbbbb": {
            "subset": "validation",
            "annotations": [{"label": "Run", "segment": [0, 1]}],
        },
        "ccccccccccc": {"subset": "testing", "annotations": []},
    }
    folder = plant({"activity_net.v1-3.min.json": json.dumps({"database": database})})
    for name in ("v_aaaaaaaaaaa.mp4", "bbbbbbbbbbb.mp4"):
        (folder / name).write_bytes(film.read_bytes())
    assert found(folder) == {
        "v_aaaaaaaaaaa.mp4#t=0.5,1.25": ("Sit", "train"),
        "v_aaaaaaaaaaa.mp4#t=2,3.5": ("Run", "train"),
        "bbbbbbbbbbb.mp4#t=0,1": ("Run", "val"),
    }


def test_wlasl_is_cut_where_the_file_is_the_whole_upload(plant, film):
    base = {"split": "train", "fps": 25, "url": "https://www.youtube.com/watch?v=aaaaaaaaaaa"}
    instances = [
        base | {"video_id": "00001", "frame_start": 26, "frame_end": 50},  # of the upload
        base | {"video_id": "00002", "frame_start": 1, "frame_end": -1, "split": "test"},
        base | {"video_id": "00003", "frame_start": 51, "frame_end": 150},  # cut already
    ]
    instances[1] |= {"url": "https://example.org/x.mp4"}
    folder = plant({"WLASL_v0.3.json": json.dumps([{"gloss": "book", "instances": instances}])})
    for name in ("raw/aaaaaaaaaaa.mp4", "videos/00002.mp4", "videos/00003.mp4"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(film.read_bytes())
    assert found(folder) == {
        "raw/aaaaaaaaaaa.mp4#t=1,2": ("book", "train"),
        "videos/00002.mp4": ("book", "test"),
        "videos/00003.mp4": ("book", "train"),
    }


def test_something_something_is_labelled_by_its_templates(plant):
    train = [{"id": "1", "label": "holding a cup", "template": "Holding [something]"}]
    test = [{"id": "2"}]
    texts = {"something-something-v2-train.json": json.dumps(train)}
    texts["something-something-v2-test.json"] = json.dumps(test)
    folder = plant(texts, ["20bn/1.webm", "20bn/2.webm"])
    assert found(folder, kind="json") == {"20bn/1.webm": ("Holding something", "train")}


@pytest.mark.parametrize(
    ("annotations", "why"),
    [
        ('{"a": {"annotations": {}, "subset": 1', "cannot be read as JSON"),
        (
            {"a": {"subset": "x", "annotations": {"label": "sit"}}},
            "'a': must have a label and a seg",
        ),
        ({"a": entry("sit", 5, 4)}, "'a': must have a label, and a segment of two times in order"),
        ({"a": {"subset": "x", "annotations": []}}, "must have videos with labels"),
        ([{"id": "", "template": "x"}], "each entry must have an id"),
        ([{"gloss": "a", "instances": [{"x": 1}]}], "must have video_id"),
        ([{"gloss": "a", "instances": [1]}], "must be a list of JSON objects"),
        ([{"gloss": "a", "instances": {"x": 1}}], "must be a list of JSON objects"),
        ([{"gloss": None, "instances": []}], "the class must be text. Received: None"),
        (gloss(frame_start=10**400), "must have video_id, fps and frames"),
        (gloss(frame_end=1e999), "must have video_id, fps and frames"),
        (gloss(fps=1e999), "must have a gloss and an fps above 0"),
        (gloss(fps=-1), "must have a gloss and an fps above 0"),
        ([{"id": "1", "template": ["x"]}], "the class must be text"),
        ([{"id": "1", "template": "[]"}], "the class is empty"),
        ({"a": {"subset": "x", "annotations": "sit"}}, "must be a list of JSON objects"),
        ({"a": entry("sit", 0, 10**400)}, "'a': must have a label and a seg"),
    ],
)
def test_wrong_annotations(plant, annotations, why):
    text = annotations if isinstance(annotations, str) else json.dumps(annotations)
    with pytest.raises(DatasetError, match=why):
        open_dataset(plant({"a.json": text}, ["a.mp4"]))


# Tables


@pytest.mark.parametrize(
    ("name", "lines", "split"),
    [
        ("t.csv", ["path;label;split", "x.mp4;jump;train"], "train"),
        ("t.tsv", ["path\tlabel\tsplit", "x.mp4\tjump\ttrain"], "train"),
        ("t.csv", ["sep=;", "path;label;split", "x.mp4;jump;train"], "train"),
        ("t.csv", ["path,label", "x.mp4,jump"], "all"),
        ("val.csv", ["path,label", "x.mp4,jump"], "val"),
        ("train.csv", [",tag,video_name", "0,jump,x.mp4"], "train"),
        ("t.csv", ["filename,class,subset", "x.mp4,jump,validation"], "val"),
        ("t.csv", ["video_id,label,split", "x,jump,train"], "train"),
        ("t.csv", ["Video,Class Name,label,split", "x.mp4,1,jump,train"], "train"),
        ("t.csv", [" path , label,split", " x.mp4 , jump , train "], "train"),
    ],
)
def test_tables_of_other_programs(plant, name, lines, split):
    folder = plant({name: lines}, ["x.mp4"])
    assert found(folder) == found(folder / name) == {"x.mp4": ("jump", split)}


def test_a_table_for_each_split(plant):
    texts = {
        "train.csv": [",tag,video_name", "0,a,x.mp4"],
        "test.csv": [",tag,video_name", "0,b,y.mp4"],
    }
    folder = plant(texts, ["train/x.mp4", "test/y.mp4"])
    assert found(folder) == {"train/x.mp4": ("a", "train"), "test/y.mp4": ("b", "test")}
    plant({"more.csv": ["path,label", "x.mp4,a"]})
    with pytest.raises(DatasetError, match="needs exactly one csv table, but has 3"):
        open_dataset(folder)


def test_numbers_of_a_table_are_named_by_the_label_file(plant):
    texts = {"t.csv": ["path,label", "x.mp4,1", "y.mp4,0"], "classids.json": '{"run": 1, "sit": 0}'}
    folder = plant(texts, ["x.mp4", "y.mp4"])
    assert found(folder) == {"x.mp4": ("run", "all"), "y.mp4": ("sit", "all")}
    assert open_dataset(folder).labels == ("sit", "run")
    # A table may have the name of a label file itself.
    plant({"own/labels.csv": ["path,label", "x.mp4,1"]}, ["own/x.mp4"])
    assert found(folder / "own") == {"x.mp4": ("1", "all")}
    plant({"t.csv": ["path,label", "x.mp4,2"]})
    with pytest.raises(DatasetError, match="line 2: label 2 must be one of 0 to 1"):
        open_dataset(folder)


# Paths


@pytest.mark.parametrize(
    "path",
    [
        r"sit\a.mp4",
        r"C:\data\videos\sit\a.mp4",
        "D:/data/sit/a.mp4",
        "/home/other/videos/sit/a.mp4",
        "sit/a",
        "a",
        "a.avi",
    ],
)
def test_paths_of_other_machines_and_names_without_suffix(plant, path):
    folder = plant({"t.csv": ["path,label,split", f"{path},sit,train"]}, ["sit/a.mp4", "run/a.mp4"])
    assert found(folder) == {"sit/a.mp4": ("sit", "train")}
    plant({"t.csv": "", "train.txt": f"{path} sit"})
    assert found(folder) == {"sit/a.mp4": ("sit", "train")}


def test_a_name_that_several_files_have_is_missing(plant):
    texts = {"t.csv": ["path,label,split", "a,fly,train", "b,fly,train"]}
    dataset = open_dataset(plant(texts, ["sit/a.mp4", "run/a.mp4", "run/b.mp4"]))
    assert [video.path.name for video in dataset.videos] == ["b.mp4"]
    assert [video.path.name for video in dataset.missing] == ["a"]


def test_lists_of_ids_that_begin_with_a_hyphen(plant):
    folder = plant(
        {"train.txt": ["-aB_4567890 0", "--B_4567890 1"], "labels.txt": ["sit", "run"]},
        ["v/-aB_4567890.mp4", "v/--B_4567890.mkv"],
    )
    assert found(folder) == {
        "v/-aB_4567890.mp4": ("sit", "train"),
        "v/--B_4567890.mkv": ("run", "train"),
    }
    plant({"k/k.csv": [KINETICS, "sit,#NAME?,1,2,train"]})
    with pytest.raises(
        DatasetError, match=r"line 2: the id is '#NAME\?': a spreadsheet program read"
    ):
        open_dataset(folder / "k/k.csv")


@pytest.mark.parametrize(
    "line", ["sit down/a.mp4", r"sit down\a.mp4", "./x/sit down/a.mp4", "sit down/a"]
)
def test_lists_of_paths_alone_have_the_class_in_the_folder(plant, line):
    line = line.replace("./x/", "")
    folder = plant({"train.txt": [line, "run/b.mp4" if "." in line else "run/b"]},
                   ["sit down/a.mp4", "run/b.mp4"])  # fmt: skip
    assert found(folder) == {"sit down/a.mp4": ("sit down", "train"), "run/b.mp4": ("run", "train")}


def test_notes_and_label_files_are_no_lists(plant):
    texts = {"notes.txt": "two words", "labels.txt": ["a 0", "b 1"], "requirements.txt": "a b"}
    folder = plant(texts, ["sit/a.mp4", "run/b.mp4"])
    assert recognize(folder)[0] == "folders"


# Files


def test_empty_files_are_missing_and_of_two_the_readable_one_is_taken(plant, film):
    rows = [KINETICS, "sit,aaaaaaaaaaa,1,2,train", "sit,bbbbbbbbbbb,1,2,train"]
    folder = plant(
        {"a.csv": [*rows, "sit,ccccccccccc,1,2,train"]}, ["train/aaaaaaaaaaa_000001_000002.mp4"]
    )
    names = [f"{letter * 11}_000001_000002.mp4" for letter in "abc"]
    (folder / "other").mkdir()
    (folder / "other" / names[0]).write_bytes(film.read_bytes())  # the first is no video
    (folder / "train" / names[1]).touch()
    (folder / "replacement_for_corrupted_k400").mkdir()
    for split in ("replacement_for_corrupted_k400", "train"):
        (folder / split / names[2]).write_bytes(film.read_bytes())
    dataset = open_dataset(folder)
    assert [video.path.parent.name for video in dataset.videos] == [
        "other",
        "replacement_for_corrupted_k400",
    ]
    assert [video.path.name for video in dataset.missing] == [names[1]]
    plant(
        {
            "t.csv": [
                "path,label,split",
                f"train/{names[1]},sit,train",
                f"train/{names[2]},sit,train",
            ]
        }
    )
    assert len(open_dataset(folder / "t.csv").missing) == 1


def test_the_lists_of_slowfast_may_name_a_video_for_val_and_test(plant):
    texts = {f"{part}.csv": ["y.mp4 1"] for part in ("val", "test")}
    texts |= {"train.csv": ["x.mp4 0"], "classids.json": '{"A": 0, "B": 1}'}
    folder = plant(texts, ["x.mp4", "y.mp4"])
    dataset = open_dataset(folder)
    assert {(v.path.name, v.label, v.split) for v in dataset.videos} == {
        ("x.mp4", "A", "train"),
        ("y.mp4", "B", "val"),
        ("y.mp4", "B", "test"),
    }
    dataset.write_table(folder / "copy/t.csv")
    assert len(open_dataset(folder / "copy/t.csv")) == 3
    plant({"train.csv": ["x.mp4 0", "y.mp4 1"]})
    with pytest.raises(DatasetError, match=r"y.mp4 is already in .*"):
        open_dataset(folder)


# The shared cases


@pytest.mark.parametrize(
    ("case", "wanted"),
    [
        ("mmaction_rawframes", {"abseiling": 1, "air drumming": 1}),
        ("k700_json", {"javelin throw": 1, "flipping pancake": 1}),
        ("semicolon/t.csv", {"jump": 1}),
        ("semicolon/t2.csv", {"jump": 1}),
        ("keras_example", {"jump": 1}),
        ("slowfast_classids", {"ClassA": 1, "ClassB": 2}),
        (
            "cvdf_k400",
            {"abseiling": 2, "air drumming": 1, "passing American football (in game)": 1},
        ),
    ],
)
def test_the_shared_layouts(shared, case, wanted):
    dataset = open_dataset(shared / "cases" / case)
    labels = [video.label for video in dataset.videos]
    assert {label: labels.count(label) for label in set(labels)} == wanted
    if case == "mmaction_rawframes":
        assert [len(list(read_frames(v.path, fps=25))) for v in dataset.videos] == [40, 40]
    if case == "cvdf_k400":
        assert {video_info(video.path).width for video in dataset.videos}
