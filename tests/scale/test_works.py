"""What is done with each video, without Ray: the results of the functions of one process."""

import dataclasses
import json
import os
import pickle

import numpy as np
import pytest

import kinetics_i3d as ki3d
from kinetics_i3d.core.clip_spec import ClipSpec
from kinetics_i3d.core.errors import UserError, VideoError
from kinetics_i3d.flow.cache import FlowFile, write_flow_file
from kinetics_i3d.flow.settings import FlowSettings
from kinetics_i3d.inference.feature_options import FeatureOptions
from kinetics_i3d.scale import run, works
from kinetics_i3d.scale.cluster import Cluster
from kinetics_i3d.scale.flow_work import FlowWork
from kinetics_i3d.scale.run import _packed, _unpacked
from kinetics_i3d.scale.storage import open_storage
from kinetics_i3d.scale.works import ClassifyWork, FeatureWork
from kinetics_i3d.video.writer import write_video

pytest.importorskip("pyarrow", reason="the extra `scale` is not installed")

SPEC = ClipSpec("tiny", fps=25, short_side=32, size=32)
FLOW = dataclasses.replace(SPEC, name="tiny_flow", stream="flow")
QUICK = FlowSettings("farneback")


@pytest.fixture(scope="module")
def weights(tmp_path_factory, short):
    """Paths of weights of rgb and of both streams."""
    import keras

    folder = tmp_path_factory.mktemp("weights")
    keras.utils.set_random_seed(0)
    model = ki3d.InceptionI3D(architecture=short, classes=3)
    labels = ("sit", "stand", "wave")
    ki3d.save_weights(model, folder / "rgb.h5", labels=labels, clip_spec=SPEC)
    both = ki3d.TwoStreamI3D(architecture=short, classes=3)
    specs = {"rgb": SPEC, "flow": FLOW}
    ki3d.save_weights(both, folder / "both.h5", labels=labels, clip_spec=specs)
    frames = ki3d.TwoStream(architecture=short, classes=3)
    specs = {"rgb": dataclasses.replace(SPEC, fps=2.5), "flow": FLOW}
    ki3d.save_weights(frames, folder / "frames.h5", labels=labels, clip_spec=specs)
    return {name: str(folder / f"{name}.h5") for name in ("rgb", "both", "frames")}


def through_ray(work, path):
    """A decoded video as it arrives at the process of the network."""
    sent = pickle.loads(pickle.dumps(work))
    assert sent.network is None
    decoded = _unpacked(_packed("b.mp4", "00", sent.read(path)))
    assert decoded is None or all(part.dtype == np.uint8 for part in decoded.crops.values())
    return decoded


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("rgb", {"window": 9, "stride": 4}),
        ("rgb", {"window": 9, "stride": 9, "views": "three_crop", "pool": "spatial"}),
        ("rgb", {"window": 9, "stride": 9, "align": "center", "fps": "source"}),
        pytest.param("both", {"window": 9, "stride": 4}, marks=pytest.mark.slow),
    ],
)
def test_features_equal_those_of_extract_features(videos, weights, name, options):
    video = str(videos / "b.mp4")
    work = FeatureWork.create(weights[name], FeatureOptions(**options))
    table, key = work.compute(work.load(), through_ray(work, video))
    expected = ki3d.extract_features(video, weights[name], **options)
    values = np.stack(table["features"].to_numpy()).reshape(expected.features.shape)
    np.testing.assert_array_equal(values, expected.features)
    for column in ("start", "end", "center"):
        np.testing.assert_array_equal(table[column].to_numpy(), getattr(expected, column))
    metadata = json.loads(table.schema.metadata[b"kinetics_i3d"])
    assert metadata["key"] == expected.metadata["key"]
    assert metadata["key"] == work.key(open_storage(videos), "b.mp4") == key


def test_features_at_the_rate_of_the_file_equal_those_of_extract_features(weights, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (21, 48, 64, 3), np.uint8)
    write_video(tmp_path / "slow.mp4", pixels, fps=10)
    options = {"window": 9, "stride": 4, "fps": "source"}
    work = FeatureWork.create(weights["rgb"], FeatureOptions(**options))
    table, _ = work.compute(work.load(), through_ray(work, str(tmp_path / "slow.mp4")))
    expected = ki3d.extract_features(tmp_path / "slow.mp4", weights["rgb"], **options)
    np.testing.assert_array_equal(np.stack(table["features"].to_numpy()), expected.features)
    np.testing.assert_array_equal(table["start"].to_numpy(), expected.start)


@pytest.mark.parametrize("name", ["rgb", pytest.param("frames", marks=pytest.mark.slow)])
def test_labels_equal_those_of_classify(videos, weights, name):
    video = str(videos / "b.mp4")
    work = ClassifyWork.create(weights[name], top=2)
    table, key = work.compute(work.load(), through_ray(work, video))
    (row,) = table.to_pylist()
    assert key == work.key(open_storage(videos), "b.mp4")
    expected = ki3d.classify(video, weights[name], top=2)
    pairs = [(entry["label"], entry["probability"]) for entry in row["predictions"]]
    assert tuple(pairs) == expected.predictions
    (whole,), _ = work.compute(work.load(), video)
    assert whole.to_pylist() == [row["predictions"]]


def test_a_video_that_is_too_long_to_be_sent_is_decoded_at_the_network(
    videos, weights, monkeypatch
):
    monkeypatch.setattr(works, "MAX_BYTES", 5 * 32 * 32 * 3)
    video = str(videos / "b.mp4")
    work = FeatureWork.create(weights["rgb"], FeatureOptions(window=9, stride=4))
    assert through_ray(work, video) is None
    table, _ = work.compute(work.load(), video)
    expected = ki3d.extract_features(video, weights["rgb"], window=9, stride=4)
    np.testing.assert_array_equal(np.stack(table["features"].to_numpy()), expected.features)


def test_the_key_is_of_the_content_and_the_settings(videos, weights, remote, tmp_path):
    source = open_storage(videos)
    (tmp_path / "renamed.mp4").write_bytes((videos / "b.mp4").read_bytes())
    work = FeatureWork.create(weights["rgb"], FeatureOptions(window=9))
    key = work.key(source, "b.mp4")
    assert key == work.key(open_storage(tmp_path), "renamed.mp4")
    assert key == work.key(remote(videos), "b.mp4")
    other = FeatureWork.create(weights["rgb"], FeatureOptions(window=10))
    keys = {
        key,
        other.key(source, "b.mp4"),
        work.key(source, "inside/a.mp4"),
        work.key(source, "b.mp4#t=0,0.2"),
        ClassifyWork.create(weights["rgb"], top=1).key(source, "b.mp4"),
        ClassifyWork.create(weights["rgb"], top=2).key(source, "b.mp4"),
    }
    assert len(keys) == 6


@pytest.mark.slow
def test_the_key_knows_the_flow_stored_beside_a_video_here_and_at_an_address(
    videos, weights, remote, tmp_path
):
    copy = tmp_path / "b.mp4"
    copy.write_bytes((videos / "b.mp4").read_bytes())
    work = FeatureWork.create(weights["both"], FeatureOptions(window=9))
    computed = work.key(open_storage(tmp_path), "b.mp4")
    assert computed == work.key(remote(tmp_path), "b.mp4")
    write_flow_file(copy, spec=FLOW, settings=QUICK)
    stored = work.key(open_storage(tmp_path), "b.mp4")
    assert stored == work.key(remote(tmp_path), "b.mp4") != computed


def test_other_weights_on_a_node_are_refused(videos, weights):
    work = FeatureWork.create(weights["rgb"], FeatureOptions(window=9))
    digests = {"rgb": {"name": weights["rgb"], "sha256": "0" * 64}}
    other = dataclasses.replace(work, settings={**work.settings, "weights": digests})
    with pytest.raises(
        UserError, match=r"rgb\.h5: the weights on .* differ from those on the machine"
    ):
        other.load()


@pytest.mark.parametrize("place", ["path", "address"])
def test_flow_files_equal_those_of_one_process(videos, remote, tmp_path, place):
    pytest.importorskip("cv2")
    output = open_storage(tmp_path / "out") if place == "path" else remote(tmp_path / "out")
    source = open_storage(videos) if place == "path" else remote(videos)
    (tmp_path / "out").mkdir()
    work = FlowWork(FLOW, QUICK)
    assert not work.is_finished(output, "inside/a.mp4")
    (row,) = work.make(source, "inside/a.mp4", output).to_pylist()
    assert row == {"path": "inside/a.mp4.flow.npz", "flows": 11}
    assert work.is_finished(output, "inside/a.mp4")
    write_flow_file(videos / "inside/a.mp4", tmp_path / "one.npz", spec=FLOW, settings=QUICK)
    assert output.read(row["path"]) == (tmp_path / "one.npz").read_bytes()
    with FlowFile(tmp_path / "out" / row["path"]) as file:
        assert len(file) == 11
    assert len({work.key(source, name) for name in ("b.mp4", "inside/a.mp4")}) == 2
    with pytest.raises(VideoError, match="not a video in a supported format"):
        work.make(source, "broken.mp4", output)


class LocalRay:
    """Ray Data in this process: a batch for each row."""

    def __init__(self):
        self.data, self._functions = self, []

    def from_items(self, rows, override_num_blocks):
        del override_num_blocks
        self._rows = rows
        return self

    def map_batches(self, function, **_):
        self._functions.append(function)
        return self

    def iter_rows(self):
        import pyarrow

        for row in self._rows:
            batch = pyarrow.Table.from_pylist([row])
            for function in self._functions:
                batch = function(batch)
            yield batch.to_pylist()[0]


@pytest.mark.parametrize("is_bounded", [True, False])
def test_workers_decode_in_child_processes_if_configured(monkeypatch, is_bounded):
    class Work:
        has_network = False

        def make(self, source, video, output):
            raise VideoError(os.environ["KINETICS_I3D_BOUNDED_DECODER"])

    monkeypatch.setenv("KINETICS_I3D_BOUNDED_DECODER", "unset")
    cluster = Cluster() if is_bounded else Cluster(bounded_decoder=False)
    rows = [{"video": "a.mp4", "key": "1"}]
    (status,) = run._statuses(LocalRay(), cluster, Work(), None, None, rows)
    assert status["error"] == str(int(is_bounded))
