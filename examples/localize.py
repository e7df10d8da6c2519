"""Finds when actions happen in long videos: timed features into a small detector, scored by mAP.

    python examples/localize.py
    python examples/localize.py --videos DATASET --weights rgb_kinetics400

Long videos are made by joining short clips, so the truth is known to the frame: of generated
figures, or of a dataset such as J-HMDB, whose clips carry labels and splits. The second half of the
actions is background. The detector is a linear classifier of each window's features, whose
predictions `find_segments` merges. Its mean average precision at temporal IoU 0.3 to 0.7 falls if
the seconds of the features are shifted: so they are right.
"""

import argparse
import collections
import pathlib
import tempfile

import keras
import numpy as np

import kinetics_i3d as ki3d

THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7)
SHIFTS = (-1.0, -0.5, -0.25, 0.0, 0.25, 0.5, 1.0)
FPS = 25
Event = collections.namedtuple("Event", "video start end label score", defaults=(1.0,))


def temporal_iou(first, second):
    """Intersection over union of two (start, end) in seconds."""
    shared = min(first[1], second[1]) - max(first[0], second[0])
    return max(0.0, shared) / (first[1] - first[0] + second[1] - second[0] - max(0.0, shared))


def average_precision(segments, truth, threshold):
    """Average precision of the segments of one class, as THUMOS-14 and ActivityNet define it.

    Segments are taken by falling score; each matches the free true one of its video that it
    overlaps most, if by `threshold` or more. Precision counts as the highest at this recall or
    more.
    """
    free = set(range(len(truth)))
    hits = []
    for segment in sorted(segments, key=lambda segment: -segment.score):
        overlaps = {
            index: temporal_iou(segment[1:3], truth[index][1:3])
            for index in free
            if truth[index].video == segment.video
        }
        best = max(overlaps, key=overlaps.get, default=None)
        hits.append(best is not None and overlaps[best] >= threshold)
        if hits[-1]:
            free.remove(best)
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    ceiling = np.maximum.accumulate(precision[::-1])[::-1]
    return float(ceiling[np.flatnonzero(hits)].sum() / len(truth))


def mean_average_precision(segments, truth, threshold):
    """The mean over the classes that occur."""
    labels = sorted({segment.label for segment in truth})
    of_class = [
        [[s for s in part if s.label == label] for label in labels] for part in (segments, truth)
    ]
    return float(
        np.mean([average_precision(*pair, threshold) for pair in zip(*of_class, strict=True)])
    )


def figure_clips(split, actions, count, random):
    """Yields (label, frames) of generated figures, other figures in each split."""
    for _ in range(count):
        action, seed = random.choice(actions), 2 * random.integers(100_000) + (split == "test")
        length = int(random.integers(40, 65))
        yield action, ki3d.render_figure(action, seed=int(seed), frames=length, size=(96, 128))


def dataset_clips(folder, split, count, random):
    """Yields (label, frames) of a dataset's videos of one size."""
    videos = ki3d.open_dataset(folder).split(split).videos
    shape = None
    for index in random.permutation(len(videos)):
        frames = np.stack(list(ki3d.read_frames(videos[index].path, fps=FPS)))
        shape = shape or frames.shape[1:]
        if frames.shape[1:] == shape:
            yield videos[index].label, frames
            count -= 1
        if not count:
            return


def join(clips, folder, name, *, each):
    """Writes long videos of `each` clips; returns their paths and the true segments."""
    clips, paths, truth = list(clips), [], []
    for number in range(len(clips) // each):
        part = clips[number * each : (number + 1) * each]
        paths.append(folder / f"{name}{number}.mp4")
        ki3d.write_video(paths[-1], (frame for _, frames in part for frame in frames), fps=FPS)
        ends = np.cumsum([len(frames) for _, frames in part]) / FPS
        starts = [0.0, *ends[:-1]]
        for start, end, (label, _) in zip(starts, ends, part, strict=True):
            truth.append(Event(paths[-1].name, float(start), float(end), label))
    return paths, truth


def classes_of(rows, path, truth, labels):
    """The class of each window, by its middle."""
    own = [segment for segment in truth if segment.video == path.name]
    indices = np.searchsorted([segment.end for segment in own], rows.center, side="right")
    names = [own[min(index, len(own) - 1)].label for index in indices]
    return np.array([labels.index(name) for name in names])


def events_of(path, rows, probabilities, labels, actions):
    """The segments of a video, by probabilities of each window."""
    timeline = ki3d.Timeline(str(path), tuple(labels), probabilities, rows.start, rows.end)
    for segment in ki3d.find_segments(timeline, threshold=0.2, min_length=0.5, max_gap=0):
        if segment.label in actions:
            yield Event(path.name, segment.start, segment.end, segment.label, segment.score)


def main(arguments=None):
    """Prints the mAP at each threshold, for each shift of the seconds; returns the means."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--videos", metavar="DATASET", help="default: generated figures")
    parser.add_argument("--weights", help="default: rgb_figures, with --videos rgb_kinetics400")
    parser.add_argument("--long-videos", type=int, default=8, help="of each split")
    parser.add_argument("--each", type=int, default=12, help="clips in each of them")
    options = parser.parse_args(arguments)
    weights = options.weights or ("rgb_kinetics400" if options.videos else "rgb_figures")
    model = ki3d.load_model(weights)
    count = options.long_videos * options.each
    random = np.random.default_rng(0)

    with tempfile.TemporaryDirectory() as folder:
        joined = {}
        for split in ("train", "test"):
            if options.videos:
                clips = dataset_clips(options.videos, split, count, random)
            else:
                clips = figure_clips(split, model.labels, count, random)
            joined[split] = join(clips, pathlib.Path(folder), split, each=options.each)
        labels = sorted({segment.label for segment in joined["train"][1]})
        actions = labels[: (len(labels) + 1) // 2]
        rows = {
            path: ki3d.extract_features(path, model, window=16, stride=2, align="center")
            for paths, _ in joined.values()
            for path in paths
        }

    (train, train_truth), (test, truth) = joined["train"], joined["test"]
    inputs = np.concatenate([rows[path].features for path in train])
    mean, deviation = inputs.mean(axis=0), inputs.std(axis=0) + 1e-6
    classes = np.concatenate([classes_of(rows[path], path, train_truth, labels) for path in train])
    keras.utils.set_random_seed(0)
    detector = keras.Sequential(
        [keras.Input(inputs.shape[1:]), keras.layers.Dense(len(labels), activation="softmax")]
    )
    detector.compile(
        keras.optimizers.AdamW(1e-3, weight_decay=0.05), "sparse_categorical_crossentropy"
    )
    detector.fit((inputs - mean) / deviation, classes, epochs=20, verbose=0)

    segments = []
    for path in test:
        probabilities = np.asarray(detector((rows[path].features - mean) / deviation))
        segments += events_of(path, rows[path], probabilities, labels, actions)
    truth = [segment for segment in truth if segment.label in actions]
    print(f"{len(segments)} segments found, {len(truth)} true ones of {len(actions)} actions")
    print("shift     " + "".join(f"  tIoU {threshold}" for threshold in THRESHOLDS) + "     mean")
    means = {}
    for shift in SHIFTS:
        moved = [s._replace(start=s.start + shift, end=s.end + shift) for s in segments]
        scores = [mean_average_precision(moved, truth, threshold) for threshold in THRESHOLDS]
        means[shift] = float(np.mean(scores))
        cells = "".join(f"  {100 * score:8.1f}" for score in (*scores, means[shift]))
        print(f"{shift:+5.2f} s   {cells}")
    return means


if __name__ == "__main__":
    main()
