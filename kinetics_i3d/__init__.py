"""Two-Stream Inflated 3D ConvNets for Keras: videos in, actions out.

The public names load their modules when they are first used, so that the import does no work. The
objects that `.keras` files refer to are registered as soon as Keras is imported, so that
`keras.models.load_model` can read them.
"""

import importlib
from typing import TYPE_CHECKING, Any

from kinetics_i3d.core.import_hook import after_import

if TYPE_CHECKING:  # what `__getattr__` loads, for type checkers
    from kinetics_i3d.core.clip_spec import ClipSpec as ClipSpec
    from kinetics_i3d.core.errors import DatasetError as DatasetError
    from kinetics_i3d.core.errors import ExportError as ExportError
    from kinetics_i3d.core.errors import UserError as UserError
    from kinetics_i3d.core.errors import VideoError as VideoError
    from kinetics_i3d.core.errors import WeightsError as WeightsError
    from kinetics_i3d.core.labels import decode_predictions as decode_predictions
    from kinetics_i3d.core.progress import show_progress as show_progress
    from kinetics_i3d.data.dataset import Dataset as Dataset
    from kinetics_i3d.data.datasets import open_dataset as open_dataset
    from kinetics_i3d.data.pipeline import augmentation as augmentation
    from kinetics_i3d.data.pipeline import training_clips as training_clips
    from kinetics_i3d.data.records.prepare import PrepareConfig as PrepareConfig
    from kinetics_i3d.data.records.prepare import prepare as prepare
    from kinetics_i3d.data.records.reader import Records as Records
    from kinetics_i3d.data.video_dataset import VideoDataset as VideoDataset
    from kinetics_i3d.data.views import load_streams as load_streams
    from kinetics_i3d.evaluation.fvd import FVDResult as FVDResult
    from kinetics_i3d.evaluation.fvd import fvd as fvd
    from kinetics_i3d.evaluation.fvd_features import fvd_features as fvd_features
    from kinetics_i3d.evaluation.fvd_protocols import FVDProtocol as FVDProtocol
    from kinetics_i3d.evaluation.fvd_protocols import VideoFeatures as VideoFeatures
    from kinetics_i3d.evaluation.plots import draw_confusion as draw_confusion
    from kinetics_i3d.evaluation.protocols import evaluate as evaluate
    from kinetics_i3d.evaluation.result import Evaluation as Evaluation
    from kinetics_i3d.exporting.export import export as export
    from kinetics_i3d.figures.generate import write_figures as write_figures
    from kinetics_i3d.figures.render import render_figure as render_figure
    from kinetics_i3d.flow.compute import optical_flow as optical_flow
    from kinetics_i3d.flow.settings import TVL1 as TVL1
    from kinetics_i3d.flow.settings import FlowSettings as FlowSettings
    from kinetics_i3d.inference.classify import Classification as Classification
    from kinetics_i3d.inference.classify import classify as classify
    from kinetics_i3d.inference.classify import draw_filmstrip as draw_filmstrip
    from kinetics_i3d.inference.doctor import examine as examine
    from kinetics_i3d.inference.extract_features import extract_features as extract_features
    from kinetics_i3d.inference.feature_options import Features as Features
    from kinetics_i3d.inference.optimize import optimize as optimize
    from kinetics_i3d.inference.timeline import Segment as Segment
    from kinetics_i3d.inference.timeline import Timeline as Timeline
    from kinetics_i3d.inference.timeline import classify_over_time as classify_over_time
    from kinetics_i3d.inference.timeline import find_segments as find_segments
    from kinetics_i3d.inference.timeline_picture import draw_timeline as draw_timeline
    from kinetics_i3d.inference.watch import LivePrediction as LivePrediction
    from kinetics_i3d.inference.watch import watch as watch
    from kinetics_i3d.models.c3d import C3D as C3D
    from kinetics_i3d.models.clip_model import ClipModel as ClipModel
    from kinetics_i3d.models.conv_net_lstm import ConvNetLSTM as ConvNetLSTM
    from kinetics_i3d.models.conv_net_lstm import all_steps_loss as all_steps_loss
    from kinetics_i3d.models.convert import convert as convert
    from kinetics_i3d.models.inception_i3d import InceptionI3D as InceptionI3D
    from kinetics_i3d.models.inception_v1 import InceptionV1 as InceptionV1
    from kinetics_i3d.models.inflation import inflate as inflate
    from kinetics_i3d.models.inflation import start_from_images as start_from_images
    from kinetics_i3d.models.input_checks import set_input_checks as set_input_checks
    from kinetics_i3d.models.load import feature_model as feature_model
    from kinetics_i3d.models.load import load_model as load_model
    from kinetics_i3d.models.pretrained import save_weights as save_weights
    from kinetics_i3d.models.two_stream import TwoStream as TwoStream
    from kinetics_i3d.models.two_stream_fused import TwoStreamFused as TwoStreamFused
    from kinetics_i3d.models.two_stream_i3d import TwoStreamI3D as TwoStreamI3D
    from kinetics_i3d.training.config import TrainConfig as TrainConfig
    from kinetics_i3d.training.errors import TrainingError as TrainingError
    from kinetics_i3d.training.errors import TrainingStopped as TrainingStopped
    from kinetics_i3d.training.recipes import config_from_recipe as config_from_recipe
    from kinetics_i3d.training.train import train as train
    from kinetics_i3d.video.clip import load_clip as load_clip
    from kinetics_i3d.video.limits import set_bounded_decoder as set_bounded_decoder
    from kinetics_i3d.video.reader import read_frames as read_frames
    from kinetics_i3d.video.reader import video_info as video_info
    from kinetics_i3d.video.video_frames import VideoFrames as VideoFrames
    from kinetics_i3d.video.writer import write_video as write_video
    from kinetics_i3d.visualization.embedding import draw_embedding as draw_embedding
    from kinetics_i3d.visualization.flow_frames import draw_flow as draw_flow
    from kinetics_i3d.visualization.grad_cam import GradCAM as GradCAM
    from kinetics_i3d.visualization.grad_cam import draw_grad_cam as draw_grad_cam
    from kinetics_i3d.visualization.grad_cam import grad_cam as grad_cam
    from kinetics_i3d.visualization.grad_cam import overlay_heatmap as overlay_heatmap
    from kinetics_i3d.visualization.kernels import draw_kernels as draw_kernels
    from kinetics_i3d.visualization.training_curves import (
        draw_training_curves as draw_training_curves,
    )
    from kinetics_i3d.weights.read import list_weights as list_weights

# {public name: module that defines it}
_PUBLIC = {
    "C3D": "models.c3d",
    "Classification": "inference.classify",
    "ClipModel": "models.clip_model",
    "ClipSpec": "core.clip_spec",
    "ConvNetLSTM": "models.conv_net_lstm",
    "Dataset": "data.dataset",
    "DatasetError": "core.errors",
    "Evaluation": "evaluation.result",
    "ExportError": "core.errors",
    "FVDProtocol": "evaluation.fvd_protocols",
    "FVDResult": "evaluation.fvd",
    "Features": "inference.feature_options",
    "FlowSettings": "flow.settings",
    "GradCAM": "visualization.grad_cam",
    "InceptionI3D": "models.inception_i3d",
    "InceptionV1": "models.inception_v1",
    "LivePrediction": "inference.watch",
    "PrepareConfig": "data.records.prepare",
    "Records": "data.records.reader",
    "Segment": "inference.timeline",
    "TVL1": "flow.settings",
    "Timeline": "inference.timeline",
    "TrainConfig": "training.config",
    "TrainingError": "training.errors",
    "TrainingStopped": "training.errors",
    "TwoStream": "models.two_stream",
    "TwoStreamFused": "models.two_stream_fused",
    "TwoStreamI3D": "models.two_stream_i3d",
    "UserError": "core.errors",
    "VideoDataset": "data.video_dataset",
    "VideoError": "core.errors",
    "VideoFeatures": "evaluation.fvd_protocols",
    "VideoFrames": "video.video_frames",
    "WeightsError": "core.errors",
    "all_steps_loss": "models.conv_net_lstm",
    "augmentation": "data.pipeline",
    "classify": "inference.classify",
    "classify_over_time": "inference.timeline",
    "config_from_recipe": "training.recipes",
    "convert": "models.convert",
    "decode_predictions": "core.labels",
    "draw_confusion": "evaluation.plots",
    "draw_embedding": "visualization.embedding",
    "draw_filmstrip": "inference.classify",
    "draw_flow": "visualization.flow_frames",
    "draw_grad_cam": "visualization.grad_cam",
    "draw_kernels": "visualization.kernels",
    "draw_timeline": "inference.timeline_picture",
    "draw_training_curves": "visualization.training_curves",
    "evaluate": "evaluation.protocols",
    "examine": "inference.doctor",
    "export": "exporting.export",
    "extract_features": "inference.extract_features",
    "feature_model": "models.load",
    "find_segments": "inference.timeline",
    "fvd": "evaluation.fvd",
    "fvd_features": "evaluation.fvd_features",
    "grad_cam": "visualization.grad_cam",
    "inflate": "models.inflation",
    "list_weights": "weights.read",
    "load_clip": "video.clip",
    "load_model": "models.load",
    "load_streams": "data.views",
    "open_dataset": "data.datasets",
    "optical_flow": "flow.compute",
    "optimize": "inference.optimize",
    "overlay_heatmap": "visualization.grad_cam",
    "prepare": "data.records.prepare",
    "read_frames": "video.reader",
    "render_figure": "figures.render",
    "save_weights": "models.pretrained",
    "set_bounded_decoder": "video.limits",
    "set_input_checks": "models.input_checks",
    "show_progress": "core.progress",
    "start_from_images": "models.inflation",
    "train": "training.train",
    "training_clips": "data.pipeline",
    "video_info": "video.reader",
    "watch": "inference.watch",
    "write_figures": "figures.generate",
    "write_video": "video.writer",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("kinetics-i3d")
    if name in _PUBLIC:
        return getattr(importlib.import_module(f"{__name__}.{_PUBLIC[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])


after_import("keras", lambda: importlib.import_module(f"{__name__}.models"))
