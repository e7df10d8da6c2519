"""The texts of an artifact: class names, clip specs, and a model card in Markdown.

The card's headings follow Mitchell et al., "Model Cards for Model Reporting", 2019.
"""

import json
import pathlib
from collections.abc import Mapping

from kinetics_i3d.core.errors import ExportError, WeightsError
from kinetics_i3d.core.labels import labels_or_known
from kinetics_i3d.core.types import is_number
from kinetics_i3d.exporting.card_metadata import UNKNOWN, front_matter, hugging_face_fields, slug
from kinetics_i3d.models.systems import system_of
from kinetics_i3d.weights.catalog import CATALOG, IMAGES, PAIRS, PAPER
from kinetics_i3d.weights.formats import stored_info
from kinetics_i3d.weights.read import find_entries

_PAPER = (
    '[Carreira & Zisserman, "Quo Vadis, Action Recognition? A New Model and the Kinetics Dataset", '
    f"CVPR 2017]({PAPER})"
)
_ONE_CLASS = """\
- It predicts one of the classes below for every video, even if none of them is shown. A high
  probability does not mean that the video is similar to the training videos.
"""
_SEVERAL_CLASSES = """\
- It gives every class a probability of its own. A high one does not mean that the video is similar
  to the training videos.
"""
_LIMITS = """\
- It is probably less accurate for people, places and cameras that are rare in its training videos;
  how much was not measured.
- Do not use it to make decisions about people: it sees motion, not intent, and it is often wrong.
- Frames must have the rate above, be RGB (not BGR), and be whole: with another rate, another order
  of the channels or another range, predictions are wrong, but still confident.
"""
_FLOW = """
Flow is x then y, by TV-L1 between the resized frames, clipped at 20 pixels; in 8 bits, 0 stands for
-20 pixels and 255 for 20.
"""
# {field of the card: field of `about` in a weights file}.
_FIELDS = {"data": "data", "accuracy": "accuracy", "license": "terms", "command": "command"}
_FRACTIONS = ("top1", "top5", "mean_class")


def class_names(model):
    """The names of a model's classes; those of Kinetics for 400 or 600 classes without names.

    Raises:
        ExportError: If the classes have no names.
    """
    classes = model.output_shape[-1]
    labels = labels_or_known(model.labels, classes)
    if labels is None:
        raise ExportError(
            f"{model.name}: its {classes} classes have no names, but an exported model needs them; "
            "save_weights(model, path, labels=...) stores them with the weights"
        )
    return labels


def descriptions(model):
    """The text files that an artifact carries.

    Returns:
        {"labels.txt": one class per line, "clip_spec.json": {stream: the fields of its `ClipSpec`
        and `minimum_frames`}, "activation.txt": the function from logits to probabilities,
        "softmax", or "sigmoid" for weights trained on several labels per video}.
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
    """The `descriptions` for formats with text fields: `labels` and `clip_spec` are JSON."""
    texts = descriptions(model)
    labels = texts["labels.txt"].splitlines()
    specs = json.loads(texts["clip_spec.json"])
    return {
        "labels": json.dumps(labels, ensure_ascii=False),
        "clip_spec": json.dumps(specs),
        "activation": model.activation,
    }


def provenance(weights):
    """The information about weights in the catalog or in the weights file, for their card.

    Args:
        weights: As for `export`, or the name of weights that classify images. The result for a
            model or a `Checkpoint` is empty.

    Returns:
        A dictionary of the texts `name`, `data`, `accuracy`, `license` and `command`, and of the
        fields `task`, `trained_on`, `tested_on`, `source` and `accuracies` ({measure: percent}) for
        programs. Unknown fields are missing.
    """
    if isinstance(weights, Mapping):
        return _joined({stream: provenance(member) for stream, member in weights.items()})
    if not isinstance(weights, str | pathlib.Path):
        return {}
    if weights in (*CATALOG, *PAIRS, *IMAGES):
        return _from_catalog(weights)
    path = pathlib.Path(weights)
    return {"name": path.name, **_from_file(path)}


def _from_catalog(name):
    rows = find_entries(name)
    entry = PAIRS.get(name, rows[0])
    terms = ". ".join(dict.fromkeys(row.terms for row in rows))
    numbers = ", ".join(f"{measure} {value:.1f} %" for measure, value in entry.accuracy.items())
    about = {
        "name": name,
        "task": f"{'image' if name in IMAGES else 'video'}-classification",
        "data": terms,
        "accuracy": f"{numbers} ({entry.protocol})" if numbers else entry.protocol,
        "license": terms,
        "command": "; ".join(row.command for row in rows if row.command),
        "trained_on": tuple(dict.fromkeys(data for row in rows for data in row.trained_on)),
        "tested_on": rows[0].tested_on,
        "source": rows[0].source,
        "accuracies": entry.accuracy,
    }
    return {key: value for key, value in about.items() if value}


def _from_file(path):
    try:
        info = stored_info(path)
    except WeightsError:
        return {}  # the error is raised when the weights are read
    about = {} if info is None else info.about
    return {key: _as_text(about[name]) for key, name in _FIELDS.items() if about.get(name)}


def _as_text(value):
    """The value as text; a summary of an `Evaluation` with its accuracies in percent."""
    if not isinstance(value, dict):
        return str(value)
    return ", ".join(
        f"{key} {100 * number:.1f} %"
        if key in _FRACTIONS and is_number(number) and 0 <= number <= 1
        else f"{key} {number}"
        for key, number in value.items()
    )


def _joined(streams):
    """Joins the texts of two streams; lists both accuracies, as that of the sum is unknown."""
    keys = [key for key in _FIELDS if any(key in texts for texts in streams.values())]
    joined = {
        key: "; ".join(f"{name}: {texts[key]}" for name, texts in streams.items() if key in texts)
        for key in keys
    }
    names = [texts["name"] for texts in streams.values() if "name" in texts]
    return {**joined, "name": " and ".join(names)} if names else joined


def model_card(model, *, about=None, usage="", library="tensorflow", folder="assets/"):
    """The model card, as Markdown under the metadata that Hugging Face reads.

    Args:
        model: A `ClipModel` that ends in logits.
        about: The result of `provenance`, or the same texts written by hand.
        usage: Markdown about loading the artifact.
        library: The library that loads the artifact.
        folder: The folder of its labels and specs, with a trailing slash.
    """
    about = {"name": model.name, **(about or {})}
    names = class_names(model)
    system = system_of(model).name
    tags = (*(("i3d", "inception") if "I3D" in system else ()), system, "keras", *model.clip_specs)
    fields = hugging_face_fields(about, library=library, tags=tuple(map(slug, tags)))
    is_kinetics = tuple(names) == labels_or_known((), len(names))
    listed = "Kinetics'" if is_kinetics else ", ".join(names)
    trained = f"\n\nTrained with `{about['command']}`." if "command" in about else ""
    return f"""\
{front_matter(fields)}
# {about["name"]}

A video classifier, {system} ({model.architecture}), with {model.count_params() / 1e6:.1f} million
parameters, based on
{_PAPER}.

## Use

{usage.strip()}

## Input

{input_table(model, folder=folder)}
## Training data

{about.get("data", UNKNOWN).rstrip(".")}.{trained}

## Accuracy

{about.get("accuracy", UNKNOWN)}

## Limitations

{_ONE_CLASS if model.activation == "softmax" else _SEVERAL_CLASSES}{_LIMITS}
## License

{about.get("license", UNKNOWN).rstrip(".")}. The code that made this artifact is under Apache-2.0.

## Classes

{len(names)} ({listed}); `{folder}labels.txt` has them in the order of the outputs.
"""


def input_table(model, *, folder="assets/"):
    """The preprocessing of a model's clips: a Markdown table with a row per stream, and notes."""
    rows = "".join(
        f"| {stream} | {spec.fps:g} | {model.minimums[stream][0]} | {spec.resize} to "
        f"{spec.short_side}, {spec.interpolation} | {spec.size} x {spec.size}, the middle | "
        f"{spec.low:g} to {spec.high:g} |\n"
        for stream, spec in model.clip_specs.items()
    )
    return f"""\
| stream | frames per second | minimum frames | resize | crop | range |
|---|---|---|---|---|---|
{rows}
Frames are RGB. The same numbers are in `{folder}clip_spec.json`.
{_FLOW if "flow" in model.clip_specs else ""}"""
