"""`ClipModel`: a functional model with the preprocessing of its inputs and its labels."""

import math
import os
import types
import warnings
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from kinetics_i3d.core.clip_spec import ClipSpec
from kinetics_i3d.core.errors import WeightsError
from kinetics_i3d.core.labels import check_class_names
from kinetics_i3d.core.types import Labels
from kinetics_i3d.models.corrected_gradients import with_corrected_layers
from kinetics_i3d.models.input_checks import (
    check_layout,
    check_values,
    checks_enabled,
    guard_clips,
    guard_values,
    outermost_call,
    refuse_path,
)
from kinetics_i3d.models.streams import (
    check_minimum,
    check_stream_specs,
    check_streams,
    describe_rates,
)


@keras.saving.register_keras_serializable("kinetics_i3d")
class ClipModel(keras.Model):
    """A functional model that keeps its preprocessing and its labels when saved and loaded.

    Args:
        inputs: Keras tensor, as for `keras.Model`; of two streams `{"rgb": ..., "flow": ...}`.
        outputs: Keras tensor.
        clip_spec: The `ClipSpec` of its clips; for two streams `{stream: ClipSpec}`, whose numbers
            of frames are in the ratio of their `fps`.
        labels: Class names in the order of the outputs, or `()` if unknown.
        architecture: Name of its row in `ARCHITECTURES`.
        minimum: The minimum (frames, height, width), or (height, width), of an input; for two
            streams `{stream: ...}`.
        system: Name of its constructor; `None` for `InceptionV1` and `InceptionI3D`.
        activation: `"softmax"` or `"sigmoid"`, which turns its logits into probabilities.
        name: The model's name.

    Example:

    >>> model = ki3d.InceptionI3D(classes=5)
    >>> model.clip_spec.fps
    25.0
    """

    def __init__(
        self,
        inputs: Any,
        outputs: Any,
        *,
        clip_spec: ClipSpec | dict[str, ClipSpec],
        labels: Labels = (),
        architecture: str,
        minimum: Sequence[int] | dict[str, Sequence[int]],
        system: str | None = None,
        activation: str = "softmax",
        name: str | None = None,
    ):
        super().__init__(inputs=inputs, outputs=outputs, name=name)
        specs = clip_spec if isinstance(clip_spec, dict) else {clip_spec.stream: clip_spec}
        self._specs = tuple(check_stream_specs(specs).values())
        self.labels = tuple(labels)
        self.architecture = architecture
        minimums = minimum if isinstance(minimum, dict) else dict.fromkeys(specs, minimum)
        self._minimums = tuple(tuple(minimums[stream]) for stream in specs)
        self.system = system
        self.activation = activation
        self._has_warned = False
        # Converters to formats without assertions disable it, see `inference.quantize`.
        self.guards_graph = True

    @property
    def labels(self):
        """The class names in the order of the outputs, a tuple; empty if they are unknown.

        Setting it raises `ValueError` for names that cannot be saved.
        """
        return self._labels

    @labels.setter
    def labels(self, labels):
        if isinstance(labels, str):
            raise ValueError(f"`labels` must be a list of class names. Received: labels={labels!r}")
        names = () if labels is None else labels
        names = tuple(str(name) if isinstance(name, str) else name for name in names)
        check_class_names(names)
        self._labels = names

    @property
    def clip_spec(self):
        """The `ClipSpec` of its clips; for two streams that of rgb."""
        return self._specs[0]

    @clip_spec.setter
    def clip_spec(self, spec):
        if len(self._specs) > 1:
            raise ValueError(
                f"`clip_specs` must be set on {self.name}, which reads two streams. "
                f"Received: clip_spec={spec!r}"
            )
        self._specs = (spec,)
        network = self.streams[spec.stream]  # of a ConvNetLSTM
        if network is not self:
            network.clip_spec = spec

    @property
    def clip_specs(self):
        """{stream: `ClipSpec`} of all streams, rgb first."""
        return {spec.stream: spec for spec in self._specs}

    @clip_specs.setter
    def clip_specs(self, specs):
        old, new = self._specs, tuple(check_stream_specs(specs).values())
        scaled = (new[-1].fps * old[0].fps, old[-1].fps * new[0].fps)
        if len(new) != len(old) or not math.isclose(*scaled, rel_tol=1e-6):
            raise ValueError(
                "`clip_specs` must have the model's streams, and the ratio of their `fps` must "
                f"be the model's: {describe_rates(old)}. Received: {describe_rates(new)}"
            )
        self._specs = new
        for spec in new:
            network = self.streams[spec.stream]
            if network is not self:
                network.clip_spec = spec

    @property
    def minimum(self):
        """The minimum size of an input; for two streams that of rgb."""
        return self._minimums[0]

    @property
    def minimums(self):
        """{stream: minimum size of its input}."""
        return dict(zip(self.clip_specs, self._minimums, strict=True))

    @property
    def streams(self):
        """{stream: nested network that reads it}; the model itself if it has no nested network."""
        inside = {layer.name: layer for layer in self.layers}
        streams = {stream: inside.get(f"{stream}_stream", self) for stream in self.clip_specs}
        # Keras would recurse: it saves models in dictionary attributes, here the model itself.
        return types.MappingProxyType(streams)

    def __call__(self, inputs, *args, **kwargs):
        # Not in `call`: Keras would wrap the error and print the whole clip.
        self.check_inputs(inputs)
        with outermost_call() as is_outermost:
            if is_outermost:
                self.check_values(inputs)
            return super().__call__(inputs, *args, **kwargs)

    def check_values(self, inputs):
        """Raises `ValueError` for values outside the specs; warns once about suspicious ones."""
        if not checks_enabled():
            return
        for stream, spec, clips in self._by_stream(inputs):
            warning = check_values(clips, spec, stream=stream)
            if warning is not None and not self._has_warned:
                self._has_warned = True
                warnings.warn(f"{self.name}: {warning}", stacklevel=3)

    def _by_stream(self, inputs):
        """[(key or `None`, `ClipSpec`, array)] of the inputs of a call or of `fit`."""
        if len(self._specs) > 1:
            by_stream = inputs if isinstance(inputs, dict) else {}
            return [
                (stream, spec, by_stream[stream])
                for stream, spec in self.clip_specs.items()
                if hasattr(by_stream.get(stream), "dtype") and hasattr(by_stream[stream], "shape")
            ]
        leaves = [inputs] if hasattr(inputs, "dtype") else inputs
        if isinstance(leaves, dict):
            leaves = list(leaves.values())
        if not isinstance(leaves, (list, tuple)) or len(leaves) != 1:
            return []
        is_array = hasattr(leaves[0], "dtype") and hasattr(leaves[0], "shape")
        return [(None, self._specs[0], leaves[0])] if is_array else []

    def _check_arrays(self, inputs):
        """Checks the input arrays of a method such as `fit`, before they enter a graph."""
        refuse_path(inputs)
        if not isinstance(inputs, (list, tuple, dict)) and not hasattr(inputs, "shape"):
            return  # a dataset or a generator; `_guard_batch` checks its batches
        self.check_values(inputs)
        if self._by_stream(inputs):
            self.check_inputs(inputs)

    def fit(self, x=None, *args, **kwargs):
        self._check_arrays(x)
        validation = kwargs.get("validation_data")
        if isinstance(validation, (list, tuple)) and validation:
            self._check_arrays(validation[0])
        return super().fit(x, *args, **kwargs)

    def evaluate(self, x=None, *args, **kwargs):
        self._check_arrays(x)
        return super().evaluate(x, *args, **kwargs)

    def predict(self, x, *args, **kwargs):
        self._check_arrays(x)
        return super().predict(x, *args, **kwargs)

    def train_on_batch(self, x, *args, **kwargs):
        self._check_arrays(x)
        return super().train_on_batch(x, *args, **kwargs)

    def test_on_batch(self, x, *args, **kwargs):
        self._check_arrays(x)
        return super().test_on_batch(x, *args, **kwargs)

    def predict_on_batch(self, x):
        self._check_arrays(x)
        return super().predict_on_batch(x)

    def train_step(self, *args, **kwargs):
        return super().train_step(*self._guard_batch(args), **kwargs)

    def test_step(self, *args, **kwargs):
        return super().test_step(*self._guard_batch(args), **kwargs)

    def predict_step(self, *args, **kwargs):
        return super().predict_step(*self._guard_batch(args), **kwargs)

    def _guard_batch(self, args):
        """The arguments of a step; in TensorFlow, the clips of the batch get assertions."""
        if keras.backend.backend() != "tensorflow" or not checks_enabled() or len(args) != 1:
            return args
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(args[0])
        streams = self._by_stream(x)
        guarded = [guard_values(clips, spec, stream=stream) for stream, spec, clips in streams]
        if len(self._specs) > 1 and streams:
            x = {**x, **dict(zip((stream for stream, *_ in streams), guarded, strict=True))}
        elif streams:
            x = keras.tree.pack_sequence_as(x, guarded)
        return ((x, y, sample_weight),)

    def call(self, inputs, training=None, mask=None, **kwargs):
        if self.guards_graph:
            inputs = guard_clips(inputs, self.clip_specs, self.minimums)
        return super().call(inputs, training=training, mask=mask, **kwargs)

    def check_inputs(self, inputs):
        """Raises `ValueError` if clips are too small, or those of two streams do not match."""
        if len(self._specs) == 1:
            ((_, _, clips),) = self._by_stream(inputs) or ((None, None, inputs),)
            shape = getattr(clips, "shape", None)
            check_layout(shape, self.input.shape[-1], len(self.minimum), self._specs[0].stream)
            check_minimum(shape, self.minimum)
        else:
            for stream, _, clips in self._by_stream(inputs):
                channels = self.input[stream].shape[-1]
                check_layout(clips.shape, channels, len(self._minimums[0]), stream)
            check_streams(inputs, self.clip_specs, self.minimums)

    def copy_with(self, inputs, outputs, *, architecture):
        """A `ClipModel` of another graph, with this model's name, specs and labels."""
        return ClipModel(
            inputs,
            outputs,
            clip_spec=self.clip_specs,
            labels=self.labels,
            architecture=architecture,
            minimum=self.minimums,
            system=self.system,
            activation=self.activation,
            name=self.name,
        )

    def predict_views(self, views):
        """Averages the outputs over the views of one video, weighted by their new frames.

        Args:
            views: Iterable of (clips, weight), one clip each, as from `data.views.video_views`;
                clips of two streams are `{"rgb": ..., "flow": ...}`. Consecutive short clips of
                the same size are batched.

        Returns:
            float32 array (outputs,), logits unless the model ends in an activation.
        """
        outputs, weights = [], []
        for clips, clip_weights in batches(views):
            self.check_inputs(clips)  # a graph traced for several sizes does not know them
            outputs.extend(np.asarray(self.predict_on_batch(clips), np.float32))
            weights.extend(clip_weights)
        return np.average(outputs, axis=0, weights=weights).astype(np.float32)

    def save(self, filepath, *args, **kwargs):
        """As in Keras, for `*.keras`.

        Raises:
            ValueError: For `*.h5`, Keras' former format, which Keras' `load_model` could not read.
        """
        if os.fspath(filepath).lower().endswith((".h5", ".hdf5")):
            raise ValueError(
                "`filepath` must end in .keras for the whole model; save_weights(model, path) of "
                "this package writes *.h5 with labels and clip spec. Received: "
                f"filepath={os.fspath(filepath)!r}"
            )
        super().save(filepath, *args, **kwargs)

    def get_config(self):
        plain = keras.Model(self.input, self.output, name=self.name)  # no one-element lists
        config = {
            "functional": keras.saving.serialize_keras_object(plain),
            "clip_spec": self.clip_spec.to_dict(),
            "labels": list(self.labels),
            "architecture": self.architecture,
            "minimum": list(self.minimum),
        }
        if self.system is not None:
            config["system"] = self.system
        if self.activation != "softmax":
            config["activation"] = self.activation
        if len(self._specs) > 1:
            config["clip_specs"] = [spec.to_dict() for spec in self._specs]
            config["minimums"] = {key: list(size) for key, size in self.minimums.items()}
        return config

    @classmethod
    def from_config(cls, config, custom_objects=None):
        plain = keras.saving.deserialize_keras_object(
            with_corrected_layers(config["functional"]), custom_objects=custom_objects
        )
        spec = ClipSpec(**config["clip_spec"])
        specs = [ClipSpec(**fields) for fields in config.get("clip_specs", ())]
        return cls(
            plain.input,
            plain.output,
            clip_spec={spec_of_stream.stream: spec_of_stream for spec_of_stream in specs} or spec,
            labels=config["labels"],
            architecture=config["architecture"],
            minimum=config.get("minimums", config["minimum"]),
            system=config.get("system"),
            activation=config.get("activation", "softmax"),
            name=plain.name,
        )


def check_ends_in_logits(model, *, argument="model"):
    """Raises `ValueError` naming `argument` unless a `ClipModel` maps clips to logits."""
    names = [layer.name for layer in model.layers]
    reads_clips = all(len(size) == 3 for size in model.minimums.values())
    ends_in_logits = "Logits" in names and "Predictions" not in names
    if not reads_clips or not ends_in_logits or len(model.output_shape) != 2:
        raise ValueError(
            f"`{argument}` must read clips and end in logits: include_top=True, "
            f"classifier_activation=None. Received: {model.name} of input_shape="
            f"{model.input_shape}, which ends in {names[-1]!r}"
        )


def set_labels(model, labels):
    """Names the classes of a `ClipModel`; `ValueError` if their number is another one."""
    classes = model.output_shape[-1]
    if len(labels) != classes:
        raise ValueError(
            f"`labels` must name the model's {classes} classes. Received: {len(labels)} labels"
        )
    model.labels = tuple(labels)


def check_finite_logits(logits, name, path):
    """Raises `WeightsError` if the logits of a video are not all finite.

    Args:
        logits: The array.
        name: The name of the model, for the error.
        path: The video, for the error.
    """
    if not np.isfinite(logits).all():
        raise WeightsError(
            f"{name}: the logits for {path} are not finite; the training that made these weights "
            "may have diverged, so use an earlier checkpoint"
        )


def fixed_size(model, stream):
    """The (frames, height, width) of a stream's input; `None` for sizes that vary."""
    tensor = model.input[stream] if isinstance(model.input, dict) else model.input
    return tuple(tensor.shape[1:4])


FRAMES_AT_ONCE = 250  # frames of a batch: the length of the paper's longest clip


def batches(views):
    """Batches consecutive views of the same size.

    Args:
        views: Iterable of (clips, weight), see `ClipModel.predict_views`.

    Yields:
        (clips, list of weights), of at most `FRAMES_AT_ONCE` frames unless it is a single clip.

    Example:

    >>> views = [(np.zeros((1, 100, 8, 8, 3)), weight) for weight in (1, 2, 3)]
    >>> [(clips.shape[0], weights) for clips, weights in batches(views)]
    [(2, [1, 2]), (1, [3])]
    """
    waiting: list = []
    weights: list = []
    for clips, weight in views:
        sizes = [clip.shape for clip in keras.tree.flatten(clips)]
        frames = max(size[1] for size in sizes)
        if waiting:
            other = sizes != [clip.shape for clip in keras.tree.flatten(waiting[0])]
            if other or frames * (len(waiting) + 1) > FRAMES_AT_ONCE:
                yield _joined(waiting), weights
                waiting, weights = [], []
        waiting.append(clips)
        weights.append(weight)
    if waiting:
        yield _joined(waiting), weights


def _joined(waiting):
    """One batch of several; a single one, which can be large, is not copied."""
    if len(waiting) == 1:
        return waiting[0]
    return keras.tree.map_structure(lambda *clips: np.concatenate(clips), *waiting)
