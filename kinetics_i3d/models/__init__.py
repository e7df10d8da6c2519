"""The systems and their parts: Keras alone, on any of its backends.

Importing any of them registers the classes that `.keras` files of this package refer to;
`kinetics_i3d/__init__.py` imports this package as soon as Keras is imported.
"""

from kinetics_i3d.models import clip_model, conv_net_lstm, corrected_gradients, folding, layers

REGISTERED = (
    clip_model.ClipModel,
    conv_net_lstm.all_steps_loss,
    folding.Folded,
    layers.StackFrames,
    layers.UnstackFrames,
    corrected_gradients.Conv3D,
    corrected_gradients.MaxPooling3D,
    layers.LocalResponseNorm,
)
