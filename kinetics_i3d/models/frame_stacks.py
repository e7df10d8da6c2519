"""`StackFrames` and `UnstackFrames`: clips as images, for image networks inside clip models.

Simonyan & Zisserman, "Two-Stream Convolutional Networks", NIPS 2014: flow frames as channels.
"""

import keras
from keras import layers, ops


@keras.saving.register_keras_serializable("kinetics_i3d")
class StackFrames(layers.Layer):
    """Cuts clips into stacks of frames, whose channels lie side by side as those of one image.

    Args:
        frames: Frames of a stack. 2 channels in 10 frames become 20: x0, y0, x1, y1, ...

    Returns:
        (batch * stacks, height, width, frames * channels) of clips (batch, stacks * frames, height,
        width, channels).
    """

    def __init__(self, frames=1, **kwargs):
        super().__init__(**kwargs)
        self.frames = frames

    def call(self, clips):
        _, _, height, width, channels = ops.shape(clips)
        images = ops.reshape(clips, (-1, self.frames, height, width, channels))
        if self.frames > 1:
            images = ops.transpose(images, (0, 2, 3, 1, 4))
        return ops.reshape(images, (-1, height, width, self.frames * clips.shape[-1]))

    def compute_output_shape(self, input_shape):
        batch, frames, height, width, channels = input_shape
        known = batch is not None and frames is not None
        count = batch * frames // self.frames if known else None
        return count, height, width, self.frames * channels

    def get_config(self):
        return {**super().get_config(), "frames": self.frames}


@keras.saving.register_keras_serializable("kinetics_i3d")
class UnstackFrames(layers.Layer):
    """Gives what an image network made of stacks back its axis of time.

    Args:
        frames: Frames of a stack, as in the `StackFrames` before the network.

    Returns:
        (batch, stacks, ...) of `[images, clips]`: (batch * stacks, ...) and the clips from which
        the stacks were cut.
    """

    def __init__(self, frames=1, **kwargs):
        super().__init__(**kwargs)
        self.frames = frames

    def call(self, inputs):
        images, clips = inputs
        stacks = ops.shape(clips)[1] // self.frames
        return ops.reshape(images, (-1, stacks, *ops.shape(images)[1:]))

    def compute_output_shape(self, input_shape):
        images, clips = input_shape
        stacks = None if clips[1] is None else clips[1] // self.frames
        return clips[0], stacks, *images[1:]

    def get_config(self):
        return {**super().get_config(), "frames": self.frames}


def per_stack(network, clips, *, stream, frames=1):
    """Runs an image network on every stack of frames of clips.

    Args:
        network: From images of `frames * channels` channels to anything.
        clips: Keras tensor (batch, stacks * frames, height, width, channels).
        stream: `"rgb"` or `"flow"`, for the layers' names.
        frames: Frames of a stack.

    Returns:
        Keras tensor (batch, stacks, ...).
    """
    images = StackFrames(frames, name=f"{stream}_stacks")(clips)
    return UnstackFrames(frames, name=f"{stream}_steps")([network(images), clips])
