"""Files that `write_video` makes, read back by PyAV alone."""

import fractions

import av
import numpy as np
import pytest

from kinetics_i3d.video.writer import SUFFIXES, write_video


def read(path):
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24") for frame in file.decode(stream)]
        return stream.average_rate, np.stack(frames)


def quadrants(frames=5, height=64, width=64):
    """Red, blue / green, white."""
    clip = np.zeros((frames, height, width, 3), np.uint8)
    top, left = height // 2, width // 2
    clip[:, :top, :left, 0] = 255
    clip[:, :top, left:, 2] = 255
    clip[:, top:, :left, 1] = 255
    clip[:, top:, left:] = 255
    return clip


def test_the_settings_of_the_encoder_are_those_of_every_machine(tmp_path):
    write_video(tmp_path / "new.mp4", quadrants(), fps=25)
    settings = (tmp_path / "new.mp4").read_bytes()  # x264 writes them into the stream
    assert b" crf=18.0 " in settings and b" threads=1 " in settings


@pytest.mark.parametrize("suffix", [".avi", ".mkv", ".mov", ".mp4", ".ts"])
def test_every_suffix_reads_back(tmp_path, suffix):
    assert suffix in SUFFIXES
    path = tmp_path / f"new{suffix}"
    assert write_video(path, quadrants(), fps=25) == 5
    rate, clip = read(path)
    assert rate == 25 and clip.shape == (5, 64, 64, 3)
    for y, x, color in ((9, 9, (255, 0, 0)), (9, 50, (0, 0, 255)), (50, 9, (0, 255, 0))):
        assert np.abs(clip[2, y, x].astype(int) - color).max() <= 4
    assert (clip[:, 40:, 40:] >= 253).all()


def test_says_which_colors_it_wrote(tmp_path):
    write_video(tmp_path / "new.mp4", quadrants(), fps=25)
    with av.open(str(tmp_path / "new.mp4")) as file:
        frame = next(file.decode(video=0))
    assert frame.colorspace == av.video.reformatter.Colorspace.ITU601
    assert frame.color_range == av.video.reformatter.ColorRange.MPEG


@pytest.mark.parametrize(
    ("fps", "rate"),
    [
        (25, 25),
        (12.5, fractions.Fraction(25, 2)),
        (30000 / 1001, fractions.Fraction(30000, 1001)),
        (fractions.Fraction(24000, 1001), fractions.Fraction(24000, 1001)),
    ],
)
def test_rate_is_exact(tmp_path, fps, rate):
    write_video(tmp_path / "new.mp4", quadrants(), fps=fps)
    assert read(tmp_path / "new.mp4")[0] == rate


def test_odd_sizes_gain_a_repeated_line(tmp_path):
    ramp = np.linspace(0, 255, 33 * 47, dtype=np.uint8).reshape(33, 47)
    clip = np.repeat(ramp[None, ..., None], 3, axis=3)
    write_video(tmp_path / "new.mp4", clip, fps=25)
    back = read(tmp_path / "new.mp4")[1].astype(int)
    assert back.shape == (1, 34, 48, 3)
    assert np.abs(back[:, :33, :47] - clip).max() <= 12
    assert np.abs(back[:, 33, :47] - clip[:, 32]).max() <= 12


def test_same_frames_same_bytes(tmp_path):
    clip = np.random.default_rng(0).integers(0, 256, (12, 48, 64, 3), dtype=np.uint8)
    for name in ("a.mp4", "b.mp4"):
        write_video(tmp_path / name, clip, fps=25)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_takes_any_iterable_once(tmp_path):
    assert write_video(tmp_path / "sub" / "new.mp4", iter(quadrants(7)), fps=25) == 7
    assert len(read(tmp_path / "sub" / "new.mp4")[1]) == 7


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"fps": 0}, ValueError, "`fps`.*fps=0"),
        ({"fps": -25}, ValueError, "`fps`.*fps=-25"),
        ({"fps": float("nan")}, ValueError, "`fps`.*nan"),
        ({"fps": "fast"}, ValueError, "`fps`.*'fast'"),
        ({"frames": []}, ValueError, "at least one frame"),
        ({"frames": np.zeros((2, 8, 8, 3))}, TypeError, r"frames\[0\] of dtype float64"),
        ({"frames": np.zeros((2, 8, 8), np.uint8)}, ValueError, r"\(8, 8\)"),
        ({"frames": np.zeros((2, 8, 8, 4), np.uint8)}, ValueError, r"\(8, 8, 4\)"),
        (
            {"frames": [np.zeros((8, 8, 3), np.uint8), np.zeros((8, 10, 3), np.uint8)]},
            ValueError,
            r"frames\[1\] of shape \(8, 10, 3\)",
        ),
        ({"path": "new.gif"}, ValueError, "`path`.*new.gif"),
        ({"path": "new"}, ValueError, "`path`.*new"),
    ],
)
def test_wrong_arguments_leave_nothing_behind(tmp_path, change, error, words):
    arguments = {"path": "new.mp4", "frames": quadrants(), "fps": 25} | change
    with pytest.raises(error, match=words):
        write_video(tmp_path / arguments["path"], frames=arguments["frames"], fps=arguments["fps"])
    assert list(tmp_path.iterdir()) == []


def test_failure_keeps_the_old_file(tmp_path):
    path = tmp_path / "new.mp4"
    path.write_bytes(b"old")

    def broken():
        yield quadrants()[0]
        raise OSError("disk gone")

    with pytest.raises(OSError, match="disk gone"):
        write_video(path, broken(), fps=25)
    assert path.read_bytes() == b"old" and len(list(tmp_path.iterdir())) == 1
