"""Public functions called with an argument of another kind: one sentence, no raw error."""

import functools

import numpy as np
import pytest
import short_network

import kinetics_i3d as ki3d
from kinetics_i3d.core.clip_spec import DEEPMIND, DEEPMIND_FLOW, MEDIAPIPE
from kinetics_i3d.video.writer import write_video

SMALL = ki3d.ClipSpec("small", short_side=36, size=32)

CONSTRUCTORS = (
    *("InceptionV1", "InceptionI3D", "TwoStreamI3D", "ConvNetLSTM", "C3D", "TwoStream"),
    "TwoStreamFused",
)
CALLS = {
    "open_dataset(0)": (lambda folder: ki3d.open_dataset(0), "`path` must be the path.*: int"),
    "open_dataset(None)": (lambda folder: ki3d.open_dataset(None), "`path` must be the path"),
    "load_model(0)": (lambda folder: ki3d.load_model(0), "`weights` must be a name.*: int"),
    "evaluate(0)": (lambda folder: ki3d.evaluate(0, folder), "`model` must be a ClipModel"),
    "evaluate(..., 0)": (
        lambda folder: ki3d.evaluate("rgb_figures", 0),
        "`path` must be the path",
    ),
    "inflate(list)": (
        lambda folder: ki3d.inflate(["imagenet_inception5h"]),
        "`model` must be an image model.*Received: list",
    ),
    "convert(array)": (
        lambda folder: ki3d.convert(np.zeros(3), folder / "x.h5"),
        "`source` must be a name or a path",
    ),
    "train(config as a dictionary)": (
        lambda folder: ki3d.train(folder, {"epochs": 1}, folder / "run"),
        "`config` must be a TrainConfig",
    ),
    "train(None)": (
        lambda folder: ki3d.train(None, ki3d.TrainConfig(), folder / "run"),
        "`path` must be the path",
    ),
    "prepare(config as a dictionary)": (
        lambda folder: ki3d.prepare(folder, folder / "out", {"quality": 90}),
        "`config` must be a PrepareConfig",
    ),
    "training_clips(path)": (
        lambda folder: ki3d.training_clips(
            folder, spec=ki3d.ClipSpec("x"), frames=9, batch_size=1, augment=None
        ),
        r"`source` must be a Dataset, such as open_dataset\(path\)",
    ),
    "fvd(None)": (
        lambda folder: ki3d.fvd(None, None),
        "videos must be a folder or a list of files.*NoneType",
    ),
    "InceptionI3D(weights=list)": (
        lambda folder: ki3d.InceptionI3D(weights=[np.zeros(3)]),
        "`weights` must be a name or a path of weights. Received: list",
    ),
    "InceptionI3D(weights=0)": (lambda folder: ki3d.InceptionI3D(weights=0), "Received: int"),
    **{
        f"{system}(classes=0)": (
            lambda folder, system=system: getattr(ki3d, system)(classes=0),
            "`classes` must be a whole number above 0. Received: classes=0",
        )
        for system in CONSTRUCTORS
    },
    "ClipSpec(0)": (lambda folder: ki3d.ClipSpec(0), "`name` must be a string. Received: name=0"),
    "ClipSpec(fps=text)": (lambda folder: ki3d.ClipSpec("x", fps="25"), "`fps` must be a number"),
    "ClipSpec(size=None)": (
        lambda folder: ki3d.ClipSpec("x", size=None),
        "`size` must be a number. Received: size=None",
    ),
    "save_weights(labels=text)": (
        lambda folder: ki3d.save_weights(small_model(), folder / "x.h5", labels="sit"),
        "`labels` must be a list of class names. Received: labels='sit'",
    ),
    "save_weights(labels=dictionary)": (
        lambda folder: ki3d.save_weights(small_model(), folder / "x.h5", labels={0: "a"}),
        "`labels` must be a list of class names",
    ),
    "save_weights(clip_spec=dictionary)": (
        lambda folder: ki3d.save_weights(small_model(), folder / "x.h5", clip_spec={"fps": 25}),
        "`clip_specs` must be {stream: ClipSpec of that stream}. Received: {'fps': 25}",
    ),
    "save_weights(clip_spec=name)": (
        lambda folder: ki3d.save_weights(small_model(), folder / "x.h5", clip_spec="deepmnd"),
        "`clip_spec` must be a ClipSpec, .*'deepmind', .*clip_spec='deepmnd'. Did you mean 'deepm",
    ),
    "decode_predictions(top=0)": (
        lambda folder: ki3d.decode_predictions([[0.0, 1.0]], labels=("a", "b"), top=0),
        "`top` must be a whole number above 0, or None. Received: top=0",
    ),
    "decode_predictions(top=text)": (
        lambda folder: ki3d.decode_predictions([[0.0, 1.0]], labels=("a", "b"), top="5"),
        "`top` must be a whole number above 0, or None. Received: top='5'",
    ),
    "find_segments(path)": (
        lambda folder: ki3d.find_segments("timeline.jsonl"),
        r"`timeline` must be a result of classify_over_time\(\). Received: str",
    ),
    "draw_timeline(rows)": (
        lambda folder: ki3d.draw_timeline(folder / "x.png", [(0.0, 1.0, "sit")]),
        "`timeline` must be a result of classify_over_time",
    ),
    "draw_timeline(path, segments)": (
        lambda folder: ki3d.draw_timeline(folder / "x.png", "video.mp4", segments=[]),
        "`timeline` must be a result of classify_over_time",
    ),
    "draw_grad_cam(video)": (
        lambda folder: ki3d.draw_grad_cam(folder / "x.png", folder / "a.mp4"),
        r"`cam` must be a result of grad_cam\(\)",
    ),
    "draw_filmstrip(predictions)": (
        lambda folder: ki3d.draw_filmstrip(folder / "x.png", folder / "a.mp4", (("sit", 1.0),)),
        r"`classification` must be a result of classify\(\). Received: tuple",
    ),
    "grad_cam(list)": (
        lambda folder: ki3d.grad_cam("rgb_figures", [str(folder / "a.mp4")]),
        "`clips` must be a path, VideoFrames, or a clip",
    ),
    "grad_cam(None)": (
        lambda folder: ki3d.grad_cam("rgb_figures", None),
        "`clips` must be a path, VideoFrames, or a clip .*Received: NoneType",
    ),
    "start_from_images(names)": (
        lambda folder: ki3d.start_from_images("rgb_figures", "imagenet_inception5h"),
        "`model` must be a model of this package. Received: str",
    ),
    "feature_model(None)": (
        lambda folder: ki3d.feature_model(small_model(), None),
        "`endpoint` must name an activation",
    ),
    "extract_features(endpoint=list)": (
        lambda folder: ki3d.extract_features(
            folder / "a.mp4", "rgb_figures", endpoint=["Mixed_4f"]
        ),
        "`endpoint` must name an activation",
    ),
    "extract_features(streams=0)": (
        lambda folder: ki3d.extract_features(folder / "a.mp4", "rgb_figures", streams=0),
        "`streams` must be 'rgb', 'flow' or 'rgb,flow'. Received: streams=0",
    ),
    "extract_features(window=huge)": (
        lambda folder: ki3d.extract_features(folder / "a.mp4", "rgb_figures", window=10**9),
        "`window` must be at most 20000 frames",
    ),
    "classify_over_time(window=hours)": (
        lambda folder: ki3d.classify_over_time(folder / "a.mp4", "rgb_figures", window="36000s"),
        "`window` must be at most 20000 frames",
    ),
    "optical_flow(path)": (
        lambda folder: ki3d.optical_flow("video.mp4"),
        r"`frames` must be frames, such as read_frames\(path\)",
    ),
    **{
        f"training_clips({argument})": (
            lambda folder, options=options: training_clips(folder, **options),
            message,
        )
        for argument, options, message in (
            ("mixup=-1", {"mixup": -1}, "`mixup` must be at least 0. Received: mixup=-1"),
            ("mixup=nan", {"mixup": np.nan}, "`mixup` must be finite"),
            ("mixup=True", {"mixup": True}, "`mixup` must be a number"),
            ("start=(-1, 0)", {"start": (-1, 0)}, "`start` must be a whole number, 0 or more"),
            ("start=(0, -1)", {"start": (0, -1)}, "`start` must be a whole number, 0 or more"),
            ("start=3", {"start": 3}, r"`start` must be \(examples, batches\) to skip"),
            ("frames=0", {"frames": 0}, "`frames` must be a whole number above 0"),
            ("frames=text", {"frames": "9"}, "`frames` must be a whole .*frames='9'"),
            ("batch_size=0", {"batch_size": 0}, "`batch_size` must be a whole number above 0"),
            ("workers=-3", {"workers": -3}, "`workers` must be a whole number above 0"),
            ("workers=0", {"workers": 0}, "`workers` must be a whole number above 0"),
            ("seed=1.5", {"seed": 1.5}, "`seed` must be a whole number"),
            ("seed=large", {"seed": 2**63}, r"`seed` must be below 2\*\*63"),
            ("shard=3", {"shard": 3}, r"`shard` must be \(index, count\) with .* shard=3"),
            ("shard=(2, 2)", {"shard": (2, 2)}, r"`shard` must be \(index, count\)"),
            ("shard of texts", {"shard": ("0", "2")}, r"`shard` must be \(index, count\)"),
            ("spec=unknown", {"spec": "deepmnd"}, "`spec` must be a ClipSpec, .*'deepmnd'"),
            ("spec=0", {"spec": 0}, "`spec` must be a ClipSpec, .*Received: spec=0"),
            ("streams=flow", {"streams": "flow"}, r"^`spec` must be for the streams \('flow',\)"),
            ("augment=None", {"augment": None}, "`augment` must be a function"),
        )
    },
    "hold_out(above 1)": (
        lambda folder: ki3d.VideoDataset("none", (), ()).hold_out(1.5),
        "`fraction` must be 0 to 1. Received: fraction=1.5",
    ),
    "hold_out(below 0)": (
        lambda folder: ki3d.VideoDataset("none", (), ()).hold_out(-0.1),
        "`fraction` must be 0 to 1",
    ),
    "hold_out(nan)": (
        lambda folder: ki3d.VideoDataset("none", (), ()).hold_out(np.nan),
        "`fraction` must be 0 to 1. Received: fraction=nan",
    ),
    "hold_out(text)": (
        lambda folder: ki3d.VideoDataset("none", (), ()).hold_out("0.2"),
        "`fraction` must be 0 to 1. Received: fraction='0.2'",
    ),
    **{
        f"augmentation(area={area!r})": (
            lambda folder, area=area: ki3d.augmentation("deepmind", area=area),
            r"`area` must be two fractions \(low, high\) with 0 < low <= high <= 1",
        )
        for area in ((0, 1), (0.5, 2), (0.9, 0.1), (0.5,), 0.5, "12", (np.nan, 1.0), (True, True))
    },
    **{
        f"save_weights(about={about!r})": (
            lambda folder, about=about: ki3d.save_weights(
                small_model(), folder / "x.h5", about=about
            ),
            "`about` must be a dictionary",
        )
        for about in (3, 0, [1], [], "x", "")
    },
    "train(about=list)": (
        lambda folder: ki3d.train(folder, ki3d.TrainConfig(), folder / "run", about=[1]),
        "`about` must be a dictionary",
    ),
    "train(about=model)": (
        lambda folder: ki3d.train(folder, ki3d.TrainConfig(), folder / "run", about={"a": int}),
        r"`about` must be JSON-serializable \(",
    ),
    "train(weights_labels=3)": (
        lambda folder: ki3d.train(folder, ki3d.TrainConfig(), folder / "run", weights_labels=3),
        "`weights_labels` must be a list of class names. Received: weights_labels=3",
    ),
    "train(output=None)": (
        lambda folder: ki3d.train(folder, ki3d.TrainConfig(), None),
        "`output` must be a path. Received: output=None",
    ),
    "train(save_every=text)": (
        lambda folder: ki3d.train(folder, ki3d.TrainConfig(), folder / "run", save_every="x"),
        "`save_every` must be a whole number above 0. Received: save_every='x'",
    ),
    "ClipSpec(fps=inf)": (lambda folder: ki3d.ClipSpec("x", fps=np.inf), "`fps` must be finite"),
    "ClipSpec(fps=True)": (lambda folder: ki3d.ClipSpec("x", fps=True), "`fps` must be a number"),
    **{
        f"TrainConfig({field}={value!r})": (
            lambda folder, field=field, value=value: ki3d.TrainConfig(**{field: value}),
            message,
        )
        for field, value, message in (
            ("fps", np.inf, "`fps` must be finite. Received: fps=inf"),
            ("learning_rate", np.inf, "`learning_rate` must be finite"),
            ("weight_decay", np.inf, "`weight_decay` must be finite"),
            ("warmup", np.nan, "`warmup` must be finite"),
            ("freeze", 3, "`freeze` must be a list of names. Received: freeze=3"),
            ("freeze", (3,), "`freeze` must be a list of names"),
            ("area", 0.5, "`area` must be two fractions"),
            ("area", ("0", "1"), "`area` must be two fractions"),
            ("weights", 3, "`weights` must be a name or a path of weights. Received: weights=3"),
            ("inflate", 3, "`inflate` must be a name or a path"),
            ("split", 3, "`split` must be a string. Received: split=3"),
            ("system", 3, "`system` must be a string"),
            ("architecture", 3, "`architecture` must be a string"),
            ("validation", ["val"], "`validation` must be a split, or a fraction such as 0.1"),
        )
    },
    **{
        f"{system}({argument}={value!r})": (
            lambda folder, system=system, argument=argument, value=value: getattr(ki3d, system)(
                **{argument: value}
            ),
            message,
        )
        for argument, value, message in (
            ("dropout", None, "`dropout` must be 0 to 1. Received: dropout=None"),
            ("batch_norm_momentum", None, "`batch_norm_momentum` must be at least 0 and below 1"),
            ("input_shape", 3, "`input_shape` must be .*Received: input_shape=3"),
        )
        for system in CONSTRUCTORS
    },
    **{
        f"InceptionI3D(input_shape={shape!r})": (
            lambda folder, shape=shape: ki3d.InceptionI3D(input_shape=shape),
            r"`input_shape` must be \(frames, height, width, channels\)",
        )
        for shape in ((None,) * 4, (9, 32, 32, 0), (9, 32.5, 32, 3), (True, 32, 32, 3), "9333")
    },
    "TwoStreamI3D(input_shape of None)": (
        lambda folder: ki3d.TwoStreamI3D(input_shape={"rgb": None, "flow": None}),
        r"`input_shape` must be \(frames, height, width, channels\)",
    ),
    "classify(None)": (
        lambda folder: ki3d.classify(None, "rgb_figures"),
        "`path` must be a path or VideoFrames. Received: NoneType",
    ),
    **{
        f"{function.__name__}(window={window!r})": (
            lambda folder, function=function, window=window: function(
                *((folder / "a.mp4", "rgb_figures")[:: 1 if function is ki3d.classify else -1]),
                window=window,
            ),
            f"`window` must be a whole number above 0. Received: window={window!r}",
        )
        for function in (ki3d.classify, ki3d.grad_cam)
        for window in ("x", "whole", True, 0)
    },
    "load_clip(0)": (lambda folder: ki3d.load_clip(0), "`path` must be a path or VideoFrames"),
    "examine(0)": (lambda folder: ki3d.examine(0), "`path` must be a path or VideoFrames"),
    "load_streams(0)": (
        lambda folder: ki3d.load_streams(0, "deepmind"),
        "`video` must be a path or VideoFrames",
    ),
    "load_streams(start=text)": (
        lambda folder: ki3d.load_streams(folder / "a.mp4", "deepmind_flow", start="x"),
        "`start` must be seconds, 0 or more. Received: start='x'",
    ),
    "find_segments(threshold=None)": (
        lambda folder: ki3d.find_segments(timeline(), threshold=None),
        "`threshold` must be above 0 and at most 1. Received: threshold=None",
    ),
    "find_segments(min_length=text)": (
        lambda folder: ki3d.find_segments(timeline(), min_length="x"),
        "`min_length` must be seconds, 0 or more. Received: min_length='x'",
    ),
    "find_segments(max_gap=None)": (
        lambda folder: ki3d.find_segments(timeline(), max_gap=None),
        "`max_gap` must be seconds, 0 or more. Received: max_gap=None",
    ),
    "overlay_heatmap(opacity=None)": (
        lambda folder: ki3d.overlay_heatmap(
            np.zeros((1, 8, 8, 3), np.uint8), np.zeros((1, 8, 8)), opacity=None
        ),
        "`opacity` must be 0 to 1. Received: opacity=None",
    ),
    "decode_predictions(labels=3)": (
        lambda folder: ki3d.decode_predictions([[0.0, 1.0]], labels=3),
        "`labels` must be a list of class names. Received: labels=3",
    ),
    "decode_predictions(top=True)": (
        lambda folder: ki3d.decode_predictions([[0.0, 1.0]], labels=("a", "b"), top=True),
        "`top` must be a whole number above 0, or None. Received: top=True",
    ),
    "save_weights(labels=3)": (
        lambda folder: ki3d.save_weights(small_model(), folder / "x.h5", labels=3),
        "`labels` must be a list of class names. Received: labels=3",
    ),
    "save_weights(path=None)": (
        lambda folder: ki3d.save_weights(small_model(), None),
        "`path` must be a path. Received: path=None",
    ),
    "open_dataset(labels=3)": (
        lambda folder: ki3d.open_dataset(folder, labels=3),
        "`labels` must be unique class names. Received: labels=3",
    ),
    "open_dataset(videos=3)": (
        lambda folder: ki3d.open_dataset(folder, videos=3),
        "`videos` must be a path. Received: videos=3",
    ),
    "evaluate(cache=3)": (
        lambda folder: ki3d.evaluate("rgb_figures", folder / "videos.csv", cache=3),
        "`cache` must be a path. Received: cache=3",
    ),
    "draw_filmstrip(spec=3)": (
        lambda folder: ki3d.draw_filmstrip(
            folder / "x.png", folder / "a.mp4", classification(), spec=3
        ),
        "`spec` must be a ClipSpec, .*Received: spec=3",
    ),
    "draw_filmstrip(video=3)": (
        lambda folder: ki3d.draw_filmstrip(folder / "x.png", 3, classification()),
        "`video` must be a path or VideoFrames. Received: int",
    ),
    "draw_timeline(segments of numbers)": (
        lambda folder: ki3d.draw_timeline(folder / "x.png", timeline(), [3]),
        r"`segments` must be a result of find_segments\(\) for the timeline. Received: 3",
    ),
    "draw_timeline(segments=3)": (
        lambda folder: ki3d.draw_timeline(folder / "x.png", timeline(), 3),
        r"`segments` must be a result of find_segments\(\)",
    ),
    "draw_timeline(segments of another)": (
        lambda folder: ki3d.draw_timeline(
            folder / "x.png", timeline(), [ki3d.Segment(0.0, 1.0, "jump", 0.5)]
        ),
        r"`segments` must be a result of find_segments\(\) for the timeline.*label='jump'",
    ),
    "draw_timeline(title=3)": (
        lambda folder: ki3d.draw_timeline(folder / "x.png", timeline(), title=3),
        "`title` must be a string. Received: title=3",
    ),
    "draw_confusion(title=3)": (
        lambda folder: ki3d.draw_confusion(folder / "x.png", [[1]], ("sit",), title=3),
        "`title` must be a string",
    ),
    "draw_confusion(labels=None)": (
        lambda folder: ki3d.draw_confusion(folder / "x.png", [[1]], None),
        "`labels` must be a list of class names. Received: labels=None",
    ),
    "draw_embedding(title=3)": (
        lambda folder: ki3d.draw_embedding(folder / "x.png", np.eye(2), title=3),
        "`title` must be a string",
    ),
    "draw_embedding(labels=3)": (
        lambda folder: ki3d.draw_embedding(folder / "x.png", np.eye(2), labels=3),
        "`labels` must be a list of class names",
    ),
    "draw_training_curves(3)": (
        lambda folder: ki3d.draw_training_curves(folder / "x.png", 3),
        "`runs` must be a path. Received: runs=3",
    ),
    **{
        f"{draw.__name__}(path={path!r})": (
            lambda folder, draw=draw, path=path, rest=rest: draw(path, *rest(folder)),
            f"`path` must be a path. Received: path={path!r}",
        )
        for draw, rest in (
            (ki3d.draw_confusion, lambda folder: ([[1]], ("sit",))),
            (ki3d.draw_embedding, lambda folder: (np.eye(2),)),
            (ki3d.draw_filmstrip, lambda folder: (folder / "a.mp4", classification())),
            (ki3d.draw_flow, lambda folder: (folder / "a.mp4",)),
            (ki3d.draw_grad_cam, lambda folder: (None,)),
            (ki3d.draw_kernels, lambda folder: ("rgb_figures",)),
            (ki3d.draw_timeline, lambda folder: (timeline(),)),
            (ki3d.draw_training_curves, lambda folder: write_history(folder)),
        )
        for path in (None, 3)
    },
    "augmentation(spec=unknown)": (
        lambda folder: ki3d.augmentation("deepmnd"),
        r"`spec` must be a ClipSpec, .* one of \('deepmind', 'deepmind_flow'.*Did you mean",
    ),
    "examine(spec=0)": (
        lambda folder: ki3d.examine(folder / "a.mp4", spec=0),
        "`spec` must be a ClipSpec, .*Received: spec=0",
    ),
    "inflate(clip_spec=unknown)": (
        lambda folder: ki3d.inflate(small_images(), clip_spec="deepmnd"),
        "`clip_spec` must be a ClipSpec, .*'deepmind', .*Received: clip_spec='deepmnd'",
    ),
    "load_streams(unknown)": (
        lambda folder: ki3d.load_streams(folder / "a.mp4", {"rgb": "deepmnd"}),
        "`spec` must be a ClipSpec, .*Received: spec='deepmnd'",
    ),
    "PrepareConfig(spec=unknown)": (
        lambda folder: ki3d.PrepareConfig(spec="deepmnd"),
        "`spec` must be a ClipSpec, .*Received: spec='deepmnd'",
    ),
}


def training_clips(folder, **options):
    """`training_clips` of the table, with all arguments that it needs."""
    needed = {"spec": SMALL, "frames": 9, "batch_size": 1, "augment": ki3d.augmentation(SMALL)}
    return ki3d.training_clips(ki3d.open_dataset(folder / "videos.csv"), **(needed | options))


def timeline():
    """A timeline of two windows."""
    rows, start = np.array([[0.9, 0.1], [0.2, 0.8]], np.float32), np.array([0.0, 1.0])
    return ki3d.Timeline("video.mp4", ("sit", "stand"), rows, start, start + 2)


def classification():
    """A result of `classify`."""
    return ki3d.Classification("a.mp4", (("sit", 1.0),), 0.1, {"rgb": SMALL})


def write_history(folder):
    """The arguments of `draw_training_curves`: a run of one epoch, which is not in the table."""
    run = folder.parent / "run"
    run.mkdir(exist_ok=True)
    (run / "history.csv").write_text("epoch,step,loss,accuracy,learning_rate\n1,9,2.0,0.3,0.1\n")
    return (run,)


@functools.cache
def small_model():
    """Three Inception modules, untrained."""
    return ki3d.InceptionI3D(architecture=short_network.register(), classes=3)


@functools.cache
def small_images():
    """Three Inception modules for images, untrained."""
    return ki3d.InceptionV1(architecture=short_network.register(), classes=3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A table of two gray videos."""
    folder = tmp_path_factory.mktemp("kinds")
    for name in "ab":
        write_video(folder / f"{name}.mp4", np.full((10, 40, 48, 3), 99, np.uint8), fps=25)
    rows = ("path,label,split", "a.mp4,wave,test", "b.mp4,sit_down,test")
    (folder / "videos.csv").write_text("\n".join(rows))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("call", CALLS)
def test_arguments_of_another_kind_are_refused_in_words(call, folder):
    function, message = CALLS[call]
    with pytest.raises(ValueError, match=message):
        function(folder)
    assert sorted(path.name for path in folder.iterdir()) == ["a.mp4", "b.mp4", "videos.csv"]


@pytest.mark.slow
def test_names_and_paths_are_taken_for_models_and_datasets(folder, tmp_path):
    named = ki3d.evaluate("rgb_figures", folder / "videos.csv")
    evaluation = ki3d.evaluate(
        ki3d.load_model("rgb_figures"), ki3d.open_dataset(folder / "videos.csv")
    )
    np.testing.assert_array_equal(named.scores, evaluation.scores)
    config = ki3d.PrepareConfig(streams=("rgb",), spec=ki3d.ClipSpec("x", short_side=36, size=32))
    assert len(ki3d.prepare(str(folder / "videos.csv"), tmp_path / "records", config)) == 2


@pytest.mark.slow
def test_specs_are_taken_by_name(folder, tmp_path):
    deepmind, flow = DEEPMIND, DEEPMIND_FLOW
    assert ki3d.PrepareConfig(spec="mediapipe") == ki3d.PrepareConfig(spec=MEDIAPIPE)
    video = folder / "a.mp4"
    assert ki3d.examine(video, spec="deepmind") == ki3d.examine(video, spec=deepmind)
    named, given = (
        ki3d.load_streams(video, specs, frames=9)
        for specs in ({"rgb": "deepmind", "flow": "deepmind_flow"}, {"rgb": deepmind, "flow": flow})
    )
    np.testing.assert_array_equal(named["rgb"], given["rgb"])
    np.testing.assert_array_equal(named["flow"], given["flow"])
    frames = {"rgb": np.zeros((2, 256, 340, 3), np.uint8)}
    assert ki3d.augmentation("fvd")(frames, (0, 0))["rgb"].shape == (2, 224, 224, 3)
    clips, _ = next(iter(training_clips(folder, spec="fvd", augment=ki3d.augmentation("fvd"))))
    assert clips.shape == (1, 9, 224, 224, 3)
    assert ki3d.inflate(small_images(), clip_spec="deepmind").clip_spec == deepmind
    for number, named in enumerate(("mediapipe", {"rgb": "mediapipe"})):
        path = tmp_path / f"{number}.h5"
        ki3d.save_weights(small_model(), path, clip_spec=named)
        assert ki3d.load_model(path).clip_spec == MEDIAPIPE
    strips = tmp_path / "named.png", tmp_path / "given.png"
    for path, spec in zip(strips, ("deepmind", deepmind), strict=True):
        ki3d.draw_filmstrip(path, video, classification(), spec=spec)
    assert strips[0].read_bytes() == strips[1].read_bytes()


@pytest.mark.slow
def test_numbers_of_numpy_are_taken_where_those_of_python_are(folder):
    of_python, of_numpy = (
        next(
            iter(
                training_clips(
                    folder,
                    frames=whole(9),
                    batch_size=whole(2),
                    mixup=real(0.5),
                    seed=whole(1),
                    workers=whole(1),
                    shard=(whole(0), whole(1)),
                    start=(whole(1), whole(0)),
                )
            )
        )
        for whole, real in ((int, float), (np.int64, np.float64))
    )
    np.testing.assert_array_equal(of_python[0], of_numpy[0])
    np.testing.assert_array_equal(of_python[1], of_numpy[1])
    half = np.float32(0.5)
    assert ki3d.TrainConfig(area=(half, half), dropout=half).area == (0.5, 0.5)
    assert ki3d.find_segments(timeline(), threshold=half, min_length=half, max_gap=half)
    model = ki3d.InceptionI3D(
        architecture=short_network.register(),
        input_shape=np.array([9, 32, 32, 3]),
        dropout=half,
        batch_norm_momentum=half,
        classes=np.int64(3),
    )
    assert model.input_shape == (None, 9, 32, 32, 3)
    whole, by_numpy = (
        ki3d.classify(folder / "a.mp4", "rgb_figures", window=window)
        for window in (16, np.int64(16))
    )
    assert whole.predictions == by_numpy.predictions


@pytest.mark.slow
def test_weights_of_images_are_inflated_by_their_path(tmp_path):
    ki3d.save_weights(small_images(), tmp_path / "images.h5")
    by_path, of_model = (
        ki3d.inflate(images) for images in (tmp_path / "images.h5", small_images())
    )
    for one, other in zip(by_path.get_weights(), of_model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    ki3d.save_weights(small_model(), tmp_path / "clips.h5")
    with pytest.raises(ki3d.WeightsError, match=r"holds a model of clips \(InceptionI3D\)"):
        ki3d.inflate(tmp_path / "clips.h5")


def test_flow_of_frames_in_memory_is_that_of_the_array():
    frames = np.random.default_rng(0).integers(0, 256, (3, 20, 24, 3), np.uint8)
    flow = ki3d.optical_flow(ki3d.VideoFrames(frames, fps=25))
    np.testing.assert_array_equal(flow, ki3d.optical_flow(frames))
