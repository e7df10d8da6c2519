"""Generates pages of the documentation site: a hook of MkDocs, see `mkdocs.yml`.

From the code: the references of Python and of the command line, and the model cards. From the rest
of the repository: the pages of `REPOSITORY_PAGES`, under the same paths, so that links between
pages hold in the repository and on the site.
"""

import json
import pathlib
import posixpath
import re

ROOT = pathlib.Path(__file__).resolve().parents[1]
REPOSITORY_PAGES = (
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "checkpoints/README.md",
    *sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("benchmarks/results/*.md")),
)
REPOSITORY_PICTURES = ("*.png",)
LINK = re.compile(r"(!?\[[^\]]*\]\()([^)#\s]+)((?:#[^)]*)?\))")

# Every public name is in one group; the build fails otherwise.
API = {
    "Classify and prepare videos": (
        *("classify", "Classification", "load_model", "list_weights", "load_clip", "load_streams"),
        *("read_frames", "video_info", "VideoFrames", "optical_flow", "FlowSettings", "TVL1"),
        "decode_predictions",
        *("examine", "set_bounded_decoder", "set_input_checks", "show_progress"),
        *("write_video", "ClipSpec"),
    ),
    "Long videos": (
        *("classify_over_time", "Timeline", "find_segments", "Segment", "draw_timeline"),
        *("watch", "LivePrediction"),
    ),
    "Pictures": (
        *("draw_filmstrip", "grad_cam", "GradCAM", "draw_grad_cam", "overlay_heatmap", "draw_flow"),
        *("draw_kernels", "draw_training_curves", "draw_embedding"),
    ),
    "Networks": (
        *(
            "ClipModel",
            "InceptionI3D",
            "TwoStreamI3D",
            "InceptionV1",
            "ConvNetLSTM",
            "C3D",
            "TwoStream",
        ),
        *("TwoStreamFused", "feature_model", "inflate", "start_from_images", "all_steps_loss"),
        *("save_weights", "convert"),
    ),
    "Features and video metrics": (
        *("extract_features", "Features", "fvd", "FVDResult", "fvd_features", "FVDProtocol"),
        "VideoFeatures",
    ),
    "Datasets, training and evaluation": (
        *("open_dataset", "Dataset", "VideoDataset", "prepare", "PrepareConfig", "Records"),
        *("training_clips", "augmentation", "train", "TrainConfig", "config_from_recipe"),
        *("evaluate", "Evaluation", "draw_confusion", "write_figures", "render_figure"),
    ),
    "Deployment": ("export", "optimize"),
    "Errors": (
        *("UserError", "DatasetError", "ExportError", "VideoError", "WeightsError"),
        *("TrainingError", "TrainingStopped"),
    ),
}


def on_files(files, config):
    """Adds the generated pages, and those of the repository outside `docs/`."""
    from mkdocs.structure.files import File

    pages = {
        "reference/python.md": python_reference(),
        "reference/commands.md": command_reference(),
        "reference/weights.md": model_cards(),
        "benchmarks/results/index.md": results_index(),
    }
    for path in REPOSITORY_PAGES:
        pages[path] = (ROOT / path).read_text(encoding="utf-8")
    for path, text in pages.items():
        files.append(File.generated(config, path, content=text))
    for pattern in REPOSITORY_PICTURES:
        for path in sorted((ROOT / "benchmarks/results").glob(pattern)):
            name = path.relative_to(ROOT).as_posix()
            files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown, page, config, files):
    """Rewrites links between repository paths to links between pages of the site.

    `docs/` is the root of the site. What is no page, such as a script, is shown by its path.
    """
    source = page.file.src_uri
    in_repository = source if source in REPOSITORY_PAGES else f"docs/{source}"
    pages = set(files.src_uris)

    def replace(match):
        start, target, end = match.groups()
        if "://" in target or target.startswith("mailto:"):
            return match[0]
        path = posixpath.normpath(posixpath.join(posixpath.dirname(in_repository), target))
        site_path = path.removeprefix("docs/")
        if site_path in pages:
            relative = posixpath.relpath(site_path, posixpath.dirname(source) or ".")
            return f"{start}{relative}{end}"
        if (ROOT / path).exists():
            text = start.strip("![]()")
            return text if text == path else f"{text} (`{path}`)"
        return match[0]

    return LINK.sub(replace, markdown)


def python_reference():
    """The page of all public names, from their docstrings."""
    import kinetics_i3d as ki3d

    listed = [name for names in API.values() for name in names]
    if sorted(listed) != sorted(ki3d.__all__):
        different = sorted(set(listed) ^ set(ki3d.__all__))
        raise SystemExit(f"docs/generate.py: `API` must list every public name once: {different}")
    sections = []
    for title, names in API.items():
        entries = [f"::: kinetics_i3d.{ki3d._PUBLIC[name]}.{name}" for name in names]
        sections.append(f"## {title}\n\n" + "\n\n".join(entries))
    text = "\n\n".join(sections)
    return f"# Python reference\n\n`import kinetics_i3d as ki3d`\n\n{text}\n"


def command_reference():
    """The page of all verbs, from the help of the command."""
    import argparse

    from kinetics_i3d.cli.main import make_parser

    parser = make_parser()
    (verbs,) = (
        action for action in parser._actions if isinstance(action, argparse._SubParsersAction)
    )
    sections = [
        f"## {name}\n\n```\n{verb.format_help().strip()}\n```"
        for name, verb in verbs.choices.items()
    ]
    return "# Command line reference\n\n" + "\n\n".join(sections) + "\n"


def model_cards():
    """The page of the catalog: a card for each network, with the fields of model cards."""
    from kinetics_i3d.weights.catalog import CATALOG, IMAGES, PAIRS

    cards = []  # the fields that programs read are those of the weights files, not of an export
    for row in (*CATALOG.values(), *IMAGES.values()):
        spec = row.clip_spec
        rate = "" if row.name in IMAGES else f" at {spec.fps:g} frames per second"
        cards.append(
            f"## {row.name}\n\n| field | value |\n|---|---|\n"
            f"| model | {row.system}, architecture `{row.architecture}` |\n"
            f"| task | {'image' if row.name in IMAGES else 'video'} classification, "
            f"{row.classes} classes |\n"
            f"| input | {spec.stream}{rate}, short side {spec.short_side}, crop {spec.size}, "
            f"values {spec.low:g} to {spec.high:g} |\n"
            f"| accuracy | {_accuracy(row)} |\n"
            f"| license and training data | {row.terms} |\n"
            f"| sources | {', '.join(row.sources)} |\n"
            + (f"| trained by | `{row.command}` |\n" if row.command else "")
            + _metadata(row.name, row.system, spec.stream)
        )
    for pair in PAIRS.values():
        cards.append(
            f"## {pair.name}\n\n| field | value |\n|---|---|\n"
            f"| model | TwoStreamI3D of `{pair.rgb}` and `{pair.flow}`, logits added |\n"
            f"| accuracy | {_accuracy(pair)} |\n"
            + _metadata(pair.name, "TwoStreamI3D", "rgb", "flow")
        )
    return (
        "# Model cards\n\nThe weights of the catalog, which `weights=` accepts by name. Below each "
        "card is its metadata for Hugging Face, the beginning of a `README.md`, and for Kaggle "
        "Models. Exported models contain a whole model card; those for TensorFlow Hub contain the "
        "files that Kaggle reads too.\n\n" + "\n".join(cards)
    )


def _metadata(name, system, *streams):
    """The fields of a card for Hugging Face and Kaggle, as blocks of code."""
    from kinetics_i3d.exporting.card_metadata import (
        front_matter,
        hugging_face_fields,
        kaggle_fields,
        slug,
    )
    from kinetics_i3d.exporting.model_card import provenance

    about = provenance(name)
    tags = (slug(system), "keras", *streams)
    fields = hugging_face_fields(about, library="kinetics-i3d", tags=tags)
    kaggle, _ = kaggle_fields(about, description="", instance={})
    shown = ("title", "slug", "subtitle", "licenseName", "provenanceSources")
    text = json.dumps({key: kaggle[key] for key in shown}, indent=2)
    return f"\n```yaml\n{front_matter(fields)}```\n\n```json\n{text}\n```\n"


def _accuracy(row):
    numbers = ", ".join(f"{measure} {value:.1f} %" for measure, value in row.accuracy.items())
    return f"{numbers} ({row.protocol})" if numbers else row.protocol


def results_index():
    """The page that lists the records of benchmarks."""
    lines = []
    for path in REPOSITORY_PAGES:
        if path.startswith("benchmarks/results/"):
            title = (ROOT / path).read_text(encoding="utf-8").split("\n", 1)[0].lstrip("# ")
            lines.append(f"- [{title}]({posixpath.basename(path)})")
    return "# Records of the benchmarks\n\n" + "\n".join(lines) + "\n"
