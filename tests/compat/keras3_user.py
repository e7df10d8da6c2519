"""What people do in Python who have TensorFlow 2.16 or later and Keras 3.

`python keras3_user.py WHAT ARGUMENTS...`, in the environments of Keras 3. The last line is JSON.
"""

import ast
import json
import pathlib
import re
import sys

import numpy as np


def versions(*names):
    import importlib.metadata

    return [importlib.metadata.version(name) for name in names]


def modules():
    """Imports every module of the package, and touches every public name."""
    import importlib
    import pkgutil

    import kinetics_i3d as ki3d

    names = [module.name for module in pkgutil.walk_packages(ki3d.__path__, "kinetics_i3d.")]
    names = [name for name in names if not name.endswith("__main__")]
    for name in names:
        importlib.import_module(name)
    return [len(names), len([getattr(ki3d, name) for name in ki3d.__all__])]


def flow(inputs, outputs):
    """Optical flow of some frames by every backend of TV-L1."""
    import kinetics_i3d as ki3d

    frames = np.load(inputs)
    found = {
        backend: ki3d.optical_flow(frames, backend=backend, workers=1)
        for backend in ("numba", "tensorflow", "opencv")
    }
    np.savez(outputs, **found)
    return sorted(found)


def formats(weights):
    """Weights in every format that is written, and as what serves."""
    import kinetics_i3d as ki3d

    names = ("mine.keras", "mine.weights.h5", "mine.safetensors", "mine.pt")
    converted = [ki3d.convert(weights, name).name for name in names]
    return converted, [ki3d.export(weights, form, to=form).name for form in ("savedmodel", "hub")]


def layer(saved, hub_form, inputs, outputs):
    """A SavedModel as a layer of Keras 3, and the Hub's form as one of tf_keras, trained on."""
    import keras
    import tensorflow_hub as hub
    import tf_keras

    with np.load(inputs) as arrays:
        clips, targets = arrays["clips"], arrays["targets"]
    served = keras.layers.TFSMLayer(saved, call_endpoint="float_clips")(clips[:1])
    trunk = hub.KerasLayer(hub_form, trainable=True)
    before = np.asarray(trunk(clips))
    tf_keras.utils.set_random_seed(0)
    network = tf_keras.Sequential([trunk, tf_keras.layers.Dense(targets.shape[1])])
    network.compile("adam", tf_keras.losses.CategoricalCrossentropy(from_logits=True))
    history = network.fit(clips, targets, batch_size=len(clips), epochs=8, verbose=0).history
    np.savez(outputs, logits=np.asarray(served["logits"]), before=before)
    return history["loss"]


def card(folder, inputs):
    """Runs the Python of the card of the Hub's form; the shapes of its logits and labels."""
    with np.load(inputs) as arrays:
        clips = arrays["clips"][:1]
    names = {"clips": clips, "frames": ((clips + 1) * 127.5).astype(np.uint8)}
    text = pathlib.Path(folder, "README.md").read_text(encoding="utf-8")
    shapes = []
    for block in re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        *lines, last = ast.parse(block.replace("PATH/TO/THIS/FOLDER", folder)).body
        exec(compile(ast.Module(lines, []), "card", "exec"), names)
        value = eval(compile(ast.Expression(last.value), "card", "eval"), names)
        shapes.append(list(np.shape(value)))
    return shapes


if __name__ == "__main__":
    what, *arguments = sys.argv[1:]
    known = {
        "versions": versions,
        "modules": modules,
        "flow": flow,
        "formats": formats,
        "layer": layer,
        "card": card,
    }
    print(json.dumps(known[what](*arguments)))
