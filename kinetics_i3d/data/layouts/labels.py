"""Labels of listings: their order, their spelling, and the classes that numbers stand for.

The orders of Kinetics-400 and -600 are those of the released weights, `kinetics_i3d.core.labels`.
"""

import difflib
import re
import unicodedata
from collections.abc import Iterable, Mapping

from absl import logging

from kinetics_i3d.core.errors import DatasetError
from kinetics_i3d.core.label_files import read_label_ids
from kinetics_i3d.core.labels import BY_COUNT, label_list


def bare(label):
    """A label without case, spaces and punctuation, for comparing spellings.

    Example:

    >>> bare("Massaging_persons-head") == bare("massaging person's head")
    True
    """
    # An umlaut may be stored as one character or as two.
    return "".join(filter(str.isalnum, unicodedata.normalize("NFC", label).casefold()))


def order_labels(names):
    """The order of the released weights if the names are those of Kinetics, otherwise sorted."""
    names = set(names)
    for name in BY_COUNT.values():
        if names == set(label_list(name)):
            return label_list(name)
    return tuple(sorted(names))


def labels_of(listing):
    """The labels of a `Listing` in order; logs labels that differ only in spelling."""
    names = {label for row in listing.rows for label in row.classes}
    alike: dict = {}
    for label in sorted(names):
        other = alike.setdefault(bare(label) or label, label)
        if other != label:
            logging.warning(
                "%s: %r and %r are read as two different labels", listing.path, other, label
            )
    return tuple(listing.labels or order_labels(names))


def check_labels(labels):
    """The labels as a tuple, or None; `ValueError` if empty or not all different."""
    if labels is None:
        return None
    is_list = isinstance(labels, Iterable) and not isinstance(labels, (str, Mapping))
    names = tuple(labels) if is_list else ()
    if not names or len(set(names)) != len(names):
        raise ValueError(f"`labels` must be unique class names. Received: labels={labels!r}")
    return names


def kinetics_spelling(names):
    """{folder name: label}, with the labels of Kinetics-400 or -600 if all names are among them.

    Names of folders have underscores instead of spaces, and no apostrophes.
    """
    names = set(names)
    for name in BY_COUNT.values():
        labels = {bare(label): label for label in label_list(name)}
        if len(names) == len(labels) and {bare(name) for name in names} == set(labels):
            return {name: labels[bare(name)] for name in names}
    return {name: name for name in names}


def match_labels(dataset_labels, model_labels):
    """Matches labels that a dataset spells differently from a model, such as with underscores.

    Args:
        dataset_labels: Labels of the dataset.
        model_labels: Labels of the model.

    Returns:
        ({label: model label}, unmatched labels). Equal labels match. Other labels match if they are
        equal under `bare` and no other label matches either of them.

    Example:

    >>> match_labels(["Sit_Down", "run", "fly"], ("run", "sit down"))
    ({'run': 'run', 'Sit_Down': 'sit down'}, ['fly'])
    """
    dataset_labels, allowed = sorted(set(dataset_labels)), set(model_labels)
    by_spelling: dict = {}
    for label in allowed:
        by_spelling.setdefault(bare(label), []).append(label)
    matched = {label: label for label in dataset_labels if label in allowed}
    likely: dict = {}
    for label in dataset_labels:
        names: list = by_spelling.get(bare(label), []) if bare(label) else []
        if label not in matched and len(names) == 1:
            likely.setdefault(names[0], []).append(label)
    for name, labels in likely.items():
        if len(labels) == 1 and name not in matched.values():
            matched[labels[0]] = name
    return matched, [label for label in dataset_labels if label not in matched]


def log_respelled(name, spelling, *, level=logging.INFO):
    """Logs how many labels `match_labels` has matched in a different spelling."""
    others = sorted(label for label, match in spelling.items() if label != match)
    if others:
        logging.log(
            level,
            "%s: %d labels are matched in a different spelling, such as %r to %r",
            name,
            len(others),
            others[0],
            spelling[others[0]],
        )


def hint(label, labels):
    """`"; did you mean 'sit'?"` for a label that resembles a known one, otherwise `""`.

    Example:

    >>> hint("Sit_Down", ("run", "sit down"))
    "; did you mean 'sit down'?"
    """
    by_spelling = {bare(name): name for name in labels}
    like = difflib.get_close_matches(bare(label), by_spelling, n=1)
    return f"; did you mean {by_spelling[like[0]]!r}?" if like else ""


# The usual names, in order of preference.
LABEL_FILES = (
    *("labels.txt", "classes.txt", "label_map.txt", "labels.csv", "labels.json", "classes.json"),
    *("classids.json", "class_ids.json", "label_map.json", "kinetics_classnames.json"),
    "classInd.txt",
)
SIMILAR = re.compile(r"(?i).*(?:label|class|categor).*\.(?:txt|csv|json|pbtxt|tsv)")


def label_ids_for(files, *, own=None, numbers=(), similar=True):
    """Reads the label file beside some lists.

    Args:
        files: The lists.
        own: A label file of these lists only, which takes precedence.
        numbers: The numbers that the lists use as labels. If empty, only files with one of the
            usual names are considered.
        similar: Whether files with similar names are considered if none has a usual name.

    Returns:
        {number: class name}, with the numbers of the lists; empty if there is no label file.

    Raises:
        DatasetError: If the label file cannot be read, if several files differ, or if its numbers
            begin at 1 and those of the lists may begin at 0 or 1.
    """
    folder = files[0].parent
    if own is not None and own.is_file():
        paths = [own]
    else:
        usual = [folder / name for name in LABEL_FILES]
        paths = [path for path in usual if path not in files and path.is_file()]
        if similar and numbers and not paths:
            paths = sorted(
                path
                for path in folder.iterdir()
                if SIMILAR.fullmatch(path.name)
                and path not in files
                and path.is_file()
                # Label files of other tables are ignored.
                and not path.name.endswith(".labels.txt")
            )
    if not paths:
        return {}
    named = read_label_ids(paths[0])
    in_order = [label for _, label in sorted(named.items())]
    for other in paths[1:]:
        if in_order != [label for _, label in sorted(read_label_ids(other).items())]:
            raise DatasetError(
                f"{folder}: the label files {paths[0].name} and {other.name} differ; keep one of "
                "them beside the lists"
            )
    if 0 not in named and numbers and len(named) not in numbers:
        # MMAction2 numbers the classes of UCF-101 from 0, the original classInd.txt from 1.
        if 0 not in numbers:
            raise DatasetError(
                f"{paths[0]}: counts from 1, and the lists use neither 0 nor {len(named)}, so "
                "they may count from 0 or from 1; write the label file with ids from 0"
            )
        named = {number - 1: label for number, label in named.items()}
    return named
