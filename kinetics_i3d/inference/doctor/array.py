"""`examine_array`: findings about a clip that somebody prepared by their own means.

What is looked for is what people of I3D get wrong most: range, order of axes, order of channels.
"""

import dataclasses
import zipfile

import numpy as np

from kinetics_i3d.core.errors import UserError, first_line
from kinetics_i3d.inference.doctor.report import Finding
from kinetics_i3d.inference.doctor.value_range import examine_range
from kinetics_i3d.inference.doctor.video import MINIMUM_FRAMES

SUFFIXES = (".npy", ".npz")
LOOKED_AT = 24  # frames, evenly spaced
LEAST_SIDE = 32  # pixels that the network can read


@dataclasses.dataclass(frozen=True)
class Sample:
    """Some frames of an array, whatever its layout was.

    Args:
        frames: (frames, height, width, channels), evenly spaced, float32 or as stored.
        indices: Which ones of the clip.
        count: Frames of the clip.
    """

    frames: np.ndarray
    indices: np.ndarray
    count: int


def read_array(path):
    """Opens the array of a file without reading all of it.

    Args:
        path: `*.npy`, or `*.npz` with one array.

    Returns:
        An array, mapped into memory if it is a `*.npy`.

    Raises:
        UserError: If the file is missing, is not such a file or holds Python objects.

    Example:

    >>> np.save(folder / "clip.npy", np.zeros((9, 32, 32, 3)))
    >>> read_array(folder / "clip.npy").shape
    (9, 32, 32, 3)
    """
    try:
        loaded = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(loaded, np.lib.npyio.NpzFile):
            return loaded
        with loaded:
            if len(loaded.files) != 1:
                names = ", ".join(loaded.files) or "nothing"
                raise UserError(f"{path}: holds {names}; one array is needed")
            return loaded[loaded.files[0]]
    except FileNotFoundError as error:
        raise UserError(f"{path}: there is no such file") from error
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        reason = first_line(error)
        raise UserError(f"{path}: not an array of numbers by np.save ({reason})") from error


def examine_array(array, *, spec):
    """Looks at an array.

    Args:
        array: What should be (frames, height, width, channels), or the same with batch in front.
        spec: A `ClipSpec`.

    Returns:
        (findings, sample): a list of `Finding`s, and a `Sample`, or None where the array is no
        clip.

    Example:

    >>> from kinetics_i3d.core.clip_spec import DEEPMIND
    >>> clip = np.random.default_rng(0).uniform(0, 1, (16, 224, 224, 3))
    >>> findings, _ = examine_array(clip, spec=DEEPMIND)
    >>> [finding.mend for finding in findings if finding.severity == "wrong"]
    ['clip * 2 - 1']
    """
    if array.dtype.kind not in "uif":
        found = Finding("wrong", "dtype", str(array.dtype), "float32", "clip.astype('float32')")
        return [found], None
    layout, clip = examine_layout(array, spec.channels)
    if clip is None:
        return [_dtype(array), layout], None
    findings = [_dtype(array), layout, _count(len(clip)), _size(clip.shape[1:3], spec)]
    indices = np.unique(np.linspace(0, len(clip) - 1, LOOKED_AT).round().astype(int))
    sample = Sample(np.asarray(clip[indices]), indices, len(clip))
    broken = sum(int((~np.isfinite(frame)).sum()) for frame in clip)
    if broken:
        said = f"{broken} values are NaN or infinite"
        return [*findings, Finding("wrong", "values", said, "finite values")], None
    if spec.stream == "rgb":
        findings.append(examine_range(sample.frames, spec))
    return findings + list(_stillness(sample.frames)), sample


def examine_layout(array, channels):
    """Finds the axes of an array.

    Args:
        array: Any array.
        channels: How many channels a clip has.

    Returns:
        (finding, clip): the clip as a view (frames, height, width, channels), or None if no order
        of axes makes one.

    Example:

    >>> finding, clip = examine_layout(np.zeros((3, 16, 64, 64)), 3)
    >>> finding.mend, clip.shape
    ('np.transpose(clip, (1, 2, 3, 0))', (16, 64, 64, 3))
    """
    shape = array.shape
    wants = f"(frames, height, width, {channels})"
    if array.ndim not in (4, 5) or 0 in shape:
        mend = "np.stack(frames)" if array.ndim == 3 else ""
        return Finding("wrong", "shape", str(shape), wants, mend), None
    batched = array.ndim == 5
    clip = array[0] if batched else array
    axes = _axes(clip.shape, channels)
    if axes is None:
        other = {2: "optical flow", 3: "rgb", 1: "grey"}.get(shape[-1])
        found = f"{shape}" + (f", which would be {other}" if other else "")
        return Finding("wrong", "shape", found, wants), None
    said = f"{shape}" + (
        ", of which the first clip is looked at" if shape[0] > 1 and batched else ""
    )
    if axes == (0, 1, 2, 3):
        return Finding("ok", "shape", said), clip
    order = (0, *(axis + 1 for axis in axes)) if batched else axes
    mend = f"np.transpose(clip, {order})"
    return Finding("wrong", "shape", said, wants, mend), np.transpose(clip, axes)


def _axes(shape, channels):
    """Axes of (frames, height, width, channels) in a shape of four, or None."""
    last = [axis for axis in (3, 0, 1, 2) if shape[axis] == channels]
    if not last:
        return None
    rest = [axis for axis in range(4) if axis != last[0]]
    first, second, third = (shape[axis] for axis in rest)
    # Pictures are square as a rule: where the first two agree and the third does not, time is last.
    if first == second != third:
        rest = [rest[2], rest[0], rest[1]]
    return (*rest, last[0])


def _dtype(array):
    if array.dtype.kind == "f":
        return Finding("ok", "dtype", str(array.dtype))
    return Finding("note", "dtype", str(array.dtype), "float32, which scaling gives")


def _count(count):
    if count < MINIMUM_FRAMES:
        wants = f"{MINIMUM_FRAMES} or more"
        return Finding(
            "wrong", "frames", f"{count}", wants, "loop the clip: clip[np.arange(n) % len(clip)]"
        )
    return Finding("ok", "frames", f"{count}")


def _size(size, spec):
    height, width = size
    found, wants = f"{width}x{height}", f"{spec.size}x{spec.size}"
    if min(size) < LEAST_SIDE:
        return Finding("wrong", "size", found, wants, "resize the frames")
    if size != (spec.size, spec.size):
        return Finding("note", "size", found, wants, "resize and crop as the spec says")
    return Finding("ok", "size", found)


def _stillness(frames):
    if len(frames) > 1 and all(np.array_equal(frame, frames[0]) for frame in frames[1:]):
        yield Finding("note", "motion", "all frames are the same", "motion")
