"""What people do who have TensorFlow 2.15 and Keras 2; they have no kinetics_i3d.

`python keras2_user.py WHAT ARGUMENTS...`, in the environment `keras2`. The last line is JSON.
"""

import json
import os
import sys

import numpy as np


def versions():
    import keras
    import tensorflow as tf
    import tensorflow_addons as tfa
    import tensorflow_io as tfio

    return [module.__version__ for module in (tf, keras, tfa, tfio)]


def serve(folder, inputs, outputs):
    """Asks every signature of a SavedModel for what `inputs` holds as signature/name/stream."""
    import tensorflow as tf

    model, answers = tf.saved_model.load(folder), {}
    with np.load(inputs) as arrays:
        for key in arrays.files:
            signature, name, stream = key.split("/")
            found = model.signatures[signature](**{stream: tf.constant(arrays[key])})
            for part, tensor in found.items():
                array = tensor.numpy()
                text = array.dtype == object
                answers[f"{name}/{part}"] = array.astype("S") if text else array
    np.savez(outputs, **answers)
    return sorted(model.signatures)


def finetune(folder, inputs, outputs):
    """Trains what comes from the Hub, and a classifier of other classes on it."""
    import tensorflow as tf
    import tensorflow_addons as tfa
    import tensorflow_hub as hub

    with np.load(inputs) as arrays:
        clips, targets = arrays["clips"], arrays["targets"]
    trunk = hub.KerasLayer(folder, trainable=True)
    before = trunk(clips).numpy()
    variables = {variable.name: variable.numpy() for variable in trunk.variables}
    classes = targets.shape[1]
    tf.keras.utils.set_random_seed(0)
    network = tf.keras.Sequential([trunk, tf.keras.layers.Dense(classes)])
    network.compile(
        tfa.optimizers.AdamW(weight_decay=1e-5, learning_rate=1e-3),
        tf.keras.losses.CategoricalCrossentropy(from_logits=True),
        metrics=[tfa.metrics.F1Score(classes, average="macro", name="f1")],
    )
    history = network.fit(clips, targets, batch_size=len(clips), epochs=8, verbose=0).history
    np.savez(outputs, before=before)
    moved = [
        float(np.abs(variable.numpy() - variables[variable.name]).max())
        for variable in trunk.variables
    ]
    return {
        "loss": history["loss"],
        "f1": history["f1"],
        "variables": len(variables),
        "trainable": len(trunk.trainable_variables),
        "moved": sum(change > 0 for change in moved),
    }


def records(folder, outputs):
    """Reads records without this package: field names of MediaSequence, and TensorFlow's parser."""
    import tensorflow as tf

    if "://" in folder:
        import tensorflow_io  # noqa: F401 - registers s3://
    names = sorted(tf.io.gfile.listdir(folder))
    paths = [f"{folder}/{name}" for name in names if name.endswith(".tfrecord")]
    found, frames = {}, {}
    for serialized in tf.data.TFRecordDataset(paths):
        context, pictures = tf.io.parse_single_sequence_example(
            serialized,
            {
                "clip/data_path": tf.io.FixedLenFeature((), tf.string),
                "clip/label/index": tf.io.FixedLenFeature((), tf.int64),
                "clip/label/string": tf.io.FixedLenFeature((), tf.string),
            },
            {
                "image/encoded": tf.io.FixedLenSequenceFeature((), tf.string),
                "image/timestamp": tf.io.FixedLenSequenceFeature((), tf.int64),
            },
        )
        label = context["clip/label/string"].numpy().decode()
        found[label] = [
            context["clip/data_path"].numpy().decode(),
            int(context["clip/label/index"]),
            pictures["image/timestamp"].numpy().tolist(),
        ]
        frames[label] = tf.map_fn(
            lambda jpeg: tf.io.decode_jpeg(jpeg, dct_method="INTEGER_ACCURATE"),
            pictures["image/encoded"],
            fn_output_signature=tf.uint8,
        ).numpy()
    np.savez(outputs, **frames)
    return found


if __name__ == "__main__":
    what, *arguments = sys.argv[1:]
    known = {"versions": versions, "serve": serve, "finetune": finetune, "records": records}
    print(json.dumps(known[what](*arguments)), flush=True)
    # tensorflow-io 0.35 to 0.37 abort in what they do after this, once they have read from S3:
    # https://github.com/tensorflow/io/issues/1912
    os._exit(0)
