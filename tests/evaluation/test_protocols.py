"""`evaluate` against plain loops: views, streams, damaged videos, cache and resumption."""

import dataclasses

import numpy as np
import pytest
from PIL import Image
from short_network import register

import kinetics_i3d as ki3d
from kinetics_i3d.core.clip_spec import ClipSpec
from kinetics_i3d.core.errors import DatasetError, WeightsError
from kinetics_i3d.data.video_dataset import Video, VideoDataset
from kinetics_i3d.data.views import VIEWS, video_views
from kinetics_i3d.evaluation import protocols
from kinetics_i3d.evaluation.compare import combine
from kinetics_i3d.evaluation.protocols import evaluate, networks_of, weights_digest
from kinetics_i3d.flow.cache import write_flow_file
from kinetics_i3d.flow.settings import FlowSettings
from kinetics_i3d.models.load import feature_model
from kinetics_i3d.models.two_stream_i3d import TwoStreamI3D
from kinetics_i3d.video.writer import write_video

SHORT = register()

pytestmark = pytest.mark.slow  # each trains or runs whole networks

SPEC = ClipSpec("tiny", fps=10, short_side=36, size=32)
LABELS = ("sit", "stand", "wave")
LENGTHS = {"short": 5, "usual": 16, "long": 34}


def make_model(spec, seed):
    import keras

    keras.utils.set_random_seed(seed)
    shape = (None, None, None, spec.channels)
    model = ki3d.InceptionI3D(architecture=SHORT, classes=3, input_shape=shape)
    model.clip_spec, model.labels = spec, LABELS
    kernel, bias = model.get_layer("Conv3d_0c_1x1").get_weights()
    model.get_layer("Conv3d_0c_1x1").set_weights([kernel * 200, bias])
    return model


@pytest.fixture(scope="module")
def model():
    return make_model(SPEC, 1)


@pytest.fixture(scope="module")
def flow_model():
    return make_model(dataclasses.replace(SPEC, name="tiny_flow", stream="flow"), 2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    rng = np.random.default_rng(0)
    for name, count in LENGTHS.items():
        frames = rng.integers(0, 256, (count, 48, 64, 3), np.uint8)
        write_video(folder / f"{name}.mp4", frames, fps=10)
    (folder / "broken.mp4").write_bytes(b"no video" * 100)
    return folder


def dataset(folder, *names):
    videos = tuple(
        Video(folder / f"{name}.mp4", LABELS[index % 3], "test", name)
        for index, name in enumerate(names)
    )
    return VideoDataset("tiny", LABELS, videos)


def plain_logits(model, path, window):
    """Logits of all frames: windows of new frames, the last one padded with earlier frames."""
    clip = ki3d.load_clip(path, spec=SPEC)
    total, count = 0, clip.shape[1]
    for start in range(0, count, window):
        stop = min(start + window, count)
        indices = np.arange(min(start, max(0, stop - 9)), stop)
        if len(indices) < 9:
            indices = np.arange(9) % count
        total = total + np.asarray(model(clip[:, indices]))[0] * (stop - start)
    return total / count


def test_a_path_is_tested_on_its_test_split_and_a_dataset_whole(model, folder, tmp_path):
    paths = [video.path for video in dataset(folder, *LENGTHS).videos]
    rows = zip(paths, LABELS, ("test", "train", "val"), strict=True)
    table = tmp_path / "videos.csv"
    table.write_text("path,label,split\n" + "".join(f"{','.join(map(str, row))}\n" for row in rows))
    assert evaluate(model, table).paths == (str(paths[0]),)
    assert evaluate(model, table, split="train").paths == (str(paths[1]),)
    opened = ki3d.open_dataset(table)
    assert len(evaluate(model, opened).paths) == 3
    assert evaluate(model, opened, split="val").paths == (str(paths[2]),)
    with pytest.raises(DatasetError, match="no videos in split 'dev'"):
        evaluate(model, table, split="dev")


@pytest.mark.parametrize("window", [250, 16])
def test_scores_equal_a_plain_loop_over_windows(model, folder, window, monkeypatch):
    clips = {"minimum": 9, "window": window, "clips": None}
    monkeypatch.setattr(protocols, "clips_at_test", lambda _: clips)
    seen = []
    videos = dataset(folder, *LENGTHS)
    result = evaluate(model, videos, progress=seen.append)
    expected = [plain_logits(model, video.path, window) for video in videos.videos]
    np.testing.assert_allclose(result.scores, expected, rtol=1e-3, atol=1e-4)
    assert np.ptp(expected, axis=0).min() > 0.01  # mixed-up videos would be noticed
    assert result.targets.tolist() == [0, 1, 2] and seen == [1, 2, 3]
    summary = result.summary()
    right = [row.argmax() == target for target, row in enumerate(np.array(expected))]
    assert summary["top1"] == pytest.approx(sum(right) / 3)
    assert (summary["videos"], summary["skipped"], summary["top5"]) == (3, 0, 1.0)
    assert result.confusion().sum() == 3


def test_undecodable_video_is_skipped_and_counted(model, folder):
    result = evaluate(model, dataset(folder, "short", "broken", "usual"))
    assert [path.rsplit("/")[-1] for path in result.paths] == ["short.mp4", "usual.mp4"]
    assert result.targets.tolist() == [0, 2]
    (message,) = result.skipped
    assert "broken.mp4" in message and result.summary()["skipped"] == 1
    with pytest.raises(DatasetError, match="none of 2 videos"):
        evaluate(model, dataset(folder, "broken", "absent"))


def test_undecodable_video_is_logged_once(model, folder, caplog):
    with caplog.at_level("WARNING", logger="absl"):
        evaluate(model, dataset(folder, "short", "broken", "usual", "broken"))
    logged = [record.getMessage() for record in caplog.records]
    logged = [message for message in logged if "broken.mp4" in message]
    assert len(logged) == 1 and logged[0].startswith("skipped: ")


def test_dataset_labels_are_matched_by_name_in_any_order(model, folder):
    videos = dataset(folder, "short", "usual")
    other = VideoDataset("tiny", (LABELS[1], LABELS[0]), videos.videos)
    result, expected = evaluate(model, other), evaluate(model, videos)
    assert result.labels == LABELS and result.targets.tolist() == expected.targets.tolist()
    assert result.summary() == expected.summary()


def test_videos_of_several_labels_are_rows_of_targets(model, folder):
    videos = dataset(folder, "short", "usual").videos
    classes = (("stand", "sit"), ())
    videos = tuple(
        dataclasses.replace(video, label=next(iter(labels), ""), labels=labels)
        for video, labels in zip(videos, classes, strict=True)
    )
    result = evaluate(model, VideoDataset("tiny", LABELS, videos))
    assert result.multi_label
    assert result.targets.tolist() == [[True, True, False], [False, False, False]]


def test_unknown_dataset_labels_raise(model, folder):
    videos = tuple(dataset(folder, "short").videos)
    strange = VideoDataset("tiny", ("sit", *(f"a{number}" for number in range(9))), videos)
    with pytest.raises(DatasetError, match=r"not have: 'a0', .*'a4' and 4 more; it has 3"):
        evaluate(model, strange)
    nameless = ki3d.InceptionI3D(architecture=SHORT, classes=4)
    with pytest.raises(DatasetError, match="tiny has 3 classes, but the model has 4 outp"):
        evaluate(nameless, dataset(folder, "short"))


@pytest.mark.parametrize("view", ["flips", "clips_3_crops", "ten_crop"])
def test_views_are_averaged_by_clip_weight(model, folder, view, monkeypatch):
    few = {**VIEWS, "clips_3_crops": dataclasses.replace(VIEWS[view], clips=2, frames=9)}
    monkeypatch.setitem(VIEWS, view, few[view])
    videos = dataset(folder, "short")
    result = evaluate(model, videos, views=view)
    path = videos.videos[0].path
    outputs, shares = [], []
    for clips, share in video_views(path, spec=SPEC, view=view, minimum=9):
        outputs.append(np.asarray(model(clips))[0])
        shares.append(share)
    expected = sum(np.multiply(*pair) for pair in zip(outputs, shares, strict=True)) / sum(shares)
    np.testing.assert_allclose(result.scores[0], expected, rtol=1e-3, atol=1e-4)
    assert result.views == view and len(outputs) > 1
    center = evaluate(model, videos).scores[0]
    assert np.abs(result.scores[0] - center).max() > 1e-3


@pytest.mark.slow
def test_invalid_arguments_raise(model, folder):
    videos = dataset(folder, "short")
    with pytest.raises(ValueError, match=r"`views` must be one of .*views='sideways'"):
        evaluate(model, videos, views="sideways")
    with pytest.raises(ValueError, match=r"must read each stream once.*\['rgb', 'rgb'\]"):
        evaluate([model, model], videos)
    quarter = {"architecture": SHORT, "classes": 3}
    wrongs = (
        feature_model(model, "Mixed_3c"),
        ki3d.InceptionI3D(classifier_activation="softmax", **quarter),
        ki3d.InceptionV1(**quarter),
    )
    for wrong in wrongs:
        with pytest.raises(ValueError, match="`model` must read clips and end in logits"):
            evaluate(wrong, videos)


def test_non_finite_logits_raise_and_are_not_cached(model, folder, tmp_path, monkeypatch):
    logits = np.array([0, np.nan, 1], np.float32)
    monkeypatch.setattr(type(model), "predict_views", lambda self, views: logits)
    with pytest.raises(WeightsError, match=r"logits for .*short.mp4 are not finite"):
        evaluate(model, dataset(folder, "short"), cache=tmp_path)
    assert list(tmp_path.rglob("*.npy")) == []


@pytest.fixture(scope="module")
def with_flow(folder, tmp_path_factory):
    """The videos with their flow files; one video has a single frame, hence no flow."""
    copy = tmp_path_factory.mktemp("with_flow")
    frames = np.random.default_rng(1).integers(0, 256, (1, 48, 64, 3), np.uint8)
    write_video(copy / "single.mp4", frames, fps=10)
    spec = dataclasses.replace(SPEC, stream="flow")
    for name in ("short", "usual"):
        (copy / f"{name}.mp4").write_bytes((folder / f"{name}.mp4").read_bytes())
        write_flow_file(copy / f"{name}.mp4", spec=spec, settings=FlowSettings("farneback"))
    return copy


@pytest.mark.slow
def test_streams_are_tested_separately_and_added(model, flow_model, with_flow, tmp_path):
    videos = dataset(with_flow, "usual", "single", "short")
    seen = []
    both = evaluate([model, flow_model], videos, progress=seen.append)
    assert [path.rsplit("/")[-1] for path in both.paths] == ["usual.mp4", "short.mp4"]
    assert both.targets.tolist() == [0, 2] and seen == [1, 2, 3, 4, 5, 6]
    (message,) = both.skipped
    assert "single.mp4" in message and "flow" in message
    for row, name in enumerate(("usual", "short")):
        path = with_flow / f"{name}.mp4"
        # All frames of rgb, whatever flow makes of the last one.
        rgb = plain_logits(model, path, 250)
        views = video_views(path, spec=flow_model.clip_spec, streams=("flow",))
        flow = next(np.asarray(flow_model(clips))[0] for clips, _ in views)
        np.testing.assert_allclose(both.logits["rgb"][row], rgb, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(both.logits["flow"][row], flow, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(both.scores[row], rgb + flow, rtol=1e-3, atol=1e-3)
    assert both.specs == {"rgb": SPEC, "flow": flow_model.clip_spec}


@pytest.mark.slow
def test_two_stream_model_equals_two_models_and_shares_the_cache(
    model, flow_model, with_flow, tmp_path, monkeypatch
):
    videos = dataset(with_flow, "usual", "short")
    apart = [evaluate(member, videos, cache=tmp_path) for member in (model, flow_model)]
    members = {}
    for stream, member in (("rgb", model), ("flow", flow_model)):
        members[stream] = tmp_path / f"{stream}.h5"
        ki3d.save_weights(member, members[stream])
    pair = TwoStreamI3D(weights=members)

    def fail(*args, **kwargs):
        raise AssertionError("a video is read again")

    monkeypatch.setattr(protocols, "video_views", fail)
    together = evaluate(pair, videos, cache=tmp_path)
    np.testing.assert_array_equal(together.scores, combine(*apart).scores)
    assert together.summary() == combine(*apart).summary()
    assert together.digests == {"rgb": weights_digest(model), "flow": weights_digest(flow_model)}


def test_models_with_different_labels_raise_before_any_work(model, flow_model, folder, monkeypatch):
    monkeypatch.setattr(flow_model, "labels", ("sit", "stand", "run"))
    monkeypatch.setattr(protocols, "video_views", None)
    with pytest.raises(DatasetError, match=r"rgb\+flow: the labels differ: class 2 is 'wave'"):
        evaluate([model, flow_model], dataset(folder, "short"))


def test_models_with_different_numbers_of_classes_raise_before_any_work(model, folder, monkeypatch):
    pair = [
        ki3d.InceptionI3D(architecture=model.architecture, classes=classes, input_shape=shape)
        for classes, shape in ((3, (None, None, None, 3)), (2, (None, None, None, 2)))
    ]
    pair[1].clip_spec = pair[0].clip_spec.for_flow()
    monkeypatch.setattr(protocols, "video_views", None)
    with pytest.raises(DatasetError, match="must have the same classes; they have 3 and 2"):
        evaluate(pair, dataset(folder, "short"))


def counted(monkeypatch):
    """A list to which the name of each video that is read is appended."""
    read = []

    def views(path, **options):
        read.append(path.stem)
        return video_views(path, **options)

    monkeypatch.setattr(protocols, "video_views", views)
    return read


def test_interrupted_evaluation_resumes_from_the_cache(model, folder, tmp_path, monkeypatch):
    videos = dataset(folder, "short", "usual", "long")
    expected = evaluate(model, videos)
    read = counted(monkeypatch)

    def stop(done):
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(model, videos, cache=tmp_path, progress=stop)
    assert len(list(tmp_path.rglob("*.npy"))) == 1
    read.clear()
    result = evaluate(model, videos, cache=tmp_path)
    assert read == ["usual", "long"]
    np.testing.assert_array_equal(result.scores, expected.scores)
    read.clear()
    again = evaluate(model, videos, cache=tmp_path)
    np.testing.assert_array_equal(again.scores, expected.scores)
    assert read == []


def test_the_names_in_the_keys_of_existing_caches_stay(model, folder):
    """With others, all logits that are kept anywhere would be computed again."""
    (network,) = networks_of(model)
    part = network.fingerprint(f"{folder / 'usual.mp4'}#t=0.2,0.5")
    assert sorted(part) == ["span", "video"] and part["span"] == [0.2, 0.5]
    assert network.fingerprint(folder / "usual.mp4").keys() == {"video"}
    key = network.cache_key("center")
    assert sorted(key) == ["clips", "precision", "specs", "views", "weights"]
    assert sorted(key["clips"]) == ["minimum", "snapshots", "window"]


def test_the_rate_of_a_folder_of_frames_is_in_the_key(model, tmp_path):
    (network,) = networks_of(model)
    for number in range(12):
        pixels = np.full((48, 64, 3), 20 * number, np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"img_{number:05d}.png")
    slow, fast = (network.fingerprint(f"{tmp_path}#fps={fps}") for fps in (5, 25))
    assert slow["fps"] == 5 and fast["fps"] == 25 and slow["video"] == fast["video"]


def test_cache_is_keyed_by_weights_views_specs_and_video(model, folder, tmp_path, monkeypatch):
    copies = tmp_path / "videos"
    copies.mkdir()
    for name in ("short", "usual"):
        (copies / f"{name}.mp4").write_bytes((folder / f"{name}.mp4").read_bytes())
    videos = dataset(copies, "short")
    read = counted(monkeypatch)

    def reads(**options):
        read.clear()
        evaluate(options.pop("model", model), videos, cache=tmp_path / "logits", **options)
        return len(read)

    assert [reads(), reads()] == [1, 0]
    assert [reads(views="flips"), reads(views="flips")] == [1, 0]
    digest = "0" * 64
    with monkeypatch.context() as other_weights:
        other_weights.setattr(protocols, "weights_digest", lambda model: digest)
        assert [reads(), reads()] == [1, 0]
    with monkeypatch.context() as other_clips:
        clips = {"minimum": 9, "window": 12, "clips": None}
        other_clips.setattr(protocols, "clips_at_test", lambda model: clips)
        assert [reads(), reads()] == [1, 0]
    with monkeypatch.context() as other_spec:
        other_spec.setattr(model, "clip_spec", dataclasses.replace(SPEC, short_side=40))
        assert [reads(), reads()] == [1, 0]
    (copies / "short.mp4").rename(copies / "kept.mp4")
    (copies / "usual.mp4").rename(copies / "short.mp4")
    assert reads() == 1
    (copies / "kept.mp4").rename(copies / "short.mp4")  # the old one under its name again
    assert reads() == 0


def test_cache_is_keyed_by_the_flow_of_the_video(flow_model, with_flow, tmp_path):
    videos = dataset(with_flow, "usual")
    (network,) = networks_of(flow_model)
    path = videos.videos[0].path
    stored = network.fingerprint(path)
    copy = tmp_path / "usual.mp4"
    copy.write_bytes(path.read_bytes())
    computed = network.fingerprint(copy)
    assert stored["video"] == computed["video"] and stored["flow"] != computed["flow"]
    assert computed["flow"]["method"] == "tvl1" and network.fingerprint(path) == stored


def test_video_with_damaged_flow_file_is_skipped(flow_model, with_flow, tmp_path):
    for file in with_flow.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "short.mp4.flow.npz").write_bytes(b"no flow")
    result = evaluate(flow_model, dataset(tmp_path, "usual", "short"))
    assert len(result.paths) == 1 and "short.mp4.flow.npz" in result.skipped[0]


@pytest.mark.slow
def test_weights_digest_depends_on_the_values_alone(model, tmp_path):
    digest = weights_digest(model)
    ki3d.save_weights(model, tmp_path / "copy.h5")
    other = ki3d.InceptionI3D(weights=tmp_path / "copy.h5")
    assert weights_digest(other) == digest
    kernel, bias = other.get_layer("Conv3d_0c_1x1").get_weights()
    other.get_layer("Conv3d_0c_1x1").set_weights([kernel, bias + np.float32([0, 0, 1e-3])])
    assert weights_digest(other) != digest
