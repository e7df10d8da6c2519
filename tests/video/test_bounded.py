"""The bounded decoder: the same frames, and hostile videos cost themselves alone."""

import os
import pathlib
import shutil
import sys

import numpy as np
import pytest

import kinetics_i3d as ki3d
from kinetics_i3d.cli.main import main
from kinetics_i3d.core.child_process import kill_children
from kinetics_i3d.inference.doctor.scan import scan
from kinetics_i3d.inference.feature_metadata import first_picture_time, frame_rate
from kinetics_i3d.video.frame_folder import gray_pictures
from kinetics_i3d.video.reader import timed_frames

EXAMPLE = pathlib.Path(__file__).resolve().parents[2] / "examples/wave.mp4"
VARIABLE = "KINETICS_I3D_BOUNDED_DECODER"
LIMITS = "KINETICS_I3D_VIDEO_LIMITS"
HOSTILE_DECODER = pathlib.Path(__file__).resolve().parents[1] / "hostile_decoder.py"


@pytest.fixture
def bounded(monkeypatch):
    monkeypatch.setenv(VARIABLE, "1")


@pytest.fixture
def hostile(bounded, monkeypatch, tmp_path):
    """Children whose decoder hangs, aborts or fills memory in videos of that name."""
    (tmp_path / "start").mkdir()
    shutil.copy(HOSTILE_DECODER, tmp_path / "start" / "sitecustomize.py")
    monkeypatch.syspath_prepend(tmp_path / "start")
    kill_children()
    yield tmp_path
    kill_children()


def both(monkeypatch, function):
    """The results of a function without and with the bounded decoder."""
    monkeypatch.setenv(VARIABLE, "0")
    plain = function()
    monkeypatch.setenv(VARIABLE, "1")
    return plain, function()


def assert_same(one, two):
    assert type(one) is type(two)
    if isinstance(one, np.ndarray):
        np.testing.assert_array_equal(one, two)
        assert one.dtype == two.dtype and two.flags.writeable
    elif isinstance(one, (list, tuple)):
        for first, second in zip(one, two, strict=True):
            assert_same(first, second)
    else:
        assert one == two


@pytest.mark.parametrize(
    "read",
    [
        lambda path: list(ki3d.read_frames(path)),
        lambda path: list(ki3d.read_frames(pathlib.Path(path), fps=7, short_side=64, start=0.5)),
        lambda path: list(ki3d.read_frames(f"{path}#t=0.5,1", interpolation="area_cubic")),
        lambda path: list(timed_frames(path, fps=10, short_side=40)),
        lambda path: list(timed_frames(path, fps=10, pixels=False)),
        lambda path: ki3d.load_clip(path, frames=5),
        lambda path: ki3d.video_info(path),
        lambda path: ki3d.video_info(f"{path}#t=0.5,1"),
        lambda path: [*vars(scan(path)).values()],
        lambda path: (first_picture_time(path), frame_rate(path)),
    ],
)
def test_results_are_equal_to_the_bit(monkeypatch, read):
    assert_same(*both(monkeypatch, lambda: read(str(EXAMPLE))))


def test_folders_of_pictures_are_read_the_same(monkeypatch, tmp_path):
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)
    files = [tmp_path / f"img_{number:05}.jpg" for number in range(1, 4)]
    for file in files:
        Image.fromarray(pixels).save(file)
    assert_same(*both(monkeypatch, lambda: list(ki3d.read_frames(tmp_path, fps=25))))
    assert_same(*both(monkeypatch, lambda: gray_pictures([str(file) for file in files])))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "limits", "reason"),
    [
        ("hangs", "seconds=2", "the decoder took more than 2 seconds"),
        ("crashes", "", r"the decoder crashed \(SIGABRT\)"),
        pytest.param(
            *("fills_memory", "memory=300000000", "the decoder needs more than 286 MiB of memory"),
            marks=pytest.mark.skipif(sys.platform != "linux", reason="Linux limits memory"),
        ),
    ],
)
def test_a_hostile_video_costs_itself_alone(hostile, monkeypatch, name, limits, reason):
    monkeypatch.setenv(LIMITS, limits)
    path, sound = hostile / f"{name}.mp4", hostile / "sound.mp4"
    shutil.copy(EXAMPLE, path)
    shutil.copy(EXAMPLE, sound)
    with pytest.raises(ki3d.VideoError, match=rf"^{path}: {reason} \({LIMITS}=") as raised:
        list(ki3d.read_frames(path))
    assert "\n" not in str(raised.value)
    monkeypatch.setenv(LIMITS, "")
    assert len(list(ki3d.read_frames(sound))) == 64


@pytest.mark.skipif(sys.platform != "linux", reason="Linux limits memory")
def test_a_real_decoder_that_needs_too_much_memory(bounded, monkeypatch, tmp_path):
    path = tmp_path / "large.mp4"
    ki3d.write_video(path, np.zeros((4, 2160, 3840, 3), np.uint8), fps=25)
    monkeypatch.setenv(LIMITS, "memory=40000000")
    with pytest.raises(
        ki3d.VideoError, match=rf"^{path}: decoding it needs more memory than [^\n]*{LIMITS}"
    ):
        list(ki3d.read_frames(path))
    monkeypatch.setenv(LIMITS, "memory=1000000000")
    assert len(list(ki3d.read_frames(path, short_side=64))) == 4


def test_errors_and_warnings_are_those_of_the_reader(bounded, tmp_path, monkeypatch):
    from absl import logging

    with pytest.raises(ki3d.VideoError, match=r"^none.mp4: there is no such file$"):
        list(ki3d.read_frames("none.mp4"))
    with pytest.raises(ki3d.VideoError, match="ends before start=100 seconds"):
        list(ki3d.read_frames(EXAMPLE, start=100))
    with pytest.raises(ValueError, match="`fps`"):
        ki3d.read_frames(EXAMPLE, fps=-1)
    lines = []
    monkeypatch.setattr(logging, "warning", lambda text, *args: lines.append(text % args))
    data = bytearray(EXAMPLE.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 3000] = bytes(3000)
    damaged = tmp_path / "damaged.mp4"
    damaged.write_bytes(data)
    plain = both(monkeypatch, lambda: list(ki3d.read_frames(damaged)))
    assert_same(*plain)
    assert len(lines) == 2 and lines[0] == lines[1] and "is damaged" in lines[0]


def test_frames_in_memory_need_no_child(bounded):
    frames = np.zeros((3, 32, 32, 3), np.uint8)
    assert len(list(ki3d.read_frames(ki3d.VideoFrames(frames, fps=25)))) == 3


def test_the_setting(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    assert ki3d.set_bounded_decoder(True) is False
    assert ki3d.set_bounded_decoder(False) is True
    assert ki3d.set_bounded_decoder(False) is False


@pytest.mark.parametrize(("option", "name"), [("--bounded-decoder", "SIGABRT"), (None, "")])
def test_the_option_of_the_command(hostile, monkeypatch, capsys, option, name):
    monkeypatch.setenv(VARIABLE, "0")
    path = hostile / "crashes.mp4"
    shutil.copy(EXAMPLE, path)
    words = ["doctor", str(path), *([option] if option else [])]
    assert main(words) == (2 if option else 0)
    assert name in "".join(capsys.readouterr())
    assert os.environ[VARIABLE] == "0"  # for the next command of this process
