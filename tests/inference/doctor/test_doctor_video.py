"""Videos: rate, length, size, crop, bars, light and motion."""

import json

import numpy as np
import pytest
from doctor_cases import SPEC, by_topic, problems, texture

from kinetics_i3d.core.clip_spec import MEDIAPIPE
from kinetics_i3d.core.errors import VideoError
from kinetics_i3d.inference.doctor import examine
from kinetics_i3d.inference.doctor.contact_sheet import draw_contact_sheet
from kinetics_i3d.inference.doctor.scan import scan
from kinetics_i3d.video.reader import read_frames
from kinetics_i3d.video.writer import write_video


def test_a_good_video_has_no_problems(video):
    report = examine(video, spec=SPEC, frames=40)
    assert problems(report) == {} and report.kind == "video"
    topics = by_topic(report)
    assert (
        topics["frames"].actual == "40, 1.60 s" and topics["length"].actual == "40 frames at 25 fps"
    )
    assert topics["crop"].actual == "64x64 holds 67 % of the picture"
    json.dumps(report.to_dict())


@pytest.mark.parametrize(
    ("frames", "fps", "spec", "topic", "text"),
    [
        (lambda f: f, 10, SPEC, "fps", "shown 2.5 times"),
        (lambda f: f[:5], 25, SPEC, "length", "5 frames at 25 fps, looped"),
        (lambda f: f[:, :16, :24], 25, SPEC, "size", "enlarged 4.0 times"),
        (lambda f: f[:, :24], 25, SPEC, "crop", "loses 75 %"),
        (lambda f: f // 12, 25, SPEC, "light", "very dark"),
        (lambda f: np.repeat(f[:10], 2, 0), 25, SPEC, "motion", "of 20 frames repeat"),
        (lambda f: np.repeat(f[:1], 20, 0), 25, SPEC, "motion", "all frames are the same"),
    ],
)
def test_problems_of_a_video_are_warnings(tmp_path, frames, fps, spec, topic, text):
    pictures = np.stack([texture(64, 300)[:, 3 * k : 3 * k + 96] for k in range(40)])
    write_video(tmp_path / "v.mp4", frames(pictures.astype(np.uint8)), fps=fps)
    report = examine(tmp_path / "v.mp4", spec=spec)
    assert text in problems(report)[topic].actual and not report.has_errors


def test_a_part_has_the_pictures_that_readers_sample(tmp_path):
    """At one picture a second: the one shown at its beginning too, and none beyond its end."""
    pictures = np.stack([texture(64, 300)[:, 9 * k : 9 * k + 96] for k in range(12)])
    write_video(tmp_path / "slides.mp4", pictures.astype(np.uint8), fps=1)
    for part, count in (("5.2,5.8", 1), ("4.2,6.6", 3), ("0,10", 10), ("10.4", 2)):
        path = f"{tmp_path / 'slides.mp4'}#t={part}"
        result = scan(path)
        assert len(result.timed) == count and result.times[0] == 0
        assert result.count_at(25) == sum(1 for _ in read_frames(path, fps=25))
    # The rest of the picture that is shown at the beginning of a part is no odd frame.
    assert "timing" not in problems(examine(f"{tmp_path / 'slides.mp4'}#t=4.2"))
    with pytest.raises(VideoError, match="no picture is shown in this part"):
        scan(f"{tmp_path / 'slides.mp4'}#t=12.5,13")


@pytest.mark.parametrize("rate", [240, 480])
def test_times_in_milliseconds_are_steady_at_a_high_rate(mux, rate):
    wall = texture(64, 200).astype(np.uint8)
    pictures = [wall[:, k : k + 96] for k in range(96)]
    ticks = [1000 * k // rate for k in range(96)]
    assert len(set(np.diff(ticks))) == 2
    path = mux("fast.mkv", ticks, rate=rate, frames=pictures)
    assert "timing" not in problems(examine(path, spec=SPEC))


def test_black_frames_and_bars(tmp_path):
    pictures = np.stack([texture(64, 300)[:, 3 * k : 3 * k + 96] for k in range(20)]).astype(
        np.uint8
    )
    pictures[:, :16], pictures[:, 48:] = 0, 0
    write_video(tmp_path / "bars.mp4", pictures, fps=25)
    findings = problems(examine(tmp_path / "bars.mp4", spec=SPEC))
    assert set(findings) == {"bars"} and "over 50 % of the crop" in findings["bars"].actual
    assert "top 25 %, bottom 25 %" in findings["bars"].actual
    pictures[:] = 100
    pictures[:, :, ::3] = 140
    pictures[:, :, :10], pictures[:, :, -10:] = 0, 0  # outside the crop
    pictures[::2, 20] = 200
    write_video(tmp_path / "sides.mp4", pictures, fps=25)
    assert "bars" not in problems(examine(tmp_path / "sides.mp4", spec=SPEC))
    pictures[:4] = 0
    write_video(tmp_path / "some.mp4", pictures, fps=25)
    assert problems(examine(tmp_path / "some.mp4", spec=SPEC))["light"].actual.startswith("4 of 20")
    write_video(tmp_path / "black.mp4", pictures * 0, fps=25)
    assert problems(examine(tmp_path / "black.mp4", spec=SPEC))["light"].severity == "error"


def test_a_video_shorter_than_in_training(video):
    findings = problems(examine(video, spec=SPEC, frames=64))
    assert set(findings) == {"length"} and findings["length"].expected == "64 as in training"


def test_an_upright_video_is_too_narrow_for_mediapipe(tmp_path):
    pictures = np.stack([texture(96, 300)[:, 3 * k : 3 * k + 64] for k in range(12)])
    write_video(tmp_path / "v.mp4", pictures.astype(np.uint8), fps=25)
    report = examine(tmp_path / "v.mp4", spec=MEDIAPIPE)
    finding = problems(report)["crop"]
    assert finding.severity == "error" and "170 pixels wide" in finding.actual
    draw_contact_sheet(tmp_path / "sheet.png", report)
    assert (tmp_path / "sheet.png").is_file()


# Confirmed by eye.
EXPECTED = {
    "corrupted.mp4": {"fps", "timing", "frames"},
    "header_says_48_holds_40.avi": {"timing", "frames"},
    "rotated_180.mov": {"length"},
    "rotated_90.mov": {"length"},
    "unordered.mov": {"size", "motion", "length", "contrast"},
    "cricket_shot_flow.gif": {"contrast"},
}


@pytest.mark.slow
def test_real_videos(shared):
    folder = shared / "clips"
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        report = examine(path)
        assert set(problems(report)) == EXPECTED.get(path.name, set()), path.name
        assert not report.has_errors
