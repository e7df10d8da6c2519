"""Which folders are videos, and the frame rates behind their names."""

import fractions

import pytest

from kinetics_i3d.core.errors import VideoError
from kinetics_i3d.video.frame_folder import is_frame_folder, split_rate
from kinetics_i3d.video.reader import read_frames


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("frames", ("frames", None)),
        ("frames#fps=12.5", ("frames", fractions.Fraction(25, 2))),
        ("frames#fps=30", ("frames", 30)),
        ("frames#fps=0", ("frames#fps=0", None)),
        ("frames#fps=", ("frames#fps=", None)),
    ],
)
def test_the_rate_behind_a_folder_is_split_off(path, parts):
    assert split_rate(path) == parts


@pytest.mark.parametrize(
    ("name", "is_video"),
    [
        ("img_00001.JPG", True),
        ("1.png", True),
        ("img.jpg", False),
        ("1.mp4", False),
        ("._1.png", False),  # macOS writes such a file for each that it copies
    ],
)
def test_a_folder_of_numbered_pictures_is_a_video(tmp_path, name, is_video):
    (tmp_path / name).touch()
    assert is_frame_folder(tmp_path) is is_video
    assert is_frame_folder(f"{tmp_path}#fps=12") is is_video


@pytest.fixture
def write(tmp_path, coded):
    """(prefix, numbers) -> the folder, in which each picture shows its number."""
    from PIL import Image

    def pictures(prefix, shown):
        for number in shown:
            Image.fromarray(coded(number)).save(tmp_path / f"{prefix}{number}.png")
        return tmp_path

    return pictures


@pytest.mark.parametrize(
    "prefix", ["img_", "image_", "frame_", "frame", "img", "image", "rgb_", "", "film_"]
)
def test_pictures_are_frames_by_their_numbers(write, numbers, prefix):
    folder = write(prefix, [10, 9, 2])
    assert numbers(read_frames(folder)) == [2, 9, 10]
    for flow in ("flow_x_", "flow_y_"):
        write(flow, [0, 1, 2, 3])
    assert numbers(read_frames(folder)) == [2, 9, 10]
    write("thumbnail_", [5])
    if prefix == "film_":
        with pytest.raises(VideoError, match=r"several prefixes, \['film_', 'thumbnail_'\]"):
            next(read_frames(folder))
    else:
        assert numbers(read_frames(folder)) == [2, 9, 10]


def test_flow_alone_is_no_video(write):
    with pytest.raises(VideoError, match="a folder without numbered pictures"):
        next(read_frames(write("flow_x_", [0, 1])))


def test_a_folder_without_a_sound_picture_is_named_with_the_reason(tmp_path):
    for number in (1, 2):
        (tmp_path / f"img_{number}.png").write_bytes(b"no picture")
    with pytest.raises(VideoError) as raised:
        next(read_frames(tmp_path))
    message = str(raised.value)
    assert message.startswith(f"{tmp_path}: no picture can be decoded ({tmp_path / 'img_2.png'}: ")


def test_a_folder_with_a_video_is_no_folder_of_frames(tmp_path):
    for number in range(60):
        (tmp_path / f"poster{number}.jpg").write_bytes(b".")
    assert is_frame_folder(tmp_path)
    (tmp_path / "video.mp4").write_bytes(b".")
    assert not is_frame_folder(tmp_path)
