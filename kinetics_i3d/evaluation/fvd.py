"""Fréchet Video Distance (FVD) between real and generated videos, by named protocols.

Unterthiner et al., "Towards Accurate Generative Models of Video: A New Metric & Challenges", 2018.
Its network is the I3D whose weights are called `rgb_kinetics400` here.
"""

import dataclasses
import hashlib
import json
import os
import pathlib
import zipfile
import zlib
from typing import Any

import numpy as np

from kinetics_i3d.core.errors import UserError, VideoError
from kinetics_i3d.core.file_warnings import one_warning_per_file, warn_about
from kinetics_i3d.core.files import atomic_path
from kinetics_i3d.core.progress import track
from kinetics_i3d.core.types import PathLike
from kinetics_i3d.evaluation.distances import frechet_distance, kernel_distance, precision_recall
from kinetics_i3d.evaluation.protocols import weights_digest

SIDE = 224
FORMAT = 1
FEATURES = {"logits": 400, "avg_pool": 1024}
RESIZES = ("legacy", "half_pixel")
STARTS = ("first", "random")
# What NumPy raises about a file that is damaged or something else.
DAMAGED = (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error)
FEWEST_FRAMES = 9  # of which the network makes one step of logits


@dataclasses.dataclass(frozen=True)
class FVDProtocol:
    """How videos become feature vectors, and these a distance. Numbers of different ones differ.

    Args:
        name: Name of the protocol.
        frames: Consecutive frames taken of each video, at the rate of the file; 9 or more. A video
            with fewer is skipped.
        start: Which frames: `"first"`, or `"random"`, from a frame that depends on the seed and
            the name of the video.
        resize: How frames are brought to 224x224, the aspect ratio not kept: `"legacy"` is bilinear
            as TensorFlow 1's `resize_bilinear`, `"half_pixel"` as PyTorch's
            `interpolate(align_corners=False)`. Neither smooths before it shrinks.
        features: `"logits"`, the 400 logits averaged over time, or `"avg_pool"`, the 1024 features
            of the last pool, averaged over time.
        biased: Whether covariances are divided by n rather than n - 1.

    Example:

    >>> ki3d.FVDProtocol("long", frames=128).resize
    'legacy'
    """

    name: str
    frames: int = 16
    start: str = "first"
    resize: str = "legacy"
    features: str = "logits"
    biased: bool = False

    def __post_init__(self):
        for field, allowed in (
            ("start", STARTS),
            ("resize", RESIZES),
            ("features", tuple(FEATURES)),
        ):
            if getattr(self, field) not in allowed:
                raise ValueError(
                    f"`{field}` must be one of {allowed}. Received: "
                    f"{field}={getattr(self, field)!r}"
                )
        if self.frames < FEWEST_FRAMES:
            raise ValueError(
                f"`frames` must be {FEWEST_FRAMES} or more. Received: frames={self.frames!r}"
            )


FVD_PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        # google-research/frechet_video_distance, with the 16 frames of the paper's experiments.
        FVDProtocol("reference"),
        # StyleGAN-V's fvd2048_16f and fvd2048_128f (Skorokhodov et al., CVPR 2022).
        FVDProtocol("stylegan_v", start="random", resize="half_pixel", biased=True),
        FVDProtocol("stylegan_v_128", frames=128, start="random", resize="half_pixel", biased=True),
        # Of the reference in all but the layer.
        FVDProtocol("avg_pool", features="avg_pool"),
    )
}


@dataclasses.dataclass(frozen=True)
class VideoFeatures:
    """The feature vectors of a set of videos.

    Args:
        values: float32, shape (videos, features).
        protocol: The `FVDProtocol` that they were made by.
        weights: A digest of the network's weights.
        names: The video of each row.
        skipped: Messages about videos that could not be used.

    Example:

    >>> protocol = ki3d.FVDProtocol("reference")
    >>> features = ki3d.VideoFeatures(np.zeros((1, 400), np.float32), protocol, "", ("a.mp4",))
    >>> features.save(folder / "features.npz")
    >>> ki3d.VideoFeatures.load(folder / "features.npz").names
    ('a.mp4',)
    """

    values: np.ndarray
    protocol: FVDProtocol
    weights: str
    names: tuple = ()
    skipped: tuple = ()

    def save(self, path: PathLike) -> None:
        """Writes an `.npz` file that `load` reads.

        Args:
            path: The file. An existing one is replaced when the new one is complete.
        """
        about = {
            "format": FORMAT,
            "protocol": dataclasses.asdict(self.protocol),
            "weights": self.weights,
            "names": list(self.names),
            "skipped": list(self.skipped),
        }
        with atomic_path(path) as part, open(part, "wb") as file:
            np.savez(file, values=self.values, fvd=np.array(json.dumps(about)))

    @classmethod
    def load(cls, path: PathLike) -> "VideoFeatures":
        """Reads what `save` wrote.

        Args:
            path: The file.

        Returns:
            A `VideoFeatures`.

        Raises:
            UserError: If the file is no such file.
        """
        try:
            with open(path, "rb") as data, np.load(data, allow_pickle=False) as file:
                about = json.loads(str(file["fvd"]))
                values = np.asarray(file["values"], np.float32)
            if about["format"] != FORMAT:
                raise ValueError(f"format {about['format']}")
            protocol = FVDProtocol(**about["protocol"])
            if values.ndim != 2 or values.shape != (
                len(about["names"]),
                FEATURES[protocol.features],
            ):
                raise ValueError(f"features of shape {values.shape}")
            return cls(
                values,
                protocol,
                str(about["weights"]),
                tuple(map(str, about["names"])),
                tuple(map(str, about["skipped"])),
            )
        except (*DAMAGED, KeyError, TypeError) as error:
            raise UserError(f"{path}: not a file of FVD features: {error}") from error


@dataclasses.dataclass(frozen=True)
class FVDResult:
    """Distances between real and generated videos.

    Args:
        fvd: Fréchet Video Distance; lower is better, 0 for identical sets.
        kvd: Kernel Video Distance, or `None` if it was not asked for.
        precision, recall: In [0, 1], or `None` if they were not asked for.
        spread: Standard deviation of `fvd` over bootstrap samples of the videos, or `None`.
        protocol: The `FVDProtocol`.
        videos: How many real and generated videos were compared.
        skipped: Messages about videos that were not.
    """

    fvd: float
    kvd: float | None
    precision: float | None
    recall: float | None
    spread: float | None
    protocol: FVDProtocol
    videos: tuple
    skipped: tuple = ()

    def to_dict(self):
        """The result, ready for JSON."""
        return dataclasses.asdict(self)


def fvd(
    real: Any,
    generated: Any,
    *,
    protocol: str | FVDProtocol = "reference",
    weights: PathLike = "rgb_kinetics400",
    all_metrics: bool = False,
    resamples: int = 0,
    seed: int = 0,
    batch_size: int = 8,
) -> FVDResult:
    """Fréchet Video Distance between real and generated videos.

    FVD depends on the protocol and, through its bias, on the number of videos: compare only numbers
    of the same protocol and about as many videos. 2048 videos on each side are usual.

    Args:
        real: Videos: a folder, searched with all folders inside; a list of paths; an
            array or the path of a `.npy` or `.npz` file, uint8 of shape (videos, frames, height,
            width, 3) in [0, 255]; or `VideoFeatures`, or the path that these were saved to.
        generated: As `real`.
        protocol: Name of a row in `FVD_PROTOCOLS` or an `FVDProtocol`: `"reference"`,
            `"stylegan_v"`, `"stylegan_v_128"` or `"avg_pool"`.
        weights: A catalog name or path of an I3D of RGB with 400 classes. Not used where both
            sides are features.
        all_metrics: Whether to compute KVD, precision and recall too, on the same features.
        resamples: Number of bootstrap samples for `spread`; 0 for none.
        seed: Of random frames and of bootstrap samples.
        batch_size: Clips that the network sees at once. Only these are in memory.

    Returns:
        An `FVDResult`.

    Raises:
        UserError: If a source holds no usable videos, or features of another protocol or network.
        ValueError: If an argument is out of its range.
        WeightsError: If the weights cannot be found or read.

    Example:

    >>> black = np.zeros((2, 16, 32, 32, 3), np.uint8)
    >>> result = ki3d.fvd(black, black)  # doctest: +SKIP
    >>> result.fvd  # doctest: +SKIP
    0.0
    """
    if resamples < 0:
        raise ValueError(f"`resamples` must be 0 or more. Received: resamples={resamples!r}")
    protocol = find_protocol(protocol)
    sets = features_of_both(
        real, generated, protocol=protocol, weights=weights, seed=seed, batch_size=batch_size
    )
    a, b = (features.values for features in sets)
    kvd = precision = recall = spread = None
    if all_metrics:
        kvd = kernel_distance(a, b)
        precision, recall = precision_recall(a, b)
    if resamples:
        random = np.random.default_rng(seed)
        draws = [
            frechet_distance(
                a[random.integers(len(a), size=len(a))],
                b[random.integers(len(b), size=len(b))],
                biased=protocol.biased,
            )
            for _ in range(resamples)
        ]
        spread = float(np.std(draws, ddof=1)) if resamples > 1 else 0.0
    return FVDResult(
        fvd=frechet_distance(a, b, biased=protocol.biased),
        kvd=kvd,
        precision=precision,
        recall=recall,
        spread=spread,
        protocol=protocol,
        videos=(len(a), len(b)),
        skipped=(*sets[0].skipped, *sets[1].skipped),
    )


def fvd_features(
    videos: Any,
    *,
    protocol: str | FVDProtocol = "reference",
    weights: "PathLike | _Network" = "rgb_kinetics400",
    seed: int = 0,
    batch_size: int = 8,
) -> VideoFeatures:
    """The feature vectors of videos, to be compared by `fvd` or kept by `VideoFeatures.save`.

    Args:
        videos: As in `fvd`, without features.
        protocol: As in `fvd`.
        weights: As in `fvd`.
        seed: Of random frames.
        batch_size: Clips that the network sees at once.

    Returns:
        A `VideoFeatures`. Videos that cannot be read or are too short are skipped, with a warning.

    Raises:
        UserError: If the source holds no usable videos.
        WeightsError: If the weights cannot be found or read.

    Example:

    >>> black = np.zeros((2, 16, 32, 32, 3), np.uint8)
    >>> ki3d.fvd_features(black).values.shape  # doctest: +SKIP
    (2, 400)
    """
    if batch_size < 1:
        raise ValueError(f"`batch_size` must be 1 or more. Received: batch_size={batch_size!r}")
    protocol = find_protocol(protocol)
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
        sources = _sources(videos)
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
        raise UserError(f"no video with {protocol.frames} frames or more{reason}")
    return VideoFeatures(
        np.concatenate(values), protocol, network.digest, tuple(names), tuple(skipped)
    )


def features_of_both(real, generated, *, protocol, weights, seed, batch_size):
    """The two `VideoFeatures` that `fvd` compares; the network is made at most once."""
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
        sets.append(features)
    if sets[0].weights != sets[1].weights:
        raise UserError(
            "`real` and `generated` must be features of one network; make both by the same weights"
        )
    return sets


def find_protocol(protocol: str | FVDProtocol, *, frames: int | None = None) -> FVDProtocol:
    """A row of `FVD_PROTOCOLS`, or a protocol itself, with another number of frames if given."""
    if not isinstance(protocol, FVDProtocol):
        if protocol not in FVD_PROTOCOLS:
            raise ValueError(
                f"`protocol` must be one of {tuple(FVD_PROTOCOLS)} or an FVDProtocol. "
                f"Received: protocol={protocol!r}"
            )
        protocol = FVD_PROTOCOLS[protocol]
    return protocol if frames is None else dataclasses.replace(protocol, frames=frames)


def _check_protocol(features, protocol, name):
    """Refuses features whose distance to others would mean nothing."""
    for field in dataclasses.fields(FVDProtocol):
        wanted = getattr(protocol, field.name)
        actual = getattr(features.protocol, field.name)
        if wanted != actual and field.name != "name":
            raise UserError(
                f"`{name}` has features of another protocol: {field.name}={actual!r}, not "
                f"{wanted!r}; such distances cannot be compared"
            )


def _saved(source):
    """The `VideoFeatures` that a path was saved to; None for anything else."""
    if not isinstance(source, str | os.PathLike) or pathlib.Path(source).suffix != ".npz":
        return None
    try:
        with open(source, "rb") as data, np.load(data, allow_pickle=False) as file:
            if "fvd" not in file.files:
                return None
    except DAMAGED as error:
        raise UserError(f"{source}: {error}") from error
    return VideoFeatures.load(source)


def _sources(videos):
    """A list of (name, function from (start, count) to frames) of each video."""
    from kinetics_i3d.data.datasets import find_videos

    if isinstance(videos, str | os.PathLike):
        path = pathlib.Path(videos)
        if path.suffix in (".npy", ".npz"):
            return _array_sources(_load_array(path), str(path))
        videos = find_videos(path)[1]
    if isinstance(videos, np.ndarray):
        return _array_sources(videos, "videos")
    return [(str(path), _reader(path)) for path in videos]


def _load_array(path):
    """The array of a `.npy` file, which stays on the disk, or the only one in an `.npz` file."""
    try:
        if path.suffix == ".npy":
            return np.load(path, mmap_mode="r", allow_pickle=False)
        with open(path, "rb") as data, np.load(data, allow_pickle=False) as file:
            if len(file.files) != 1:
                raise UserError(
                    f"{path}: must hold one array of videos. Received: {', '.join(file.files)}"
                )
            return file[file.files[0]]
    except DAMAGED as error:
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
        # By the file's own name, so that other files beside it change nothing.
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
    """Resized clips -> features, and the digest of the weights."""

    def __init__(self, weights, protocol):
        import tensorflow as tf

        from kinetics_i3d.models.load import load_model

        model = load_model(weights)
        if model.output_shape[-1] != FEATURES["logits"] or tuple(model.clip_specs) != ("rgb",):
            raise UserError(
                f"`weights` must be an I3D of RGB with {FEATURES['logits']} classes. "
                f"Received: {weights!r}"
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
    """The model up to the last pool, its steps averaged."""
    import keras

    pooled = model.get_layer("AvgPool_0a_7x7").output
    return keras.Model(model.input, keras.ops.mean(pooled, axis=(1, 2, 3)))
