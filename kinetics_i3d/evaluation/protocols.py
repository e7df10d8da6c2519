"""`evaluate`: a model's logits for every video of a dataset, by the paper's protocol.

Carreira & Zisserman, CVPR 2017, section 2.5: every frame, centre crop, averaged over time.
"""

import dataclasses
import functools
import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from absl import logging

from kinetics_i3d.core.errors import DatasetError, VideoError, WeightsError
from kinetics_i3d.core.file_warnings import one_warning_per_file, warn_about
from kinetics_i3d.data.layouts.label_order import hint, log_respelled, match_labels
from kinetics_i3d.data.views import VIEWS, video_views
from kinetics_i3d.evaluation.compare import check_labels, combine, listed
from kinetics_i3d.evaluation.result import BOTH, Evaluation, LogitCache
from kinetics_i3d.flow.cache import FlowFileError
from kinetics_i3d.flow.info import fingerprint
from kinetics_i3d.flow.settings import FlowSettings
from kinetics_i3d.flow.stored import open_stored
from kinetics_i3d.models.clip_model import check_ends_in_logits
from kinetics_i3d.models.systems import clips_at_test, system_of
from kinetics_i3d.video.span import split_span
from kinetics_i3d.weights.assign import named_variables

UNREADABLE = (VideoError, FlowFileError)


@one_warning_per_file()
def evaluate(model, dataset, *, views="center", cache=None, progress=None):
    """Tests a model on every video of a dataset.

    The streams of a `TwoStreamI3D` are tested one after the other, as they were trained, and their
    logits added; what each gave alone stays in the result.

    Args:
        model: A `ClipModel` that ends in logits, or two in a list, one of each stream, of which the
            same is made.
        dataset: A `VideoDataset` whose labels the model knows; of a model without names, as many
            labels as it has outputs, in their order.
        views: One of `data.views.VIEWS`: what is taken of each video and averaged.
        cache: A folder for the logits of each video. What is there already, of the same weights,
            video, views and specs, is not computed again, so a call that was stopped goes on.
        progress: Called with the number of videos done; two streams count each video twice.

    Returns:
        An `Evaluation`. Videos that cannot be decoded are logged, listed and left out.

    Raises:
        DatasetError: If the model does not know the labels, two models have others, or not one
            video can be decoded.
        ValueError: If the views are unknown, `model` does not end in logits of clips, or two models
            read the same stream.
        WeightsError: If logits are not finite.

    Example:

    >>> from kinetics_i3d.data.datasets import open_dataset
    >>> found = evaluate(model, open_dataset(folder), cache=folder / "logits")
    >>> found.summary()["top1"], found.labels[found.predictions[0]]
    (0.5, 'stand')
    """
    if views not in VIEWS:
        raise ValueError(f"`views` must be one of {(*VIEWS,)}. Received: views={views!r}")
    models = model if isinstance(model, (list, tuple)) else [model]
    networks = [network for each in models for network in networks_of(each)]
    names = [network.name for network in networks]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"`model` must read each stream once. Received: models of {names}")
    for other in models[1:]:
        check_labels("+".join(names), models[0].labels, other.labels)
    dataset = with_labels_of(models[0], dataset)
    found: Evaluation | None = None
    for number, network in enumerate(networks):
        videos = dataset.videos
        if found is not None:
            # What one stream could not read need not be read by the other.
            known = set(found.paths)
            videos = tuple(video for video in videos if str(video.location) in known)

        before = (number + 1) * len(dataset) - len(videos)

        def count(done, before=before):
            if progress is not None:
                progress(before + done)

        rows, skipped = _run(network, videos, views=views, cache=cache, progress=count)
        skipped = (found.skipped if found else ()) + tuple(skipped)
        if not rows:
            first = f"; the first: {skipped[0]}" if skipped else ""
            raise DatasetError(
                f"{dataset.name}: none of {len(dataset)} videos could be decoded{first}"
            )
        videos, logits = zip(*rows, strict=True)
        one = Evaluation(
            dataset.labels,
            tuple(str(video.location) for video in videos),
            np.array([dataset.labels.index(video.label) for video in videos]),
            {network.name: np.stack(logits)},
            skipped,
            views,
            network.specs,
            {network.name: network.digest},
        )
        found = one if found is None else combine(found.only(one.paths), one)
    return found


def with_labels_of(model, dataset):
    """The dataset with the model's labels in the model's order.

    Args:
        model: A `ClipModel`.
        dataset: A `VideoDataset`; it may have fewer labels than the model.

    Returns:
        A `VideoDataset`.

    Raises:
        DatasetError: If it has labels that the model does not know, in whatever spelling, or their
            number differs where the model has no names.
    """
    classes = model.output_shape[-1]
    if not model.labels:
        if classes != len(dataset.labels):
            raise DatasetError(
                f"{dataset.name} has {len(dataset.labels)} classes, the model {classes} without "
                "names; they must be as many, in the same order"
            )
        return dataset
    spelling, strange = match_labels(dataset.labels, model.labels)
    if strange:
        raise DatasetError(
            f"{dataset.name} has labels that the model does not know: "
            f"{listed([repr(label) + hint(label, model.labels) for label in strange])}; it knows "
            f"{len(model.labels)}, such as {model.labels[0]!r}"
        )
    log_respelled(dataset.name, spelling, level=logging.WARNING)
    videos, missing = (
        tuple(dataclasses.replace(video, label=spelling[video.label]) for video in part)
        for part in (dataset.videos, dataset.missing)
    )
    return dataclasses.replace(dataset, labels=tuple(model.labels), videos=videos, missing=missing)


def _run(network, videos, *, views, cache, progress):
    """The (video, logits) of each video that can be read, and the messages of the others."""
    store = None
    if cache is not None:
        store = LogitCache(cache, depends=network.depends(views), classes=network.classes)

    def read(video):
        """What is known of a video already, or its first view and the iterator of the others."""
        try:
            mark = network.mark(video.location) if store else None
            kept = store.get(mark) if store else None
            if kept is not None:
                return mark, kept, None
            rest = network.views(video.location, views)
            return mark, None, ([next(rest)], rest)
        except UNREADABLE as error:
            return error

    rows, skipped = [], []
    # One video is decoded while another is predicted; long ones are read on as they are predicted.
    with ThreadPoolExecutor(1) as pool:
        ahead = pool.submit(read, videos[0]) if videos else None
        for number, video in enumerate(videos):
            result = ahead.result()
            if number + 1 < len(videos):
                ahead = pool.submit(read, videos[number + 1])
            try:
                if isinstance(result, UNREADABLE):
                    raise result
                mark, logits, parts = result
                if logits is None:
                    logits = network.model.predict_views(view for part in parts for view in part)
                    check_finite(logits, network.model.name, video.path)
                    if store:
                        store.put(mark, logits)
                rows.append((video, logits))
            except UNREADABLE as error:
                warn_about(split_span(video.location)[0], "skipped: %s", error)
                skipped.append(str(error))
            progress(number + 1)
    return rows, skipped


def check_finite(logits, name, path):
    """Raises `WeightsError` where the logits of a model for a video are no numbers."""
    if not np.isfinite(logits).all():
        raise WeightsError(
            f"{name}: its logits for {path} are not finite, as of weights from a training that "
            "diverged; take an earlier checkpoint"
        )


@dataclasses.dataclass(frozen=True)
class Network:
    """A network that is run, and the clips that it is run on.

    Args:
        name: `"rgb"`, `"flow"`, or `"both"` where it reads both.
        model: The `ClipModel`.
        specs: {stream: `ClipSpec`} of its clips.
    """

    name: str
    model: Any
    specs: dict

    @property
    def classes(self):
        """The number of its outputs."""
        return self.model.output_shape[-1]

    @functools.cached_property
    def digest(self):
        """The `weights_digest` of the model."""
        return weights_digest(self.model)

    def depends(self, views):
        """What logits depend on beside the video.

        Args:
            views: A name in `VIEWS`.

        Returns:
            A JSON-ready dictionary.
        """
        return {
            "weights": self.digest,
            "precision": sorted({layer.compute_dtype for layer in self.model.layers}),
            "views": dataclasses.asdict(VIEWS[views]),
            "clips": clips_at_test(self.model),
            "specs": {stream: spec.to_dict() for stream, spec in self.specs.items()},
        }

    def mark(self, path):
        """What a video is known again by, with the flow that it would be shown by.

        Args:
            path: The video.

        Returns:
            A JSON-ready dictionary.

        Raises:
            VideoError: If it cannot be read.
        """
        mark = {"video": fingerprint(path)}
        span = split_span(path)[1]
        if span is not None:
            mark["span"] = [span.start, span.end]
        if "flow" in self.specs:
            stored = open_stored(path, spec=self.specs["flow"])
            mark["flow"] = FlowSettings().to_dict()
            if stored is not None:
                with stored:
                    mark["flow"] = fingerprint(stored.path)
        return mark

    def views(self, path, views):
        """Reads the views of a video.

        Args:
            path: The video.
            views: A name in `VIEWS`.

        Returns:
            An iterator of (clips, share), for `ClipModel.predict_views`.
        """
        clips = clips_at_test(self.model)
        return video_views(path, spec=self.specs, view=views, streams=(*self.specs,), **clips)


def networks_of(model):
    """Parts a model in what has to be run on its own.

    Args:
        model: A `ClipModel`.

    Returns:
        A list of `Network`: one, or both streams of a `TwoStreamI3D`.

    Raises:
        ValueError: If the model does not read clips or does not end in logits.

    Example:

    >>> [network.name for network in networks_of(ki3d.InceptionI3D(classes=2))]
    ['rgb']
    """
    check_ends_in_logits(model)
    specs = model.clip_specs
    if system_of(model).is_separate:
        return [
            Network(stream, inside, {stream: specs[stream]})
            for stream, inside in model.streams.items()
        ]
    return [Network(BOTH if len(specs) > 1 else next(iter(specs)), model, specs)]


def weights_digest(model):
    """A checksum of a model's weights and of what they are the weights of.

    Args:
        model: A `ClipModel`.

    Returns:
        64 hexadecimal digits; the same whatever file the weights came from.

    Example:

    >>> len(weights_digest(model))
    64
    """
    digest = hashlib.sha256(f"{model.architecture} {model.system} {model.output_shape}".encode())
    for name, variable in sorted(named_variables(model).items()):
        array = np.ascontiguousarray(variable.numpy())
        digest.update(f"{name} {array.shape} {array.dtype}".encode())
        digest.update(array)
    return digest.hexdigest()
