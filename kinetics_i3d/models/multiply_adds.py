"""`multiply_adds`: what one pass of a network costs, counted from its layers' shapes."""

import math

from keras import layers


def multiply_adds(model):
    """Counts the multiplications, each with its addition, of one clip through a model.

    Only products with trained kernels count: convolutions, dense layers and LSTMs. Pools, norms and
    activations are left out, as is the custom.

    Args:
        model: A functional model whose `input_shape` is fixed but for the batch.

    Returns:
        An int; twice as many are the floating-point operations.

    Raises:
        ValueError: If a size is not fixed.

    Example:

    >>> model = ki3d.InceptionV1(architecture="inception_v1_quarter", input_shape=(224, 224, 3))
    >>> round(multiply_adds(model) / 1e9, 2)
    0.12
    """
    inside = {layer.name: layer for layer in model.layers}
    total = 0
    for layer in model.layers:
        if hasattr(layer, "layers"):  # an image network runs once for each stack of its stream
            stacks = inside.get(layer.name.replace("_stream", "_stacks"))
            times = stacks.input.shape[1] // stacks.frames if stacks is not None else 1
            total += times * multiply_adds(layer)
        else:
            total += _count(layer)
    return total


def _count(layer):
    if not isinstance(layer, (layers.Conv2D, layers.Conv3D, layers.Dense, layers.LSTM)):
        return 0
    outputs, inputs = tuple(layer.output.shape[1:]), tuple(layer.input.shape[1:])
    if None in outputs + inputs:
        raise ValueError(
            f"`model` must have a fixed input_shape. Received: {layer.name} from {inputs} to "
            f"{outputs}"
        )
    if isinstance(layer, layers.LSTM):
        # Four gates read the input and the last output, at every step.
        return inputs[0] * 4 * layer.units * (inputs[1] + layer.units)
    return math.prod(outputs[:-1]) * math.prod(layer.kernel.shape)
