"""`claims_of`: what the paper says of its numbers, asked of these.

Carreira & Zisserman, CVPR 2017, sections 4 and 5: I3D before the others, both streams before one,
a start from images before none, and features from a larger dataset before none.
"""

import math
import statistics

from kinetics_i3d.experiments.cells import APART, BOTH, IMAGES, INITS, ROWS, TRANSFERS, group_title

# ((system, stream) that the paper has above, the one below), of the same start and mode.
RANKS = (
    ((APART, "rgb"), ("ConvNetLSTM", "rgb")),
    ((APART, "rgb"), ("C3D", "rgb")),
    ((APART, BOTH), ("TwoStream", BOTH)),
    ((APART, BOTH), ("TwoStreamFused", BOTH)),
    ((APART, BOTH), (APART, "rgb")),
    ((APART, BOTH), (APART, "flow")),
)
LEAST = 2  # runs of each side, or its spread is unknown


def claims_of(scores):
    """Holds the paper's order against measured accuracies, wherever both sides have several seeds.

    A difference counts if it is larger than what both sides' spread over seeds, and the chance of
    so few test videos, make of it together. Both sides answered the same videos, so that this
    chance is of the differences between them, video by video.

    Args:
        scores: {(system, stream, init, transfer): `Score`}.

    Returns:
        A list of dictionaries: `first` and `second` (groups), `difference` (points), `spread` (of
        both sides over seeds), `chance_error` (of it by the number of videos), `verdict` (`"yes"`
        where the first is above, `"no"` where it is below, else `"not decided"`) and `sentence`.

    Example:

    >>> from kinetics_i3d.experiments.results import Score
    >>> more = {str(video): float(video < 240) for video in range(400)}
    >>> less = {str(video): float(video < 168) for video in range(400)}
    >>> i3d = Score((60.0, 60.0), (90.0, 90.0), (0, 1), 400, more)
    >>> lstm = Score((40.0, 44.0), (80.0, 80.0), (0, 1), 400, less)
    >>> print(claims_of({
    ...     ("ConvNetLSTM", "rgb", "scratch", "original"): lstm,
    ...     ("TwoStreamI3D", "rgb", "scratch", "original"): i3d,
    ... })[0]["sentence"])
    I3D RGB above ConvNet+LSTM (Original, from scratch): yes, by 18.0 points (spread 2.8 over seeds,
    1.9 by the number of videos).
    """
    claims = []
    for first, second, words in _pairs():
        one, two = scores.get(first), scores.get(second)
        if one is None or two is None or min(len(one.top1), len(two.top1)) < LEAST:
            continue
        difference = one.mean - two.mean
        spread = math.hypot(one.spread, two.spread)
        chance = _chance(one.right, two.right)
        decided = abs(difference) > math.hypot(spread, chance)
        verdict = ("yes" if difference > 0 else "no") if decided else "not decided"
        told = {
            "yes": f"yes, by {difference:.1f} points",
            "no": f"no, it is {-difference:.1f} points below",
            "not decided": f"not decided, the difference is {difference:+.1f} points",
        }[verdict]
        claims.append(
            {
                "first": list(first),
                "second": list(second),
                "difference": difference,
                "spread": spread,
                "chance_error": chance,
                "verdict": verdict,
                "sentence": f"{words}: {told} (spread {spread:.1f} over seeds, {chance:.1f} by the "
                "number of videos).",
            }
        )
    return claims


def _chance(one, two):
    """The standard error of a difference, in percent, of the videos that both sides tested."""
    differences = [share - two[video] for video, share in one.items() if video in two]
    if len(differences) < 2:
        return 100.0
    return 100 * statistics.stdev(differences) / math.sqrt(len(differences))


def _pairs():
    """(first, second, words) of every claim that there can be."""
    for transfer, mode in TRANSFERS.items():
        for init, start in INITS.items():
            for (system, stream), (other, beside) in RANKS:
                # The paper, too, holds the 3D-ConvNet from scratch against all others.
                began = init if ROWS[other].images or init not in IMAGES else "scratch"
                first, second = (system, stream, init, transfer), (other, beside, began, transfer)
                note = start if began == init else f"{start} and {INITS[began]}"
                yield (
                    first,
                    second,
                    (f"{group_title(first)} above {group_title(second)} ({mode}, {note})"),
                )
    groups = [(system, stream) for system, row in ROWS.items() for stream in row.streams]
    for pair in groups:
        for init in IMAGES:
            words = f"{group_title(pair)}, {INITS[init]} above {INITS['scratch']} (Original)"
            yield (*pair, init, "original"), (*pair, "scratch", "original"), words
    for pair in groups:
        for init, start in INITS.items():
            own = "scratch" if init == "given" else init
            for above, below in (("fixed", "original"), ("full", "original"), ("full", "fixed")):
                other = own if below == "original" else init
                words = f"{group_title(pair)}, {TRANSFERS[above]} above {TRANSFERS[below]}"
                yield (*pair, init, above), (*pair, other, below), f"{words} ({start})"
