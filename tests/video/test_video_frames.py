"""Frames in memory stand where a video file does, and give the values that a file would."""

import fractions

import numpy as np
import pytest

import kinetics_i3d as ki3d
from kinetics_i3d.core.clip_spec import ClipSpec
from kinetics_i3d.core.errors import VideoError
from kinetics_i3d.video.reader import read_frames
from kinetics_i3d.video.video_frames import VideoFrames
from kinetics_i3d.video.writer import write_video

SMALL = ClipSpec("small", short_side=48, size=32)


@pytest.fixture(scope="module")
def frames():
    """32 smooth pictures that change, (32, 60, 80, 3)."""
    time, down, right = np.mgrid[0:32, 0:60, 0:80]
    parts = [128 + 100 * np.sin(down / 9 + time / 5), 3 * right + time, 2 * down + right]
    return np.stack(parts, axis=-1).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def video(frames, tmp_path_factory):
    path = tmp_path_factory.mktemp("frames") / "video.mp4"
    write_video(path, frames, fps=30)
    return path


@pytest.mark.parametrize("fps", [None, 25, 30, 12.5, 60])
def test_frames_are_sampled_and_sized_as_those_of_a_file(video, fps):
    """To the bit without a resize: the decoded pictures are the same."""
    stored = np.stack(list(read_frames(video)))
    memory = VideoFrames(stored, fps=30)
    np.testing.assert_array_equal(
        np.stack(list(read_frames(memory, fps=fps))), np.stack(list(read_frames(video, fps=fps)))
    )
    late = [np.stack(list(read_frames(one, fps=fps, start=0.4))) for one in (memory, video)]
    np.testing.assert_array_equal(*late)


@pytest.mark.parametrize("interpolation", ["bilinear", "area_cubic"])
def test_a_clip_is_within_a_gray_level_of_that_of_a_file(video, interpolation):
    """A file's colors are resized before they become RGB, hence not to the bit."""
    spec = ClipSpec("small", short_side=48, size=32, interpolation=interpolation)
    stored = VideoFrames(np.stack(list(read_frames(video))), fps=30)
    clip, wanted = (ki3d.load_clip(one, spec=spec) for one in (stored, video))
    assert clip.shape == wanted.shape == (1, 27, 32, 32, 3)
    off = np.abs(clip - wanted) * 127.5
    assert off.max() < 4.1 and off.mean() < 0.75


def test_real_videos_are_within_a_gray_level_on_average(shared):
    path = shared / "clips" / "cricket_shot.avi"
    stored = VideoFrames(np.stack(list(read_frames(path))), fps=ki3d.video_info(path).fps)
    clip, wanted = (ki3d.load_clip(one) for one in (stored, path))
    assert clip.shape == wanted.shape
    assert np.abs(clip - wanted).mean() * 127.5 < 1


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((2, 3, 5, 3), (3, 5, 3)), ((2, 3, 5, 4), (5, 4, 3)), ((2, 3, 3, 3), (3, 3, 3))],
)
def test_three_channels_are_the_last_axis_before_the_second(shape, expected):
    frames = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    made = VideoFrames(frames, fps=25).frames
    wanted = frames if shape[-1] == 3 else np.moveaxis(frames, 1, -1)
    assert made.shape[1:] == expected
    np.testing.assert_array_equal(made, wanted)


@pytest.mark.parametrize(
    "kind", ["array", "list", "iterator", "channels in front", "npy", "decord"]
)
def test_frames_come_as_arrays_lists_and_files(frames, tmp_path, kind):
    np.save(tmp_path / "frames.npy", frames)

    class Decord:
        def asnumpy(self):
            return frames

    arguments = {
        "array": frames,
        "list": list(frames),
        "iterator": iter(frames),
        "channels in front": frames.transpose(0, 3, 1, 2),
        "npy": tmp_path / "frames.npy",
        "decord": Decord(),
    }[kind]
    made = VideoFrames(arguments, fps=30)
    np.testing.assert_array_equal(made.frames, frames)
    assert len(made) == 32 and made.duration == pytest.approx(32 / 30)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (np.zeros((4, 8, 8, 3), np.float32), "dtype=float32"),
        (np.zeros((8, 8, 3), np.uint8), r"shape=\(8, 8, 3\)"),
        (np.zeros((0, 8, 8, 3), np.uint8), r"shape=\(0, 8, 8, 3\)"),
        (np.zeros((4, 8, 8, 4), np.uint8), r"shape=\(4, 8, 8, 4\)"),
        ([np.zeros((8, 8, 3), np.uint8), np.zeros((8, 9, 3), np.uint8)], "of one size"),
        (7, "dtype=int64"),
    ],
)
def test_what_is_no_frames_is_refused(wrong, why):
    with pytest.raises(ValueError, match=why):
        VideoFrames(wrong, fps=25)


@pytest.mark.parametrize("fps", [np.float32(30), np.int64(30), np.float64(30), "30"])
def test_rates_may_be_numbers_of_numpy(frames, fps):
    assert VideoFrames(frames, fps=fps).duration == pytest.approx(32 / 30)


@pytest.mark.parametrize("fps", [0, -1, "fast", float("nan"), True, np.bool_(True), np.float32(0)])
def test_a_rate_is_a_number_above_0(frames, fps):
    with pytest.raises(ValueError, match="`fps` must be a number above 0"):
        VideoFrames(frames, fps=fps)


def test_a_file_that_is_no_array_is_named(tmp_path):
    (tmp_path / "text.npy").write_text("not an array")
    np.savez(tmp_path / "several.npz", a=np.zeros(1), b=np.zeros(1))
    for name in ("text.npy", "none.npy", "several.npz"):
        with pytest.raises(VideoError, match=name):
            VideoFrames(tmp_path / name, fps=25)


@pytest.mark.parametrize("read", [ki3d.load_clip, ki3d.video_info, read_frames, ki3d.examine])
@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (0, "Received: int"),
        (np.zeros((4, 8, 8, 3), np.uint8), r"VideoFrames\(frames, fps=25\)"),
        ([np.zeros((8, 8, 3), np.uint8)], r"VideoFrames\(frames, fps=25\)"),
        (open(__file__, "rb"), "open files cannot be read"),  # noqa: SIM115
        (None, "Received: NoneType"),
    ],
)
def test_what_is_no_video_is_refused_in_words(read, arguments, why):
    with pytest.raises(ValueError, match=why):
        read(arguments)


def test_an_array_file_asks_for_its_rate():
    with pytest.raises(ValueError, match=r"VideoFrames\('frames.npy', fps=25\)"):
        ki3d.load_clip("frames.npy")


def test_info_of_frames_and_of_a_file(frames, video):
    of_file, of_frames = ki3d.video_info(video), ki3d.video_info(VideoFrames(frames, fps=30))
    for info in (of_file, of_frames):
        assert (info.width, info.height, info.fps, info.frames) == (80, 60, 30.0, 32)
        assert info.duration == pytest.approx(32 / 30)
    assert of_frames.codec == "raw frames" and of_file.codec == "h264"


def test_a_gif_is_a_video(frames, tmp_path):
    from PIL import Image

    pictures = [Image.fromarray(frame) for frame in frames]
    pictures[0].save(tmp_path / "video.gif", save_all=True, append_images=pictures[1:], duration=40)
    assert ki3d.load_clip(tmp_path / "video.gif", spec=SMALL).shape == (1, 32, 32, 32, 3)
    assert ki3d.video_info(tmp_path / "video.gif").fps == 25


def test_the_doctor_examines_frames(frames):
    report = ki3d.examine(VideoFrames(frames, fps=30), spec=SMALL)
    assert report.path == "frames in memory" and not report.has_errors
    assert any("raw frames" in finding.actual for finding in report.findings)


def test_a_rate_may_be_a_fraction(frames):
    rate = fractions.Fraction(30000, 1001)
    assert VideoFrames(frames, fps=30000 / 1001).fps == VideoFrames(frames, fps=rate).fps == rate


def test_a_clip_beyond_the_end_is_repeated_with_a_warning(video, recwarn):
    clip = ki3d.load_clip(video, spec=SMALL, start=1.0, frames=16)
    assert clip.shape[1] == 16
    (warning,) = recwarn
    assert "2 frames are left after start=1 seconds" in str(warning.message)


def test_a_short_video_is_looped_without_a_warning(video, recwarn):
    assert ki3d.load_clip(video, spec=SMALL, frames=64).shape[1] == 64
    assert ki3d.load_clip(video, spec=SMALL, start=0.2, frames=8).shape[1] == 8
    assert not recwarn


def test_frames_in_memory_can_be_written(tmp_path):
    frames = VideoFrames(np.zeros((3, 20, 20, 3), np.uint8), fps=25)
    assert write_video(tmp_path / "a.mp4", frames, fps=25) == 3
