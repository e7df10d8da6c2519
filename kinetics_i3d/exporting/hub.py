"""TensorFlow Hub's reusable SavedModel: prepared clips to logits or features, trainable.

See https://www.tensorflow.org/hub/reusable_saved_models. Kaggle Models hosts such models.
"""

import json
import pathlib

import keras
from keras import layers

from kinetics_i3d.core.errors import ExportError
from kinetics_i3d.core.files import atomic_folder
from kinetics_i3d.exporting.card_metadata import kaggle_fields
from kinetics_i3d.exporting.model_card import input_table, model_card
from kinetics_i3d.exporting.tensorflow import (
    check_values,
    feature_tensors,
    verify_saved_model,
    write_saved_model,
)

_USAGE = """\
{head} Model format

A SavedModel for TensorFlow 2 in TensorFlow Hub's reusable form; no custom operations.

{head} Model inputs

A call takes prepared clips, {clips}. The graph itself refuses clips with too few frames, and values
that are not scaled or not finite.{table}

{head} Model outputs

{outputs}

{head} Model usage

```python
import tensorflow_hub as hub

{fed} = hub.load("{path}")({given})
```

In Keras 3: `keras.layers.TFSMLayer("{path}", call_endpoint="__call__")`, which cannot be trained.

These signatures take raw frames, uint8 of any size and number, and resize, crop and scale them:
`serving_default` (labels, scores, probabilities) and `logits`{features}. `float_clips` takes
prepared clips.

```python
signatures = hub.load("{path}").signatures
signatures["serving_default"]({raw})["labels"]
```

{head} Fine-tuning

With Keras 2 (TensorFlow 2.15 and older), or with tf_keras on newer ones:

```python
layer = hub.KerasLayer("{path}", trainable=True)
{fed} = layer({given})
```

Batch norm's statistics follow the new data while Keras trains the layer and are fixed otherwise.
"""


def export_hub(model, output, *, include_top=True, top=5, endpoints=None, about=None):
    """Writes a reusable SavedModel for TensorFlow Hub, with its model card.

    Args:
        model: A `ClipModel` that ends in logits.
        output: The folder to write; it must be empty, or not exist.
        include_top: Whether a call returns logits; otherwise it returns the mean of the last grid
            before the classifier, for a classifier of other classes. The signatures are the same.
        top: Number of labels that `serving_default` returns.
        endpoints: Activations that the signature `features` returns.
        about: Texts for the card, see `model_card.provenance`.

    Returns:
        `output` as a `pathlib.Path`.

    Raises:
        ExportError: If the classes have no names, the model has no grid before its classifier, or
            the outputs of the artifact differ.
        UserError: If `output` exists.
        ValueError: If an endpoint is unknown.
    """
    output = pathlib.Path(output)
    called = model if include_top else pooled_features(model)
    with atomic_folder(output) as folder:
        write_saved_model(
            model,
            folder,
            top=top,
            endpoints=endpoints,
            extend=lambda root: make_reusable(root, model, called),
        )
        verify_saved_model(model, folder, output=output, endpoints=endpoints, call=called)
        for name, text in hub_page(model, called, about=about).items():
            (folder / name).write_text(text, encoding="utf-8")
    return output


def pooled_features(model):
    """The model from clips to the mean of the last grid; the means of two streams are joined.

    The result is a `keras.Model` that shares the layers of `model`.

    Raises:
        ExportError: If the model has no such grid.
    """
    grids = list(feature_tensors(model).values())
    if not grids:
        raise ExportError(f"{model.name}: has no feature map of both streams; use include_top=True")
    means = [keras.ops.mean(grid, axis=tuple(range(1, len(grid.shape) - 1))) for grid in grids]
    return keras.Model(model.input, means[0] if len(means) == 1 else layers.Concatenate()(means))


def make_reusable(root, model, called):
    """Adds the attributes of a reusable SavedModel to a root object.

    Args:
        root: A `tf.train.Checkpoint`; a `tf.Module` has read-only properties of these names.
        model: The `ClipModel`, which defines the clips.
        called: The Keras model that a call runs.
    """
    import tensorflow as tf

    @tf.function(autograph=False)
    def call(inputs, training=False):
        clips = inputs if isinstance(inputs, dict) else {model.clip_spec.stream: inputs}
        # A loader traces this function again for static shapes. They are made unknown here, so that
        # a wrong shape fails in the graph's own assertions, not in some inner layer.
        clips = {
            stream: tf.raw_ops.PlaceholderWithDefault(input=clip, shape=[None] * 5)
            for stream, clip in clips.items()
        }
        clips = check_values(clips, model)
        return called(clips if len(clips) > 1 else next(iter(clips.values())), training=training)

    # The number of channels is open, so that the graph's own error states the required number.
    specs = {
        stream: tf.TensorSpec([None] * 5, tf.float32, name=stream) for stream in model.clip_specs
    }
    inputs = specs if len(specs) > 1 else next(iter(specs.values()))
    for training in (True, False):
        call.get_concrete_function(inputs, training=training)
    root.__call__ = call
    # The dropout seeds are saved with the graph, but they are not weights.
    root.variables = [variable.value for variable in called.weights]
    root.trainable_variables = [variable.value for variable in called.trainable_variables]
    root.regularization_losses = []  # the networks have none; weight decay is the optimizer's


def hub_page(model, called, *, about=None):
    """The files beside a reusable SavedModel.

    Args:
        model: A `ClipModel` that ends in logits.
        called: The Keras model that a call of the SavedModel runs.
        about: Texts for the card, see `model_card.provenance`.

    Returns:
        {file name: text}: `README.md`, the model card; `model-metadata.json` and
        `model-instance-metadata.json`, which `kaggle models create` and `kaggle models instances
        create` read once the values that begin with INSERT are filled in.
    """
    about = about or {}
    usage = _usage(model, called, path="PATH/TO/THIS/FOLDER", head="###")
    card = model_card(model, about=about, usage=usage)
    gives = f"logits of {model.output_shape[-1]} classes" if called is model else "features"
    page, instance = kaggle_fields(
        {"name": model.name, **about},
        description=card,
        instance={
            "instanceSlug": "logits" if called is model else "features",
            "framework": "tensorFlow2",
            "overview": f"Reusable SavedModel: clips to {gives}",
            "usage": _usage(model, called, path="${PATH}", head="#", table=input_table(model)),
            "fineTunable": True,
        },
    )
    return {
        "README.md": card,
        "model-metadata.json": json.dumps(page, indent=2) + "\n",
        "model-instance-metadata.json": json.dumps(instance, indent=2) + "\n",
    }


def _usage(model, called, *, path, head, table=""):
    """How the artifact is loaded from `path`, with headings that begin with `head`."""
    specs = model.clip_specs
    shapes = [
        f"{stream} as float32 (batch, frames, {spec.size}, {spec.size}, {spec.channels})"
        for stream, spec in specs.items()
    ]
    two_streams, gives_logits = len(specs) > 1, called is model
    meaning = (
        f"logits; {model.activation} gives probabilities"
        if gives_logits
        else "the mean of the last grid"
    )
    return _USAGE.format(
        head=head,
        clips=" and ".join(shapes),
        table=table and f"\n\n{table.strip()}",
        outputs=f"float32 (batch, {called.output_shape[-1]}): {meaning}.",
        fed="logits" if gives_logits else "features",
        path=path,
        given='{"rgb": rgb_clips, "flow": flow_clips}' if two_streams else "clips",
        raw="rgb=frames, flow=codes" if two_streams else f"{next(iter(specs))}=frames",
        features=" and `features`" if feature_tensors(model) else "",
    )
