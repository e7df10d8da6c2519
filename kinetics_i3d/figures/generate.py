"""`write_figures`: the figures as a folder of videos with a table of paths, labels and splits."""

import concurrent.futures
import csv
import json
import multiprocessing
import numbers
import pathlib

from kinetics_i3d.core.errors import DatasetError
from kinetics_i3d.core.files import atomic_path
from kinetics_i3d.core.json_objects import parse_object
from kinetics_i3d.core.progress import track
from kinetics_i3d.core.settings import check_settings
from kinetics_i3d.core.types import PathLike, is_number
from kinetics_i3d.figures.actions import ACTIONS
from kinetics_i3d.figures.render import render_figure
from kinetics_i3d.video.writer import write_video

_TABLE_NAME = "figures.csv"
_SETTINGS_NAME = "figures.json"
_SEEDS_A_BASE = (
    1_000_000  # maximum number of worlds of a split, so that no two base seeds share one
)


def world_seed(split, index, *, seed=0):
    """Returns the seed of a split's world: even for "train", odd for "test".

    No world of any test split is therefore in any train split, for any base seeds. All actions
    share the worlds of their split: scene and clothes carry no information about the action.

    Args:
        split: "train" or "test".
        index: Number of the world in the split, from 0 to 999,999.
        seed: The base seed of the dataset.

    Returns:
        The seed for `render_figure`.

    Raises:
        ValueError: For another split, or an index or seed outside its range.

    Example:

    >>> world_seed("train", 3), world_seed("test", 3), world_seed("test", 0, seed=1)
    (6, 7, 2000001)
    """
    if split not in ("train", "test"):
        raise ValueError(f"`split` must be 'train' or 'test'. Received: split={split!r}")
    index = _whole("index", index, least=0)
    if index >= _SEEDS_A_BASE:
        raise ValueError(f"`index` must be below {_SEEDS_A_BASE}. Received: index={index!r}")
    return 2 * (_whole("seed", seed, least=0) * _SEEDS_A_BASE + index) + (split == "test")


def write_figures(
    folder: PathLike,
    *,
    train_per_action: int = 40,
    test_per_action: int = 10,
    seed: int = 0,
    frames: int = 64,
    fps: float = 25.0,
    size: tuple[int, int] = (120, 160),
    workers: int = 1,
) -> pathlib.Path:
    """Writes videos of all actions and the table that lists them.

    The videos are `folder/<action>/<action>_<world seed>.mp4`; the table `folder/figures.csv` has
    the columns path (relative to the table), label (the action) and split, and is written last.
    Existing videos are kept, so repeating an interrupted call completes it, and larger numbers
    extend a dataset. `folder/figures.json` records the settings.

    Args:
        folder: The folder of the dataset; created if missing.
        train_per_action: Videos of each action in the split "train", 0 or more.
        test_per_action: Videos of each action in the split "test", 0 or more.
        seed: Base seed, which determines the worlds, see `world_seed`.
        frames: Frames of each video.
        fps: Frames per second.
        size: (height, width) in pixels, both even (H.264 stores colors for pairs of pixels).
        workers: Number of processes that render. With more than one, the calling script needs an
            `if __name__ == "__main__":` guard.

    Returns:
        Path of the table.

    Raises:
        ValueError: If an argument is outside its range.
        DatasetError: If `folder` holds figures made with another seed, rate, length or size.

    Example:

    >>> table = write_figures(
    ...     folder / "figures", train_per_action=1, test_per_action=0, frames=2, size=(32, 32)
    ... )
    >>> table.read_text().splitlines()[1]
    'bow/bow_0.mp4,bow,train'
    """
    counts = {
        "train": _whole("train_per_action", train_per_action, least=0),
        "test": _whole("test_per_action", test_per_action, least=0),
    }
    for split, count in counts.items():
        if count > _SEEDS_A_BASE:
            raise ValueError(
                f"`{split}_per_action` must be at most {_SEEDS_A_BASE}. Received: {count}"
            )
    workers = _whole("workers", workers, least=1)
    settings = {
        "seed": _whole("seed", seed, least=0),
        "frames": _whole("frames", frames, least=1),
        "fps": _rate(fps),
        "size": _even(size),
    }
    folder = pathlib.Path(folder)
    _record_settings(folder, settings)

    rows, jobs = [], []
    for action in ACTIONS:
        for split, count in counts.items():
            for index in range(count):
                world = world_seed(split, index, seed=seed)
                path = f"{action}/{action}_{world}.mp4"
                rows.append((path, action, split))
                if not (folder / path).exists():
                    jobs.append((folder / path, action, world, settings))
    _render(jobs, workers)

    with atomic_path(folder / _TABLE_NAME) as path, path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("path", "label", "split"))
        writer.writerows(rows)
    return folder / _TABLE_NAME


def _record_settings(folder, settings):
    """Records the settings in a new folder; refuses a folder with other settings."""
    note = folder / _SETTINGS_NAME
    if note.exists():
        try:
            recorded = parse_object(note.read_text())
        except ValueError as error:
            raise DatasetError(f"{note} is not JSON: {error}") from error
        check_settings(
            recorded,
            settings,
            path=folder,
            advice="choose another folder or the same settings",
            error=DatasetError,
        )
        return
    with atomic_path(note) as path:
        path.write_text(json.dumps(settings, indent=2) + "\n")


def _render(jobs, workers):
    shown = {"total": len(jobs), "noun": "videos"}
    if workers == 1:
        for job in track(jobs, "rendering", **shown):
            _write_one(job)
        return
    # Spawned, not forked: a fork of a process in which TensorFlow has threads may hang.
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(workers, mp_context=context) as pool:
        for _ in track(pool.map(_write_one, jobs, chunksize=4), "rendering", **shown):
            pass


def _write_one(job):
    path, action, world, settings = job
    clip = render_figure(
        action,
        seed=world,
        frames=settings["frames"],
        fps=settings["fps"],
        size=settings["size"],
    )
    write_video(path, clip, fps=settings["fps"])


def _whole(name, value, *, least):
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < least:
        raise ValueError(
            f"`{name}` must be an integer of at least {least}. Received: {name}={value!r}"
        )
    return int(value)


def _rate(fps):
    if not is_number(fps) or not 0.0 < fps < float("inf"):
        raise ValueError(f"`fps` must be a number above 0. Received: fps={fps!r}")
    return float(fps)


def _even(size):
    sides = list(size) if isinstance(size, (tuple, list)) else []
    whole = all(isinstance(side, numbers.Integral) for side in sides)
    if len(sides) != 2 or not whole or any(side < 16 or side % 2 for side in sides):
        raise ValueError(
            f"`size` must be (height, width), both even and at least 16. Received: size={size!r}"
        )
    return [int(side) for side in sides]
