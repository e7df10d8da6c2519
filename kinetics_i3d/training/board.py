"""What a run writes for TensorBoard: scalars, and strips of the clips that it is shown.

By hand: the functions of tf.summary need TensorBoard installed where the run is.
"""

import numpy as np


def event_writer(folder):
    """A function (step, {name: value}) that writes scalars for TensorBoard.

    Args:
        folder: Where to.
    """
    import tensorflow as tf

    writer = tf.summary.create_file_writer(str(folder))

    def write(step, values):
        with writer.as_default(step=step):
            for name, value in values.items():
                number = tf.constant(value, tf.float32)
                tf.summary.write(name, number, metadata=_kind("scalars", "DATA_CLASS_SCALAR"))
        writer.flush()

    return write


def write_clips(folder, clips, *, count=4, frames=8):
    """Writes some clips of a batch, as the network sees them, a strip of frames each.

    Args:
        folder: Where to.
        clips: (batch, frames, height, width, channels), -1 to 1, or a dictionary of streams.
        count: At most so many clips.
        frames: At most so many frames of each, evenly spread.
    """
    import tensorflow as tf

    if not isinstance(clips, dict):
        clips = {"rgb" if clips.shape[-1] == 3 else "flow": clips}
    writer = tf.summary.create_file_writer(str(folder))
    with writer.as_default(step=0):
        for stream, part in clips.items():
            strips = [strip(clip, frames) for clip in np.asarray(part[:count], np.float32)]
            height, width, _ = strips[0].shape
            pictures = [tf.io.encode_png(each).numpy() for each in strips]
            tf.summary.write(
                f"clips/{stream}",
                tf.constant([str(width).encode(), str(height).encode(), *pictures]),
                metadata=_kind("images", "DATA_CLASS_BLOB_SEQUENCE"),
            )
    writer.close()


def strip(clip, frames):
    """Frames of a clip side by side.

    Args:
        clip: float32 array (frames, height, width, 3), or (..., 2) of flow, whose x becomes red and
            y green; -1 to 1.
        frames: At most so many, evenly spread.

    Returns:
        uint8 array (height, frames * width, 3).

    Example:

    >>> strip(np.zeros((9, 20, 30, 2), np.float32), frames=4).shape
    (20, 120, 3)
    """
    chosen = np.linspace(0, len(clip) - 1, min(frames, len(clip))).astype(int)
    pixels = np.clip(np.rint((clip[chosen] + 1) * 127.5), 0, 255).astype(np.uint8)
    if pixels.shape[-1] == 2:
        pixels = np.pad(pixels, [(0, 0)] * 3 + [(0, 1)], constant_values=128)
    return np.concatenate(list(pixels), axis=1)


def _kind(plugin, data):
    import tensorflow as tf

    kind = tf.compat.v1.SummaryMetadata(data_class=data)
    kind.plugin_data.plugin_name = plugin
    return kind
