"""`stream_specs`: one `ClipSpec` for each stream of a joint clip, which must fit together.

Carreira & Zisserman, CVPR 2017, section 2.5: both streams see the same crop of the same frames in
training; table 1: systems (c) and (d) read one frame to ten flows. At test a stream of a Two-Stream
I3D, which was trained by itself, may be of another size than the other.
"""

from kinetics_i3d.core.clip_spec import STREAMS, ClipSpec
from kinetics_i3d.video.sampling import as_rate

SHARED = ("short_side", "size", "resize", "interpolation")


def stream_specs(spec, streams, *, apart=False):
    """The specs of some streams, in the order of `STREAMS`.

    Args:
        spec: {stream: `ClipSpec`}, as models carry theirs (`model.clip_specs`), or one `ClipSpec`:
            that of its own stream, and of flow beside rgb with the range -1 to 1.
        streams: Names out of `STREAMS`.
        apart: Whether each may be resized and cropped in its own way, as at test.

    Returns:
        {stream: `ClipSpec`}.

    Raises:
        ValueError: If there is no such stream, none, or no spec of one, or if two specs differ in
            anything but their range and rate and are not `apart`, or their rates do not fit as
            `strides` says.

    Example:

    >>> from kinetics_i3d.core.clip_spec import DEEPMIND
    >>> specs = stream_specs(DEEPMIND, ("rgb", "flow"))
    >>> specs["flow"].channels
    2
    """
    if not streams or not set(streams) <= set(STREAMS) or len(set(streams)) < len(streams):
        raise ValueError(f"`streams` must be some of {STREAMS}. Received: streams={streams!r}")
    if isinstance(spec, ClipSpec):
        known = {spec.stream: spec}
        if spec.stream == "rgb":
            known["flow"] = spec.for_flow()
    else:
        known = dict(spec)
    wanted = [stream for stream in STREAMS if stream in streams]
    if not set(wanted) <= set(known):
        raise ValueError(
            f"`spec` must be that of each of the streams {(*wanted,)}. Received: spec={spec!r}"
        )
    specs = {stream: known[stream] for stream in wanted}
    first = specs[wanted[0]]
    for stream, other in specs.items():
        if other.stream != stream:
            raise ValueError(f"`spec` must be of the stream {stream!r}. Received: {other!r}")
        for field in () if apart else SHARED:
            if getattr(other, field) != getattr(first, field):
                raise ValueError(
                    f"`spec` must have one `{field}` for all streams. Received: "
                    f"{getattr(first, field)!r} for {wanted[0]}, {getattr(other, field)!r} for "
                    f"{stream}"
                )
    strides(specs)
    return specs


def strides(specs, fps=None):
    """How many frames of a video go on one frame of each stream.

    The k-th rgb frame of a clip so stands at the beginning of the k-th stack of flows.

    Args:
        specs: {stream: `ClipSpec`}.
        fps: Frames a second at which the video is read; None is the fastest stream's rate.

    Returns:
        {stream: 1 or more}; of flow 1, since leaving flows out makes no longer ones.

    Raises:
        ValueError: If a stream's rate does not divide `fps`, or flow's is another.

    Example:

    >>> from kinetics_i3d.core.clip_spec import DEEPMIND_FLOW
    >>> strides({"rgb": ClipSpec("slow", fps=2.5), "flow": DEEPMIND_FLOW})
    {'rgb': 10, 'flow': 1}
    """
    rates = {stream: as_rate(spec.fps) for stream, spec in specs.items()}
    rate = max(rates.values()) if fps is None else as_rate(fps)
    steps = {stream: rate / own for stream, own in rates.items()}
    if any(step.denominator > 1 for step in steps.values()) or steps.get("flow", 1) != 1:
        found = ", ".join(f"{spec.fps:g} of {stream}" for stream, spec in specs.items())
        raise ValueError(
            f"`spec` must have an `fps` of rgb that divides {float(rate):g}, and of flow that is "
            f"it. Received: {found}"
        )
    return {stream: int(step) for stream, step in steps.items()}


def fastest(specs):
    """The spec by which a video is read for all streams: that of the highest rate.

    Args:
        specs: {stream: `ClipSpec`}, as `stream_specs` gives.

    Returns:
        A `ClipSpec`.
    """
    return max(specs.values(), key=lambda spec: as_rate(spec.fps))
