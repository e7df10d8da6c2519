"""`load_streams`: clips of both streams from a file or from frames, as the test views make them."""

import numpy as np
import pytest

import kinetics_i3d as ki3d
from kinetics_i3d.core.clip_spec import ClipSpec
from kinetics_i3d.core.errors import VideoError
from kinetics_i3d.data.views import video_views
from kinetics_i3d.flow.settings import FlowSettings
from kinetics_i3d.video.reader import read_frames
from kinetics_i3d.video.video_frames import VideoFrames
from kinetics_i3d.video.writer import write_video

QUICK = FlowSettings("farneback")
RGB = ClipSpec("rgb", fps=10, short_side=48, size=32)
FLOW = ClipSpec("flow", stream="flow", fps=10, short_side=48, size=32)
BOTH = {"rgb": RGB, "flow": FLOW}


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    path = tmp_path_factory.mktemp("video") / "video.mp4"
    time, down, right = np.mgrid[0:20, 0:48, 0:64]
    frames = np.stack([128 + 100 * np.sin((right + 2 * time) / 6), 4 * right, 5 * down], axis=-1)
    write_video(path, frames.clip(0, 255).astype(np.uint8), fps=10)
    return path


@pytest.fixture(scope="module")
def memory(video):
    return VideoFrames(np.stack(list(read_frames(video))), fps=10)


def test_both_streams_are_those_of_the_test_views(video):
    found = ki3d.load_streams(video, BOTH, settings=QUICK)
    ((wanted, _),) = video_views(video, spec=BOTH, streams=("rgb", "flow"), settings=QUICK)
    assert found["rgb"].shape == (1, 19, 32, 32, 3) and found["flow"].shape == (1, 19, 32, 32, 2)
    for stream, clips in wanted.items():
        np.testing.assert_array_equal(found[stream], clips)


def test_frames_in_memory_give_what_their_file_gives(video, memory):
    """To the bit: they need no resize."""
    of_file, of_frames = (
        ki3d.load_streams(one, BOTH, frames=8, start=0.5, settings=QUICK) for one in (video, memory)
    )
    for stream, clips in of_file.items():
        assert clips.shape[1] == 8
        np.testing.assert_array_equal(of_frames[stream], clips)


def test_flow_alone_is_one_array(memory):
    clips = ki3d.load_streams(memory, {"flow": FLOW}, settings=QUICK)
    assert clips.shape == (1, 19, 32, 32, 2) and clips.dtype == np.float32
    assert -1 <= clips.min() < clips.max() <= 1


def test_rgb_alone_is_what_load_clip_gives(video):
    np.testing.assert_array_equal(
        ki3d.load_streams(video, {"rgb": RGB}), ki3d.load_clip(video, spec=RGB)
    )


def test_streams_of_unequal_rate_keep_their_ratio(memory):
    specs = {"rgb": ClipSpec("rgb", fps=2, short_side=48, size=32), "flow": FLOW}
    clips = ki3d.load_streams(memory, specs, settings=QUICK)
    assert clips["rgb"].shape[1] == 3 and clips["flow"].shape[1] == 15
    with pytest.raises(ValueError, match="`frames` must be a multiple of 5"):
        ki3d.load_streams(memory, specs, frames=7, settings=QUICK)


def test_what_is_beyond_the_end_is_repeated_with_a_warning(memory):
    with pytest.warns(UserWarning, match="frames are left after start=1.5"):
        clips = ki3d.load_streams(memory, BOTH, start=1.5, frames=16, settings=QUICK)
    assert clips["rgb"].shape[1] == 16


def test_a_single_frame_has_no_flow(memory):
    with pytest.raises(VideoError, match="frames in memory: a single frame has no flow"):
        ki3d.load_streams(VideoFrames(memory.frames[:1], fps=10), BOTH, settings=QUICK)
