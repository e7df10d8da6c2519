"""Rows with start and end: their part of the video, and nothing else, reaches every consumer."""

import dataclasses
import json
import logging
import pathlib
import types

import numpy as np
import pytest
import tensorflow as tf

import kinetics_i3d as ki3d
from kinetics_i3d.core.clip_spec import ClipSpec
from kinetics_i3d.core.errors import DatasetError
from kinetics_i3d.core.stream_specs import StreamSpecs
from kinetics_i3d.data.datasets import open_dataset
from kinetics_i3d.data.pipeline import training_clips
from kinetics_i3d.data.records.prepare import PrepareConfig, prepare
from kinetics_i3d.data.records.reader import decode_frames, parse_record
from kinetics_i3d.data.streams import count_frames, read_streams, read_window
from kinetics_i3d.data.video_dataset import Video, VideoDataset
from kinetics_i3d.data.views import video_views
from kinetics_i3d.evaluation.protocols import evaluate, networks_of
from kinetics_i3d.flow.cache import write_flow_file
from kinetics_i3d.flow.info import flow_path
from kinetics_i3d.flow.settings import FlowSettings
from kinetics_i3d.flow.stored import open_stored
from kinetics_i3d.inference.quantize import calibration_clips

SPEC = ClipSpec("coded", short_side=64, size=64)
SETTINGS = FlowSettings("farneback")
KINETICS = "label,youtube_id,time_start,time_end,split"


@pytest.fixture
def folder(coded_video, tmp_path):
    """A folder with two uploads of 4 seconds, whose frames tell their number."""
    for number, name in enumerate(("aaaaaaaaaaa", "bbbbbbbbbbb")):
        data = coded_video(100, first=1000 * number).read_bytes()
        (tmp_path / f"{name}.mp4").write_bytes(data)
    return tmp_path


@pytest.fixture
def table(folder):
    """Three parts of two files, and all of the second."""
    lines = ["path,label,split,start,end", "aaaaaaaaaaa.mp4,sit,train,0.4,0.8"]
    lines += ["aaaaaaaaaaa.mp4,stand,train,2,2.4", "bbbbbbbbbbb.mp4,sit,train,3.6,"]
    (folder / "t.csv").write_text("\n".join([*lines, "bbbbbbbbbbb.mp4,sit,train,,"]))
    return open_dataset(folder / "t.csv")


PARTS = [range(10, 20), range(50, 60), range(1090, 1100), range(1000, 1100)]


def kept(video):
    return video.path.name, video.span and dataclasses.astuple(video.span)


def test_a_table_with_start_and_end(table, folder, numbers):
    assert [kept(video)[1] for video in table.videos] == [(0.4, 0.8), (2, 2.4), (3.6, None), None]
    assert str(table.videos[0].location) == f"{folder / 'aaaaaaaaaaa.mp4'}#t=0.4,0.8"
    assert table.videos[3].location == folder / "bbbbbbbbbbb.mp4"
    assert not table.shared_sources() and table.videos[0].source == "aaaaaaaaaaa.mp4"
    table.write_table(folder / "copy.csv")
    assert open_dataset(folder / "copy.csv").videos == table.videos


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("a.mp4,sit,train,5,5", "line 2: end must be after start. Received: '5' and '5'"),
        ("a.mp4,sit,train,x,5", "line 2: must be a time in seconds, but is 'x'"),
        ("a.mp4,sit,train,-1,5", "line 2: must be a time in seconds, but is '-1'"),
        ("a.mp4,sit,train,1,2\na.mp4,run,test,1,2", "line 3: a.mp4 is already in line 2"),
    ],
)
def test_wrong_times_are_named_by_their_line(tmp_path, row, why):
    (tmp_path / "t.csv").write_text(f"path,label,split,start,end\n{row}\n")
    with pytest.raises(DatasetError, match=why):
        open_dataset(tmp_path / "t.csv")


def test_uploads_named_by_their_id_are_cut_and_that_is_said_once(folder, caplog):
    rows = ["sit,aaaaaaaaaaa,1,2,train", "sit,bbbbbbbbbbb,0,1,train", "run,bbbbbbbbbbb,2,3,train"]
    (folder / "train.csv").write_text("\n".join([KINETICS, *rows]))
    with caplog.at_level(logging.WARNING, logger="absl"):
        dataset = open_dataset(folder)
    assert [kept(video) for video in dataset.videos] == [
        ("aaaaaaaaaaa.mp4", (1, 2)),
        ("bbbbbbbbbbb.mp4", (0, 1)),
        ("bbbbbbbbbbb.mp4", (2, 3)),
    ]
    assert caplog.text.count("3 videos are named by their id alone and are much longer") == 1


def test_files_that_are_cut_already_are_not_cut_again(folder, coded_video, caplog):
    whole = (folder / "aaaaaaaaaaa.mp4").read_bytes()
    # By its name with times, by its length, and by the name in a table of one's own.
    (folder / "ccccccccccc_000001_000002.mp4").write_bytes(whole)
    (folder / "ddddddddddd.mp4").write_bytes(coded_video(30).read_bytes())
    rows = ["sit,ccccccccccc,1,2,train", "sit,ddddddddddd,1,2,train"]
    (folder / "train.csv").write_text("\n".join([KINETICS, *rows]))
    rows = ["path,label,split,start,end", "ccccccccccc_000001_000002.mp4,sit,train,1,2"]
    (folder / "own").mkdir()
    (folder / "own/ccccccccccc_000001_000002.mp4").write_bytes(whole)
    (folder / "own/t.csv").write_text("\n".join(rows))
    with caplog.at_level(logging.WARNING, logger="absl"):
        for path in (folder / "train.csv", folder / "own"):
            assert {video.span for video in open_dataset(path).videos} == {None}
    assert not caplog.records
    # Of two pieces of one id a short file is neither.
    rows = ["sit,ddddddddddd,1,2,train", "sit,ddddddddddd,3,4,train", "sit,aaaaaaaaaaa,1,2,train"]
    (folder / "train.csv").write_text("\n".join([KINETICS, *rows]))
    dataset = open_dataset(folder / "train.csv")
    assert [kept(video) for video in dataset.videos] == [("aaaaaaaaaaa.mp4", (1, 2))]
    assert len(dataset.missing) == 2


def test_the_shared_upload_is_cut(shared):
    (video,) = open_dataset(shared / "cases/kinetics_untrimmed_id").videos
    assert kept(video) == ("AbCdEfGhIjK.mp4", (5, 15))


# The consumers


def test_training_clips_come_from_the_span(table, numbers):
    clips = training_clips(
        table,
        streams=("rgb",),
        spec=SPEC,
        frames=8,
        batch_size=1,
        augment=lambda clip, seed: tf.nest.map_structure(lambda x: tf.cast(x, tf.float32), clip),
    )
    seen = {label: set() for label in range(2)}
    for clip, target in clips.take(40).as_numpy_iterator():
        shown = numbers(clip[0])
        assert shown == list(range(shown[0], shown[0] + 8))
        seen[int(target[0].argmax())].add(shown[0])
    assert seen[1] <= set(range(50, 53)) and len(seen[1]) > 1  # as early as fits
    assert {first for first in seen[0] if first < 1000} <= set(range(10, 13))


def test_a_span_shorter_than_a_clip_is_looped(table, numbers):
    clip = training_clips(
        dataclasses.replace(table, videos=table.videos[:1]),
        streams=("rgb",),
        spec=SPEC,
        frames=16,
        batch_size=1,
        augment=lambda clip, seed: tf.nest.map_structure(lambda x: tf.cast(x, tf.float32), clip),
    )
    (batch, _), *_ = clip.take(1).as_numpy_iterator()
    assert numbers(batch[0]) == [*range(10, 20), *range(10, 16)]


def test_records_hold_the_span(table, tmp_path, numbers):
    config = PrepareConfig(streams=("rgb",), spec=SPEC, quality=95)
    records = prepare(table, tmp_path / "records", config)
    found = {}
    for path, _ in records.shards("train"):
        for record in tf.data.TFRecordDataset(str(path)):
            parsed = parse_record(record, streams=("rgb",))
            frames = decode_frames(parsed["image"]).numpy()
            found[parsed["name"].numpy().decode()] = numbers(frames)
    names = [video.location.relative_to(tmp_path).as_posix() for video in table.videos]
    assert found == dict(zip(names, map(list, PARTS), strict=True))
    assert names[0] == "aaaaaaaaaaa.mp4#t=0.4,0.8"


@pytest.mark.parametrize("view", ["center", "clips_3_crops"])
def test_views_show_the_span(table, numbers, view):
    spec = dataclasses.replace(SPEC, low=0.0, high=255.0)
    for video, part in zip(table.videos, PARTS, strict=True):
        shown = {
            number
            for clips, _ in video_views(video.location, spec=spec, view=view)
            for number in numbers(clips[0])
        }
        assert shown <= set(part)
        assert view != "center" or shown == set(part)


def test_calibration_reads_the_span(folder, table, numbers):
    model = types.SimpleNamespace(
        clip_specs={"rgb": dataclasses.replace(SPEC, low=0.0, high=255.0)}
    )
    sizes = {"rgb": (1, 10, 64, 64, 3)}
    clips = calibration_clips(folder / "t.csv", model, sizes, count=4)
    assert {numbers(clip["rgb"][0])[0] for clip in clips} == {10, 50, 1090, 1000}


# Flow


FLOW = StreamSpecs(SPEC, ("flow",))


def quantized(path, streams=("flow",)):
    frames = list(read_streams(path, StreamSpecs(SPEC, streams), settings=SETTINGS))
    return np.stack([frame["flow"] for frame in frames]), frames


def test_flow_of_a_span_is_the_same_computed_stored_or_from_the_whole(folder, numbers):
    video = folder / "aaaaaaaaaaa.mp4"
    span = f"{video}#t=0.4,0.8"
    computed, frames = quantized(span, ("rgb", "flow"))
    assert len(computed) == 9 == count_frames(span, FLOW)
    assert numbers([frame["rgb"] for frame in frames]) == list(range(10, 19))
    write_flow_file(video, spec=SPEC, settings=SETTINGS)
    assert open_stored(span, spec=SPEC) is not None
    whole, frames = quantized(span, ("rgb", "flow"))
    assert np.array_equal(whole, computed)
    assert numbers([frame["rgb"] for frame in frames]) == list(range(10, 19))
    assert count_frames(span, FLOW) == 9
    window = read_window(
        span, StreamSpecs(SPEC, ("rgb", "flow")), frames=4, position=0.999, settings=SETTINGS
    )
    assert numbers(window["rgb"]) == [15, 16, 17, 18]
    assert np.array_equal(window["flow"], computed[5:9])
    flow_path(video).unlink()
    info = write_flow_file(span, spec=SPEC, settings=SETTINGS)
    assert (info.flows, info.span) == (9, (0.4, 0.8))
    assert flow_path(span).name == "aaaaaaaaaaa.mp4.0.4-0.8s.flow.npz" and flow_path(span).is_file()
    assert np.array_equal(quantized(span)[0], computed)
    # It is nobody else's.
    for other in (video, f"{video}#t=0.4,0.9"):
        assert open_stored(other, spec=SPEC) is None


def test_flow_beyond_the_end_of_the_video(folder):
    span = f"{folder / 'aaaaaaaaaaa.mp4'}#t=3.8,9"
    computed, _ = quantized(span)
    write_flow_file(folder / "aaaaaaaaaaa.mp4", spec=SPEC, settings=SETTINGS)
    assert len(computed) == 4 and np.array_equal(quantized(span)[0], computed)
    assert count_frames(span, FLOW) == 4


# Networks


@pytest.fixture
def model(short):
    import keras

    keras.utils.set_random_seed(1)
    model = ki3d.InceptionI3D(architecture=short, classes=2, input_shape=(None, None, None, 3))
    model.clip_spec, model.labels = SPEC, ("sit", "stand")
    return model


@pytest.mark.slow
def test_evaluation_and_classification_read_the_span(table, model, coded_video, tmp_path):
    found = evaluate(model, table, cache=tmp_path / "logits")
    assert found.paths == tuple(str(video.location) for video in table.videos)
    again = evaluate(model, table, cache=tmp_path / "logits")
    np.testing.assert_array_equal(found.logits["rgb"], again.logits["rgb"])
    assert len(np.unique(found.logits["rgb"], axis=0)) == 4  # each span has its own logits
    (network,) = networks_of(model)
    marks = [json.dumps(network.fingerprint(video.location)) for video in table.videos]
    assert len(set(marks)) == 4
    named = ki3d.classify(table.videos[1].location, model)
    clip = ki3d.load_clip(table.videos[1].path, spec=SPEC, start=2, frames=10)
    logits = model.predict(clip, verbose=0)
    np.testing.assert_allclose(found.logits["rgb"][1], logits[0], atol=1e-5)
    assert named.path.endswith("#t=2,2.4")


def test_datasets_without_times_keep_their_names():
    video = Video(pathlib.Path("a.mp4"), "sit", "train", "a")
    assert video.location == video.path and len(VideoDataset("x", ("sit",), (video,))) == 1
