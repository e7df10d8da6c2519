"""`combine`: the evaluations of two streams as one, their logits added with equal weight.

Carreira & Zisserman, CVPR 2017, section 2.4.
"""

import collections
import dataclasses

import numpy as np

from kinetics_i3d.core.errors import DatasetError

SHOWN = 5  # differences that an error lists


def combine(rgb_evaluation, flow_evaluation):
    """Adds the logits of two streams that were evaluated one by one.

    Args:
        rgb_evaluation: An `Evaluation` of one stream.
        flow_evaluation: That of the other, on the same videos in any order.

    Returns:
        An `Evaluation` with both streams, in the order of the videos of rgb.

    Raises:
        DatasetError: If the labels, the views, the videos or their classes differ; the difference
            is listed.
        ValueError: If both have a stream of the same name.

    Example:

    >>> from kinetics_i3d.evaluation.result import Evaluation
    >>> rgb = Evaluation(("a", "b"), ("v.mp4",), np.array([1]), {"rgb": np.array([[2.0, 0.0]])})
    >>> flow = Evaluation(("a", "b"), ("v.mp4",), np.array([1]), {"flow": np.array([[0.0, 3.0]])})
    >>> combine(rgb, flow).scores
    array([[2., 3.]])
    """
    first, second = rgb_evaluation, flow_evaluation
    again = first.logits.keys() & second.logits.keys()
    if again:
        raise ValueError(
            "`flow_evaluation` must be of another stream than `rgb_evaluation`. "
            f"Received: {sorted(again)} in both"
        )
    names = " and ".join("+".join(one.logits) for one in (first, second))
    check_labels(names, first.labels, second.labels)
    if first.views != second.views:
        raise DatasetError(f"{names}: the views differ: {first.views} and {second.views}")
    places = {path: place for place, path in enumerate(second.paths)}
    lists = [
        ("only in " + "+".join(one.logits), sorted(set(one.paths) - set(other.paths)))
        for one, other in ((first, second), (second, first))
    ]
    if any(paths for _, paths in lists):
        told = "; ".join(f"{where}: {listed(paths)}" for where, paths in lists if paths)
        raise DatasetError(f"{names}: the videos differ: {told}")
    twice = [
        path
        for one in (first, second)
        for path, times in collections.Counter(one.paths).items()
        if times > 1
    ]
    if twice:
        raise DatasetError(f"{names}: videos occur twice: {listed(twice)}")
    order = [places[path] for path in first.paths]
    other = [
        f"{path} ({_classes(first, one)} and {_classes(first, two)})"
        for path, one, two in zip(first.paths, first.targets, second.targets[order], strict=True)
        if np.any(one != two)
    ]
    if other:
        raise DatasetError(f"{names}: the classes of videos differ: {listed(other)}")
    return dataclasses.replace(
        first,
        logits=first.logits | {name: logits[order] for name, logits in second.logits.items()},
        skipped=tuple(dict.fromkeys(first.skipped + second.skipped)),
        specs=first.specs | second.specs,
        digests=first.digests | second.digests,
    )


def _classes(evaluation, target):
    """The names of a video's class or classes."""
    names = np.array(evaluation.labels)[target]
    return str(names) if np.ndim(target) == 0 else "+".join(names) or "none"


def check_labels(names, first, second):
    """Raises `DatasetError` where two models' labels differ, with the difference.

    Args:
        names: What the error calls the two.
        first: Class names in order.
        second: Those of the other.

    Raises:
        DatasetError: If they are not the same in the same order.
    """
    if tuple(first) == tuple(second):
        return
    pairs = [
        f"class {place} is {one!r} and {two!r}"
        for place, (one, two) in enumerate(zip(first, second, strict=False))
        if one != two
    ]
    if len(first) != len(second):
        pairs.insert(0, f"{len(first)} and {len(second)} of them")
    raise DatasetError(f"{names}: the labels differ: {listed(pairs)}")


def listed(items):
    """The first of some texts in one, and how many more there are.

    Example:

    >>> listed(list("abcdefg"))
    'a, b, c, d, e and 2 more'
    """
    rest = f" and {len(items) - SHOWN} more" if len(items) > SHOWN else ""
    return ", ".join(items[:SHOWN]) + rest
