"""Specs, pictures and short helpers that the tests of the doctor share."""

import dataclasses

import numpy as np

from kinetics_i3d.core.clip_spec import ClipSpec

SPEC = ClipSpec("small", fps=25, short_side=64, size=64)
FLOW = dataclasses.replace(SPEC, name="small_flow", stream="flow")


def texture(height, width, seed=0, coarse=8):
    """A smooth colored picture, float (height, width, 3), 0 to 255."""
    cells = np.random.default_rng(seed).uniform(
        0, 255, (height // coarse + 2, width // coarse + 2, 3)
    )
    rows, columns = np.arange(height) / coarse, np.arange(width) / coarse
    y, x = rows.astype(int), columns.astype(int)
    down, across = (rows - y)[:, None, None], (columns - x)[None, :, None]
    top = cells[y][:, x] * (1 - across) + cells[y][:, x + 1] * across
    bottom = cells[y + 1][:, x] * (1 - across) + cells[y + 1][:, x + 1] * across
    return top * (1 - down) + bottom * down


def save(folder, clip, name="clip.npy"):
    np.save(folder / name, clip)
    return folder / name


def problems(report):
    return {finding.topic: finding for finding in report.findings if finding.severity != "ok"}


def by_topic(report):
    return {finding.topic: finding for finding in report.findings}


def apply_fix(clip, line):
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    return eval(line.split(" with ")[0], {"clip": clip, "np": np, "mean": mean, "std": std})
