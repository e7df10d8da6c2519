"""A folder that TensorFlow Serving's official image runs: the model, its settings, how to start it.

https://www.tensorflow.org/tfx/guide/serving; the folders `NAME/VERSION` are its form.
"""

import pathlib
import re

from kinetics_i3d.core.files import atomic_folder
from kinetics_i3d.exporting.model_card import model_card
from kinetics_i3d.exporting.serving_settings import settings
from kinetics_i3d.exporting.signatures import feature_tensors
from kinetics_i3d.exporting.tensorflow import verify_saved_model, write_saved_model
from kinetics_i3d.exporting.warm_up import write_warm_up

USAGE = """\
`docker compose up` in this folder, or `kubectl apply -f kubernetes.yaml`. Then, for a video,

```
python examples/serve_video.py video.mp4 \\
    --url http://localhost:8501/v1/models/{name} \\
    --spec models/{name}/{version}/assets/clip_spec.json
```

Signatures: `serving_default` takes uint8 frames of any size and gives labels, scores and
probabilities; `logits`{features} take the same; `float_clips` takes prepared clips. What is wrong
with a request is said in the answer. A newer version goes beside the old one, as
`models/{name}/{next}`; the server changes over by itself.

"""


def export_serving(model, output, *, name="i3d", version=1, top=5, endpoints=None, about=None):
    """Writes a SavedModel with warm-up requests in a versioned folder, and what serves it.

    Args:
        model: A `ClipModel` that ends in logits.
        output: The folder to write; nothing, or an empty folder, may stand there.
        name: What the server calls the model: a letter, then letters, digits, `-` and `_`.
        version: Its number, 1 or more.
        top: How many labels `serving_default` tells.
        endpoints: Activations that the signature `features` gives.
        about: What the card says of the weights, see `exporting.origin`.

    Returns:
        `output` as a `pathlib.Path`. It holds `models/NAME/VERSION`, `models/models.config`,
        `models/batching.config`, `compose.yaml`, `kubernetes.yaml` and `README.md`.

    Raises:
        ExportError: If the classes have no names, or the written model answers otherwise.
        UserError: If something stands at `output`.
        ValueError: If `name` or `version` cannot be one, or an endpoint is unknown.
    """
    # Kubernetes is the strictest of those who read it.
    if not re.fullmatch(r"[A-Za-z]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?", str(name or "")):
        raise ValueError(
            "`name` must be a letter, then letters, digits, - and _, 63 at most and neither of "
            f"these at the end. Received: name={name!r}"
        )
    if type(version) is not int or version < 1:
        raise ValueError(f"`version` must be a whole number above 0. Received: version={version!r}")
    output = pathlib.Path(output)
    features = bool(feature_tensors(model, endpoints))
    offered = ["serving_default", "logits", *(["features"] if features else []), "float_clips"]
    with atomic_folder(output) as folder:
        inner = folder / "models" / name / str(version)
        write_saved_model(model, inner, top=top, endpoints=endpoints)
        verify_saved_model(model, inner, output=output, endpoints=endpoints)
        write_warm_up(model, inner, name=name, signatures=offered)
        usage = USAGE.format(
            name=name,
            version=version,
            next=version + 1,
            features=" and `features`" if features else "",
        )
        card = model_card(model, about=about, usage=usage)
        texts = {
            **settings(name),
            "README.md": card.replace("`assets/", f"`models/{name}/{version}/assets/"),
        }
        for path, text in texts.items():
            (folder / path).write_text(text, encoding="utf-8")
    return output
