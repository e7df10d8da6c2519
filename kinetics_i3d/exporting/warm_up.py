"""Warm-up requests for TensorFlow Serving, which it replays before it says that it is ready.

A TFRecord of `PredictionLog` messages: https://www.tensorflow.org/tfx/serving/saved_model_warmup.
Four small messages are written here field by field; their package is large and TensorFlow-bound.
"""

import pathlib

from kinetics_i3d.exporting.graph_preprocessing import fixed_shape

PLACE = pathlib.Path("assets.extra", "tf_serving_warmup_requests")

# Field numbers in tensorflow_serving/apis/{prediction_log,predict,model}.proto.
LOG_PREDICT, PREDICT_REQUEST = 6, 1
REQUEST_SPEC, REQUEST_INPUTS = 1, 2
SPEC_NAME, SPEC_SIGNATURE = 1, 3
ENTRY_KEY, ENTRY_VALUE = 1, 2


def write_warm_up(model, folder, *, name, signatures):
    """Writes a request for each signature: one black clip of the fewest frames.

    Args:
        model: The `ClipModel` that was exported.
        folder: The SavedModel.
        name: What the server calls it.
        signatures: Names of signatures.
    """
    import tensorflow as tf

    path = pathlib.Path(folder, PLACE)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature in signatures:
            inputs = {}
            for stream, shape in _shapes(model, signature).items():
                dtype = tf.float32 if signature == "float_clips" else tf.uint8
                # One value stands for all: the file stays tiny, whatever the shape.
                inputs[stream] = tf.make_tensor_proto(0, dtype=dtype, shape=shape)
            writer.write(prediction_log(inputs, name=name, signature=signature))


def _shapes(model, signature):
    shapes = {}
    for stream, spec in model.clip_specs.items():
        frames = fixed_shape(model, stream)[0] or model.minimums[stream][0]
        side = spec.size if signature == "float_clips" or stream == "flow" else spec.short_side
        shapes[stream] = (1, frames, side, side, spec.channels)
    return shapes


def prediction_log(inputs, *, name, signature):
    """A `PredictionLog` of one request, serialised.

    Args:
        inputs: {input name: `TensorProto`}.
        name: The model's.
        signature: The signature's.

    Returns:
        Bytes.

    Example:

    >>> prediction_log({}, name="i3d", signature="logits").hex(" ")
    '32 11 0a 0f 0a 0d 0a 03 69 33 64 1a 06 6c 6f 67 69 74 73'
    """
    spec = field(SPEC_NAME, name.encode()) + field(SPEC_SIGNATURE, signature.encode())
    request = field(REQUEST_SPEC, spec)
    for key, tensor in inputs.items():
        entry = field(ENTRY_KEY, key.encode()) + field(ENTRY_VALUE, tensor.SerializeToString())
        request += field(REQUEST_INPUTS, entry)
    return field(LOG_PREDICT, field(PREDICT_REQUEST, request))


def field(number, payload):
    """One field of a protocol buffer that holds bytes: its tag, its length, and they."""
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def varint(number):
    """A whole number in seven bits a byte, the lowest first.

    Args:
        number: 0 or more.

    Returns:
        Bytes.

    Example:

    >>> varint(300).hex(" ")
    'ac 02'
    """
    parts = []
    while number > 127:
        parts.append(number & 127 | 128)
        number >>= 7
    return bytes([*parts, number])
