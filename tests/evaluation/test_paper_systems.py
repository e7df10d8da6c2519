"""The paper's systems on generated videos: the frames that each is tested and trained on."""

import functools
import types

import numpy as np
import pytest
from short_network import register

import kinetics_i3d as ki3d
from kinetics_i3d.core.clip_spec import ClipSpec
from kinetics_i3d.data.pipeline import augmentation, training_clips
from kinetics_i3d.data.video_dataset import Video, VideoDataset
from kinetics_i3d.evaluation.protocols import evaluate
from kinetics_i3d.figures.generate import write_figures
from kinetics_i3d.flow.cache import open_flow, write_flow_file
from kinetics_i3d.flow.info import flow_path
from kinetics_i3d.flow.settings import FlowSettings
from kinetics_i3d.models.streams import at_rate
from kinetics_i3d.models.systems import clips_at_test, paper_systems
from kinetics_i3d.video.reader import read_frames

SHORT = register()

FRAMES, SIZE, LARGER = 44, 32, 36
SPEC = ClipSpec("tiny", short_side=LARGER, size=SIZE)
# For 44 frames and 43 flows: (first frame, frames, step) of each clip, and its weight.
CLIPS = {
    "InceptionI3D": [((0, 44, 1), 44)],
    "ConvNetLSTM": [((0, 44, 5), 9)],
    "C3D": [((0, 16, 1), 16), ((16, 16, 1), 16), ((28, 16, 1), 12)],
    "TwoStream": [((33 * number // 24, 10, 10), 1) for number in range(25)],
    "TwoStreamFused": [((0, 40, 10), 40), ((33, 10, 10), 3)],
    "TwoStreamI3D": [((0, 44, 1), 44)],  # stream by stream: all frames, and all 43 flows
}
# Frames of a training clip, and {stream: length of the clip that the model reads}.
TRAINED = {
    "InceptionI3D": (16, {"rgb": 16}),
    "ConvNetLSTM": (5, {"rgb": 5}),
    "C3D": (16, {"rgb": 16}),
    "TwoStream": (10, {"rgb": 1, "flow": 10}),
    "TwoStreamFused": (20, {"rgb": 2, "flow": 20}),
    "TwoStreamI3D": (9, {"rgb": 9, "flow": 9}),
}


@functools.cache
def tiny(name):
    """The smallest network of a system, with labels and the frame rates of the paper."""
    import keras

    keras.utils.set_random_seed(3)
    options = {"architecture": SHORT, "classes": 3}
    if name == "C3D":
        options = {"architecture": "c3d_eighth", "classes": 3, "input_shape": (16, SIZE, SIZE, 3)}
    model = getattr(ki3d, name)(**options)
    model.labels = ("bow", "clap", "wave")
    if len(model.clip_specs) > 1:
        model.clip_specs = {
            "rgb": at_rate(SPEC, model.clip_specs["rgb"].fps),
            "flow": SPEC.for_flow(),
        }
        if name == "TwoStreamI3D":  # its streams are run separately
            for stream, inside in model.streams.items():
                inside.clip_spec = model.clip_specs[stream]
    else:
        model.clip_spec = at_rate(SPEC, model.clip_spec.fps)
    return model


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Two figures with flow files, and their {stream: values}, computed in NumPy."""
    folder = tmp_path_factory.mktemp("figures")
    table = write_figures(
        folder, train_per_action=0, test_per_action=1, frames=FRAMES, size=(48, 64)
    )
    paths = sorted(table.parent.rglob("*.mp4"))[:2]
    contents = []
    for path in paths:
        write_flow_file(path, spec=SPEC, settings=FlowSettings("farneback"))
        frames = np.stack(list(read_frames(path, fps=25, short_side=LARGER)))
        top, left = (LARGER - SIZE) // 2, (frames.shape[2] - SIZE) // 2
        inside = (slice(None), slice(top, top + SIZE), slice(left, left + SIZE))
        with open_flow(flow_path(path)) as file:
            flow = file.quantized()
        contents.append(
            {"rgb": frames[inside] / 127.5 - 1, "flow": (flow[inside].astype(float) / 127.5 - 1)}
        )
    rows = tuple(
        Video(path, label, "test", path.name)
        for path, label in zip(paths, ("bow", "clap"), strict=True)
    )
    return VideoDataset("figures", ("bow", "clap", "wave"), rows), contents


def clip_of(contents, streams, first, frames, step):
    """A batch of one clip: all flows of it, and every `step`th frame."""
    clip = {"rgb": contents["rgb"][first : first + frames : step]}
    if "flow" in streams:
        clip["flow"] = contents["flow"][first : first + frames]
    clip = {stream: clip[stream][None].astype(np.float32) for stream in streams}
    return clip if len(clip) > 1 else clip["rgb"]


def plain_logits(name, model, video):
    """Mean logits of the paper's clips of a video, weighted by their new frames."""
    import keras

    if name == "TwoStreamI3D":
        streams = model.streams
        return sum(np.asarray(streams[name](video[name][None]))[0] for name in streams)
    windows = [window for window, _ in CLIPS[name]]
    parts = [clip_of(video, (*model.clip_specs,), *window) for window in windows]
    if len({window[1] for window in windows}) == 1:  # clips of one length as one batch
        parts = [keras.tree.map_structure(lambda *arrays: np.concatenate(arrays), *parts)]
    logits = np.concatenate([np.asarray(model(part)) for part in parts])
    return np.average(logits, axis=0, weights=[share for _, share in CLIPS[name]])


@pytest.mark.long
@pytest.mark.parametrize("name", CLIPS)
def test_system_is_tested_and_trained_on_the_frames_of_the_paper(name, videos):
    dataset, contents = videos
    model = tiny(name)
    streams = (*model.clip_specs,)
    result = evaluate(model, dataset)
    expected = np.array([plain_logits(name, model, video) for video in contents])
    spread = np.abs(expected[1] - expected[0]).max()
    np.testing.assert_allclose(result.scores, expected, rtol=0, atol=0.01 * spread)
    classified = ki3d.classify(dataset.videos[0].path, model, top=3).predictions
    assert classified[0][0] == result.labels[result.predictions[0]]

    frames, lengths = TRAINED[name]
    (batch,) = training_clips(
        dataset,
        streams=streams,
        spec=model.clip_specs,
        frames=frames,
        batch_size=2,
        augment=augmentation(model.clip_specs),
    ).take(1)
    clips, targets = batch
    parts = clips if isinstance(clips, dict) else {"rgb": clips}
    for stream, part in parts.items():
        channels = 3 if stream == "rgb" else 2
        assert part.shape == (2, lengths[stream], SIZE, SIZE, channels)
    assert {*parts} == {*lengths}
    assert np.isfinite(model(clips, training=True)).all() and targets.shape == (2, 3)


@pytest.mark.slow
@pytest.mark.parametrize("name", paper_systems())
def test_clips_of_ten_seconds_match_the_table_of_systems(name):
    """Windows and clips add up to the paper's test input."""
    row = paper_systems()[name]
    clips = clips_at_test(tiny(name))
    longest = max(row.test_frames.values())
    assert clips["clips"] == (25 if row.letter == "c" else None)
    if clips["clips"]:
        assert clips["clips"] * clips["minimum"] == longest == 250
        assert clips["minimum"] == max(row.train_frames.values())
    else:
        assert longest % clips["window"] == 0
    assert (longest // clips["window"] == 15) == (name == "C3D")
    for stream, frames in row.test_frames.items():
        assert longest // frames == row.stride[stream] // min(row.stride.values())


@pytest.mark.parametrize(
    ("stacks", "clips"),
    [
        (1, {"minimum": 10, "window": 10, "clips": 25}),
        (5, {"minimum": 50, "window": 50, "clips": 5}),
        (30, {"minimum": 300, "window": 300, "clips": 1}),
    ],
)
def test_fixed_length_models_read_fewer_clips(stacks, clips):
    shapes = {"rgb": (stacks, SIZE, SIZE, 3), "flow": (10 * stacks, SIZE, SIZE, 2)}
    inputs = [types.SimpleNamespace(shape=(None, *shape)) for shape in shapes.values()]
    minimums = {"rgb": (1, 32, 32), "flow": (10, 32, 32)}
    model = types.SimpleNamespace(system="TwoStream", minimums=minimums, inputs=inputs)
    assert clips_at_test(model) == clips
