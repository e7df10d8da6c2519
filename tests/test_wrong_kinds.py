"""Public functions called with an argument of another kind: one sentence, no raw error."""

import numpy as np
import pytest

import kinetics_i3d as ki3d
from kinetics_i3d.video.writer import write_video

CALLS = {
    "open_dataset(0)": (lambda folder: ki3d.open_dataset(0), "`path` must be the path.*: int"),
    "open_dataset(None)": (lambda folder: ki3d.open_dataset(None), "`path` must be the path"),
    "load_model(0)": (lambda folder: ki3d.load_model(0), "`weights` must be a name.*: int"),
    "evaluate(0)": (lambda folder: ki3d.evaluate(0, folder), "`model` must be a ClipModel"),
    "evaluate(..., 0)": (
        lambda folder: ki3d.evaluate("rgb_figures", 0),
        "`path` must be the path",
    ),
    "inflate(name)": (
        lambda folder: ki3d.inflate("imagenet_inception5h"),
        "`model` must be an image model.*Received: str",
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
            folder, spec=ki3d.ClipSpec("x"), frames=9, batch=1, augment=None
        ),
        r"`source` must be a Dataset, such as open_dataset\(path\)",
    ),
    "fvd(None)": (
        lambda folder: ki3d.fvd(None, None),
        "videos must be a folder or a list of files.*NoneType",
    ),
    "optical_flow(path)": (
        lambda folder: ki3d.optical_flow("video.mp4"),
        r"`frames` must be frames, such as read_frames\(path\)",
    ),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A table of two grey videos."""
    folder = tmp_path_factory.mktemp("kinds")
    for name in "ab":
        write_video(folder / f"{name}.mp4", np.full((10, 40, 48, 3), 99, np.uint8), fps=25)
    rows = ("path,label,split", "a.mp4,wave,test", "b.mp4,sit_down,test")
    (folder / "videos.csv").write_text("\n".join(rows))
    return folder


@pytest.mark.parametrize("call", CALLS)
def test_arguments_of_another_kind_are_refused_in_words(call, folder):
    function, message = CALLS[call]
    with pytest.raises(ValueError, match=message):
        function(folder)
    assert sorted(path.name for path in folder.iterdir()) == ["a.mp4", "b.mp4", "videos.csv"]


def test_names_and_paths_are_taken_for_models_and_datasets(folder, tmp_path):
    named = ki3d.evaluate("rgb_figures", folder / "videos.csv")
    evaluation = ki3d.evaluate(
        ki3d.load_model("rgb_figures"), ki3d.open_dataset(folder / "videos.csv")
    )
    np.testing.assert_array_equal(named.scores, evaluation.scores)
    config = ki3d.PrepareConfig(streams=("rgb",), spec=ki3d.ClipSpec("x", short_side=36, size=32))
    assert len(ki3d.prepare(str(folder / "videos.csv"), tmp_path / "records", config)) == 2


def test_flow_of_frames_in_memory_is_that_of_the_array():
    frames = np.random.default_rng(0).integers(0, 256, (3, 20, 24, 3), np.uint8)
    flow = ki3d.optical_flow(ki3d.VideoFrames(frames, fps=25))
    np.testing.assert_array_equal(flow, ki3d.optical_flow(frames))
