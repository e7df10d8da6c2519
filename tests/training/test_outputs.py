"""Results of a run: strips of frames for TensorBoard, and its curves."""

import dataclasses

import numpy as np
import pytest

from kinetics_i3d.core.errors import DatasetError
from kinetics_i3d.data.datasets import open_dataset
from kinetics_i3d.training.outputs import (
    frame_strip,
    read_history,
    write_history,
    write_videos,
)
from kinetics_i3d.training.preflight import training_and_validation


def test_frame_strip_shows_frames_from_first_to_last():
    levels = np.linspace(-1, 1, 9, dtype=np.float32)
    clip = np.broadcast_to(levels[:, None, None, None], (9, 2, 3, 3))
    strip = frame_strip(clip, frames=3)
    assert strip.shape == (2, 9, 3) and strip.dtype == np.uint8
    assert strip[0, ::3, 0].tolist() == [0, 128, 255]


def test_frame_strip_shows_flow_in_red_and_green():
    clip = np.zeros((1, 2, 2, 2), np.float32)
    clip[..., 0], clip[..., 1] = 1, -1
    assert frame_strip(clip, frames=8)[0, 0].tolist() == [255, 0, 128]


def test_write_videos_lists_training_and_validation_videos(noisy, tiny, tmp_path):
    config = dataclasses.replace(tiny, validation="0.3")
    training, validation = training_and_validation(noisy, config)
    write_videos(tmp_path / "run" / "videos.csv", training, validation)
    table = open_dataset(tmp_path / "run" / "videos.csv")
    for split, part in (("train", training), ("val", validation)):
        read = {(video.path, video.label) for video in table.split(split).videos}
        assert read == {(video.path.resolve(), video.label) for video in part.videos}


def test_history_survives_write_and_read(tmp_path):
    rows = [
        {"epoch": 0, "step": 3, "loss": 1 / 3, "accuracy": 0.5},
        {"epoch": 1, "step": 6, "loss": 0.25, "accuracy": 1.0, "val_loss": 0.1},
    ]
    write_history(tmp_path / "history.csv", rows)
    assert read_history(tmp_path / "history.csv") == rows


@pytest.mark.parametrize("last", ["2,20,1.", "2,20,0.5,0", "2", ""])
def test_a_last_line_that_is_not_whole_is_left_out(tmp_path, last):
    path = tmp_path / "history.csv"
    path.write_bytes(f"epoch,step,loss,accuracy\r\n1,10,2.0,0.25\r\n{last}".encode())
    assert read_history(path) == [{"epoch": 1, "step": 10, "loss": 2, "accuracy": 0.25}]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"epoch,step,loss\n1,10,x\n", "line 2: must have a number or nothing"),
        (b"epoch,step,loss\n1,10\n", "line 2: must have a number or nothing"),
        (b"epoch,step,loss\n1,10,2.0,3\n", "line 2: must have a number or nothing"),
        ("epoch,step\n1,10\n".encode("utf-16"), "must be UTF-8 text"),
    ],
)
def test_a_damaged_history_is_told(tmp_path, content, why):
    (tmp_path / "history.csv").write_bytes(content)
    with pytest.raises(DatasetError, match=why):
        read_history(tmp_path / "history.csv")
