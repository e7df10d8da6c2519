"""LiteRT: one file for phones and small machines, of builtin operations alone, in four precisions.

https://ai.google.dev/edge/litert. The network is rewritten in 2D first, see
`exporting.lower_3d_to_2d`: there is no builtin 3D pool, and 3D convolutions are not quantised.
"""

import itertools
import json
import os
import zipfile

import numpy as np

from kinetics_i3d.core.errors import ExportError
from kinetics_i3d.core.files import atomic_path
from kinetics_i3d.exporting import fresh_litert
from kinetics_i3d.exporting.calibration import calibration_clips, check_precision
from kinetics_i3d.exporting.graph_preprocessing import fixed_shape
from kinetics_i3d.exporting.litert_file import PRECISIONS, convert, operations
from kinetics_i3d.exporting.output import check_output
from kinetics_i3d.exporting.tensorflow import descriptions, run_fresh
from kinetics_i3d.exporting.verify import Probe, compare

# How far the logits may be off, of the largest. In 8 bits this only finds what is broken; how much
# a quantised network has lost is measured on a test set.
TOLERANCE = {"float32": 1e-4, "float16": 0.02, "dynamic_int8": 0.35, "int8": 0.35}
FRAMES = 64


def export_litert(
    model, output, *, precision="float32", frames=None, calibration=None, report=None
):
    """Writes a LiteRT file, which reads one clip of pixels and gives logits.

    Its inputs are named by stream, uint8 (1, frames, size, size, channels): pixels of the crop,
    RGB, or the 8-bit codes of flow. Scaling is inside; resize and crop are the reader's.

    Args:
        model: A `ClipModel` that ends in logits.
        output: The file, called such as `"mine.tflite"`. It is a zip as well, of `labels.txt`,
            `clip_spec.json` and `operations.json`.
        precision: `"float32"`; `"float16"` for weights of half the size; `"dynamic_int8"` for
            weights in 8 bits; `"int8"` for activations too, but for the classifier.
        frames: Frames of a clip, of the slowest stream; by default what the model is fixed to, or
            64, or what several streams of unequal rate need at least.
        calibration: For `"int8"`: a dataset or paths of videos, as for `calibration_clips`.
        report: A function that is called with {operation: how often} once the file stands.

    Returns:
        `output` as a `pathlib.Path`.

    Raises:
        DatasetError: If the videos to calibrate by cannot be found.
        ExportError: If the classes have no names, a layer has no 2D form, `output` has another
            ending, or the file answers otherwise than the model.
        UserError: If something stands at `output`.
        ValueError: If an argument is out of range.
        VideoError: If a video cannot be read.
    """
    output = check_output(model, output, ".tflite")
    sizes = clip_sizes(model, frames)
    check_precision(precision, calibration, PRECISIONS)
    clips = [] if calibration is None else calibration_clips(calibration, model, sizes)
    with atomic_path(output) as temporary:
        probe, clips = _probe(model, sizes, clips)
        file = convert(model, sizes, precision=precision, clips=clips)
        found = operations(file)
        foreign = [name for name in found if name.startswith("custom")]
        if foreign:
            raise ExportError(f"{output}: not written; it would need {', '.join(foreign)}")
        temporary.write_bytes(file)
        # What is appended to a LiteRT file is a zip of the files that belong to it.
        with zipfile.ZipFile(temporary, "a") as beside:
            for name, text in descriptions(model).items():
                beside.writestr(name, text)
            beside.writestr("operations.json", json.dumps(found, indent=2) + "\n")
        verify_litert(model, temporary, probe, output=output, precision=precision)
    if report is not None:
        report(found)
    return output


def clip_sizes(model, frames=None):
    """The clips of a LiteRT file.

    Args:
        model: A `ClipModel`.
        frames: Frames of the slowest stream, or `None`.

    Returns:
        {stream: (1, frames, height, width, channels)}.

    Raises:
        ValueError: If the model cannot read so few frames, or is fixed to others.

    Example:

    >>> clip_sizes(model, 16)
    {'rgb': (1, 16, 224, 224, 3)}
    """
    least = {stream: size[0] for stream, size in model.minimums.items()}
    slowest = min(least, key=lambda stream: (model.clip_specs[stream].fps, stream != "rgb"))
    fixed = {stream: fixed_shape(model, stream) for stream in least}
    usual = FRAMES if len(set(least.values())) == 1 else least[slowest]
    count = fixed[slowest][0] or frames or max(usual, least[slowest])
    if count < least[slowest] or frames not in (None, count):
        raise ValueError(
            f"`frames` must be {'' if fixed[slowest][0] else 'at least '}"
            f"{fixed[slowest][0] or least[slowest]} for {model.name}. Received: frames={frames!r}"
        )
    sizes = {}
    for stream, spec in model.clip_specs.items():
        ratio = round(spec.fps / model.clip_specs[slowest].fps)
        side = (fixed[stream][1] or spec.size, fixed[stream][2] or spec.size)
        sizes[stream] = (1, ratio * count, *side, spec.channels)
    return sizes


def _probe(model, sizes, clips):
    """What file and model are compared on, and the clips, of which the first may be it."""
    specs, clips = model.clip_specs, iter(clips)
    first = next(clips, None)
    if first is None:
        random = np.random.default_rng(0)
        pixels = {key: random.integers(0, 256, size, np.uint8) for key, size in sizes.items()}
        clips = ()
    else:  # noise lies outside of the ranges that are found
        pixels = {stream: specs[stream].denormalize(clip) for stream, clip in first.items()}
        clips = itertools.chain([first], clips)
    return Probe(pixels, {key: specs[key].normalize(pixels[key]) for key in specs}), clips


def verify_litert(model, path, probe, *, output, precision):
    """Compares a LiteRT file, run by a fresh interpreter without this package, with its model.

    Args:
        model: The `ClipModel` that it was made from.
        path: The file.
        probe: A `Probe` of the clips that it reads.
        output: What to call it in an error.
        precision: What it was converted to.

    Returns:
        The largest difference of a logit, of the largest.

    Raises:
        ExportError: If it cannot be run, or answers otherwise.
    """
    given = {f"logits/{stream}": pixels for stream, pixels in probe.pixels.items()}
    found = run_fresh(os.fspath(path), given, output=output, program=fresh_litert)
    exact = precision in ("float32", "float16")
    return compare(
        found["logits/logits"],
        probe.ask(model),
        what="logits" if exact else f"logits in {precision}",
        path=output,
        tolerance=TOLERANCE[precision],
    )
