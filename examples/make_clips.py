"""Writes the example clips: figures in worlds that no dataset of `write_figures` contains."""

import pathlib

import kinetics_i3d as ki3d

FOLDER = pathlib.Path(__file__).parent
SEED = 2_000_001  # far beyond the seeds of training and test worlds
ACTIONS = ("kick", "sit_down", "stand_up", "wave")

if __name__ == "__main__":
    for number, action in enumerate(ACTIONS):
        clip = ki3d.render_figure(action, seed=SEED + number, size=(240, 320))
        ki3d.write_video(FOLDER / f"{action}.mp4", clip, fps=25)
