"""`make_plan`: which cells are run, each with its settings, and which are left out and why."""

import dataclasses
import math
import pathlib

from kinetics_i3d.core.errors import UserError, WeightsError
from kinetics_i3d.experiments.runs import BOTH, INITS, absolute, all_cells, cell_folder, run_streams
from kinetics_i3d.experiments.scales import config_of
from kinetics_i3d.models.multiply_adds import multiply_adds
from kinetics_i3d.models.streams import CHANNELS
from kinetics_i3d.models.systems import paper_systems, system_of
from kinetics_i3d.training.config import TrainConfig
from kinetics_i3d.training.network import builder_of, streams_of
from kinetics_i3d.weights.catalog import PAIRS
from kinetics_i3d.weights.read import read_weights


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
    joint = [row.title for row in paper_systems().values() if run_streams(row) == (BOTH,)]
    left_out[f"RGB and Flow of {' and '.join(joint)}"] = (
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


# How the release's networks began; of other weights nobody knows.
BEGAN = {
    "rgb_imagenet_kinetics400": "imagenet",
    "flow_imagenet_kinetics400": "imagenet",
    "rgb_kinetics400": "scratch",
    "flow_kinetics400": "scratch",
    "rgb_kinetics600": "scratch",
}


class Sources:
    """What `--source` named.

    Args:
        names: Folders of earlier tables, names in the catalog, of pairs too, and paths of weights.

    Raises:
        WeightsError: If one is none of these, or two are of the same system, stream and start.

    Example:

    >>> from kinetics_i3d.experiments.runs import Cell
    >>> sources = Sources(["rgb_figures"])
    >>> sources.find(Cell("TwoStreamI3D", "rgb", "given", "full", 3))
    'rgb_figures'
    """

    def __init__(self, names=()):
        self.folders: list = []
        self.files: dict = {}
        for name in names:
            if pathlib.Path(name, "cells").is_dir():
                self.folders.append(pathlib.Path(name))
                continue
            for member in PAIRS[name].members if name in PAIRS else (name,):
                key = _key_of(member)
                if key in self.files:
                    raise WeightsError(
                        f"{member} and {self.files[key]}: both are weights of {' '.join(key)}; one "
                        "is needed"
                    )
                self.files[key] = absolute(member)

    def __bool__(self):
        return bool(self.folders or self.files)

    @property
    def inits(self):
        """How the networks of weights began that were named one by one, names in `INITS`."""
        return tuple(init for init in INITS if any(key[2] == init for key in self.files))

    def find(self, cell):
        """The weights that a cell starts from.

        Args:
            cell: A `Cell` that is trained, `fixed` or `full`.

        Returns:
            A name or path; `None` where there are none of its system, stream and start. Of earlier
            tables it is that of its seed, or, where one training has to do for several, of seed 0.
        """
        # Without weights of flow, those of frames are the start: training adapts the first kernel.
        streams = (cell.stream, "rgb") if cell.stream == "flow" else (cell.stream,)
        for stream in streams:
            named = self.files.get((cell.system, stream, cell.init))
            if named is not None:
                return named
        for folder in self.folders:
            for seed in (cell.seed, 0):
                before = dataclasses.replace(cell, transfer="original", seed=seed)
                path = cell_folder(folder, before) / "weights.h5"
                if path.is_file():
                    return absolute(path)
        return None


def _key_of(name):
    """(system, stream, init) of weights."""
    info = read_weights(name).info
    if info.rank != 3:
        raise WeightsError(
            f"{name}: of images; a source is weights of clips, and images' weights are for "
            "--imagenet"
        )
    streams = tuple(info.clip_specs)
    stream = streams[0] if len(streams) == 1 else BOTH
    system = system_of(info).name
    row = next(row for row in paper_systems().values() if system in (row.name, row.trained_as))
    if row.is_separate and stream == BOTH:
        raise WeightsError(f"{name}: both streams in one file; a source is one of each stream")
    return row.name, stream, BEGAN.get(str(name), "given")


def training_cost(config, *, videos, classes):
    """Counts the multiplications, each with its addition, of a training.

    Args:
        config: A `TrainConfig`; `None`, of cells that add logits up, costs nothing.
        videos: How many there are to train with.
        classes: How many classes they have.

    Returns:
        An int.

    Example:

    >>> from kinetics_i3d.training.config import TrainConfig
    >>> config = TrainConfig(system="C3D", architecture="c3d_eighth", frames=16, size=112,
    ...     test_size=112, steps=10, batch=4)
    >>> training_cost(config, videos=40, classes=5) // multiply_adds(
    ...     ki3d.C3D(architecture="c3d_eighth", classes=5))
    120
    """
    if config is None:
        return 0
    clips = config.batch * (config.steps or config.epochs * math.ceil(videos / config.batch))
    # Of fixed features only the classifier is trained, which is next to nothing.
    passes = videos * config.feature_passes if config.transfer == "fixed" else 3 * clips
    return passes * _forward(dataclasses.replace(config, seed=0), classes)


def _forward(config, classes):
    architecture = config.architecture
    if config.weights is not None:
        from kinetics_i3d.weights.read import read_weights

        architecture = read_weights(config.weights).info.architecture
    sizes = (config.frames, config.stride, config.size)
    key = (config.system, config.streams, sizes, architecture, classes)
    if key not in _KNOWN:
        streams = streams_of(config)
        stride = {"rgb": config.stride if len(streams) > 1 else 1, "flow": 1}
        shapes = {
            name: (config.frames // stride[name], config.size, config.size, CHANNELS[name])
            for name in streams
        }
        shape = shapes if len(shapes) > 1 else shapes[streams[0]]
        model = builder_of(config)(
            classes=classes, architecture=architecture, input_shape=shape, weights=None
        )
        _KNOWN[key] = multiply_adds(model)
    return _KNOWN[key]


_KNOWN: dict = {}  # seeds share a network, and building one takes a second
