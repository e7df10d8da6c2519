"""`paper_number`: what the paper's tables say of a cell, in percent of the test videos.

Carreira & Zisserman, CVPR 2017, tables 2 to 5; UCF-101 and HMDB-51 on their first split.
"""

from kinetics_i3d.experiments.cells import BOTH

STREAMS = ("rgb", "flow", BOTH)
RGB_ALONE = ("ConvNetLSTM", "C3D")

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
    if stream != ("rgb" if system in RGB_ALONE else BOTH):
        return None
    return TRANSFER.get(kind, {}).get(system, {}).get(init, (None,) * 3)[MODES.index(transfer)]
