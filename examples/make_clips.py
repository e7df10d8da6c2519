"""Writes the example clips: figures in worlds that are not in the datasets of `write_dataset`."""

import pathlib

from kinetics_i3d.figures import ACTIONS, render_clip
from kinetics_i3d.video.writer import write_video

FOLDER = pathlib.Path(__file__).parent
SEED = 2_000_001  # far beyond the seeds of train and test
SHOWN = ("kick", "sit_down", "stand_up", "wave")

if __name__ == "__main__":
    for number, action in enumerate(SHOWN):
        assert action in ACTIONS
        write_video(
            FOLDER / f"{action}.mp4",
            render_clip(action, seed=SEED + number, size=(240, 320)),
            fps=25,
        )
