"""Runs a SavedModel's signatures in an interpreter that cannot import this package.

A program of its own: `python -P isolated_runner.py FOLDER INPUTS.npz OUTPUTS.npz`, where arrays are
called `signature/stream` and `signature/output`. It imports TensorFlow and NumPy alone.
"""

import sys


def run(folder, inputs, outputs):
    """Answers every input with the signature that it names.

    Args:
        folder: The SavedModel.
        inputs: Path of an `.npz` with arrays `signature/stream`.
        outputs: Path of the `.npz` to write, arrays `signature/output`; text as Unicode.
    """
    import numpy as np
    import tensorflow as tf

    asked: dict = {}
    with np.load(inputs) as arrays:
        for key in arrays.files:
            name, stream = key.split("/")
            asked.setdefault(name, {})[stream] = tf.constant(arrays[key])
    model = tf.saved_model.load(folder)
    answers = {}
    for name, given in asked.items():
        if name == "__call__":
            clips = given if len(given) > 1 else next(iter(given.values()))
            found = {"logits": model(clips)}
        else:
            found = model.signatures[name](**given)
        for key, value in found.items():
            array = value.numpy()
            if array.dtype == object:  # text
                array = np.char.decode(array.astype("S"), "utf-8")
            answers[f"{name}/{key}"] = array
    np.savez(outputs, **answers)


if __name__ == "__main__":
    sys.modules["kinetics_i3d"] = None  # an import of it fails from here on
    run(*sys.argv[1:])
