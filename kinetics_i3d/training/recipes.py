"""Recipes: the settings of the shipped weights, of the released ones and of the paper, by name.

Carreira & Zisserman, CVPR 2017, table 1 and section 2.5, and the code released with it.
"""

from kinetics_i3d.training.config import TrainConfig

# What the released code says of its training; 64 replicas of 6 clips.
_RELEASED: dict = {
    "crop": "plain",
    "color": False,
    "batch": 384,
    "optimizer": "sgd",
    "learning_rate": 0.1,
    "warmup": 0.0,
    "weight_decay": 1e-7,
    "label_smoothing": 0.0,
    "dropout": 0.5,
}

# The paper's runs on Kinetics; it says no learning rate, so that of the release.
_PAPER: dict = {**_RELEASED, "steps": 110_000, "schedule": "paper", "validation": "val"}

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
