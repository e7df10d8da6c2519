"""The doors of dataset lists and of label files: text in many forms."""

import json

from fuzz.door import Door
from fuzz.doors.videos import write_coded
from fuzz.mutations import STAND_IN

FILM = "a video"  # is written as one, and opened to know its length

NAMES = ("v_Sit_g01_c01.avi", "v_Stand_g01_c01.avi", "v_Sit_g02_c01.avi", "v_Stand_g02_c02.avi")
ANNOTATIONS = {
    "a": {"annotations": {"label": "sit", "segment": [0.0, 10.0]}, "subset": "train"},
    "b": {"annotations": {"label": "stand", "segment": [5.0, 15.0]}, "subset": "val"},
}
# {dataset: {file: text}}; files without text stand for videos.
LISTS = {
    "table": {
        "videos.csv": "path,label,split\na.avi,sit,train\nb.avi,stand,test\nc.avi,sit,train\n",
        **dict.fromkeys(("a.avi", "b.avi", "c.avi")),
    },
    "semicolons": {
        "videos.csv": 'path;label;split\na.avi;"sit; down";train\nb.avi;stand up;val\n',
        **dict.fromkeys(("a.avi", "b.avi")),
    },
    "multi_label": {
        "videos.csv": 'path,labels,split\na.avi,"sit;wave",train\nb.avi,stand,val\nc.avi,,train\n',
        "labels.txt": "sit\nstand\nwave\n",
        **dict.fromkeys(("a.avi", "b.avi", "c.avi")),
    },
    "times": {
        "videos.csv": "path,label,start,end,split\na.avi,sit,0,1.5,train\na.avi,stand,2,3,val\n",
        "a.avi": None,
    },
    "kinetics": {
        "train.csv": "label,youtube_id,time_start,time_end,split\n"
        "abseiling,AbCdEfGhIjK,5,15,train\nair drumming,-bCdEfGhIjK,0,10,train\n",
        "val.csv": "label,youtube_id,time_start,time_end,split\nabseiling,CbCdEfGhIjK,5,15,val\n",
        "AbCdEfGhIjK_000005_000015.avi": None,
        "-bCdEfGhIjK_000000_000010.avi": None,
        "CbCdEfGhIjK_000005_000015.avi": None,
    },
    "kinetics_json": {
        "train.json": json.dumps(
            {"AbCdEfGhIjK": {**ANNOTATIONS["a"], "duration": 10.0, "url": "https://example.org/a"}}
        ),
        "AbCdEfGhIjK_000000_000010.avi": None,
    },
    "activity_net": {
        "activity_net.json": json.dumps(
            {
                "database": {
                    "AbCdEfGhIjK": {
                        "subset": "training",
                        "duration": 2.0,
                        "annotations": [
                            {"label": "sit", "segment": [0.2, 0.7]},
                            {"label": "stand", "segment": [1, 1.5]},
                        ],
                    }
                }
            }
        ),
        "v_AbCdEfGhIjK.mp4": FILM,
    },
    "something": {
        "something-something-v2-labels.json": json.dumps({"Pushing [something]": "0"}),
        "something-something-v2-train.json": json.dumps(
            [{"id": "1", "label": "pushing cup", "template": "Pushing [something]"}]
        ),
        "1.avi": None,
    },
    "wlasl": {
        "WLASL.json": json.dumps(
            [
                {
                    "gloss": "book",
                    "instances": [
                        {"video_id": "69241", "frame_start": 1, "frame_end": -1, "split": "train"},
                        {
                            "video_id": "65225",
                            "fps": 25,
                            "frame_start": 9,
                            "frame_end": 30,
                            "split": "val",
                            "url": "https://www.youtube.com/watch?v=AbCdEfGhIjK",
                        },
                    ],
                }
            ]
        ),
        "69241.avi": None,
        "65225.avi": None,
    },
    "ucf101": {
        "classInd.txt": "1 Sit\n2 Stand\n",
        "trainlist01.txt": "Sit/v_Sit_g01_c01.avi 1\nStand/v_Stand_g01_c01.avi 2\n",
        "testlist01.txt": "Sit/v_Sit_g02_c01.avi\nStand/v_Stand_g02_c02.avi\n",
        **{f"{name.split('_')[1]}/{name}": None for name in NAMES},
    },
    "hmdb51": {
        "sit_test_split1.txt": "a.avi 1\nb.avi 2\n",
        "stand_test_split1.txt": "c.avi 1\nd.avi 0\n",
        **dict.fromkeys(("sit/a.avi", "sit/b.avi", "stand/c.avi", "stand/d.avi")),
    },
    "list": {
        "train_list.txt": "a.avi 0\nb.avi 1\n",
        "val_list.txt": "c.avi 1\n",
        "labels.txt": "sit\nstand\n",
        **dict.fromkeys(("a.avi", "b.avi", "c.avi")),
    },
    "slowfast": {
        "train.csv": "a.avi 0\nb.avi 1\n",
        "val.csv": "c.avi 1\n",
        "classids.json": json.dumps({"sit": 0, "stand": 1}),
        **dict.fromkeys(("a.avi", "b.avi", "c.avi")),
    },
    "folders": {"train/sit/a.avi": None, "train/stand/b.avi": None, "val/sit/c.avi": None},
}
LABELS = {
    "lines.txt": "abseiling\nair drumming\nsit, down\n",
    "numbered.txt": "0 abseiling\n1 air drumming\n2 sit, down\n",
    "after.txt": "abseiling,1\nair drumming,2\n",
    "table.csv": "id,name\n0,abseiling\n1,air drumming\n",
    "quoted.csv": 'name,id\n"sit, down",1\nstand,2\n',
    "list.json": '["abseiling", "air drumming"]',
    "map.json": '{"0": "abseiling", "1": "air drumming"}',
    "ids.json": '{"abseiling": 0, "air drumming": 1}',
    "hub.json": '{"id2label": {"0": "sit", "1": "stand"}, "label2id": {"sit": 0, "stand": 1}}',
    "map.pbtxt": 'item {\n  name: "sit"\n  id: 1\n}\nitem {\n  name: "stand"\n  id: 2\n}\n',
    "list.txt": "- sit\n- stand\n",
}


def _plant_lists(folder):
    for name, files in LISTS.items():
        for file, text in files.items():
            path = folder / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(STAND_IN if text is None else text.encode())
            if text is FILM:
                write_coded(path, "libx264", "yuv420p", count=50)


def _read_lists(folder):
    from kinetics_i3d.data.datasets import find_videos, open_dataset

    dataset = open_dataset(folder)
    for file in folder.glob("*.csv"):
        find_videos(file)
    rows = [
        (str(video.location), tuple(video.classes), video.split)
        for video in (*dataset.videos, *dataset.missing)
    ]
    dataset.shared_sources()
    for split in dataset.splits:
        dataset.split(split)
    return dataset.labels, dataset.split_sizes(), rows


def _list_problem(seed, result, forged):
    labels, sizes, rows = result
    wrong = label_problem(None, labels, forged)
    if wrong:
        return wrong
    for _, classes, _ in rows:
        if not set(classes) <= set(labels):
            return f"{classes} are none of {labels}"
    return None if all(size > 0 for size in sizes.values()) else f"an empty split: {sizes}"


def _plant_labels(folder):
    for name, text in LABELS.items():
        (folder / name).mkdir()
        (folder / name / name).write_text(text)


def _read_labels(folder):
    from kinetics_i3d.core.label_files import read_labels

    return read_labels(next(folder.iterdir(), folder / "none.txt"))


def label_problem(seed, labels, forged):
    """What is wrong with class names that were accepted."""
    if not labels or len(set(labels)) != len(labels):
        return f"labels {labels!r:.100}"
    for label in labels:
        if not isinstance(label, str) or not label.strip() or len(label.splitlines()) != 1:
            return f"the label {label!r:.60}"
        if any(0xD800 <= ord(letter) < 0xE000 for letter in label) or "\0" in label:
            return f"the label {label!r:.60} has a zero byte or half a letter"
    return None


DOORS = [
    Door("lists", _plant_lists, _read_lists, _list_problem),
    Door("labels", _plant_labels, _read_labels, label_problem),
]
