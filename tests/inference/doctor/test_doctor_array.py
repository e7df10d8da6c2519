"""Arrays by themselves: range, axes, size and type, and the fix of each mistake."""

import dataclasses
import zipfile

import numpy as np
import pytest
from doctor_cases import FLOW, SPEC, apply_fix, problems, save

from kinetics_i3d.core.errors import UserError
from kinetics_i3d.inference.doctor import examine
from kinetics_i3d.inference.doctor.array import MIN_SIDE, read_array
from kinetics_i3d.inference.doctor.video import MINIMUM_FRAMES

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
    for array in (clip.transpose(axes), clip.transpose(axes)[None]):
        finding = problems(examine(save(tmp_path, array), spec=SPEC))["shape"]
        back = apply_fix(array, finding.fix)
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

    assert MINIMUM_CLIP[:2] == (MINIMUM_FRAMES, MIN_SIDE)


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


def damaged_arrays(folder):
    """Paths of arrays that cannot be read: inside the deflated data, in the header, by claims."""
    clip = np.arange(9 * 8 * 8 * 3, dtype=np.float32).reshape(9, 8, 8, 3)
    np.savez_compressed(folder / "zlib.npz", clip)
    data = bytearray((folder / "zlib.npz").read_bytes())
    middle = len(data) // 2
    data[middle : middle + 40] = b"\xff" * 40
    (folder / "zlib.npz").write_bytes(data)
    np.save(folder / "header.npy", clip)
    data = (folder / "header.npy").read_bytes()
    (folder / "header.npy").write_bytes(data.replace(b"'shape': (", b"'shape'  ((("))
    np.save(folder / "claim.npy", clip)
    data = (folder / "claim.npy").read_bytes()
    (folder / "claim.npy").write_bytes(
        data.replace(b"(9, 8, 8, 3)", b"(9, 8, 8, " + b"3" * 9 + b")")
    )
    with zipfile.ZipFile(folder / "bomb.npz", "w") as archive:
        archive.writestr("clip.npy", data)
        archive.infolist()[0].file_size = 2**34
    return sorted(folder.iterdir())


def test_arrays_that_cannot_be_read_are_user_errors(tmp_path):
    for path in damaged_arrays(tmp_path):
        with pytest.raises(UserError) as raised:
            examine(path, spec=SPEC)
        assert str(raised.value).startswith(f"{path}: "), path
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", ["damaged.npy", "damaged.npz"])
def test_shared_arrays_that_are_damaged_are_user_errors(shared, name):
    path = shared / "cases" / "doctor_npz" / name
    with pytest.raises(UserError, match="not an array of numbers written by np"):
        examine(path, spec=SPEC)


def test_an_archive_of_something_else_than_an_array_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("clip", b"no array")
    with pytest.raises(UserError, match=r"a\.npz: not an array of numbers .*clip is not an array"):
        read_array(tmp_path / "a.npz")
