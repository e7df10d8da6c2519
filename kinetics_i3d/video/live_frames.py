"""`LiveFrames`: the frames of a live source, decoded by a thread into a bounded queue."""

import collections
import dataclasses
import threading
import time

import numpy as np
from absl import logging

from kinetics_i3d.core.clip_spec import as_rate
from kinetics_i3d.core.errors import VideoError
from kinetics_i3d.video.live import LiveSource, source_kind, source_name
from kinetics_i3d.video.painter import Painter
from kinetics_i3d.video.reader import bounded
from kinetics_i3d.video.sampling import at_rate, presentation_times

_RETRY = 1.0  # seconds between attempts to connect again
_JOIN = 1.0  # seconds to wait for the thread; one that waits for the network ends by its timeout


@dataclasses.dataclass(frozen=True, eq=False)
class LiveFrame:
    """A frame of a live source.

    Args:
        number: Its index at the rate of the spec, from the source's first picture. Missing frames
            leave gaps in the numbers.
        arrived: Time at which its picture was decoded, by `time.monotonic`.
        pixels: uint8 array (height, width, 3), RGB.
    """

    number: int
    arrived: float
    pixels: np.ndarray


class FrameQueue:
    """A bounded queue between a producer and a consumer thread.

    Args:
        size: Number of items, 1 or more.
        drop: Whether a full queue drops its oldest item; otherwise `put` waits.

    Example:

    >>> queue = FrameQueue(2, drop=True)
    >>> for number in range(5):
    ...     accepted = queue.put(number)
    >>> queue.take(), queue.dropped
    ([3, 4], 3)
    """

    def __init__(self, size, *, drop):
        self.dropped = 0  # before the items that were taken last
        self._dropped = 0
        self._size, self._drop = size, drop
        self._items: collections.deque = collections.deque()
        self._changed = threading.Condition()
        self._ended = self._closed = False
        self._error = None

    def put(self, item):
        """Adds an item; returns False if the queue is closed."""
        with self._changed:
            while len(self._items) >= self._size and not self._closed:
                if self._drop:
                    self._items.popleft()
                    self._dropped += 1
                else:
                    self._changed.wait()
            if not self._closed:
                self._items.append(item)
                self._changed.notify_all()
            return not self._closed

    def end(self, error=None):
        """Marks the end of the items, with an error if that is the reason."""
        with self._changed:
            self._ended, self._error = True, error
            self._changed.notify_all()

    def close(self):
        """Closes the queue and drops its items."""
        with self._changed:
            self._closed = True
            self._items.clear()
            self._changed.notify_all()

    def take(self, limit=None):
        """Waits for an item, and takes all available ones, or the `limit` oldest.

        Returns:
            A list, empty at the end. If an error ended the items, it is raised there.
        """
        with self._changed:
            while not self._items and not self._ended:
                self._changed.wait()
            if not self._items and self._error is not None:
                raise self._error
            count = len(self._items) if limit is None else min(limit, len(self._items))
            self.dropped = self._dropped
            items = [self._items.popleft() for _ in range(count)]
            self._changed.notify_all()
            return items


class LiveFrames:
    """Decodes, samples and resizes a live source in a thread; use it in a `with` block.

    Cameras, addresses and files that are played in real time do not wait: frames that are not taken
    in time are dropped. For other files decoding waits, and every frame is kept.

    Args:
        source: As for `LiveSource`.
        spec: The `ClipSpec` by which frames are sampled and resized; they are not cropped.
        size: Number of frames that may wait to be taken.
        timeout: As for `LiveSource`.
        realtime: Whether a file is played at its own rate.
        reconnect: Whether a camera or an address is opened again when it ends.
    """

    def __init__(self, source, *, spec, size, timeout, realtime=False, reconnect=False):
        is_file = source_kind(source) == "file"
        self._source, self._spec, self._timeout = source, spec, timeout
        self._realtime = realtime and is_file
        self._reconnect = reconnect and not is_file
        self.keeps_all = is_file and not realtime
        self._queue = FrameQueue(size, drop=not self.keeps_all)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="live frames", daemon=True)
        self._next = 0
        self._last_arrival = None

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exception):
        self._stopped.set()
        self._queue.close()
        self._thread.join(_JOIN)

    @property
    def dropped(self):
        """The number of frames dropped before those that were taken last."""
        return self._queue.dropped

    def take(self, limit=None):
        """Waits for frames; a list of `LiveFrame`s as `FrameQueue.take` returns them.

        Raises:
            VideoError: After the last frame: if the source cannot be opened, has no picture, or the
                connection was lost.
        """
        return self._queue.take(limit)

    def _run(self):
        try:
            self._read_on()
        except BaseException as error:  # noqa: BLE001  (raised where frames are taken)
            self._queue.end(error)
        else:
            self._queue.end()

    def _read_on(self):
        """Reads one connection, or several one after the other."""
        warned_at = 0  # frame of the last warning, so that an outage logs one line
        while True:
            reason = "the stream ended"
            try:
                self._read()
            except VideoError as error:
                if not self._reconnect or not self._next:
                    raise
                reason = str(error)
            if not self._reconnect or self._stopped.wait(_RETRY):
                return
            if self._next > warned_at:
                warned_at = self._next
                logging.warning("%s: connecting again (%s)", source_name(self._source), reason)

    def _read(self):
        """Puts the frames of one connection into the queue."""
        spec, name = self._spec, str(source_name(self._source))
        painter = Painter(spec.short_side, spec.resize, spec.interpolation, name=name)
        with LiveSource(self._source, timeout=self._timeout, stopped=self._stopped) as source:
            timed = presentation_times(
                source.pictures(),
                tick=source.tick,
                rate=source.rate,
                clock=source.clock,
                discontinuous=source.discontinuous,
            )
            rate = as_rate(spec.fps)
            arrivals = self._arrivals(bounded(timed, name, rate, 0, None))
            shown = pixels = None
            for arrived, picture in at_rate(arrivals, fps=rate):
                if shown is None:
                    self._next += self._missed(arrived)
                if picture is not shown:
                    shown, pixels = picture, painter(picture)
                if not self._queue.put(LiveFrame(self._next, arrived, pixels)):
                    return
                self._next += 1
                self._last_arrival = arrived
            if source.lost is not None:
                raise VideoError(f"{name}: the connection was lost ({source.lost})")

    def _missed(self, arrived):
        """The number of frames between the last of one connection and the first of the next."""
        if self._last_arrival is None:
            return 0
        return max(1, round((arrived - self._last_arrival) * self._spec.fps))

    def _arrivals(self, timed):
        """(time, length, (arrival, picture)), in real time if requested."""
        begin = None
        for seconds, length, picture in timed:
            now = time.monotonic()
            if begin is None:
                begin = now - float(seconds)
            if self._realtime:
                self._stopped.wait(max(0.0, begin + float(seconds) - now))
            yield seconds, length, (time.monotonic(), picture)
