"""Cross-validates the rate and the epochs of `--transfer fixed` on J-HMDB's training clips.

The classifier is trained as `kinetics_i3d.training` trains it: AdamW with weight decay on the
kernel alone, a warm-up epoch and half a cosine, label smoothing, dropout of the features before
they are averaged over time. Written in NumPy, so that all rates are trained at once; `--check`
compares it with the package's own optimizer, loss and schedule.

    python benchmarks/fixed_defaults.py ../shared/data/jhmdb --features features.npz

The features file is made on the first call (minutes) and read afterwards.
"""

import argparse
import pathlib

import numpy as np

RATES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
EPOCHS = (20, 60, 120)
FOLDS, BATCH, STEPS_OF_TIME = 5, 8, 7  # 64 frames are 7 time steps before the classifier
SMOOTHING, DROPOUT, DECAY, WARMUP = 0.1, 0.5, 0.05, 1
BETAS, EPSILON = (0.9, 0.999), 1e-7  # Keras' AdamW


def make_features(folder, weights, path):
    """Writes the pooled `Mixed_5c` of every J-HMDB training clip and of its mirror image."""
    import itertools

    import kinetics_i3d as ki3d
    from kinetics_i3d.core.clip_spec import DEEPMIND
    from kinetics_i3d.data.datasets import open_dataset
    from kinetics_i3d.data.views import video_views
    from kinetics_i3d.video.reader import video_info

    model = ki3d.InceptionI3D(weights=weights, include_top=False, pooling="avg")
    videos = open_dataset(folder).split("train").videos
    rows = []
    for number, video in enumerate(videos):
        views = video_views(video.path, spec=DEEPMIND, view="flips", window=64)
        clips = [clip for clip, _ in itertools.islice(views, 2)]
        rows.append(model.predict_on_batch(np.concatenate(clips)))
        print(f"{number + 1} of {len(videos)}, {video_info(video.path).frames} frames", end="\r")
    np.savez(
        path,
        path=[str(video.path) for video in videos],
        label=[video.label for video in videos],
        split=["train"] * len(videos),
        Mixed_5c=np.stack(rows),
    )


def film_of(path, label):
    """The film that a clip of HMDB was cut from, from its file name."""
    return pathlib.PurePath(path).name.split(f"_{label}_")[0]


def rate_factors(steps, warmup):
    """The share of the peak rate at every step: `Schedule("cosine")`."""
    step = np.arange(steps)
    rise = np.minimum(1, step / warmup) if warmup else np.ones(steps)
    done = np.clip((step - warmup) / max(1, steps - warmup), 0, 1)
    return rise * (1 + np.cos(np.pi * done)) / 2


def softmax(logits):
    """Along the last axis."""
    exps = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exps / exps.sum(axis=-1, keepdims=True)


def fit(features, targets, *, epochs, seed=0, dropout=DROPOUT, kernel=None, rates=RATES):
    """One classifier for each rate, with the same initial values, order and dropout.

    Args:
        features: (clips, channels).
        targets: (clips, classes), one-hot.
        epochs: Passes over the clips.
        seed: Random seed.
        dropout: Dropout rate of the features.
        kernel: Initial values, (channels, classes); by default Glorot's.
        rates: Peak learning rates.

    Returns:
        (kernels, biases): (rates, channels, classes) and (rates, classes).
    """
    random = np.random.default_rng(seed)
    count, (channels, classes) = len(features), (features.shape[1], targets.shape[1])
    per_epoch = -(-count // BATCH)
    if kernel is None:
        reach = np.sqrt(6 / (channels + classes))
        kernel = random.uniform(-reach, reach, (channels, classes))
    kernels = np.repeat(kernel[None], len(rates), axis=0).astype(np.float32)
    biases = np.zeros((len(rates), classes), np.float32)
    moments = [[np.zeros_like(v), np.zeros_like(v)] for v in (kernels, biases)]
    smooth = (targets * (1 - SMOOTHING) + SMOOTHING / classes).astype(np.float32)
    peaks = np.array(rates, np.float32)
    order = np.concatenate([random.permutation(count) for _ in range(epochs + 1)])
    for step, share in enumerate(rate_factors(per_epoch * epochs, per_epoch * WARMUP)):
        rows = order[step * BATCH : (step + 1) * BATCH]
        shown = features[rows]
        if dropout:
            kept = random.binomial(STEPS_OF_TIME, 1 - dropout, shown.shape)
            shown = (shown * kept / (STEPS_OF_TIME * (1 - dropout))).astype(np.float32)
        error = (softmax(shown @ kernels + biases[:, None]) - smooth[rows]) / len(rows)
        gradients = (shown.T @ error, error.sum(axis=1))
        rate = (peaks * share).reshape(-1, 1, 1)
        kernels -= kernels * DECAY * rate
        bias = np.sqrt(1 - BETAS[1] ** (step + 1)) / (1 - BETAS[0] ** (step + 1))
        for values, gradient, (mean, square) in zip(
            (kernels, biases), gradients, moments, strict=True
        ):
            mean += (gradient - mean) * (1 - BETAS[0])
            square += (gradient * gradient - square) * (1 - BETAS[1])
            alpha = rate.reshape(-1, *[1] * (values.ndim - 1)) * bias
            values -= alpha * mean / (np.sqrt(square) + EPSILON)
    return kernels, biases


def cross_validated(views, labels, films, *, epochs, most=None):
    """Cross-validated accuracy for each rate; films are not split between folds.

    Args:
        views: (clips, 2, channels): the clip and its mirror image; one of them is trained on.
        labels: (clips,) names.
        films: (clips,) names.
        epochs: Passes over the clips.
        most: Largest number of training clips per class.
    """
    names = sorted(set(labels))
    numbers = np.array([names.index(label) for label in labels])
    random = np.random.default_rng(0)
    folds = {film: place % FOLDS for place, film in enumerate(random.permutation(sorted({*films})))}
    fold = np.array([folds[film] for film in films])
    right = np.zeros(len(RATES))
    for number in range(FOLDS):
        train = np.flatnonzero(fold != number)
        if most:
            train = random.permutation(train)
            train = np.concatenate(
                [train[numbers[train] == index][:most] for index in range(len(names))]
            )
        shown = views[train, random.integers(0, 2, len(train))]
        kernels, biases = fit(shown, np.eye(len(names))[numbers[train]], epochs=epochs)
        test = fold == number
        scores = views[test, 0] @ kernels + biases[:, None]
        right += (scores.argmax(axis=-1) == numbers[test]).sum(axis=1)
    return right / len(labels)


def check(views, labels):
    """Largest difference of a logit from the package's own training step, without dropout."""
    import keras
    import tensorflow as tf

    from kinetics_i3d.training.config import TrainConfig
    from kinetics_i3d.training.optimizers import SCHEDULES, make_optimizer, prepare_optimizer
    from kinetics_i3d.training.step import Objective, Step

    names = sorted(set(labels))
    targets = np.eye(len(names))[[names.index(label) for label in labels]]
    features, rate, epochs = views[:, 0], 1e-2, 2
    random = np.random.default_rng(0)
    reach = np.sqrt(6 / (features.shape[1] + len(names)))
    kernel = random.uniform(-reach, reach, (features.shape[1], len(names)))
    order = np.concatenate([random.permutation(len(features)) for _ in range(epochs + 1)])
    kernels, biases = fit(features, targets, epochs=epochs, dropout=0, rates=(rate,))
    model = keras.Sequential([keras.Input(features.shape[1:]), keras.layers.Dense(len(names))])
    model.layers[0].set_weights([kernel, np.zeros(len(names))])
    config = TrainConfig(learning_rate=rate, epochs=epochs)
    optimizer = make_optimizer(config)
    prepare_optimizer(optimizer, model)
    step = Step(model, optimizer, objective=Objective(smoothing=config.label_smoothing))
    per_epoch = -(-len(features) // BATCH)
    for number in range(per_epoch * epochs):
        share = SCHEDULES["cosine"].rate(number, steps=per_epoch * epochs, warmup=per_epoch)
        optimizer.learning_rate = rate * share
        rows = order[number * BATCH : (number + 1) * BATCH]
        step.train(tf.constant(features[rows]), tf.constant(targets[rows], tf.float32))
    mine = features @ kernels[0] + biases[0]
    return float(np.abs(mine - np.asarray(model(features))).max())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", help="folder of J-HMDB")
    parser.add_argument("--features", required=True, type=pathlib.Path, help="file of features")
    parser.add_argument("--weights", default="rgb_kinetics400")
    parser.add_argument("--check", action="store_true", help="compare with the package's own step")
    options = parser.parse_args()
    if not options.features.is_file():
        make_features(options.data, options.weights, options.features)
    with np.load(options.features) as stored:
        chosen = stored["split"] == "train"
        views, labels = stored["Mixed_5c"][chosen], stored["label"][chosen]
        paths = stored["path"][chosen]
        films = np.array([film_of(*row) for row in zip(paths, labels, strict=True)])
    if options.check:
        print(f"largest difference of a logit from the package's step: {check(views, labels):.2g}")
        return
    ten = np.isin(labels, sorted(set(labels))[:10])
    every = np.ones(len(labels), bool)
    print("| clips | epochs |", " | ".join(f"{rate:g}" for rate in RATES), "|")
    print("| --- | --- |", " --- |" * len(RATES))
    for name, rows, most in (
        ("21 classes", every, None),
        ("10 classes", ten, None),
        ("21 classes, 5 clips each", every, 5),
        ("10 classes, 5 clips each", ten, 5),
    ):
        for epochs in EPOCHS:
            shares = cross_validated(
                views[rows], labels[rows], films[rows], epochs=epochs, most=most
            )
            cells = " | ".join(f"{100 * share:.1f}" for share in shares)
            print(f"| {name} | {epochs} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
