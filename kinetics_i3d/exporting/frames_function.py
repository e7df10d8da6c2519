"""`frames_function`: raw frames to logits as one TensorFlow function that converters can read.

Of plain operations alone: no assertions, no strings, no resize by a single operation. What a model
cannot read is refused by a reshape that fails: runtimes tell the name of the operation that failed,
so the name is the message.
"""

import re

import keras

from kinetics_i3d.exporting.in_graph import fixed_shape, resized_in_graph
from kinetics_i3d.exporting.products import codes_to_clips, frames_to_clips
from kinetics_i3d.models.folding import fold


def frames_function(model):
    """From pixels to answers.

    Args:
        model: A `ClipModel` that ends in logits.

    Returns:
        (`tf.function`, its input signature): of uint8 tensors (batch, frames, height, width,
        channels), one a stream and called by it, of any size; to `{"logits": ...,
        "probabilities": ...}`.
    """
    import tensorflow as tf

    network, _ = clips_function(model)
    pixels, signature = pixels_function(model)

    def answer(*frames):
        return network.python_function(*pixels.python_function(*frames).values())

    return tf.function(answer, input_signature=signature, autograph=False), signature


def pixels_function(model):
    """From pixels to the clips that a model reads, see `frames_function`.

    Args:
        model: A `ClipModel`.

    Returns:
        (`tf.function`, its input signature): to `{"<stream>_clips": float32 clips}`.
    """
    import tensorflow as tf

    def clips(*frames):
        found = {}
        given = _guarded(dict(zip(model.clip_specs, frames, strict=True)), model)
        for pixels, (stream, spec) in zip(given.values(), model.clip_specs.items(), strict=True):
            read = frames_to_clips if stream == "rgb" else codes_to_clips
            clip = read(pixels, spec)
            shape = (None, fixed_shape(model, stream)[0], *clip.shape[2:])
            found[f"{stream}_clips"] = tf.ensure_shape(clip, shape)
        return found

    signature = [_of(model, stream, tf.uint8) for stream in model.clip_specs]
    return tf.function(clips, input_signature=signature, autograph=False), signature


def _guarded(frames, model):
    """{stream: pixels} behind a reshape each, which fails for what the model cannot read."""
    import tensorflow as tf

    sizes = {stream: tf.shape(pixels) for stream, pixels in frames.items()}
    guarded = {}
    for stream, pixels in frames.items():
        spec, size = model.clip_specs[stream], sizes[stream]
        checks = {}
        if fixed_shape(model, stream)[0] is None:
            least = model.minimums[stream][0]
            checks[f"must have {least} frames or more"] = size[1] >= least
        if stream == "flow":
            text = f"must be {spec.size} x {spec.size} pixels or more"
            checks[text] = tf.reduce_all(size[2:4] >= spec.size)
        elif spec.resize == "height":  # by its short side, a picture is never too narrow
            after = resized_in_graph(tf.maximum(size[2], 1), size[3], spec)
            text = f"must be {spec.size} pixels or wider when it is {spec.short_side} high"
            checks[text] = tf.reduce_all(after >= spec.size)
        if stream == "flow" and "rgb" in sizes:
            ratio = round(spec.fps / model.clip_specs["rgb"].fps)
            text = f"must have {ratio} times the frames of rgb"
            checks[text] = size[1] == ratio * sizes["rgb"][1]
            checks["must be of as many videos as rgb"] = size[0] == sizes["rgb"][0]
        # One reshape for all: optimizers merge those that follow each other.
        text = f"{stream} {' and '.join(checks)}"
        holds = tf.reduce_all(tf.stack([*checks.values()])) if checks else None
        guarded[stream] = pixels if holds is None else _refuse(pixels, size, holds, text)
    return guarded


def _refuse(pixels, size, holds, text):
    """The pixels, or a reshape that fails under the name `text` where a condition does not hold."""
    import tensorflow as tf

    # A negative size other than -1 is refused by every runtime.
    wanted = tf.where(holds, size, tf.fill([len(pixels.shape)], -2))
    guarded = tf.reshape(pixels, wanted, name=re.sub(r"\W+", "_", text))
    guarded.set_shape(pixels.shape)
    return guarded


def clips_function(model):
    """From clips to answers, see `frames_function`.

    Args:
        model: A `ClipModel` that ends in logits.

    Returns:
        (`tf.function`, its input signature): of float32 tensors in the range of the specs.
    """
    import tensorflow as tf

    network = fold(model)  # batch norms need not be converted
    for part in (network, *network.streams.values()):
        part.guards_graph = False
    streams = (*model.clip_specs,)
    signature = [_of(model, stream, tf.float32) for stream in streams]

    def answer(*clips):
        given = dict(zip(streams, clips, strict=True)) if len(clips) > 1 else clips[0]
        logits = network(given, training=False)
        return {"logits": logits, "probabilities": keras.ops.softmax(logits)}

    return tf.function(answer, input_signature=signature, autograph=False), signature


def _of(model, stream, dtype):
    import tensorflow as tf

    spec, frames = model.clip_specs[stream], fixed_shape(model, stream)[0]
    side = None if dtype == tf.uint8 else spec.size
    return tf.TensorSpec((None, frames, side, side, spec.channels), dtype, name=stream)
