"""`SCALES`: the size of the networks and the length of the runs in the tables.

Within a scale all systems see the same number of clips. Those of `paper` follow Carreira &
Zisserman, CVPR 2017, section 2.5 and table 1.
"""

import dataclasses

from kinetics_i3d.training.config import TrainConfig
from kinetics_i3d.training.recipes import RECIPES


@dataclasses.dataclass(frozen=True)
class Scale:
    """The settings of all runs.

    Args:
        name: Value of `--scale`.
        about: One line for the help and the page.
        seeds: Number of runs that differ only in their seed.
        configs: {system: `TrainConfig`} for training from scratch.
        transfers: {transfer mode: {field: value}}, the fields of `configs` that a mode changes.
        frames: Whether to train an image network on single frames of the videos, because no
            ImageNet weights have its width.
    """

    name: str
    about: str
    seeds: int
    configs: dict
    transfers: dict
    frames: bool = False

    @property
    def architecture(self):
        """The Inception-V1 of the systems, which image weights must have too."""
        return self.configs["TwoStreamI3D"].architecture or "inception_v1"


def _configs(common, own):
    return {
        system: TrainConfig(**{**common, "system": system, **fields})
        for system, fields in own.items()
    }


# Clips cover the same share of a video as in the paper: figures last 2.56 s instead of 10 s. All
# systems read flow of the same rate and size, so one flow file per video is enough.
_MINI = _configs(
    {
        "architecture": "inception_v1_quarter",
        "fps": 12.5,
        "size": 64,
        "test_short_side": 72,
        "test_size": 64,
        "area": (0.6, 1.0),
        "steps": 160,
        "batch_size": 16,
        "learning_rate": 2e-3,
        "dropout": 0.2,
        "label_smoothing": 0.0,
        "batch_norm_momentum": 0.95,
    },
    {
        "ConvNetLSTM": {"frames": 6, "stride": 5},
        "C3D": {
            "architecture": "c3d_eighth",
            "frames": 16,
            "size": 112,
            "test_short_side": 128,
            "test_size": 112,
        },
        "TwoStream": {"frames": 10, "stride": 10},
        "TwoStreamFused": {"frames": 20, "stride": 10},
        "TwoStreamI3D": {"frames": 16},
    },
)

# For real clips of about a second. Google's ImageNet network is a googlenet; from scratch the
# systems use the same network, so that nothing but the initialization differs.
_SMALL = _configs(
    {
        "architecture": "googlenet",
        "temporal": "center",
        "size": 112,
        "test_short_side": 128,
        "test_size": 112,
        "area": (0.35, 1.0),
        "steps": 160,
        "batch_size": 16,
        "learning_rate": 1e-4,
        "batch_norm_momentum": 0.95,
        "precision": "mixed_bfloat16",
    },
    {
        "ConvNetLSTM": {"frames": 6, "stride": 5},
        # Its units are batch-normalized, which allows a higher learning rate.
        "C3D": {"architecture": None, "frames": 16, "learning_rate": 1e-3},
        "TwoStream": {"frames": 10, "stride": 10},
        "TwoStreamFused": {"frames": 20, "stride": 10},
        # Without a warm-up a random classifier would destroy the inflated features.
        "TwoStreamI3D": {"frames": 24, "linear_probe": 2},
    },
)

_PAPER = {
    "ConvNetLSTM": RECIPES["paper_conv_net_lstm"],
    "C3D": RECIPES["paper_c3d"],
    "TwoStream": RECIPES["paper_two_stream"],
    "TwoStreamFused": RECIPES["paper_two_stream_fused"],
    "TwoStreamI3D": RECIPES["paper_two_stream_i3d"],
}

SCALES = {
    row.name: row
    for row in (
        Scale(
            "mini",
            "narrow networks, tiny clips and few steps, for `kinetics-i3d figures`: tests the "
            "pipeline, not the systems",
            seeds=2,
            configs=_MINI,
            transfers={
                "fixed": {"learning_rate": 1e-2, "feature_passes": 2},
                "full": {"learning_rate": 1e-3},
            },
            frames=True,
        ),
        Scale(
            "small",
            "full width, clips of one second at 112 pixels, for datasets of the size of J-HMDB",
            seeds=3,
            configs=_SMALL,
            transfers={"fixed": {"learning_rate": 1e-3, "feature_passes": 4}, "full": {}},
        ),
        Scale(
            "paper",
            "the paper's recipes; on the smaller datasets up to 5000 steps on 16 devices",
            seeds=1,
            configs=_PAPER,
            transfers={
                "fixed": {"steps": 5000, "batch_size": 96, "learning_rate": 0.01},
                "full": {"steps": 5000, "batch_size": 96, "learning_rate": 0.01},
            },
        ),
    )
}


def with_steps(scale, steps):
    """The scale with another number of steps in all runs, which its `about` mentions.

    Example:

    >>> with_steps(SCALES["mini"], 400).configs["C3D"].steps
    400
    """
    return dataclasses.replace(
        scale,
        about=f"{scale.about}; here with {steps} steps per run",
        configs={
            system: dataclasses.replace(config, steps=steps)
            for system, config in scale.configs.items()
        },
        transfers={mode: {**fields, "steps": steps} for mode, fields in scale.transfers.items()},
    )


def config_of(scale, run, *, images=None, weights=None, validation=None):
    """The `TrainConfig` of a run that is trained.

    `images` are the image weights it starts from (`None` for scratch), `weights` those that `fixed`
    and `full` start from, and `validation` the split for schedules that depend on the validation
    loss (`None` for the recipe's).

    Example:

    >>> from kinetics_i3d.experiments.runs import Run
    >>> run = Run("TwoStreamI3D", "flow", "scratch", "original", 1)
    >>> config = config_of(SCALES["mini"], run)
    >>> config.system, config.streams, config.seed
    ('InceptionI3D', ('flow',), 1)
    """
    from kinetics_i3d.models.systems import SYSTEMS  # imports Keras

    config, system = scale.configs[run.system], SYSTEMS[run.system]
    fields: dict = {"system": system.trained_as, "seed": run.seed}
    fields |= scale.transfers.get(run.transfer, {})
    if system.is_separate:
        fields["streams"] = (run.stream,)
    if config.validation is not None and validation is not None:
        fields["validation"] = validation
    if run.transfer == "original":
        fields["inflate"] = images
    else:
        # The architecture is that of the weights.
        fields |= {"transfer": run.transfer, "weights": weights, "architecture": None}
    return dataclasses.replace(config, **fields)
