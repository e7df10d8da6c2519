"""Clips of rgb and flow: from videos and from records, each frame with its own flow, shared out."""

import dataclasses
import functools
import logging
from fractions import Fraction

import numpy as np
import pytest
import tensorflow as tf

from kinetics_i3d.core.clip_spec import ClipSpec
from kinetics_i3d.core.errors import DatasetError, VideoError
from kinetics_i3d.core.stream_specs import StreamSpecs
from kinetics_i3d.data import pipeline, streams, transforms
from kinetics_i3d.data.datasets import open_dataset
from kinetics_i3d.data.pipeline import augmentation, training_clips
from kinetics_i3d.data.records import shards
from kinetics_i3d.data.records.clips import record_clips
from kinetics_i3d.data.records.prepare import PrepareConfig, prepare
from kinetics_i3d.data.records.reader import RecordSplit
from kinetics_i3d.data.streams import count_frames, read_streams, read_window
from kinetics_i3d.data.video_dataset import Video, VideoDataset
from kinetics_i3d.flow import cache as flow_cache
from kinetics_i3d.flow.cache import FlowFileError, write_flow_file
from kinetics_i3d.flow.info import flow_path
from kinetics_i3d.flow.settings import FlowSettings
from kinetics_i3d.video.reader import read_frames

pytestmark = pytest.mark.slow  # each trains or runs whole networks

SPEC = ClipSpec("coded", short_side=64, size=64)
BOTH = ("rgb", "flow")
LENGTHS = (5, 8, 11, 9, 10, 7, 12)
SETTINGS = FlowSettings("farneback")


def numbered(path, *, spec, settings=None, start=0.0, workers=None):
    """Stands in for `read_both`: the flow from frame k on has the codes (k, 255 - k)."""
    frames = list(read_frames(path, start=start, **spec.reading))
    for index, frame in enumerate(frames):
        number = index + round(start * spec.fps)
        pair = np.array([number, 255 - number], np.float32)
        flow = np.broadcast_to((2 * pair - 255) / 255 * 20, (*frame.shape[:2], 2))
        yield frame, None if index + 1 == len(frames) else flow


@pytest.fixture(autouse=True)
def known_flow(monkeypatch):
    for module in (flow_cache, streams, shards):
        monkeypatch.setattr(module, "read_both", numbered)


@pytest.fixture(scope="module")
def plain(tmp_path_factory, coded_video):
    """Videos of 5 to 12 frames, (number of the video) * 1000 + frame, without flow files."""
    videos = []
    for index, frames in enumerate(LENGTHS):
        path = coded_video(frames, first=1000 * index)
        videos.append(Video(path, "abc"[index % 3], "train", str(index)))
    return VideoDataset("coded", ("a", "b", "c"), tuple(videos))


@pytest.fixture
def stored(plain, tmp_path):
    """The same, with flow files beside them."""
    videos = []
    for video in plain.videos:
        path = tmp_path / video.path.name
        path.write_bytes(video.path.read_bytes())
        write_flow_file(path, spec=SPEC, settings=SETTINGS)
        videos.append(dataclasses.replace(video, path=path))
    return dataclasses.replace(plain, videos=tuple(videos))


@pytest.fixture(scope="module")
def records(plain, tmp_path_factory):
    """(shard_size=2, spec=SPEC, streams=BOTH) -> the same as records, only to be read."""

    @functools.cache
    def make(shard_size=2, spec=SPEC, streams=BOTH):
        config = PrepareConfig(
            streams=streams, spec=spec, flow=SETTINGS, quality=98, shard_size=shard_size
        )
        return prepare(plain, tmp_path_factory.mktemp("records"), config).split("train")

    return make


def keep(clip, seed):
    """An augmentation that changes nothing but the type."""
    del seed
    return tf.nest.map_structure(lambda part: tf.cast(part, tf.float32), clip)


def take(source, count, *, streams=BOTH, **options):
    settings = {"spec": SPEC, "frames": 4, "batch_size": 1, "augment": keep, **options}
    return list(training_clips(source, streams=streams, **settings).take(count).as_numpy_iterator())


def same(one, other):
    pairs = zip(tf.nest.flatten(one), tf.nest.flatten(other), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


def flow_numbers(flow):
    """The numbers that clips of `numbered` flow tell; both channels have to."""
    middle = flow[:, 8:-8, 8:-8].mean(axis=(1, 2)).round().astype(int)
    assert np.abs(middle.sum(axis=-1) - 255).max() <= 2  # JPEG moves a code by one
    return middle[:, 0].tolist()


@pytest.mark.parametrize("kind", ["plain", "stored", "records"])
def test_each_frame_comes_with_its_own_flow(kind, request, numbers):
    source = request.getfixturevalue(kind)
    source = source() if kind == "records" else source
    seen, starts = [], set()
    for clips, targets in take(source, 21):
        assert clips["rgb"].shape == (1, 4, 64, 64, 3)
        assert clips["flow"].shape == (1, 4, 64, 64, 2)
        shown = numbers(clips["rgb"][0])
        video, first = divmod(shown[0], 1000)
        assert targets[0].tolist() == np.eye(3)[video % 3].tolist()
        assert shown == list(range(shown[0], shown[0] + 4))
        slack = 1 if kind == "records" else 0
        assert (
            np.abs(np.subtract(flow_numbers(clips["flow"][0]), range(first, first + 4))).max()
            <= slack
        )
        assert first + 4 <= LENGTHS[video] - 1  # the last frame has no flow
        seen.append(video)
        starts.add((video, first))
    rounds = [seen[at : at + 7] for at in (0, 7, 14)]
    assert all(sorted(each) == list(range(7)) for each in rounds)
    assert len({tuple(each) for each in rounds}) == 3
    assert len(starts) > 9


@pytest.mark.parametrize("kind", ["plain", "stored", "records"])
def test_every_start_that_has_flow_to_the_end_is_drawn(kind, request, numbers):
    source = request.getfixturevalue(kind)
    source = source() if kind == "records" else source
    found: dict = {index: set() for index in range(7)}
    for clips, _ in take(source, 40, batch_size=7, streams=BOTH, frames=6):
        for clip in clips["rgb"]:
            video, first = divmod(numbers(clip[:1])[0], 1000)
            found[video].add(first)
    assert found == {index: set(range(max(1, length - 6))) for index, length in enumerate(LENGTHS)}


@pytest.mark.parametrize("kind", ["plain", "stored", "records"])
def test_short_videos_are_looped_in_both_streams(kind, request, numbers):
    source = request.getfixturevalue(kind)
    source = source() if kind == "records" else source
    for clips, _ in take(source, 7, frames=14):
        shown = [number % 1000 for number in numbers(clips["rgb"][0])]
        length = LENGTHS[numbers(clips["rgb"][0])[0] // 1000] - 1
        assert shown == [index % length for index in range(14)]
        assert np.abs(np.subtract(flow_numbers(clips["flow"][0]), shown)).max() <= 1


HALF = {
    "rgb": dataclasses.replace(SPEC, fps=12.5),
    "flow": dataclasses.replace(SPEC, stream="flow"),
}


@pytest.mark.parametrize("kind", ["plain", "stored", "records"])
@pytest.mark.parametrize("frames", [2, 6, 14])
def test_a_slower_rgb_begins_each_stack_of_flow(kind, frames, request, numbers):
    """The same start as at equal rates, of rgb every second frame, in looped videos too."""
    source = request.getfixturevalue(kind)
    source = source() if kind == "records" else source
    even = take(source, 14, frames=frames, seed=5)
    for (clips, targets), (dense, same_targets) in zip(
        take(source, 14, frames=frames, seed=5, spec=HALF), even, strict=True
    ):
        assert clips["rgb"].shape[1] == frames // 2 and clips["flow"].shape[1] == frames
        shown = [number % 1000 for number in numbers(clips["rgb"][0])]
        video, first = divmod(numbers(dense["rgb"][0])[0], 1000)
        expected = (first + np.arange(frames)) % (LENGTHS[video] - 1)
        assert shown == expected[::2].tolist()
        flows = flow_numbers(clips["flow"][0])
        assert np.abs(np.subtract(flows, expected)).max() <= (kind == "records")
        assert same(clips["flow"], dense["flow"]) and same(targets, same_targets)
    with pytest.raises(ValueError, match="`frames` must be a multiple of 2"):
        take(source, 1, frames=frames + 1, spec=HALF)


def test_rgb_alone_is_thinned_from_faster_records(records, numbers):
    """As an LSTM reads them, one frame in three, from every start that leaves room."""
    source = records(streams=("rgb",))
    spec = dataclasses.replace(SPEC, fps=25 / 3)
    found: dict = {index: set() for index in range(7)}
    for clips, _ in take(source, 60, batch_size=7, streams=("rgb",), spec=spec, frames=3):
        for clip in clips:
            shown = numbers(clip)
            video, first = divmod(shown[0], 1000)
            expected = (first + np.arange(0, 9, 3)) % LENGTHS[video]
            assert [number % 1000 for number in shown] == expected.tolist()
            found[video].add(first)
    assert found == {index: set(range(max(1, length - 8))) for index, length in enumerate(LENGTHS)}


def test_only_the_frames_of_a_slower_stream_are_decoded(records, monkeypatch):
    counted = []
    decoder = record_clips.__globals__["decode_frames"]

    def spy(jpegs):
        tf.py_function(lambda n: counted.append(int(n)), [tf.shape(jpegs)[0]], [])
        return decoder(jpegs)

    monkeypatch.setitem(record_clips.__globals__, "decode_frames", spy)
    list(pipeline.decoded_clips(records(), specs=StreamSpecs(HALF), frames=4, workers=1).take(5))
    assert set(counted) == {2}


def test_flow_alone_is_a_tensor_and_needs_no_pictures(stored, monkeypatch):
    expected = [clips["flow"] for clips, _ in take(stored, 7)]
    monkeypatch.setattr(streams, "read_frames", None)
    found = [clips for clips, _ in take(stored, 7, streams=("flow",))]
    assert found[0].shape == (1, 4, 64, 64, 2) and same(found, expected)


def test_the_flow_of_videos_is_that_of_their_files(plain, stored):
    assert same(take(plain, 7, seed=3), take(stored, 7, seed=3))


@pytest.mark.parametrize("kind", ["plain", pytest.param("records", marks=pytest.mark.long)])
def test_a_seed_gives_the_same_batches_whatever_the_workers(kind, request):
    source = request.getfixturevalue(kind)
    source = source() if kind == "records" else source
    small = ClipSpec("small", short_side=64, size=32)
    options = {"spec": small, "augment": augmentation(StreamSpecs(small, BOTH)), "mixup": 0.4}
    one = take(source, 6, batch_size=3, workers=1, seed=3, **options)
    assert same(one, take(source, 6, batch_size=3, workers=4, seed=3, **options))
    assert same(one, take(source, 6, batch_size=3, seed=3, **options))
    assert not same(one, take(source, 6, batch_size=3, seed=4, **options))
    for clips, _ in one:
        for part in clips.values():
            assert part.dtype == np.float32 and part.min() >= -1 and part.max() <= 1


@pytest.mark.parametrize(
    ("kind", "shard_size"),
    [("plain", 0), ("records", 2), pytest.param("records", 7, marks=pytest.mark.long)],
)
def test_shares_are_disjoint_and_together_complete(kind, shard_size, request, numbers):
    source = request.getfixturevalue(kind)
    source = source(shard_size) if kind == "records" else source
    shares, draws = [], []
    for index in range(3):
        clips = [clips["rgb"][0] for clips, _ in take(source, 9, shard=(index, 3), frames=1)]
        shown = [numbers(clip)[0] for clip in clips]
        share = {number // 1000 for number in shown}
        size = len(share)
        for at in range(0, 9 - size, size):  # each pass of a share is all of it
            assert {number // 1000 for number in shown[at : at + size]} == share
        shares.append(share)
        draws.append(shown)
    assert sorted(video for share in shares for video in share) == list(range(7))
    assert max(map(len, shares)) <= 3


def test_shares_draw_their_own_numbers(coded_video):
    path = coded_video(200)
    videos = tuple(Video(path, "a", "train", str(index)) for index in range(2))
    dataset = VideoDataset("two", ("a",), videos)
    one, other = (take(dataset, 4, streams=("rgb",), shard=(index, 2)) for index in (0, 1))
    assert not any(same(a, b) for a in one for b in other)


@pytest.mark.parametrize("shard", [(2, 2), (-1, 2), (0, 0), (0, 8)])
@pytest.mark.parametrize("kind", ["plain", "records"])
def test_shares_that_cannot_be(kind, shard, request):
    source = request.getfixturevalue(kind)
    with pytest.raises(ValueError, match="`shard` must"):
        take(source() if kind == "records" else source, 1, shard=shard)


def test_only_the_frames_of_the_clip_are_decoded(records, monkeypatch):
    counted = []
    plain_decoder = record_clips.__globals__["decode_frames"]

    def spy(jpegs):
        tf.py_function(lambda n: counted.append(int(n)), [tf.shape(jpegs)[0]], [])
        return plain_decoder(jpegs)

    monkeypatch.setitem(record_clips.__globals__, "decode_frames", spy)
    source = records(streams=("rgb",))
    list(pipeline.decoded_clips(source, specs=StreamSpecs(SPEC), frames=3, workers=1).take(5))
    assert set(counted) == {3}


def test_records_are_what_the_videos_hold(plain, records):
    """JPEG of quality 98 apart: the same frames for the same video."""
    source = records(streams=("rgb",))
    by_first = {}
    for clips, _ in take(plain, 7, streams=("rgb",), frames=12):
        by_first[clips[0, 0].tobytes()] = clips[0]
    for clips, _ in take(source, 7, streams=("rgb",), frames=12):
        nearest = min(np.abs(clips[0] - clip).mean() for clip in by_first.values())
        assert nearest < 3  # of 255; black and white squares are hard for JPEG


def test_larger_records_are_shrunk_with_their_motion(tmp_path, coded_video, numbers):
    dataset = VideoDataset("one", ("a",), (Video(coded_video(9), "a", "train", "x"),))
    config = PrepareConfig(spec=SPEC, flow=SETTINGS)
    source = prepare(dataset, tmp_path / "out", config).split("train")
    half = ClipSpec("half", short_side=32, size=32)
    plain, ((clips, _),) = take(source, 1), take(source, 1, spec=half)
    assert clips["rgb"].shape == (1, 4, 32, 32, 3) and clips["flow"].shape == (1, 4, 32, 32, 2)
    assert numbers(clips["rgb"][0]) == numbers(plain[0][0]["rgb"][0])
    full = transforms.flow_values(plain[0][0]["flow"].astype(np.uint8)).numpy()
    np.testing.assert_allclose(
        clips["flow"].mean(axis=(2, 3)), full.mean(axis=(2, 3)) / 2, atol=1e-3
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fps": 12.5}, "prepared with fps 25.0, but 12.5 is needed"),
        ({"fps": 50}, "prepared with fps 25.0, but 50 is needed"),
        ({"interpolation": "area_cubic"}, "interpolation 'bilinear'"),
        ({"short_side": 80}, "short_side 64, but 80 is needed"),
    ],
)
def test_records_of_another_kind_are_refused(records, change, message):
    with pytest.raises(DatasetError, match=message):
        take(records(), 1, spec=dataclasses.replace(SPEC, **change))
    source = records(3, streams=("rgb",))
    with pytest.raises(DatasetError, match="not flow; kinetics-i3d prepare --streams"):
        take(source, 1)


def test_flow_files_of_another_kind_are_refused_at_once(stored):
    half = ClipSpec("half", short_side=32, size=32)
    with pytest.raises(FlowFileError, match="short_side is 64, requested is 32"):
        take(stored, 1, spec=half)


def test_missing_flow_files_are_reported_and_damaged_ones_skipped(stored, caplog, numbers):
    paths = [flow_path(video.path) for video in stored.videos]
    paths[1].write_bytes(paths[1].read_bytes()[:300])
    write_flow_file(
        stored.videos[2].path, spec=SPEC, settings=dataclasses.replace(SETTINGS, bound=10.0)
    )
    paths[3].unlink()
    with caplog.at_level(logging.WARNING, logger="absl"):
        shown = [numbers(clips["rgb"][0])[0] // 1000 for clips, _ in take(stored, 10)]
    assert set(shown) == {0, 3, 4, 5, 6}
    assert "1 of 7 videos have no flow file" in caplog.text
    assert f"skipped: {paths[1]}" in caplog.text and "bound is 10.0" in caplog.text


def test_a_single_frame_has_no_flow(coded_video, caplog):
    path = coded_video(1)
    with pytest.raises(VideoError, match="single frame has no flow"):
        read_window(path, StreamSpecs(SPEC, BOTH), frames=4, position=0.0)
    assert count_frames(path, StreamSpecs(SPEC, BOTH)) == 0


def test_a_header_that_tells_of_too_much_does_not_lose_the_video(coded_video, monkeypatch, numbers):
    monkeypatch.setattr(streams, "duration", lambda path: 100.0)
    clip = read_window(coded_video(9), StreamSpecs(SPEC, BOTH), frames=4, position=1.0)
    assert numbers(clip["rgb"]) == [0, 1, 2, 3] == flow_numbers(clip["flow"])


@pytest.mark.parametrize("first", [0, 1, 31, 32, 33, 60])
def test_frames_from_any_start_keep_their_flow(coded_video, numbers, tmp_path, first):
    path = tmp_path / "long.mp4"
    path.write_bytes(coded_video(70).read_bytes())
    read = []
    for _ in range(2):  # computed, then from the file
        options = {"start": Fraction(first, 25), "settings": SETTINGS}
        found = list(read_streams(path, StreamSpecs(SPEC, BOTH), **options))
        assert numbers(frame["rgb"] for frame in found) == list(range(first, 69))
        assert flow_numbers(np.stack([frame["flow"] for frame in found])) == [*range(first, 69)]
        read.append(found)
        write_flow_file(path, spec=SPEC, settings=SETTINGS)
    assert same(*read)


def test_records_are_known_by_their_manifest(records, tmp_path, plain):
    folder = records().records.folder
    source = open_dataset(folder).split("train")
    assert isinstance(source, RecordSplit) and len(source) == 7 and source.labels == plain.labels
    with pytest.raises(DatasetError, match="no split 'test'"):
        open_dataset(folder).split("test")
    with pytest.raises(DatasetError, match="no such file or folder"):
        open_dataset(tmp_path / "none").split("train")
