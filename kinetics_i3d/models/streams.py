"""The clips of one or two streams: their shapes, and checks that they fit a model.

Two streams may differ in frame rate and size. Their clips must have the same duration.
"""

import dataclasses
import math
import numbers
from collections.abc import Iterable, Mapping

from kinetics_i3d.core.clip_spec import STREAMS
from kinetics_i3d.core.types import is_number
from kinetics_i3d.models.input_checks import AXES, describe_minimum

CHANNELS = {"rgb": 3, "flow": 2}


def at_rate(spec, fps):
    """A copy of a spec at another frame rate, with the rate in its name.

    Args:
        spec: A `ClipSpec`.
        fps: Frames per second.

    Returns:
        A `ClipSpec`.

    Example:

    >>> from kinetics_i3d.core.clip_spec import DEEPMIND
    >>> at_rate(DEEPMIND, 2.5).name
    'deepmind_2.5fps'
    """
    return dataclasses.replace(spec, name=f"{spec.name}_{fps:g}fps", fps=fps)


def clip_shape(input_shape, *, channels=CHANNELS["rgb"]):
    """`input_shape` of a model of clips as a tuple; `ValueError` unless it has four sizes.

    Args:
        input_shape: (frames, height, width, channels), or `None` for clips of any size.
        channels: Channels of clips of any size.
    """
    return (None, None, None, channels) if input_shape is None else checked_shape(input_shape)


def checked_shape(input_shape, *, rank=3):
    """The sizes of an input as a tuple; `ValueError` unless they can be those of clips or images.

    Args:
        input_shape: ([frames,] height, width, channels).
        rank: 2 for images, 3 for clips.

    Example:

    >>> checked_shape([None, 32, 32, 3])
    (None, 32, 32, 3)
    """
    axes = (*AXES[-rank:], "channels")
    is_list = isinstance(input_shape, Iterable) and not isinstance(input_shape, (str, Mapping))
    shape = tuple(input_shape) if is_list else ()
    if len(shape) != len(axes):
        raise ValueError(
            f"`input_shape` must be ({', '.join(axes)}). Received: input_shape={input_shape!r}"
        )
    for axis, size in zip(axes, shape, strict=True):
        is_size = is_number(size) and isinstance(size, numbers.Integral) and int(size) > 0
        if not is_size and (size is not None or axis == "channels"):
            raise ValueError(
                f"`input_shape` must be ({', '.join(axes)}), whole numbers above 0; all but the "
                f"channels may be None. Received: input_shape={input_shape!r}"
            )
    return tuple(None if size is None else int(size) for size in shape)


def stream_shapes(input_shape):
    """`input_shape` of a model of two streams as {stream: tuple}, rgb first.

    Args:
        input_shape: {stream: (frames, height, width, channels)}, or `None` for clips of any size.

    Returns:
        A dictionary; the channels are 3 and 2.

    Raises:
        ValueError: If it has another form.
    """
    if input_shape is None:
        return {key: (None, None, None, count) for key, count in CHANNELS.items()}
    if isinstance(input_shape, Mapping) and set(input_shape) == set(CHANNELS):
        shapes = {stream: checked_shape(input_shape[stream]) for stream in CHANNELS}
        if all(shape[3] == CHANNELS[key] for key, shape in shapes.items()):
            return shapes
    raise ValueError(
        "`input_shape` must be {'rgb': (frames, height, width, 3), 'flow': (frames, height, "
        f"width, 2)}}. Received: input_shape={input_shape!r}"
    )


def check_stream_specs(specs):
    """Returns {stream: spec}, rgb first, after checking that the keys match.

    Args:
        specs: {stream: `ClipSpec`} of one model.

    Raises:
        ValueError: If it is empty, or a spec is of another stream.
    """
    wrong = [key for key, spec in specs.items() if key != getattr(spec, "stream", None)]
    if wrong or not specs:
        raise ValueError(
            f"`clip_specs` must be {{stream: ClipSpec of that stream}}. Received: {specs!r}"
        )
    return {stream: specs[stream] for stream in STREAMS if stream in specs}


def describe_rates(specs):
    """The frame rates of specs as text, such as `rgb 2.5, flow 25`."""
    return ", ".join(f"{spec.stream} {spec.fps:g}" for spec in specs)


def check_streams(inputs, specs, minimums):
    """Raises `ValueError` if the clips of two streams do not belong together.

    Args:
        inputs: The inputs of a model of two streams.
        specs: {stream: `ClipSpec`}.
        minimums: {stream: minimum size}.

    Raises:
        ValueError: If the keys are wrong, a clip is too small, or the streams differ in duration or
            batch size.
    """
    if not isinstance(inputs, dict) or set(inputs) != set(specs):
        keys = sorted(inputs) if isinstance(inputs, dict) else type(inputs).__name__
        raise ValueError(
            f"`inputs` must be a dictionary of clips with the keys {list(specs)}. Received: {keys}"
        )
    shapes = {stream: getattr(inputs[stream], "shape", None) for stream in specs}
    for stream, shape in shapes.items():
        check_minimum(shape, minimums[stream])
    if any(shape is None or len(shape) < 2 for shape in shapes.values()):
        return
    (rgb, flow), (rgb_spec, flow_spec) = shapes.values(), specs.values()
    ratio = flow_spec.fps / rgb_spec.fps
    if None not in (rgb[1], flow[1]) and not math.isclose(flow[1], ratio * rgb[1], rel_tol=1e-6):
        raise ValueError(
            f"This model needs flow and rgb frames in the ratio {ratio:g} to 1. "
            f"Received: {rgb[1]} rgb frames, {flow[1]} flow frames"
        )
    if None not in (rgb[0], flow[0]) and rgb[0] != flow[0]:
        raise ValueError(
            "This model needs rgb and flow of the same videos. "
            f"Received: {rgb[0]} rgb clips, {flow[0]} flow clips"
        )


def check_minimum(shape, minimum):
    """Raises `ValueError` if (batch, [frames,] height, width, channels) is below `minimum`."""
    names = AXES[-len(minimum) :]
    for name, size, smallest in zip(names, (shape or ())[1:-1], minimum, strict=False):
        if size is not None and size < smallest:
            raise ValueError(
                f"{describe_minimum(minimum)} Received: {name}={size} in shape={tuple(shape)}"
            )
