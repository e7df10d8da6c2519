"""The accuracies that the paper reports, and the hypotheses that its tables support.

Carreira & Zisserman, CVPR 2017, tables 2 to 5; UCF-101 and HMDB-51 on their first split.
"""

import math
import statistics

from kinetics_i3d.experiments.runs import (
    BOTH,
    IMAGE_INITS,
    INITS,
    TRANSFERS,
    group_title,
    run_streams,
)
from kinetics_i3d.models.systems import SYSTEMS, paper_systems

_STREAMS = ("rgb", "flow", BOTH)

# Trained on the dataset alone: accuracies of RGB, Flow, RGB+Flow in percent.
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

# After Kinetics: {initialization on Kinetics: (original, fixed, full)}; (a) and (b) with RGB, the
# others with both streams.
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

# ((system, stream) that ranks higher in the paper, (system, stream) that ranks lower), with the
# same initialization and transfer (sections 4 and 5).
_RANKING = (
    (("TwoStreamI3D", "rgb"), ("ConvNetLSTM", "rgb")),
    (("TwoStreamI3D", "rgb"), ("C3D", "rgb")),
    (("TwoStreamI3D", BOTH), ("TwoStream", BOTH)),
    (("TwoStreamI3D", BOTH), ("TwoStreamFused", BOTH)),
    (("TwoStreamI3D", BOTH), ("TwoStreamI3D", "rgb")),
    (("TwoStreamI3D", BOTH), ("TwoStreamI3D", "flow")),
)
_MIN_SEEDS = 2  # with fewer, the spread over seeds is unknown


def paper_number(kind, group):
    """The paper's top-1 accuracy of a group of runs, in percent; `None` if it has none.

    `kind` is the dataset as `data.layouts` calls it (Kinetics with 400 classes), `group` is
    (system, stream, init, transfer).

    Example:

    >>> paper_number("hmdb51", ("TwoStreamI3D", "both", "imagenet", "full"))
    81.2
    """
    system, stream, init, transfer = group
    if transfer == "original":
        table = {"imagenet": FROM_IMAGENET, "scratch": FROM_SCRATCH}.get(init, {})
        number = table.get(kind, {}).get(system, (None,) * 3)[_STREAMS.index(stream)]
        if number is not None:
            return number
    if stream != run_streams(SYSTEMS[system])[-1]:
        return None
    modes = TRANSFER.get(kind, {}).get(system, {}).get(init, (None,) * 3)
    return modes[[*TRANSFERS].index(transfer)]


def check_hypotheses(scores):
    """Tests the paper's rankings on measured accuracies.

    A difference counts if it is larger than the root of the sum of two squares: the spread over the
    seeds of both sides, and the standard error due to the number of test videos. Both sides were
    tested on the same videos, so this is the standard error of the differences video by video. A
    hypothesis is tested if both sides have two seeds or more.

    Args:
        scores: {(system, stream, init, transfer): `Score`}.

    Returns:
        A list of dictionaries: `first` and `second` (groups), `difference` (percentage points),
        `spread` (over the seeds of both sides), `chance_error` (standard error), `verdict`
        (`"yes"` if the first is above, `"no"` if it is below, or `"not decided"`), `sentence`.

    Example:

    >>> from kinetics_i3d.experiments.results import Score
    >>> more = {str(video): float(video < 240) for video in range(400)}
    >>> less = {str(video): float(video < 168) for video in range(400)}
    >>> i3d = Score((60.0, 60.0), (90.0, 90.0), (0, 1), 400, more)
    >>> lstm = Score((40.0, 44.0), (80.0, 80.0), (0, 1), 400, less)
    >>> print(check_hypotheses({
    ...     ("ConvNetLSTM", "rgb", "scratch", "original"): lstm,
    ...     ("TwoStreamI3D", "rgb", "scratch", "original"): i3d,
    ... })[0]["sentence"])
    I3D RGB above ConvNet+LSTM (Original, from scratch): yes, by 18.0 points (±2.8 over seeds, ±1.9
    by the number of videos).
    """
    hypotheses = []
    for first, second, words in _hypotheses():
        above, below = scores.get(first), scores.get(second)
        if above is None or below is None:
            continue
        if min(len(above.top1), len(below.top1)) < _MIN_SEEDS:
            continue
        difference = above.mean - below.mean
        spread = math.hypot(above.spread, below.spread)
        error = _standard_error(above.right, below.right)
        decided = abs(difference) > math.hypot(spread, error)
        verdict = ("yes" if difference > 0 else "no") if decided else "not decided"
        outcome = {
            "yes": f"yes, by {difference:.1f} points",
            "no": f"no, it is {-difference:.1f} points below",
            "not decided": f"not decided, the difference is {difference:+.1f} points",
        }[verdict]
        hypotheses.append(
            {
                "first": list(first),
                "second": list(second),
                "difference": difference,
                "spread": spread,
                "chance_error": error,
                "verdict": verdict,
                "sentence": f"{words}: {outcome} (±{spread:.1f} over seeds, ±{error:.1f} by the "
                "number of videos).",
            }
        )
    return hypotheses


def _standard_error(first, second):
    """The standard error, in percent, of the mean difference of two {video: share}.

    Only videos that are in both count.
    """
    differences = [share - second[video] for video, share in first.items() if video in second]
    if len(differences) < 2:
        return 100.0
    return 100 * statistics.stdev(differences) / math.sqrt(len(differences))


def _hypotheses():
    """(group above, group below, words) of every hypothesis."""
    for transfer, transfer_title in TRANSFERS.items():
        for init, init_title in INITS.items():
            for first, second in _RANKING:
                # The paper, too, compares the 3D-ConvNet from scratch with all others.
                has_images = SYSTEMS[second[0]].backbone is not None or init not in IMAGE_INITS
                second_init = init if has_images else "scratch"
                note = init_title if has_images else f"{init_title} and {INITS['scratch']}"
                words = f"{group_title(first)} above {group_title(second)}"
                yield (
                    (*first, init, transfer),
                    (*second, second_init, transfer),
                    f"{words} ({transfer_title}, {note})",
                )
    pairs = [
        (system, stream) for system, row in paper_systems().items() for stream in run_streams(row)
    ]
    for pair in pairs:
        for init in IMAGE_INITS:
            words = f"{group_title(pair)}, {INITS[init]} above {INITS['scratch']} (Original)"
            yield (*pair, init, "original"), (*pair, "scratch", "original"), words
    for pair in pairs:
        for init, init_title in INITS.items():
            original_init = "scratch" if init == "given" else init
            for above, below in (("fixed", "original"), ("full", "original"), ("full", "fixed")):
                other = original_init if below == "original" else init
                words = f"{group_title(pair)}, {TRANSFERS[above]} above {TRANSFERS[below]}"
                yield (*pair, init, above), (*pair, other, below), f"{words} ({init_title})"
