"""The fields of model cards that programs read: Hugging Face's YAML and Kaggle's JSON.

https://huggingface.co/docs/hub/model-cards#model-card-metadata, its `model-index` as in
https://github.com/huggingface/hub-docs/blob/main/modelcard.md, and
https://github.com/Kaggle/kaggle-api/blob/main/docs/models_metadata.md.
"""

import json
import pathlib
import re

UNKNOWN = "Not stated by the author of these weights."
# {license: (its name in `terms`, at Hugging Face, at Kaggle)}; the more restrictive license comes
# first.
LICENSES = {
    "CC-BY-4.0": ("CC BY 4.0", "cc-by-4.0", "Attribution 4.0 International (CC BY 4.0)"),
    "Apache-2.0": ("Apache-2.0", "apache-2.0", "Apache 2.0"),
}
METRICS = {
    "top1": "Top-1 accuracy",
    "top5": "Top-5 accuracy",
    "mean_class": "Mean class accuracy",
}
TASKS = {
    "video-classification": "Video Classification",
    "image-classification": "Image Classification",
}


def license_of(about):
    """The key of `LICENSES` that the terms of weights name, or None."""
    terms = about.get("license", "")
    return next((key for key, (words, *_) in LICENSES.items() if words in terms), None)


def hugging_face_fields(about, *, library, tags=()):
    """The metadata of a model card on Hugging Face, without unknown fields.

    Args:
        about: The result of `model_card.provenance`.
        library: The library that loads the files, such as `"tensorflow"`.
        tags: Tags in addition to those of every card.

    Returns:
        A dictionary of text, numbers, lists and dictionaries.
    """
    task = about.get("task", "video-classification")
    fields: dict = {"library_name": library, "pipeline_tag": task}
    if license_of(about):
        fields = {"license": LICENSES[license_of(about)][1], **fields}
    fields["tags"] = [task, "action-recognition", *tags]
    if about.get("trained_on"):
        fields["datasets"] = [slug(name) for name in about["trained_on"]]
    fields["metrics"] = ["accuracy"]
    if about.get("accuracies") and about.get("tested_on"):
        name, _, split = about["tested_on"].rpartition(", ")
        metrics = [
            {"type": "accuracy", "name": METRICS[measure], "value": value}
            for measure, value in about["accuracies"].items()
        ]
        result = {
            "task": {"type": task, "name": TASKS[task]},
            "dataset": {"type": slug(name), "name": name, "split": split},
            "metrics": metrics,
        }
        if about.get("source"):
            result["source"] = {"name": "Published result", "url": about["source"]}
        fields["model-index"] = [{"name": about["name"], "results": [result]}]
    return fields


def front_matter(fields):
    """The fields as the YAML block at the top of a card."""
    return "\n".join(["---", *_yaml_lines(fields), "---"]) + "\n"


def _yaml_lines(value):
    """A dictionary or list as lines of YAML in block style; strings are quoted as in JSON."""
    lines = []
    items = value.items() if isinstance(value, dict) else (("-", item) for item in value)
    for key, item in items:
        start = key if key == "-" else f"{key}:"
        if isinstance(item, dict | list):
            first, *rest = _yaml_lines(item)
            if key == "-":
                lines += [f"- {first}", *(f"  {line}" for line in rest)]
            else:
                lines += [start, *(f"  {line}" for line in (first, *rest))]
        else:
            lines.append(f"{start} {json.dumps(item, ensure_ascii=False)}")
    return lines


def kaggle_fields(about, *, description, instance):
    """The metadata that `kaggle models create` and `kaggle models instances create` read.

    Args:
        about: The result of `model_card.provenance`.
        description: The model card.
        instance: The fields of the instance that depend on its files.

    Returns:
        (fields of the model, fields of the instance). The values that begin with INSERT have
        to be filled in.
    """
    terms = license_of(about)
    title = pathlib.Path(about["name"]).stem
    shared = {
        "ownerSlug": "INSERT_OWNER_SLUG_HERE",
        "licenseName": LICENSES[terms][2] if terms else "INSERT_LICENSE_NAME_HERE",
    }
    data = about.get("data", UNKNOWN)
    model = {
        **shared,
        "title": title,
        "slug": slug(title),
        "subtitle": "Video action recognition after Carreira & Zisserman, CVPR 2017",
        "isPrivate": True,
        "description": description,
        "publishTime": "",
        "provenanceSources": data,
    }
    instance = {
        **shared,
        "modelSlug": slug(title),
        **instance,
        "trainingData": [data],
        "modelInstanceType": "Unspecified",
        "baseModelInstance": "",
        "externalBaseModelUrl": "",
    }
    return model, instance


def slug(name):
    """A name as an identifier: lower case, digits, and hyphens between them."""
    return re.sub("[^a-z0-9]+", "-", name.lower()).strip("-")
