"""The videos that the page offers."""

import pathlib

import numpy as np
import pytest

import kinetics_i3d as ki3d
from kinetics_i3d.app import examples as module

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_examples_are_those_of_the_checkout_and_all_in_a_row(examples):
    assert list(examples) == ["kick", "sit down", "stand up", "wave", "all four"]
    for path in list(examples.values())[:-1]:
        assert path.read_bytes() == (ROOT / "examples" / path.name).read_bytes()
    assert ki3d.video_info(examples["all four"]).frames == 4 * 64


@pytest.mark.slow
def test_without_a_checkout_they_are_rendered_again(examples, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "FOLDER", tmp_path / "absent")
    monkeypatch.setattr(module, "ACTIONS", ("kick",))
    rendered = module.write_examples(tmp_path)["kick"]
    both = (np.stack(list(ki3d.read_frames(path))) for path in (rendered, examples["kick"]))
    one, other = (frames.astype(np.int16) for frames in both)
    assert one.shape == other.shape and np.abs(one - other).mean() < 1
