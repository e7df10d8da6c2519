"""`time_axis`: the frames that each time step of a network's output depends on, from its layers.

`plan_chunks` uses it to run a network over a long video in overlapping stretches that give the
output of one pass over the whole video.
"""

import dataclasses
import functools


@dataclasses.dataclass(frozen=True)
class TimeAxis:
    """The time axis of a network's output, for clips of one length.

    Step t depends on the frames `first + t * stride` to `last + t * stride`; those outside the clip
    are zero padding. It represents the `span` frames from `t * stride` on.

    Args:
        steps: Number of time steps.
        stride: Frames from one step to the next.
        first: The first frame that step 0 depends on: 0, or negative.
        last: The last frame that step 0 depends on.
        span: `stride`, or more if a layer without padding joins several steps.
    """

    steps: int
    stride: int = 1
    first: int = 0
    last: int = 0
    span: int = 1

    @property
    def receptive_field(self) -> int:
        """The number of frames that a step depends on."""
        return self.last - self.first + 1

    def after(self, kernel, stride, *, padded):
        """The axis after a convolution or pool of `kernel` steps, with SAME or VALID padding."""
        if padded:
            steps = -(-self.steps // stride)
            # TensorFlow's SAME pads the larger half at the end. The amount depends on the number of
            # steps modulo the stride, so the phase of the grid depends on the length of the clip.
            before = max(0, (steps - 1) * stride + kernel - self.steps) // 2
        else:
            steps, before = (self.steps - kernel) // stride + 1, 0
        return TimeAxis(
            steps=steps,
            stride=self.stride * stride,
            first=self.first - before * self.stride,
            last=self.last + (kernel - 1 - before) * self.stride,
            span=self.span + ((stride if padded else kernel) - 1) * self.stride,
        )

    def joined(self, other):
        """The axis of two branches that are concatenated or added."""
        return dataclasses.replace(
            self, first=min(self.first, other.first), last=max(self.last, other.last)
        )


def time_axis(network, frames):
    """The `TimeAxis` of a network's output for clips of `frames` frames; None if it has none.

    Args:
        network: A functional model of clips (batch, frames, height, width, channels).
        frames: Length of the clips.
    """
    axes: dict = {}
    for layer in network.operations:
        if hasattr(layer, "layers"):
            return None
        # An input layer has no input.
        inputs = [axes[id(tensor)] for tensor in _as_list(layer.input)] or [TimeAxis(frames)]
        axis = None if None in inputs else functools.reduce(TimeAxis.joined, inputs)
        if axis is not None:
            kernel = getattr(layer, "kernel_size", None) or getattr(layer, "pool_size", None)
            if kernel is not None and len(kernel) == 3:
                length = (kernel[0] - 1) * getattr(layer, "dilation_rate", (1,))[0] + 1
                axis = axis.after(length, layer.strides[0], padded=layer.padding == "same")
        for tensor in _as_list(layer.output):
            axes[id(tensor)] = axis if len(tensor.shape) == 5 else None
    return axes[id(network.output)]


def _as_list(tensors):
    return list(tensors) if isinstance(tensors, (list, tuple)) else [tensors]


@dataclasses.dataclass(frozen=True)
class Chunk:
    """A stretch of a video that a network runs over, and the time steps that are taken from it.

    Args:
        start: Its first frame.
        stop: The frame after its last.
        first_step: The first step of the whole video that is taken from it.
        stop_step: The step after the last one.
        border: Number of output steps before these, which depend on the start of the stretch.
    """

    start: int
    stop: int
    first_step: int
    stop_step: int
    border: int

    @property
    def kept(self) -> slice:
        """The steps of its output that are those of one pass over the whole video."""
        return slice(self.border, self.border + self.stop_step - self.first_step)


def min_frames_of(axis):
    """The minimum length of a chunk with at least one step that no border affects."""
    border = -(axis.first // axis.stride)
    # Lengths have the same remainder by the stride as the video: `stride - 1` frames may be lost.
    return border * axis.stride + axis.last + axis.stride


def plan_chunks(axis, frames, max_frames):
    """Plans chunks that together give each time step of one pass over a video exactly once.

    All chunks have the same length, with the video's remainder by the stride, and start at a
    multiple of the stride, so that every layer pads them as it pads the whole video.

    Args:
        axis: The `TimeAxis` of the whole video.
        frames: Length of the video.
        max_frames: Maximum number of frames of a chunk, `min_frames_of(axis)` or more.

    Returns:
        A list of `Chunk`s; a single one if the video is no longer than `max_frames`.

    Example:

    >>> axis = TimeAxis(steps=16, stride=1, first=-1, last=1)
    >>> [(chunk.start, chunk.stop, chunk.kept) for chunk in plan_chunks(axis, 16, 10)]
    [(0, 10, slice(0, 9, None)), (6, 16, slice(3, 10, None))]
    """
    if frames <= max_frames:
        return [Chunk(0, frames, 0, axis.steps, 0)]
    if max_frames < min_frames_of(axis):
        raise ValueError(
            f"`max_frames` must be at least {min_frames_of(axis)}. "
            f"Received: max_frames={max_frames!r}"
        )
    length = max_frames - (max_frames - frames) % axis.stride
    border = -(axis.first // axis.stride)
    inner = (length - 1 - axis.last) // axis.stride + 1  # steps that the end does not affect
    chunks: list = []
    done = 0
    while done < axis.steps:
        first = max(0, done - border)  # of the chunk's first step
        stop = first + inner
        if first * axis.stride + length >= frames:
            first, stop = (frames - length) // axis.stride, axis.steps
        start = first * axis.stride
        chunks.append(Chunk(start, start + length, done, stop, done - first))
        done = stop
    return chunks
