"""`start_from_images`: ImageNet weights for the Inception-V1 parts of any of the five systems.

Carreira & Zisserman, CVPR 2017, section 2.4; the first kernel of flow after Wang et al., "Temporal
Segment Networks", ECCV 2016.
"""

from kinetics_i3d.models.clip_model import ClipModel
from kinetics_i3d.models.inflation import TEMPORAL, fit_images
from kinetics_i3d.models.pretrained import HEAD
from kinetics_i3d.weights.assign import assign, named_variables


def start_from_images(
    model: ClipModel, images: ClipModel, *, temporal: str = "average"
) -> ClipModel:
    """Puts the weights of an image network into every Inception-V1 of a system.

    Kernels of clips get them inflated, see `inflate`; streams of flow, and of stacks of flow, get
    the first kernel's mean over its channels, repeated for each of theirs. Where a stream's range
    differs from that of the images, it is folded into the first unit. Classifiers and all other
    layers keep what they have.

    Args:
        model: A `ConvNetLSTM`, `TwoStream`, `TwoStreamFused`, `TwoStreamI3D`, `InceptionI3D` or
            `InceptionV1`; changed.
        images: An `InceptionV1` of the same architecture, such as
            `InceptionV1(weights="imagenet_inception5h")` for models of architecture `"googlenet"`.
        temporal: `"average"` or `"center"`, as `inflate` takes it, where kernels have a time axis.

    Returns:
        `model`.

    Raises:
        ValueError: If `images` does not read images or has another architecture, if `model` has no
            Inception-V1 inside, or a range cannot be folded because units have no bias.

    Example:

    >>> images = ki3d.InceptionV1(architecture="inception_v1_quarter")
    >>> model = ki3d.TwoStream(architecture="inception_v1_quarter", classes=21)
    >>> model = ki3d.start_from_images(model, images)

    Source: Carreira & Zisserman, CVPR 2017, section 2.4.
    """
    if temporal not in TEMPORAL:
        raise ValueError(f"`temporal` must be one of {TEMPORAL}. Received: temporal={temporal!r}")
    if len(images.minimum) != 2:
        raise ValueError(f"`images` must read images. Received: input_shape={images.input_shape}")
    for network in model.streams.values():
        if not any(name.startswith("Mixed_3b") for name in named_variables(network)):
            raise ValueError(
                "`model` must have an Inception-V1 inside; others are trained from scratch. "
                f"Received: {model.name}"
            )
        if network.architecture != images.architecture:
            raise ValueError(
                f"`images` must have the architecture {network.architecture!r} of {model.name}. "
                f"Received: architecture={images.architecture!r}"
            )
    # All are made before one is assigned: an error leaves the model as it was.
    fitted = {
        stream: fit_images(images, network, model.clip_specs[stream], temporal=temporal)
        for stream, network in model.streams.items()
    }
    for stream, network in model.streams.items():
        assign(network, fitted[stream], ignore=(HEAD,), keep=(HEAD,), source=images.name)
    return model
