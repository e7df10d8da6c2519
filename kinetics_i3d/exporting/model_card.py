"""What an artifact says about itself: class names, clip specs, and a model card in Markdown.

The card's headings follow Mitchell et al., "Model Cards for Model Reporting", 2019.
"""

import json
import pathlib

from kinetics_i3d.core.errors import ExportError, WeightsError
from kinetics_i3d.core.labels import BY_COUNT, label_list
from kinetics_i3d.weights.catalog import CATALOG, PAIRS
from kinetics_i3d.weights.checkpoint import read_info
from kinetics_i3d.weights.read import find_entries

UNKNOWN = "Not stated by whoever trained these weights."
_PAPER = (
    '[Carreira & Zisserman, "Quo Vadis, Action Recognition? A New Model and the Kinetics Dataset", '
    "CVPR 2017](https://arxiv.org/abs/1705.07750)"
)
_LIMITS = """\
- It predicts one of the classes below for every video, even if none of them is shown. A high
  probability does not mean that the video is similar to the training videos.
- It was trained on videos from the web or staged for research, or on drawn figures. It is probably
  less accurate for people, places and cameras that are rare there; how much was not measured.
- Do not use it to make decisions about people: it sees motion, not intent, and it is often wrong.
- Frames must have the rate above, be RGB (not BGR), and be whole: with another rate, another order
  of the channels or another range, predictions are wrong, but still confident.
"""
_FLOW = """
Flow is x then y, by TV-L1 between the resized frames, clipped at 20 pixels; in 8 bits, 0 stands for
-20 pixels and 255 for 20.
"""
# {field of the card: field of `about` in a weights file}.
_FIELDS = {"data": "data", "accuracy": "accuracy", "licence": "terms", "command": "command"}
_FRACTIONS = ("top1", "top5", "mean_class")


def class_names(model):
    """The names of a model's classes; those of Kinetics where 400 or 600 have none.

    Raises:
        ExportError: If the classes have no names.
    """
    classes = model.output_shape[-1]
    if model.labels:
        return model.labels
    if classes in BY_COUNT:
        return label_list(BY_COUNT[classes])
    raise ExportError(
        f"{model.name}: its {classes} classes have no names, which an artifact carries; "
        "save_weights(model, path, labels=...) keeps them with the weights"
    )


def descriptions(model):
    """The text files that an artifact carries.

    Returns:
        {"labels.txt": one class per line, "clip_spec.json": {stream: the fields of its `ClipSpec`
        and `minimum_frames`}, "activation.txt": "softmax", or "sigmoid" of weights trained on
        several labels per video, which makes probabilities of the logits}.
    """
    specs = {
        stream: {**spec.to_dict(), "minimum_frames": model.minimums[stream][0]}
        for stream, spec in model.clip_specs.items()
    }
    return {
        "labels.txt": "".join(f"{name}\n" for name in class_names(model)),
        "clip_spec.json": json.dumps(specs, indent=2) + "\n",
        "activation.txt": f"{model.activation}\n",
    }


def metadata(model):
    """The same for formats with text fields: `labels` is a JSON list, `clip_spec` is JSON."""
    texts = descriptions(model)
    labels = texts["labels.txt"].splitlines()
    specs = json.loads(texts["clip_spec.json"])
    return {
        "labels": json.dumps(labels, ensure_ascii=False),
        "clip_spec": json.dumps(specs),
        "activation": model.activation,
    }


def provenance(weights):
    """What the catalog, or the weights file itself, says about weights, for their card.

    Args:
        weights: As for `export`; nothing is known of a model.

    Returns:
        {"name", "data", "accuracy", "licence", "command"}: texts. Unknown ones are missing: a card
        must not guess.
    """
    if isinstance(weights, dict):
        return _joined({stream: provenance(member) for stream, member in weights.items()})
    if not isinstance(weights, str | pathlib.Path):
        return {}
    if weights in CATALOG or weights in PAIRS:
        return _from_catalog(weights)
    path = pathlib.Path(weights)
    return {"name": path.name, **_from_file(path)}


def _from_catalog(name):
    rows = find_entries(name)
    entry = PAIRS.get(name) or CATALOG[name]
    terms = ". ".join(dict.fromkeys(row.terms for row in rows))
    numbers = ", ".join(f"{measure} {value:.1f} %" for measure, value in entry.accuracy.items())
    texts = {
        "name": name,
        "data": terms,
        "accuracy": f"{numbers} ({entry.protocol})" if numbers else entry.protocol,
        "licence": terms,
        "command": "; ".join(row.command for row in rows if row.command),
    }
    return {key: text for key, text in texts.items() if text}


def _from_file(path):
    try:
        info = read_info(path) if path.is_file() else None
    except WeightsError:
        return {}  # reading the weights will raise it
    about = {} if info is None else info.about
    return {key: _as_text(about[name]) for key, name in _FIELDS.items() if about.get(name)}


def _as_text(value):
    """A text as it is; a summary of `evaluate` in percent, with the number of videos."""
    if not isinstance(value, dict):
        return str(value)
    parts = [
        f"{key} {100 * number:.1f} %" if key in _FRACTIONS else f"{key} {number}"
        for key, number in value.items()
    ]
    return ", ".join(parts)


def _joined(streams):
    """The texts of two streams as one; the accuracy of each, as that of the sum is unknown."""
    keys = dict.fromkeys(key for texts in streams.values() for key in texts)
    joined = {
        key: "; ".join(f"{name}: {texts[key]}" for name, texts in streams.items() if key in texts)
        for key in keys
    }
    return {**joined, "name": " and ".join(texts["name"] for texts in streams.values())}


def model_card(model, *, about=None, usage=""):
    """The model card, as Markdown.

    Args:
        model: A `ClipModel` that ends in logits.
        about: The result of `provenance`, or the same texts written by hand.
        usage: Markdown on how the artifact is loaded.
    """
    about = about or {}
    names = class_names(model)
    listed = "Kinetics'" if len(names) in BY_COUNT else ", ".join(names)
    trained = f"\n\nTrained by `{about['command']}`." if "command" in about else ""
    return f"""\
# {about.get("name", model.name)}

A video classifier of the kind {model.system or "InceptionI3D"} ({model.architecture}), of
{model.count_params() / 1e6:.1f} million parameters in float32, after
{_PAPER}.

## Use

{usage.strip()}

## Input

{input_table(model)}
## Training data

{about.get("data", UNKNOWN).rstrip(".")}.{trained}

## Accuracy

{about.get("accuracy", UNKNOWN)}

## Limits

{_LIMITS}
## Licence

{about.get("licence", UNKNOWN).rstrip(".")}. The code that made this artifact is under Apache-2.0.

## Classes

{len(names)} ({listed}); `assets/labels.txt` has them in the order of the outputs.
"""


def input_table(model):
    """How a model's clips are made: a Markdown table with a row per stream, and notes."""
    rows = "".join(
        f"| {stream} | {spec.fps:g} | {model.minimums[stream][0]} | {spec.resize} to "
        f"{spec.short_side}, {spec.interpolation} | {spec.size} x {spec.size}, the middle | "
        f"{spec.low:g} to {spec.high:g} |\n"
        for stream, spec in model.clip_specs.items()
    )
    return f"""\
| stream | frames a second | frames at least | resize | crop | range |
|---|---|---|---|---|---|
{rows}
Frames are RGB. The same numbers are in `assets/clip_spec.json`.
{_FLOW if "flow" in model.clip_specs else ""}"""
