"""`model_card`: what a user of an artifact has to know, as Markdown.

The headings follow Mitchell et al., "Model Cards for Model Reporting", 2019.
"""

from kinetics_i3d.core.labels import BY_COUNT
from kinetics_i3d.exporting.signatures import class_names

UNKNOWN = "Not stated by whoever trained these weights."
PAPER = (
    '[Carreira & Zisserman, "Quo Vadis, Action Recognition? A New Model and the Kinetics Dataset", '
    "CVPR 2017](https://arxiv.org/abs/1705.07750)"
)
LIMITS = """\
- It names one of the classes below for every video, also where none of them is shown. A high
  probability does not mean that the video is like those it was trained on.
- It has learned from videos found on the web or staged for research, or from drawn figures. People,
  places and cameras that are rare there are likely to be named less well; nobody has measured by
  how much.
- It must not decide about people: it sees motion, not intent, and it is often wrong.
- Frames have to come at the rate above, in RGB (not BGR), and whole: another rate, another order of
  the colours or another range gives confident nonsense.
"""
FLOW = """
Flow is x then y, TV-L1 between the resized frames, 20 pixels being the end of the range; as pixels
it is in 8 bits, where 0 stands for -20 and 255 for 20.
"""


def model_card(model, *, about=None, usage=""):
    """The card of a model.

    Args:
        model: A `ClipModel` that ends in logits.
        about: What `origin` gives, or the same texts by hand.
        usage: Markdown on how the artifact is loaded.

    Returns:
        Markdown.

    Example:

    >>> "| rgb | 25 |" in model_card(model)
    True
    """
    about = about or {}
    names = class_names(model)
    listed = "Kinetics'" if len(names) in BY_COUNT else ", ".join(names)
    trained = f"\n\nTrained by `{about['command']}`." if "command" in about else ""
    return f"""\
# {about.get("name", model.name)}

A video classifier of the kind {model.system or "InceptionI3D"} ({model.architecture}), of
{model.count_params() / 1e6:.1f} million parameters in float32, after
{PAPER}.

## Use

{usage.strip()}

## Input

{input_table(model)}
## Training data

{about.get("data", UNKNOWN).rstrip(".")}.{trained}

## Accuracy

{about.get("accuracy", UNKNOWN)}

## Limits

{LIMITS}
## Licence

{about.get("licence", UNKNOWN).rstrip(".")}. The code that made this artifact is under Apache-2.0.

## Classes

{len(names)} ({listed}); `assets/labels.txt` has them in the order of the outputs.
"""


def input_table(model):
    """How a model's clips are made, as Markdown.

    Args:
        model: A `ClipModel`.

    Returns:
        A table with a row a stream, and what else has to be said.
    """
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
Frames are RGB. The same numbers stand in `assets/clip_spec.json`.
{FLOW if "flow" in model.clip_specs else ""}"""
