"""Clips of a run: resumed at any example, and one pass for validation."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

from kinetics_i3d.core.clip_spec import ClipSpec
from kinetics_i3d.core.errors import DatasetError
from kinetics_i3d.data.datasets import open_dataset
from kinetics_i3d.data.records.prepare import PrepareConfig, prepare
from kinetics_i3d.data.video_dataset import Video, VideoDataset
from kinetics_i3d.training import sources
from kinetics_i3d.training.config import TrainConfig
from kinetics_i3d.training.sources import read_batches, training_batches, validation_batches
from kinetics_i3d.video.writer import write_video

pytestmark = pytest.mark.slow  # each trains or runs whole networks

CONFIG = TrainConfig(frames=4, size=32, test_short_side=36, test_size=32, color=False)


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Seven videos of one gray each, 20, 40, ...; the third is none."""
    folder, rows = tmp_path_factory.mktemp("grays"), []
    for number in range(7):
        path = folder / f"{number}.mp4"
        if number == 2:
            path.write_text("no video")
        else:
            gray = np.full((8, 40, 48, 3), 20 + 30 * number, np.uint8)
            write_video(path, gray, fps=25)
        rows.append(Video(path, "ab"[number % 2], "train", path.name))
    return VideoDataset("grays", ("a", "b"), tuple(rows))


@pytest.fixture(scope="module")
def records(videos, tmp_path_factory):
    config = PrepareConfig(
        streams=("rgb",), spec=ClipSpec("training", short_side=36, size=32), shard_size=2
    )
    return prepare(videos, tmp_path_factory.mktemp("records"), config).split("train")


def take(source, count, config=CONFIG, streams=("rgb",), **options):
    settings = {"batch_size": 2, "seed": 5, **options}
    return list(training_batches(source, config, streams, **settings).take(count))


@pytest.mark.long
@pytest.mark.parametrize("kind", ["videos", "records"])
@pytest.mark.parametrize("mixup", [0.0, 0.4])
def test_training_batches_resume_after_any_batch(kind, mixup, request):
    source = request.getfixturevalue(kind)
    whole = take(source, 12, mixup=mixup)
    for done in (1, 3, 4, 9):
        position = int(whole[done - 1][2][-1]) + 1
        rest = take(source, 12 - done, mixup=mixup, start=(position, done))
        for one, other in zip(rest, whole[done:], strict=True):
            tf.nest.map_structure(np.testing.assert_array_equal, one, other)


@pytest.mark.parametrize("kind", ["videos", "records"])
def test_example_numbers_increase_and_skip_broken_videos(kind, request):
    found = take(request.getfixturevalue(kind), 9)
    numbers = np.concatenate([one[2] for one in found])
    assert numbers.dtype == np.int64 and (np.diff(numbers) > 0).all()
    if kind == "videos":
        assert len(numbers) == 18 and numbers[-1] > 18  # one in seven is left out


def test_validation_reads_each_video_once_and_repeatably(videos):
    passes = []
    for _ in range(2):
        seen = []
        for clips, targets, counts in validation_batches(
            videos, CONFIG, ("rgb",), batch_size=4, seed=1
        ):
            assert clips.shape == (4, 4, 32, 32, 3)
            grays = np.asarray((clips + 1) * 127.5).mean(axis=(1, 2, 3, 4)).round()
            real = counts.numpy().astype(bool)
            seen += list(zip(grays[real], targets.numpy().argmax(-1)[real], strict=True))
        passes.append(seen)
    assert passes[0] == passes[1]
    shown = sorted(passes[0])
    assert [round((gray - 20) / 30) for gray, _ in shown] == [0, 1, 3, 4, 5, 6]
    assert [label for _, label in shown] == [0, 1, 1, 0, 1, 0]


def test_validation_is_divided_among_processes(videos):
    counted = []
    for index in range(2):
        part = validation_batches(videos, CONFIG, ("rgb",), batch_size=2, seed=1, shard=(index, 2))
        counted.append(sum(int(tf.reduce_sum(counts)) for _, _, counts in part))
    assert counted == [3, 3]  # of four, one of which is broken, and of three


def test_validation_crops_the_center(tmp_path):
    picture = np.zeros((4, 36, 44, 3), np.uint8)
    picture[:, 2:34, 6:38] = 200  # the middle 32 x 32
    write_video(tmp_path / "v.mp4", picture, fps=25)
    row = Video(tmp_path / "v.mp4", "a", "train", "v")
    source = VideoDataset("one", ("a",), (row,))
    ((clips, _, _),) = validation_batches(source, CONFIG, ("rgb",), batch_size=1, seed=0)
    assert np.asarray(clips)[:, :, 3:-3, 3:-3].min() > 0.4
    assert np.asarray(clips).mean() > 0.5


def test_stride_reduces_the_rgb_frame_rate(videos, monkeypatch):
    source = dataclasses.replace(videos, videos=videos.videos[:2])
    config = dataclasses.replace(CONFIG, stride=2)
    ((alone, _, _),) = take(source, 1, config)
    assert alone.shape == (2, 4, 32, 32, 3) and config.specs(("rgb",))["rgb"].fps == 12.5
    received = {}
    monkeypatch.setattr(sources, "training_clips", lambda _, **settings: received.update(settings))
    training_batches(source, config, ("rgb", "flow"), batch_size=2, seed=0)
    assert {name: spec.fps for name, spec in received["spec"].items()} == {
        "rgb": 12.5,
        "flow": 25.0,
    }
    assert received["frames"] == 4  # of flow; of rgb half of them


def test_plain_crop_does_not_scale(tmp_path):
    stripes = np.zeros((4, 36, 36, 3), np.uint8)
    stripes[:, :, ::2] = 255
    write_video(tmp_path / "s.mp4", stripes, fps=25)
    source = VideoDataset("s", ("a",), (Video(tmp_path / "s.mp4", "a", "train", "s"),))
    contrast = {}
    for crop in ("plain", "resized"):
        config = dataclasses.replace(CONFIG, crop=crop, flip=False, area=(0.5, 0.6))
        clips = np.concatenate([one[0] for one in take(source, 4, config)])
        contrast[crop] = np.abs(np.diff(clips, axis=3)).mean()
    assert contrast["plain"] > 2 * contrast["resized"]


def rewritten(records, folder, change):
    """A copy of prepared records whose first shard is changed, and a manifest that agrees."""
    copy = shutil.copytree(records.records.folder, folder / "copy")
    path, _ = open_dataset(copy).shards("train")[0]
    path.write_bytes(change(path.read_bytes()))
    manifest = json.loads((copy / "manifest.json").read_text())
    for shard in manifest["splits"]["train"]["shards"]:
        shard["bytes"] = (copy / shard["file"]).stat().st_size
    (copy / "manifest.json").write_text(json.dumps(manifest))
    return open_dataset(copy).split("train")


def read_all(source):
    batches = training_batches(source, CONFIG, ("rgb",), batch_size=2, seed=5)
    for _ in zip(range(10), read_batches(batches, source), strict=False):
        pass


def test_damaged_record_is_one_line(records, tmp_path):
    def flip(data):
        return data[:1000] + bytes([data[1000] ^ 1]) + data[1001:]

    with pytest.raises(DatasetError) as raised:
        read_all(rewritten(records, tmp_path, flip))
    text = str(raised.value)
    assert text.startswith("copy: cannot be read (corrupted record at 12; ") and "\n" not in text


def test_record_that_announces_more_than_the_file_has_is_refused(records, tmp_path):
    def announce(data):  # with a right checksum of the length, TensorFlow would allocate it
        return (10**18).to_bytes(8, "little") + data[8:]

    with pytest.raises(DatasetError, match=r"DatasetError: .*extends beyond the end"):
        read_all(rewritten(records, tmp_path, announce))


@pytest.mark.parametrize("label", [-1, 2, 10**9])
def test_label_outside_of_the_classes_is_refused(records, tmp_path, label):
    def relabel(data):
        path = tmp_path / "relabeled"
        (tmp_path / "plain").write_bytes(data)
        with tf.io.TFRecordWriter(str(path)) as writer:
            for raw in tf.data.TFRecordDataset(str(tmp_path / "plain")).as_numpy_iterator():
                example = tf.train.SequenceExample.FromString(raw)
                example.context.feature["clip/label/index"].int64_list.value[0] = label
                writer.write(example.SerializeToString())
        return path.read_bytes()

    with pytest.raises(DatasetError, match=rf"none of 2:\] \[{label}\]"):
        read_all(rewritten(records, tmp_path, relabel))
