"""Preparation: the same bytes however it went, nothing lost or doubled, and no other's settings."""

import collections
import dataclasses
import hashlib
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import tensorflow as tf

from kinetics_i3d.core.clip_spec import DEEPMIND_FLOW, ClipSpec
from kinetics_i3d.core.errors import DatasetError, UserError
from kinetics_i3d.core.locks import locked
from kinetics_i3d.data.datasets import open_dataset
from kinetics_i3d.data.records import shards as module
from kinetics_i3d.data.records.prepare import PrepareConfig, prepare, verify_records
from kinetics_i3d.data.records.reader import Records, parse_record
from kinetics_i3d.data.records.shards import plan_shards
from kinetics_i3d.data.video_dataset import Video, VideoDataset
from kinetics_i3d.flow.settings import TVL1, FlowSettings
from kinetics_i3d.training.config import TrainConfig
from kinetics_i3d.training.preflight import training_and_validation
from kinetics_i3d.video.writer import write_video

SPEC = ClipSpec("small", fps=25.0, short_side=32, size=32)
CONFIG = PrepareConfig(spec=SPEC, flow=FlowSettings("farneback"), shard_size=3)
RGB = dataclasses.replace(CONFIG, streams=("rgb",))
LABELS = ("sit", "stand", "wave")


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Paths of 10 tiny videos, each with another number of frames."""
    folder = tmp_path_factory.mktemp("clips")
    rng = np.random.default_rng(0)
    paths = [folder / f"{number}.mp4" for number in range(10)]
    for number, path in enumerate(paths):
        picture = np.kron(rng.integers(0, 256, (4, 5, 3), np.uint8), np.ones((8, 8, 1), np.uint8))
        write_video(path, [np.roll(picture, k, axis=1) for k in range(2 + number)], fps=25)
    return paths


def dataset_of(paths):
    """A dataset of files: every third in "test", labels in turn."""
    videos = [
        Video(path, LABELS[number % 3], "test" if number % 3 == 1 else "train", path.stem)
        for number, path in enumerate(paths)
    ]
    return VideoDataset("small", LABELS, tuple(videos))


@pytest.fixture(scope="module")
def dataset(clips):
    return dataset_of(clips)


@pytest.fixture(scope="module")
def prepared(dataset, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    prepare(dataset, folder, CONFIG, workers=1)
    return folder


def content(folder):
    """{name: bytes} of everything in a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def names(folder):
    """How often each video is in the records of a folder, by reading them."""
    paths = [str(path) for path in folder.glob("*.tfrecord")]
    found = tf.data.TFRecordDataset(paths).map(lambda each: parse_record(each, streams=("rgb",)))
    return collections.Counter(each["name"].numpy().decode() for each in found)


def test_every_video_is_in_one_shard_of_its_split(prepared, dataset):
    assert sorted(content(prepared)) == [
        "manifest.json",
        *[f"test-0000{k}-of-00001.{kind}" for k in range(1) for kind in ("json", "tfrecord")],
        *[f"train-0000{k}-of-00003.{kind}" for k in range(3) for kind in ("json", "tfrecord")],
    ]
    assert names(prepared) == {video.path.name: 1 for video in dataset.videos}
    records = Records(prepared)
    assert records.count("train") == 7 and [n for _, n in records.shards("train")] == [3, 3, 1]
    for split in records.splits:
        paths = [str(path) for path, _ in records.shards(split)]
        for raw in tf.data.TFRecordDataset(paths):
            parsed = parse_record(raw, streams=("rgb", "flow"))
            number = int(parsed["name"].numpy().decode().removesuffix(".mp4"))
            assert len(parsed["image"]) == len(parsed["flow"]) + 1 == 2 + number
            assert int(parsed["label"]) == number % 3
            assert split == ("test" if number % 3 == 1 else "train")


def test_videos_without_splits_are_divided_as_in_training(dataset, tmp_path):
    videos = tuple(dataclasses.replace(video, split="all") for video in dataset.videos)
    undivided = dataclasses.replace(dataset, videos=videos)
    records = prepare(undivided, tmp_path / "parts", RGB, workers=1)
    training, held_out = training_and_validation(undivided, TrainConfig())
    assert {split: records.count(split) for split in records.splits} == {"train": 7, "val": 3}
    for split, part in (("train", training), ("val", held_out)):
        paths = [str(path) for path, _ in records.shards(split)]
        recorded = {
            parse_record(raw, streams=("rgb",))["name"].numpy().decode()
            for raw in tf.data.TFRecordDataset(paths)
        }
        assert recorded == {video.path.name for video in part.videos}
    whole = prepare(undivided, tmp_path / "whole", dataclasses.replace(RGB, validation=0))
    assert whole.splits == ("all",) and whole.count("all") == 10
    with pytest.raises(DatasetError, match="whole: these records have no splits; prepare them"):
        training_and_validation(whole, TrainConfig())
    everything, none = training_and_validation(whole, TrainConfig(split="all"))
    assert len(everything) == 10 and none is None
    before = content(tmp_path / "whole")
    assert prepare(undivided, tmp_path / "whole", RGB).splits == ("all",)  # as it was begun
    assert content(tmp_path / "whole") == before


def test_the_manifest_tells_all_that_it_should(prepared):
    fields = json.loads((prepared / "manifest.json").read_text())
    assert fields["format"] == 1 and fields["version"] and fields["complete"] is True
    settings = fields["settings"]
    assert settings["labels"] == [*LABELS] and settings["streams"] == ["rgb", "flow"]
    assert ClipSpec(**settings["spec"]) == SPEC
    assert settings["flow"] == {
        "method": "farneback",
        "parameters": None,
        "backend": "opencv",
        "bound": 20.0,
        "rounding": "round",
    }
    assert (settings["quality"], settings["flow_quality"]) == (95, 98)
    train = fields["splits"]["train"]
    assert train["records"] == 7 and train["classes"] == {"sit": 4, "wave": 3}
    assert train["failures"] == []
    for shard in train["shards"]:
        data = (prepared / shard["file"]).read_bytes()
        assert shard["bytes"] == len(data)
        assert shard["sha256"] == hashlib.sha256(data).hexdigest()


def test_neither_threads_nor_the_order_of_the_table_change_a_byte(prepared, dataset, tmp_path):
    mixed = dataclasses.replace(dataset, videos=dataset.videos[::-1])
    prepare(mixed, tmp_path / "new" / "folder", CONFIG, workers=3)
    assert content(tmp_path / "new" / "folder") == content(prepared)


def test_the_plan_is_a_seeded_shuffle(dataset):
    def order(**options):
        plan = plan_shards(dataset, **options)
        return [name for _, videos in plan["train"] for name, _ in videos]

    assert order(size=3) == order(size=3, seed=0) == order(size=100)
    assert order(size=3) != order(size=3, seed=1) and order(size=3) != sorted(order(size=3))
    assert sorted(order(size=2, seed=5)) == sorted(order(size=3))
    assert [len(videos) for _, videos in plan_shards(dataset, size=3)["train"]] == [3, 3, 1]


def test_a_missing_video_keeps_its_place(dataset):
    gone = dataclasses.replace(dataset, videos=dataset.videos[2:], missing=dataset.videos[:2])
    assert plan_shards(gone, size=3) == plan_shards(dataset, size=3)


def test_names_are_paths_from_the_folder_of_all(tmp_path):
    videos = [Video(tmp_path / name, "sit", "train", "") for name in ("a/x.mp4", "b/c/x.mp4")]
    plan = plan_shards(VideoDataset("two", LABELS, tuple(videos)), size=9)
    ((_, found),) = plan["train"]
    assert sorted(name for name, _ in found) == ["a/x.mp4", "b/c/x.mp4"]


@pytest.mark.parametrize("split", ["a/b", ".hidden", ".."])
def test_a_split_that_is_no_name_of_a_file_is_refused(dataset, tmp_path, split):
    odd = dataclasses.replace(dataset.videos[0], split=split)
    with pytest.raises(DatasetError, match=r"small: the split .* is not a valid file name"):
        prepare(dataclasses.replace(dataset, videos=(odd,)), tmp_path / "out", CONFIG)
    assert not (tmp_path / "out").exists()
    with pytest.raises(DatasetError, match="small: no videos"):
        prepare(dataclasses.replace(dataset, videos=()), tmp_path / "out", CONFIG)


class StoppedError(Exception):
    pass


def stop_at(number):
    def progress(done):
        if done >= number:
            raise StoppedError

    return progress


def test_a_stopped_run_resumes_with_the_missing_shards(prepared, dataset, tmp_path, monkeypatch):
    encoded, stops, plain = [], [], module.encode_video

    def counted(video, **options):
        encoded.append(video.path.name)
        stops.append(options["stop"])
        return plain(video, **options)

    monkeypatch.setattr(module, "encode_video", counted)
    # Shards go test (3 videos), then train: 3, 3, 1.
    with pytest.raises(StoppedError):
        prepare(dataset, tmp_path, CONFIG, workers=2, progress=stop_at(8))
    assert all(stop.is_set() for stop in stops), "threads were told to end"
    encoded.clear()
    assert len(list(tmp_path.glob("*.tfrecord"))) == 2
    assert not list(tmp_path.glob(".*"))
    with pytest.raises(DatasetError, match="not finished; repeat the same `kinetics-i3d prepare`"):
        Records(tmp_path)
    done = []
    prepare(dataset, tmp_path, CONFIG, workers=2, progress=done.append)
    assert content(tmp_path) == content(prepared)
    assert len(encoded) == 4 and done == [6, 7, 8, 9, 10]
    encoded.clear()
    prepare(dataset, tmp_path, CONFIG)
    assert encoded == [] and content(tmp_path) == content(prepared)


def test_what_a_killed_run_left_is_cleared_away(prepared, dataset, tmp_path):
    shutil.copytree(prepared, tmp_path, dirs_exist_ok=True)
    for name in (
        ".train-00000-of-00003-ab_12c.tfrecord",
        ".train-00001-of-00003-0123abcd-4567-ab_12cde.tfrecord",  # of another machine
        ".test-00000-of-00001-x.json",
        ".manifest-qwe12.json",
    ):
        (tmp_path / name).write_text("half")
    (tmp_path / ".mine-1.json").write_text("not ours")
    prepare(dataset, tmp_path, CONFIG)
    assert content(tmp_path) == content(prepared) | {".mine-1.json": b"not ours"}


def test_records_have_their_own_labels(prepared):
    labels = open_dataset(prepared).labels
    assert open_dataset(prepared, labels=labels).labels == labels
    with pytest.raises(DatasetError, match="records have their own labels, in the order of their"):
        open_dataset(prepared, labels=labels[::-1])


OTHERS = {
    "streams": {"streams": ("rgb",)},
    "spec.fps": {"spec": dataclasses.replace(SPEC, fps=10.0)},
    "spec.resize": {"spec": dataclasses.replace(SPEC, resize="height")},
    "flow.method": {"flow": FlowSettings(parameters=TVL1(scales=1))},
    "flow.bound": {"flow": FlowSettings("farneback", bound=10)},
    "flow.rounding": {"flow": FlowSettings("farneback", rounding="truncate")},
    "quality": {"quality": 94},
    "flow_quality": {"flow_quality": 97},
    "shard_size": {"shard_size": 4},
    "seed": {"seed": 1},
}


def test_settings_that_are_equal_are_not_others(prepared, dataset, monkeypatch):
    before = content(prepared)
    monkeypatch.setattr(module, "encode_video", lambda *_, **__: pytest.fail("made again"))
    whole = dataclasses.replace(SPEC, fps=25, low=-1, high=1)
    prepare(dataset, prepared, dataclasses.replace(CONFIG, spec=whole))
    assert content(prepared) == before


@pytest.mark.parametrize("name", OTHERS)
def test_other_settings_are_refused_by_name(prepared, dataset, name):
    before = content(prepared)
    with pytest.raises(DatasetError) as raised:
        prepare(dataset, prepared, dataclasses.replace(CONFIG, **OTHERS[name]))
    message = str(raised.value)
    assert message.startswith(f"{prepared}: made with other settings: ")
    assert f"{name} is " in message and "\n" not in message
    assert content(prepared) == before


def test_another_dataset_is_refused(prepared, dataset):
    for other in (
        dataclasses.replace(dataset, videos=dataset.videos[1:]),
        dataclasses.replace(dataset, labels=LABELS[::-1]),
        dataclasses.replace(
            dataset,
            videos=(dataclasses.replace(dataset.videos[0], label="wave"), *dataset.videos[1:]),
        ),
    ):
        with pytest.raises(DatasetError, match=r"(videos\.train\.\w+|labels) (is|differs)"):
            prepare(other, prepared, CONFIG)


def test_a_shard_that_was_deleted_or_damaged_is_made_again(prepared, dataset, tmp_path):
    shutil.copytree(prepared, tmp_path, dirs_exist_ok=True)
    shard = tmp_path / "train-00001-of-00003.tfrecord"
    data = shard.read_bytes()
    shard.write_bytes(data[:100] + bytes([data[100] ^ 4]) + data[101:])
    assert [path for path, _ in verify_records(tmp_path)] == [shard]
    shard.unlink()
    prepare(dataset, tmp_path, CONFIG)
    assert content(tmp_path) == content(prepared) and verify_records(tmp_path) == []
    shard.write_bytes(data[:-5])  # of another size, which is seen without being told
    (tmp_path / "train-00002-of-00003.json").write_text("{")
    with pytest.raises(StoppedError):
        prepare(dataset, tmp_path, CONFIG, progress=stop_at(7))
    with pytest.raises(DatasetError, match="not finished"):
        Records(tmp_path)
    prepare(dataset, tmp_path, CONFIG)
    assert content(tmp_path) == content(prepared)


def test_shards_of_a_manifest_that_was_deleted_are_known_by_their_settings(
    prepared, dataset, tmp_path
):
    shutil.copytree(prepared, tmp_path, dirs_exist_ok=True)
    (tmp_path / "manifest.json").unlink()
    prepare(dataset, tmp_path, dataclasses.replace(CONFIG, quality=60))
    found = content(tmp_path)
    for name, data in content(prepared).items():
        assert found[name] != data, name
    assert verify_records(tmp_path) == []


def test_videos_that_cannot_be_read_are_noted_and_passed_over(clips, tmp_path):
    folder = tmp_path / "in"
    shutil.copytree(clips[0].parent, folder)
    (folder / "0.mp4").write_bytes(b"")
    (folder / "2.mp4").write_text("no video")
    (folder / "3.mp4").unlink()
    whole = dataset_of([folder / path.name for path in clips])
    gone = tuple(video for video in whole.videos if not video.path.is_file())
    present = tuple(video for video in whole.videos if video.path.is_file())
    dataset = dataclasses.replace(whole, videos=present, missing=gone)
    records = prepare(dataset, tmp_path / "out", RGB)
    failures = dict(records.failures("train"))
    assert sorted(failures) == ["0.mp4", "2.mp4", "3.mp4"] and records.failures("test") == []
    assert all(text and str(tmp_path) not in text for text in failures.values())
    assert records.count("train") == 4 and len(names(tmp_path / "out")) == 7
    assert records.manifest.splits["train"].classes == {"sit": 2, "wave": 2}
    assert verify_records(tmp_path / "out") == []


def test_two_processes_do_not_write_to_one_folder(dataset, tmp_path):
    with locked(tmp_path / ".lock"):
        with pytest.raises(DatasetError, match=f"^{tmp_path}: another process is preparing"):
            prepare(dataset, tmp_path, RGB)
        assert [path.name for path in tmp_path.iterdir()] == [".lock"]
    assert prepare(dataset, tmp_path, RGB).count("test") == 3


def test_a_full_disk_is_one_line(dataset, prepared, tmp_path):
    # A limit to the size of files fails as a full disk does: some bytes, then an error.
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, hard))
    try:
        with pytest.raises(DatasetError) as raised:
            prepare(dataset, tmp_path, CONFIG)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    message = str(raised.value)
    assert message.startswith(f"{tmp_path / 'test-00000-of-00001.tfrecord'}: cannot be written (")
    assert "\n" not in message
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]
    prepare(dataset, tmp_path, CONFIG)
    assert content(tmp_path) == content(prepared)


def test_a_file_instead_of_the_folder_is_an_error_of_the_system(dataset, tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(FileExistsError):
        prepare(dataset, tmp_path / "out", RGB)
    assert (tmp_path / "out").read_text() == "mine"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"streams": ()}, "`streams` must be 'rgb', 'flow' or"),
        ({"streams": ("rgb", "sound")}, "`streams` must be 'rgb', 'flow' or"),
        ({"spec": DEEPMIND_FLOW}, "`spec` must be the spec of the frames"),
        ({"validation": 1}, "`validation` must be a fraction, at least 0 and below 1"),
        ({"validation": "0.2"}, "`validation` must be a fraction, at least 0 and below 1"),
        ({"quality": 0}, "`quality` must be a whole number above 0. Received: quality=0"),
        ({"flow_quality": 101}, "`flow_quality` must be 1 to 100"),
        ({"quality": True}, "`quality` must be a whole number above 0. Received: quality=True"),
        ({"shard_size": 0}, "`shard_size` must be a whole number above 0"),
    ],
)
def test_wrong_settings_are_refused(changes, why):
    with pytest.raises(ValueError, match=why):
        PrepareConfig(**changes)


def test_numbers_of_numpy_become_those_of_python():
    config = PrepareConfig(quality=np.int64(80), shard_size=np.int32(4))
    assert type(config.quality) is type(config.shard_size) is int
    assert config == PrepareConfig(quality=80, shard_size=4)


def test_wrong_workers_and_missing_packages_come_before_any_file(dataset, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"`workers` must be 1 or more\. Received: workers=0"):
        prepare(dataset, tmp_path / "out", RGB, workers=0)
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(UserError, match="pip install"):
        prepare(dataset, tmp_path / "out", CONFIG)
    assert not (tmp_path / "out").exists()


# Its children share what was imported, so that ten of them take no minute.
NURSERY = """
    import os, random, signal, sys, time
    import av, cv2, tensorflow
    from kinetics_i3d.core.clip_spec import ClipSpec
    from kinetics_i3d.data.datasets import open_dataset
    from kinetics_i3d.flow.settings import FlowSettings
    from kinetics_i3d.data.records.prepare import prepare
    from kinetics_i3d.data.records.prepare import PrepareConfig

    table, folder = sys.argv[1:]
    draws = random.Random(0)
    spec = ClipSpec("small", fps=25.0, short_side=32, size=32)
    config = PrepareConfig(spec=spec, flow=FlowSettings("farneback"), shard_size=3)

    def child():
        pid = os.fork()
        if not pid:
            try:
                prepare(open_dataset(table), folder, config, workers=2)
                os._exit(0)
            finally:
                os._exit(1)
        return pid

    def done():
        return sum(name.endswith(".tfrecord") for name in os.listdir(folder))

    # By what is done and not by the clock alone, which on a busy machine tells nothing.
    for number in range(10):
        pid, wanted = child(), min(9 * number, 90)
        while done() < wanted:
            time.sleep(0.001)
        time.sleep(draws.uniform(0, 0.1))
        os.kill(pid, signal.SIGKILL)
        status = os.waitpid(pid, 0)[1]
        print(os.WIFSIGNALED(status), done(), flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child(), 0)[1]))
"""


def table_of(folder, clips, number, *, broken=()):
    """A table of links to the clips under many names; the broken ones are made by turns."""
    (folder / "in").mkdir()
    lines = ["path,label,split"]
    for index in range(number):
        path = folder / "in" / f"{index:04d}.mp4"
        if index not in broken:
            path.hardlink_to(clips[index % len(clips)])
        lines.append(f"in/{path.name},{LABELS[index % 3]},{'test' if index % 4 == 1 else 'train'}")
    damage = (
        lambda path: path.write_bytes(b""),
        lambda path: path.write_text("no video\n" * 50),
        lambda path: path.write_bytes(bytes(4096)),
        lambda path: path.write_bytes(clips[0].read_bytes()[:60]),
        lambda path: None,  # missing
    )
    for turn, index in enumerate(sorted(broken)):
        damage[turn % len(damage)](folder / "in" / f"{index:04d}.mp4")
    (folder / "videos.csv").write_text("\n".join(lines) + "\n")
    return folder / "videos.csv"


@pytest.mark.long
def test_ten_kills_lose_and_double_nothing(clips, tmp_path):
    table = table_of(tmp_path, clips, 300)
    out, whole = tmp_path / "killed", tmp_path / "whole"
    out.mkdir()
    prepare(open_dataset(table), whole, CONFIG, workers=1)
    words = [sys.executable, "-c", textwrap.dedent(NURSERY), table, out]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [*map(str, words)], capture_output=True, text=True, timeout=500, env=environment
    )
    lines = done.stdout.split("\n")
    assert done.returncode == 0 and lines[-2] == "0", done.stderr[-2000:]
    killed = [line.split() for line in lines if line.startswith(("True", "False"))]
    assert len(killed) == 10 and sum(dead == "True" for dead, _ in killed) >= 5
    left = [int(number) for _, number in killed]
    assert left == sorted(left), "what was done stays"
    assert len({*left} - {0, 100}) >= 5, "they fell in the middle of the work"
    assert content(out) == content(whole)
    assert names(out) == {f"{index:04d}.mp4": 1 for index in range(300)}
    assert verify_records(out) == []


@pytest.mark.long
@pytest.mark.slow
def test_a_thousand_videos_of_which_fifty_are_broken(clips, tmp_path, caplog):
    broken = set(random.Random(1).sample(range(1000), 50))
    dataset = open_dataset(table_of(tmp_path, clips, 1000, broken=broken))
    config = dataclasses.replace(RGB, shard_size=32)
    records = prepare(dataset, tmp_path / "out", config, workers=2)
    failed = [name for split in records.splits for name, _ in records.failures(split)]
    assert sorted(failed) == [f"{index:04d}.mp4" for index in sorted(broken)]
    assert names(tmp_path / "out") == {
        f"{index:04d}.mp4": 1 for index in range(1000) if index not in broken
    }
    assert sum(records.count(split) for split in records.splits) == 950
