"""The doctor: each mistake made on purpose is found, and its `fix` undoes it."""

import dataclasses
import json

import numpy as np
import pytest

from kinetics_i3d.core.clip_spec import DEEPMIND_FLOW, MEDIAPIPE, ClipSpec
from kinetics_i3d.core.errors import UserError, VideoError
from kinetics_i3d.inference.doctor import examine, looks_blue, spec_of_weights
from kinetics_i3d.inference.doctor.array import LEAST_SIDE
from kinetics_i3d.inference.doctor.compare import judge_flow, shrink, warp
from kinetics_i3d.inference.doctor.contact_sheet import draw_contact_sheet
from kinetics_i3d.inference.doctor.report import Finding, Report
from kinetics_i3d.inference.doctor.video import MINIMUM_FRAMES
from kinetics_i3d.video.clip import load_clip
from kinetics_i3d.video.writer import write_video

SPEC = ClipSpec("small", fps=25, short_side=64, size=64)
FLOW = dataclasses.replace(SPEC, name="small_flow", stream="flow")


def texture(height, width, seed=0, coarse=8):
    """A smooth coloured picture, float (height, width, 3), 0 to 255."""
    cells = np.random.default_rng(seed).uniform(
        0, 255, (height // coarse + 2, width // coarse + 2, 3)
    )
    rows, columns = np.arange(height) / coarse, np.arange(width) / coarse
    y, x = rows.astype(int), columns.astype(int)
    down, across = (rows - y)[:, None, None], (columns - x)[None, :, None]
    top = cells[y][:, x] * (1 - across) + cells[y][:, x + 1] * across
    bottom = cells[y + 1][:, x] * (1 - across) + cells[y + 1][:, x + 1] * across
    return top * (1 - down) + bottom * down


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """A camera that pans over a coloured texture: 40 frames, 64x96, 25 a second."""
    wall = texture(64, 300)
    wall[20:23], wall[23:26] = 0, 255  # something black and something white
    path = tmp_path_factory.mktemp("doctor") / "pan.mp4"
    frames = (wall[:, 3 * k : 3 * k + 96].astype(np.uint8) for k in range(40))
    write_video(path, frames, fps=25)
    return path


@pytest.fixture(scope="module")
def clip(video):
    return load_clip(video, spec=SPEC)[0]


def save(folder, clip, name="clip.npy"):
    np.save(folder / name, clip)
    return folder / name


def problems(report):
    return {finding.topic: finding for finding in report.findings if finding.severity != "ok"}


def by_topic(report):
    return {finding.topic: finding for finding in report.findings}


def apply_fix(clip, line):
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    return eval(line.split(" with ")[0], {"clip": clip, "np": np, "mean": mean, "std": std})


def test_a_correct_clip_has_no_problems(tmp_path, video, clip):
    for given in (clip, clip[None], clip.astype(np.float64), clip.astype(np.float16)):
        report = examine(save(tmp_path, given), spec=SPEC, video=video)
        assert problems(report) == {} and not report.has_errors and report.kind == "array"
    np.savez(tmp_path / "one.npz", clip=clip)
    assert problems(examine(tmp_path / "one.npz", spec=SPEC, video=video)) == {}


MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
RANGES = {
    "[0, 1]": lambda c: (c + 1) / 2,
    "[0, 255]": lambda c: (c + 1) * 127.5,
    "uint8": lambda c: np.rint((c + 1) * 127.5).astype(np.uint8),
    "ImageNet": lambda c: ((c + 1) / 2 - MEAN) / STD,
    "ImageNet, BGR": lambda c: (((c + 1) / 2 - MEAN) / STD)[..., ::-1],
    "mean subtracted": lambda c: (c + 1) * 127.5 - np.array([123.68, 116.78, 103.94]),
}


@pytest.mark.parametrize("name", RANGES)
def test_a_wrong_range_is_named_and_fixed(tmp_path, clip, name):
    wrong = RANGES[name](clip)
    report = examine(save(tmp_path, wrong), spec=SPEC)
    finding = problems(report)["range"]
    assert report.has_errors and finding.severity == "error" and finding.expected == "-1 to 1"
    assert name.split(",")[0].replace("uint8", "[0, 255]") in finding.actual or "[0, 1]" in name
    if name != "mean subtracted" and "BGR" not in name:
        np.testing.assert_allclose(apply_fix(wrong, finding.fix), clip, atol=0.01)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda c: c / 127.5, "scaling twice"),
        (lambda c: ((c + 1) / 2) / 127.5 - 1, "scaling twice"),
        (lambda c: np.full_like(c, 0.5), "all values are 0.5"),
        (lambda c: c * 40, "values from -40 to 40"),
    ],
)
def test_implausible_values_are_errors(tmp_path, clip, make, text):
    finding = problems(examine(save(tmp_path, make(clip)), spec=SPEC))["range"]
    assert finding.severity == "error" and text in finding.actual


def test_overshoot_is_a_warning_and_bright_or_dull_clips_pass(tmp_path, clip):
    peaks = clip.copy()
    peaks[:, ::7, ::7] = 1.1
    finding = problems(examine(save(tmp_path, peaks), spec=SPEC))["range"]
    assert finding.severity == "warning" and finding.fix == "np.clip(clip, -1, 1)"
    assert "range" not in problems(examine(save(tmp_path, clip * 0.3), spec=SPEC))
    assert "range" not in problems(examine(save(tmp_path, clip * 0.3 + 0.7), spec=SPEC))


def test_other_specs_expect_other_ranges(tmp_path, clip):
    spec = dataclasses.replace(SPEC, low=-117.0, high=138.0)
    right = spec.normalize(SPEC.denormalize(clip))
    assert problems(examine(save(tmp_path, right), spec=spec)) == {}
    pixels = right + 117
    line = problems(examine(save(tmp_path, pixels), spec=spec))["range"].fix
    assert line == "clip - 117"
    unit = pixels / 255
    line = problems(examine(save(tmp_path, unit), spec=spec))["range"]
    assert line.severity == "error"


@pytest.mark.parametrize(
    "axes", [(3, 0, 1, 2), (0, 3, 1, 2), (1, 2, 0, 3), (1, 2, 3, 0), (3, 1, 2, 0)]
)
def test_a_wrong_order_of_axes_is_fixed(tmp_path, clip, axes):
    for given in (clip.transpose(axes), clip.transpose(axes)[None]):
        finding = problems(examine(save(tmp_path, given), spec=SPEC))["shape"]
        back = apply_fix(given, finding.fix)
        assert np.array_equal(back.reshape(clip.shape), clip)


@pytest.mark.parametrize(
    ("make", "topic", "text"),
    [
        (lambda c: c[0], "shape", "(64, 64, 3)"),
        (lambda c: c[..., :2], "shape", "optical flow"),
        (lambda c: c[:8], "frames", "8"),
        (lambda c: c[:, ::4, ::4], "size", "16x16"),
        (lambda c: np.where(c > 0.99, np.nan, c), "values", "NaN"),
        (lambda c: c > 0, "dtype", "bool"),
        (lambda c: c.astype(complex), "dtype", "complex"),
        (lambda c: c[:0], "shape", "(0, "),
    ],
)
def test_arrays_that_no_network_can_read_are_errors(tmp_path, clip, make, topic, text):
    finding = problems(examine(save(tmp_path, make(clip)), spec=SPEC))[topic]
    assert finding.severity == "error" and text in finding.actual


def test_minimum_frames_are_those_of_the_model():
    from kinetics_i3d.models.inception_i3d import MINIMUM_CLIP

    assert MINIMUM_CLIP[:2] == (MINIMUM_FRAMES, LEAST_SIDE)


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
    found = problems(examine(save(tmp_path, make(clip)), spec=SPEC, video=video))
    assert set(found) == {topic} and found[topic].severity == "error"
    assert np.array_equal(apply_fix(make(clip), found[topic].fix), clip)


def test_with_the_video_two_mistakes_are_both_found(tmp_path, video, clip):
    wrong = (clip[:, :, ::-1, ::-1] + 1) / 2
    found = problems(examine(save(tmp_path, wrong), spec=SPEC, video=video))
    assert set(found) == {"range", "orientation", "channels"}


def test_with_the_video_start_rate_and_brightness_are_found(tmp_path, video, clip):
    found = problems(examine(save(tmp_path, clip[5:]), spec=SPEC, video=video))
    assert set(found) == {"start"} and "frame 5, 0.20 s" in found["start"].actual
    found = problems(examine(save(tmp_path, clip[::2]), spec=SPEC, video=video))
    assert set(found) == {"fps"} and "12.5" in found["fps"].actual
    limited = ((clip + 1) * 127.5 * 219 / 255 + 16) / 127.5 - 1
    found = problems(examine(save(tmp_path, limited), spec=SPEC, video=video))
    assert set(found) == {"levels"} and "levels of video" in found["levels"].actual
    found = problems(examine(save(tmp_path, clip * 0.7), spec=SPEC, video=video))
    assert set(found) == {"levels"} and "0.70 times" in found["levels"].actual


def test_an_array_of_another_video_is_an_error(tmp_path, video, clip):
    other = np.random.default_rng(1).uniform(-1, 1, clip.shape)
    assert (
        "does not look like"
        in problems(examine(save(tmp_path, other), spec=SPEC, video=video))["video"].actual
    )


def test_small_pictures_are_means_of_cells():
    frames = np.random.default_rng(0).uniform(0, 1, (2, 32, 48, 3))
    expected = frames.reshape(2, 16, 2, 16, 3, 3).mean((2, 4))
    np.testing.assert_allclose(shrink(frames), expected, atol=1e-12)


def test_without_the_video_blue_skin_is_a_warning(tmp_path):
    skin = texture(64, 64) * 0.2 + np.array([190, 130, 100])
    clip = SPEC.normalize(np.stack([np.roll(skin, k, 0) for k in range(9)]).clip(0, 255))
    clip[:, :4], clip[:, 4:8] = -1, 1
    assert problems(examine(save(tmp_path, clip), spec=SPEC)) == {}
    found = problems(examine(save(tmp_path, clip[..., ::-1]), spec=SPEC))
    assert set(found) == {"channels"} and found["channels"].severity == "warning"


# ---- flow


def shifted(dx, dy, frames=12, size=64):
    """Frames of a texture that moves by (dx, dy) pixels a frame, uint8 (frames, size, size, 3)."""
    wall = texture(size + 120, size + 120, seed=3, coarse=5)
    return np.stack(
        [
            wall[60 - dy * k : 60 - dy * k + size, 60 - dx * k : 60 - dx * k + size]
            for k in range(frames)
        ]
    ).astype(np.uint8)


@pytest.fixture(scope="module")
def moving(tmp_path_factory):
    """(video, its flow in the range of the spec): 3 pixels to the right, 1 upward a frame."""
    path = tmp_path_factory.mktemp("flow") / "moving.mp4"
    write_video(path, shifted(3, -1), fps=25)
    flow = np.zeros((11, 64, 64, 2), np.float32)
    flow[..., 0], flow[..., 1] = 3 / 20, -1 / 20
    flow += np.random.default_rng(0).normal(0, 0.002, flow.shape)
    return path, flow.astype(np.float32)


def test_correct_flow_has_no_problems(tmp_path, moving):
    video, flow = moving
    report = examine(save(tmp_path, flow), spec=FLOW, video=video)
    assert problems(report) == {} and "carries each frame" in by_topic(report)["motion"].actual
    assert by_topic(report)["pairs"].actual == "11 for 12 frames of the video"


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


@pytest.mark.parametrize(
    ("make", "text", "severity"),
    [
        (lambda f: f * 20, "which is pixels", "error"),
        (lambda f: (f + 1) / 2, "which is [0, 1]", "error"),
        (lambda f: (f + 1) * 127.5, "which is [0, 255]", "error"),
        (lambda f: np.rint((f + 1) * 127.5).astype(np.uint8), "which is [0, 255]", "error"),
        (lambda f: np.abs(f), "all of one sign", "warning"),
        (lambda f: f * 0, "all values are 0", "error"),
    ],
)
def test_ranges_of_flow(tmp_path, moving, make, text, severity):
    wrong = make(moving[1])
    finding = problems(examine(save(tmp_path, wrong), spec=FLOW))["range"]
    assert finding.severity == severity and text in finding.actual
    if "[" in text or "pixels" in text:
        np.testing.assert_allclose(apply_fix(wrong, finding.fix), moving[1], atol=0.005)


def test_warp_against_a_loop():
    rng = np.random.default_rng(0)
    picture, flow = rng.uniform(0, 1, (7, 9)), rng.uniform(-3, 3, (7, 9, 2))
    found = warp(picture[None], flow[None])[0]
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
            assert found[row, column] == pytest.approx(expected)


def test_flow_is_not_judged_where_nothing_moves():
    picture = texture(32, 32)[None, ..., 0]
    assert judge_flow(np.full((1, 32, 32, 2), 0.01), picture, picture).severity == "ok"


# ---- video


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


def test_black_frames_and_bars(tmp_path):
    pictures = np.stack([texture(64, 300)[:, 3 * k : 3 * k + 96] for k in range(20)]).astype(
        np.uint8
    )
    pictures[:, :16], pictures[:, 48:] = 0, 0
    write_video(tmp_path / "bars.mp4", pictures, fps=25)
    found = problems(examine(tmp_path / "bars.mp4", spec=SPEC))
    assert set(found) == {"bars"} and "over 50 % of the crop" in found["bars"].actual
    assert "top 25 %, bottom 25 %" in found["bars"].actual
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
    found = problems(examine(video, spec=SPEC, frames=64))
    assert set(found) == {"length"} and found["length"].expected == "64 as in training"


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


def test_real_videos(shared):
    folder = shared / "clips"
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        report = examine(path)
        assert set(problems(report)) == EXPECTED.get(path.name, set()), path.name
        assert not report.has_errors


def test_an_unreadable_file_is_an_error_with_its_path(tmp_path, video):
    for name, content, text in (
        ("gone.npy", None, "no such file"),
        ("text.npy", b"no array", "not an array of numbers"),
        ("empty.npz", b"", "not an array of numbers"),
    ):
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=rf"{name}: .*{text}"):
            examine(tmp_path / name)
    np.save(tmp_path / "objects.npy", np.array([None, "a"], object), allow_pickle=True)
    with pytest.raises(UserError, match=r"objects\.npy: not an array of numbers"):
        examine(tmp_path / "objects.npy")
    np.savez(tmp_path / "two.npz", a=np.zeros(3), b=np.zeros(3))
    with pytest.raises(UserError, match=r"two\.npz: holds a, b; one array is needed"):
        examine(tmp_path / "two.npz")
    with pytest.raises(VideoError, match=r"gone\.mp4: there is no such file"):
        examine(tmp_path / "gone.mp4")
    with pytest.raises(ValueError, match=r"`video` must be None for a video. Received: video="):
        examine(video, video=video)
    with pytest.raises(ValueError, match=r"`severity`.*'bad'"):
        Finding("bad", "range", "")


def test_the_report_as_a_dictionary():
    finding = Finding("warning", "range", "a", "b", "c")
    result = Report("x.npy", "array", SPEC, (finding,)).to_dict()
    assert result["has_errors"] is False and result["spec"]["name"] == "small"
    assert result["findings"] == [
        {"severity": "warning", "topic": "range", "actual": "a", "expected": "b", "fix": "c"}
    ]
    assert str(finding) == "a; expected: b; fix: c"


def test_the_contact_sheet_shows_the_input_of_the_model(tmp_path, video, clip):
    from PIL import Image

    pictures = {}
    for name, given in (("right", clip), ("wrong", (clip + 1) / 2)):
        report = examine(save(tmp_path, given), spec=SPEC)
        draw_contact_sheet(tmp_path / f"{name}.png", report)
        with Image.open(tmp_path / f"{name}.png") as picture:
            pictures[name] = np.asarray(picture).astype(float)
    first = (slice(70, 160), slice(60, 150))
    # Values of [0, 1] read as [-1, 1] are the upper half: grey to white.
    assert pictures["right"][first].mean() + 40 < pictures["wrong"][first].mean()
    assert pictures["wrong"][first].min() >= 100 > pictures["right"][first].min()
    draw_contact_sheet(tmp_path / "video.png", examine(video, spec=SPEC))
    with Image.open(tmp_path / "video.png") as picture:
        assert picture.size[0] == 1200
    flow = np.random.default_rng(0).normal(0, 0.2, (9, 64, 64, 2)).clip(-1, 1)
    draw_contact_sheet(tmp_path / "flow.png", examine(save(tmp_path, flow), spec=FLOW))
    with pytest.raises(UserError, match=r"\.png"):
        draw_contact_sheet(tmp_path / "sheet.jpg", examine(video, spec=SPEC))


def test_flow_by_the_named_spec_is_of_224_pixels():
    assert (DEEPMIND_FLOW.stream, DEEPMIND_FLOW.size, DEEPMIND_FLOW.low) == ("flow", 224, -1.0)
    assert not looks_blue(np.zeros((1, 8, 8, 3)))


def test_the_spec_of_weights_is_that_of_the_catalog_or_the_file(tmp_path):
    import kinetics_i3d as ki3d

    assert spec_of_weights("rgb_figures").fps == 12.5
    model = ki3d.InceptionI3D(architecture="inception_v1_quarter", classes=2)
    ki3d.save_weights(model, tmp_path / "mine.h5", clip_spec=SPEC, labels=("sit", "stand"))
    assert spec_of_weights(tmp_path / "mine.h5") == SPEC
