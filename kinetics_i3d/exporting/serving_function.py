"""`frames_function`: raw frames to logits as one TensorFlow function that converters can read.

Of plain operations alone: no assertions, no strings, no resize by a single operation.
"""

import keras

from kinetics_i3d.exporting.graph_preprocessing import fixed_shape
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
        for pixels, (stream, spec) in zip(frames, model.clip_specs.items(), strict=True):
            read = frames_to_clips if stream == "rgb" else codes_to_clips
            clip = read(pixels, spec)
            shape = (None, fixed_shape(model, stream)[0], *clip.shape[2:])
            found[f"{stream}_clips"] = tf.ensure_shape(clip, shape)
        return found

    signature = [_of(model, stream, tf.uint8) for stream in model.clip_specs]
    return tf.function(clips, input_signature=signature, autograph=False), signature


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
