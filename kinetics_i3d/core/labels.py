"""Class names, and the decoding of predictions."""

import functools
import pathlib
import re
from typing import Any

import numpy as np

from kinetics_i3d.core.types import Labels, check_strings

LISTS = pathlib.Path(__file__).parent / "label_lists"
# {number of outputs: release}.
BY_COUNT = {400: "kinetics400", 600: "kinetics600"}


@functools.cache
def label_list(name):
    """The class names of "kinetics400" or "kinetics600", in the order of the released weights."""
    path = LISTS / f"{name}.txt"
    if not path.is_file():
        names = sorted(file.stem for file in LISTS.glob("*.txt"))
        raise ValueError(f"`name` must be one of {names}. Received: name={name!r}")
    return tuple(path.read_text(encoding="utf-8").splitlines())


MAX_LETTERS = 1000
# Control characters, which could move the cursor of a terminal or start a new line.
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_MAX_REPEATED = 0.01  # share of names; ImageNet has two twice


def check_class_names(names):
    r"""Raises `ValueError` unless class names are distinct lines of text.

    Example:

    >>> check_class_names(("sit", "stand\n100 % sit"))
    Traceback (most recent call last):
    ...
    ValueError: class names must be single lines of at most 1000 characters. Received: ...
    """
    for name in names:
        is_line = isinstance(name, str) and name.strip() and not _CONTROLS.search(name)
        if not is_line or len(name) > MAX_LETTERS:
            raise ValueError(
                f"class names must be single lines of at most {MAX_LETTERS} characters. Received: "
                f"{repr(name)[:80]}"
            )
    repeated = len(names) - len({*names})
    if repeated > _MAX_REPEATED * len(names):
        raise ValueError(
            f"class names must be unique. Received: {len(names)} names, of which {repeated} are "
            "repeated"
        )


def labels_or_known(labels, classes):
    """The labels; without any, those of Kinetics for 400 or 600 classes, else `None`.

    Example:

    >>> labels_or_known((), 400)[5], labels_or_known((), 21)
    ('archery', None)
    """
    names = () if labels is None else tuple(labels)
    if names:
        return names
    return label_list(BY_COUNT[classes]) if classes in BY_COUNT else None


def softmax(logits):
    """Probabilities along the last axis, float64."""
    logits = np.asarray(logits, np.float64)
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def sigmoid(logits):
    """Independent probabilities of each class, float64."""
    return 0.5 + 0.5 * np.tanh(0.5 * np.asarray(logits, np.float64))


# Functions from logits to probabilities: for exactly one class, or for each class independently.
ACTIVATIONS = {"softmax": softmax, "sigmoid": sigmoid}


def decode_predictions(
    predictions: Any,
    *,
    top: int = 5,
    labels: Labels | None = None,
    from_logits: bool = True,
    activation: str = "softmax",
) -> list[list[tuple[str, float]]]:
    """Names the most likely classes of each row of predictions.

    Args:
        predictions: Array (batch, classes), as a model's `predict` returns.
        top: Number of classes per row; all of them if there are fewer, or if it is None.
        labels: Class names in order, usually `model.labels`. Without them, 400 and 600 outputs are
            read as Kinetics-400 and Kinetics-600.
        from_logits: Whether `predictions` are logits rather than probabilities.
        activation: How logits become probabilities, usually `model.activation`: `"softmax"` for
            exactly one class, or `"sigmoid"` for each class independently.

    Returns:
        A list of (label, probability) for each row, in a list; the most likely first.

    Raises:
        ValueError: If `predictions` is not (batch, classes), `labels` does not fit, or `activation`
            is unknown.

    Example:

    >>> decode_predictions([[0.0, 2.0]], labels=("sit", "stand"), top=1)
    [[('stand', 0.88...)]]
    """
    if activation not in ACTIVATIONS:
        raise ValueError(
            f"`activation` must be one of {tuple(ACTIVATIONS)}. Received: activation={activation!r}"
        )
    is_count = isinstance(top, (int, np.integer)) and not isinstance(top, bool) and top >= 1
    if top is not None and not is_count:
        raise ValueError(f"`top` must be a whole number above 0, or None. Received: top={top!r}")
    if labels is not None:
        labels = check_strings("labels", labels, of="class names")
    predictions = np.asarray(predictions)
    if predictions.ndim != 2:
        raise ValueError(
            f"`predictions` must be (batch, classes). Received: shape={predictions.shape}"
        )
    classes = predictions.shape[1]
    names = labels_or_known(labels, classes)
    if names is None:
        raise ValueError(
            "`labels` must name the classes; it can be left out only if their number is one of "
            f"{sorted(BY_COUNT)}. Received: labels={labels!r} and {classes} classes"
        )
    if len(names) != classes:
        raise ValueError(f"`labels` must name {classes} classes. Received: {len(names)} labels")
    probabilities = ACTIVATIONS[activation](predictions) if from_logits else predictions
    return [
        [(names[index], float(row[index])) for index in np.argsort(-row, kind="stable")[:top]]
        for row in probabilities
    ]
