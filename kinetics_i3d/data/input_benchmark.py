"""`measure_input`: how many clips per second the training pipeline yields, and what limits it.

Shares are of processor time, which is the same on a busy machine as on an idle one.
"""

import dataclasses
import resource
import sys
import time

from kinetics_i3d.core.processors import usable_processors
from kinetics_i3d.core.stream_specs import StreamSpecs
from kinetics_i3d.data.pipeline import augmentation, decoded_clips, training_clips

IDLE = 0.75  # share of busy processors below which the pipeline waits for something else


@dataclasses.dataclass(frozen=True)
class InputBenchmark:
    """The result of `measure_input`.

    Args:
        clips: Clips per second.
        frames: Frames per second, of one stream.
        decode: Share of the processor time for reading and decoding; the rest is augmentation and
            batching.
        processors: Busy processors on average.
        available: Processors that the process may use.
        peak_mb: Peak memory of the process so far, in megabytes.
        seconds: Duration of the measurement.
    """

    clips: float
    frames: float
    decode: float
    processors: float
    available: int
    peak_mb: float
    seconds: float

    @property
    def limit(self):
        """What limits the pipeline: `"decoding"`, `"augmentation"` or `"waiting"`.

        `"waiting"` if processors are idle, waiting for files or for Python's lock, or if other
        programs use them.
        """
        if self.processors < IDLE * self.available:
            return "waiting"
        return "decoding" if self.decode >= 0.5 else "augmentation"

    def to_dict(self):
        """The fields and the limit as a JSON-ready dictionary."""
        return {**dataclasses.asdict(self), "limit": self.limit}


def measure_input(source, *, streams=("rgb",), spec, frames=64, batch=8, seconds=10.0):
    """Draws clips for some seconds, first only decoded, then as training reads them.

    Args:
        source: A `Dataset`, one split.
        streams: `"rgb"`, `"flow"` or both.
        spec: A `ClipSpec`, or {stream: `ClipSpec`}.
        frames: Frames of a clip.
        batch: Clips of a batch.
        seconds: Duration; half of it for decoding alone.

    Returns:
        An `InputBenchmark`.

    Raises:
        UserError: If the source does not fit, or none of it can be decoded.
        ValueError: If an argument is invalid.
    """
    if not seconds > 0:
        raise ValueError(f"`seconds` must be above 0. Received: seconds={seconds!r}")
    specs = StreamSpecs(spec, streams)
    decoded = decoded_clips(source, specs=specs, frames=frames).batch(1)
    alone = _drawn(decoded, 1, seconds / 2)
    batches = training_clips(
        source,
        streams=streams,
        spec=specs,
        frames=frames,
        batch=batch,
        augment=augmentation(specs),
    )
    clips, wall, processor = _drawn(batches, batch, seconds / 2)
    decode = (alone[2] / alone[0]) / (processor / clips)
    return InputBenchmark(
        clips=clips / wall,
        frames=clips * frames / wall,
        decode=min(1.0, decode),
        processors=processor / wall,
        available=usable_processors(),
        peak_mb=_peak_mb(),
        seconds=wall,
    )


def _drawn(batches, batch, seconds):
    """(clips, seconds, processor seconds) of drawing for some time, after the first batch."""
    drawn = iter(batches)
    next(drawn)
    count, start, processor = 0, time.perf_counter(), time.process_time()
    while True:
        next(drawn)
        count += batch
        wall = time.perf_counter() - start
        if wall >= seconds:
            return count, wall, time.process_time() - processor


def _peak_mb():
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
