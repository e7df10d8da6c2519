"""Schedules: the learning rate of every step, as rows of fractions that fit a run of any length.

The drops are those of the code released with Carreira & Zisserman, CVPR 2017; the paper itself says
only that the rate fell tenfold whenever the validation loss saturated.
"""

import dataclasses
import math


@dataclasses.dataclass(frozen=True)
class Schedule:
    """One row.

    Args:
        name: What a config calls it.
        drops: (fraction of the run, factor) pairs: from there on the rate is `factor` times its
            peak.
        cosine: Whether the rate falls as half a cosine to 0 instead.
        plateau: Whether the rate falls tenfold each time that the validation loss saturates.
        reference: Steps of the run that the row is taken from, 0 where there is none.
    """

    name: str
    drops: tuple = ()
    cosine: bool = False
    plateau: bool = False
    reference: int = 0

    def rate(self, step, *, steps, warmup=0):
        """The share of the peak rate, 0 to 1; what a plateau takes away comes on top.

        Args:
            step: Number of the step, from 0.
            steps: Steps of the run.
            warmup: Steps of a linear rise from 0.

        Example:

        >>> [SCHEDULES["release_rgb"].rate(step, steps=1150) for step in (969, 970, 1080)]
        [1.0, 0.1, 0.01]
        """
        rise = min(1.0, step / warmup) if warmup else 1.0
        if self.cosine:
            done = (step - warmup) / max(1, steps - warmup)
            return rise * (1 + math.cos(math.pi * min(1.0, max(0.0, done)))) / 2
        share = 1.0
        for fraction, factor in self.drops:
            # Rounded: 97 / 115 of 1150 is 970 only nearly.
            if step >= round(fraction * steps):
                share = factor
        return rise * share


def _drops(last, *rows):
    return tuple((at / last, factor) for at, factor in rows)


SCHEDULES = {
    row.name: row
    for row in (
        Schedule("constant"),
        Schedule("cosine", cosine=True),
        Schedule("plateau", plateau=True),
        Schedule("paper", plateau=True, reference=110_000),
        Schedule("release_rgb", _drops(115, (97, 0.1), (108, 0.01)), reference=115_000),
        # After its third drop the flow network was trained once more from the full rate.
        Schedule(
            "release_flow",
            _drops(155, (97, 0.1), (104.5, 0.01), (115, 1.0), (140, 0.1), (150, 0.01)),
            reference=155_000,
        ),
    )
}


@dataclasses.dataclass
class Plateau:
    """Counts validations without progress, and the tenfold reductions that they led to.

    Args:
        patience: Validations without progress before a reduction.
        least: Progress is a loss lower than the best by at least this share of it.
        best: The lowest validation loss yet.
        waited: Validations since.
        factor: What the rate is multiplied by now.

    Example:

    >>> plateau = Plateau(patience=2)
    >>> [plateau.see(loss) for loss in (1.0, 0.9, 0.95, 0.92, 0.8)]
    [1.0, 1.0, 1.0, 0.1, 0.1]
    """

    patience: int = 3
    least: float = 1e-3
    best: float = math.inf
    waited: int = 0
    factor: float = 1.0

    def see(self, loss):
        """Takes one validation loss; returns `factor`."""
        if loss < self.best - self.least * abs(self.best if math.isfinite(self.best) else 0):
            self.best, self.waited = loss, 0
        else:
            self.waited += 1
        if self.waited >= self.patience:
            self.waited, self.factor = 0, self.factor / 10
        return self.factor
