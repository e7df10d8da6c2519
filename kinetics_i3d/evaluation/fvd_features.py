"""`fvd_features`: computes the feature vectors that FVD compares."""

import dataclasses
import hashlib
import os
import pathlib
from collections.abc import Iterable
from typing import Any

import numpy as np

from kinetics_i3d.core.errors import DAMAGE, UserError, VideoError
from kinetics_i3d.core.file_warnings import one_warning_per_file, warn_about
from kinetics_i3d.core.files import check_unpacked, only_array, open_npz
from kinetics_i3d.core.progress import track
from kinetics_i3d.core.types import PathLike, check_count
from kinetics_i3d.evaluation.fvd_protocols import (
    FEATURES,
    FVDProtocol,
    VideoFeatures,
    find_protocol,
)
from kinetics_i3d.evaluation.protocols import weights_digest

SIDE = 224


def fvd_features(
    videos: Any,
    *,
    protocol: str | FVDProtocol = "reference",
    weights: "PathLike | _Network" = "rgb_kinetics400",
    seed: int = 0,
    batch_size: int = 8,
) -> VideoFeatures:
    """Computes the feature vectors of videos, for `fvd` or `VideoFeatures.save`.

    Args:
        videos: As in `fvd`, without features.
        protocol: As in `fvd`.
        weights: As in `fvd`.
        seed: Seed of random frames.
        batch_size: Number of clips per call of the network.

    Returns:
        A `VideoFeatures`. Videos that cannot be read or are too short are skipped, with a warning.

    Raises:
        UserError: If the source has no usable videos.
        ValueError: If an argument is out of its range.
        WeightsError: If the weights cannot be found or read.

    Example:

    >>> black = np.zeros((2, 16, 32, 32, 3), np.uint8)
    >>> ki3d.fvd_features(black).values.shape  # doctest: +SKIP
    (2, 400)
    """
    batch_size = check_count("batch_size", batch_size)
    protocol = find_protocol(protocol)
    sources = _sources(videos)
    network = weights if isinstance(weights, _Network) else _Network(weights, protocol)
    names: list[str] = []
    values: list[np.ndarray] = []
    skipped: list[str] = []
    batch: list[np.ndarray] = []

    def flush():
        if batch:
            values.append(network(np.stack(batch)))
            batch.clear()

    with one_warning_per_file():
        for name, read in track(sources, "features", total=len(sources), noun="videos"):
            try:
                clip = _clip(name, read, protocol, seed)
            except VideoError as error:
                warn_about(name, "skipped: %s", error)
                skipped.append(str(error))
                continue
            names.append(name)
            batch.append(network.resize(clip))
            if len(batch) == batch_size:
                flush()
        flush()
    if not values:
        reason = f": {skipped[0]}" if skipped else ""
        where = f"{os.fspath(videos)}: " if isinstance(videos, (str, os.PathLike)) else ""
        raise UserError(f"{where}no video with {protocol.frames} frames or more{reason}")
    return VideoFeatures(
        np.concatenate(values), protocol, network.digest, tuple(names), tuple(skipped)
    )


def features_of_both(real, generated, *, protocol, weights, seed, batch_size):
    """The two `VideoFeatures` that `fvd` compares; the network is built at most once."""
    for source in (real, generated):  # before a network is downloaded and built
        _check_source(source)
    network = None
    sets = []
    for name, source in (("real", real), ("generated", generated)):
        features = source if isinstance(source, VideoFeatures) else _saved(source)
        if features is None:
            network = network or _Network(weights, protocol)
            features = fvd_features(
                source, protocol=protocol, weights=network, seed=seed, batch_size=batch_size
            )
        _check_protocol(features, protocol, name)
        if len(features.values) < 2:
            raise UserError(
                f"`{name}` has one video with {protocol.frames} frames or more; FVD compares sets "
                "of two or more"
            )
        sets.append(features)
    if sets[0].weights != sets[1].weights:
        raise UserError(
            "`real` and `generated` must be features of the same network; use the same weights "
            "for both"
        )
    return sets


def _check_protocol(features, protocol, name):
    """Raises `UserError` for features of another protocol, whose distances are meaningless."""
    for field in dataclasses.fields(FVDProtocol):
        wanted = getattr(protocol, field.name)
        actual = getattr(features.protocol, field.name)
        if wanted != actual and field.name != "name":
            raise UserError(
                f"`{name}` has features of another protocol: {field.name}={actual!r}, not "
                f"{wanted!r}; such features cannot be compared"
            )


def _saved(source):
    """The `VideoFeatures` that a path was saved to; None for anything else."""
    if not isinstance(source, str | os.PathLike) or pathlib.Path(source).suffix != ".npz":
        return None
    try:
        with open(source, "rb") as data, open_npz(data) as file:
            if "fvd" not in file.files:
                return None
    except DAMAGE as error:
        raise UserError(f"{source}: {error}") from error
    return VideoFeatures.load(source)


def _check_source(videos):
    """Raises an error for a missing path, and for an object that cannot hold videos."""
    if isinstance(videos, VideoFeatures):
        return
    if isinstance(videos, str | os.PathLike):
        if not pathlib.Path(videos).exists():
            raise UserError(f"{os.fspath(videos)}: there is no such file or folder")
    elif not isinstance(videos, Iterable):
        raise ValueError(
            "videos must be a folder or a list of files, an array, or VideoFeatures. "
            f"Received: {type(videos).__name__}"
        )


def _sources(videos):
    """[(name, function that returns an iterator over the frames)] of the videos."""
    from kinetics_i3d.data.datasets import find_videos

    _check_source(videos)
    if isinstance(videos, str | os.PathLike):
        path = pathlib.Path(videos)
        if path.suffix in (".npy", ".npz"):
            return _array_sources(_load_array(path), str(path))
        videos = find_videos(path)[1]
    if isinstance(videos, np.ndarray):
        return _array_sources(videos, "videos")
    return [(str(path), _reader(path)) for path in videos]


def _load_array(path):
    """The array of a `.npy` file, mapped into memory, or the only array of an `.npz` file."""
    try:
        if path.suffix == ".npy":
            return np.load(path, mmap_mode="r", allow_pickle=False)
        with open(path, "rb") as data, open_npz(data) as file:
            if len(file.files) != 1:
                raise UserError(
                    f"{path}: must hold one array of videos. Received: {', '.join(file.files)}"
                )
            check_unpacked(file.zip)
            return only_array(file)
    except DAMAGE as error:
        raise UserError(f"{path}: {error}") from error


def _array_sources(array, name):
    if array.ndim != 5 or array.shape[-1] != 3 or array.dtype != np.uint8:
        raise UserError(
            f"{name}: must be uint8 of shape (videos, frames, height, width, 3). "
            f"Received: {array.dtype} of shape {array.shape}"
        )
    return [
        (f"{name}[{index}]", lambda video=video: iter(video)) for index, video in enumerate(array)
    ]


def _reader(path):
    from kinetics_i3d.video.reader import read_frames

    return lambda: read_frames(path)


def _clip(name, read, protocol, seed):
    """uint8 (frames, height, width, 3): the frames of a video that the protocol takes."""
    begin = 0
    if protocol.start == "random":
        count = sum(1 for _ in read())
        # Depends on the file's name, not on other files in the folder.
        key = hashlib.sha256(f"{seed} {os.path.basename(name)}".encode()).digest()
        random = np.random.default_rng(int.from_bytes(key[:8], "little"))
        begin = int(random.integers(max(count - protocol.frames, 0) + 1))
    frames = []
    for number, frame in enumerate(read()):
        if number >= begin:
            frames.append(frame)
        if len(frames) == protocol.frames:
            return np.stack(frames)
    raise VideoError(f"{name}: has {len(frames)} frames, fewer than {protocol.frames}")


class _Network:
    """A network from resized clips to features, and the digest of its weights."""

    def __init__(self, weights, protocol):
        import tensorflow as tf

        from kinetics_i3d.models.layers import check_backend
        from kinetics_i3d.models.load import load_model
        from kinetics_i3d.models.systems import system_of

        check_backend("FVD")
        model = load_model(weights)
        if (
            system_of(model).name != "InceptionI3D"
            or model.output_shape[-1] != FEATURES["logits"]
            or tuple(model.clip_specs) != ("rgb",)
        ):
            raise UserError(
                f"`weights` must be an RGB I3D with {FEATURES['logits']} classes. Received: "
                f"{weights!r}"
            )
        if (model.clip_spec.low, model.clip_spec.high) != (-1.0, 1.0):
            raise UserError(
                "`weights` must read values from -1 to 1, as FVD's network does. Received: "
                f"{weights!r}, from {model.clip_spec.low:g} to {model.clip_spec.high:g}"
            )
        self.digest = weights_digest(model)
        self.half_pixel = protocol.resize == "half_pixel"
        if protocol.features == "avg_pool":
            model = _pooled(model)
        signature = [tf.TensorSpec((None, None, SIDE, SIDE, 3), tf.float32)]
        self._run = tf.function(
            lambda clips: model(clips, training=False), input_signature=signature
        )

    def resize(self, frames):
        """float32 (frames, 224, 224, 3) in [-1, 1], of uint8 frames of any size."""
        import tensorflow as tf

        resized = tf.raw_ops.ResizeBilinear(
            images=frames,
            size=(SIDE, SIDE),
            align_corners=False,
            half_pixel_centers=self.half_pixel,
        )
        return (2.0 * resized / 255.0 - 1.0).numpy()

    def __call__(self, clips):
        return self._run(clips).numpy().astype(np.float32)


def _pooled(model):
    """The model up to the last pool, averaged over time."""
    import keras

    pooled = model.get_layer("AvgPool_0a_7x7").output
    return keras.Model(model.input, keras.ops.mean(pooled, axis=(1, 2, 3)))
