"""`stream_specs`: one `ClipSpec` for each stream of a joint clip, which must fit together.

Carreira & Zisserman, CVPR 2017, section 2.5: both streams see the same crop of the same frames.
"""

import dataclasses

from kinetics_i3d.core.clip_spec import STREAMS, ClipSpec

SHARED = ("fps", "short_side", "size", "resize", "interpolation")


def stream_specs(spec, streams):
    """The specs of some streams, in the order of `STREAMS`.

    Args:
        spec: {stream: `ClipSpec`}, as models carry theirs (`model.clip_specs`), or one `ClipSpec`:
            that of its own stream, and of flow beside rgb with the range -1 to 1.
        streams: Names out of `STREAMS`.

    Returns:
        {stream: `ClipSpec`}.

    Raises:
        ValueError: If there is no such stream, none, or no spec of one, or if two specs differ in
            anything but their range.

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
            known["flow"] = dataclasses.replace(spec, stream="flow", low=-1.0, high=1.0)
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
        for field in SHARED:
            if getattr(other, field) != getattr(first, field):
                raise ValueError(
                    f"`spec` must have one `{field}` for all streams. Received: "
                    f"{getattr(first, field)!r} for {wanted[0]}, {getattr(other, field)!r} for "
                    f"{stream}"
                )
    return specs
