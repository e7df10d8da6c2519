"""`draw_filmstrip`: frames of any shape, and bars as long as the probabilities."""

import numpy as np
import pytest

from kinetics_i3d.core.canvas import ACCENT, LINE, MUTED
from kinetics_i3d.core.clip_spec import ClipSpec
from kinetics_i3d.core.errors import UserError, VideoError
from kinetics_i3d.inference import classify as module
from kinetics_i3d.inference.classify import Classification, draw_filmstrip
from kinetics_i3d.video.video_frames import VideoFrames
from kinetics_i3d.video.writer import write_video

MARGIN, TITLE = 28, 56  # pixels at the sides, and above the frames
SPEC = ClipSpec("tiny", fps=25, short_side=40, size=20)
RESULT = Classification("x", (("wave", 0.75), ("a long label " * 9, 0.25), ("sit", 0.0)), 1.5)


def gray_video(path, count, height=48, width=64):
    """Frame k is gray of value 2k + 20, so a frame tells its number."""
    frames = (np.full((height, width, 3), 2 * k + 20, np.uint8) for k in range(count))
    write_video(path, frames, fps=10)
    return path


def drawn(path):
    from PIL import Image

    return np.asarray(Image.open(path))


def test_bars_are_as_long_as_the_probabilities(tmp_path):
    video = gray_video(tmp_path / "v.mp4", 4)
    draw_filmstrip(tmp_path / "out.png", video, RESULT, spec=SPEC)
    picture = drawn(tmp_path / "out.png")
    start = np.flatnonzero((picture == ACCENT).all(axis=-1).any(axis=0))[0]
    bars = picture[:, start:]
    for color, probability in ((ACCENT, 0.75), (MUTED, 0.25)):
        filled = (bars == color).all(axis=-1).sum(axis=1)
        row = int(filled.argmax())
        empty = (bars[row] == LINE).all(axis=-1).sum()
        assert filled[row] / (filled[row] + empty) == pytest.approx(probability, abs=0.005)


@pytest.mark.parametrize(("height", "width"), [(48, 64), (256, 32), (32, 512), (16, 16)])
def test_frames_of_any_shape_are_drawn_inside_the_picture(tmp_path, height, width):
    video = gray_video(tmp_path / "v.mp4", 12, height, width)
    draw_filmstrip(tmp_path / "out.png", video, RESULT, spec=SPEC)
    picture = drawn(tmp_path / "out.png")
    assert picture.shape[1] == 1200 and 200 < picture.shape[0] < 1400
    assert (picture[:, :MARGIN] == 255).all() and (picture[:, -MARGIN:] == 255).all()
    middles = picture[TITLE : TITLE + 900]
    grays = middles[(middles == middles[..., :1]).all(axis=-1)][:, 0]
    # The frames have levels from 20 to 42, drawn again at half of it outside of the crop.
    assert len(np.unique(grays[grays < 50])) >= 8


def test_the_part_outside_the_crop_is_dark(tmp_path):
    write_video(tmp_path / "v.mp4", (np.full((48, 64, 3), 200, np.uint8) for _ in range(8)), fps=10)
    draw_filmstrip(tmp_path / "out.png", tmp_path / "v.mp4", RESULT, spec=SPEC)
    picture = drawn(tmp_path / "out.png")[TITLE:, :, 1].astype(int)
    bright, dark = ((np.abs(picture - level) < 4).sum() for level in (200, 100))
    share = 20 * 20 / (40 * 53)  # of the picture that is resized to 40x53
    assert bright / (bright + dark) == pytest.approx(share, abs=0.02)


def test_a_part_has_the_times_of_its_video(tmp_path, monkeypatch):
    stamps = []
    monkeypatch.setattr(module, "_draw_frame", lambda *arguments: stamps.append(arguments[-1]))
    video = gray_video(tmp_path / "v.mp4", 20)
    draw_filmstrip(tmp_path / "out.png", f"{video}#t=1,1.4", RESULT, spec=SPEC)
    assert stamps == pytest.approx([1.0, 1.1, 1.2, 1.3])


def test_frames_in_memory_are_drawn_too(tmp_path):
    frames = VideoFrames(np.full((8, 48, 64, 3), 200, np.uint8), fps=10)
    draw_filmstrip(tmp_path / "out.png", frames, RESULT, spec=SPEC)
    assert drawn(tmp_path / "out.png").shape[1] == 1200


def test_errors_leave_no_file(tmp_path):
    video = gray_video(tmp_path / "v.mp4", 2)
    with pytest.raises(UserError, match=r"\.png"):
        draw_filmstrip(tmp_path / "out.gif", video, RESULT, spec=SPEC)
    with pytest.raises(ValueError, match="`frames`"):
        draw_filmstrip(tmp_path / "out.png", video, RESULT, spec=SPEC, frames=0)
    with pytest.raises(VideoError):
        draw_filmstrip(tmp_path / "out.png", tmp_path / "none.mp4", RESULT, spec=SPEC)
    assert [path.name for path in tmp_path.iterdir()] == ["v.mp4"]


def test_the_crop_must_be_known(coded_video, tmp_path):
    with pytest.raises(ValueError, match="`spec` is required"):
        draw_filmstrip(tmp_path / "out.png", coded_video(4), RESULT)
