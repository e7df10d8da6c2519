"""A program that uses every public name; only mypy runs it, with the flags of `--strict`.

A call of a public function without types, and a wrong type, are errors there.
"""

import pathlib
from collections.abc import Generator
from typing import Any, assert_type

import numpy as np

import kinetics_i3d as ki3d

FOLDER = pathlib.Path("folder")
LABELS = ("sit", "stand")


def models() -> None:
    model = ki3d.InceptionI3D(weights="rgb_kinetics400", classes=400, dropout=0.5)
    ki3d.InceptionI3D(weights=None, include_top=False, pooling="avg", input_shape=(None, 9, 9, 3))
    images = ki3d.InceptionV1(weights="inception5h")
    both = ki3d.TwoStreamI3D(weights={"rgb": "a.h5", "flow": pathlib.Path("b.h5")})
    for system in (ki3d.ConvNetLSTM, ki3d.C3D, ki3d.TwoStream, ki3d.TwoStreamFused):
        system(classes=3)
    ki3d.feature_model(model, "Mixed_4f")
    ki3d.start_from_images(both, images)
    ki3d.save_weights(ki3d.inflate(images, classes=2), "mine.h5", labels=LABELS)
    ki3d.all_steps_loss(np.zeros((1, 2)), np.zeros((1, 3, 2)))
    assert_type(ki3d.set_input_checks(False), bool)
    assert_type(ki3d.set_bounded_decoder(False), bool)
    assert_type(ki3d.convert("mine.h5", FOLDER / "mine.pt"), pathlib.Path)
    assert_type(ki3d.export(model, "saved", to="savedmodel", top=2), pathlib.Path)
    assert_type(ki3d.list_weights(), list[str])
    loaded = ki3d.load_model(streams=("rgb", "flow"))
    assert_type(loaded, ki3d.ClipModel)
    ki3d.optimize(loaded, precision="bfloat16")
    ki3d.optimize("rgb_figures")
    ki3d.inflate("imagenet_slim", clip_spec="deepmind")


def videos() -> None:
    spec = ki3d.ClipSpec("small", fps=12.5, short_side=36, size=32)
    frames = ki3d.read_frames("video.mp4", fps=spec.fps)
    assert_type(frames, Generator[np.ndarray, None, None])
    memory = ki3d.VideoFrames(np.zeros((9, 48, 64, 3), np.uint8), fps=25)
    clip: np.ndarray = ki3d.load_clip(memory, spec=spec)
    flow: np.ndarray = ki3d.optical_flow(list(frames), method="tvl1")
    ki3d.load_streams("video.mp4", {"rgb": spec, "flow": spec.for_flow()})
    ki3d.load_streams("video.mp4", {"rgb": "deepmind", "flow": "deepmind_flow"})
    seconds: float | None = ki3d.video_info("video.mp4").duration
    with ki3d.show_progress(every=seconds):
        result = ki3d.classify(memory, "rgb_figures", top=3)
        assert_type(result, ki3d.Classification)
    for prediction in ki3d.watch(
        "rtsp://camera.local/live", "rgb_figures", every=0.5, reconnect=True
    ):
        assert_type(prediction, ki3d.LivePrediction)
        print(prediction.end, prediction.predictions, prediction.latency, prediction.dropped)
    print(result.predictions, ki3d.examine("video.mp4", spec=spec), clip.shape, flow.shape)
    assert_type(
        ki3d.decode_predictions(np.zeros((1, 2)), labels=LABELS), list[list[tuple[str, float]]]
    )
    ki3d.write_video("figure.mp4", ki3d.render_figure("wave", seed=1), fps=25)


def training() -> None:
    dataset = ki3d.open_dataset(ki3d.write_figures(FOLDER, train_per_action=2))
    assert_type(dataset, ki3d.Dataset)
    assert_type(ki3d.VideoDataset("none", (), ()).split("train"), ki3d.VideoDataset)
    config = ki3d.config_from_recipe("figures", epochs=2)
    assert_type(config, ki3d.TrainConfig)
    model = ki3d.train(dataset, config, FOLDER / "run", save_every=100)
    evaluation = ki3d.evaluate(model, dataset, split="test", cache=FOLDER / "logits")
    assert_type(evaluation, ki3d.Evaluation)
    ki3d.draw_confusion("confusion.png", evaluation.confusion(), dataset.labels)
    windows = ki3d.extract_features(FOLDER / "video.mp4", window="2.56s", pool="spatial")
    assert_type(windows, ki3d.Features)
    print(windows.features.shape, windows.start, windows.end)
    timeline = ki3d.classify_over_time("video.mp4", "rgb_figures", window="whole")
    assert_type(timeline, ki3d.Timeline)
    segments = ki3d.find_segments(timeline, threshold=0.3, min_length=2.0)
    assert_type(segments, list[ki3d.Segment])
    ki3d.draw_timeline(FOLDER / "timeline.png", timeline, segments)
    cam = ki3d.grad_cam("rgb_figures", "video.mp4", label="wave", endpoint="Mixed_5c")
    assert_type(cam, ki3d.GradCAM)
    ki3d.draw_grad_cam(FOLDER / "grad_cam.gif", cam)
    overlaid: np.ndarray = ki3d.overlay_heatmap(cam.frames, cam.heatmap, opacity=0.5)
    ki3d.draw_filmstrip(FOLDER / "strip.png", "video.mp4", ki3d.classify("video.mp4"))
    ki3d.draw_flow(FOLDER / "flow.mp4", "video.mp4", frames=50)
    ki3d.draw_kernels(FOLDER / "kernels.png", "rgb_figures")
    ki3d.draw_training_curves(FOLDER / "curves.png", [FOLDER / "run"])
    places: np.ndarray = ki3d.draw_embedding(
        FOLDER / "pca.png", [[1.0, 2.0], [2.0, 1.0]], labels=LABELS, videos=["a.mp4", "b.mp4"]
    )
    print(overlaid.shape, places.shape)
    protocol = ki3d.FVDProtocol("long", frames=128)
    features = ki3d.fvd_features(FOLDER / "real", protocol=protocol)
    assert_type(ki3d.VideoFeatures.load("features.npz"), ki3d.VideoFeatures)
    distance = ki3d.fvd(features, FOLDER / "generated", protocol=protocol, resamples=2)
    assert_type(distance, ki3d.FVDResult)
    settings = ki3d.FlowSettings("tvl1", parameters=ki3d.TVL1(warps=2))
    stored = ki3d.PrepareConfig(streams="flow,rgb", flow=settings, quality=90)
    records = ki3d.prepare(dataset, FOLDER / "records", stored, workers=2)
    assert_type(records, ki3d.Records)
    spec = ki3d.ClipSpec("small")
    augment = ki3d.augmentation("deepmind", color=False)
    clips: Any = ki3d.training_clips(dataset, spec=spec, frames=9, batch_size=2, augment=augment)
    print(clips)


ERRORS: tuple[type[Exception], ...] = (
    ki3d.DatasetError,
    ki3d.ExportError,
    ki3d.TrainingError,
    ki3d.TrainingStopped,
    ki3d.UserError,
    ki3d.VideoError,
    ki3d.WeightsError,
)
