"""`SCALES`: how long and how large the runs of the tables are; `config_of`: the run of a cell.

In a scale each system sees as many clips as any other. Carreira & Zisserman, CVPR 2017, section 2.5
and table 1, for the paper's.
"""

import dataclasses

from kinetics_i3d.training.config import TrainConfig
from kinetics_i3d.training.recipes import RECIPES


@dataclasses.dataclass(frozen=True)
class Scale:
    """One scale.

    Args:
        name: What the command calls it.
        about: What it is for, in a line.
        seeds: How many runs a cell has.
        configs: {system: `TrainConfig`}, for training from scratch.
        transfers: {mode: {field: value}}, what a mode changes of them.
        frames: Whether single frames of the videos train an image network to start from, where
            there are no ImageNet weights of its width.
    """

    name: str
    about: str
    seeds: int
    configs: dict
    transfers: dict
    frames: bool = False

    @property
    def architecture(self):
        """The Inception-V1 of its systems, which an image network has to share."""
        return self.configs["TwoStreamI3D"].architecture or "inception_v1"


def _configs(common, own):
    return {
        system: TrainConfig(**{**common, "system": system, **fields})
        for system, fields in own.items()
    }


# Clips see what the paper's see of a video, in proportion: figures last 2.56 s, not 10. All read
# the same flow, so that a file beside each video serves all.
_MINI = _configs(
    {
        "architecture": "inception_v1_quarter",
        "fps": 12.5,
        "size": 64,
        "test_short_side": 72,
        "test_size": 64,
        "area": (0.6, 1.0),
        "steps": 160,
        "batch": 16,
        "learning_rate": 2e-3,
        "dropout": 0.2,
        "label_smoothing": 0.0,
        "norm_momentum": 0.95,
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

# Real clips of about a second. Google's ImageNet network is a googlenet; from scratch the systems
# are the same networks, so that nothing but the start differs.
_SMALL = _configs(
    {
        "architecture": "googlenet",
        "temporal": "center",
        "size": 112,
        "test_short_side": 128,
        "test_size": 112,
        "area": (0.35, 1.0),
        "steps": 160,
        "batch": 16,
        "learning_rate": 1e-4,
        "norm_momentum": 0.95,
        "precision": "mixed_bfloat16",
    },
    {
        "ConvNetLSTM": {"frames": 6, "stride": 5},
        # Of batch-normalised units, which bear a higher rate.
        "C3D": {"architecture": None, "frames": 16, "learning_rate": 1e-3},
        "TwoStream": {"frames": 10, "stride": 10},
        "TwoStreamFused": {"frames": 20, "stride": 10},
        # A classifier of random values undoes inflated features before it has learned from them.
        "TwoStreamI3D": {"frames": 24, "head_start": 2},
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
            "narrow networks, tiny clips and few steps, for `kinetics-i3d figures`: shows that all "
            "works, not what the systems can do",
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
            "full width, clips of a second at 112 pixels, for a dataset of the size of J-HMDB",
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
                "fixed": {"steps": 5000, "batch": 96, "learning_rate": 0.01},
                "full": {"steps": 5000, "batch": 96, "learning_rate": 0.01},
            },
        ),
    )
}


def with_steps(scale, steps):
    """A scale whose runs are all of another length.

    Args:
        scale: A `Scale`.
        steps: Steps of every run.

    Returns:
        A `Scale` of the same name that says so.

    Example:

    >>> with_steps(SCALES["mini"], 400).configs["C3D"].steps
    400
    """
    return dataclasses.replace(
        scale,
        about=f"{scale.about}; here with {steps} steps a run",
        configs={
            system: dataclasses.replace(config, steps=steps)
            for system, config in scale.configs.items()
        },
        transfers={mode: {**fields, "steps": steps} for mode, fields in scale.transfers.items()},
    )


def config_of(scale, cell, *, images=None, weights=None, validation=None):
    """The run of a cell.

    Args:
        scale: A `Scale`.
        cell: A `Cell` that is trained.
        images: The image network that it starts from, `None` from scratch.
        weights: The weights that `fixed` and `full` start from.
        validation: What schedules that wait for validation are shown; `None` is the recipe's.

    Returns:
        A `TrainConfig`.

    Example:

    >>> from kinetics_i3d.experiments.runs import Cell
    >>> cell = Cell("TwoStreamI3D", "flow", "scratch", "original", 1)
    >>> config = config_of(SCALES["mini"], cell)
    >>> config.system, config.streams, config.seed
    ('InceptionI3D', ('flow',), 1)
    """
    from kinetics_i3d.models.systems import SYSTEMS

    config, system = scale.configs[cell.system], SYSTEMS[cell.system]
    fields: dict = {"system": system.trained_as, "seed": cell.seed}
    fields |= scale.transfers.get(cell.transfer, {})
    if system.is_separate:
        fields["streams"] = (cell.stream,)
    if config.validation is not None and validation is not None:
        fields["validation"] = validation
    if cell.transfer == "original":
        fields["inflate"] = images
    else:
        # Weights say themselves what network they are of.
        fields |= {"transfer": cell.transfer, "weights": weights, "architecture": None}
    return dataclasses.replace(config, **fields)
