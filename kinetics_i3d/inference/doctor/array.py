"""Findings about a prepared clip by itself: type, order of axes, size, and range of the values.

ImageNet's mean and deviation are those of torchvision; the subtracted mean is that of Caffe. The
release clips flow at 20 pixels and divides by 20: https://github.com/google-deepmind/kinetics-i3d.
"""

import dataclasses

import numpy as np

from kinetics_i3d.core.clip_spec import FLOW_BOUND
from kinetics_i3d.core.errors import DAMAGE, UserError, first_line
from kinetics_i3d.core.files import check_unpacked, only_array
from kinetics_i3d.inference.doctor.report import Finding
from kinetics_i3d.inference.doctor.video import MINIMUM_FRAMES

SUFFIXES = (".npy", ".npz")
MIN_SIDE = 32  # pixels that the network can read
_SAMPLED = 24  # frames, evenly spaced

_IMAGENET_MEAN = np.array((0.485, 0.456, 0.406))
_IMAGENET_STD = np.array((0.229, 0.224, 0.225))
# Common ranges, from the narrowest; "mean subtracted" is that of Caffe's networks.
_RANGES = {
    "[0, 1]": (0.0, 1.0),
    "[-1, 1]": (-1.0, 1.0),
    "[0, 255]": (0.0, 255.0),
    "0 to 255 with the mean subtracted": (-123.7, 151.1),
}


@dataclasses.dataclass(frozen=True)
class Sample:
    """Some frames of an array.

    Args:
        frames: (frames, height, width, channels), evenly spaced, in the dtype of the array.
        indices: Their indices in the clip.
        count: Number of frames of the clip.
    """

    frames: np.ndarray
    indices: np.ndarray
    count: int


def read_array(path):
    """Opens the array of `*.npy`, mapped into memory, or of `*.npz` with one array.

    Raises:
        UserError: If the file is missing, is not such a file or holds Python objects.
    """
    try:
        with open(path, "rb") as file:
            if file.read(2) != b"PK":
                return np.load(path, mmap_mode="r", allow_pickle=False)
            file.seek(0)
            with np.load(file, allow_pickle=False) as loaded:
                if len(loaded.files) != 1:
                    names = ", ".join(loaded.files) or "nothing"
                    raise UserError(f"{path}: holds {names}; one array is needed")
                check_unpacked(loaded.zip)
                return only_array(loaded)
    except FileNotFoundError as error:
        raise UserError(f"{path}: there is no such file") from error
    except MemoryError as error:
        raise UserError(
            f"{path}: reading it needs more memory than is available or allowed"
        ) from error
    except DAMAGE as error:
        reason = first_line(error)
        raise UserError(f"{path}: not an array of numbers written by np.save ({reason})") from error


def examine_array(array, *, spec):
    """Checks an array by itself.

    Args:
        array: An array that should be ([batch,] frames, height, width, channels).
        spec: A `ClipSpec`.

    Returns:
        (list of `Finding`s, `Sample`), the sample `None` if the array is not a clip of finite
        values.
    """
    if array.dtype.kind not in "uif":
        fix = "clip.astype('float32')"
        return [Finding("error", "dtype", str(array.dtype), "float32", fix)], None
    layout, clip = _examine_layout(array, spec.channels)
    if clip is None:
        return [_examine_dtype(array), layout], None
    findings = [
        _examine_dtype(array),
        layout,
        _examine_count(len(clip)),
        _examine_size(clip.shape[1:3], spec),
    ]
    indices = np.unique(np.linspace(0, len(clip) - 1, _SAMPLED).round().astype(int))
    sample = Sample(np.asarray(clip[indices]), indices, len(clip))
    broken = sum(int((~np.isfinite(frame)).sum()) for frame in clip)
    if broken:
        actual = f"{broken} values are NaN or infinite"
        return [*findings, Finding("error", "values", actual, "finite values")], None
    if spec.stream == "rgb":
        findings.append(rgb_range(sample.frames, spec))
    return findings + list(_examine_motion(sample.frames)), sample


def _examine_layout(array, channels):
    """(`Finding`, view as (frames, height, width, channels)), the view `None` if there is none."""
    shape = array.shape
    expected = f"(frames, height, width, {channels})"
    if array.ndim not in (4, 5) or 0 in shape:
        fix = "np.stack(frames)" if array.ndim == 3 else ""
        return Finding("error", "shape", str(shape), expected, fix), None
    batched = array.ndim == 5
    clip = array[0] if batched else array
    axes = _axes(clip.shape, channels)
    if axes is None:
        kind = {2: "optical flow", 3: "rgb", 1: "gray"}.get(shape[-1])
        actual = f"{shape}" + (f", which would be {kind}" if kind else "")
        return Finding("error", "shape", actual, expected), None
    actual = f"{shape}" + (
        ", of which the first clip is checked" if shape[0] > 1 and batched else ""
    )
    if axes == (0, 1, 2, 3):
        return Finding("ok", "shape", actual), clip
    order = (0, *(axis + 1 for axis in axes)) if batched else axes
    fix = f"np.transpose(clip, {order})"
    return Finding("error", "shape", actual, expected, fix), np.transpose(clip, axes)


def _axes(shape, channels):
    """The axes of (frames, height, width, channels) in a shape of four, or `None`."""
    last = [axis for axis in (3, 0, 1, 2) if shape[axis] == channels]
    if not last:
        return None
    rest = [axis for axis in range(4) if axis != last[0]]
    first, second, third = (shape[axis] for axis in rest)
    # Crops are usually square: if only the first two sizes are equal, time is last.
    if first == second != third:
        rest = [rest[2], rest[0], rest[1]]
    return (*rest, last[0])


def _examine_dtype(array):
    if array.dtype.kind == "f":
        return Finding("ok", "dtype", str(array.dtype))
    return Finding("warning", "dtype", str(array.dtype), "float32, the result of scaling")


def _examine_count(count):
    if count < MINIMUM_FRAMES:
        fix = "loop the clip: clip[np.arange(n) % len(clip)]"
        return Finding("error", "frames", f"{count}", f"{MINIMUM_FRAMES} or more", fix)
    return Finding("ok", "frames", f"{count}")


def _examine_size(size, spec):
    height, width = size
    actual, expected = f"{width}x{height}", f"{spec.size}x{spec.size}"
    if min(size) < MIN_SIDE:
        return Finding("error", "size", actual, expected, "resize the frames")
    if size != (spec.size, spec.size):
        return Finding("warning", "size", actual, expected, "resize and crop as the spec says")
    return Finding("ok", "size", actual)


def _examine_motion(frames):
    if len(frames) > 1 and all(np.array_equal(frame, frames[0]) for frame in frames[1:]):
        yield Finding("warning", "motion", "all frames are the same", "motion")


def rgb_range(frames, spec):
    """The `Finding` on the scaling of rgb values (frames, height, width, 3).

    Its `fix` is the line of NumPy that brings the values into the spec's range.
    """
    values = np.asarray(frames, np.float32)
    low, high = float(values.min()), float(values.max())
    actual = f"values from {low:.4g} to {high:.4g}"
    expected = f"{spec.low:g} to {spec.high:g}"
    span = spec.high - spec.low
    if low == high:
        return Finding("error", "range", f"all values are {low:.4g}", expected)
    # Cubic resizes overshoot at edges, so single values beyond a range do not rule it out.
    least, most = np.quantile(values[:, ::2, ::2], (0.002, 0.998))
    if spec.low - 0.02 * span <= least and most <= spec.high + 0.02 * span:
        # Values inside the range may have a narrower one: most pictures contain black and white.
        narrower = next(
            (
                (name, bounds)
                for name, bounds in _RANGES.items()
                if bounds[1] - bounds[0] < 0.6 * span
                and _fits(bounds, least, most)
                and (least < 0.2 * bounds[1] or bounds[0] < 0)
            ),
            None,
        )
        if narrower is None and most - least >= 0.02 * span:
            return Finding("ok", "range", actual)
        if most - least < 0.02 * span:
            actual = f"{actual}: almost no contrast, as after scaling twice"
            return Finding("error", "range", actual, expected, "scale pixels of 0 to 255 once")
        name, bounds = narrower
        fix = _scaling_line(bounds, (spec.low, spec.high))
        return Finding("error", "range", f"{actual}, which is {name}", expected, fix)
    if _is_imagenet(values):
        scaling = _scaling_line((0.0, 1.0), (spec.low, spec.high), "(clip * std + mean)")
        fix = f"{scaling} with mean={_IMAGENET_MEAN.tolist()}, std={_IMAGENET_STD.tolist()}"
        actual = f"{actual}, which is normalized by ImageNet's mean and deviation"
        return Finding("error", "range", actual, expected, fix)
    for name, bounds in _RANGES.items():
        if _fits(bounds, least, most) and most - least >= 0.3 * (bounds[1] - bounds[0]):
            fix = _scaling_line(bounds, (spec.low, spec.high))
            return Finding("error", "range", f"{actual}, which is {name}", expected, fix)
    outside = float(((values < spec.low) | (values > spec.high)).mean())
    if outside < 0.05 and least > spec.low - 0.15 * span and most < spec.high + 0.15 * span:
        actual = f"{actual}, {100 * outside:.1f} % of them outside"
        fix = f"np.clip(clip, {spec.low:g}, {spec.high:g})"
        return Finding("warning", "range", actual, expected, fix)
    return Finding("error", "range", actual, expected, "scale pixels of 0 to 255 as the spec says")


def _fits(bounds, least, most):
    slack = 0.02 * (bounds[1] - bounds[0])
    return bounds[0] - slack <= least and most <= bounds[1] + slack


def _is_imagenet(values):
    low, high = -_IMAGENET_MEAN / _IMAGENET_STD, (1 - _IMAGENET_MEAN) / _IMAGENET_STD
    least, most = values.min((0, 1, 2)), values.max((0, 1, 2))
    # Per channel, in either order of the channels, including dark values.
    return least.min() < -1.5 and any(
        (least >= low[::step] - 0.1).all()
        and (most <= high[::step] + 0.1).all()
        and (most - least > 0.4 * (high - low)).all()
        for step in (1, -1)
    )


def flow_range(frames, spec):
    """The `Finding` on the scaling of flow (frames, height, width, 2), and the flow in pixels."""
    values = np.asarray(frames, np.float32)
    low, high, middle = (float(np.quantile(values, q)) for q in (0, 1, 0.5))
    actual = f"values from {low:.4g} to {high:.4g}"
    expected = f"{spec.low:g} to {spec.high:g}, 0 where nothing moves"
    if low == high:
        return Finding("error", "range", f"all values are {low:.4g}", expected), values
    target = (spec.low, spec.high)
    for name, bounds, least in (("[0, 1]", (0.0, 1.0), 0.02), ("[0, 255]", (0.0, 255.0), 5.0)):
        center = sum(bounds) / 2
        inside = bounds[0] <= low and high <= bounds[1]
        if inside and abs(middle - center) < 0.2 * bounds[1] and high - low > least:
            fix = _scaling_line(bounds, target)
            actual = f"{actual} about {middle:.4g}, which is {name}"
            pixels = (values - center) / center * FLOW_BOUND
            return Finding("error", "range", actual, expected, fix), pixels
    inside = spec.low - 0.02 <= low and high <= spec.high + 0.02
    if inside and (low >= 0 or high <= 0):
        actual = f"{actual}: all of one sign"
        fix = "keep the signs of x and y"
        return Finding("warning", "range", actual, expected, fix), values * FLOW_BOUND
    if not inside:
        fix = f"np.clip(clip, -{FLOW_BOUND:g}, {FLOW_BOUND:g}) / {FLOW_BOUND:g}"
        return Finding("error", "range", f"{actual}, which is pixels", expected, fix), values
    return Finding("ok", "range", actual), values * FLOW_BOUND


def _scaling_line(bounds, target, name="clip"):
    """The line of NumPy that maps values from one range to another, such as "clip / 127.5 - 1"."""
    factor = (target[1] - target[0]) / (bounds[1] - bounds[0])
    offset = target[0] - factor * bounds[0]
    text = name
    if abs(factor - 1) > 1e-6:
        text += f" * {factor:.5g}" if factor > 1 else f" / {1 / factor:.5g}"
    if abs(offset) > 1e-6:
        text += f" {'+' if offset > 0 else '-'} {abs(offset):.5g}"
    return text
