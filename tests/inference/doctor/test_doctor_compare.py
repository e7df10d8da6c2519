"""Arrays against their video: orientation, channels, rate, brightness, and flow."""

import numpy as np
import pytest
from doctor_cases import FLOW, SPEC, apply_fix, problems, save, texture

from kinetics_i3d.inference.doctor import examine
from kinetics_i3d.inference.doctor.compare import judge_flow, shrink, warp
from kinetics_i3d.video.clip import load_clip

MISTAKES = {
    "BGR": (lambda c: c[..., ::-1], "channels"),
    "GBR": (lambda c: c[..., [1, 2, 0]], "channels"),
    "flip": (lambda c: c[:, :, ::-1], "orientation"),
    "upside down": (lambda c: c[:, ::-1], "orientation"),
    "half a turn": (lambda c: c[:, ::-1, ::-1], "orientation"),
    "clockwise": (lambda c: np.rot90(c, -1, (1, 2)), "orientation"),
    "counterclockwise": (lambda c: np.rot90(c, 1, (1, 2)), "orientation"),
    "transposed": (lambda c: c.swapaxes(1, 2), "orientation"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_with_the_video_each_mistake_is_found_and_fixed(tmp_path, video, clip, name):
    make, topic = MISTAKES[name]
    findings = problems(examine(save(tmp_path, make(clip)), spec=SPEC, video=video))
    assert set(findings) == {topic} and findings[topic].severity == "error"
    assert np.array_equal(apply_fix(make(clip), findings[topic].fix), clip)


def test_with_the_video_two_mistakes_are_both_found(tmp_path, video, clip):
    wrong = (clip[:, :, ::-1, ::-1] + 1) / 2
    findings = problems(examine(save(tmp_path, wrong), spec=SPEC, video=video))
    assert set(findings) == {"range", "orientation", "channels"}


def test_with_the_video_start_rate_and_brightness_are_found(tmp_path, video, clip):
    findings = problems(examine(save(tmp_path, clip[5:]), spec=SPEC, video=video))
    assert set(findings) == {"start"} and "frame 5, 0.20 s" in findings["start"].actual
    findings = problems(examine(save(tmp_path, clip[::2]), spec=SPEC, video=video))
    assert set(findings) == {"fps"} and "12.5" in findings["fps"].actual
    limited = ((clip + 1) * 127.5 * 219 / 255 + 16) / 127.5 - 1
    findings = problems(examine(save(tmp_path, limited), spec=SPEC, video=video))
    assert set(findings) == {"levels"} and "levels of video" in findings["levels"].actual
    findings = problems(examine(save(tmp_path, clip * 0.7), spec=SPEC, video=video))
    assert set(findings) == {"levels"} and "0.70 times" in findings["levels"].actual


def test_an_array_of_another_video_is_an_error(tmp_path, video, clip):
    other = np.random.default_rng(1).uniform(-1, 1, clip.shape)
    assert (
        "does not look like"
        in problems(examine(save(tmp_path, other), spec=SPEC, video=video))["video"].actual
    )


def test_a_looped_clip_is_compared_where_it_is_the_video(tmp_path, video):
    looped = load_clip(video, spec=SPEC, frames=64)[0]  # of 40
    assert problems(examine(save(tmp_path, looped), spec=SPEC, video=video)) == {}


def test_what_was_not_read_is_not_compared(tmp_path, video, clip, monkeypatch):
    monkeypatch.setattr("kinetics_i3d.inference.doctor.compare._MAX_FRAMES", 25)
    assert problems(examine(save(tmp_path, clip), spec=SPEC, video=video)) == {}
    other = np.random.default_rng(1).uniform(-1, 1, clip.shape)
    report = examine(save(tmp_path, other), spec=SPEC, video=video)
    finding = problems(report)["video"]
    assert finding.severity == "warning" and "the first 1 s of" in finding.actual


def test_small_pictures_are_means_of_cells():
    frames = np.random.default_rng(0).uniform(0, 1, (2, 32, 48, 3))
    expected = frames.reshape(2, 16, 2, 16, 3, 3).mean((2, 4))
    np.testing.assert_allclose(shrink(frames), expected, atol=1e-12)


FLOWS = {
    "negated": lambda f: -f,
    "swapped": lambda f: f[..., ::-1],
    "x inverted": lambda f: f * np.float32([-1, 1]),
    "y inverted": lambda f: f * np.float32([1, -1]),
    "divided twice": lambda f: f / 20,
}


@pytest.mark.parametrize("name", FLOWS)
def test_wrong_flow_is_found_by_its_video_and_fixed(tmp_path, moving, name):
    video, flow = moving
    wrong = FLOWS[name](flow)
    finding = problems(examine(save(tmp_path, wrong), spec=FLOW, video=video))["motion"]
    assert finding.severity == "error"
    np.testing.assert_allclose(apply_fix(wrong, finding.fix), flow, atol=1e-5)


def test_warp_against_a_loop():
    rng = np.random.default_rng(0)
    picture, flow = rng.uniform(0, 1, (7, 9)), rng.uniform(-3, 3, (7, 9, 2))
    findings = warp(picture[None], flow[None])[0]
    for row in range(7):
        for column in range(9):
            x = min(max(column + flow[row, column, 0], 0), 8)
            y = min(max(row + flow[row, column, 1], 0), 6)
            weights = {
                (i, j): max(0, 1 - abs(y - i)) * max(0, 1 - abs(x - j))
                for i in range(7)
                for j in range(9)
            }
            expected = sum(picture[place] * weight for place, weight in weights.items())
            assert findings[row, column] == pytest.approx(expected)


def test_flow_is_not_judged_where_nothing_moves():
    picture = texture(32, 32)[None, ..., 0]
    assert judge_flow(np.full((1, 32, 32, 2), 0.01), picture, picture).severity == "ok"
