"""`TrainConfig`: everything that decides a training run, frozen and written beside its results."""

import dataclasses
import difflib
import json

from kinetics_i3d.core.clip_spec import STREAMS, ClipSpec
from kinetics_i3d.training.schedules import SCHEDULES

CHOICES = {
    "head": ("new", "keep"),
    "temporal": ("average", "center"),
    "transfer": ("original", "fixed", "full"),
    "norm": ("train", "freeze", "recalibrate"),
    "crop": ("resized", "plain"),
    "optimizer": ("adamw", "sgd"),
    "schedule": tuple(SCHEDULES),
    "precision": ("float32", "mixed_bfloat16", "mixed_float16"),
    "loss": ("auto", "softmax", "sigmoid"),
    "class_weights": ("none", "balanced"),
}
# Defaults by what is trained. A linear classifier on features that stay as they are needs a higher
# rate and more epochs: benchmarks/results/fixed_defaults.md.
TRANSFER_DEFAULTS = {
    "original": {"learning_rate": 1e-4, "epochs": 20},
    "fixed": {"learning_rate": 3e-3, "epochs": 60},
    "full": {"learning_rate": 1e-4, "epochs": 20},
}
# Fields that a config written by an earlier version may lack, with what its runs did.
NEW_FIELDS = {"loss": "softmax", "class_weights": "none"}
LABEL_SMOOTHING = {"softmax": 0.1, "sigmoid": 0.0}
LEAST = {
    1: (
        *("frames", "stride", "size", "test_size", "epochs", "batch", "accumulate", "patience"),
        *("feature_passes", "norm_batches", "validate_every"),
    ),
    0: ("steps", "warmup", "weight_decay", "clip_norm", "mixup", "head_start", "keep"),
}


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """The settings of one run.

    Args:
        system: Name of a row in `SYSTEMS`, such as `InceptionI3D`, `ConvNetLSTM` or `C3D`.
        architecture: Name of a row in `ARCHITECTURES`; by default that of the weights, or of the
            system.
        streams: What an `InceptionI3D` reads, `rgb` or `flow`; other systems know it themselves.
        weights: Where a fine-tuned network starts, a name in the catalog or a path.
        head: The classifier on `weights`: `new` for other classes, `keep` where the labels are the
            same.
        inflate: Images' weights to start from, as `InceptionV1` takes them: a name such as
            `imagenet_inception5h` or a path.
        temporal: How kernels are inflated, `average` or `center`.
        transfer: The paper's modes: `original` trains on these videos alone, `full` fine-tunes
            `weights`, `fixed` trains the classifier alone, on features that are made once.
        feature_passes: Clips of each video whose features `fixed` makes, each cut anew.
        norm: What batch norm does: `train` as usual, `freeze` keeps its statistics and offsets,
            `recalibrate` measures the statistics anew at the end, with the weights at rest.
        norm_momentum: Decay of batch norm's moving statistics. The paper's 0.999 needs thousands of
            steps to forget its start; a short run needs less.
        norm_batches: Batches that `recalibrate` measures.
        synchronize_norm: Whether batch norm sees the clips of all devices together.
        fps: Frames a second of the clips.
        frames: Frames of a training clip; of flow where both streams are read.
        stride: Of so many frames rgb has one: 5 for `ConvNetLSTM`, 10 for `TwoStream` and
            `TwoStreamFused`.
        size: Pixels of a training clip's side.
        test_short_side, test_size: Resize and centre crop of the finished model's `ClipSpec`.
        crop: `resized` cuts random areas and scales them to `size`; `plain` is the paper's, squares
            of `size`.
        area: Range of the `resized` crop's area as a share of the largest square.
        flip, color: Whether clips are mirrored at random and their colours changed.
        mixup: Alpha of the blending of clips, 0 for none.
        epochs: Passes over the videos. By default 20, or 60 for `transfer="fixed"`: a classifier on
            frozen features converges slowly, and its steps take milliseconds.
        batch: Clips a step on all devices together.
        steps: Steps of the run in place of `epochs`; 0 counts by those.
        accumulate: Parts that a batch is run in, one after another, where it does not fit at once.
        optimizer: `adamw`, or `sgd` with momentum 0.9.
        learning_rate: Its peak. By default 1e-4, or 3e-3 for `transfer="fixed"`: at 1e-4 a new
            classifier on frozen features has hardly begun to learn after 20 epochs.
        schedule: Name of a row in `SCHEDULES`: how the rate changes over the run.
        warmup: Epochs of a linear rise to the peak.
        patience: Validations without progress before `plateau` or `paper` cut the rate tenfold.
        weight_decay: Share of the rate by which kernels shrink a step; no vector does.
        clip_norm: Largest norm of all gradients together, 0 for any.
        label_smoothing: Share of each target that is spread over all classes. By default 0.1, or 0
            for `loss="sigmoid"`.
        dropout: Share of the features that the classifier does not see in training.
        ema: Decay of the weights' moving average that is tested and kept; 0 keeps the last weights.
        head_start: Passes over the videos that fit the classifier alone before training begins.
        freeze: Beginnings of names of layers that are not trained.
        precision: `float32`, `mixed_bfloat16` or `mixed_float16`.
        split: The videos to train on; `all` where nothing says which split they belong to, and none
            shall be held out.
        validation: The split to validate on, or a share such as 0.1 of the training videos. Of
            videos without a split a fifth is held out anyway.
        validate_every: Epochs between validations.
        keep: How many of the last epochs' weights are kept; the best by validation always are.
        seed: Of everything random.
        loss: `softmax` where each video has one class, `sigmoid` where it may have several or none:
            a binary cross-entropy for each class, summed. `auto` chooses by the dataset.
        class_weights: `balanced` weights each clip's loss by the inverse frequency of its class
            among the training videos, with mean 1; with `loss="sigmoid"` each class's positive
            term. `none` weights all alike. Validation losses are never weighted.

    Raises:
        ValueError: If a field is outside its range, or contradicts another.

    Example:

    >>> config = ki3d.TrainConfig(schedule="release_rgb", optimizer="sgd", steps=1150)
    >>> config.batch, config.frames
    (8, 64)
    """

    system: str = "InceptionI3D"
    architecture: str | None = None
    streams: tuple = ()
    weights: str | None = None
    head: str = "new"
    inflate: str | None = None
    temporal: str = "average"
    transfer: str = "original"
    feature_passes: int = 1
    norm: str = "train"
    norm_momentum: float = 0.999
    norm_batches: int = 100
    synchronize_norm: bool = False
    fps: float = 25.0
    frames: int = 64
    stride: int = 1
    size: int = 224
    test_short_side: int = 256
    test_size: int = 224
    crop: str = "resized"
    area: tuple = (0.3, 1.0)
    flip: bool = True
    color: bool = True
    mixup: float = 0.0
    epochs: int | None = None
    batch: int = 8
    steps: int = 0
    accumulate: int = 1
    optimizer: str = "adamw"
    learning_rate: float | None = None
    schedule: str = "cosine"
    warmup: float = 1.0
    patience: int = 3
    weight_decay: float = 0.05
    clip_norm: float = 0.0
    label_smoothing: float | None = None
    dropout: float = 0.5
    ema: float = 0.0
    head_start: int = 0
    freeze: tuple = ()
    precision: str = "float32"
    split: str = "train"
    validation: str | None = None
    validate_every: int = 1
    keep: int = 0
    seed: int = 0
    loss: str = "auto"
    class_weights: str = "none"

    def __post_init__(self):
        for field, allowed in CHOICES.items():
            check_choice(field, getattr(self, field), allowed)
        defaults = dict(TRANSFER_DEFAULTS[self.transfer])
        if self.loss in LABEL_SMOOTHING:
            defaults["label_smoothing"] = LABEL_SMOOTHING[self.loss]
        for field, value in defaults.items():
            if getattr(self, field) is None:
                object.__setattr__(self, field, value)
        for least, fields in LEAST.items():
            for field in fields:
                if not getattr(self, field) >= least:
                    self._refuse(field, f"at least {least}")
        for field in ("fps", "learning_rate"):
            if not getattr(self, field) > 0:
                self._refuse(field, "above 0")
        for field in ("norm_momentum", "ema", "dropout", "label_smoothing"):
            value = getattr(self, field)
            if value is not None and not 0 <= value < 1:
                self._refuse(field, "in [0, 1)")
        for stream in self.streams:
            check_choice("streams", stream, STREAMS)
        if self.weights is not None and self.inflate is not None:
            self._refuse("inflate", "None where `weights` are given")
        if self.weights is not None and self.transfer == "original":
            self._refuse("transfer", "'full' or 'fixed' where `weights` are given")
        if self.weights is None and self.inflate is None and self.transfer != "original":
            self._refuse("weights", f"given (or `inflate`) for transfer={self.transfer!r}")
        if self.weights is None and self.head == "keep":
            self._refuse("head", "'new' where no `weights` are given")
        if self.transfer == "fixed" and self.mixup:
            self._refuse("mixup", "0 for transfer='fixed', whose features are made once")
        if self.batch % self.accumulate:
            self._refuse("accumulate", f"a divisor of batch={self.batch}")
        if SCHEDULES[self.schedule].plateau and self.validation is None:
            self._refuse("validation", f"given for schedule={self.schedule!r}, which waits for it")

    def _refuse(self, field, right):
        raise ValueError(f"`{field}` must be {right}. Received: {field}={getattr(self, field)!r}")

    @property
    def share(self):
        """The share of the training videos to validate on, or `None` where a split is named."""
        try:
            return None if self.validation is None else float(self.validation)
        except ValueError:
            return None

    def for_labels(self, *, multi_label):
        """The config with `loss` and `label_smoothing` chosen for a dataset, if they are not set.

        Args:
            multi_label: Whether its videos may have several classes or none.

        Returns:
            A `TrainConfig` whose `loss` is `"softmax"` or `"sigmoid"`.

        Example:

        >>> config = ki3d.TrainConfig().for_labels(multi_label=True)
        >>> config.loss, config.label_smoothing
        ('sigmoid', 0.0)
        """
        if self.loss != "auto":
            return self
        return dataclasses.replace(self, loss="sigmoid" if multi_label else "softmax")

    def specs(self, streams, *, name="training"):
        """The {stream: `ClipSpec`} of training clips.

        Args:
            streams: `"rgb"`, `"flow"` or both.
            name: What they are called.
        """
        # The picture's short side is a little over `size`, as at the test.
        side = round(self.size * self.test_short_side / self.test_size)
        return self._specs(streams, name, short_side=side, size=self.size)

    def test_specs(self, streams, name):
        """The {stream: `ClipSpec`} that the finished model carries."""
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


def check_choice(field, value, allowed):
    """Raises `ValueError`, with the nearest name, where `value` is not among those `allowed`."""
    if value not in allowed:
        near = difflib.get_close_matches(str(value), allowed, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(
            f"`{field}` must be one of {tuple(allowed)}.{hint} Received: {field}={value!r}"
        )
