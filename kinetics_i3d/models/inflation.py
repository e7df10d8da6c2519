"""Inflation: initializes a 3D network from a trained 2D one.

Carreira & Zisserman, CVPR 2017, section 2.4. On a boring video (a repeated image) the inflated
network gives the outputs of the 2D one wherever its receptive field has no zero padding in time.
"""

import dataclasses
import os

import keras
import numpy as np

from kinetics_i3d.core.clip_spec import ClipSpec, as_spec
from kinetics_i3d.core.errors import WeightsError
from kinetics_i3d.core.types import PathLike
from kinetics_i3d.models.clip_model import ClipModel
from kinetics_i3d.models.inception_i3d import ARCHITECTURES, InceptionI3D
from kinetics_i3d.models.inception_v1 import InceptionV1
from kinetics_i3d.models.layers import BATCH_NORM_MOMENTUM
from kinetics_i3d.models.pretrained import HEAD
from kinetics_i3d.weights.assign import assign, named_variables

TEMPORAL = ("average", "center")
FIRST = "Conv2d_1a_7x7_conv"


def inflate(
    model: ClipModel | PathLike,
    *,
    channels: int | None = None,
    classes: int | None = None,
    temporal: str = "average",
    clip_spec: ClipSpec | str | None = None,
    dropout: float = 0.5,
    name: str | None = None,
) -> ClipModel:
    """Inflates an `InceptionV1` into its 3D counterpart.

    Args:
        model: An `InceptionV1` with or without its top; or weights as it takes them, such as
            `"imagenet_inception5h"` or a path.
        channels: Input channels of the inflated model, 2 for flow; by default those of
            `clip_spec`. If `model` has another number, the first kernel is averaged over its
            channels and repeated.
        classes: `None` keeps the classifier; a number replaces it with a randomly initialized one.
        temporal: `"average"` repeats a kernel over time and divides by its length, as in the paper.
            `"center"` puts it at the middle frame, which gives the same outputs for a repeated
            image and does not blur motion.
        clip_spec: Preprocessing of the clips, a `ClipSpec` or its name, such as `"deepmind"`; by
            default that of the images. Another value range is folded into the first kernel, exactly
            except for the zero padding at the border.
        dropout: Dropout rate before the classifier, 0 to 1.
        name: The inflated model's name.

    Returns:
        An `InceptionI3D` of the same architecture.

    Raises:
        ValueError: If `model` is not an image model, `temporal` or `clip_spec` is unknown, or the
            range of `clip_spec` cannot be folded into the first kernel.
        WeightsError: If the architecture of `model` is unknown, or weights cannot be read or are of
            another kind.

    Example:

    >>> inflated = ki3d.inflate(ki3d.InceptionV1(), classes=21)
    >>> inflated.output_shape
    (None, 21)
    """
    if isinstance(model, (str, os.PathLike)):
        model = InceptionV1(weights=model)
    if not isinstance(model, ClipModel):
        raise ValueError(
            '`model` must be an image model, such as InceptionV1(weights="imagenet_inception5h"), '
            f"or the name or path of its weights. Received: {type(model).__name__}"
        )
    if len(model.input_shape) != 4:
        raise ValueError(f"`model` must read images. Received: input_shape={model.input_shape}")
    if temporal not in TEMPORAL:
        raise ValueError(f"`temporal` must be one of {TEMPORAL}. Received: temporal={temporal!r}")
    if model.architecture not in ARCHITECTURES:
        raise WeightsError(f"{model.name}: unknown architecture {model.architecture!r}")
    include_top = any(layer.name == "Conv2d_0c_1x1" for layer in model.layers)
    spec = model.clip_spec.for_flow() if channels == 2 else model.clip_spec
    if clip_spec is not None:
        spec = as_spec(clip_spec, argument="clip_spec")
    channels = channels or spec.channels
    momenta = [
        layer.momentum
        for layer in model.layers
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    inflated = InceptionI3D(
        batch_norm_momentum=momenta[0] if momenta else BATCH_NORM_MOMENTUM,
        include_top=include_top or classes is not None,
        input_shape=(None, None, None, channels),
        classes=model.output_shape[-1] if classes is None and include_top else classes,
        dropout=dropout,
        architecture=model.architecture,
        name=name or f"inflated_{model.name}",
    )
    inflated.clip_spec = spec
    inflated.labels = model.labels if classes is None else ()
    inflated.activation = model.activation if classes is None else "softmax"

    arrays = fit_images(model, inflated, spec, temporal=temporal)
    patterns = () if classes is None else (HEAD,)
    assign(inflated, arrays, ignore=patterns, keep=patterns, source=model.name)
    return inflated


def fit_images(model, network, spec, *, temporal="average"):
    """The values of an image network, adapted to the variables of a network of clips or images.

    Args:
        model: An `InceptionV1`.
        network: An `InceptionV1` or `InceptionI3D` of the same architecture, of any input channels.
        spec: The `ClipSpec` of the inputs of `network`.
        temporal: `"average"` or `"center"`, see `inflate`.

    Returns:
        {name: array} for `assign`, including the classifier.

    Raises:
        ValueError: If the range of `spec` cannot be folded into the first kernel.
    """
    targets = {name: tuple(v.shape) for name, v in named_variables(network).items()}
    rank = len(network.minimum)
    arrays = {name: v.numpy() for name, v in named_variables(model).items()}
    first = f"{FIRST}/kernel"
    channels = targets[first.replace("2d", f"{rank}d")][-2]
    if channels != arrays[first].shape[2]:
        mean = arrays[first].mean(axis=2, keepdims=True)
        arrays[first] = np.repeat(mean, channels, axis=2)
    rescale_input(arrays, model.clip_spec, spec)  # the shift counts once per input channel
    if rank == 3:
        arrays = {inflated_name(name): array for name, array in arrays.items()}
        for name, array in arrays.items():
            if name.endswith("/kernel") and name in targets:
                arrays[name] = inflate_kernel(array, targets[name][0], temporal=temporal)
    return arrays


def adapt_to_stream(checkpoint, stream):
    """Adapts the weights of an `InceptionI3D` to the other stream, for fine-tuning.

    The first kernel is averaged over its input channels and repeated for those of `stream`; all
    other variables are kept. The batch norm statistics are those of the old stream: train or
    recalibrate them.

    Args:
        checkpoint: A `Checkpoint` of clips, such as `read_weights("rgb_kinetics400")`.
        stream: `"rgb"` or `"flow"`.

    Returns:
        A `Checkpoint` whose `clip_spec` is of `stream`; `checkpoint` itself if that is already so.

    Raises:
        WeightsError: If the checkpoint is not that of an `InceptionI3D`.

    Example:

    >>> from kinetics_i3d.models.pretrained import checkpoint_of
    >>> rgb = ki3d.InceptionI3D(architecture="inception_v1_quarter")
    >>> flow = adapt_to_stream(checkpoint_of(rgb), "flow")
    >>> flow.arrays["Conv3d_1a_7x7_conv/kernel"].shape
    (7, 7, 7, 2, 16)

    Source: Wang et al., "Temporal Segment Networks", ECCV 2016, section 3.2 (cross-modality
    pre-training).
    """
    info = checkpoint.info
    if info.rank != 3 or info.system is not None:
        raise WeightsError(
            f"{checkpoint.path}: only weights of an InceptionI3D can be adapted to another stream"
        )
    spec = info.clip_spec
    if spec is not None and spec.stream == stream:
        return checkpoint
    first = FIRST.replace("2d", "3d") + "/kernel"
    mean = checkpoint.arrays[first].mean(axis=-2, keepdims=True)
    channels = ClipSpec(stream, stream=stream).channels
    return dataclasses.replace(
        checkpoint,
        info=dataclasses.replace(
            info, clip_spec=None if spec is None else dataclasses.replace(spec, stream=stream)
        ),
        arrays={**checkpoint.arrays, first: np.repeat(mean, channels, axis=-2)},
    )


def inflated_name(name):
    """The 3D name of a 2D variable; one has the release's misspelling, see `mixed_module`."""
    name = name.replace("Conv2d", "Conv3d")
    return name.replace("Mixed_5b_Branch_2_Conv3d_0b_3x3", "Mixed_5b_Branch_2_Conv3d_0a_3x3")


def inflate_kernel(kernel, frames, *, temporal="average"):
    """Adds a time axis to a 2D kernel, keeping its response to a repeated image.

    Args:
        kernel: (height, width, in, out).
        frames: Length in time.
        temporal: `"average"` or `"center"`, see `inflate`.

    Returns:
        (frames, height, width, in, out) of the same type.
    """
    if temporal == "center":
        inflated = np.zeros((frames, *kernel.shape), kernel.dtype)
        inflated[frames // 2] = kernel
        return inflated
    return np.repeat(kernel[None], frames, axis=0) / np.asarray(frames, kernel.dtype)


def rescale_input(arrays, old, new):
    """Adapts the first unit from the value range of `old` to that of `new`.

    With `x_old = gain * x_new + shift`, the kernel absorbs the gain and the bias the shift.

    Args:
        arrays: {name: array} of an image network; changed in place.
        old: The `ClipSpec` that the network was trained on.
        new: The `ClipSpec` of the new inputs.

    Raises:
        ValueError: If the ranges differ and the first unit has no bias to take the shift.
    """
    if (old.low, old.high) == (new.low, new.high):
        return
    gain = (old.high - old.low) / (new.high - new.low)
    shift = old.low - gain * new.low
    kernel, bias = arrays[f"{FIRST}/kernel"], arrays.get(f"{FIRST}/bias")
    if bias is None:
        raise ValueError(
            f"The range of {new.name!r} cannot be folded into a first unit without bias: keep the "
            f"range of {old.name!r}, {old.low} to {old.high}"
        )
    arrays[f"{FIRST}/bias"] = bias + np.float32(shift) * kernel.sum(axis=(0, 1, 2))
    arrays[f"{FIRST}/kernel"] = kernel * np.float32(gain)


def start_from_images(
    model: ClipModel, images: ClipModel, *, temporal: str = "average"
) -> ClipModel:
    """Initializes every Inception-V1 of a system with the weights of an image network.

    Kernels of 3D networks are inflated, see `inflate`. For flow and stacks of flow, the first
    kernel is averaged over its channels and repeated. A value range that differs from that of the
    images is folded into the first unit. Classifiers and all other layers keep their values.

    Args:
        model: A `ConvNetLSTM`, `TwoStream`, `TwoStreamFused`, `TwoStreamI3D`, `InceptionI3D` or
            `InceptionV1`; changed in place.
        images: An `InceptionV1` of the same architecture, such as
            `InceptionV1(weights="imagenet_inception5h")` for models of architecture `"googlenet"`.
        temporal: `"average"` or `"center"`, see `inflate`; for kernels with a time axis.

    Returns:
        `model`.

    Raises:
        ValueError: If `images` does not read images or has another architecture, if `model` has no
            nested Inception-V1, or a range cannot be folded because units have no bias.

    Example:

    >>> images = ki3d.InceptionV1(architecture="inception_v1_quarter")
    >>> model = ki3d.TwoStream(architecture="inception_v1_quarter", classes=21)
    >>> model = ki3d.start_from_images(model, images)

    Source: Carreira & Zisserman, CVPR 2017, section 2.4.
    """
    if temporal not in TEMPORAL:
        raise ValueError(f"`temporal` must be one of {TEMPORAL}. Received: temporal={temporal!r}")
    for name, value in (("model", model), ("images", images)):
        if not isinstance(value, ClipModel):
            raise ValueError(
                f"`{name}` must be a model of this package. Received: {type(value).__name__}"
            )
    if len(images.minimum) != 2:
        raise ValueError(f"`images` must read images. Received: input_shape={images.input_shape}")
    for network in model.streams.values():
        if not any(name.startswith("Mixed_3b") for name in named_variables(network)):
            raise ValueError(
                "`model` must contain an Inception-V1; others are trained from scratch. "
                f"Received: {model.name}"
            )
        if network.architecture != images.architecture:
            raise ValueError(
                f"`images` must have the architecture {network.architecture!r} of {model.name}. "
                f"Received: architecture={images.architecture!r}"
            )
    # All are computed before the first is assigned: an error leaves the model unchanged.
    fitted = {
        stream: fit_images(images, network, model.clip_specs[stream], temporal=temporal)
        for stream, network in model.streams.items()
    }
    for stream, network in model.streams.items():
        assign(network, fitted[stream], ignore=(HEAD,), keep=(HEAD,), source=images.name)
    return model
