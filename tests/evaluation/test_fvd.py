"""FVD: protocols, preprocessing, published numbers; distances against SciPy and plain loops."""

import dataclasses
import errno
import itertools
import json
import os

import keras
import numpy as np
import pytest
from scipy import linalg

import kinetics_i3d as ki3d
from kinetics_i3d.cli.main import main
from kinetics_i3d.core import files
from kinetics_i3d.core.clip_spec import ClipSpec
from kinetics_i3d.core.errors import UserError
from kinetics_i3d.evaluation import fvd_features as module
from kinetics_i3d.evaluation.fvd import frechet_distance, kernel_distance, precision_recall
from kinetics_i3d.evaluation.fvd_protocols import (
    FVD_PROTOCOLS,
    FVDProtocol,
    VideoFeatures,
    find_protocol,
)

pytestmark = pytest.mark.slow

REFERENCE = FVD_PROTOCOLS["reference"]


@pytest.fixture
def network(monkeypatch):
    """A stand-in for I3D: means of each frame's quarters and of differences of frames, 400 wide."""

    class Network:
        digest = "stand-in"

        def __init__(self, weights, protocol):
            self.protocol = protocol

        def resize(self, frames):
            return frames.astype(np.float32) / 127.5 - 1

        def __call__(self, clips):
            motion = np.abs(np.diff(clips, axis=1)).mean((1, 2, 3))
            values = np.concatenate([clips.mean((1, 2, 3)), clips[:, 0].mean((1, 2)), motion], 1)
            return np.tile(values, (1, 45))[:, :400].astype(np.float32)

    monkeypatch.setattr(module, "_Network", Network)


def test_other_keras_backend_is_refused(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(UserError, match=r"FVD requires Keras' TensorFlow backend, but .* is jax"):
        ki3d.fvd(noise(2, 0), noise(2, 1))


def noise(count, seed, frames=16, side=8):
    random = np.random.default_rng(seed)
    return random.integers(256, size=(count, frames, side, side, 3), dtype=np.uint8)


def legacy_bilinear(frame, side):
    """TensorFlow 1's `resize_bilinear`: pixel k is sampled at k * scale, nothing is smoothed."""
    result = frame.astype(np.float64)
    for axis in (0, 1):
        size = result.shape[axis]
        at = np.arange(side) * size / side
        low = np.floor(at).astype(int)
        high = np.minimum(low + 1, size - 1)
        weight = (at - low).reshape([-1 if k == axis else 1 for k in range(3)])
        result = result.take(low, axis) * (1 - weight) + result.take(high, axis) * weight
    return result


def half_pixel_bilinear(frame, side):
    """PyTorch's `interpolate(align_corners=False)`: pixel centers lie on pixel centers."""
    result = frame.astype(np.float64)
    for axis in (0, 1):
        size = result.shape[axis]
        at = np.maximum((np.arange(side) + 0.5) * size / side - 0.5, 0)
        low = np.minimum(np.floor(at).astype(int), size - 1)
        high = np.minimum(low + 1, size - 1)
        weight = (at - low).reshape([-1 if k == axis else 1 for k in range(3)])
        result = result.take(low, axis) * (1 - weight) + result.take(high, axis) * weight
    return result


@pytest.mark.parametrize(
    ("name", "resize"), [("reference", legacy_bilinear), ("stylegan_v", half_pixel_bilinear)]
)
@pytest.mark.parametrize("size", [(240, 320), (64, 48)])
def test_resize_follows_the_formula_of_the_protocol(name, resize, size):
    frames = np.random.default_rng(0).integers(256, size=(2, *size, 3), dtype=np.uint8)
    network = object.__new__(module._Network)
    network.half_pixel = FVD_PROTOCOLS[name].resize == "half_pixel"
    resized = network.resize(frames)
    assert resized.shape == (2, 224, 224, 3)
    wanted = np.stack([resize(frame, 224) for frame in frames]) * 2 / 255 - 1
    np.testing.assert_allclose(resized, wanted, atol=2e-4)


@pytest.mark.long
def test_black_against_white_is_the_published_number(kinetics_file):
    """The reference's own example: 15 frames, "around 131"; 133.91 by these weights."""
    black = np.zeros((2, 15, 16, 16, 3), np.uint8)
    protocol = dataclasses.replace(REFERENCE, frames=15)
    features = ki3d.fvd_features(black, protocol=protocol)
    # What public code prints of this network for a black clip.
    np.testing.assert_allclose(features.values[0, :3], [0.7422105, 2.829727, 0.39993525], atol=2e-5)
    assert features.values[0, -1] == pytest.approx(-1.4021297, abs=2e-5)
    result = ki3d.fvd(features, black + np.uint8(255), protocol=protocol)
    assert result.fvd == pytest.approx(133.91, abs=0.01)
    assert ki3d.fvd(features, features, protocol=protocol).fvd == 0.0


@pytest.mark.long
def test_avg_pool_features_are_those_of_the_last_pool(kinetics_file):
    clip = noise(1, 0, frames=16, side=32)
    features = ki3d.fvd_features(clip, protocol="avg_pool")
    assert features.values.shape == (1, 1024)
    model = ki3d.InceptionI3D(weights="rgb_kinetics400", include_top=False, pooling="avg")
    frames = np.stack([legacy_bilinear(frame, 224) for frame in clip[0]]) * 2 / 255 - 1
    wanted = model.predict(frames[np.newaxis].astype(np.float32), verbose=0)
    np.testing.assert_allclose(features.values, wanted, atol=1e-3)


@pytest.mark.long
def test_fvd_of_real_clips_is_that_of_the_preprocessing_in_plain_formulas(shared, kinetics_file):
    names = ("cricket_shot.avi", "archery.avi", "arm_wrestling.mp4", "flipping_pancake.mkv")
    clips: dict = {"real": [], "generated": []}
    for name in names:
        frames = list(itertools.islice(ki3d.read_frames(shared / "clips" / name), 60))
        clips["real"].append(np.stack(frames[:16]))
        clips["generated"].append(np.stack(frames[40:56])[:, ::-1])
    network = module._Network("rgb_kinetics400", REFERENCE)
    sets, plain = [], []
    for videos in clips.values():
        resized = [np.stack([legacy_bilinear(frame, 224) for frame in clip]) for clip in videos]
        values = (np.stack(resized) * 2 / 255 - 1).astype(np.float32)
        plain.append(network(values).astype(np.float64))
        parts = [ki3d.fvd_features(clip[np.newaxis], weights=network) for clip in videos]
        rows = np.concatenate([part.values for part in parts])
        sets.append(dataclasses.replace(parts[0], values=rows, names=names))
    a, b = (x - x.mean(0) for x in plain)
    wanted = np.square(plain[0].mean(0) - plain[1].mean(0)).sum()
    wanted += (np.square(a).sum() + np.square(b).sum()) / 3
    wanted -= 2 * np.linalg.svd(a @ b.T, compute_uv=False).sum() / 3
    assert ki3d.fvd(*sets).fvd == pytest.approx(wanted, rel=1e-3)
    assert ki3d.fvd(sets[0], sets[0]).fvd == pytest.approx(0, abs=1e-6 * wanted)


def test_fvd_of_arrays_files_and_saved_features_is_the_same(network, tmp_path):
    real, generated = noise(6, 1), noise(5, 2)
    np.save(tmp_path / "real.npy", real)
    np.savez(tmp_path / "generated.npz", videos=generated)
    ki3d.fvd_features(real).save(tmp_path / "features.npz")
    wanted = ki3d.fvd(real, generated)
    assert wanted.videos == (6, 5)
    assert wanted.fvd > 0
    for first in (tmp_path / "real.npy", tmp_path / "features.npz"):
        assert ki3d.fvd(first, tmp_path / "generated.npz").fvd == wanted.fvd
    short = dataclasses.replace(REFERENCE, frames=9)
    assert ki3d.fvd(real[:2], generated[:2], protocol=short).protocol == short


def test_only_rgb_networks_of_400_classes_are_accepted(short, tmp_path):
    def message(stream, classes):
        shape = (None, None, None, {"rgb": 3, "flow": 2}[stream])
        model = ki3d.InceptionI3D(architecture=short, classes=classes, input_shape=shape)
        path = tmp_path / f"{stream}_{classes}.h5"
        ki3d.save_weights(model, path, clip_spec=ClipSpec("small", stream=stream))
        with pytest.raises(UserError) as error:  # at the latest for want of frames
            ki3d.fvd_features(noise(1, 0, frames=5), weights=path)
        return str(error.value)

    assert "must be an RGB I3D with 400 classes" in message("rgb", 399)
    assert "must be an RGB I3D with 400 classes" in message("flow", 400)
    assert "no video with 16 frames" in message("rgb", 400)
    ki3d.save_weights(ki3d.ConvNetLSTM(architecture=short, classes=400), tmp_path / "lstm.h5")
    with pytest.raises(UserError, match="must be an RGB I3D with 400 classes"):
        ki3d.fvd_features(noise(1, 0), weights=tmp_path / "lstm.h5")


def test_batches_do_not_change_the_features(network):
    videos = noise(5, 3)
    one, many = (ki3d.fvd_features(videos, batch_size=size) for size in (1, 4))
    np.testing.assert_allclose(one.values, many.values, rtol=1e-6)


def test_a_random_start_depends_on_seed_and_name_and_stays_inside(network, coded_video, numbers):
    path = coded_video(40)
    protocol = FVDProtocol("random", frames=9, start="random")
    reader = module._reader(path)
    starts = set()
    for seed in range(12):
        clip = module._clip(str(path), reader, protocol, seed)
        shown = numbers(clip)
        assert shown == list(range(shown[0], shown[0] + 9))
        starts.add(shown[0])
    assert max(starts) <= 31
    assert len(starts) > 3
    again = module._clip(f"elsewhere/{path.name}", reader, protocol, 0)
    assert numbers(again)[0] == numbers(module._clip(str(path), reader, protocol, 0))[0]


def test_broken_and_short_videos_are_skipped_and_named(network, coded_video, tmp_path):
    folder = tmp_path / "videos"
    folder.mkdir()
    for number, frames in enumerate((20, 20, 5)):
        (folder / f"{number}.mp4").write_bytes(coded_video(frames, first=number).read_bytes())
    (folder / "broken.mp4").write_bytes(b"not a video")
    features = ki3d.fvd_features(folder)
    assert features.values.shape == (2, 400)
    assert len(features.skipped) == 2
    assert any("has 5 frames, fewer than 16" in message for message in features.skipped)
    with pytest.raises(UserError, match="no video with 30 frames"):
        ki3d.fvd_features(folder, protocol=dataclasses.replace(REFERENCE, frames=30))


def test_a_missing_folder_and_a_single_video_are_refused(network, tmp_path):
    with pytest.raises(UserError, match=r"nowhere: there is no such file or folder"):
        ki3d.fvd(tmp_path / "nowhere", noise(3, 0))
    with pytest.raises(UserError, match=r"`generated` has one video with 16 frames or more"):
        ki3d.fvd(noise(3, 0), noise(1, 1))


def test_what_holds_no_videos_is_refused_before_the_network_is_built(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "_Network", None)
    for real, generated in ((None, noise(2, 0)), (noise(2, 0), None)):
        with pytest.raises(ValueError, match="Received: NoneType"):
            ki3d.fvd(real, generated)
    with pytest.raises(UserError, match="nowhere: there is no such"):
        ki3d.fvd(noise(2, 0), tmp_path / "nowhere")


def test_few_videos_are_warned_of(network, caplog):
    ki3d.fvd(noise(3, 0), noise(4, 1))
    assert "3 and 4 videos are fewer than the 400 features" in caplog.text


def test_features_of_another_protocol_or_network_are_refused(network, tmp_path):
    real = ki3d.fvd_features(noise(4, 4, frames=20))
    with pytest.raises(UserError, match="frames=16, not 18"):
        ki3d.fvd(real, noise(4, 5, frames=20), protocol=dataclasses.replace(REFERENCE, frames=18))
    with pytest.raises(UserError, match=r"resize='legacy', not 'half_pixel'|start="):
        ki3d.fvd(real, real, protocol="stylegan_v")
    other = dataclasses.replace(real, weights="another")
    with pytest.raises(UserError, match="features of the same network"):
        ki3d.fvd(real, other)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((2, 16, 8, 8, 3), np.float32),
        np.zeros((16, 8, 8, 3), np.uint8),
        np.zeros((2, 16, 3, 8, 8), np.uint8),
    ],
)
def test_arrays_of_another_type_or_shape_are_refused(network, array):
    with pytest.raises(
        UserError, match=r"^videos: must be uint8 of shape \(videos, frames, height, "
    ):
        ki3d.fvd_features(array)


def test_pickled_videos_are_refused_unread(network, tmp_path):
    class Loaded:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "executed"),)

    np.save(tmp_path / "array.npy", np.array([Loaded()], object), allow_pickle=True)
    np.savez(tmp_path / "array.npz", videos=np.array([Loaded()], object))
    np.savez(tmp_path / "features.npz", fvd=np.array([Loaded()], object))
    for name in ("array.npy", "array.npz", "features.npz"):
        with pytest.raises(UserError, match=f"{name}: "):
            ki3d.fvd(tmp_path / name, noise(2, 1))
    assert not (tmp_path / "executed").exists()


def test_a_single_array_under_the_name_of_an_archive_is_refused(network, tmp_path):
    np.save(tmp_path / "array.npy", noise(2, 1))
    path = (tmp_path / "array.npy").rename(tmp_path / "array.npz")
    message = r"array\.npz: .*contains a single array; its name must end in \.npy"
    with pytest.raises(UserError, match=message):
        ki3d.fvd(path, path)
    with pytest.raises(UserError, match=message):
        VideoFeatures.load(path)


def test_archives_that_unpack_to_more_than_any_clip_has_are_refused(network, tmp_path, monkeypatch):
    ki3d.fvd_features(noise(3, 6)).save(tmp_path / "features.npz")
    np.savez_compressed(tmp_path / "videos.npz", videos=np.zeros((2, 16, 8, 8, 3), np.uint8))
    monkeypatch.setattr(files, "MAX_UNPACKED", 4096)
    for name in ("features.npz", "videos.npz"):
        with pytest.raises(UserError, match=rf"{name}: .*declares .* GiB are read"):
            ki3d.fvd(tmp_path / name, noise(2, 1))


def test_a_damaged_file_of_features_is_refused(network, tmp_path):
    path = tmp_path / "features.npz"
    features = ki3d.fvd_features(noise(3, 6))
    features.save(path)
    loaded = VideoFeatures.load(path)
    assert loaded.protocol == features.protocol
    np.testing.assert_array_equal(loaded.values, features.values)
    np.savez(path, fvd=np.array("{}"), values=features.values)
    with pytest.raises(UserError, match="not a file of FVD features"):
        ki3d.fvd(path, path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(UserError, match=r"features\.npz"):
        ki3d.fvd(path, path)


def test_degradations_raise_the_distance(network):
    """The more noise is added, the farther the videos."""
    random = np.random.default_rng(7)
    real = noise(30, 8) // 2
    distances = []
    for level in (0, 20, 60):
        added = random.integers(level + 1, size=real.shape, dtype=np.uint8)
        distances.append(ki3d.fvd(real, real + added).fvd)
    assert distances[0] == 0.0
    assert distances[0] < distances[1] < distances[2]


def test_all_metrics_and_spread(network):
    result = ki3d.fvd(noise(12, 9), noise(12, 10), all_metrics=True, resamples=3)
    assert result.spread > 0
    assert 0 <= result.precision <= 1
    assert 0 <= result.recall <= 1
    assert np.isfinite(result.kvd)
    again = ki3d.fvd(noise(12, 9), noise(12, 10), all_metrics=True, resamples=3)
    assert again == result
    features = ki3d.fvd_features(noise(4, 11))
    three = ki3d.fvd(noise(3, 9), noise(12, 10), all_metrics=True)
    assert three.precision is three.recall is None and np.isfinite([three.fvd, three.kvd]).all()
    few = dataclasses.replace(features, values=features.values[:, :5])
    for resamples in (-1, 1):
        with pytest.raises(ValueError, match="`resamples` must be 0, or 2 or more"):
            ki3d.fvd(few, few, resamples=resamples)
    assert ki3d.fvd(few, few).spread is None


def test_wrong_protocols_are_refused():
    with pytest.raises(ValueError, match="`protocol` must be one of"):
        find_protocol("styleganv")
    with pytest.raises(ValueError, match="`frames` must be 9 or more"):
        find_protocol("reference", frames=8)
    with pytest.raises(ValueError, match=r"`frames` must be a whole number above 0. .*=16\.5"):
        FVDProtocol("own", frames=16.5)
    assert json.dumps(dataclasses.asdict(FVDProtocol("own", frames=np.int64(32))))
    with pytest.raises(ValueError, match="`resize` must be one of"):
        FVDProtocol("own", resize="bicubic")


def test_wrong_numbers_are_refused_before_the_features(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("kinetics_i3d.evaluation.fvd_features._sources", None)
    with pytest.raises(ValueError, match=r"`batch_size` must be a whole number above 0. .*=2\.5"):
        ki3d.fvd_features(noise(2, 0), batch_size=2.5)
    np.save(tmp_path / "a.npy", noise(2, 0))
    words = ["fvd", str(tmp_path / "a.npy"), str(tmp_path / "a.npy"), "--resamples", "1"]
    assert main(words) == 2
    assert "--resamples must be 0, or 2 or more" in capsys.readouterr().err
    assert main([*words[:3], "--save-generated", "x.features"]) == 2
    assert "--save-generated must name a file that ends in .npz" in capsys.readouterr().err
    with pytest.raises(ValueError, match=r"`path` must end in \.npz"):
        VideoFeatures(np.zeros((1, 400), np.float32), REFERENCE, "").save(tmp_path / "x.features")


def test_the_command_prints_saves_and_reuses(network, tmp_path, capsys):
    np.save(tmp_path / "real.npy", noise(5, 11))
    np.save(tmp_path / "generated.npy", noise(5, 12))
    words = [str(tmp_path / "real.npy"), str(tmp_path / "generated.npy")]
    saved = str(tmp_path / "real.npz")
    assert main(["fvd", *words, "--json", "--save-real", saved]) == 0
    first = json.loads(capsys.readouterr().out)
    assert main(["fvd", saved, words[1], "--all-metrics", "--resamples", "5"]) == 0
    text = capsys.readouterr().out
    assert f"FVD        {first['fvd']:.4f} ± " in text
    assert "precision" in text
    assert main(["fvd", saved, words[1], "--protocol", "none"]) == 2
    assert "--protocol must be one of" in capsys.readouterr().err


def test_the_command_says_in_one_line_what_cannot_be_compared(
    network, tmp_path, coded_video, capsys
):
    folders = [tmp_path / name for name in ("none", "short", "missing")]
    for folder in folders[:2]:
        folder.mkdir()
    (folders[1] / "a.mp4").write_bytes(coded_video(5).read_bytes())
    np.save(tmp_path / "real.npy", noise(3, 13))
    for folder in folders:
        assert main(["fvd", str(tmp_path / "real.npy"), str(folder)]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        (line,) = (line for line in err.splitlines() if "kinetics-i3d: error: " in line)
        assert str(folder) in line


def test_a_full_disk_costs_the_features_and_not_the_result(network, tmp_path, monkeypatch, capsys):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    np.save(tmp_path / "real.npy", noise(5, 14))
    words = ["fvd", *[str(tmp_path / "real.npy")] * 2, "--save-real", str(tmp_path / "f.npz")]
    monkeypatch.setattr(np, "savez", full)
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert "FVD        0.0000" in out
    assert "No space left on device" in err and err.count("kinetics-i3d: error: ") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["real.npy"]


def features(count, size, seed, shift=0.0):
    random = np.random.default_rng(seed)
    mix = random.normal(size=(size, size)) / np.sqrt(size)
    return random.normal(size=(count, size)) @ mix + shift


def scipy_frechet(real, generated, ddof):
    """The textbook formula with the square root of the product of the covariances."""
    first, second = (np.cov(x, rowvar=False, ddof=ddof) for x in (real, generated))
    root = linalg.sqrtm(first @ second)
    return np.square(real.mean(0) - generated.mean(0)).sum() + np.trace(
        first + second - 2 * root.real
    )


@pytest.mark.parametrize("biased", [False, True])
def test_frechet_distance_is_that_of_scipy(biased):
    real, generated = features(300, 40, 1), features(200, 40, 2, shift=0.3)
    wanted = scipy_frechet(real, generated, ddof=0 if biased else 1)
    assert frechet_distance(real, generated, biased=biased) == pytest.approx(wanted, rel=1e-6)


def test_frechet_distance_between_gaussians_with_diagonal_covariances():
    """Two points a feature have known variances, so the distance is known."""
    real = np.array([[-1.0, -2.0], [1.0, 2.0]])
    shifted = np.array([[-3.0, 0.0], [3.0, 0.0]]) + 5
    # Both covariances have rank 1, with the traces 2 + 8 and 18; their product has one eigenvalue.
    root = np.sqrt(2.0 * 18.0)
    assert frechet_distance(real, shifted) == pytest.approx(50 + 10 + 18 - 2 * root)


def test_frechet_distance_of_identical_sets_is_zero():
    same = features(500, 30, 3)
    assert frechet_distance(same, same) < 1e-9


def test_frechet_distance_of_fewer_videos_than_features_is_finite_and_positive():
    distance = frechet_distance(features(50, 400, 4), features(50, 400, 5))
    assert np.isfinite(distance)
    assert distance > 0


@pytest.mark.slow
def test_frechet_distance_of_fewer_videos_than_features_is_that_of_singular_values():
    """trace((C_r C_g)^½) is the sum of the singular values of A Bᵀ, of centered rows A and B."""
    real, generated = features(50, 400, 4), features(40, 400, 5, shift=0.2)
    a, b = (x - x.mean(0) for x in (real, generated))
    root = np.linalg.svd(a @ b.T, compute_uv=False).sum() / np.sqrt(49 * 39)
    wanted = np.square(real.mean(0) - generated.mean(0)).sum()
    wanted += np.square(a).sum() / 49 + np.square(b).sum() / 39 - 2 * root
    assert frechet_distance(real, generated) == pytest.approx(wanted, rel=1e-6)
    assert frechet_distance(real, real) < 1e-6 * wanted


def test_kernel_distance_is_that_of_loops():
    real, generated = features(12, 5, 6), features(9, 5, 7, shift=0.2)

    def kernel(x, y):
        return (x @ y / 5 + 1) ** 3

    def mean(first, second, same):
        values = [
            kernel(x, y)
            for i, x in enumerate(first)
            for j, y in enumerate(second)
            if not (same and i == j)
        ]
        return np.mean(values)

    wanted = mean(real, real, True) + mean(generated, generated, True)
    wanted -= 2 * mean(real, generated, False)
    assert kernel_distance(real, generated) == pytest.approx(wanted, rel=1e-9)


def test_precision_recall_is_that_of_loops():
    real, generated = features(40, 3, 8), features(30, 3, 9, shift=0.8)

    def covered(samples, by):
        radii = [np.sort(np.linalg.norm(by - row, axis=1))[3] for row in by]
        hits = [
            any(np.linalg.norm(x - row) <= radius for row, radius in zip(by, radii, strict=True))
            for x in samples
        ]
        return np.mean(hits)

    precision, recall = precision_recall(real, generated)
    assert precision == pytest.approx(covered(generated, real))
    assert recall == pytest.approx(covered(real, generated))
    assert 0 < precision < 1


def test_a_sample_as_far_as_the_last_neighbor_is_covered():
    real = np.array([[0.0], [1], [2], [4]])  # the third neighbors of both ends are 4 away
    generated = np.array([[-5.0], [-4], [8], [9]])
    assert precision_recall(real, generated)[0] == 0.5


@pytest.mark.parametrize(
    ("real", "generated", "words"),
    [
        (np.zeros((1, 3)), np.zeros((4, 3)), "at least two videos"),
        (np.zeros((4, 3)), np.zeros((4, 2)), "same number of features"),
        (np.full((4, 3), np.nan), np.zeros((4, 3)), "finite"),
        (np.zeros(4), np.zeros((4, 3)), "shape"),
    ],
)
def test_wrong_features_are_refused(real, generated, words):
    with pytest.raises(UserError, match=words):
        frechet_distance(real, generated)
