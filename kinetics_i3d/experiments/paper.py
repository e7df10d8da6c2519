"""`paper_number`: what the paper's tables say of a cell, in percent of the test videos.

Carreira & Zisserman, CVPR 2017, tables 2 to 5; UCF-101 and HMDB-51 on their first split.
"""

import math
import statistics

from kinetics_i3d.experiments.runs import BOTH, IMAGES, INITS, TRANSFERS, group_title, run_streams
from kinetics_i3d.models.systems import SYSTEMS, paper_systems

STREAMS = ("rgb", "flow", BOTH)

# Trained on the dataset alone: RGB, Flow, RGB+Flow.
FROM_IMAGENET: dict = {
    "ucf101": {
        "ConvNetLSTM": (81.0, None, None),
        "TwoStream": (83.6, 85.6, 91.2),
        "TwoStreamFused": (83.2, 85.8, 89.3),
        "TwoStreamI3D": (84.5, 90.6, 93.4),
    },
    "hmdb51": {
        "ConvNetLSTM": (36.0, None, None),
        "TwoStream": (43.2, 56.3, 58.3),
        "TwoStreamFused": (49.2, 55.5, 56.8),
        "TwoStreamI3D": (49.8, 61.9, 66.4),
    },
    "kinetics": {
        "ConvNetLSTM": (63.3, None, None),
        "TwoStream": (62.2, 52.4, 65.6),
        "TwoStreamFused": (None, None, 67.2),
        "TwoStreamI3D": (71.1, 63.4, 74.2),
    },
}
FROM_SCRATCH: dict = {
    "ucf101": {"C3D": (51.6, None, None)},
    "hmdb51": {"C3D": (24.3, None, None)},
    "kinetics": {
        "ConvNetLSTM": (53.9, None, None),
        "C3D": (56.1, None, None),
        "TwoStream": (57.9, 49.6, 62.8),
        "TwoStreamFused": (None, None, 62.7),
        "TwoStreamI3D": (68.4, 61.5, 71.6),
    },
}

# After Kinetics: {start there: (original, fixed, full)} of RGB for (a) and (b), else of both.
TRANSFER: dict = {
    "ucf101": {
        "ConvNetLSTM": {"imagenet": (81.0, 88.1, 91.0), "scratch": (54.2, 82.6, 86.8)},
        "C3D": {"scratch": (51.6, 76.0, 79.9)},
        "TwoStream": {"imagenet": (91.2, 93.9, 94.2), "scratch": (83.6, 93.3, 93.8)},
        "TwoStreamFused": {"imagenet": (89.3, 94.3, 94.2), "scratch": (69.5, 89.8, 91.5)},
        "TwoStreamI3D": {"imagenet": (93.4, 97.7, 98.0), "scratch": (88.8, 97.4, 97.6)},
    },
    "hmdb51": {
        "ConvNetLSTM": {"imagenet": (36.0, 50.8, 53.4), "scratch": (18.3, 47.1, 49.7)},
        "C3D": {"scratch": (24.3, 47.0, 49.4)},
        "TwoStream": {"imagenet": (58.3, 66.6, 66.6), "scratch": (47.1, 65.9, 64.3)},
        "TwoStreamFused": {"imagenet": (56.8, 69.9, 71.0), "scratch": (37.3, 64.6, 66.5)},
        "TwoStreamI3D": {"imagenet": (66.4, 79.7, 81.2), "scratch": (62.2, 78.6, 81.3)},
    },
}
MODES = ("original", "fixed", "full")


def paper_number(kind, group):
    """The paper's top-1 accuracy of a group of cells.

    Args:
        kind: The dataset, as `data.layouts` calls it; of Kinetics the one of 400 classes.
        group: (system, stream, init, transfer).

    Returns:
        Percent, or `None` where the paper has no such number.

    Example:

    >>> paper_number("hmdb51", ("TwoStreamI3D", "both", "imagenet", "full"))
    81.2
    """
    system, stream, init, transfer = group
    if transfer == "original":
        table = {"imagenet": FROM_IMAGENET, "scratch": FROM_SCRATCH}.get(init, {})
        found = table.get(kind, {}).get(system, (None,) * 3)[STREAMS.index(stream)]
        if found is not None:
            return found
    if stream != run_streams(SYSTEMS[system])[-1]:
        return None
    return TRANSFER.get(kind, {}).get(system, {}).get(init, (None,) * 3)[MODES.index(transfer)]


# ((system, stream) that the paper has above, the one below), of the same start and mode.
RANKS = (
    (("TwoStreamI3D", "rgb"), ("ConvNetLSTM", "rgb")),
    (("TwoStreamI3D", "rgb"), ("C3D", "rgb")),
    (("TwoStreamI3D", BOTH), ("TwoStream", BOTH)),
    (("TwoStreamI3D", BOTH), ("TwoStreamFused", BOTH)),
    (("TwoStreamI3D", BOTH), ("TwoStreamI3D", "rgb")),
    (("TwoStreamI3D", BOTH), ("TwoStreamI3D", "flow")),
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
                began = (
                    init if SYSTEMS[other].backbone is not None or init not in IMAGES else "scratch"
                )
                first, second = (system, stream, init, transfer), (other, beside, began, transfer)
                note = start if began == init else f"{start} and {INITS[began]}"
                yield (
                    first,
                    second,
                    (f"{group_title(first)} above {group_title(second)} ({mode}, {note})"),
                )
    groups = [
        (system, stream) for system, row in paper_systems().items() for stream in run_streams(row)
    ]
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
