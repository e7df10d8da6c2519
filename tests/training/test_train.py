"""One tiny run from files to files, and what a run refuses."""

import dataclasses
import json

import keras
import numpy as np
import pytest

from kinetics_i3d.core.clip_spec import ClipSpec
from kinetics_i3d.data.datasets import Video, VideoDataset
from kinetics_i3d.models.inception_i3d import InceptionI3D
from kinetics_i3d.models.inception_v1 import InceptionV1
from kinetics_i3d.models.pretrained import save_weights
from kinetics_i3d.training.config import TrainConfig
from kinetics_i3d.training.train import build, make_optimizer, read_history, train
from kinetics_i3d.video.writer import write_video

CONFIG = TrainConfig(
    architecture="inception_v1_quarter",
    frames=9,
    size=32,
    test_short_side=36,
    test_size=32,
    epochs=2,
    batch=2,
    learning_rate=1e-3,
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Four noisy videos; the sitting are dark, the standing bright."""
    folder, videos = tmp_path_factory.mktemp("videos"), []
    random = np.random.default_rng(0)
    for number in range(4):
        label = ("sit", "stand")[number % 2]
        path = folder / f"{number}.mp4"
        frames = random.integers(0, 100, (12, 40, 48, 3)) + 100 * (number % 2)
        write_video(path, frames.astype(np.uint8), fps=25)
        videos.append(Video(path, label, "train", path.name))
    return VideoDataset("noise", ("sit", "stand"), tuple(videos))


@pytest.mark.slow
def test_a_run_writes_weights_config_and_curves_that_load_again(dataset, tmp_path):
    policy = keras.config.dtype_policy()
    output = tmp_path / "run"
    model = train(dataset, CONFIG, output, spec_name="tiny", about={"by": "a test"})
    assert keras.config.dtype_policy() == policy

    loaded = InceptionI3D(weights=output / "weights.h5")
    assert loaded.labels == model.labels == ("sit", "stand")
    assert loaded.architecture == "inception_v1_quarter"
    assert loaded.clip_spec == ClipSpec("tiny", fps=25.0, short_side=36, size=32)
    clips = np.random.default_rng(1).uniform(-1, 1, (2, 9, 32, 32, 3)).astype(np.float32)
    np.testing.assert_array_equal(np.asarray(loaded(clips)), np.asarray(model(clips)))
    start = InceptionI3D(architecture="inception_v1_quarter", classes=2)
    moved = [  # statistics and weights both
        not np.array_equal(a, b)
        for a, b in zip(loaded.get_weights(), start.get_weights(), strict=True)
    ]
    assert all(moved)

    assert json.loads((output / "config.json").read_text())["frames"] == 9
    history = read_history(output / "history.csv")
    assert [row["epoch"] for row in history] == [0, 1]
    assert all(np.isfinite(row["loss"]) and 0 <= row["accuracy"] <= 1 for row in history)

    other = dataclasses.replace(CONFIG, seed=1)
    before = {file: file.read_bytes() for file in output.iterdir() if file.is_file()}
    with pytest.raises(FileExistsError, match=r"config\.json: a run of another config is here"):
        train(dataset, other, output)
    assert before == {file: file.read_bytes() for file in output.iterdir() if file.is_file()}


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_the_rate_warms_up_for_an_epoch_and_falls_as_a_cosine(optimizer):
    config = dataclasses.replace(CONFIG, optimizer=optimizer, epochs=5, learning_rate=0.2)
    made = make_optimizer(config, steps_per_epoch=10)
    rates = []
    for step in range(51):
        made.iterations.assign(step)
        rates.append(float(made.learning_rate))
    np.testing.assert_allclose(rates[:11], np.linspace(0, 0.2, 11), atol=1e-6)
    turn = np.arange(41) / 40 * np.pi
    np.testing.assert_allclose(rates[10:], 0.2 * (1 + np.cos(turn)) / 2, atol=1e-6)
    assert max(rates) == rates[10] and rates[50] < 1e-6
    assert made.weight_decay == config.weight_decay and not made.use_ema


def test_an_average_of_the_weights_is_kept_if_asked_for():
    made = make_optimizer(dataclasses.replace(CONFIG, ema=0.99), steps_per_epoch=3)
    assert made.use_ema and made.ema_momentum == 0.99


def test_a_model_may_start_inflated_and_partly_frozen(tmp_path, monkeypatch):
    from kinetics_i3d.models import inception_i3d

    row = dataclasses.replace(inception_i3d.GOOGLENET, name="small", width=0.1)
    monkeypatch.setitem(inception_i3d.ARCHITECTURES, "small", row)
    image_model = InceptionV1(architecture="small", classes=9)
    save_weights(image_model, tmp_path / "image.h5")
    config = dataclasses.replace(
        CONFIG,
        architecture="small",
        inflate=str(tmp_path / "image.h5"),
        temporal="center",
        freeze=("Conv3d_1a", "Conv3d_2"),
        dropout=0.25,
    )
    model = build(config, 4)
    assert model.output_shape == (None, 4) and model.clip_spec == config.train_spec()
    assert model.get_layer("Dropout_0b").rate == 0.25
    kernel = model.get_layer("Conv3d_2c_3x3_conv").kernel.numpy()
    flat = image_model.get_layer("Conv2d_2c_3x3_conv").kernel.numpy()
    np.testing.assert_array_equal(kernel[1], flat)
    frozen = {layer.name for layer in model.layers if not layer.trainable}
    assert {"Conv3d_1a_7x7_conv", "Conv3d_2b_1x1_conv", "Conv3d_2c_3x3_conv"} <= frozen
    assert all(name.startswith(("Conv3d_1a", "Conv3d_2")) for name in frozen)
    assert all(layer.trainable for layer in build(CONFIG, 2).layers)
