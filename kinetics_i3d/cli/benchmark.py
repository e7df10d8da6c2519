"""`kinetics-i3d benchmark input`: measures how fast clips for training are made.

Of the videos of a dataset, or of prepared records: clips a second, what takes the time, and memory.
It takes no weights, so it has no `--labels`: names of classes change neither time nor memory.
"""

import dataclasses
import json

from kinetics_i3d.cli.arguments import add_dataset_arguments, count, read_dataset
from kinetics_i3d.cli.prepare import streams
from kinetics_i3d.cli.quiet import load_keras
from kinetics_i3d.core.clip_spec import DEEPMIND
from kinetics_i3d.data.records.addresses import path_or_address

LIMITS = {
    "decoding": "reading and decoding; more processors help, or prepared records",
    "augmentation": "augmentation and batching; more processors help, or smaller clips",
    "waiting": "waiting for files, or other programs use the processors",
}


def add_arguments(parser):
    """Adds this verb's arguments to `parser`."""
    what = parser.add_subparsers(dest="what", metavar="WHAT", required=True)
    parser = what.add_parser("input", help="the training pipeline, without a network")
    add_dataset_arguments(parser)
    parser.add_argument("--split", default="train", metavar="NAME", help="which videos")
    parser.add_argument(
        "--streams", type=streams, default="rgb", metavar="NAMES", help="rgb, flow or rgb,flow"
    )
    parser.add_argument("--frames", type=count, default=64, metavar="N", help="of a clip")
    parser.add_argument(
        "--size", type=count, default=DEEPMIND.size, metavar="N", help="pixels of a clip's side"
    )
    parser.add_argument("--batch", type=count, default=8, metavar="N", help="clips a batch")
    parser.add_argument(
        "--seconds", type=float, default=10.0, metavar="N", help="how long to measure"
    )
    parser.add_argument("--json", action="store_true", help="print JSON in place of text")


def run(options):
    """Prints what was measured; returns the exit code."""
    load_keras()
    from kinetics_i3d.data.input_speed import measure_input
    from kinetics_i3d.data.records.clips import open_split
    from kinetics_i3d.data.records.manifest import is_records

    if is_records(options.dataset):
        source, kind = open_split(options.dataset, options.split), "records"
        spec = source.records.spec
    else:
        source, kind = read_dataset(options).split(options.split), "videos"
        spec = DEEPMIND
    speed = measure_input(
        source,
        streams=options.streams,
        spec=of_size(spec, options.size),
        frames=options.frames,
        batch=options.batch,
        seconds=options.seconds,
    )
    if options.json:
        about = {
            "source": str(path_or_address(options.dataset)),
            "kind": kind,
            "streams": list(options.streams),
            "clip": [options.frames, options.size, options.size],
            "batch": options.batch,
        }
        print(json.dumps(about | speed.to_dict(), indent=2))
    else:
        print(as_text(speed, kind, len(source)))
    return 0


def of_size(spec, size):
    """A `ClipSpec` with another crop, and the rest of the picture around it in proportion."""
    around = DEEPMIND.short_side / DEEPMIND.size
    short_side = size if spec.resize == "stretch" else round(size * around)
    return dataclasses.replace(spec, name="benchmark", short_side=short_side, size=size)


def as_text(speed, kind, examples):
    """An `InputSpeed` in aligned lines.

    Args:
        speed: The `InputSpeed`.
        kind: `"records"` or `"videos"`.
        examples: How many there are.
    """
    lines = [
        ("source", f"{examples} {kind}"),
        ("clips a second", f"{speed.clips:.2f}"),
        ("frames a second", f"{speed.frames:.0f}"),
        ("read and decode", f"{100 * speed.decode:.0f} % of the processor time"),
        ("augment and batch", f"{100 * (1 - speed.decode):.0f} % of the processor time"),
        ("processors busy", f"{speed.processors:.1f} of {speed.available}"),
        ("peak memory", f"{speed.peak_mb:.0f} MB"),
        ("limited by", LIMITS[speed.limit]),
    ]
    return "\n".join(f"{name:<18}{value}" for name, value in lines)
