"""Recipes: the settings of the shipped weights, by name."""

from kinetics_i3d.training.config import TrainConfig

RECIPES = {
    # Real clips of about a second: 24 frames at 25 a second. So few of them are soon known by
    # heart, hence the frozen stem, the strong dropout and the blending; kernels at the middle frame
    # keep the frozen stem from blurring what moves.
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
        batch=16,
        learning_rate=1e-4,
        dropout=0.7,
        head_start=2,
        freeze=("Conv3d_1a", "Conv3d_2b", "Conv3d_2c"),
        precision="mixed_bfloat16",
    ),
    # Performances of 2.56 s: 32 frames span them at 12.5 a second. At 8 a second the network, which
    # halves the frames at once, cannot tell a walk from a walk backwards.
    "figures": TrainConfig(
        architecture="inception_v1_quarter",
        fps=12.5,
        frames=32,
        size=80,
        test_short_side=88,
        test_size=80,
        area=(0.6, 1.0),
        epochs=22,
        batch=16,
        learning_rate=2e-3,
        dropout=0.2,
        label_smoothing=0.0,
        norm_momentum=0.95,
        precision="float32",
    ),
}
