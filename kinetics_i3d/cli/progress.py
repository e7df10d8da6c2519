"""`Progress`: how far a long command is, on stderr."""

import contextlib
import sys
import time

EVERY = 30.0  # seconds between lines where stderr is a file


class Progress:
    """Shows how many of several are done: a bar on a terminal, now and then a line in a log.

    Args:
        total: How many there are; a single one shows nothing.
        noun: What they are, in the plural.
        stream: Where to; by default stderr.

    Example:

    >>> progress = Progress(2, "videos")
    >>> progress(1)
    >>> progress(2)
    """

    def __init__(self, total, noun, *, stream=None):
        self.total, self.noun = total, noun
        self.stream = stream or sys.stderr
        self.bar = None
        self.shown = time.monotonic()

    def __call__(self, done):
        """Shows that `done` of them are done."""
        if self.total < 2:
            return
        if self.stream.isatty():
            self._draw(done)
        elif time.monotonic() - self.shown > EVERY:
            self.shown = time.monotonic()
            print(f"{done} of {self.total} {self.noun}", file=self.stream, flush=True)

    def clear(self):
        """Empties the bar's line, so that something else can be printed there."""
        if self.bar is not None:
            print("\r\033[K", end="", file=self.stream, flush=True)

    def _draw(self, done):
        # Keras writes to stdout, which holds results here.
        with contextlib.redirect_stdout(self.stream):
            if self.bar is None:
                import keras

                self.bar = keras.utils.Progbar(self.total, unit_name=self.noun[:-1])
            self.bar.update(done)
