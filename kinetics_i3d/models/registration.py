"""Imports every class and function that `.keras` files of this package name, which registers them.

The import of `kinetics_i3d.models` does so, which `kinetics_i3d/__init__.py` makes follow Keras'.
"""

from kinetics_i3d.models import clip_model, conv_net_lstm, folding, frame_stacks, layers

REGISTERED = (
    clip_model.ClipModel,
    conv_net_lstm.all_steps_loss,
    folding.Folded,
    frame_stacks.StackFrames,
    frame_stacks.UnstackFrames,
    layers.Conv3D,
    layers.LocalResponseNorm,
)
