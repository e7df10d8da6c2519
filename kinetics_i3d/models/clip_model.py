"""`ClipModel`: a functional model that knows how its inputs are made and its outputs are called."""

import difflib

import keras
import numpy as np
from keras import layers

from kinetics_i3d.core.clip_spec import ClipSpec


@keras.saving.register_keras_serializable("kinetics_i3d")
class ClipModel(keras.Model):
    """A functional model that carries its preprocessing and its labels through save and load.

    Args:
        inputs, outputs: Keras tensors, as for `keras.Model`.
        clip_spec: The `ClipSpec` of the clips that it reads.
        labels: Class names in the order of the outputs, or `()` where nobody named them.
        architecture: Name of the row in `ARCHITECTURES` that built it.
        minimum: The least (frames, height, width), or (height, width), of an input.
        name: The model's name.

    Example:

    >>> model = ki3d.InceptionI3D(classes=5)
    >>> model.clip_spec.fps
    25.0
    """

    def __init__(self, inputs, outputs, *, clip_spec, labels=(), architecture, minimum, name=None):
        super().__init__(inputs=inputs, outputs=outputs, name=name)
        self.clip_spec = clip_spec
        self.labels = tuple(labels)
        self.architecture = architecture
        self.minimum = tuple(minimum)

    def __call__(self, inputs, *args, **kwargs):
        # Not in `call`: Keras would wrap the error and print the whole clip into it.
        check_minimum(getattr(inputs, "shape", None), self.minimum)
        return super().__call__(inputs, *args, **kwargs)

    def predict_views(self, views):
        """Averages the outputs over the views of one video, weighted by their new frames.

        Args:
            views: Iterable of (clips, share), such as `data.views.whole_video` gives.

        Returns:
            float32 array (outputs,), logits unless the model ends in an activation.
        """
        outputs, shares = [], []
        for clips, share in views:
            outputs.append(np.asarray(self.predict_on_batch(clips)[0], np.float32))
            shares.append(share)
        return np.average(outputs, axis=0, weights=shares).astype(np.float32)

    def get_config(self):
        plain = keras.Model(self.input, self.output, name=self.name)  # no lists of one
        return {
            "functional": keras.saving.serialize_keras_object(plain),
            "clip_spec": self.clip_spec.to_dict(),
            "labels": list(self.labels),
            "architecture": self.architecture,
            "minimum": list(self.minimum),
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        plain = keras.saving.deserialize_keras_object(
            config["functional"], custom_objects=custom_objects
        )
        return cls(
            plain.input,
            plain.output,
            clip_spec=ClipSpec(**config["clip_spec"]),
            labels=config["labels"],
            architecture=config["architecture"],
            minimum=config["minimum"],
            name=plain.name,
        )


def check_minimum(shape, minimum):
    """Raises `ValueError` where (batch, [frames,] height, width, channels) is below `minimum`."""
    names = ("frames", "height", "width")[-len(minimum) :]
    for name, size, least in zip(names, (shape or ())[1:-1], minimum, strict=False):
        if size is not None and size < least:
            raise ValueError(
                f"This model needs {' x '.join(map(str, minimum))} ({' x '.join(names)}) or more. "
                f"Received: {name}={size} in shape={tuple(shape)}"
            )


def feature_model(model, endpoint):
    """Cuts a model at a named activation.

    Args:
        model: A `ClipModel` with its trunk, such as `InceptionI3D()`.
        endpoint: The paper's name of an activation, such as `"Mixed_4f"` or `"Conv3d_1a_7x7"`.

    Returns:
        A `ClipModel` from clips to that activation, (batch, frames', height', width', channels). It
        shares its layers with `model`.

    Raises:
        ValueError: If there is no such activation; near names are listed.

    Example:

    >>> middle = feature_model(ki3d.InceptionI3D(), "Mixed_4f")
    >>> middle.output_shape[-1]
    832
    """
    names = [layer.name for layer in model.layers]
    if endpoint not in names:
        near = difflib.get_close_matches(endpoint, names, n=3, cutoff=0.3)
        raise ValueError(
            f"`endpoint` must name an activation of {model.name}; near: {near}. "
            f"Received: endpoint={endpoint!r}"
        )
    # The trunk reads clips of any size; the top is what needs more.
    top = "AvgPool_0a_7x7" in names and names.index(endpoint) >= names.index("AvgPool_0a_7x7")
    return ClipModel(
        model.input,
        model.get_layer(endpoint).output,
        clip_spec=model.clip_spec,
        architecture=model.architecture,
        minimum=model.minimum if top else (1,) * len(model.minimum),
        name=f"{model.name}_{endpoint}",
    )


def pool_features(x, pooling):
    """The output of a model without its top: the grid, or its mean or maximum per channel."""
    rank = len(x.shape) - 2
    pools = {
        None: lambda **_: lambda grid: grid,
        "avg": {2: layers.GlobalAveragePooling2D, 3: layers.GlobalAveragePooling3D}[rank],
        "max": {2: layers.GlobalMaxPooling2D, 3: layers.GlobalMaxPooling3D}[rank],
    }
    if pooling not in pools:
        raise ValueError(f"`pooling` must be one of {tuple(pools)}. Received: pooling={pooling!r}")
    return pools[pooling](name="features")(x)
