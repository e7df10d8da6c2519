"""Recipes: named settings of the shipped weights, of the released weights and of the paper.

Carreira & Zisserman, CVPR 2017, table 1 and section 2.5, and the code released with it.
"""

import dataclasses
from typing import Any

from absl import logging

from kinetics_i3d.training.config import TRANSFER_DEFAULTS, TrainConfig, check_choice

# From the released code: 64 replicas with 6 clips each.
_RELEASED: dict = {
    "crop": "plain",
    "color": False,
    "batch_size": 384,
    "optimizer": "sgd",
    "learning_rate": 0.1,
    "warmup": 0.0,
    "weight_decay": 1e-7,
    "label_smoothing": 0.0,
    "dropout": 0.5,
}

# The paper's runs on Kinetics. It gives no learning rate; this is that of the release.
_PAPER: dict = {**_RELEASED, "steps": 110_000, "schedule": "paper", "validation": "val"}

RECIPES = {
    # J-HMDB from ImageNet: clips of about a second, 24 frames at 25 fps. A network soon overfits
    # so few videos, hence the frozen stem, the strong dropout and mixup; kernels at the middle
    # frame keep the frozen stem from blurring motion.
    "jhmdb": TrainConfig(
        architecture="googlenet",
        temporal="center",
        fps=25.0,
        frames=24,
        size=160,
        test_short_side=208,
        test_size=192,
        area=(0.35, 1.0),
        mixup=0.4,
        epochs=24,
        batch_size=16,
        learning_rate=1e-4,
        dropout=0.7,
        linear_probe=2,
        freeze=("Conv3d_1a", "Conv3d_2b", "Conv3d_2c"),
        precision="mixed_bfloat16",
    ),
    # Any folder of videos, from the Kinetics-400 weights; one of the runs of rgb_kinetics_jhmdb.
    # Batch norm keeps its statistics, so that small batches do no harm. Freezing the modules up to
    # Mixed_4e saves most of the backward pass.
    "finetune_kinetics": TrainConfig(
        weights="rgb_kinetics400",
        head="new",
        transfer="full",
        batch_norm="freeze",
        frames=24,
        size=224,
        test_short_side=256,
        test_size=224,
        area=(0.4, 1.0),
        mixup=0.2,
        epochs=12,
        batch_size=16,
        learning_rate=2e-4,
        linear_probe=2,
        freeze=("Conv3d_1a", "Conv3d_2", "Mixed_3", *(f"Mixed_4{module}" for module in "bcde")),
        precision="mixed_bfloat16",
    ),
    # Optical flow, from the same weights; the settings of flow_kinetics_jhmdb. All layers are
    # trained, batch norm with them, since the weights have not seen flow. 160 pixels keep that
    # affordable on two cores.
    "finetune_kinetics_flow": TrainConfig(
        weights="rgb_kinetics400",
        streams=("flow",),
        head="new",
        transfer="full",
        batch_norm="recalibrate",
        batch_norm_momentum=0.95,
        recalibration_batches=84,
        frames=24,
        size=160,
        test_short_side=208,
        test_size=192,
        area=(0.35, 1.0),
        mixup=0.2,
        epochs=14,
        batch_size=16,
        learning_rate=3e-4,
        dropout=0.6,
        linear_probe=2,
        precision="mixed_bfloat16",
    ),
    # Performances of 2.56 s: 32 frames span them at 12.5 fps. At 8 fps the network, which halves
    # the frames at once, cannot tell walking from walking backwards.
    "figures": TrainConfig(
        architecture="inception_v1_quarter",
        fps=12.5,
        frames=32,
        size=80,
        test_short_side=88,
        test_size=80,
        area=(0.6, 1.0),
        epochs=22,
        batch_size=16,
        learning_rate=2e-3,
        dropout=0.2,
        label_smoothing=0.0,
        batch_norm_momentum=0.95,
        precision="float32",
    ),
    "paper_conv_net_lstm": TrainConfig(**_PAPER, system="ConvNetLSTM", frames=25, stride=5),
    "paper_c3d": TrainConfig(
        **_PAPER, system="C3D", frames=16, size=112, test_short_side=128, test_size=112
    ),
    "paper_two_stream": TrainConfig(**_PAPER, system="TwoStream", frames=10, stride=10),
    "paper_two_stream_fused": TrainConfig(**_PAPER, system="TwoStreamFused", frames=50, stride=10),
    "paper_two_stream_i3d": TrainConfig(**_PAPER, system="TwoStreamI3D"),
    "kinetics_rgb": TrainConfig(**_RELEASED, steps=115_000, schedule="release_rgb"),
    "kinetics_flow": TrainConfig(
        **_RELEASED, streams=("flow",), steps=155_000, schedule="release_flow"
    ),
}


def config_from_recipe(name: str | None, **settings: Any) -> TrainConfig:
    """The `TrainConfig` of a recipe with some fields changed.

    Explicit settings are always kept. A field of the recipe that contradicts them or the weights is
    replaced, and the change is logged: `architecture`, `stride` and unset `streams` become those of
    the weights, `transfer="original"` becomes `"full"`, `inflate` and `weights` replace each
    other, and `epochs` replaces `steps`. With `transfer="fixed"`, `learning_rate` and `epochs`
    default to those of a classifier on frozen features, regardless of the recipe.

    Args:
        name: A key of `RECIPES`, or `None` for the defaults of `TrainConfig`.
        **settings: Fields of `TrainConfig`.

    Returns:
        A `TrainConfig`.

    Raises:
        ValueError: If the recipe is unknown or trains another system than `system`, or the settings
            contradict each other.
        WeightsError: If the weights cannot be found or read.

    Example:

    >>> config = ki3d.config_from_recipe("jhmdb", weights="rgb_figures")
    >>> config.architecture, config.transfer, config.frames
    ('inception_v1_quarter', 'full', 24)
    """
    if name is None:
        recipe, source = TrainConfig(system=settings.get("system", TrainConfig.system)), "defaults"
        if settings.get("weights") is not None:
            settings = {"transfer": "full"} | settings
    else:
        check_choice("recipe", name, tuple(RECIPES))
        recipe, source = RECIPES[name], f"recipe {name!r}"
    system = settings.get("system", recipe.system)
    if system != recipe.system:
        raise ValueError(
            f"`recipe` must be one for {system}; {name!r} trains {recipe.system}. "
            f"Received: recipe={name!r}"
        )
    changes = _changes(dataclasses.asdict(recipe), settings)
    replaced = {field: value for field, (value, _) in changes.items()}
    if (settings | replaced).get("transfer", recipe.transfer) == "fixed":
        defaults = {
            field: value
            for field, value in TRANSFER_DEFAULTS["fixed"].items()
            if settings.get(field) is None
        }
        replaced |= defaults
        if defaults:
            named = ", ".join(f"{field}={value!r}" for field, value in defaults.items())
            logging.info("%s: %s by default for transfer='fixed'", source, named)
    config = dataclasses.replace(recipe, **settings | replaced)
    for field, (value, reason) in changes.items():
        logging.info(
            "%s: %s=%r is replaced by %r because of %s",
            source,
            field,
            getattr(recipe, field),
            value,
            reason,
        )
    return config


def _changes(recipe, settings):
    """The fields of a recipe that are replaced, {field: (value, reason)}.

    Args:
        recipe: {field: value} of the recipe.
        settings: {field: value}, which are kept.
    """
    changes: dict = {}
    fields = recipe | settings

    def replace(field, value, reason):
        if field not in settings and fields[field] != value:
            fields[field] = value
            changes[field] = (value, f"{reason}={fields[reason]!r}")

    if settings.get("weights") is not None:
        replace("inflate", None, "weights")
    elif settings.get("inflate") is not None:
        replace("weights", None, "inflate")
    if settings.get("epochs") is not None:
        replace("steps", 0, "epochs")
    if fields["transfer"] == "fixed":
        replace("mixup", 0.0, "transfer")  # the features are computed once
        replace("steps", 0, "transfer")
    if fields["weights"] is not None:
        if fields["transfer"] == "original":
            replace("transfer", "full", "weights")
        replace("temporal", TrainConfig.temporal, "weights")  # nothing is inflated
    start = "inflate" if fields["weights"] is None else "weights"
    if fields[start] is None:
        return changes
    architecture, specs = _described_by(fields[start])
    if fields["architecture"] is not None and architecture is not None:
        replace("architecture", architecture, start)
    if start == "weights" and specs:
        if fields["system"] == "InceptionI3D" and len(specs) == 1:
            # A recipe that names a stream may start from weights of the other one.
            if not fields["streams"] and tuple(specs) != ("rgb",):
                replace("streams", tuple(specs), start)
        elif len(specs) == 2:
            stride = specs["flow"].fps / specs["rgb"].fps
            if stride.is_integer():
                replace("stride", int(stride), start)
    return changes


def _described_by(weights):
    """(architecture, {stream: `ClipSpec`}) of weights; `None` and {} if unknown."""
    from kinetics_i3d.weights.read import resolve_weights

    infos = [source.info() for source in resolve_weights(weights, images=True, pairs=True)]
    architectures = {info.architecture for info in infos}
    # An image network has no stream: it may start one of either.
    specs = {
        name: spec for info in infos if info.rank == 3 for name, spec in info.clip_specs.items()
    }
    return architectures.pop() if len(architectures) == 1 else None, specs
