"""TensorFlow Hub's reusable SavedModel: prepared clips to logits or features, open to training.

The form: https://www.tensorflow.org/hub/reusable_saved_models.
"""

import pathlib

import keras
from keras import layers

from kinetics_i3d.core.errors import ExportError
from kinetics_i3d.core.files import atomic_folder
from kinetics_i3d.exporting.hub_page import hub_page
from kinetics_i3d.exporting.signatures import checked_values, feature_tensors
from kinetics_i3d.exporting.tensorflow import verify_saved_model, write_saved_model


def export_hub(model, output, *, include_top=True, top=5, endpoints=None, about=None):
    """Writes a reusable SavedModel for TensorFlow Hub, with its model card.

    Args:
        model: A `ClipModel` that ends in logits.
        output: The folder to write; nothing, or an empty folder, may stand there.
        include_top: Whether a call gives logits, or the mean of the grid before the classifier, for
            a classifier of other classes. The signatures are the same.
        top: How many labels `serving_default` tells.
        endpoints: Activations that the signature `features` gives.
        about: What the card says of the weights, see `exporting.origin`.

    Returns:
        `output` as a `pathlib.Path`.

    Raises:
        ExportError: If the classes have no names, the model has no grid before its classifier, or
            the written model answers otherwise.
        UserError: If something stands at `output`.
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
    """The model from clips to the mean of the grid before the classifier, joined of two streams.

    Args:
        model: A `ClipModel` that ends in logits.

    Returns:
        A `keras.Model` that shares its layers.

    Raises:
        ExportError: If it has no such grid.

    Example:

    >>> pooled_features(model).output_shape
    (None, 256)
    """
    grids = list(feature_tensors(model).values())
    if not grids:
        raise ExportError(f"{model.name}: has no grid of both streams; take include_top=True")
    means = [keras.ops.mean(grid, axis=tuple(range(1, len(grid.shape) - 1))) for grid in grids]
    return keras.Model(model.input, means[0] if len(means) == 1 else layers.Concatenate()(means))


def make_reusable(root, model, called):
    """Gives a root object what Hub's form asks for.

    Args:
        root: A `tf.train.Checkpoint`; a `tf.Module` has read-only properties of these names.
        model: The `ClipModel`, which says what clips are right.
        called: The Keras model that a call runs.
    """
    import tensorflow as tf

    @tf.function(autograph=False)
    def call(inputs, training=False):
        clips = inputs if isinstance(inputs, dict) else {model.clip_spec.stream: inputs}
        # Whoever loads it traces it anew for shapes that are known. Forgotten here, a wrong one is
        # refused by the graph in words, where TensorFlow would tell of dimensions deep inside.
        clips = {
            stream: tf.raw_ops.PlaceholderWithDefault(input=clip, shape=[None] * 5)
            for stream, clip in clips.items()
        }
        clips = checked_values(clips, model)
        return called(clips if len(clips) > 1 else next(iter(clips.values())), training=training)

    # Channels are left open: the graph's own complaint says what they should be.
    specs = {
        stream: tf.TensorSpec([None] * 5, tf.float32, name=stream) for stream in model.clip_specs
    }
    inputs = specs if len(specs) > 1 else next(iter(specs.values()))
    for training in (True, False):
        call.get_concrete_function(inputs, training=training)
    root.__call__ = call
    # Seeds of dropout are saved with the graph, but they are nobody's weights.
    root.variables = [variable.value for variable in called.weights]
    root.trainable_variables = [variable.value for variable in called.trainable_variables]
    root.regularization_losses = []  # the networks have none; decay is the optimizer's
