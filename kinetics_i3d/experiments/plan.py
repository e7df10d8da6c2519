"""`plan_tables`: which runs the tables need, with their settings, source weights and costs."""

import dataclasses
import math
import pathlib

from kinetics_i3d.core.errors import DatasetError, UserError, WeightsError
from kinetics_i3d.experiments.runs import (
    BOTH,
    INITS,
    RUNS_FOLDER,
    Run,
    absolute_weights,
    all_runs,
    run_folder,
    run_streams,
)
from kinetics_i3d.experiments.scales import Scale, config_of
from kinetics_i3d.models.streams import CHANNELS
from kinetics_i3d.models.systems import multiply_adds, paper_systems, system_of
from kinetics_i3d.training.config import TrainConfig
from kinetics_i3d.training.network import builder_of, streams_of
from kinetics_i3d.weights.catalog import PAIRS
from kinetics_i3d.weights.read import read_weights

FRAMES_FOLDER, FRAMES_WEIGHTS = "frames", "images.h5"  # the network trained on single frames
# How the released networks were initialized; of other weights that is unknown.
_RELEASED_INITS = {
    "rgb_imagenet_kinetics400": "imagenet",
    "flow_imagenet_kinetics400": "imagenet",
    "rgb_kinetics400": "scratch",
    "flow_kinetics400": "scratch",
    "rgb_kinetics600": "scratch",
}


@dataclasses.dataclass(frozen=True)
class Job:
    """A run and its `TrainConfig`, which is `None` if the run adds the logits of two others."""

    run: Run
    config: TrainConfig | None


@dataclasses.dataclass(frozen=True)
class Plan:
    """The runs of the tables.

    Args:
        scale: A `Scale`.
        jobs: `Job`s in order; a sum comes after the runs that it adds.
        left_out: {name: reason} of the paper's numbers that cannot be produced.
        split: The split to test on.
        imagenet: Weights of an `InceptionV1` that runs start from, or `None`.
        sources: The weights that `fixed` and `full` start from.
    """

    scale: Scale
    jobs: tuple
    left_out: dict
    split: str = "test"
    imagenet: str | None = None
    sources: tuple = ()


def plan_tables(
    dataset, output, scale, *, seeds=None, pattern="*", imagenet=None, sources=(), split="test"
):
    """Plans the tables without training or writing anything.

    Args:
        dataset: A `VideoDataset` with all its splits.
        output: Output folder of the tables.
        scale: A `Scale`.
        seeds: Number of seeds; `None` for the scale's.
        pattern: A glob of run names, or several separated by commas.
        imagenet: Weights of an `InceptionV1`, or `None`.
        sources: The names that `Sources` takes: the weights that `fixed` and `full` start from.
        split: The split to test on.

    Returns:
        A `Plan`.

    Raises:
        DatasetError: If there are no videos to train or to test on.
        UserError: If no run matches `pattern`, or videos may have several labels.
        WeightsError: If weights cannot be read or do not have the scale's architecture.
    """
    if dataset.multi_label:
        raise UserError(
            f"{dataset.name}: the tables report accuracies, but its videos may have several labels"
        )
    for name in ("train", split):
        dataset.split(name)
    if split == "train":
        raise DatasetError("the split to test on must not be 'train', which is used for training")
    images = {}
    if scale.frames:
        images["frames"] = absolute_weights(pathlib.Path(output) / FRAMES_FOLDER / FRAMES_WEIGHTS)
    if imagenet is not None:
        info = read_weights(imagenet).info
        if (info.rank, info.architecture) != (2, scale.architecture):
            kind = "image" if info.rank == 2 else "clip"
            raise WeightsError(
                f"{imagenet}: {kind} weights of {info.architecture}; scale {scale.name} needs "
                f"image weights of {scale.architecture}"
            )
        images["imagenet"] = absolute_weights(imagenet)
    has_validation = any(video.split == "val" for video in dataset.videos)
    plan = make_plan(
        scale,
        seeds=seeds,
        pattern=pattern,
        images=images,
        sources=Sources(sources) if sources else None,
        # The learning rate may follow the validation, so it must not be on the test videos.
        validation="val" if has_validation and split != "val" else "0.1",
    )
    return dataclasses.replace(plan, split=split, imagenet=imagenet, sources=tuple(sources))


def make_plan(scale, *, seeds=None, pattern="*", images=(), sources=None, validation=None):
    """Makes a `Plan` for weights that have been resolved.

    `images` is {initialization: image weights}, `sources` a `Sources` or `None`, and `validation`
    that of `config_of`. Raises `UserError` if no possible run matches `pattern`.

    Example:

    >>> from kinetics_i3d.experiments.scales import SCALES
    >>> plan = make_plan(SCALES["mini"], pattern="C3D.*")
    >>> [job.run.name for job in plan.jobs]
    ['C3D.rgb.scratch.original.0', 'C3D.rgb.scratch.original.1']
    >>> plan.left_out["fixed and full"]
    'they need --weights, the weights that they start from'
    """
    images = dict(images)
    inits = {"scratch", *images, *(sources.inits if sources else ())}
    runs = all_runs(
        inits=[init for init in INITS if init in inits],
        transfers=("original", "fixed", "full") if sources else ("original",),
        seeds=range(scale.seeds if seeds is None else seeds),
        pattern=pattern,
    )
    left_out = {}
    if "imagenet" not in images:
        left_out["ImageNet first"] = (
            "it needs --imagenet; the paper has it for all systems except the 3D-ConvNet"
        )
    if not sources:
        left_out["fixed and full"] = "they need --weights, the weights that they start from"
    titles = [row.title for row in paper_systems().values() if run_streams(row) == (BOTH,)]
    left_out[f"RGB and Flow of {' and '.join(titles)}"] = (
        "each is one network that reads both streams"
    )
    jobs: list[Job] = []
    without_source: set[Run] = set()
    for run in runs:
        if run.summed_runs:
            if not without_source & {*run.summed_runs}:
                jobs.append(Job(run, None))
            continue
        weights = None
        if run.transfer != "original":
            weights = sources.find(run)
            if weights is None:
                without_source.add(run)
                left_out[".".join(run.group)] = (
                    "the source has no weights of this system and initialization"
                )
                continue
        config = config_of(
            scale, run, images=images.get(run.init), weights=weights, validation=validation
        )
        jobs.append(Job(run, config))
    if not jobs:
        raise UserError(
            f"no possible run matches {pattern!r}; a name looks like "
            f"'TwoStreamI3D.{BOTH}.scratch.original.0'"
        )
    return Plan(scale, tuple(jobs), left_out)


class Sources:
    """The weights that `fixed` and `full` start from (section 5.1 of the paper).

    Args:
        names: Output folders of earlier tables, names in the catalog (also of pairs), and paths of
            weights.

    Raises:
        WeightsError: If an item is none of these, or two have the same system, stream and
            initialization.

    Example:

    >>> sources = Sources(["rgb_figures"])
    >>> sources.find(Run("TwoStreamI3D", "rgb", "given", "full", 3))
    'rgb_figures'
    """

    def __init__(self, names=()):
        self.folders: list = []
        self.files: dict = {}
        for name in names:
            if pathlib.Path(name, RUNS_FOLDER).is_dir():
                self.folders.append(pathlib.Path(name))
                continue
            for member in PAIRS[name].members if name in PAIRS else (name,):
                key = _source_key(member)
                if key in self.files:
                    raise WeightsError(
                        f"{member} and {self.files[key]}: both are weights of {' '.join(key)}; "
                        "pass only one of them"
                    )
                self.files[key] = absolute_weights(member)

    def __bool__(self):
        return bool(self.folders or self.files)

    @property
    def inits(self):
        """The initializations, names in `INITS`, of individually named weights."""
        return tuple(init for init in INITS if any(key[2] == init for key in self.files))

    def find(self, run):
        """The name or path of the weights that a run starts from; `None` if there are none.

        From earlier tables, the weights of the same seed are taken, or else those of seed 0.
        """
        # Without flow weights, rgb weights are used: training adapts the first kernel.
        streams = (run.stream, "rgb") if run.stream == "flow" else (run.stream,)
        for stream in streams:
            weights = self.files.get((run.system, stream, run.init))
            if weights is not None:
                return weights
        for folder in self.folders:
            for seed in (run.seed, 0):
                original = dataclasses.replace(run, transfer="original", seed=seed)
                path = run_folder(folder, original) / "weights.h5"
                if path.is_file():
                    return absolute_weights(path)
        return None


def _source_key(name):
    """(system, stream, init) of weights."""
    info = read_weights(name).info
    if info.rank != 3:
        raise WeightsError(
            f"{name}: image weights; --weights needs clip weights, and --imagenet takes image "
            "weights"
        )
    streams = tuple(info.clip_specs)
    stream = streams[0] if len(streams) == 1 else BOTH
    system = system_of(info).name
    row = next(row for row in paper_systems().values() if system in (row.name, row.trained_as))
    if row.is_separate and stream == BOTH:
        raise WeightsError(f"{name}: both streams in one file; --weights needs one file per stream")
    return row.name, stream, _RELEASED_INITS.get(str(name), "given")


def training_cost(config, *, videos, classes):
    """The number of multiply-adds of a training run, counted on its network.

    A backward pass costs two forward passes. Decoding, flow and the test are not counted. `videos`
    and `classes` are numbers; the config `None`, that of a sum, costs nothing.

    Example:

    >>> from kinetics_i3d.training.config import TrainConfig
    >>> config = TrainConfig(system="C3D", architecture="c3d_eighth", frames=16, size=112,
    ...     test_size=112, steps=10, batch_size=4)
    >>> training_cost(config, videos=40, classes=5) // multiply_adds(
    ...     ki3d.C3D(architecture="c3d_eighth", classes=5))
    120
    """
    if config is None:
        return 0
    clips = config.batch_size * (
        config.steps or config.epochs * math.ceil(videos / config.batch_size)
    )
    # With fixed features only the classifier is trained, which costs next to nothing.
    passes = videos * config.feature_passes if config.transfer == "fixed" else 3 * clips
    return passes * _forward_cost(config, classes)


_forward_costs: dict = {}  # seeds share a network, and building one takes a second


def _forward_cost(config, classes):
    architecture = config.architecture
    if config.weights is not None:
        architecture = read_weights(config.weights).info.architecture
    sizes = (config.frames, config.stride, config.size)
    key = (config.system, config.streams, sizes, architecture, classes)
    if key not in _forward_costs:
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
        _forward_costs[key] = multiply_adds(model)
    return _forward_costs[key]
