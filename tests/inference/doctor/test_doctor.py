"""The doctor: files that it cannot read, colors, and the spec of weights."""

import numpy as np
import pytest
from doctor_cases import FLOW, SPEC, by_topic, problems, save, texture

from kinetics_i3d.core.clip_spec import DEEPMIND_FLOW
from kinetics_i3d.core.errors import UserError, VideoError
from kinetics_i3d.inference.doctor import examine, looks_blue, spec_of_weights
from kinetics_i3d.inference.doctor.report import Finding


def test_a_correct_clip_has_no_problems(tmp_path, video, clip):
    for array in (clip, clip[None], clip.astype(np.float64), clip.astype(np.float16)):
        report = examine(save(tmp_path, array), spec=SPEC, video=video)
        assert problems(report) == {} and not report.has_errors and report.kind == "array"
    np.savez(tmp_path / "one.npz", clip=clip)
    assert problems(examine(tmp_path / "one.npz", spec=SPEC, video=video)) == {}


def test_a_report_prints_a_line_for_each_finding(video):
    report = examine(video, spec=SPEC)
    first, *lines = str(report).splitlines()
    assert first.startswith(f"{video} (for ")
    assert len(lines) == len(report.findings) and all(line.startswith("  ") for line in lines)


def test_correct_flow_has_no_problems(tmp_path, moving):
    video, flow = moving
    report = examine(save(tmp_path, flow), spec=FLOW, video=video)
    assert problems(report) == {} and "carries each frame" in by_topic(report)["motion"].actual
    assert by_topic(report)["pairs"].actual == "11 for 12 frames of the video"


def test_flow_of_too_few_pairs_is_a_warning(tmp_path, moving):
    video, flow = moving
    pairs = problems(examine(save(tmp_path, flow[:8]), spec=FLOW, video=video))["pairs"]
    assert pairs.severity == "warning" and pairs.expected == "11"
    assert pairs.actual == "8 for 12 frames of the video"


def test_without_the_video_blue_skin_is_a_warning(tmp_path):
    skin = texture(64, 64) * 0.2 + np.array([190, 130, 100])
    clip = SPEC.normalize(np.stack([np.roll(skin, k, 0) for k in range(9)]).clip(0, 255))
    clip[:, :4], clip[:, 4:8] = -1, 1
    assert problems(examine(save(tmp_path, clip), spec=SPEC)) == {}
    findings = problems(examine(save(tmp_path, clip[..., ::-1]), spec=SPEC))
    assert set(findings) == {"channels"} and findings["channels"].severity == "warning"


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


def test_flow_by_the_named_spec_is_of_224_pixels():
    assert (DEEPMIND_FLOW.stream, DEEPMIND_FLOW.size, DEEPMIND_FLOW.low) == ("flow", 224, -1.0)
    assert not looks_blue(np.zeros((1, 8, 8, 3)))


@pytest.mark.slow
def test_the_spec_of_weights_is_that_of_the_catalog_or_the_file(tmp_path):
    import kinetics_i3d as ki3d

    assert spec_of_weights("rgb_figures").fps == 12.5
    model = ki3d.InceptionI3D(architecture="inception_v1_quarter", classes=2)
    ki3d.save_weights(model, tmp_path / "mine.h5", clip_spec=SPEC, labels=("sit", "stand"))
    assert spec_of_weights(tmp_path / "mine.h5") == SPEC
