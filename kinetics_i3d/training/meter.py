"""`Meter`: how fast a run is, how much of its time it waits for clips, and when it will end."""

import time

from kinetics_i3d.core.progress import as_time


class Meter:
    """Counts steps and the time between them.

    Args:
        clock: What gives the time in seconds.

    Example:

    >>> times = iter([0.0, 1.0, 4.0])
    >>> meter = Meter(clock=lambda: next(times))
    >>> meter.waited()
    >>> meter.stepped(8)
    >>> meter.rates()
    {'steps_per_second': 0.25, 'clips_per_second': 2.0, 'waiting': 0.25}
    """

    def __init__(self, clock=time.perf_counter):
        self.clock = clock
        self.restart()

    def restart(self):
        """Forgets everything, as at the begin of an epoch."""
        self.last = self.clock()
        self.steps = self.clips = 0
        self.waiting = self.working = 0.0

    def waited(self):
        """A batch has come."""
        now = self.clock()
        self.waiting += now - self.last
        self.last = now

    def stepped(self, clips):
        """A step on so many clips is done."""
        now = self.clock()
        self.working += now - self.last
        self.last = now
        self.steps += 1
        self.clips += clips

    def pause(self):
        """What was done since the last step, such as a validation, counts as neither."""
        self.last = self.clock()

    def rates(self):
        """Steps and clips a second, and the share of the time spent waiting, 0 to 1."""
        total = max(self.waiting + self.working, 1e-9)
        return {
            "steps_per_second": self.steps / total,
            "clips_per_second": self.clips / total,
            "waiting": self.waiting / total,
        }

    def line(self, left):
        """The rates as a line, with the time that `left` steps will take."""
        rates = self.rates()
        seconds = left / rates["steps_per_second"] if self.steps else 0
        return (
            f"{rates['steps_per_second']:.2f} steps/s, {rates['clips_per_second']:.1f} clips/s, "
            f"{100 * rates['waiting']:.0f} % waiting for clips, {as_time(seconds)} to go"
        )
