"""SavedModel: raw frames in, labels out; run in a fresh interpreter before it gets its name.

https://www.tensorflow.org/guide/saved_model. Spec and labels lie in `assets/`.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

from kinetics_i3d.core.errors import ExportError
from kinetics_i3d.core.files import atomic_folder
from kinetics_i3d.core.progress import waiting
from kinetics_i3d.exporting import isolated_runner
from kinetics_i3d.exporting.signatures import class_names, feature_tensors, signatures
from kinetics_i3d.exporting.verify import Probe, compare


def export_saved_model(model, output, *, top=5, endpoints=None):
    """Writes a SavedModel that needs TensorFlow and nothing else.

    Args:
        model: A `ClipModel` that ends in logits.
        output: The folder to write; nothing, or an empty folder, may stand there.
        top: How many labels `serving_default` tells.
        endpoints: Activations that the signature `features` gives, such as `("Mixed_4f",)`; by
            default the one before the classifier.

    Returns:
        `output` as a `pathlib.Path`.

    Raises:
        ExportError: If the classes have no names, or the written model answers otherwise.
        UserError: If something stands at `output`.
        ValueError: If an endpoint is unknown.
    """
    output = pathlib.Path(output)
    with atomic_folder(output) as folder:
        write_saved_model(model, folder, top=top, endpoints=endpoints)
        verify_saved_model(model, folder, output=output, endpoints=endpoints)
    return output


def write_saved_model(model, folder, *, top=5, endpoints=None, extend=None):
    """Writes the files of `export_saved_model` into a folder, unverified.

    Args:
        model: A `ClipModel` that ends in logits.
        folder: Where to.
        top: As for `export_saved_model`.
        endpoints: As for `export_saved_model`.
        extend: A function that puts more onto the root object before it is saved.
    """
    import tensorflow as tf

    # Any trackable object would do; Hub's loader wants one that may have a `__call__`.
    root = tf.train.Checkpoint()
    root.model_variables = [variable.value for variable in model.variables]
    offered = signatures(model, top=top, endpoints=endpoints)
    if extend is not None:
        extend(root)
    with tempfile.TemporaryDirectory() as beside:
        root.descriptions = []
        for name, text in descriptions(model).items():
            path = pathlib.Path(beside, name)
            path.write_text(text, encoding="utf-8")
            root.descriptions.append(tf.saved_model.Asset(str(path)))
        tf.saved_model.save(root, str(folder), signatures=offered)


def descriptions(model):
    r"""{file name: text} of what an artifact says about itself.

    Args:
        model: A `ClipModel`.

    Returns:
        `labels.txt`, a class a line, and `clip_spec.json`: {stream: the fields of its `ClipSpec`
        and the fewest frames}.

    Example:

    >>> descriptions(model)["labels.txt"]
    'sit\nstand\n'
    """
    specs = {
        stream: {**spec.to_dict(), "minimum_frames": model.minimums[stream][0]}
        for stream, spec in model.clip_specs.items()
    }
    return {
        "labels.txt": "".join(f"{name}\n" for name in class_names(model)),
        "clip_spec.json": json.dumps(specs, indent=2) + "\n",
    }


def verify_saved_model(model, folder, *, output, endpoints=None, call=None):
    """Compares a SavedModel, run by a fresh interpreter without this package, with its model.

    Args:
        model: The `ClipModel` that it was made from.
        folder: The SavedModel.
        output: What to call it in an error.
        endpoints: As it was written with.
        call: The Keras model that its `__call__` shall answer like, if it has one.

    Returns:
        {"signature/output": the largest difference, of the largest value}.

    Raises:
        ExportError: If it cannot be run, or answers otherwise.
    """
    import keras

    probe = Probe.of(model)
    wanted = {"logits/logits": probe.ask(model)}
    wanted["float_clips/logits"] = wanted["logits/logits"]
    if len(model.clip_specs) == 1:
        wanted["default/default"] = wanted["logits/logits"]
    odds = np.exp(wanted["logits/logits"] - wanted["logits/logits"].max())
    wanted["serving_default/probabilities"] = odds / odds.sum()
    tensors = feature_tensors(model, endpoints)
    if tensors:
        features = probe.ask(keras.Model(model.input, tensors))
        wanted |= {f"features/{name}": value for name, value in features.items()}
    if call is not None:
        wanted["__call__/logits"] = probe.ask(call)
    inputs: dict = {}
    for name in {key.split("/")[0] for key in wanted}:
        given = probe.clips if name in ("float_clips", "default", "__call__") else probe.pixels
        inputs |= {f"{name}/{stream}": array for stream, array in given.items()}
    found = run_fresh(folder, inputs, output=output)
    off = {}
    for key, value in wanted.items():
        what = "logits" if key == "logits/logits" else key.replace("/", "'s ")
        off[key] = compare(found[key], value, what=what, path=output)
    best = np.asarray(class_names(model))[wanted["logits/logits"].argmax(-1)]
    if not (found["serving_default/labels"][:, 0] == best).all():
        raise ExportError(f"{output}: not written; another label would come first")
    return off


def run_fresh(artifact, inputs, *, output, program=isolated_runner):
    """What an artifact answers in an interpreter of its own.

    Args:
        artifact: A SavedModel, or what else `program` runs.
        inputs: {"signature/stream": array}.
        output: What to call it in an error.
        program: The module that is run; see `exporting.isolated_runner`.

    Returns:
        {"signature/output": array}.

    Raises:
        ExportError: If it fails, with the last line of what it said.
    """
    with tempfile.TemporaryDirectory() as beside:
        asked, answered = (os.path.join(beside, name) for name in ("asked.npz", "answered.npz"))
        np.savez(asked, **inputs)
        with waiting(f"checking {output}"):
            done = subprocess.run(
                [sys.executable, "-P", program.__file__, str(artifact), asked, answered],
                env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
                capture_output=True,
                text=True,
                check=False,
            )
        if done.returncode != 0:
            said = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise ExportError(f"{output}: not written; it does not run by itself ({said})")
        with np.load(answered) as arrays:
            return dict(arrays)
