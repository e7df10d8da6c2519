"""`kinetics-i3d datasets`: tells what is found at a path: kind, classes, videos and missing ones.

It looks as `train` and `evaluate` do, and decodes no video. With --table it makes a table of them.
"""

import collections

from absl import logging

from kinetics_i3d.cli.arguments import add_dataset_arguments, read_dataset

USUAL = ("train", "val", "test")


def add_arguments(parser):
    """Adds this verb's arguments to `parser`."""
    add_dataset_arguments(parser, number="--split")
    parser.add_argument(
        "--missing", action="store_true", help="also print the paths of the missing videos"
    )
    parser.add_argument(
        "--table", metavar="OUT.csv", help="write the videos that exist as a csv table"
    )


def run(options):
    """Prints what was found; returns the exit code."""
    from kinetics_i3d.data.layouts.formats import recognise

    options.kind, _ = recognise(options.dataset, kind=options.kind, videos=options.videos)
    dataset = read_dataset(options)
    for name, value in describe(dataset, options.kind):
        print(f"{name:<10}{value}")
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
    if options.missing:
        for video in dataset.missing:
            print(video.location)
    if options.table:
        dataset.write_table(options.table)
        print(f"{'table':<10}{options.table}")
    return 0


def describe(dataset, kind):
    """What there is to say of a dataset.

    Args:
        dataset: A `VideoDataset`.
        kind: What it was recognised as.

    Returns:
        A list of (name, text).
    """
    splits = collections.Counter(video.split for video in dataset.videos)
    order = sorted(splits, key=lambda name: (*(name != usual for usual in USUAL), name))
    sizes = dict.fromkeys(dataset.labels, 0)
    for video in dataset.videos:
        sizes[video.label] += 1
    largest = max(sizes, key=sizes.get)
    smallest = min(sizes, key=sizes.get)
    return [
        ("dataset", dataset.name),
        ("kind", kind),
        ("classes", len(dataset.labels)),
        ("videos", len(dataset)),
        *((f"  {name}", splits[name]) for name in order),
        ("largest", f"{sizes[largest]} {largest}"),
        ("smallest", f"{sizes[smallest]} {smallest}"),
        ("missing", len(dataset.missing)),
    ]
