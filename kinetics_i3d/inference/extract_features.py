"""`extract_features`: the activations of a network along a video, each row with its seconds.

By windows of frames that slide over the video, or in one pass over all of it. The video is decoded
once, in bounded memory.
"""

from kinetics_i3d.core.types import PathLike, Weights
from kinetics_i3d.inference.convolutional import WholeVideoExtractor
from kinetics_i3d.inference.feature_options import (
    BATCH_FRAMES,
    WHOLE,
    FeatureOptions,
    Features,
)
from kinetics_i3d.inference.features import FeatureExtractor
from kinetics_i3d.models.clip_model import ClipModel
from kinetics_i3d.video.video_frames import VideoFrames


def extract_features(
    video: PathLike | VideoFrames,
    weights: ClipModel | Weights = "rgb_kinetics400",
    *,
    endpoint: str = "Mixed_5c",
    pool: str = "all",
    window: int | str = 64,
    stride: int | str = 16,
    fps: float | str | None = None,
    align: str = "start",
    views: str = "center",
    tail: str = "pad",
    short: str = "loop",
    streams: str | None = None,
    batch_frames: int = BATCH_FRAMES,
) -> Features:
    """Computes features of a video, with the seconds of each row.

    By default a row is a window of frames. With `window="whole"` it is a time step of one pass of
    the network over the whole video, as of `model.predict` on a single clip: the network runs over
    stretches that overlap by its receptive field, and what the borders of a stretch change is left
    out. The video is read in bounded memory, whatever its length.

    Args:
        video: A local video file, with a span behind it or not (`talk.mp4#t=5,15`), a folder of
            numbered pictures, or `VideoFrames`. Flow is read from the file beside the video where
            `kinetics-i3d flow` has left one, else computed.
        weights: Weights as `load_model` takes them, or a `ClipModel`, of rgb, of flow or of both
            streams: `"kinetics_jhmdb"` or `{"rgb": ..., "flow": ...}`.
        endpoint: The paper's name of an activation, such as `"Mixed_4f"`. `"AvgPool_0a_7x7"` with
            `pool="all"` gives what the classifier reads, averaged over time.
        pool: What is averaged: `"all"`, time and space; `"spatial"`, space alone; or `"none"`.
        window: Frames of a window, or seconds as text: `"2.56s"`; or `"whole"`, for which the video
            is decoded twice, the first time to count its frames.
        stride: Frames from the beginning of a window to that of the next, or seconds as text. With
            `window="whole"` it is that of the endpoint, and `align` and `tail` do not apply either.
        fps: Frames a second at which the video is sampled: a number, or `"source"` for the rate
            that the file's header tells, as many public tools do. None is the rate of the weights'
            `ClipSpec`, which they were trained at.
        align: `"start"`, the first window begins with the video; `"center"`, every `stride`-th
            frame has a window centred on it, for which the first and the last frame of the video
            are repeated beyond its ends. `center` is the middle of that frame then.
        views: Crops of each window: `"center"`; `"three_crop"`, along the longer side;
            `"ten_crop"`, the centre and the corners, each as it is and mirrored.
            `metadata["views"]` names them in order.
        tail: What becomes of the frames after the last whole window: `"pad"` gives them a window
            that repeats the last frame, `"drop"` leaves them out, and `"overlap"` gives them a
            window that ends with the video. With `align="center"` no frames are left.
        short: What becomes of a video that is shorter than a window: `"loop"` repeats it from its
            beginning, as the paper does, `"pad"` repeats its last frame, `"error"` refuses it.
            With `align="center"` its first and last frame are repeated, unless it is refused.
        streams: `"rgb"`, `"flow"` or `"rgb,flow"`, one of those of the weights; None is all.
        batch_frames: Frames of a network call at most: in bounded memory, more frames are faster.
            With `window="whole"` the length of a stretch, more than the receptive field. Features
            do not depend on it.

    Returns:
        A `Features`, whose arrays are `features`, float32 (windows, channels) by default, and
        `start`, `end` and `center`, seconds of the source video. `pool` and `views` add axes:
        `(windows[, time[, height, width]][, views], channels)`. Of two streams the channels of rgb
        come first, then those of flow: 2048 of a Two-Stream I3D. `metadata` holds the weights'
        names and digests, the clip specs, versions, `receptive_field` (of one time step of the
        endpoint, in frames and seconds) and `key`, a sha256 of all that the features depend on.

    Raises:
        ValueError: If an argument is wrong; of an unknown endpoint near names are listed.
        VideoError: If the video cannot be decoded, or is too short with `short="error"`.
        WeightsError: If the weights cannot be read, or read other streams.

    Example:

    >>> rows = ki3d.extract_features(folder / "video.mp4", folder / "mine.h5", window=16, stride=8)
    >>> rows.features.shape
    (3, 256)
    >>> [(float(start), float(end)) for start, end in zip(rows.start, rows.end)]
    [(0.0, 0.64), (0.32, 0.96), (0.64, 1.0)]

    Source: Carreira & Zisserman, CVPR 2017, section 2; the windows and crops are those that
    temporal localisation and anomaly detection read.
    """
    options = FeatureOptions(
        endpoint=endpoint,
        pool=pool,
        window=window,
        stride=stride,
        fps=fps,
        align=align,
        views=views,
        tail=tail,
        short=short,
        streams=streams,
        batch_frames=batch_frames,
    )
    return make_extractor(weights, options).extract(video)


def make_extractor(weights, options):
    """The `FeatureExtractor` of these `FeatureOptions`."""
    extractor = WholeVideoExtractor if options.window == WHOLE else FeatureExtractor
    return extractor(weights, options)
