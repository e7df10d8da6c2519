"""`PRESETS`: the feature formats of public tools."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Preset:
    """The feature format of a public tool.

    Args:
        options: Arguments of `extract_features`.
        source: The tool's file that reads or writes them.
        by_stream: Whether each stream has its own files, `NAME_rgb.npy` and `NAME_flow.npy`, beside
            `NAME_fps.npy` and `NAME_timestamps_ms.npy`.
        channels_first: Whether the channels are the first axis of the array.
    """

    options: dict
    source: str
    by_stream: bool = False
    channels_first: bool = False


_THUMOS = {"window": 16, "stride": 4, "fps": "source", "tail": "drop"}
PRESETS = {
    # The tool writes these files: the last average pool, averaged over time. A timestamp is that of
    # the frame after the window. Incomplete windows at the end are left out. The frame rate is that
    # of the file, unless its option extraction_fps is set.
    "video_features": Preset(
        {
            "endpoint": "AvgPool_0a_7x7",
            "window": 64,
            "stride": 64,
            "fps": "source",
            "tail": "drop",
        },
        "v-iashin/video_features: models/i3d/extract_i3d.py, utils/utils.py",
        by_stream=True,
    ),
    # (windows, 2048): feat_stride 4, num_frames 16, at the fps of each video in the annotations.
    "actionformer_thumos": Preset(
        _THUMOS,
        "happyharrycn/actionformer_release: configs/thumos_i3d.yaml, libs/datasets/thumos14.py",
    ),
    # (windows, 2048): feat_stride 16, num_frames 16, default_fps 25, files v_ID.npy.
    "actionformer_anet": Preset(
        {"window": 16, "stride": 16, "fps": 25, "tail": "drop"},
        "happyharrycn/actionformer_release: configs/anet_i3d.yaml, libs/datasets/anet.py",
    ),
    # (windows, channels): feature_stride 4, offset_frames 8; frames of the video.
    "opentad_thumos": Preset(
        _THUMOS,
        "sming256/OpenTAD: configs/_base_/datasets/thumos-14/features_i3d_pad.py, "
        "opentad/datasets/transforms/loading.py",
    ),
    # (windows, channels): feature_stride 16, offset_frames 8, fps 15, files v_ID.npy.
    "opentad_anet": Preset(
        {"window": 16, "stride": 16, "fps": 15, "tail": "drop"},
        "sming256/OpenTAD: configs/_base_/datasets/activitynet-1.3/features_tsp_pad.py",
    ),
    # (channels, frames): a column for each frame of the file, from the 21 frames around it; the
    # last average pool. At the ends of the video the first and the last frame are repeated.
    "mstcn": Preset(
        {
            "endpoint": "AvgPool_0a_7x7",
            "window": 21,
            "stride": 1,
            "fps": "source",
            "align": "center",
        },
        "yabufarha/ms-tcn: batch_gen.py; ahsaniqbal/Kinetics-FeatureExtractor: LazyLoader.cpp, "
        "extractor_lazy.py",
        channels_first=True,
    ),
    # (windows, 1024): 16 frames at 25 fps with a stride of one frame; the last window ends with the
    # video, and short videos repeat their last frame.
    "sign_language": Preset(
        {
            "endpoint": "AvgPool_0a_7x7",
            "window": 16,
            "stride": 1,
            "fps": 25,
            "tail": "overlap",
            "short": "pad",
        },
        "gulvarol/bsl1k: demo/demo.py",
    ),
    # (windows, 10, channels); test_10crop.py repeats each score for 16 frames of the file.
    "rtfm": Preset(
        {"window": 16, "stride": 16, "fps": "source", "views": "ten_crop", "tail": "drop"},
        "tianyu0207/RTFM: dataset.py, test_10crop.py",
    ),
}
