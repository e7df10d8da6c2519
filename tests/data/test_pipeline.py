"""The training pipeline: the same batches for a seed, and what short and broken videos become."""

import itertools
import logging

import numpy as np
import pytest
import tensorflow as tf

from kinetics_i3d.core.clip_spec import ClipSpec
from kinetics_i3d.core.stream_specs import StreamSpecs
from kinetics_i3d.core.threads import usable_processors
from kinetics_i3d.data import pipeline, transforms
from kinetics_i3d.data.pipeline import augmentation, training_clips
from kinetics_i3d.data.streams import read_window
from kinetics_i3d.data.video_dataset import Video, VideoDataset

SPEC = ClipSpec("coded", short_side=64, size=64)
KEEP = transforms.normalize(SPEC)


@pytest.fixture(scope="module")
def dataset(coded_video):
    """Videos of 5 to 11 frames; those of class c count from 100 c + 20 (number of the video)."""
    videos = []
    for number, frames in enumerate((5, 8, 11, 9, 10, 7)):
        label = number % 3
        path = coded_video(frames, first=1000 * label + 20 * number)
        videos.append(Video(path, "abc"[label], "train", str(path)))
    return VideoDataset("coded", ("a", "b", "c"), tuple(videos))


def take(dataset, count, **options):
    settings = {"spec": SPEC, "frames": 4, "batch_size": 3, "augment": KEEP, **options}
    return list(training_clips(dataset, **settings).take(count).as_numpy_iterator())


def same(one, other):
    return all(
        np.array_equal(a, b)
        for x, y in zip(one, other, strict=True)
        for a, b in zip(x, y, strict=True)
    )


def test_batches_are_clips_and_one_hot_targets(dataset, numbers):
    starts, passes = set(), []
    for clips, targets in take(dataset, 8):
        assert clips.shape == (3, 4, 64, 64, 3) and clips.dtype == np.float32
        assert targets.shape == (3, 3) and targets.dtype == np.float32
        assert clips.min() >= -1 and clips.max() <= 1
        for clip, target in zip(clips, targets, strict=True):
            shown = numbers(clip, gray=0)
            assert target.sum() == 1 and target[shown[0] // 1000] == 1
            assert shown == list(range(shown[0], shown[0] + 4))
            starts.add(shown[0])
            passes.append(shown[0] // 20)
    # 24 clips are 4 passes over 6 videos: each comes once a pass, from several starts, reordered.
    rounds = [passes[at : at + 6] for at in range(0, 24, 6)]
    assert all(len(set(each)) == 6 for each in rounds)
    assert len({tuple(each) for each in rounds}) > 1
    assert len(starts) > 8


@pytest.mark.slow
def test_a_seed_gives_the_same_batches_whatever_the_workers(dataset):
    augment = augmentation(ClipSpec("small", short_side=64, size=32))
    options = {"spec": ClipSpec("small", short_side=64, size=32), "augment": augment}
    one = take(dataset, 5, workers=1, seed=3, **options)
    assert same(one, take(dataset, 5, workers=4, seed=3, **options))
    assert same(one, take(dataset, 5, seed=3, **options))
    assert not same(one, take(dataset, 5, seed=4, **options))


def test_the_start_of_a_clip_is_independent_of_the_seed_of_its_augmentation(coded_video, numbers):
    path = coded_video(60)
    dataset = VideoDataset("one", ("a",), (Video(path, "a", "train", "x"),))
    clips = pipeline.decoded_clips(dataset, specs=StreamSpecs(SPEC), frames=4, workers=1).take(12)
    starts, of_that_seed = [], []
    for clip, seed, *_ in clips:
        position = float(tf.random.stateless_uniform((), seed))  # as an augmentation draws
        starts += numbers(clip["rgb"][:1].numpy())
        of_that_seed += numbers(window(path, SPEC, frames=4, position=position)[:1])
    assert sum(np.equal(starts, of_that_seed)) <= 2


@pytest.mark.slow
def test_batches_continue_where_they_stopped(dataset):
    options = {"mixup": 0.4, "numbered": True}
    whole = take(dataset, 4, **options)
    *_, numbers = whole[1]
    assert same(whole[2:], take(dataset, 2, start=(int(numbers[-1]) + 1, 2), **options))


def test_the_end_of_an_iterator_waits_for_no_tuner(dataset):
    # After some 40 seconds of batches tf.data's would hold it up for about as long again.
    batches = training_clips(dataset, spec=SPEC, frames=3, batch_size=2, augment=augmentation(SPEC))
    assert not batches.options().autotune.enabled


def test_a_video_that_comes_again_is_changed_anew(coded_video):
    path = coded_video(30)
    dataset = VideoDataset("one", ("a",), (Video(path, "a", "train", "x"),))
    small = ClipSpec("small", short_side=64, size=32)
    ((clips, _),) = take(dataset, 1, spec=small, augment=augmentation(small), batch_size=4)
    assert all(not np.array_equal(a, b) for a, b in itertools.combinations(clips, 2))


@pytest.mark.slow
def test_batches_are_blended_if_requested(dataset):
    plain, mixed, again = (take(dataset, 3, mixup=alpha) for alpha in (0.0, 0.4, 0.4))
    assert same(mixed, again) and not same(plain, mixed)
    shares = set()
    for (clips, targets), (blended, goals) in zip(plain, mixed, strict=True):
        turned = np.roll(clips, 1, axis=0)
        # The share that the clips tell is that of the targets.
        away = (clips - turned).ravel()
        share = float(away @ (blended - turned).ravel() / (away @ away))
        np.testing.assert_allclose(
            goals, share * targets + (1 - share) * np.roll(targets, 1, axis=0), atol=1e-4
        )
        shares.add(round(share, 3))
    assert len(shares) == 3  # another blend for each batch


def test_short_videos_are_looped(coded_video, numbers):
    path = coded_video(3)
    dataset = VideoDataset("one", ("a",), (Video(path, "a", "train", "x"),))
    for clips, _ in take(dataset, 2, frames=8, batch_size=2):
        for clip in clips:
            assert numbers(clip, gray=0) == [0, 1, 2, 0, 1, 2, 0, 1]


def test_a_broken_video_is_logged_and_skipped(coded_video, tmp_path, caplog, numbers):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    good = coded_video(8, first=40)
    videos = (Video(broken, "a", "train", "x"), Video(good, "b", "train", "y"))
    dataset = VideoDataset("two", ("a", "b"), videos)
    with caplog.at_level(logging.WARNING, logger="absl"):
        batches = take(dataset, 2, batch_size=2)
    for clips, targets in batches:
        assert all(40 <= numbers(clip, gray=0)[0] < 45 for clip in clips)
        np.testing.assert_array_equal(targets, [[0, 1], [0, 1]])
    assert "skipped" in caplog.text and str(broken) in caplog.text


def test_only_broken_videos_end_the_search_even_if_one_is_listed_twice(tmp_path):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    videos = (Video(broken, "a", "train", "x"), Video(broken, "a", "val", "x"))
    with pytest.raises(Exception, match="no video can be decoded"):
        take(VideoDataset("two", ("a", "b"), videos), 1, batch_size=1)


def window(path, spec, **options):
    return read_window(path, StreamSpecs(spec), **options)["rgb"]


@pytest.mark.parametrize("fps", [25, 30, 12.5, 24])
@pytest.mark.parametrize("frames", [1, 7, 16, 20])
def test_a_window_reaches_from_the_first_frame_to_the_last(coded_video, numbers, fps, frames):
    path = coded_video(20, fps=fps)
    spec = ClipSpec("coded", fps=fps, short_side=64, size=64)
    for position, first in ((0.0, 0), (1.0, 20 - frames)):
        clip = window(path, spec, frames=frames, position=position)
        assert clip.dtype == np.uint8 and clip.shape == (frames, 64, 64, 3)
        assert numbers(clip) == list(range(first, first + frames))


def test_every_position_gives_frames_in_order(coded_video, numbers):
    path = coded_video(40, fps=30)
    starts = set()
    for position in np.linspace(0, 1, 23):
        clip = window(path, SPEC, frames=16, position=float(position))
        shown = numbers(clip)
        assert shown == sorted(shown) and 16 <= shown[-1] - shown[0] <= 20  # 25 of 30 frames
        starts.add(shown[0])
    assert len(starts) > 15 and min(starts) == 0 and max(starts) >= 20


def test_the_first_window_replaces_one_after_the_end(coded_video, numbers, monkeypatch):
    monkeypatch.setattr("kinetics_i3d.data.streams.duration", lambda video: 100.0)
    clip = window(coded_video(20), SPEC, frames=8, position=0.9)
    assert numbers(clip) == list(range(8))


def test_frames_are_resized_and_sampled_at_the_specs_rate(coded_video, numbers):
    spec = ClipSpec("half", fps=25.0, short_side=32, size=32)
    clip = window(coded_video(40, fps=50), spec, frames=10, position=0.0)
    assert clip.shape == (10, 32, 32, 3) and numbers(clip) == list(range(0, 20, 2))


def test_windows_follow_the_specs_resize(coded_video):
    spec = ClipSpec("squeezed", short_side=48, size=48, resize="stretch")
    clip = window(coded_video(20), spec, frames=4, position=0.0)
    assert clip.shape == (4, 48, 48, 3)
    high = ClipSpec("high", short_side=40, size=32, resize="height")
    assert window(coded_video(20), high, frames=4, position=0.0).shape[1] == 40


def test_augmentation_does_what_is_requested():
    clip = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), np.uint8)
    spec = ClipSpec("small", short_side=64, size=64)
    plain = augmentation(spec, area=(1.0, 1.0), flip=False, color=False)
    turned = augmentation(spec, area=(1.0, 1.0), flip=True, color=False)
    seeds = [(seed, 0) for seed in range(12)]
    exact = [plain({"rgb": clip}, seed)["rgb"].numpy() for seed in seeds]
    assert all(found.shape == (2, 64, 64, 3) for found in exact)
    assert -1.001 < min(found.min() for found in exact) < -0.9
    # The aspect still varies; the brightness of the whole hardly.
    means = [found.mean() for found in exact]
    assert np.ptp(means) < 0.1
    colored = augmentation(spec, area=(1.0, 1.0), flip=False, color=True)
    assert np.ptp([colored({"rgb": clip}, seed)["rgb"].numpy().mean() for seed in seeds]) > 0.2
    crops = augmentation(spec, area=(0.05, 0.1), flip=False, color=False)
    assert np.std([crops({"rgb": places()}, seed)["rgb"].numpy().mean() for seed in seeds]) > 0.1
    ramp = [turned({"rgb": places()}, seed)["rgb"].numpy()[0, 32] for seed in seeds]
    assert {bool(row[-1, 0] > row[0, 0]) for row in ramp} == {True, False}
    ramp = [plain({"rgb": places()}, seed)["rgb"].numpy()[0, 32] for seed in seeds]
    assert {bool(row[-1, 0] > row[0, 0]) for row in ramp} == {True}


def places():
    """A ramp from left to right."""
    return np.broadcast_to(np.linspace(0, 255, 64)[:, None], (2, 64, 64, 3)).astype(np.uint8)


def test_an_op_of_another_size_is_refused(dataset):
    with pytest.raises(ValueError, match="64 and 32"):
        take(dataset, 1, augment=transforms.random_crop(32))


def test_a_damaged_header_does_not_lose_the_video(shared):
    """It tells of 48 frames and holds 40."""
    spec = ClipSpec("small", short_side=64, size=64)
    path = shared / "clips/awkward/header_says_48_holds_40.avi"
    for position in (0.0, 0.5, 1.0):
        clip = window(path, spec, frames=8, position=position)
        assert len(clip) == 8


def test_as_many_videos_are_decoded_at_once_as_there_are_processors():
    class Source:
        def random_clips(self, *, workers, **_):
            return tf.data.Dataset.from_tensors(workers)

    def workers(**options):
        options |= {"specs": StreamSpecs(SPEC), "frames": 4}
        return next(iter(pipeline.decoded_clips(Source(), **options))).numpy()

    assert workers() == usable_processors()
    assert workers(workers=3) == 3


def test_clips_of_unequal_rates_are_whole_stacks(dataset):
    spec = {"rgb": ClipSpec("rgb", fps=5), "flow": ClipSpec("flow", stream="flow", fps=25)}
    with pytest.raises(ValueError, match=r"multiple of 5. Received: frames=7"):
        take(dataset, 1, spec=spec, streams=("rgb", "flow"), frames=7)
