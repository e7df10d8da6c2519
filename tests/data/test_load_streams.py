"""`load_streams`: clips of both streams from a file or from frames, as the test views make them."""

import logging
import os

import numpy as np
import pytest

import kinetics_i3d as ki3d
from kinetics_i3d.core.clip_spec import ClipSpec
from kinetics_i3d.core.errors import VideoError
from kinetics_i3d.core.stream_specs import StreamSpecs
from kinetics_i3d.data.streams import count_frames, files_of, flow_identity, shared_flow_settings
from kinetics_i3d.data.views import video_views
from kinetics_i3d.flow.cache import write_flow_file
from kinetics_i3d.flow.info import fingerprint
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


def test_each_stream_has_its_own_size(memory):
    specs = {"rgb": RGB, "flow": ClipSpec("flow", stream="flow", fps=10, short_side=40, size=24)}
    clips = ki3d.load_streams(memory, specs, frames=4, settings=QUICK)
    assert clips["rgb"].shape == (1, 4, 32, 32, 3) and clips["flow"].shape == (1, 4, 24, 24, 2)


def test_what_is_beyond_the_end_is_repeated_with_a_warning(memory):
    with pytest.warns(UserWarning, match="frames are left after start=1.5"):
        clips = ki3d.load_streams(memory, BOTH, start=1.5, frames=16, settings=QUICK)
    assert clips["rgb"].shape[1] == 16


def test_a_single_frame_has_no_flow(memory):
    single = VideoFrames(memory.frames[:1], fps=10)
    with pytest.raises(VideoError, match="frames in memory: a single frame has no flow"):
        ki3d.load_streams(single, BOTH, settings=QUICK)
    assert [count_frames(single, StreamSpecs(BOTH, names)) for names in (["rgb"], None)] == [1, 0]


@pytest.fixture
def stored(video, tmp_path):
    """A copy of the video with a flow file beside it: (video, flow file)."""
    copy = tmp_path / "stored.mp4"
    copy.write_bytes(video.read_bytes())
    before = set(tmp_path.iterdir())
    write_flow_file(copy, spec=FLOW, settings=QUICK)
    (flow,) = set(tmp_path.iterdir()) - before
    return copy, flow


def test_the_files_of_the_streams_are_the_video_and_its_stored_flow(video, stored):
    copy, flow = stored
    for name in (str(copy), f"{copy}#t=0.5,1.5"):
        assert [*map(os.fspath, files_of(name, BOTH))] == [str(copy), str(flow)]
        assert [*map(os.fspath, files_of(name, {"rgb": RGB}))] == [str(copy)]
    assert [*map(os.fspath, files_of(str(video), BOTH))] == [str(video)]


@pytest.mark.parametrize("start", [1.9, 5])
def test_a_start_after_the_stored_flow_is_named(stored, start):
    copy, _ = stored
    message = f"{copy.name}: the video ends before start={start:g} seconds"
    with pytest.raises(VideoError, match=message):
        ki3d.load_streams(copy, BOTH, start=start)


def test_a_rate_in_the_path_does_not_hide_a_folder_of_frames(tmp_path):
    """Its files identify cached features."""
    (tmp_path / "frames").mkdir()
    assert files_of(f"{tmp_path / 'frames'}#fps=30", {"rgb": RGB}) == [str(tmp_path / "frames")]


def test_a_start_may_be_a_number_of_numpy(memory):
    """With flow too, whose frames are counted exactly."""
    expected = ki3d.load_streams(memory, BOTH, frames=4, start=0.5, settings=QUICK)
    clips = ki3d.load_streams(memory, BOTH, frames=4, start=np.float32(0.5), settings=QUICK)
    for stream, values in expected.items():
        np.testing.assert_array_equal(clips[stream], values)


def test_flow_is_known_by_its_file_or_by_the_settings(video, stored):
    copy, flow = stored
    assert flow_identity(copy, BOTH) == fingerprint(flow)
    assert flow_identity(video, BOTH) == FlowSettings().to_dict()


def test_missing_flow_is_computed_by_the_settings_of_the_stored(video, stored, caplog):
    copy, _ = stored
    settings = FlowSettings("farneback", backend="opencv")  # a file names what has computed it
    with caplog.at_level(logging.WARNING, logger="absl"):
        assert shared_flow_settings([str(copy)], BOTH) == settings
        assert caplog.records == []
        assert shared_flow_settings([str(video), str(copy)], BOTH) == settings
        assert "1 of 2 videos have no flow file" in caplog.text
        assert shared_flow_settings([str(video)], BOTH) is None
        assert "1 of 1 videos have no flow file" in caplog.text
