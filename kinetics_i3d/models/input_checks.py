"""Checks that inputs are clips of the model's `ClipSpec`: dtype, layout and value range.

Raw pixels, channels first and a wrong range are the most frequent mistakes with I3D. The network
accepts all of them silently and predicts wrong labels.
"""

import contextlib
import os
import re
import sys
import threading

import keras
import numpy as np

SAMPLES = 8  # minimum number of values sampled along an axis; at most twice as many
_SWITCH = {"enabled": True}


class _Calls(threading.local):
    depth = 0


_CALLS = _Calls()


def set_input_checks(enabled: bool) -> bool:
    """Switches the checks of input values on or off, for all models of this process.

    The checks read a small sample of each batch. Integers where floats are needed, values far
    outside the range of `model.clip_spec`, and non-finite values raise a `ValueError`. Values that
    look like 0 to 1 for a model that reads -1 to 1 give one warning per model. Sizes and the order
    of axes are always checked.

    Args:
        enabled: Whether to check; `True` by default.

    Returns:
        The previous setting.

    Example:

    >>> before = ki3d.set_input_checks(False)  # for clips in a range of your own
    >>> ki3d.set_input_checks(before)
    False
    """
    before = _SWITCH["enabled"]
    _SWITCH["enabled"] = bool(enabled)
    return before


def checks_enabled():
    """Whether the checks are on."""
    return _SWITCH["enabled"]


@contextlib.contextmanager
def outermost_call():
    """Yields whether this is the outermost call, not that of a nested network."""
    _CALLS.depth += 1
    try:
        yield _CALLS.depth == 1
    finally:
        _CALLS.depth -= 1


def refuse_path(inputs):
    """Raises `ValueError` for the path of a video, where Keras would only name its type."""
    if isinstance(inputs, (str, os.PathLike)):
        raise ValueError(
            "inputs must be clips: ki3d.load_clip(path, spec=model.clip_spec), or "
            f"ki3d.classify(path, model) for a path. Received: {os.fspath(inputs)!r}"
        )


def check_layout(shape, channels, rank, stream):
    """Raises `ValueError` unless a shape is (batch, [frames,] height, width, channels).

    Args:
        shape: A tuple of sizes, `None` for unknown ones; or `None`.
        channels: The required number of channels, or `None`.
        rank: 2 for images, 3 for clips.
        stream: `"rgb"` or `"flow"`, for the message.
    """
    if shape is None or channels is None:
        return
    shape = tuple(shape)
    axes = ("batch", "frames", "height", "width", str(channels))
    wanted = f"`inputs` must be ({', '.join(axes if rank == 3 else (axes[0], *axes[2:]))})"
    received = f"Received: {stream} of shape={shape}"
    if len(shape) == rank + 1 and shape[-1] == channels:
        raise ValueError(f"{wanted}; add the batch: inputs[None]. {received}")
    if len(shape) != rank + 2:
        raise ValueError(f"{wanted}. {received}")
    if shape[0] == 0:
        raise ValueError(f"{wanted}, with a batch of 1 or more. {received}")
    if shape[-1] in (None, channels):
        return
    front = next((axis for axis in range(1, rank + 1) if shape[axis] == channels), None)
    if front is None:
        raise ValueError(f"{wanted}. {received}")
    raise ValueError(f"{wanted}; channels are last: np.moveaxis(inputs, {front}, -1). {received}")


def check_values(clips, spec, *, stream=None):
    """Checks a sample of the values of clips.

    Args:
        clips: An array or tensor. For a symbolic tensor, only the dtype is checked.
        spec: The `ClipSpec` that the clips should follow.
        stream: The key of the clips in a dictionary, or `None`.

    Returns:
        A one-line warning, or `None`.

    Raises:
        ValueError: If the values are wrong, with the line of code that fixes them.
    """
    name = "inputs" if stream is None else f'inputs["{stream}"]'
    specs = "model.clip_spec" if stream is None else f'model.clip_specs["{stream}"]'
    normalized = f"{specs}.normalize({name})"
    dtype = keras.backend.standardize_dtype(clips.dtype)
    wanted = f"`{name}` must be {{}}values from {spec.low:g} to {spec.high:g}"
    if not _may_hold(dtype, spec):
        raise ValueError(
            f"{wanted.format('float ')} ({spec.name}); use "
            f"{normalized} for pixels or quantized flow. Received: dtype={dtype}"
        )
    sample = _sample(clips)
    if sample is None or not sample.size:
        return None
    low, high = float(sample.min()), float(sample.max())
    received = f"Received: values from {low:g} to {high:g}"
    if not np.isfinite(low + high):
        raise ValueError(f"{wanted.format('finite ')}. {received}")
    middle, span = (spec.low + spec.high) / 2, spec.high - spec.low
    if max(high - middle, middle - low) > span:
        fix = (
            f"use np.clip({name}, -20, 20) / 20 for flow in pixels"
            if spec.stream == "flow" and (low < 0 or high <= 40)
            else f"use {normalized} for 0..255"
        )
        raise ValueError(
            f"{wanted.format('')} ({spec.name}); {fix}. For another range, set "
            f"model.clip_spec, or call set_input_checks(False). {received}"
        )
    if spec.stream == "flow" or high - low < 0.1:
        return None
    if span <= 4 and spec.low < 0 <= low and high <= 1:
        scaled = f"{name} * {span:g} - {-spec.low:g}"
        return f"{wanted.format('')}; these look like 0 to 1; use {scaled}. {received}"
    if span > 50 and low >= -1 and high <= 1:
        scaled = f"({name} + 1) * {span / 2:g} + {spec.low:g}"
        return f"{wanted.format('')}; these look like -1 to 1; use {scaled}. {received}"
    return None


def guard_values(clips, spec, *, stream=None):
    """Clips of a traced TensorFlow graph, with an assertion on a sample of their values."""
    tf = sys.modules["tensorflow"]  # `models` imports no backend; Keras has loaded it
    if not isinstance(clips, tf.Tensor) or not clips.dtype.is_floating or clips.shape.rank is None:
        return clips
    steps = {5: (1, 8, 16, 16, 1), 4: (1, 8, 8, 1)}.get(clips.shape.rank)
    if steps is None:
        return clips
    sample = tf.cast(clips[tuple(slice(None, None, step) for step in steps)], tf.float32)
    name = "inputs" if stream is None else f'inputs["{stream}"]'
    text = (
        f"`{name}` must be values from {spec.low:g} to {spec.high:g} ({spec.name}), and finite; "
        "use model.clip_spec.normalize for 0..255, or set_input_checks(False) to allow any "
        "values. Received: lowest and highest"
    )
    middle, span = (spec.low + spec.high) / 2, spec.high - spec.low
    near = tf.reduce_all(tf.abs(sample - middle) <= span)
    extremes = tf.stack([tf.reduce_min(sample), tf.reduce_max(sample)])
    with tf.control_dependencies([tf.debugging.Assert(near, [text, extremes])]):
        return tf.identity(clips)


def _may_hold(dtype, spec):
    """Whether a dtype can hold values of a spec; narrow ranges such as 0 to 1 need floats."""
    if not keras.backend.is_int_dtype(dtype) and dtype != "bool":
        return True
    return dtype != "bool" and spec.high - spec.low > 4 and np.iinfo(dtype).min <= spec.low


def _sample(clips):
    """Values sampled evenly from an array, as float32; `None` for a symbolic tensor."""
    if not isinstance(clips, np.ndarray) and not _has_values(clips):
        return None
    shape = tuple(clips.shape)
    steps = (max(1, shape[0] // 4), *(max(1, size // SAMPLES) for size in shape[1:-1]))
    part = clips[tuple(slice(None, None, step) for step in steps)]
    if not isinstance(part, np.ndarray):
        part = keras.ops.convert_to_numpy(keras.ops.cast(part, "float32"))
    return np.asarray(part, np.float32)


def _has_values(clips):
    if isinstance(clips, keras.KerasTensor):
        return False
    backend = keras.backend.backend()
    if backend == "tensorflow":
        tf = sys.modules["tensorflow"]
        return isinstance(clips, tf.Tensor) and tf.executing_eagerly()
    if backend == "torch":
        torch = sys.modules["torch"]
        return isinstance(clips, torch.Tensor) and not torch.compiler.is_compiling()
    # JAX: tracers have the attributes of arrays.
    return not any(kind.__name__ == "Tracer" for kind in type(clips).__mro__)


AXES = ("frames", "height", "width")


def guard_clips(inputs, specs, minimums):
    """Adds assertions on the sizes of clips that are unknown when a graph is traced.

    JAX and PyTorch know every size while tracing; there, and where TensorFlow knows all sizes, the
    inputs are returned unchanged.

    Args:
        inputs: A tensor (batch, [frames,] height, width, channels), or `{stream: tensor}`.
        specs: {stream: `ClipSpec`} of the model, rgb first.
        minimums: {stream: minimum ([frames,] height, width)}.

    Returns:
        The same structure and values. Computing them fails with a one-line message if a clip is too
        small or two streams do not belong together.
    """
    # `models` imports no backend; Keras has loaded TensorFlow if it is the backend.
    tf = sys.modules.get("tensorflow")
    if keras.backend.backend() != "tensorflow" or tf is None or tf.executing_eagerly():
        return inputs
    if len(specs) == 1:
        (minimum,) = minimums.values()
        tensors = keras.tree.flatten(inputs)
        if len(tensors) != 1 or not _is_open(tf, tensors[0]):
            return inputs
        return keras.tree.pack_sequence_as(inputs, [_at_least(tf, tensors[0], minimum)])
    if not all(isinstance(clips, tf.Tensor) for clips in inputs.values()):
        return inputs
    clips = _together(tf, inputs, specs)
    return {
        stream: _at_least(tf, clip, minimums[stream]) if _is_open(tf, clip) else clip
        for stream, clip in clips.items()
    }


def describe_minimum(minimum):
    """A sentence that states the minimum size of an input."""
    names = AXES[-len(minimum) :]
    sizes = " x ".join(map(str, minimum))
    return f"This model needs {sizes} ({' x '.join(names)}) or more."


def _is_open(tf, clips):
    """Whether a size other than that of the batch is unknown while tracing."""
    return (
        isinstance(clips, tf.Tensor)
        and clips.shape.rank is not None
        and None in tuple(clips.shape)[1:-1]
    )


def _at_least(tf, clips, minimum):
    shape = tf.shape(clips)
    fits = tf.reduce_all(shape[1 : 1 + len(minimum)] >= list(minimum))
    return _require(tf, clips, shape, [(fits, describe_minimum(minimum), shape)])


def _together(tf, inputs, specs):
    """The clips of two streams, with assertions on their lengths and their batch sizes."""
    rgb, flow = (inputs[stream] for stream in specs)
    if rgb.shape.rank is None or flow.shape.rank is None:
        return inputs
    ratio = round(specs["flow"].fps / specs["rgb"].fps)
    sizes = [tf.shape(clips) for clips in (rgb, flow)]
    both = tf.stack([size[:2] for size in sizes])
    checks = []
    if None in (rgb.shape[1], flow.shape[1]):
        text = f"This model needs flow and rgb frames in the ratio {ratio} to 1."
        checks.append((sizes[1][1] == ratio * sizes[0][1], text, both))
    if None in (rgb.shape[0], flow.shape[0]):
        text = "This model needs rgb and flow of the same videos."
        checks.append((sizes[1][0] == sizes[0][0], text, both))
    return {**inputs, "flow": _require(tf, flow, sizes[1], checks)} if checks else inputs


def _require(tf, clips, shape, checks):
    """The clips, whose computation fails with the text of the first check that fails.

    Args:
        tf: TensorFlow.
        clips: A tensor.
        shape: Its shape as a tensor.
        checks: [(scalar bool tensor, message, value that the error shows)].
    """
    asserted = [
        tf.debugging.Assert(holds, [f"{text} Received: shape=", value], summarize=16)
        for holds, text, value in checks
    ]
    holds = tf.reduce_all(tf.stack([check[0] for check in checks]))
    with tf.control_dependencies(asserted):
        wanted = tf.where(holds, shape, tf.fill([clips.shape.rank], -2))
    # XLA drops assertions, and Keras compiles with XLA on GPUs. There a reshape to an impossible
    # shape fails while it compiles, and the error shows the name of the operation.
    name = re.sub(r"[^A-Za-z0-9_.]+", "_", checks[0][1]).strip("_.")
    guarded = tf.reshape(clips, wanted, name=name)
    guarded.set_shape(clips.shape)
    return guarded
