"""Two-Stream Inflated 3D ConvNets for Keras: videos in, actions out.

The public names load their modules when they are first used, so that the import does no work. What
`.keras` files name is registered as soon as Keras is imported, so that `keras.models.load_model`
reads them.
"""

import importlib

from kinetics_i3d.core.import_hook import after_import

_PUBLIC = {
    "C3D": "models.c3d",
    "ClipSpec": "core.clip_spec",
    "ConvNetLSTM": "models.conv_net_lstm",
    "ExportError": "core.errors",
    "InceptionI3D": "models.inception_i3d",
    "InceptionV1": "models.inception_v1",
    "TrainConfig": "training.config",
    "TwoStream": "models.two_stream",
    "TwoStreamFused": "models.two_stream_fused",
    "TwoStreamI3D": "models.two_stream_i3d",
    "VideoError": "core.errors",
    "VideoFrames": "video.source",
    "WeightsError": "core.errors",
    "all_steps_loss": "models.conv_net_lstm",
    "classify": "inference.classify",
    "config_from_recipe": "training.recipes",
    "convert": "models.convert",
    "decode_predictions": "core.labels",
    "examine": "inference.doctor.examine",
    "export": "exporting.export",
    "extract_features": "inference.features",
    "feature_model": "models.features",
    "inflate": "models.inflation",
    "load_clip": "video.clip",
    "load_model": "models.load",
    "load_streams": "data.views",
    "optical_flow": "flow.compute",
    "optimize": "exporting.optimize",
    "read_frames": "video.reader",
    "save_weights": "models.pretrained",
    "show_progress": "core.progress",
    "set_input_checks": "models.value_checks",
    "start_from_images": "models.start_from_images",
    "train": "training.train",
    "video_info": "video.reader",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name):
    if name == "__version__":
        from importlib.metadata import version

        return version("kinetics-i3d")
    if name in _PUBLIC:
        return getattr(importlib.import_module(f"{__name__}.{_PUBLIC[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *_PUBLIC])


after_import("keras", lambda: importlib.import_module(f"{__name__}.models"))
