"""Strict assignment: variables and arrays must match one to one, or nothing is assigned."""

import hashlib
import re

import numpy as np

from kinetics_i3d.core.errors import WeightsError, list_faults


def named_variables(model):
    """{`"<layer>/<variable>"`: variable} of a functional model, in the order of the model.

    Those of a nested network such as `rgb_stream` are called `"rgb/<layer>/<variable>"`.
    """
    variables = {}
    for layer in model.layers:
        if hasattr(layer, "layers"):
            prefix = layer.name.removesuffix("_stream")
            inside = named_variables(layer).items()
            variables.update({f"{prefix}/{name}": variable for name, variable in inside})
        else:
            variables.update(
                {f"{layer.name}/{variable.name}": variable for variable in layer.weights}
            )
    return variables


def assign(model, arrays, *, ignore=(), keep=(), source="the weights"):
    """Assigns arrays to the variables of a model.

    Args:
        model: A functional Keras model.
        arrays: {`"<layer>/<variable>"`: array}.
        ignore: Patterns (`re.match`) of arrays that may be unused.
        keep: Patterns of variables that keep their values.
        source: Name of the arrays in errors, such as their path.

    Raises:
        WeightsError: If names are missing or unused, or shapes differ; the first of each are named.
    """
    variables = {
        name: variable
        for name, variable in named_variables(model).items()
        if not any(re.match(pattern, name) for pattern in keep)
    }
    missing = [name for name in variables if name not in arrays]
    unused = [
        name
        for name in arrays
        if name not in variables and not any(re.match(pattern, name) for pattern in ignore)
    ]
    shapes = [
        f"{name} is {tuple(arrays[name].shape)} instead of {tuple(variable.shape)}"
        for name, variable in variables.items()
        if name in arrays and tuple(arrays[name].shape) != tuple(variable.shape)
    ]
    faults = {"missing": missing, "unused": unused, "wrong shape": shapes}
    if any(faults.values()):
        raise WeightsError(f"{source} does not match {model.name}: {list_faults(faults)}")
    for name, variable in variables.items():
        variable.assign(arrays[name])


def weights_digest(model):
    """SHA-256 of the weights and architecture of a model, independent of the file format.

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
