"""`origin`: what the catalog, or the weights file itself, knows of weights, for their card.

What nobody has said stays out: a card must not guess.
"""

import pathlib

from kinetics_i3d.core.errors import WeightsError
from kinetics_i3d.weights.catalog import CATALOG, PAIRS
from kinetics_i3d.weights.checkpoint import read_info
from kinetics_i3d.weights.read import find_entries

# Of a card, by what people call it in the `about` of a weights file.
FROM_FILE = {"data": "data", "accuracy": "accuracy", "licence": "terms", "command": "command"}
FRACTIONS = ("top1", "top5", "mean_class")


def origin(weights):
    """What is known about weights.

    Args:
        weights: As `export` takes them: a name in the catalog, of a pair too; a path;
            `{"rgb": ..., "flow": ...}`; or a model, of which nothing is known.

    Returns:
        {"name", "data", "accuracy", "licence", "command"}: texts, those of unknown things missing.

    Example:

    >>> origin("rgb_figures")["accuracy"]
    'top1 97.9 %, top5 100.0 %, mean_class 97.9 % (held-out worlds of ...)'
    """
    if isinstance(weights, dict):
        return _joined({stream: origin(member) for stream, member in weights.items()})
    if not isinstance(weights, str | pathlib.Path):
        return {}
    if weights in CATALOG or weights in PAIRS:
        return _of_catalog(weights)
    path = pathlib.Path(weights)
    return {"name": path.name, **_of_file(path)}


def _of_catalog(name):
    rows = find_entries(name)
    whole = PAIRS.get(name) or CATALOG[name]
    terms = ". ".join(dict.fromkeys(row.terms for row in rows))
    numbers = ", ".join(f"{measure} {value:.1f} %" for measure, value in whole.accuracy.items())
    said = {
        "name": name,
        "data": terms,
        "accuracy": f"{numbers} ({whole.protocol})" if numbers else whole.protocol,
        "licence": terms,
        "command": "; ".join(row.command for row in rows if row.command),
    }
    return {key: text for key, text in said.items() if text}


def _of_file(path):
    try:
        info = read_info(path) if path.is_file() else None
    except WeightsError:
        return {}  # whoever reads the weights will say so
    about = {} if info is None else info.about
    return {key: _plain(about[name]) for key, name in FROM_FILE.items() if about.get(name)}


def _plain(value):
    """A text as it is; a summary of `evaluate` in percent, with the number of videos."""
    if not isinstance(value, dict):
        return str(value)
    parts = [
        f"{key} {100 * number:.1f} %" if key in FRACTIONS else f"{key} {number}"
        for key, number in value.items()
    ]
    return ", ".join(parts)


def _joined(members):
    """One text of the streams' texts; an accuracy of each, since that of the sum is not known."""
    keys = dict.fromkeys(key for said in members.values() for key in said)
    texts = {
        key: "; ".join(f"{stream}: {said[key]}" for stream, said in members.items() if key in said)
        for key in keys
    }
    return {**texts, "name": " and ".join(said["name"] for said in members.values())}
