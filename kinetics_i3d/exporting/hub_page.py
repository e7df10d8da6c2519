"""`hub_page`: the page of a handle on Kaggle Models, where TensorFlow Hub's models live.

Names of fields: https://github.com/Kaggle/kaggle-api/blob/main/docs/models_metadata.md.
"""

import json
import pathlib
import re

from kinetics_i3d.exporting.model_card import UNKNOWN, input_table, model_card
from kinetics_i3d.exporting.signatures import feature_tensors

USAGE = """\
{head} Model format

A SavedModel for TensorFlow 2 in TensorFlow Hub's reusable form; no custom operations.

{head} Model inputs

A call takes prepared clips, {clips}. Too few frames, pixels that were not scaled and values that
are not finite are refused by the graph itself.{table}

{head} Model outputs

{outputs}

{head} Model usage

```python
import tensorflow_hub as hub

{fed} = hub.load("{path}")({given})
```

In Keras 3: `keras.layers.TFSMLayer("{path}", call_endpoint="__call__")`, which cannot be trained.

Raw frames, uint8 of any size and number, go to the signatures, which resize, crop and scale by
themselves: `serving_default` (labels, scores, probabilities) and `logits`{features}; `float_clips`
takes prepared clips.

```python
signatures = hub.load("{path}").signatures
signatures["serving_default"]({raw})["labels"]
```

{head} Fine-tuning

With Keras 2 (TensorFlow 2.15 and older), or with tf_keras on newer ones:

```python
layer = hub.KerasLayer("{path}", trainable=True)
{fed} = layer({given})
```

Statistics of batch norm follow the new data where Keras trains, and stand still otherwise.
"""
# Kaggle's names of licences, by what terms call them; the one that asks for more comes first.
LICENCES = {
    "CC BY 4.0": "Attribution 4.0 International (CC BY 4.0)",
    "Apache-2.0": "Apache 2.0",
}


def hub_page(model, called, *, about=None):
    """The files that stand beside a reusable SavedModel.

    Args:
        model: A `ClipModel` that ends in logits.
        called: The Keras model that a call of the SavedModel runs.
        about: What `origin` gives, or the same texts by hand.

    Returns:
        {file name: text}: `README.md`, the model card; `model-metadata.json` and
        `model-instance-metadata.json`, which `kaggle models create` and `kaggle models instances
        create` read when the three fields that begin with INSERT are filled in.

    Example:

    >>> sorted(hub_page(model, model))
    ['README.md', 'model-instance-metadata.json', 'model-metadata.json']
    """
    about = about or {}
    usage = _usage(model, called, path="PATH/TO/THIS/FOLDER", head="###")
    card = model_card(model, about=about, usage=usage)
    name = pathlib.Path(about.get("name", model.name)).stem
    slug = re.sub("[^a-z0-9]+", "-", name.lower()).strip("-")
    terms = about.get("licence", "")
    licence = next((kaggle for key, kaggle in LICENCES.items() if key in terms), None)
    shared = {
        "ownerSlug": "INSERT_OWNER_SLUG_HERE",
        "licenseName": licence or "INSERT_LICENSE_NAME_HERE",
    }
    whole = {
        **shared,
        "title": name,
        "slug": slug,
        "subtitle": "Video action recognition with a Two-Stream Inflated 3D ConvNet",
        "isPrivate": True,
        "description": card,
        "publishTime": "",
        "provenanceSources": about.get("data", UNKNOWN),
    }
    classes = model.output_shape[-1]
    gives = f"logits of {classes} classes" if called is model else "features"
    instance = {
        **shared,
        "modelSlug": slug,
        "instanceSlug": "logits" if called is model else "features",
        "framework": "tensorFlow2",
        "overview": f"Reusable SavedModel: clips to {gives}",
        "usage": _usage(model, called, path="${PATH}", head="#", table=input_table(model)),
        "fineTunable": True,
        "trainingData": [about.get("data", UNKNOWN)],
        "modelInstanceType": "Unspecified",
        "baseModelInstance": "",
        "externalBaseModelUrl": "",
    }
    return {
        "README.md": card,
        "model-metadata.json": json.dumps(whole, indent=2) + "\n",
        "model-instance-metadata.json": json.dumps(instance, indent=2) + "\n",
    }


def _usage(model, called, *, path, head, table=""):
    """How it is loaded from `path`, under headings that begin with `head`."""
    specs = model.clip_specs
    shapes = [
        f"{stream} as float32 (batch, frames, {spec.size}, {spec.size}, {spec.channels})"
        for stream, spec in specs.items()
    ]
    many, whole = len(specs) > 1, called is model
    means = "logits; softmax gives probabilities" if whole else "the mean of the last grid"
    return USAGE.format(
        head=head,
        clips=" and ".join(shapes),
        table=table and f"\n\n{table.strip()}",
        outputs=f"float32 (batch, {called.output_shape[-1]}): {means}.",
        fed="logits" if whole else "features",
        path=path,
        given='{"rgb": rgb_clips, "flow": flow_clips}' if many else "clips",
        raw="rgb=frames, flow=codes" if many else f"{next(iter(specs))}=frames",
        features=" and `features`" if feature_tensors(model) else "",
    )
