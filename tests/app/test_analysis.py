"""What the page finds out about a video, and what it refuses, without Gradio."""

import dataclasses
import tempfile

import numpy as np
import pytest

import kinetics_i3d as ki3d
from kinetics_i3d.app.analysis import STRIP, analyze, check_file, without_folders
from kinetics_i3d.app.limits import Limits
from kinetics_i3d.core.clip_spec import ClipSpec
from kinetics_i3d.core.errors import UserError, VideoError
from kinetics_i3d.video.writer import write_video

pytestmark = pytest.mark.slow  # runs networks

WEIGHTS = "rgb_figures"


@pytest.fixture(scope="module")
def figures():
    return ki3d.load_model(WEIGHTS)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder of temporary files, which must be empty after the test."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    yield tmp_path
    assert list(temporary.iterdir()) == []


@pytest.mark.long
def test_a_short_video_becomes_known_step_by_step(figures, examples, folder):
    first, second, last = analyze(examples["wave"], figures, weights=WEIGHTS)
    assert (first.name, first.weights, first.classes) == ("wave.mp4", WEIGHTS, 12)
    assert first.predictions[0][0] == "wave" and len(first.predictions) == 5
    assert first.strip is None and first.attention is None
    assert len(second.strip) == STRIP and second.attention is None and second.flow is None
    assert len(last.attention) == STRIP and last.timeline is None
    assert [analysis.complete for analysis in (first, second, last)] == [False, False, True]
    frame = second.strip[0][1]
    assert frame.shape == (180, 240, 3)
    # Of 117 x 88 pixels the network reads the 80 in the middle: here from column 38 on.
    assert frame[90, 32:37].mean() < 0.7 * frame[90, 40:45].mean()


@pytest.mark.long
def test_a_long_video_is_classified_over_time(figures, examples, folder):
    *_, analysis = analyze(examples["all four"], figures, weights=WEIGHTS)
    labels = [segment.label for segment in analysis.segments]
    assert labels == ["kick", "sit_down", "stand_up", "wave"]
    # The frames under the heatmap are those of the window where the action is.
    segment = analysis.segments[labels.index(analysis.predictions[0][0])]
    times = [seconds for seconds, _ in analysis.attention]
    assert len(times) == STRIP and times[-1] > segment.start and times[0] < segment.end
    content = analysis.to_dict()
    assert content["timeline"][0]["start"] == 0 and content["timeline"][-1]["end"] > 10
    assert content["segments"][0]["label"] == "kick"
    assert content["predictions"][0].keys() == {"label", "probability"}
    assert "/" not in str(content)


def test_pictures_and_the_timeline_can_be_left_out(figures, examples, folder):
    steps = analyze(examples["all four"], figures, weights=WEIGHTS, pictures=False, over_time=False)
    *_, analysis = steps
    assert analysis.complete and analysis.predictions
    assert analysis.strip is analysis.attention is analysis.timeline is None


def test_networks_of_two_streams_show_their_flow(short, folder):
    spec = ClipSpec("tiny", fps=10, short_side=36, size=32)
    model = ki3d.TwoStreamI3D(architecture=short, classes=3)
    model.labels = ("sit", "stand", "wave")
    model.clip_specs = {"rgb": spec, "flow": spec.for_flow()}
    video = folder / "moves.mp4"
    square = np.zeros((12, 48, 64, 3), np.uint8)
    for number, frame in enumerate(square):
        frame[12:36, 8 + 3 * number : 24 + 3 * number] = 200
    write_video(video, square, fps=10)
    *_, analysis = analyze(video, model, weights="pair")
    assert len(analysis.flow) == len(analysis.strip) == STRIP
    # The square moves to the right, which is red.
    red, _, blue = analysis.flow[0].reshape(-1, 3).min(axis=0).tolist()
    assert red > 200 and blue < 120
    assert sorted(path.name for path in folder.iterdir()) == ["moves.mp4", "temporary"]


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (Limits(size=1000), "wave.mp4: 0.03041 MB; at most 0.001 MB are allowed"),
        (Limits(seconds=2), "wave.mp4: 2.56 s long; at most 2 s are allowed"),
    ],
)
def test_what_is_too_large_or_too_long_is_refused_before_it_is_decoded(
    examples, folder, limits, message, monkeypatch
):
    monkeypatch.setattr("kinetics_i3d.video.reader.read_frames", None)
    with pytest.raises(UserError, match=f"^{message}$"):
        next(analyze(examples["wave"], None, weights=WEIGHTS, limits=limits))
    with pytest.raises(UserError, match=f"^{message}$"):
        check_file(examples["wave"], weights=WEIGHTS, limits=limits)


@pytest.mark.long
def test_a_header_that_is_silent_about_the_length_does_not_lift_the_limit(
    figures, examples, folder, monkeypatch
):
    info = ki3d.video_info
    monkeypatch.setattr(
        "kinetics_i3d.app.analysis.video_info",
        lambda path: dataclasses.replace(info(path), duration=None),
    )
    limits = Limits(seconds=4)
    *_, analysis = analyze(
        examples["all four"], figures, weights=WEIGHTS, limits=limits, pictures=False
    )
    assert analysis.timeline.end[-1] == 4


def test_the_doctor_reads_a_video_up_to_the_limit(examples, folder, monkeypatch):
    info = ki3d.video_info
    monkeypatch.setattr(
        "kinetics_i3d.app.analysis.video_info",
        lambda path: dataclasses.replace(info(path), duration=None),
    )
    report = check_file(examples["all four"], weights=WEIGHTS, limits=Limits(seconds=1))
    assert "25, 1.00 s" in [finding.actual for finding in report.findings]


def test_errors_are_one_line_without_folders(figures, folder):
    bad = folder / "talk#t=1,2.mp4"
    bad.write_text("no video\n" * 100)
    with pytest.raises(VideoError) as caught:
        next(analyze(bad, figures, weights=WEIGHTS))
    message = str(caught.value)
    assert message.startswith("talk_t=1,2.mp4: not a video in a supported format")
    assert "/" not in message and "\n" not in message
    with pytest.raises(UserError, match=r"^gone.mp4: the file is gone; upload it again$"):
        next(analyze(folder / "gone.mp4", figures, weights=WEIGHTS))


def test_leaving_early_leaves_no_file(figures, examples, folder):
    steps = analyze(examples["wave"], figures, weights=WEIGHTS)
    next(steps)
    steps.close()


def test_the_doctor_reports_videos_and_arrays(examples, folder):
    report = check_file(examples["wave"], weights=WEIGHTS)
    assert (report.path, report.kind, report.has_errors) == ("wave.mp4", "video", False)
    clip = folder / "clip.npy"
    np.save(clip, np.random.default_rng(0).uniform(0, 255, (16, 80, 80, 3)).astype(np.float32))
    report = check_file(clip, weights=WEIGHTS)
    assert (report.path, report.kind, report.has_errors) == ("clip.npy", "array", True)


def test_folders_are_taken_out_of_messages():
    text = "/srv/my data/a.mp4: damaged;\n see /home/me/b.h5 or https://example.org/a/b, 3/4"
    assert without_folders(text, "/srv/my data") == (
        "a.mp4: damaged; see b.h5 or https://example.org/a/b, 3/4"
    )
