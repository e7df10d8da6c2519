"""`kinetics-i3d datasets`: show the format, classes, splits and missing videos of a dataset.

It reads a dataset as `train` and `evaluate` do, and decodes no video. With --output it also writes
the videos as a csv table, which every verb reads.
"""

import os
import pathlib

from absl import logging

from kinetics_i3d.cli.arguments import (
    add_dataset_arguments,
    add_json_argument,
    add_output_argument,
    print_result,
    read_dataset,
)
from kinetics_i3d.core.errors import UserError

EXAMPLES = (
    "kinetics-i3d datasets path/to/UCF101 --split-number 2",
    "kinetics-i3d datasets my_videos --output my_videos.csv",
)
USUAL_SPLITS = ("train", "val", "test")


def add_arguments(parser):
    """Adds this verb's arguments to `parser`."""
    add_dataset_arguments(parser)
    parser.add_argument(
        "--missing", action="store_true", help="also print the paths of the missing videos"
    )
    output = add_output_argument(
        parser, "FILE", "csv table to write, with a row per video that exists"
    )
    parser.add_former_option("--table", output)
    add_json_argument(parser)


def run(options):
    """Prints a summary of the dataset; returns the exit code."""
    from kinetics_i3d.data.layouts.formats import recognize

    options.kind, files = recognize(options.dataset, kind=options.kind, videos=options.videos)
    if options.output and pathlib.Path(options.output).resolve() in {
        pathlib.Path(file).resolve() for file in files if isinstance(file, os.PathLike)
    }:
        raise UserError(
            f"--output {options.output}: is a list of the dataset itself, and would lose "
            "everything that the table does not contain; choose another name"
        )
    dataset = read_dataset(options)
    if options.output and not dataset.lists_videos:
        raise UserError(
            f"--output {options.output}: a table lists videos, but {options.dataset} are records; "
            "use the dataset that they were prepared from"
        )
    summary = describe(dataset, options.kind)
    shared = dataset.shared_sources()
    if shared:
        label, source = shared[0]
        logging.warning(
            "%s: %d sources have videos of a class in more than one split, such as %s of %s",
            options.dataset,
            len(shared),
            source,
            label,
        )
    copies = _copies(dataset)
    if copies:
        logging.warning(
            "%s: %d videos are in more than one split, such as %s",
            options.dataset,
            len(copies),
            " and ".join(copies[0][:2]),
        )
    if options.output:
        dataset.write_table(options.output)
    missing = [str(video.location) for video in dataset.missing]
    result = summary | {
        "missing_paths": missing if options.missing else None,
        "output": options.output,
    }
    lines = as_lines(summary)
    lines += missing if options.missing else []
    lines += [f"{'table':<10}{options.output}"] if options.output else []
    print_result(options, "\n".join(lines), result)
    return 0


def _copies(dataset):
    """The videos that are in several splits, where the dataset lists videos."""
    from kinetics_i3d.data.copies import copies_across

    if not dataset.lists_videos:
        return []
    parts: dict = {}
    for video in dataset.videos:
        parts.setdefault(video.split, []).append(video)
    return copies_across(parts)


def describe(dataset, kind):
    """A summary of a dataset of a kind, ready for JSON."""
    sizes = dataset.split_sizes()
    order = sorted(sizes, key=lambda name: (*(name != usual for usual in USUAL_SPLITS), name))
    return {
        "dataset": dataset.name,
        "kind": kind,
        "classes": dict.fromkeys(dataset.labels, 0) | dataset.class_counts(),
        "videos": len(dataset),
        "splits": {name: sizes[name] for name in order},
        "missing": len(dataset.missing),
    }


def as_lines(summary):
    """The summary in aligned lines."""
    sizes = summary["classes"]
    largest, smallest = max(sizes, key=sizes.get), min(sizes, key=sizes.get)
    rows = [
        ("dataset", summary["dataset"]),
        ("kind", summary["kind"]),
        ("classes", len(sizes)),
        ("videos", summary["videos"]),
        *((f"  {name}", number) for name, number in summary["splits"].items()),
        ("largest", f"{sizes[largest]} {largest}"),
        ("smallest", f"{sizes[smallest]} {smallest}"),
        ("missing", summary["missing"]),
    ]
    return [f"{name:<10}{value}" for name, value in rows]
