"""`TrainConfig`: everything that decides a training run, frozen and written beside its results."""

import dataclasses
import json

from kinetics_i3d.core.clip_spec import ClipSpec

OPTIMIZERS = ("adamw", "sgd")
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """The settings of one run.

    Args:
        architecture: Name of a row in `ARCHITECTURES`.
        inflate: An `InceptionV1` to inflate, as `weights=` takes it, or `None` for random values.
        temporal: How kernels are inflated, `"average"` or `"center"`.
        fps: Frames a second of the clips.
        frames: Frames of a training clip.
        size: Pixels of a training clip's side.
        test_short_side, test_size: Resize and centre crop of the finished model's `ClipSpec`.
        area: Range of the random crop's area as a share of the largest square.
        flip, color: Whether clips are mirrored at random and their colours changed.
        mixup: Alpha of the blending of clips, 0 for none.
        epochs, batch: Passes over the videos, clips a step.
        optimizer: `"adamw"` or `"sgd"` (momentum 0.9).
        learning_rate: Its peak; a linear warm-up of one epoch leads to it, a cosine to 0 away.
        weight_decay, label_smoothing, dropout: As usual.
        norm_momentum: Decay of batch norm's moving statistics. The paper's 0.999 needs thousands of
            steps to forget its start; a short run needs less.
        ema: Decay of the weights' moving average that is kept in the end; 0 keeps the last weights.
        head_start: Passes over the videos that fit the classifier alone before training begins.
        freeze: Beginnings of names of layers that are not trained.
        precision: `"float32"`, `"mixed_bfloat16"` or `"mixed_float16"`.
        seed: Of everything random.

    Raises:
        ValueError: If a field is outside its range.
    """

    architecture: str = "inception_v1"
    inflate: str | None = None
    temporal: str = "average"
    fps: float = 25.0
    frames: int = 64
    size: int = 224
    test_short_side: int = 256
    test_size: int = 224
    area: tuple = (0.3, 1.0)
    flip: bool = True
    color: bool = True
    mixup: float = 0.0
    epochs: int = 20
    batch: int = 8
    optimizer: str = "adamw"
    learning_rate: float = 1e-4
    weight_decay: float = 0.05
    label_smoothing: float = 0.1
    dropout: float = 0.5
    norm_momentum: float = 0.999
    ema: float = 0.0
    head_start: int = 0
    freeze: tuple = ()
    precision: str = "float32"
    seed: int = 0

    def __post_init__(self):
        for field, allowed in (("optimizer", OPTIMIZERS), ("precision", PRECISIONS)):
            if getattr(self, field) not in allowed:
                raise ValueError(
                    f"`{field}` must be one of {allowed}. "
                    f"Received: {field}={getattr(self, field)!r}"
                )
        for field in ("frames", "size", "epochs", "batch"):
            if getattr(self, field) < 1:
                raise ValueError(
                    f"`{field}` must be at least 1. Received: {field}={getattr(self, field)!r}"
                )
        for field in ("norm_momentum", "ema", "dropout", "label_smoothing"):
            if not 0 <= getattr(self, field) < 1:
                raise ValueError(
                    f"`{field}` must be in [0, 1). Received: {field}={getattr(self, field)!r}"
                )

    def train_spec(self):
        """The `ClipSpec` of training clips: the picture's short side is a little over `size`."""
        side = round(self.size * self.test_short_side / self.test_size)
        return ClipSpec("training", fps=self.fps, short_side=side, size=self.size)

    def test_spec(self, name):
        """The `ClipSpec` that the finished model carries."""
        return ClipSpec(name, fps=self.fps, short_side=self.test_short_side, size=self.test_size)

    def to_json(self):
        """The fields as indented JSON."""
        return json.dumps(dataclasses.asdict(self), indent=2)
