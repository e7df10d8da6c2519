"""`make_plan`: which cells are run, each with its settings, and which are left out and why."""

import dataclasses

from kinetics_i3d.core.errors import UserError
from kinetics_i3d.experiments.cells import BOTH, INITS, ROWS, all_cells
from kinetics_i3d.experiments.scales import config_of
from kinetics_i3d.training.config import TrainConfig


@dataclasses.dataclass(frozen=True)
class Job:
    """A cell that can be run.

    Args:
        cell: A `Cell`.
        config: Its `TrainConfig`; `None` where the logits of its parts are added.
    """

    cell: object
    config: TrainConfig | None


@dataclasses.dataclass(frozen=True)
class Plan:
    """What there is to do.

    Args:
        scale: A `Scale`.
        jobs: `Job`s, in order: a sum comes after its parts.
        left_out: {what: why}, of the paper's cells that cannot be run.
    """

    scale: object
    jobs: tuple
    left_out: dict


def make_plan(scale, *, seeds=None, pattern="*", images=(), sources=None, validation=None):
    """Plans the tables.

    Args:
        scale: A `Scale`.
        seeds: Runs of a cell; `None` is the scale's.
        pattern: Of the names of cells.
        images: {start: image network} that systems may start from, by names in `INITS`.
        sources: `Sources` of `fixed` and `full`, or `None`.
        validation: As `config_of` takes it.

    Returns:
        A `Plan`.

    Raises:
        UserError: If the pattern fits no cell that can be run.

    Example:

    >>> from kinetics_i3d.experiments.scales import SCALES
    >>> plan = make_plan(SCALES["mini"], pattern="C3D.*")
    >>> [job.cell.name for job in plan.jobs]
    ['C3D.rgb.scratch.original.0', 'C3D.rgb.scratch.original.1']
    >>> plan.left_out["fixed and full"]
    'no --source is given, whose weights they start from'
    """
    images = dict(images)
    starts = {"scratch", *images, *(sources.inits if sources else ())}
    cells = all_cells(
        inits=[init for init in INITS if init in starts],
        transfers=("original", "fixed", "full") if sources else ("original",),
        seeds=range(scale.seeds if seeds is None else seeds),
        pattern=pattern,
    )
    left_out = {}
    if "imagenet" not in images:
        left_out["ImageNet first"] = (
            "no --imagenet is given; the paper has it for all but the 3D-ConvNet"
        )
    if not sources:
        left_out["fixed and full"] = "no --source is given, whose weights they start from"
    streams = [ROWS[name].title for name in ("TwoStream", "TwoStreamFused")]
    left_out[f"RGB and Flow of {' and '.join(streams)}"] = (
        "they are trained as one network of both streams, whose answer is one"
    )
    jobs: list = []
    absent: set = set()
    for cell in cells:
        weights = None
        if cell.parts:
            if not absent & {*cell.parts}:
                jobs.append(Job(cell, None))
            continue
        if cell.transfer != "original":
            weights = sources.find(cell)
            if weights is None:
                absent.add(cell)
                left_out[".".join(cell.group)] = (
                    "the source has no weights of this system and start"
                )
                continue
        config = config_of(
            scale, cell, images=images.get(cell.init), weights=weights, validation=validation
        )
        jobs.append(Job(cell, config))
    if not jobs:
        raise UserError(
            f"no cell that can be run fits {pattern!r}; a name is such as "
            f"'TwoStreamI3D.{BOTH}.scratch.original.0'"
        )
    return Plan(scale, tuple(jobs), left_out)
