"""A LiteRT file: the bytes that TensorFlow's converter makes of a flat model, and what is in them.

https://ai.google.dev/edge/litert/conversion/tensorflow/quantization/post_training_quantization.
"""

import collections

import numpy as np

from kinetics_i3d.exporting.eight_bits import EightBits
from kinetics_i3d.exporting.lower_3d_to_2d import flatten

PRECISIONS = ("float32", "float16", "dynamic_int8", "int8")


def convert(model, sizes, *, precision="float32", clips=()):
    """The bytes of a LiteRT file that reads pixels and gives logits.

    Args:
        model: A `ClipModel` that ends in logits.
        sizes: {stream: (1, frames, height, width, channels)}.
        precision: One of `PRECISIONS`.
        clips: For `"int8"`: {stream: float32 array of its size}, one or more.

    Returns:
        Bytes.
    """
    import tensorflow as tf

    whole = precision == "int8"
    eight_bits = EightBits(max(size[2] for size in sizes.values())) if whole else None
    flat = flatten(model, sizes, eight_bits)

    def ask(given):
        return flat(given if len(given) > 1 else next(iter(given.values())), training=False)

    for given in clips:
        ask(given)

    def logits(**given):
        values = {}
        for stream, pixels in given.items():
            spec = model.clip_specs[stream]
            if whole:  # the quantised values are the pixels themselves
                values[stream] = tf.quantization.fake_quant_with_min_max_args(
                    pixels, spec.low, spec.high
                )
            else:
                step = np.float32((spec.high - spec.low) / 255)
                values[stream] = tf.cast(pixels, tf.float32) * step + spec.low
        return {"logits": ask(values)}

    dtype = tf.float32 if whole else tf.uint8
    signature = {stream: tf.TensorSpec(size, dtype, name=stream) for stream, size in sizes.items()}
    traced = tf.function(logits, autograph=False).get_concrete_function(**signature)
    # All weights are constants: nothing can be lost on the way, as variables of Keras 3 are.
    converter = tf.lite.TFLiteConverter.from_concrete_functions([traced], tf.Module())
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    if precision != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if whole:
        converter.inference_input_type = tf.uint8
    return converter.convert()


def operations(file):
    """The operations of a LiteRT file.

    Args:
        file: Its bytes.

    Returns:
        {name: how often}, sorted by name; those that are not builtin as such as
        `"custom FlexMaxPool3D"`.
    """
    from tensorflow.lite.python import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(file, 0))
    names = {code: name for name, code in vars(schema.BuiltinOperator).items() if name.isupper()}
    kinds = []
    for kind in model.operatorCodes:
        # The second is too narrow for newer operations, which leave it at its end.
        name = names[max(kind.builtinCode, kind.deprecatedBuiltinCode)]
        kinds.append(f"custom {kind.customCode.decode()}" if name == "CUSTOM" else name)
    counted = collections.Counter(
        kinds[operation.opcodeIndex] for graph in model.subgraphs for operation in graph.operators
    )
    return dict(sorted(counted.items()))
