"""`guard_clips`: the size checks of a model, from inside a traced graph.

A traced function may leave sizes open: `tf.function` relaxes them once it has met two of them,
`tf.data` and exports often start so. What Python can no longer see, the graph itself has to refuse.
"""

import re
import sys

import keras

AXES = ("frames", "height", "width")


def guard_clips(inputs, specs, minimums):
    """Puts clips of unknown size behind assertions that run with the graph.

    JAX and PyTorch show every size while they trace; there, and wherever TensorFlow knows all
    sizes, the inputs come back as they are.

    Args:
        inputs: A tensor (batch, [frames,] height, width, channels), or `{stream: tensor}`.
        specs: {stream: `ClipSpec`} of the model, rgb first.
        minimums: {stream: least ([frames,] height, width)}.

    Returns:
        The same structure and values. Computing them fails with one readable sentence where a clip
        is too small, or where two streams do not belong together.
    """
    # `models` imports no backend; Keras has loaded TensorFlow where it computes with it.
    tf = sys.modules.get("tensorflow")
    if keras.backend.backend() != "tensorflow" or tf is None or tf.executing_eagerly():
        return inputs
    if len(specs) == 1:
        (minimum,) = minimums.values()
        flat = keras.tree.flatten(inputs)
        if len(flat) != 1 or not _is_open(tf, flat[0]):
            return inputs
        return keras.tree.pack_sequence_as(inputs, [_at_least(tf, flat[0], minimum)])
    if not all(isinstance(clips, tf.Tensor) for clips in inputs.values()):
        return inputs
    clips = _together(tf, inputs, specs)
    return {
        stream: _at_least(tf, clip, minimums[stream]) if _is_open(tf, clip) else clip
        for stream, clip in clips.items()
    }


def describe_minimum(minimum):
    """The sentence that says how large an input must be."""
    names = AXES[-len(minimum) :]
    sizes = " x ".join(map(str, minimum))
    return f"This model needs {sizes} ({' x '.join(names)}) or more."


def _is_open(tf, clips):
    """Whether a size other than the batch's is unknown while this is traced."""
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
    """The clips of two streams behind assertions on their lengths and on their number."""
    rgb, flow = (inputs[stream] for stream in specs)
    if rgb.shape.rank is None or flow.shape.rank is None:
        return inputs
    ratio = round(specs["flow"].fps / specs["rgb"].fps)
    sizes = [tf.shape(clips) for clips in (rgb, flow)]
    both = tf.stack([size[:2] for size in sizes])
    checks = []
    if None in (rgb.shape[1], flow.shape[1]):
        text = f"This model needs as many flow frames as rgb frames, times {ratio}."
        checks.append((sizes[1][1] == ratio * sizes[0][1], text, both))
    if None in (rgb.shape[0], flow.shape[0]):
        text = "This model needs rgb and flow of the same videos."
        checks.append((sizes[1][0] == sizes[0][0], text, both))
    return {**inputs, "flow": _require(tf, flow, sizes[1], checks)} if checks else inputs


def _require(tf, clips, shape, checks):
    """The clips, whose computation fails with the text of the first check that does not hold.

    Args:
        tf: TensorFlow.
        clips: A tensor.
        shape: Its shape as a tensor.
        checks: [(scalar bool tensor, one line, the value that the error shows)].
    """
    asserted = [
        tf.debugging.Assert(holds, [f"{text} Received: shape=", value], summarize=16)
        for holds, text, value in checks
    ]
    holds = tf.reduce_all(tf.stack([each[0] for each in checks]))
    with tf.control_dependencies(asserted):
        wanted = tf.where(holds, shape, tf.fill([clips.shape.rank], -2))
    # XLA drops assertions, and Keras compiles with XLA on GPUs. There a reshape to an impossible
    # shape fails while it compiles, and the error shows the name of the operation.
    name = re.sub(r"[^A-Za-z0-9_.]+", "_", checks[0][1]).strip("_.")
    guarded = tf.reshape(clips, wanted, name=name)
    guarded.set_shape(clips.shape)
    return guarded
