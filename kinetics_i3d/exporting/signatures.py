"""The signatures of an exported model: what it can be asked, and what it answers.

TensorFlow's form: https://www.tensorflow.org/guide/saved_model. Names of inputs are the streams.
"""

import keras

from kinetics_i3d.core.errors import ExportError
from kinetics_i3d.core.labels import BY_COUNT, label_list
from kinetics_i3d.exporting.in_graph import (
    check_clips,
    codes_to_clips,
    fixed_shape,
    frames_to_clips,
    require,
)
from kinetics_i3d.models.systems import system_of


def class_names(model):
    """The names of a model's classes, Kinetics' own where 400 or 600 have none.

    Raises:
        ExportError: If nobody has named them.
    """
    classes = model.output_shape[-1]
    if model.labels:
        return model.labels
    if classes in BY_COUNT:
        return label_list(BY_COUNT[classes])
    raise ExportError(
        f"{model.name}: its {classes} classes have no names, which an artifact carries; "
        "save_weights(model, path, labels=...) keeps them with the weights"
    )


def feature_tensors(model, endpoints=None):
    """{output name: Keras tensor} of activations inside a model.

    Args:
        model: A `ClipModel`.
        endpoints: Names of activations, looked up in each stream of a Two-Stream I3D; by default
            the one before the classifier.

    Returns:
        A dictionary; those of two streams are called such as `"flow_Mixed_5c"`.

    Raises:
        ValueError: If there is no such activation.
    """
    system = system_of(model)
    endpoints = system.endpoints if endpoints is None else tuple(endpoints)
    inside = system.is_separate
    found = {}
    for endpoint in endpoints:
        for stream, network in model.streams.items() if inside else (("", model),):
            names = [layer.name for layer in network.layers]
            if endpoint not in names:
                raise ValueError(
                    f"`endpoints` must name activations of {model.name}, such as "
                    f"{system.endpoints}. Received: {endpoint!r}"
                )
            part = keras.Model(network.input, network.get_layer(endpoint).output)
            tensor = part(model.input[stream] if inside else model.input)
            found[f"{stream}_{endpoint}" if inside else endpoint] = tensor
    return found


def signatures(model, *, top=5, endpoints=None):
    """The functions that a SavedModel offers, by name.

    Args:
        model: A `ClipModel` that ends in logits.
        top: How many labels `serving_default` and `float_clips` tell; all if there are fewer.
        endpoints: As for `feature_tensors`.

    Returns:
        {name: `tf.function` with its input signature}. All but `float_clips` and `default` take
        pixels, uint8 (batch, frames, height, width, channels), of any size and number; flow in its
        8-bit codes. `default`, of one stream, gives the logits of values in the range of the spec
        as `"default"`: the names of TensorFlow Hub's own I3D and of its tutorial.

    Raises:
        ExportError: If the classes have no names.
        ValueError: If an endpoint is unknown.
    """
    import tensorflow as tf

    names = class_names(model)
    count = min(top, len(names))
    tensors = feature_tensors(model, endpoints)
    trunk = keras.Model(model.input, tensors) if tensors else None

    def answers(logits):
        probabilities = tf.nn.softmax(logits)
        scores, best = tf.math.top_k(probabilities, k=count)
        labels = tf.gather(tf.constant(names), best)
        return {"probabilities": probabilities, "labels": labels, "scores": scores}

    def ask(network, clips):
        return network(clips if len(clips) > 1 else next(iter(clips.values())), training=False)

    def serving_default(**frames):
        return answers(ask(model, pixels_to_clips(frames, model)))

    def logits(**frames):
        return {"logits": ask(model, pixels_to_clips(frames, model))}

    def features(**frames):
        return ask(trunk, pixels_to_clips(frames, model))

    def float_clips(**clips):
        found = ask(model, checked_values(clips, model))
        return {"logits": found, **answers(found)}

    def default(**clips):
        return {"default": ask(model, checked_values(clips, model))}

    by_pixels = [serving_default, logits, *([features] if tensors else [])]
    offered = {}
    by_values = [float_clips, *([default] if len(model.clip_specs) == 1 else [])]
    functions = [(one, tf.uint8) for one in by_pixels] + [(one, tf.float32) for one in by_values]
    for function, dtype in functions:
        # Channels are left open too: the graph's own complaint says what they should be.
        specs = {
            stream: tf.TensorSpec([None] * 5, dtype, name=stream) for stream in model.clip_specs
        }
        traced = tf.function(function, autograph=False)
        offered[function.__name__] = traced.get_concrete_function(**specs)
    return offered


def pixels_to_clips(frames, model):
    """{stream: pixels or codes} to {stream: values that the model reads}, checked."""
    import tensorflow as tf

    clips = {}
    for stream, pixels in check_clips(frames, model).items():
        spec = model.clip_specs[stream]
        pixels = tf.ensure_shape(pixels, [None] * 4 + [spec.channels])
        read = frames_to_clips if stream == "rgb" else codes_to_clips
        clips[stream] = _of_fixed_shape(read(pixels, spec), model, stream)
    return clips


def checked_values(clips, model):
    """Clips that somebody else has prepared, behind assertions on their size and their values."""
    import tensorflow as tf

    checked = {}
    for stream, clip in check_clips(clips, model).items():
        spec, least = model.clip_specs[stream], model.minimums[stream][1:]
        shape = tf.shape(clip)
        size = f"{stream} must be {least[0]} x {least[1]} pixels or more."
        # nan lies on neither side; what resizes in float may overshoot, but not by half the range.
        reach = tf.abs(clip - (spec.low + spec.high) / 2)
        scaled = f"{stream} must be scaled to {spec.low:g} to {spec.high:g}, and finite."
        extremes = tf.stack([tf.reduce_min(clip), tf.reduce_max(clip)])
        checks = [
            require(tf.reduce_all(shape[2:4] >= least), size, shape),
            require(tf.reduce_all(reach <= spec.high - spec.low), scaled, extremes),
        ]
        with tf.control_dependencies(checks):
            clip = tf.ensure_shape(tf.identity(clip), [None] * 4 + [spec.channels])
        checked[stream] = _of_fixed_shape(clip, model, stream)
    return checked


def _of_fixed_shape(clip, model, stream):
    import tensorflow as tf

    fixed = fixed_shape(model, stream)
    text = f"{stream} must be {' x '.join(str(side or 'any') for side in fixed)}."
    checks = [
        require(tf.shape(clip)[axis] == side, text, tf.shape(clip))
        for axis, side in enumerate(fixed, 1)
        if side is not None
    ]
    with tf.control_dependencies(checks):
        return tf.ensure_shape(tf.identity(clip), (None, *fixed, clip.shape[-1]))
