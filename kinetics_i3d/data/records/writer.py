"""`encode_video`: encodes a video as the bytes of one record.

The fields are those of MediaSequence, https://github.com/google-ai-edge/mediapipe
(`util/sequence`). Flow is stored as by its `FlowToImageCalculator`, but rounded by default instead
of truncated.
"""

import contextlib

import numpy as np

from kinetics_i3d.core.errors import VideoError
from kinetics_i3d.data.records.reader import DATA_PATH, LABEL_INDEX, LABEL_NAME, PREFIX
from kinetics_i3d.flow.compute import read_both
from kinetics_i3d.video.reader import read_frames

MICROSECONDS = 1_000_000
MAX_BYTES = 2**31 - 2**20  # of the pictures of a record; protobuf is limited to 2 GiB


def encode_video(video, *, name, labels, config, stop=None):
    """Encodes a video as the bytes of its record, see `make_record`; None if stopped.

    Args:
        video: A `Video`.
        name: Its name in the record.
        labels: Class names in order.
        config: A `PrepareConfig`.
        stop: A `threading.Event` that stops the encoding.

    Raises:
        VideoError: If it cannot be decoded, has a single frame although flow is needed, or is too
            long for a record.
    """
    spec, flow = config.spec, config.flow
    if "flow" in config.streams:
        pairs = read_both(video.location, spec=spec, settings=flow, workers=1)
    else:
        pairs = ((frame, None) for frame in read_frames(video.location, **spec.reading))
    jpegs: dict = {stream: [] for stream in config.streams}
    size, total = None, 0
    with contextlib.closing(pairs):
        for frame, motion in pairs:
            if stop is not None and stop.is_set():
                return None
            size = frame.shape[:2]
            if "rgb" in jpegs:
                jpegs["rgb"].append(encode_frame(frame, quality=config.quality))
                total += len(jpegs["rgb"][-1])
            if motion is not None:
                quantized = flow.quantize(motion)
                jpegs["flow"].append(encode_flow_frame(quantized, quality=config.flow_quality))
                total += len(jpegs["flow"][-1])
            if total > MAX_BYTES:
                raise VideoError(f"{video.path}: too long for a record (more than 2 GiB)")
    if "flow" in jpegs and not jpegs["flow"]:
        raise VideoError(f"{video.path}: a single frame, which has no flow")
    return make_record(
        jpegs,
        size=size,
        fps=spec.fps,
        classes=video.classes,
        name=name,
        labels=labels,
        bound=flow.bound,
    )


def encode_frame(frame, *, quality):
    """Encodes a uint8 RGB picture (height, width, 3) as JPEG, with colors at half resolution."""
    import tensorflow as tf

    with tf.device("/CPU:0"):
        return tf.io.encode_jpeg(frame, "rgb", quality=quality).numpy()


def encode_flow_frame(quantized, *, quality):
    """Encodes quantized flow (height, width, 2) as JPEG: x is red, y green, as in MediaPipe.

    Colors have full resolution: at half resolution, edges of moving objects would be off by up to
    3 pixels. On real videos, with a bound of 20, JPEG adds 0.05 pixels on average at any quality
    from 95, since its color conversion changes a value by up to one. The worst error is 2 pixels
    at 95, 1 at 98, and 0.7 at 100, for almost twice the bytes.
    """
    import tensorflow as tf

    picture = np.concatenate([quantized, np.zeros_like(quantized[..., :1])], axis=-1)
    with tf.device("/CPU:0"):
        jpeg = tf.io.encode_jpeg(picture, "rgb", quality=quality, chroma_downsampling=False)
        return jpeg.numpy()


def make_record(jpegs, *, size, fps, classes, name, labels, bound=None):
    """The bytes of a `tf.train.SequenceExample`, which depend only on the arguments.

    Args:
        jpegs: {stream: list of JPEG bytes}.
        size: (height, width) of every picture.
        fps: Frames a second.
        classes: The video's classes, some of `labels`.
        name: The video's path in the dataset.
        labels: Class names in order.
        bound: Pixels of flow that 0 and 255 stand for, if there is flow.
    """
    import tensorflow as tf

    example = tf.train.SequenceExample()
    context, lists = example.context.feature, example.feature_lists.feature_list
    context[LABEL_INDEX].int64_list.value.extend(labels.index(label) for label in classes)
    context[LABEL_NAME].bytes_list.value.extend(label.encode() for label in classes)
    context[DATA_PATH].bytes_list.value.append(name.encode(errors="surrogateescape"))
    for stream, pictures in jpegs.items():
        prefix = PREFIX[stream]
        context[f"{prefix}format"].bytes_list.value.append(b"JPEG")
        context[f"{prefix}height"].int64_list.value.append(size[0])
        context[f"{prefix}width"].int64_list.value.append(size[1])
        context[f"{prefix}channels"].int64_list.value.append(3)  # of the JPEG, for flow too
        context[f"{prefix}frame_rate"].float_list.value.append(fps)
        if stream == "flow":
            context[f"{prefix}saturation"].float_list.value.append(bound)
        encoded, stamps = lists[f"{prefix}encoded"], lists[f"{prefix}timestamp"]
        for index, jpeg in enumerate(pictures):
            encoded.feature.add().bytes_list.value.append(jpeg)
            time = round(index * MICROSECONDS / fps)
            stamps.feature.add().int64_list.value.append(time)
    # Protobuf maps have no defined order.
    return example.SerializeToString(deterministic=True)
