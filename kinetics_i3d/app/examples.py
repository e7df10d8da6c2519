"""`write_examples`: the videos that the page offers to those who have none at hand."""

import itertools
import pathlib

from kinetics_i3d.figures import render_figure
from kinetics_i3d.video.reader import read_frames
from kinetics_i3d.video.writer import write_video

FOLDER = pathlib.Path(__file__).parents[2] / "examples"  # of a checkout
# As `examples/make_clips.py` writes them: seeds that no dataset of `write_figures` contains.
SEED, SIZE, FPS = 2_000_001, (240, 320), 25
ACTIONS = ("kick", "sit_down", "stand_up", "wave")
ALL = "all four"
WEIGHTS = "rgb_figures"  # trained on these actions


def write_examples(folder):
    """Writes the example videos to a folder: copies from the checkout, or else new renderings.

    Returns:
        {name: path}: one video for each action, and one of all actions in a row.
    """
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = {action.replace("_", " "): folder / f"{action}.mp4" for action in ACTIONS}
    for number, path in enumerate(paths.values()):
        original = FOLDER / path.name
        if original.is_file():
            path.write_bytes(original.read_bytes())
        else:
            clip = render_figure(path.stem, seed=SEED + number, size=SIZE)
            write_video(path, clip, fps=FPS)
    in_a_row = folder / "four_actions.mp4"
    frames = itertools.chain.from_iterable(map(read_frames, paths.values()))
    write_video(in_a_row, frames, fps=FPS)
    return paths | {ALL: in_a_row}
