"""Records: their fields by name, their pictures against the video's own, and what is refused."""

import dataclasses
import hashlib
import io
import json
import threading

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kinetics_i3d.core.clip_spec import ClipSpec
from kinetics_i3d.core.errors import DatasetError, VideoError
from kinetics_i3d.data.datasets import open_dataset
from kinetics_i3d.data.records.prepare import PrepareConfig, prepare, verify_records
from kinetics_i3d.data.records.reader import (
    Records,
    decode_flow_frames,
    decode_frames,
    parse_record,
)
from kinetics_i3d.data.records.shards import encode_video
from kinetics_i3d.data.video_dataset import Video, VideoDataset
from kinetics_i3d.flow.compute import read_flow
from kinetics_i3d.flow.settings import FlowSettings
from kinetics_i3d.video.reader import read_frames
from kinetics_i3d.video.writer import write_video

SPEC = ClipSpec("small", fps=25.0, short_side=48, size=40)
FLOW = FlowSettings("farneback", bound=10.0)
CONFIG = PrepareConfig(spec=SPEC, flow=FLOW, shard_size=2)
LABELS = ("sit", "stand – ünïcode")
FRAMES = 7


def moving_picture(seed, frames=FRAMES):
    """uint8 (frames, 60, 80, 3): smooth noise, a little colored, 2 pixels a frame to the right."""
    noise = np.random.default_rng(seed).normal(0, 1, (60, 80, 3))
    noise += 4 * noise[..., :1]
    waves = np.fft.fftfreq(60)[:, None] ** 2 + np.fft.fftfreq(80)[None] ** 2
    low = np.fft.fft2(noise, axes=(0, 1)) * np.exp(-400 * waves)[..., None]
    smooth = np.fft.ifft2(low, axes=(0, 1)).real
    picture = np.clip(128 + 50 * smooth / smooth.std(), 0, 255).astype(np.uint8)
    return np.stack([np.roll(picture, 2 * shift, axis=1) for shift in range(frames)])


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    videos = []
    for number, (label, split) in enumerate(
        [(LABELS[0], "train"), (LABELS[1], "train"), (LABELS[1], "test")]
    ):
        path = folder / "in" / f"clip {number} ä.mp4"
        write_video(path, moving_picture(number), fps=25)
        videos.append(Video(path, label, split, path.stem))
    return VideoDataset("small", LABELS, tuple(videos))


@pytest.fixture(scope="module")
def prepared(dataset, tmp_path_factory):
    folder = tmp_path_factory.mktemp("records")
    prepare(dataset, folder, CONFIG, workers=2)
    return folder


@pytest.fixture(scope="module")
def record(dataset):
    """The bytes of the second video's record."""
    return encode_video(dataset.videos[1], name="in/b.mp4", labels=LABELS, config=CONFIG)


def opened(jpeg):
    """A JPEG's pixels by a decoder that is not TensorFlow's."""
    return np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB"))


def test_the_fields_have_the_names_and_types_of_media_sequence(record):
    example = tf.train.SequenceExample.FromString(record)
    context = {
        name: (value.WhichOneof("kind"), list(getattr(value, value.WhichOneof("kind")).value))
        for name, value in example.context.feature.items()
    }
    assert context == {
        "clip/label/index": ("int64_list", [1]),
        "clip/label/string": ("bytes_list", ["stand – ünïcode".encode()]),
        "clip/data_path": ("bytes_list", [b"in/b.mp4"]),
        "image/format": ("bytes_list", [b"JPEG"]),
        "image/width": ("int64_list", [64]),
        "image/height": ("int64_list", [48]),
        "image/channels": ("int64_list", [3]),
        "image/frame_rate": ("float_list", [25.0]),
        "FORWARD_FLOW/image/format": ("bytes_list", [b"JPEG"]),
        "FORWARD_FLOW/image/width": ("int64_list", [64]),
        "FORWARD_FLOW/image/height": ("int64_list", [48]),
        "FORWARD_FLOW/image/channels": ("int64_list", [3]),
        "FORWARD_FLOW/image/frame_rate": ("float_list", [25.0]),
        "FORWARD_FLOW/image/saturation": ("float_list", [10.0]),
    }
    lists = example.feature_lists.feature_list
    assert {name: len(each.feature) for name, each in lists.items()} == {
        "image/encoded": FRAMES,
        "image/timestamp": FRAMES,
        "FORWARD_FLOW/image/encoded": FRAMES - 1,
        "FORWARD_FLOW/image/timestamp": FRAMES - 1,
    }
    stamps = [each.int64_list.value[0] for each in lists["image/timestamp"].feature]
    assert stamps == [0, 40000, 80000, 120000, 160000, 200000, 240000]
    flow_stamps = lists["FORWARD_FLOW/image/timestamp"].feature
    assert [each.int64_list.value[0] for each in flow_stamps] == stamps[:-1]
    assert lists["image/encoded"].feature[0].bytes_list.value[0][:2] == b"\xff\xd8"


def test_a_rate_that_divides_no_second_is_rounded_to_microseconds(dataset):
    config = PrepareConfig(("rgb",), spec=dataclasses.replace(SPEC, fps=30.0))
    record = encode_video(dataset.videos[0], name="a", labels=LABELS, config=config)
    stamps = parse_record(record, streams=("rgb",))["timestamps"].numpy().tolist()
    assert stamps == [0, 33333, 66667, 100000, 133333, 166667, 200000, 233333]


def test_frames_are_those_of_the_video(record, dataset):
    frames = np.stack(list(read_frames(dataset.videos[1].path, fps=25, short_side=48)))
    jpegs = parse_record(record, streams=("rgb", "flow"))["image"]
    ours = decode_frames(jpegs).numpy()
    assert ours.shape == frames.shape == (FRAMES, 48, 64, 3) and ours.dtype == np.uint8
    theirs = np.stack([opened(jpeg) for jpeg in jpegs.numpy()])
    for found in (ours, theirs):
        assert np.abs(found.astype(int) - frames).mean() < 1.5
    # Each is nearest to its own frame, not to a neighbor.
    distance = np.abs(ours[:, None].astype(int) - frames[None]).mean((2, 3, 4))
    assert distance.argmin(1).tolist() == [*range(FRAMES)]


def test_flow_is_that_of_the_video_x_then_y(record, dataset):
    flows = np.stack(list(read_flow(dataset.videos[1].path, spec=SPEC, settings=FLOW)))
    quantized = np.clip(np.rint((flows / 10 + 1) * 127.5), 0, 255)
    jpegs = parse_record(record, streams=("flow",))["flow"]
    ours = decode_flow_frames(jpegs).numpy()
    assert ours.shape == quantized.shape == (FRAMES - 1, 48, 64, 2) and ours.dtype == np.uint8
    assert np.abs(ours - quantized).mean() < 0.75 and np.abs(ours - quantized).max() < 20
    pictures = np.stack([opened(jpeg) for jpeg in jpegs.numpy()])
    assert np.abs(pictures[..., :2] - quantized).mean() < 0.75
    assert pictures[..., 2].max() < 16, "blue is left empty"
    # 2 of 80 columns are 1.6 of 64: to the right, and nothing down.
    pixels = (ours / 255 * 2 - 1) * 10
    assert np.median(pixels[..., 0]) == pytest.approx(1.6, abs=0.2)
    assert np.median(pixels[..., 1]) == pytest.approx(0.0, abs=0.1)


def sampling(jpeg):
    """[(across, down)] of a baseline JPEG's components, from its frame header."""
    offset = jpeg.index(b"\xff\xc0")
    count = jpeg[offset + 9]
    return [divmod(jpeg[offset + 11 + 3 * number], 16) for number in range(count)]


def test_flow_keeps_the_resolution_of_all_its_channels(record):
    parsed = parse_record(record, streams=("rgb", "flow"))
    assert sampling(parsed["flow"].numpy()[0]) == [(1, 1)] * 3
    assert sampling(parsed["image"].numpy()[0]) == [(2, 2), (1, 1), (1, 1)]


def test_pictures_are_decoded_by_the_accurate_transform(record):
    # Pillow's libjpeg takes the accurate one by default; TensorFlow's default differs from it.
    jpegs = parse_record(record, streams=("flow",))["flow"]
    theirs = np.stack([opened(jpeg) for jpeg in jpegs.numpy()])[..., :2]
    np.testing.assert_array_equal(decode_flow_frames(jpegs), theirs)


def test_qualities_and_rounding_are_those_requested(dataset):
    def record(**changes):
        config = dataclasses.replace(CONFIG, **changes)
        bytes_ = encode_video(dataset.videos[0], name="a", labels=LABELS, config=config)
        parsed = parse_record(bytes_, streams=("rgb", "flow"))
        return [sum(map(len, parsed[name].numpy())) for name in ("image", "flow")], parsed["flow"]

    (image, flow), quantized = record()
    (low, same), _ = record(quality=50)
    assert low < 0.6 * image and same == flow
    (same, low), _ = record(flow_quality=50)
    assert low < 0.9 * flow and same == image
    # In still parts JPEG's change of color space brings both roundings to the same codes.
    cut = record(flow=dataclasses.replace(FLOW, rounding="truncate"))[1]
    assert (cut != quantized).numpy().any()
    wide = record(flow=dataclasses.replace(FLOW, bound=40.0))[1]
    motions = [decode_flow_frames(each).numpy()[..., 0] / 127.5 - 1 for each in (quantized, wide)]
    assert np.median(motions[0]) == pytest.approx(4 * np.median(motions[1]), rel=0.25)


def test_records_are_parsed_in_graphs_and_decode_only_their_clip(prepared):
    paths = [str(path) for path, _ in open_dataset(prepared).shards("train")]

    def clip(serialized):
        parsed = parse_record(serialized, streams=("rgb", "flow"))
        frames = decode_frames(parsed["image"][2:5])
        return frames, decode_flow_frames(parsed["flow"][2:5]), parsed["label"], parsed["name"]

    found = tf.data.TFRecordDataset(paths).map(clip)
    assert found.element_spec[0].shape.as_list() == [None, None, None, 3]
    assert found.element_spec[1].shape.as_list() == [None, None, None, 2]
    labels = {}
    for frames, flow, label, name in found:
        assert frames.shape == (3, 48, 64, 3) and flow.shape == (3, 48, 64, 2)
        labels[name.numpy().decode()] = int(label)
    assert labels == {"clip 0 ä.mp4": 0, "clip 1 ä.mp4": 1}


def test_a_stream_that_was_not_requested_is_not_there(dataset, record):
    config = dataclasses.replace(CONFIG, streams=("rgb",))
    lone = encode_video(dataset.videos[0], name="a", labels=LABELS, config=config)
    assert set(parse_record(lone, streams=("rgb",))) == {"image", "label", "timestamps", "name"}
    with pytest.raises(tf.errors.InvalidArgumentError, match="FORWARD_FLOW"):
        parse_record(lone, streams=("rgb", "flow"))
    config = dataclasses.replace(CONFIG, streams=("flow",))
    lone = encode_video(dataset.videos[0], name="a", labels=LABELS, config=config)
    parsed = parse_record(lone, streams=("flow",))
    assert "image" not in parsed and len(parsed["timestamps"]) == len(parsed["flow"]) == FRAMES - 1
    for wrong in ((), ("sound",)):
        with pytest.raises(ValueError, match="`streams` must be 'rgb', 'flow' or"):
            parse_record(record, streams=wrong)


def test_the_same_video_gives_the_same_bytes(dataset, record):
    again = encode_video(dataset.videos[1], name="in/b.mp4", labels=LABELS, config=CONFIG)
    assert again == record
    # A map of protobuf has an order only where one was asked for: that of the names.
    example = tf.train.SequenceExample.FromString(record)
    for fields in (example.context.feature, example.feature_lists.feature_list):
        places = [
            record.index(b"\n" + bytes([len(name)]) + name.encode()) for name in sorted(fields)
        ]
        assert places == sorted(places)


def test_a_video_is_left_as_soon_as_it_is_not_needed(dataset):
    stop = threading.Event()
    words = {"name": "a", "labels": LABELS, "config": CONFIG, "stop": stop}
    assert encode_video(dataset.videos[0], **words) is not None
    stop.set()
    assert encode_video(dataset.videos[0], **words) is None


def test_a_single_frame_has_no_flow(tmp_path):
    write_video(tmp_path / "one.mp4", moving_picture(0, frames=1), fps=25)
    video = Video(tmp_path / "one.mp4", "sit", "train", "one")
    with pytest.raises(VideoError, match=rf"^{video.path}: has only one frame; .* two$"):
        encode_video(video, name="one", labels=LABELS, config=CONFIG)
    lone = dataclasses.replace(CONFIG, streams=("rgb",))
    record = encode_video(video, name="one", labels=LABELS, config=lone)
    assert len(parse_record(record, streams=("rgb",))["image"]) == 1


def test_a_video_too_long_for_a_record_is_refused(dataset, monkeypatch):
    monkeypatch.setattr("kinetics_i3d.data.records.shards.MAX_RECORD_BYTES", 5000)
    with pytest.raises(VideoError, match="more than 2 GiB"):
        encode_video(dataset.videos[0], name="a", labels=LABELS, config=CONFIG)


def test_the_folder_tells_what_it_holds(prepared):
    records = open_dataset(str(prepared))
    assert records.labels == LABELS and records.streams == ("rgb", "flow")
    assert records.clip_spec == SPEC and records.splits == ("test", "train")
    assert FlowSettings.from_dict(records.flow) == dataclasses.replace(FLOW, backend="opencv")
    assert records.count("train") == 2 and records.count("test") == 1
    assert records.shards("train") == [(prepared / "train-00000-of-00001.tfrecord", 2)]
    assert records.failures("train") == []
    with pytest.raises(DatasetError, match=r"no split 'dev'; there are \['test', 'train'\]"):
        records.count("dev")


def edited(folder, **changes):
    fields = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(fields | changes))


def set_up(folder, **changes):
    """Changes the settings, or the fields of the spec in them."""
    settings = json.loads((folder / "manifest.json").read_text())["settings"]
    for name, value in changes.items():
        (settings["spec"] if name in settings["spec"] else settings)[name] = value
    edited(folder, settings=settings)


def split_of(classes=None, **changes):
    shard = {"file": "a.tfrecord", "records": 1, "bytes": 1, "sha256": "0"} | changes
    classes = {"sit": 1} if classes is None else classes
    return {"train": {"records": 1, "classes": classes, "failures": [], "shards": [shard]}}


DAMAGE = {
    "missing": (lambda folder: (folder / "manifest.json").unlink(), "no such manifest"),
    "empty": (lambda folder: (folder / "manifest.json").write_bytes(b""), "or damaged ("),
    "no text": (lambda folder: (folder / "manifest.json").write_bytes(b"\xff" * 9), "or damaged ("),
    "a list": (lambda folder: (folder / "manifest.json").write_text("[]"), "or damaged ("),
    "a later format": (lambda folder: edited(folder, format=3), "format 3 is not 1"),
    "the format of several labels": (lambda folder: edited(folder, format=2), "format 2 is not 1"),
    "no settings": (lambda folder: edited(folder, settings={}), "or damaged ("),
    "unfinished": (lambda folder: edited(folder, complete=False), "not finished"),
    "a wrong sum": (
        lambda folder: edited(folder, splits=split_of(records=2)),
        "are inconsistent",
    ),
    "another sum": (
        lambda folder: edited(
            folder, splits=split_of() | {"more": split_of()["train"] | {"records": 3}}
        ),
        "are inconsistent",
    ),
    "a label twice": (lambda folder: set_up(folder, labels=["sit", "sit"]), "class names must"),
    "a label that is no text": (lambda folder: set_up(folder, labels=["sit", 1]), "class names"),
    "other labels": (lambda folder: set_up(folder, labels=["stand"]), "it counts ['sit"),
    "no streams": (lambda folder: set_up(folder, streams=[]), "`streams` must be one or both"),
    "other streams": (
        lambda folder: set_up(folder, streams=["x"]),
        "`streams` must be one or both",
    ),
    "several labels, perhaps": (lambda folder: set_up(folder, multi_label=0), "`multi_label` must"),
    "a spec of flow": (lambda folder: set_up(folder, stream="flow"), "`spec` must be for rgb"),
    "a spec of text": (lambda folder: set_up(folder, fps="25"), "must have `fps` of float"),
    "a spec beyond all videos": (lambda folder: set_up(folder, fps=1e9), "`fps` must be at most"),
    "flow by text": (lambda folder: set_up(folder, flow="tvl1"), "`spec` must be for rgb, and"),
    "a size that is text": (
        lambda folder: edited(folder, splits=split_of(bytes="1")),
        "must have `bytes` of int",
    ),
    "a count that is text": (
        lambda folder: edited(folder, splits=split_of(classes={"sit": "1"})),
        "must have `sit` of int",
    ),
    "counts below zero": (
        lambda folder: edited(folder, splits=split_of(classes={"sit": 2, "stand": -1})),
        "a negative number of records",
    ),
    "a way out": (
        lambda folder: edited(folder, splits=split_of(file="../a.tfrecord")),
        "a shard outside the folder",
    ),
    "a name that no file system takes": (
        lambda folder: edited(folder, splits=split_of(file="9" * 300)),
        "the name of a shard has more than 255 bytes",
    ),
}


@pytest.fixture
def copy(prepared, tmp_path):
    for path in prepared.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


@pytest.mark.parametrize("damage", DAMAGE)
def test_another_manifest_is_refused_in_one_line_with_its_path(copy, damage):
    act, reason = DAMAGE[damage]
    act(copy)
    with pytest.raises(DatasetError) as raised:
        Records(copy)
    message = str(raised.value)
    assert message.startswith(f"{copy / 'manifest.json'}: ") and reason in message
    assert "\n" not in message


def test_a_shard_that_is_missing_is_named(copy):
    (copy / "test-00000-of-00001.tfrecord").unlink()
    with pytest.raises(DatasetError, match=r"test-00000-of-00001\.tfrecord: no such shard"):
        open_dataset(copy).shards("test")


def recorded(folder, **changes):
    """Changes what the manifest says of the train shard."""
    fields = json.loads((folder / "manifest.json").read_text())
    fields["splits"]["train"]["shards"][0] |= changes
    return fields


def test_verify_finds_every_kind_of_damage(copy):
    train = copy / "train-00000-of-00001.tfrecord"
    good = train.read_bytes()
    assert verify_records(copy) == []
    flipped = good[:5000] + bytes([good[5000] ^ 1]) + good[5001:]
    for content, reason in ((good[:-1], "bytes, not"), (flipped, "SHA-256 differs")):
        train.write_bytes(content)
        ((path, wrong),) = verify_records(copy)
        assert path == train and reason in wrong
    # Damaged before its checksum was taken: only the record's own CRC tells.
    edited(copy, **recorded(copy, sha256=hashlib.sha256(flipped).hexdigest()))
    assert [wrong for _, wrong in verify_records(copy)] == [
        "the checksum of a record does not match"
    ]
    # The first of two records alone: whole, and one too few.
    length = int.from_bytes(good[:8], "little") + 16
    half = good[:length]
    train.write_bytes(half)
    edited(copy, **recorded(copy, sha256=hashlib.sha256(half).hexdigest(), bytes=length))
    assert [wrong for _, wrong in verify_records(copy)] == ["1 records, not 2"]
    train.unlink()
    calls = []
    assert verify_records(copy, progress=calls.append) == [(train, "missing")]
    assert calls == [1, 2]


@pytest.mark.slow
def test_flow_of_real_video_survives_jpeg(shared):
    path = shared / "clips" / "cricket_shot.avi"
    video = Video(path, "sit", "train", "a")
    spec = ClipSpec("real", short_side=128, size=112)
    config = PrepareConfig(spec=spec, flow=FlowSettings("farneback"))
    record = encode_video(video, name="a", labels=LABELS, config=config)
    parsed = parse_record(record, streams=("rgb", "flow"))
    flows = np.stack(list(read_flow(path, spec=spec, settings=config.flow)))
    found = (decode_flow_frames(parsed["flow"]).numpy() / 255 * 2 - 1) * 20
    error = np.abs(found - np.clip(flows, -20, 20))
    assert error.mean() < 0.09 and np.quantile(error, 0.999) < 0.6
    frames = np.stack(list(read_frames(path, fps=25, short_side=128)))
    assert np.abs(decode_frames(parsed["image"]).numpy().astype(int) - frames).mean() < 1.8
    assert len(frames) == len(flows) + 1 == len(parsed["image"])


def test_shard_of_another_size_is_refused(copy):
    path = copy / "train-00000-of-00001.tfrecord"
    first = int.from_bytes(path.read_bytes()[:8], "little") + 16
    path.write_bytes(path.read_bytes()[:first])  # a whole record is left
    with pytest.raises(DatasetError, match=rf"{path}: has {first} bytes, but \d+ were"):
        open_dataset(copy).shards("train")
