"""`extract_features`: the activations of a network along a video, with the times of each row.

Rows are computed from windows of frames that slide over the video, or in one pass over all of it.
The video is decoded once, in bounded memory.
"""

from kinetics_i3d.core.types import PathLike, Weights
from kinetics_i3d.inference.feature_options import (
    BATCH_FRAMES,
    WHOLE,
    FeatureOptions,
    Features,
)
from kinetics_i3d.inference.features import FeatureExtractor
from kinetics_i3d.inference.whole_video import WholeVideoExtractor
from kinetics_i3d.models.clip_model import ClipModel
from kinetics_i3d.video.video_frames import VideoFrames
from kinetics_i3d.weights import DEFAULT_WEIGHTS


def extract_features(
    video: PathLike | VideoFrames,
    weights: ClipModel | Weights | None = None,
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
    """Computes features of a video, with the times of each row.

    By default a row is a window of frames. With `window="whole"` it is a time step of one pass of
    the network over the whole video, as with `model.predict` on a single clip: the network runs
    over overlapping stretches, and time steps that depend on the borders of a stretch are left out.
    The video is read in bounded memory, whatever its length.

    Args:
        video: A local video file, optionally with a span (`talk.mp4#t=5,15`), a folder of numbered
            pictures, or `VideoFrames`. Flow is read from the file that `kinetics-i3d flow` has
            stored beside the video, or else computed.
        weights: Weights as `load_model` takes them, or a `ClipModel`, of rgb, of flow or of both
            streams: `"kinetics_jhmdb"` or `{"rgb": ..., "flow": ...}`. By default
            `rgb_kinetics400`.
        endpoint: The paper's name of an activation, such as `"Mixed_4f"`. `"AvgPool_0a_7x7"` with
            `pool="all"` gives the input of the classifier, averaged over time.
        pool: Axes to average over: `"all"`, time and space; `"spatial"`, space alone; or `"none"`.
        window: Frames of a window, or seconds as text: `"2.56s"`; or `"whole"`, for which the video
            is decoded twice, the first time to count its frames.
        stride: Frames from the beginning of a window to that of the next, or seconds as text. With
            `window="whole"` the stride is that of the endpoint: `stride`, `align` and `tail` must
            be left at their defaults.
        fps: Frames per second at which the video is sampled: a number, or `"source"` for the rate
            in the file's header, as in many public tools. None is the rate of the weights'
            `ClipSpec`, at which they were trained.
        align: `"start"`, the first window begins with the video; `"center"`, every `stride`-th
            frame has a window centered on it, for which the first and the last frame of the video
            are repeated beyond its ends. `center` is then the middle of that frame.
        views: Crops of each window: `"center"`; `"three_crop"`, three along the longer side;
            `"ten_crop"`, the center and the corners, each also mirrored. `metadata["views"]` names
            them in order.
        tail: How to handle the frames after the last full window: `"pad"` gives them a window that
            repeats the last frame, `"drop"` leaves them out, and `"overlap"` gives them a window
            that ends with the video. With `align="center"` no frames are left.
        short: How to handle a video that is shorter than a window: `"loop"` repeats it from its
            beginning, as in the paper, `"pad"` repeats its last frame, `"error"` raises an error.
            With `align="center"` its first and last frame are repeated, except for `"error"`.
        streams: `"rgb"`, `"flow"` or `"rgb,flow"`, which the weights must read; None for all.
        batch_frames: Maximum number of frames per call of the network; a larger number is faster
            and needs more memory. With `window="whole"` it is the maximum length of a stretch,
            which has to exceed the receptive field. Features do not depend on it.

    Returns:
        A `Features`, whose arrays are `features`, float32 (windows, channels) by default, and
        `start`, `end` and `center`, seconds of the source video. `pool` and `views` add axes:
        `(windows[, time[, height, width]][, views], channels)`. For two streams the channels of rgb
        precede those of flow: 2048 for a Two-Stream I3D. `metadata` contains the weights' names and
        digests, the clip specs, versions, `receptive_field` (of one time step of the endpoint, in
        frames and seconds) and `key`, a SHA-256 of everything that the features depend on.

    Raises:
        ValueError: If an argument is invalid; for an unknown endpoint similar names are listed.
        VideoError: If the video cannot be decoded, or is too short with `short="error"`.
        WeightsError: If the weights cannot be read, or read other streams.

    Example:

    >>> rows = ki3d.extract_features(folder / "video.mp4", folder / "mine.h5", window=16, stride=8)
    >>> rows.features.shape
    (3, 256)
    >>> [(float(start), float(end)) for start, end in zip(rows.start, rows.end)]
    [(0.0, 0.64), (0.32, 0.96), (0.64, 1.0)]

    Source: Carreira & Zisserman, CVPR 2017, section 2. The windows and crops are those that methods
    for temporal localization and anomaly detection use.
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
    """The `FeatureExtractor` of these `FeatureOptions`; `weights` may be `None`."""
    weights = DEFAULT_WEIGHTS[options.streams] if weights is None else weights
    extractor = WholeVideoExtractor if options.window == WHOLE else FeatureExtractor
    return extractor(weights, options)
