"""`evaluate`: the logits of a model for every video of a dataset, by the paper's test protocol.

Carreira & Zisserman, CVPR 2017, section 2.5: all frames, center crop, averaged over time.
"""

import dataclasses
import functools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from absl import logging

from kinetics_i3d.core.errors import DatasetError, VideoError, join_items
from kinetics_i3d.core.file_warnings import one_warning_per_file, warn_about
from kinetics_i3d.core.types import PathLike, ProgressFunction, Weights, check_path, check_text
from kinetics_i3d.data.dataset import Dataset
from kinetics_i3d.data.datasets import open_dataset
from kinetics_i3d.data.layouts.labels import hint, log_respelled, match_labels
from kinetics_i3d.data.streams import flow_identity
from kinetics_i3d.data.video_clips import targets_of
from kinetics_i3d.data.views import VIEWS, video_views
from kinetics_i3d.evaluation.compare import check_labels, combine
from kinetics_i3d.evaluation.result import BOTH, Evaluation, LogitCache
from kinetics_i3d.flow.cache import FlowFileError
from kinetics_i3d.flow.info import fingerprint
from kinetics_i3d.models.clip_model import (
    ClipModel,
    check_ends_in_logits,
    check_finite_logits,
)
from kinetics_i3d.models.load import as_model
from kinetics_i3d.models.systems import clips_at_test, system_of
from kinetics_i3d.video.frame_folder import split_rate
from kinetics_i3d.video.span import split_span
from kinetics_i3d.weights.assign import weights_digest

_UNREADABLE = (VideoError, FlowFileError)
_MISSPELLED = 3  # unknown labels; if there are more, the model probably has other classes


@one_warning_per_file()
def evaluate(
    model: ClipModel | Weights | Sequence[ClipModel | Weights],
    dataset: PathLike | Dataset,
    *,
    split: str | None = None,
    views: str = "center",
    cache: PathLike | None = None,
    progress: ProgressFunction | None = None,
) -> Evaluation:
    """Tests a model on every video of a dataset.

    The streams of a `TwoStreamI3D` are tested one after the other and their logits added; the
    result keeps the logits of each stream.

    Args:
        model: A `ClipModel` that ends in logits, or weights as `load_model` takes them; or a list
            of two, one for each stream.
        dataset: A `VideoDataset`, or its path, whose labels the model knows. If the model has no
            labels, the dataset needs as many labels as the model has outputs, in the same order.
        split: The videos to test, as `VideoDataset.split` takes them. By default those of the split
            `"test"` for the path of a dataset with splits, and all videos of a `VideoDataset`.
        views: A name in `data.views.VIEWS`: the views of each video that are averaged.
        cache: Folder in which the logits of each video are kept. Logits of the same weights, video,
            views and specs are read from there, so an interrupted evaluation can be resumed.
        progress: Called with the number of videos done; two streams count each video twice.

    Returns:
        An `Evaluation`. Videos that cannot be decoded are logged, listed in it and left out.

    Raises:
        DatasetError: If there is no such split, the model does not know the labels, two models have
            different labels, none of the videos can be decoded, or none has a label.
        ValueError: If `views` is unknown, `model` does not map clips to logits, or two models read
            the same stream.
        WeightsError: If logits are not finite.

    Example:

    >>> evaluation = evaluate(model, ki3d.open_dataset(folder), cache=folder / "logits")
    >>> evaluation.summary()["top1"], evaluation.labels[evaluation.predictions[0]]
    (0.5, 'stand')
    """
    if views not in VIEWS:
        raise ValueError(f"`views` must be one of {(*VIEWS,)}. Received: views={views!r}")
    if cache is not None:
        check_path("cache", cache)
    check_text("split", split)
    opened: Any = open_dataset(dataset)
    is_path = not isinstance(dataset, Dataset)
    if split is None and is_path and opened.lists_videos and not opened.is_undivided:
        split = "test"
    if split is not None:
        opened = opened.split(split)
    members: Sequence[Any] = model if isinstance(model, (list, tuple)) else [model]
    models = [as_model(member) for member in members]
    networks = [network for member in models for network in networks_of(member)]
    names = [network.name for network in networks]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"`model` must read each stream once. Received: models of {names}")
    for other in models[1:]:
        check_labels("+".join(names), models[0].labels, other.labels)
        classes = (models[0].output_shape[-1], other.output_shape[-1])
        if classes[0] != classes[1]:
            raise DatasetError(
                f"{'+'.join(names)}: the models must have the same classes; they have {classes[0]} "
                f"and {classes[1]}"
            )
    opened = with_model_labels(models[0], opened)
    evaluation: Evaluation | None = None
    for number, network in enumerate(networks):
        videos = opened.videos
        if evaluation is not None:
            # A video that the first stream could not read is left out anyway.
            readable = set(evaluation.paths)
            videos = tuple(video for video in videos if str(video.location) in readable)
        count_before = (number + 1) * len(opened) - len(videos)

        def count(done, count_before=count_before):
            if progress is not None:
                progress(count_before + done)

        rows, skipped = _predict_videos(network, videos, views=views, cache=cache, progress=count)
        skipped = (evaluation.skipped if evaluation else ()) + tuple(skipped)
        if not rows:
            first = f"; the first: {skipped[0]}" if skipped else ""
            raise DatasetError(
                f"{opened.name}: none of {len(opened)} videos could be decoded{first}"
            )
        videos, logits = zip(*rows, strict=True)
        tested = Evaluation(
            opened.labels,
            tuple(str(video.location) for video in videos),
            _targets(opened, videos),
            {network.name: np.stack(logits)},
            skipped,
            views,
            network.specs,
            {network.name: network.digest},
        )
        if evaluation is None:
            evaluation = tested
        else:
            evaluation = combine(evaluation.select(tested.paths), tested)
    if evaluation.multi_label and not evaluation.targets.any():
        raise DatasetError(
            f"{opened.name}: none of {len(evaluation.paths)} videos has a label, so there is no "
            "average precision"
        )
    return evaluation


def _targets(dataset, videos):
    """Int (videos,), or bool (videos, classes) if videos may have several labels."""
    targets = np.asarray(targets_of(dataset, videos))
    return targets > 0 if dataset.multi_label else targets


def with_model_labels(model, dataset):
    """The dataset with the labels of the model, in the model's order and spelling.

    Raises `DatasetError` if the dataset has labels that the model does not know in any spelling,
    or, for a model without labels, if the number of classes differs.
    """
    classes = model.output_shape[-1]
    if not model.labels:
        if classes != len(dataset.labels):
            raise DatasetError(
                f"{dataset.name} has {len(dataset.labels)} classes, but the model has {classes} "
                "outputs and no labels; their number and order must be the same"
            )
        return dataset
    spelling, unknown = match_labels(dataset.labels, model.labels)
    if unknown:
        advice = [""] * len(unknown)
        if len(unknown) <= _MISSPELLED:
            advice = [hint(label, model.labels) for label in unknown]
        named = [f"{label!r}{like}" for label, like in zip(unknown, advice, strict=True)]
        raise DatasetError(
            f"{dataset.name} has labels that the model does not have: {join_items(named)}; it has "
            f"{len(model.labels)}, such as {model.labels[0]!r}"
        )
    log_respelled(dataset.name, spelling, level=logging.WARNING)
    videos, missing = (
        tuple(_respell(video, spelling) for video in rows)
        for rows in (dataset.videos, dataset.missing)
    )
    return dataclasses.replace(dataset, labels=tuple(model.labels), videos=videos, missing=missing)


def _respell(video, spelling):
    classes = tuple(spelling[label] for label in video.classes)
    labels = None if video.labels is None else classes
    return dataclasses.replace(video, label=next(iter(classes), ""), labels=labels)


@dataclasses.dataclass(frozen=True)
class Network:
    """A network that is tested by itself, and the clips it reads.

    Args:
        name: `"rgb"`, `"flow"`, or `"both"` if it reads both.
        model: The `ClipModel`.
        specs: {stream: `ClipSpec`}.
    """

    name: str
    model: Any
    specs: dict

    @property
    def classes(self):
        """Number of outputs."""
        return self.model.output_shape[-1]

    @functools.cached_property
    def digest(self):
        """The `weights_digest` of the model."""
        return weights_digest(self.model)

    def cache_key(self, views):
        """JSON-ready dictionary of everything except the video that the logits depend on."""
        clips = dict(clips_at_test(self.model))
        clips["snapshots"] = clips.pop("clips")  # its name in the keys of existing caches
        return {
            "weights": self.digest,
            "precision": sorted({layer.compute_dtype for layer in self.model.layers}),
            "views": dataclasses.asdict(VIEWS[views]),
            "clips": clips,
            "specs": {stream: spec.to_dict() for stream, spec in self.specs.items()},
        }

    def fingerprint(self, path):
        """JSON-ready dictionary that identifies a video and the flow that belongs to it."""
        key = {"video": fingerprint(path)}
        file, span = split_span(path)
        if span is not None:
            key["span"] = [span.start, span.end]
        rate = split_rate(file)[1]
        if rate is not None:
            key["fps"] = float(rate)
        if "flow" in self.specs:
            key["flow"] = flow_identity(path, self.specs)
        return key

    def read_views(self, path, views):
        """Iterator of (clips, clip weight) of a video, for `ClipModel.predict_views`."""
        clips = clips_at_test(self.model)
        return video_views(path, spec=self.specs, view=views, streams=(*self.specs,), **clips)


def networks_of(model):
    """The `Network`s of a model: one, or one for each stream of a `TwoStreamI3D`.

    The streams of a Two-Stream I3D are trained and tested separately (section 2.4). Raises
    `ValueError` if the model does not map clips to logits.

    Example:

    >>> [network.name for network in networks_of(ki3d.InceptionI3D(classes=2))]
    ['rgb']
    """
    check_ends_in_logits(model)
    specs = model.clip_specs
    if system_of(model).is_separate:
        return [
            Network(stream, network, {stream: specs[stream]})
            for stream, network in model.streams.items()
        ]
    return [Network(BOTH if len(specs) > 1 else next(iter(specs)), model, specs)]


def _predict_videos(network, videos, *, views, cache, progress):
    """[(video, logits)] of the videos that can be read, and the error messages of the others."""
    store = None
    if cache is not None:
        store = LogitCache(cache, depends_on=network.cache_key(views), classes=network.classes)

    def read(video):
        """(fingerprint, cached logits or None, views to predict or None), or the error."""
        try:
            key = network.fingerprint(video.location) if store else None
            cached = store.get(key) if store else None
            if cached is not None:
                return key, cached, None
            rest = network.read_views(video.location, views)
            # The thread decodes only the first view here. The others are decoded during the
            # prediction, so that a long video need not fit into memory.
            return key, None, ([next(rest)], rest)
        except _UNREADABLE as error:
            return error

    rows, skipped = [], []
    # One thread decodes the next video while this one is predicted.
    with ThreadPoolExecutor(1) as pool:
        ahead = pool.submit(read, videos[0]) if videos else None
        for number, video in enumerate(videos):
            result = ahead.result()
            if number + 1 < len(videos):
                ahead = pool.submit(read, videos[number + 1])
            try:
                if isinstance(result, _UNREADABLE):
                    raise result
                key, logits, parts = result
                if logits is None:
                    logits = network.model.predict_views(view for part in parts for view in part)
                    check_finite_logits(logits, network.model.name, video.path)
                    if store:
                        store.put(key, logits)
                rows.append((video, logits))
            except _UNREADABLE as error:
                warn_about(split_span(video.location)[0], "skipped: %s", error)
                skipped.append(str(error))
            progress(number + 1)
    return rows, skipped
