"""TensorFlow's SavedModel: raw frames in, labels out, by signatures.

https://www.tensorflow.org/guide/saved_model. Inputs are named by their streams; the spec and the
labels are in `assets/`.
"""

import pathlib
import tempfile

import keras
import numpy as np

from kinetics_i3d.core.errors import ExportError
from kinetics_i3d.core.files import atomic_folder
from kinetics_i3d.core.labels import ACTIVATIONS
from kinetics_i3d.core.types import check_count
from kinetics_i3d.exporting.graph_preprocessing import (
    check_clips,
    frames_to_clips,
    quantized_flow_to_clips,
    require,
)
from kinetics_i3d.exporting.model_card import class_names, descriptions, model_card
from kinetics_i3d.exporting.verify import ParityInputs, check_parity, run_in_subprocess
from kinetics_i3d.models.clip_model import fixed_size
from kinetics_i3d.models.systems import system_of

_USAGE = """\
A SavedModel for TensorFlow 2, without custom operations. These signatures take raw frames, uint8
of any size and number, and resize, crop and scale them: `serving_default` (labels, scores and
probabilities) and `logits`{features}. `float_clips` takes prepared clips.

```python
import tensorflow as tf

signatures = tf.saved_model.load("PATH/TO/THIS/FOLDER").signatures
signatures["serving_default"]({inputs})["labels"]
```
"""


def export_saved_model(model, output, *, top=5, endpoints=None, about=None):
    """Writes a SavedModel that needs TensorFlow and nothing else, with its model card.

    Args:
        model: A `ClipModel` that ends in logits.
        output: The folder to write; it must be empty, or not exist.
        top: Number of labels that `serving_default` returns.
        endpoints: Activations that the signature `features` returns, such as `("Mixed_4f",)`; by
            default the one before the classifier.
        about: Texts for the card, see `model_card.provenance`.

    Returns:
        `output` as a `pathlib.Path`.

    Raises:
        ExportError: If the classes have no names, or the outputs of the artifact differ.
        UserError: If `output` exists.
        ValueError: If an endpoint is unknown.
    """
    output = pathlib.Path(output)
    with atomic_folder(output) as folder:
        write_saved_model(model, folder, top=top, endpoints=endpoints)
        verify_saved_model(model, folder, output=output, endpoints=endpoints)
        usage = _USAGE.format(
            features=" and `features`" if feature_tensors(model, endpoints) else "",
            inputs=", ".join(f"{stream}={stream}_frames" for stream in model.clip_specs),
        )
        card = model_card(model, about=about, usage=usage)
        (folder / "README.md").write_text(card, encoding="utf-8")
    return output


def write_saved_model(model, folder, *, top=5, endpoints=None, extend=None):
    """Writes a SavedModel without verifying it; `extend(root)` may add to the root object first."""
    import tensorflow as tf

    # Any trackable object would do, but the loader of TensorFlow Hub needs one that may have a
    # `__call__`.
    root = tf.train.Checkpoint()
    root.model_variables = [variable.value for variable in model.variables]
    functions = signatures(model, top=top, endpoints=endpoints)
    if extend is not None:
        extend(root)
    with tempfile.TemporaryDirectory() as assets:
        root.descriptions = []
        for name, text in descriptions(model).items():
            path = pathlib.Path(assets, name)
            path.write_text(text, encoding="utf-8")
            root.descriptions.append(tf.saved_model.Asset(str(path)))
        tf.saved_model.save(root, str(folder), signatures=functions)


def verify_saved_model(model, folder, *, output, endpoints=None, call=None):
    """Compares a SavedModel with its model.

    Args:
        model: The `ClipModel`.
        folder: The SavedModel.
        output: Its final path, for errors.
        endpoints: As it was written with.
        call: The Keras model that its `__call__` must reproduce, if it has one.

    Raises:
        ExportError: If it cannot be run, or its outputs differ.
    """
    noise = ParityInputs.noise(model)
    logits = noise.run_model(model)
    expected = {
        "logits/logits": logits,
        "float_clips/logits": logits,
        "serving_default/probabilities": ACTIVATIONS[model.activation](logits),
    }
    if len(model.clip_specs) == 1:
        expected["default/default"] = logits
    tensors = feature_tensors(model, endpoints)
    if tensors:
        features = noise.run_model(keras.Model(model.input, tensors))
        expected |= {f"features/{name}": value for name, value in features.items()}
    if call is not None:
        expected["__call__/logits"] = noise.run_model(call)
    inputs: dict = {}
    for name in {key.split("/")[0] for key in expected}:
        takes_values = name in ("float_clips", "default", "__call__")
        arrays = noise.clips if takes_values else noise.pixels
        inputs |= {f"{name}/{stream}": array for stream, array in arrays.items()}
    actual = run_in_subprocess(folder, inputs, runtime="saved_model", output=output)
    for key, value in expected.items():
        what = "logits" if key == "logits/logits" else key.replace("/", "'s ")
        check_parity(actual[key], value, what=what, path=output)
    best = np.asarray(class_names(model))[logits.argmax(-1)]
    if not (actual["serving_default/labels"][:, 0] == best).all():
        raise ExportError(f"{output}: not written; its top label differs from the Keras model's")


def feature_tensors(model, endpoints=None):
    """{output name: Keras tensor} of activations inside a model.

    Args:
        model: A `ClipModel`.
        endpoints: Names of activations. In a Two-Stream I3D they are looked up in each stream, and
            the outputs have names such as `"flow_Mixed_5c"`. By default the one before the
            classifier.

    Raises:
        ValueError: If there is no such activation.
    """
    system = system_of(model)
    if isinstance(endpoints, str):
        raise ValueError(f"`endpoints` must be a list of names. Received: endpoints={endpoints!r}")
    endpoints = system.endpoints if endpoints is None else tuple(endpoints)
    by_stream = system.is_separate
    tensors = {}
    for endpoint in endpoints:
        for stream, network in model.streams.items() if by_stream else (("", model),):
            if endpoint not in [layer.name for layer in network.layers]:
                raise ValueError(
                    f"`endpoints` must name activations of {model.name}, such as "
                    f"{system.endpoints}. Received: {endpoint!r}"
                )
            backbone = keras.Model(network.input, network.get_layer(endpoint).output)
            tensor = backbone(model.input[stream] if by_stream else model.input)
            tensors[f"{stream}_{endpoint}" if by_stream else endpoint] = tensor
    return tensors


def signatures(model, *, top, endpoints):
    """The concrete functions of a SavedModel, by name.

    `serving_default`, `logits` and, where there are endpoints, `features` take raw frames, uint8
    (batch, frames, height, width, channels) of any size and number, and 8-bit flow. `float_clips`
    takes prepared clips. So does `default`, of models of one stream: the names of its input and
    output are those of TensorFlow Hub's own I3D and of its tutorial.

    Raises:
        ExportError: If the classes have no names.
        ValueError: If an endpoint is unknown.
    """
    import tensorflow as tf

    names = class_names(model)
    check_count("top", top)
    count = min(top, len(names))
    tensors = feature_tensors(model, endpoints)
    backbone = keras.Model(model.input, tensors) if tensors else None

    activation = {"softmax": tf.nn.softmax, "sigmoid": tf.nn.sigmoid}[model.activation]

    def run(network, clips):
        return network(clips if len(clips) > 1 else next(iter(clips.values())), training=False)

    def ranked(logits):
        probabilities = activation(logits)
        scores, best = tf.math.top_k(probabilities, k=count)
        labels = tf.gather(tf.constant(names), best)
        return {"probabilities": probabilities, "labels": labels, "scores": scores}

    def serving_default(**frames):
        return ranked(run(model, _preprocess(frames, model)))

    def logits(**frames):
        return {"logits": run(model, _preprocess(frames, model))}

    def features(**frames):
        return run(backbone, _preprocess(frames, model))

    def float_clips(**clips):
        logits = run(model, check_values(clips, model))
        return {"logits": logits, **ranked(logits)}

    def default(**clips):
        return {"default": run(model, check_values(clips, model))}

    dtypes = {serving_default: tf.uint8, logits: tf.uint8, float_clips: tf.float32}
    if tensors:
        dtypes[features] = tf.uint8
    if len(model.clip_specs) == 1:
        dtypes[default] = tf.float32
    functions = {}
    for function, dtype in dtypes.items():
        # The number of channels is open, so that the graph's own error states the required number.
        specs = {
            stream: tf.TensorSpec([None] * 5, dtype, name=stream) for stream in model.clip_specs
        }
        traced = tf.function(function, autograph=False)
        functions[function.__name__] = traced.get_concrete_function(**specs)
    return functions


def _preprocess(frames, model):
    """{stream: raw frames or 8-bit flow} to {stream: clips that the model reads}, checked."""
    import tensorflow as tf

    clips = {}
    for stream, pixels in check_clips(frames, model).items():
        spec = model.clip_specs[stream]
        pixels = tf.ensure_shape(pixels, [None] * 4 + [spec.channels])
        to_clips = frames_to_clips if stream == "rgb" else quantized_flow_to_clips
        clips[stream] = _check_fixed_size(to_clips(pixels, spec), model, stream)
    return clips


def check_values(clips, model):
    """{stream: prepared clips} with assertions on their size and their values."""
    import tensorflow as tf

    checked = {}
    for stream, clip in check_clips(clips, model).items():
        spec, minimum = model.clip_specs[stream], model.minimums[stream][1:]
        shape = tf.shape(clip)
        size = f"{stream} must be {minimum[0]} x {minimum[1]} pixels or more."
        # A resize in floats may overshoot, but not by half the range. NaN fails this comparison.
        distance = tf.abs(clip - (spec.low + spec.high) / 2)
        scaled = f"{stream} must be scaled to {spec.low:g} to {spec.high:g}, and finite."
        extremes = tf.stack([tf.reduce_min(clip), tf.reduce_max(clip)])
        checks = [
            require(tf.reduce_all(shape[2:4] >= minimum), size, shape),
            require(tf.reduce_all(distance <= spec.high - spec.low), scaled, extremes),
        ]
        with tf.control_dependencies(checks):
            clip = tf.ensure_shape(tf.identity(clip), [None] * 4 + [spec.channels])
        checked[stream] = _check_fixed_size(clip, model, stream)
    return checked


def _check_fixed_size(clip, model, stream):
    import tensorflow as tf

    fixed = fixed_size(model, stream)
    text = f"{stream} must be {' x '.join(str(side or 'any') for side in fixed)}."
    checks = [
        require(tf.shape(clip)[axis] == side, text, tf.shape(clip))
        for axis, side in enumerate(fixed, 1)
        if side is not None
    ]
    with tf.control_dependencies(checks):
        return tf.ensure_shape(tf.identity(clip), (None, *fixed, clip.shape[-1]))
