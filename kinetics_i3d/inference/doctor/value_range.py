"""`examine_range`: which scaling the values of an rgb clip have had, and the line that mends it.

ImageNet's mean and deviation are those of torchvision; the subtracted mean is that of Caffe.
"""

import numpy as np

from kinetics_i3d.inference.doctor.report import Finding

IMAGENET_MEAN = np.array((0.485, 0.456, 0.406))
IMAGENET_STD = np.array((0.229, 0.224, 0.225))
# Ranges that people use, from the narrowest; "subtracted" are those of Caffe's networks.
RANGES = {
    "[0, 1]": (0.0, 1.0),
    "[-1, 1]": (-1.0, 1.0),
    "[0, 255]": (0.0, 255.0),
    "0 to 255 with the mean subtracted": (-123.7, 151.1),
}


def examine_range(frames, spec):
    """Tells the range of values of rgb frames.

    Args:
        frames: (frames, height, width, 3), numbers.
        spec: A `ClipSpec`; its `low` and `high` are wanted.

    Returns:
        A `Finding`, whose `mend` is the line that brings the values into the spec's range.

    Example:

    >>> from kinetics_i3d.core.clip_spec import DEEPMIND
    >>> pixels = np.arange(192).reshape(1, 8, 8, 3)
    >>> examine_range(pixels, DEEPMIND).mend
    'clip / 127.5 - 1'
    """
    values = np.asarray(frames, np.float32)
    low, high = float(values.min()), float(values.max())
    said = f"values from {low:.4g} to {high:.4g}"
    wants = f"{spec.low:g} to {spec.high:g}"
    span = spec.high - spec.low
    if low == high:
        return Finding("wrong", "range", f"all values are {low:.4g}", wants)
    # Cubic resizes overshoot at edges, so single values beyond a range do not speak against it.
    least, most = np.quantile(values[:, ::2, ::2], (0.002, 0.998))
    if spec.low - 0.02 * span <= least and most <= spec.high + 0.02 * span:
        # What fits may still be of a narrower range: most pictures have black and white in them.
        source = next(
            (
                (name, bounds)
                for name, bounds in RANGES.items()
                if bounds[1] - bounds[0] < 0.6 * span
                and _holds(bounds, least, most)
                and (least < 0.2 * bounds[1] or bounds[0] < 0)
            ),
            None,
        )
        if source is None and most - least >= 0.02 * span:
            return Finding("ok", "range", said)
        if most - least < 0.02 * span:
            found = f"{said}: next to no contrast, as after scaling twice"
            return Finding("wrong", "range", found, wants, "scale pixels of 0 to 255 once")
        name, bounds = source
        mend = scaling_line(bounds, (spec.low, spec.high))
        return Finding("wrong", "range", f"{said}, which is {name}", wants, mend)
    if _is_imagenet(values):
        half = scaling_line((0.0, 1.0), (spec.low, spec.high), "(clip * std + mean)")
        mend = f"{half} with mean={IMAGENET_MEAN.tolist()}, std={IMAGENET_STD.tolist()}"
        found = f"{said}, which is normalised by ImageNet's mean and deviation"
        return Finding("wrong", "range", found, wants, mend)
    for name, bounds in RANGES.items():
        if _holds(bounds, least, most) and most - least >= 0.3 * (bounds[1] - bounds[0]):
            mend = scaling_line(bounds, (spec.low, spec.high))
            return Finding("wrong", "range", f"{said}, which is {name}", wants, mend)
    outside = float(((values < spec.low) | (values > spec.high)).mean())
    if outside < 0.05 and least > spec.low - 0.15 * span and most < spec.high + 0.15 * span:
        found = f"{said}, {100 * outside:.1f} % of them outside"
        return Finding("note", "range", found, wants, f"np.clip(clip, {spec.low:g}, {spec.high:g})")
    return Finding("wrong", "range", said, wants, "scale pixels of 0 to 255 as the spec says")


def scaling_line(bounds, wanted, name="clip"):
    """The line of NumPy that brings values from one range into another.

    Args:
        bounds: (low, high) of the values.
        wanted: (low, high) that they shall have.
        name: What the values are called.

    Returns:
        Text such as `"clip / 127.5 - 1"`.

    Example:

    >>> scaling_line((-1, 1), (0, 255))
    'clip * 127.5 + 127.5'
    """
    factor = (wanted[1] - wanted[0]) / (bounds[1] - bounds[0])
    offset = wanted[0] - factor * bounds[0]
    text = name
    if abs(factor - 1) > 1e-6:
        text += f" * {factor:.5g}" if factor > 1 else f" / {1 / factor:.5g}"
    if abs(offset) > 1e-6:
        text += f" {'+' if offset > 0 else '-'} {abs(offset):.5g}"
    return text


def _holds(bounds, least, most):
    slack = 0.02 * (bounds[1] - bounds[0])
    return bounds[0] - slack <= least and most <= bounds[1] + slack


def _is_imagenet(values):
    low, high = -IMAGENET_MEAN / IMAGENET_STD, (1 - IMAGENET_MEAN) / IMAGENET_STD
    least, most = values.min((0, 1, 2)), values.max((0, 1, 2))
    # Per channel, in either order of the channels, with something dark in it.
    return least.min() < -1.5 and any(
        (least >= low[::step] - 0.1).all()
        and (most <= high[::step] + 0.1).all()
        and (most - least > 0.4 * (high - low)).all()
        for step in (1, -1)
    )
