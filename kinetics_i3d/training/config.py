"""`TrainConfig`: all settings of a training run, frozen, and written beside its results."""

import dataclasses
import difflib
import json
import numbers
import os
from collections.abc import Iterable

import numpy as np

from kinetics_i3d.core.clip_spec import STREAMS, ClipSpec, as_streams
from kinetics_i3d.core.types import (
    Streams,
    check_area,
    check_number,
    check_strings,
    is_number,
)
from kinetics_i3d.training.optimizers import SCHEDULES

CHOICES = {
    "head": ("new", "keep"),
    "temporal": ("average", "center"),
    "transfer": ("original", "fixed", "full"),
    "batch_norm": ("train", "freeze", "recalibrate"),
    "crop": ("resized", "plain"),
    "optimizer": ("adamw", "sgd"),
    "schedule": tuple(SCHEDULES),
    "precision": ("float32", "mixed_bfloat16", "mixed_float16"),
    "loss": ("auto", "softmax", "sigmoid"),
    "class_weight": ("none", "balanced"),
}
# Defaults that depend on `transfer`. A linear classifier on frozen features needs a higher rate and
# more epochs: benchmarks/results/fixed_defaults.md.
TRANSFER_DEFAULTS = {
    "original": {"learning_rate": 1e-4, "epochs": 20},
    "fixed": {"learning_rate": 3e-3, "epochs": 60},
    "full": {"learning_rate": 1e-4, "epochs": 20},
}
# Fields that the config.json of an earlier version may lack, with the values it used implicitly.
_NEW_FIELDS = {"loss": "softmax", "class_weight": "none"}
# {name of a field in earlier versions: its name now}.
RENAMED_FIELDS = {
    "batch": "batch_size",
    "head_start": "linear_probe",
    "clip_norm": "global_clipnorm",
    "class_weights": "class_weight",
    "norm": "batch_norm",
    "norm_momentum": "batch_norm_momentum",
    "norm_batches": "recalibration_batches",
    "synchronize_norm": "synchronize_batch_norm",
}
_LABEL_SMOOTHING = {"softmax": 0.1, "sigmoid": 0.0}
_MINIMUMS = {
    1: (
        *(
            "frames",
            "stride",
            "size",
            "test_size",
            "epochs",
            "batch_size",
            "accumulate",
            "patience",
        ),
        *("feature_passes", "recalibration_batches", "validate_every"),
    ),
    0: (
        "steps",
        "warmup",
        "weight_decay",
        "global_clipnorm",
        "mixup",
        "linear_probe",
        "keep",
        "seed",
    ),
}


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """The settings of one training run.

    Args:
        system: The network, a name in `SYSTEMS` such as `InceptionI3D`, `ConvNetLSTM` or `C3D`.
        architecture: Name of a row in `ARCHITECTURES`. By default that of the weights, otherwise
            that of the system.
        streams: The stream that an `InceptionI3D` reads, `rgb` (default) or `flow`. The streams of
            other systems are fixed.
        weights: Weights to fine-tune, a name in the catalog or a path. By default none.
        head: The classifier of `weights`. `new` (default) replaces it, for other classes. `keep`
            keeps it, for the same classes in the same order.
        inflate: Weights of an `InceptionV1` for images to inflate and start from, a name such as
            `imagenet_inception5h` or a path. By default none.
        temporal: How 2D kernels are inflated. `average` (default) spreads them over time. `center`
            puts them at the middle frame.
        transfer: The paper's modes. `original` trains on these videos alone. `full` fine-tunes
            `weights` or `inflate`. `fixed` trains only the classifier, on features that are
            computed once. Default `full` with `weights`, otherwise `original`.
        feature_passes: Clips per video whose features `transfer="fixed"` computes, each with its
            own augmentation. Default 1.
        batch_norm: Batch norm during training. `train` (default) updates it. `freeze` keeps its
            statistics and offsets. `recalibrate` updates it and measures the statistics again at
            the end, with the final weights.
        batch_norm_momentum: Decay of batch norm's moving statistics, 0 to 1. Default 0.999, as in
            the paper, which takes thousands of steps to forget the start; short runs need less.
        recalibration_batches: Batches that `batch_norm="recalibrate"` measures. Default 100.
        synchronize_batch_norm: Whether batch norm uses the clips of all devices together. Default
            no.
        fps: Frame rate of the clips in frames per second. Default 25.
        frames: Frames of a training clip. Default 64. With two streams, frames of flow.
        stride: Flow frames per RGB frame. Default 1. `ConvNetLSTM` needs 5, `TwoStream` and
            `TwoStreamFused` need 10.
        size: Height and width of a training clip in pixels. Default 224.
        test_short_side: Short side in pixels to which the finished model's videos are resized at
            test. Default 256.
        test_size: Height and width in pixels of the center crop at test. Default 224.
        crop: Crop of training clips. `resized` (default) crops a random area and scales it to
            `size`. `plain` crops a square of `size`, as in the paper.
        area: Smallest and largest area of the `resized` crop, as fractions of the largest square.
            Default 0.3 to 1.
        flip: Whether to mirror training clips horizontally with probability 1/2. Default yes.
        color: Whether to randomly change brightness, contrast and saturation of RGB training clips.
            Default yes.
        mixup: Alpha of the beta distribution by which pairs of clips are blended. Default 0, no
            mixup.
        epochs: Passes over the training videos. Default 20, with `transfer="fixed"` 60, whose steps
            take milliseconds.
        batch_size: Clips per step on all devices together. Default 8.
        steps: Steps of the run instead of `epochs`. Default 0, use `epochs`.
        accumulate: Parts that a batch is split into, one after the other, if it does not fit into
            memory. Default 1.
        optimizer: `adamw` (default), or `sgd` with momentum 0.9.
        learning_rate: Peak learning rate. Default 1e-4, with `transfer="fixed"` 3e-3.
        schedule: Learning rate schedule, a name in `SCHEDULES`. Default `cosine`.
        warmup: Epochs of a linear rise to the peak learning rate. Default 1.
        patience: Validations without progress before the schedules `plateau` and `paper` cut the
            learning rate tenfold. Default 3.
        weight_decay: Decoupled weight decay of kernels, relative to the learning rate. Default
            0.05. Biases and other vectors do not decay.
        global_clipnorm: Largest norm of all gradients together. Default 0, no limit.
        label_smoothing: Fraction of each target that is spread over all classes, 0 to 1. Default
            0.1, with `loss="sigmoid"` 0.
        dropout: Fraction of the features that are dropped before the classifier in training, 0 to
            1. Default 0.5.
        ema: Decay of a moving average of the weights, 0 to 1, which is then validated and saved.
            Default 0, no average.
        linear_probe: Passes over the videos to fit the classifier to the initial features, before
            training starts. Default 0.
        freeze: Prefixes of names of layers that are not trained. By default none.
        precision: `float32` (default), `mixed_bfloat16` or `mixed_float16`.
        split: Split to train on. Default `train`. `all` trains on all videos of a dataset without
            splits, and validates on none.
        validation: Split to validate on, or a fraction of the training videos such as 0.1. By
            default none; of a dataset without splits a fifth is held out.
        validate_every: Epochs between validations. Default 1.
        keep: Number of last epochs whose weights are kept. Default 0. The best weights by
            validation loss are always kept.
        seed: Seed of all randomness. Default 0.
        loss: `softmax` for exactly one class per video. `sigmoid` for any number: a binary
            cross-entropy for each class, summed. `auto` (default) chooses by the dataset.
        class_weight: `balanced` weights the training loss of each clip by the inverse frequency of
            its class, with mean 1; with `loss="sigmoid"` the positive term of each class. `none`
            (default) does not. Validation losses are not weighted.

    Raises:
        ValueError: If a field is out of range or contradicts another.

    Example:

    >>> config = ki3d.TrainConfig(schedule="release_rgb", optimizer="sgd", steps=1150)
    >>> config.batch_size, config.frames
    (8, 64)
    """

    system: str = "InceptionI3D"
    architecture: str | None = None
    streams: Streams = ()
    weights: str | None = None
    head: str = "new"
    inflate: str | None = None
    temporal: str = "average"
    transfer: str | None = None
    feature_passes: int = 1
    batch_norm: str = "train"
    batch_norm_momentum: float = 0.999
    recalibration_batches: int = 100
    synchronize_batch_norm: bool = False
    fps: float = 25.0
    frames: int = 64
    stride: int = 1
    size: int = 224
    test_short_side: int = 256
    test_size: int = 224
    crop: str = "resized"
    area: tuple[float, float] = (0.3, 1.0)
    flip: bool = True
    color: bool = True
    mixup: float = 0.0
    epochs: int | None = None
    batch_size: int = 8
    steps: int = 0
    accumulate: int = 1
    optimizer: str = "adamw"
    learning_rate: float | None = None
    schedule: str = "cosine"
    warmup: float = 1.0
    patience: int = 3
    weight_decay: float = 0.05
    global_clipnorm: float = 0.0
    label_smoothing: float | None = None
    dropout: float = 0.5
    ema: float = 0.0
    linear_probe: int = 0
    freeze: tuple[str, ...] = ()
    precision: str = "float32"
    split: str = "train"
    validation: str | None = None
    validate_every: int = 1
    keep: int = 0
    seed: int = 0
    loss: str = "auto"
    class_weight: str = "none"

    def __post_init__(self):
        streams = self.streams
        if streams is not None and not isinstance(streams, str):
            streams = tuple(streams) if isinstance(streams, Iterable) else streams
        streams = () if streams is None or streams == () else as_streams(streams)
        object.__setattr__(self, "streams", streams)
        self._convert()
        if self.transfer is None:
            transfer = "original" if self.weights is None else "full"
            object.__setattr__(self, "transfer", transfer)
        for field, allowed in CHOICES.items():
            check_choice(field, getattr(self, field), allowed)
        defaults = dict(TRANSFER_DEFAULTS[self.transfer])
        if self.loss in _LABEL_SMOOTHING:
            defaults["label_smoothing"] = _LABEL_SMOOTHING[self.loss]
        for field, value in defaults.items():
            if getattr(self, field) is None:
                object.__setattr__(self, field, value)
        for minimum, fields in _MINIMUMS.items():
            for field in fields:
                if not getattr(self, field) >= minimum:
                    self._refuse(field, f"at least {minimum}")
        if self.seed >= 2**31 - 4:  # TensorFlow takes it and the next four as int32
            self._refuse("seed", "below 2**31 - 4")
        for field in ("fps", "learning_rate"):
            if not getattr(self, field) > 0:
                self._refuse(field, "above 0")
        for field in ("batch_norm_momentum", "ema", "dropout", "label_smoothing"):
            value = getattr(self, field)
            if value is not None and not 0 <= value < 1:
                self._refuse(field, "in [0, 1)")
        if self.weights is not None and self.inflate is not None:
            self._refuse("inflate", "None if `weights` is given")
        if self.weights is not None and self.transfer == "original":
            self._refuse("transfer", "'full' or 'fixed' if `weights` is given")
        if self.weights is None and self.inflate is None and self.transfer != "original":
            self._refuse("weights", f"given (or `inflate`) for transfer={self.transfer!r}")
        if self.weights is None and self.head == "keep":
            self._refuse("head", "'new' if `weights` is not given")
        if self.transfer == "fixed" and self.mixup:
            self._refuse("mixup", "0 for transfer='fixed', whose features are computed once")
        if self.batch_size % self.accumulate:
            self._refuse("accumulate", f"a divisor of batch_size={self.batch_size}")
        if SCHEDULES[self.schedule].plateau and self.validation is None:
            self._refuse("validation", f"given for schedule={self.schedule!r}, which depends on it")

    def _convert(self):
        """Converts values to the types that JSON has; `ValueError` for one of another type."""
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value is None and field.default is None:
                continue
            if field.type in (int, int | None):
                if isinstance(value, bool) or not isinstance(value, numbers.Integral):
                    self._refuse(field.name, "a whole number")
                value = int(value)
            elif field.type in (float, float | None):
                check_number(field.name, value)
                value = value if isinstance(value, int) else float(value)
            elif field.type is bool:
                if not isinstance(value, (bool, np.bool_)):
                    self._refuse(field.name, "True or False")
                value = bool(value)
            elif field.name in ("weights", "inflate"):
                if not isinstance(value, (str, os.PathLike)):
                    self._refuse(field.name, "a name or a path of weights")
                value = os.fspath(value)
            elif field.name == "validation":
                if not isinstance(value, str) and not is_number(value):
                    self._refuse(field.name, "a split, or a fraction such as 0.1")
                value = str(value)
            elif field.type in (str, str | None):
                if not isinstance(value, str):
                    self._refuse(field.name, "a string")
            elif field.name == "area":
                value = check_area(value)
                value = tuple(v.item() if isinstance(v, np.generic) else v for v in value)
            elif field.name == "freeze":
                value = check_strings(field.name, value, of="names")
            object.__setattr__(self, field.name, value)

    def _refuse(self, field, right):
        raise ValueError(f"`{field}` must be {right}. Received: {field}={getattr(self, field)!r}")

    @property
    def validation_share(self):
        """The fraction of the training videos to validate on; `None` for a named split."""
        try:
            return None if self.validation is None else float(self.validation)
        except ValueError:
            return None

    def for_labels(self, *, multi_label):
        """The config with `loss="auto"` replaced by the loss for a dataset.

        Args:
            multi_label: Whether its videos may have any number of classes.
        """
        if self.loss != "auto":
            return self
        return dataclasses.replace(self, loss="sigmoid" if multi_label else "softmax")

    def specs(self, streams, *, name="training"):
        """The {stream: `ClipSpec`} of training clips."""
        # The short side is larger than `size` in the same ratio as at test.
        side = round(self.size * self.test_short_side / self.test_size)
        return self._specs(streams, name, short_side=side, size=self.size)

    def test_specs(self, streams, name):
        """The {stream: `ClipSpec`} that are stored with the weights."""
        return self._specs(streams, name, short_side=self.test_short_side, size=self.test_size)

    def _specs(self, streams, name, **sides):
        rates = {"rgb": self.fps / self.stride, "flow": self.fps}
        names = {"rgb": name, "flow": name if "rgb" not in streams else f"{name}_flow"}
        return {
            stream: ClipSpec(names[stream], stream=stream, fps=rates[stream], **sides)
            for stream in streams
        }

    def to_json(self) -> str:
        """The fields as indented JSON."""
        return json.dumps(dataclasses.asdict(self), indent=2)


def recorded_fields(config):
    """The fields of a config that an earlier version may have recorded, as they are written now.

    Args:
        config: A dictionary, as `TrainConfig.to_json` writes it.

    Returns:
        A new dictionary, with the fields that did not exist at the values that they had implicitly.
    """
    fields = {RENAMED_FIELDS.get(name, name): value for name, value in config.items()}
    if isinstance(fields.get("streams"), list):  # they were in any order
        fields["streams"] = [stream for stream in STREAMS if stream in fields["streams"]]
    return _NEW_FIELDS | fields


def check_choice(field, value, allowed):
    """Raises `ValueError` with the nearest allowed name if `value` is none of `allowed`."""
    if value not in allowed:
        near = difflib.get_close_matches(str(value), allowed, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(
            f"`{field}` must be one of {tuple(allowed)}.{hint} Received: {field}={value!r}"
        )
