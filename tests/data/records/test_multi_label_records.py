"""Records of videos with several labels or none: their bytes, manifest, resumption and clips."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

from kinetics_i3d.core.clip_spec import ClipSpec
from kinetics_i3d.core.errors import DatasetError
from kinetics_i3d.core.stream_specs import StreamSpecs
from kinetics_i3d.data.datasets import open_dataset
from kinetics_i3d.data.records.prepare import PrepareConfig, prepare, verify_records
from kinetics_i3d.data.records.reader import Records, parse_record
from kinetics_i3d.data.records.shards import write_shard
from kinetics_i3d.data.video_clips import targets_of
from kinetics_i3d.video.writer import write_video

SPEC = ClipSpec("small", fps=25.0, short_side=32, size=32)
CONFIG = PrepareConfig(streams=("rgb",), spec=SPEC, shard_size=2)
ROWS = {"a": "sit;wave", "b": "wave", "c": "", "d": "run;wave;sit", "e": "run"}


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A table of five gray videos; of the third no label is known."""
    folder = tmp_path_factory.mktemp("videos")
    lines = ["path,labels,split"]
    for number, (name, labels) in enumerate(ROWS.items()):
        gray = np.full((6, 40, 48, 3), 20 + 40 * number, np.uint8)
        write_video(folder / f"{name}.mp4", gray, fps=25)
        lines.append(f"{name}.mp4,{labels},{'test' if name == 'e' else 'train'}")
    (folder / "videos.csv").write_text("\n".join(lines) + "\n")
    return folder / "videos.csv"


@pytest.fixture(scope="module")
def dataset(table):
    return open_dataset(table)


@pytest.fixture(scope="module")
def prepared(dataset, tmp_path_factory):
    folder = tmp_path_factory.mktemp("records")
    prepare(dataset, folder, CONFIG, workers=1)
    return folder


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_manifest_states_the_layout_and_counts_each_label(prepared):
    fields = json.loads((prepared / "manifest.json").read_text())
    assert fields["format"] == 2 and fields["settings"]["multi_label"] is True
    assert fields["splits"]["train"]["records"] == 4
    records = Records(prepared)
    assert records.multi_label and records.split("train").multi_label
    assert len(records) == 5 and len(records.split("train")) == 4
    assert records.class_counts() == {"run": 2, "sit": 2, "wave": 3}
    assert records.split("train").class_counts() == {"run": 1, "sit": 2, "wave": 3}
    assert verify_records(prepared) == []


def test_finished_shards_of_several_labels_are_not_written_again(dataset, tmp_path):
    videos = [(video.path.name, video) for video in dataset.videos[:2]]
    path, identity = tmp_path / "train-00000-of-00001.tfrecord", "0" * 64
    first = write_shard(path, videos, dataset.labels, CONFIG, identity)
    written = path.stat().st_mtime_ns
    assert write_shard(path, videos, dataset.labels, CONFIG, identity) == first
    assert path.stat().st_mtime_ns == written


def test_records_hold_all_labels_under_the_names_of_media_sequence(prepared, dataset):
    classes_by_name = {}
    for path, _ in Records(prepared).shards("train"):
        for raw in tf.data.TFRecordDataset(str(path)):
            context = tf.train.SequenceExample.FromString(raw.numpy()).context.feature
            indices = tuple(context["clip/label/index"].int64_list.value)
            names = [label.decode() for label in context["clip/label/string"].bytes_list.value]
            assert names == [dataset.labels[index] for index in indices]
            parsed = parse_record(raw, streams=("rgb",), classes=3)
            classes_by_name[parsed["name"].numpy().decode()] = parsed["label"].numpy().tolist()
    assert dataset.labels == ("run", "sit", "wave")
    assert classes_by_name == {
        "a.mp4": [0.0, 1.0, 1.0],
        "b.mp4": [0.0, 0.0, 1.0],
        "c.mp4": [0.0, 0.0, 0.0],
        "d.mp4": [1.0, 1.0, 1.0],
    }


@pytest.mark.slow
def test_clips_have_the_targets_of_the_videos_themselves(prepared, dataset):
    """The gray of a clip tells which video it shows."""
    expected = targets_of(dataset, dataset.videos)
    options = {"specs": StreamSpecs(SPEC), "frames": 4, "workers": 1}
    for source in (Records(prepared).split("train"), dataset.split("train")):
        clips = source.random_clips(**options)
        assert clips.element_spec[2].dtype == tf.float32
        seen = set()
        for clip, _, label, _ in clips.take(8):
            number = round((float(np.mean(clip["rgb"])) - 20) / 40)
            np.testing.assert_array_equal(label, expected[number])
            seen.add(number)
        assert seen == {0, 1, 2, 3}


def test_stopped_preparation_resumes_with_the_missing_shards(prepared, dataset, tmp_path):
    class StoppedError(Exception):
        pass

    def stop(done):
        if done >= 4:
            raise StoppedError

    with pytest.raises(StoppedError):
        prepare(dataset, tmp_path, CONFIG, workers=1, progress=stop)
    assert len(list(tmp_path.glob("*.tfrecord"))) == 2
    done = []
    prepare(dataset, tmp_path, CONFIG, workers=1, progress=done.append)
    assert done[0] == 3 and content(tmp_path) == content(prepared)


def test_other_labels_of_a_video_are_another_dataset(prepared, dataset, tmp_path):
    shutil.copytree(prepared, tmp_path, dirs_exist_ok=True)
    first = dataclasses.replace(dataset.videos[0], labels=("sit",))
    other = dataclasses.replace(dataset, videos=(first, *dataset.videos[1:]))
    with pytest.raises(DatasetError, match=r"videos\.train\.digest is"):
        prepare(other, tmp_path, CONFIG)
    alone = [dataclasses.replace(video, labels=None, label="run") for video in dataset.videos]
    with pytest.raises(DatasetError, match="multi_label is true, requested is null"):
        prepare(dataclasses.replace(dataset, videos=tuple(alone)), tmp_path, CONFIG)
    assert content(tmp_path) == content(prepared)


@pytest.mark.parametrize("change", [{"format": 1}, {"format": 3}])
def test_wrong_format_of_several_labels_is_refused(prepared, tmp_path, change):
    shutil.copytree(prepared, tmp_path, dirs_exist_ok=True)
    fields = json.loads((tmp_path / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps(fields | change))
    with pytest.raises(DatasetError, match=f"format {change['format']} is not 2"):
        Records(tmp_path)


@pytest.mark.slow
def test_records_written_before_several_labels_are_read(dataset, tmp_path):
    """Records of one label carry neither the new field nor the new format."""
    alone = [dataclasses.replace(video, labels=None, label="run") for video in dataset.videos]
    records = prepare(dataclasses.replace(dataset, videos=tuple(alone)), tmp_path, CONFIG)
    fields = json.loads((tmp_path / "manifest.json").read_text())
    assert fields["format"] == 1 and "multi_label" not in fields["settings"]
    assert not records.multi_label
    clip = next(
        iter(records.split("train").random_clips(specs=StreamSpecs(SPEC), frames=4, workers=1))
    )
    assert clip[2].dtype == tf.int64 and int(clip[2]) == 0
