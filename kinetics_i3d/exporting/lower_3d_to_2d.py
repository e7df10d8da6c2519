"""`flatten`: a model of clips as 2D operations on its frames, for runtimes that know images alone.

After the observation that a 3D kernel is a 2D one that reads several frames as channels; the forms
of the layers, and why they are exact, stand in `exporting.flat_layers`.
"""

import keras
from keras import layers, ops

from kinetics_i3d.core.errors import ExportError
from kinetics_i3d.exporting import flat_layers as forms
from kinetics_i3d.exporting.eight_bits import round_kernel
from kinetics_i3d.exporting.flat_layers import Unit
from kinetics_i3d.models.layers import LocalResponseNorm

# What a layer becomes, by its kind; the first that fits counts.
FORMS = {
    layers.Conv3D: forms.convolution,
    layers.Conv2D: forms.convolution,
    layers.Dense: forms.dense,
    layers.BatchNormalization: forms.normalization,
    layers.MaxPooling3D: forms.max_pool,
    layers.AveragePooling3D: forms.average_pool,
    layers.Concatenate: forms.concatenation,
    layers.GlobalAveragePooling3D: forms.global_mean,
    layers.LSTM: forms.recurrence,
    LocalResponseNorm: forms.response_norm,
}


class Flat(layers.Layer):
    """A layer without variables that answers as another one, for one clip of known size.

    Args:
        layer: The layer that it stands for.
        function: From Keras tensors to a tensor. Clips of a rank of 5 reach it, and leave it,
            without their batch: the frames as a batch of pictures.
    """

    def __init__(self, layer, function):
        super().__init__(name=layer.name, dtype="float32")
        # In a tuple: Keras would track the layer as a part of this one, with its variables.
        self._shape_of = (layer.compute_output_shape,)
        self._function = function

    def call(self, inputs, training=None, mask=None):
        # The last two are what some of the layers take in whose place it stands. Reshapes, unlike
        # indices, meet and vanish where the next layer begins as this one ends.
        clips = any(len(x.shape) == 5 for x in keras.tree.flatten(inputs))
        found = self._function(keras.tree.map_structure(_frames, inputs) if clips else inputs)
        return ops.reshape(found, (1, *found.shape)) if clips else found

    def compute_output_shape(self, input_shape):
        return self._shape_of[0](input_shape)


def _frames(clips):
    return ops.reshape(clips, clips.shape[1:])


def flatten(model, sizes, eight_bits=None):
    """Builds the flat twin of a model: weights become constants, batch norms parts of kernels.

    Args:
        model: A `ClipModel` of any system.
        sizes: {stream: (1, frames, height, width, channels)}.
        eight_bits: The `EightBits` that shall round its numbers, or `None`.

    Returns:
        A functional `keras.Model` of clips of these sizes, a dictionary of several streams, that
        answers as `model` does at test.

    Raises:
        ExportError: If it has a layer for which there is no 2D form.

    Example:

    >>> flatten(model, {"rgb": (1, 9, 32, 32, 3)}).count_params()
    0
    """
    inputs = {stream: keras.Input(batch_shape=size, name=stream) for stream, size in sizes.items()}
    units, absorbed = units_of(model, eight_bits)

    def twin(layer):
        if id(layer) in absorbed or isinstance(layer, layers.Dropout):
            return Flat(layer, lambda x: x)
        for kind, form in FORMS.items():
            if isinstance(layer, kind):
                return Flat(layer, form(layer, units.get(id(layer)) or Unit()))
        if getattr(layer, "weights", ()):
            raise ExportError(
                f"{model.name}: {layer.name} ({type(layer).__name__}) has no form in 2D"
            )
        return type(layer).from_config(layer.get_config())

    return keras.models.clone_model(
        model,
        input_tensors=inputs if isinstance(model.input, dict) else next(iter(inputs.values())),
        clone_function=twin,
        recursive=True,
    )


def units_of(model, eight_bits=None):
    """What belongs to the layers with kernels; the layers of a unit share a name.

    Args:
        model: A functional model.
        eight_bits: As for `flatten`.

    Returns:
        ({id of a layer: its `Unit`}, ids of the norms and ReLUs that are part of one).
    """
    units: dict = {}
    absorbed: set = set()
    inside = {layer.name: layer for layer in model.layers}
    joins = [layer for layer in model.layers if isinstance(layer, layers.Concatenate)]
    joined = {id(part): layer for layer in joins for part in layer.input}
    for name, layer in inside.items():
        if hasattr(layer, "layers"):
            deeper = units_of(layer, eight_bits)
            units |= deeper[0]
            absorbed |= deeper[1]
        stem, _, kind = name.rpartition("_")
        if kind in ("conv", "dense"):
            norm, relu = inside.get(f"{stem}_bn"), inside.get(stem)
        elif isinstance(layer, LocalResponseNorm):
            norm, relu = None, layer
        elif isinstance(layer, (layers.Conv2D, layers.Conv3D)):
            norm = relu = None  # a classifier, of whose answers the mean is taken
        else:
            continue
        units[id(layer)] = unit = Unit(norm, relu)
        absorbed |= {id(each) for each in (norm, relu) if each not in (None, layer)}
        if eight_bits is not None:
            unit.rounded = eight_bits.kernel
            unit.prepared, unit.exact = round_kernel, eight_bits.is_late
            unit.place = eight_bits.place(id(joined.get(id((relu or layer).output), layer)))
            if relu is None:  # means come before it, and have more than 8 bits
                unit.entrance = eight_bits.place(("before", id(layer)))
    return units, absorbed
