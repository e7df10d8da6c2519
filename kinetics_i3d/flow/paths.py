"""`flow_path`: the name of the file that holds the flow of a video, beside the video."""

import pathlib

from kinetics_i3d.flow.info import reading, tag
from kinetics_i3d.video.frame_folder import split_rate
from kinetics_i3d.video.span import split_span

SUFFIX = ".flow.npz"


def flow_path(video, spec=None):
    """Where the flow of a video stands: beside it, as `<its file name>.flow.npz`.

    Args:
        video: The path of a video, with a span behind it or not.
        spec: A `ClipSpec`, for the name that flow for it has where another one's has the usual
            name.

    Returns:
        A `pathlib.Path`.

    Example:

    >>> from kinetics_i3d.core.clip_spec import DEEPMIND_FLOW
    >>> flow_path("wave.avi").name, flow_path("wave.avi", DEEPMIND_FLOW).name
    ('wave.avi.flow.npz', 'wave.avi.25fps_256px.flow.npz')
    >>> flow_path("wave.avi#t=5,15").name
    'wave.avi.5-15s.flow.npz'
    """
    file, span = split_span(video)
    path = pathlib.Path(split_rate(file)[0])
    name = path.name
    if span is not None:
        start, _, end = span.located("").removeprefix("#t=").partition(",")
        name += f".{start}-{end}s" if end else f".{start}-end"
    path = path.with_name(name + SUFFIX)
    return path if spec is None else path_for(path, spec)


def path_for(path, spec):
    """The name beside a flow file's for flow by another spec.

    Example:

    >>> from kinetics_i3d.core.clip_spec import DEEPMIND_FLOW
    >>> path_for(pathlib.Path("wave.avi.flow.npz"), DEEPMIND_FLOW).name
    'wave.avi.25fps_256px.flow.npz'
    """
    return path.with_name(f"{path.name.removesuffix(SUFFIX)}.{tag(reading(spec))}{SUFFIX}")
