"""Progress of long operations: a bar on a terminal, occasional lines in a log file.

Long functions report their stages with `track`, `stage` and `waiting`. These show nothing unless a
program calls `show_progress`, as the command line does. It is a global switch, as in Keras, because
training has five stages in as many modules, and an argument would have to pass through all of them.
"""

import contextlib
import logging
import os
import sys
import threading
import time
from collections.abc import Iterator

from kinetics_i3d.core.types import check_seconds

DELAY = 1.0  # seconds before a bar is drawn, so that quick work shows none
EVERY = 30.0  # seconds between lines where stderr is a file

_programs: list = []  # blocks of `show_progress`: seconds between their lines
_hidden: list = []  # blocks of `hide_progress`
_drawn: list = []  # bars on the terminal
_stages: list = []  # running stages, the innermost last


class Progress:
    """Shows how many items are done.

    On a terminal this is a bar, which disappears when it is closed; elsewhere occasional lines
    without control characters.

    Args:
        total: Number of items, or None; a single one shows nothing.
        noun: The items, in the plural.
        stage: The operation in progress.
        initial: Number of items done before.
        lines: Whether to write lines to logs; terminals always get a bar.
        every: Seconds between lines; by default `EVERY`.
        stream: The stream to write to; by default stderr.
    """

    def __init__(self, total, noun, *, stage=None, initial=0, lines=True, every=None, stream=None):
        self.total, self.noun, self.stage, self.initial = total, noun, stage, initial
        self.lines, self.every = lines, EVERY if every is None else every
        self.stream = stream or sys.stderr
        self.bar = None
        self.begun = self.shown = time.monotonic()
        self._is_long = not _hidden and (total is None or total > 1)
        if self._is_long and self.stream.isatty():
            from tqdm import tqdm

            self.bar = tqdm(
                total=total,
                initial=initial,
                desc=stage,
                unit=f" {noun}",
                file=self.stream,
                leave=False,
                ncols=None if _columns(self.stream) else 80,
                dynamic_ncols=_columns(self.stream) > 0,
                delay=DELAY,
            )
            _drawn.append(self.bar)

    def __call__(self, done, note=""):
        """Shows that `done` items are done, followed by `note`."""
        if self.bar is not None:
            if note:
                self.bar.set_postfix_str(note, refresh=False)
            self.bar.update(done - self.bar.n)
        elif self.lines and self._is_long and time.monotonic() - self.shown > self.every:
            self.shown = time.monotonic()
            print(self._line(done, note), file=self.stream, flush=True)

    def _line(self, done, note):
        count, left = f"{done}", ""
        if self.total is not None:
            count = f"{done} of {self.total}"
            if self.initial < done < self.total:
                rate = (done - self.initial) / (time.monotonic() - self.begun)
                left = f"{as_time((self.total - done) / rate)} left"
        head = f"{self.stage}: " if self.stage else ""
        return head + ", ".join(filter(None, [f"{count} {self.noun}", note, left]))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def clear(self):
        """Clears the line of the bar, so that something else can be printed there."""
        if self.bar is not None:
            _clear(self.bar)

    def close(self):
        """Removes the bar."""
        if self.bar is not None:
            _drawn.remove(self.bar)
            self.bar.close()
            self.bar = None


@contextlib.contextmanager
def show_progress(*, every: float | None = None) -> Iterator[None]:
    """Shows the progress of everything that runs inside the block, on stderr.

    Args:
        every: Seconds between lines where stderr is a file, 30 by default; 0 writes a line for each
            step. A terminal shows a bar.

    Raises:
        ValueError: If `every` is not a finite number of seconds, 0 or more.

    Example:

    >>> with ki3d.show_progress():
    ...     result = ki3d.classify(folder / "video.mp4", ki3d.load_model("rgb_figures"))
    """
    if every is not None:
        check_seconds("every", every)
    logger = logging.getLogger("absl")
    _programs.append(EVERY if every is None else every)
    logger.addFilter(_clear_bars)
    try:
        yield
    finally:
        _programs.pop()
        if not _programs:
            logger.removeFilter(_clear_bars)


@contextlib.contextmanager
def hide_progress():
    """Hides all progress inside the block, even that of a `Progress`."""
    _hidden.append(None)
    try:
        yield
    finally:
        _hidden.pop()


@contextlib.contextmanager
def stage(name, *, total, noun, initial=0, lines=True):
    """A stage of a long function.

    Args:
        name: The operation in progress.
        total: Number of items, or None.
        noun: The items, in the plural.
        initial: Number of items done before.
        lines: Whether to write lines to logs.

    Yields:
        A function of (items done, note=""), whose attribute `bar` is None if no bar is drawn.
    """
    if not _programs:
        yield _Silent()
        return
    progress = Progress(total, noun, stage=name, initial=initial, lines=lines, every=_programs[-1])
    _stages.append(progress)
    try:
        yield progress
    finally:
        _stages.remove(progress)
        progress.close()


def track(items, name, *, total, noun, size=None):
    """Yields items and shows how many are done; an item counts as `size(item)`."""
    with stage(name, total=total, noun=noun) as show:
        done = 0
        for item in items:
            yield item
            done += size(item) if size else 1
            show(done)


@contextlib.contextmanager
def waiting(name):
    """A stage without a count: shows how long it has been running.

    While a nested stage runs, only that one is shown.
    """
    if not _programs:
        yield
        return
    ended, begun, stream = threading.Event(), time.monotonic(), sys.stderr
    _stages.append(ended)
    is_terminal = stream.isatty()
    every = DELAY if is_terminal else max(_programs[-1], DELAY)

    def show():
        while not ended.wait(every):
            if _stages[-1] is not ended:
                continue
            text = f"{name}: {as_time(time.monotonic() - begun)}"
            if is_terminal:
                print(f"\r\033[K{text}", end="", file=stream, flush=True)
            else:
                print(text, file=stream, flush=True)

    thread = threading.Thread(target=show, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        _stages.remove(ended)
        if is_terminal:
            print("\r\033[K", end="", file=stream, flush=True)


def as_time(seconds):
    """Seconds as hours, minutes and seconds, such as `1:02:05`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _columns(stream):
    """The width of a terminal; 0 where it is unknown, as in containers."""
    try:
        return os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):
        return 0


class _Silent:
    bar = None

    def __call__(self, done, note=""):
        pass


def _clear_bars(record):
    """A log filter that passes every record, and clears the bars before it is printed."""
    del record
    for bar in _drawn:
        _clear(bar)
    return True


def _clear(bar):
    if bar.last_print_t >= bar.start_t + bar.delay:  # else it was not drawn yet
        bar.clear()
