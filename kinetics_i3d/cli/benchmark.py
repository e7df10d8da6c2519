"""`kinetics-i3d benchmark`: measure how fast training clips are produced.

`benchmark input` runs the training pipeline without a network, on the videos of a dataset or on
prepared records. It prints clips per second, where the time goes, and peak memory.
"""

import dataclasses

from kinetics_i3d.cli.arguments import (
    add_dataset_arguments,
    add_json_argument,
    add_split_argument,
    add_streams_argument,
    count,
    print_result,
    read_dataset,
    seconds,
)
from kinetics_i3d.cli.console import load_keras
from kinetics_i3d.core.clip_spec import DEEPMIND
from kinetics_i3d.data.records.addresses import path_or_address

EXAMPLES = (
    "kinetics-i3d benchmark input path/to/HMDB51",
    "kinetics-i3d benchmark input records --streams rgb,flow --seconds 30",
)
LIMITS = {
    "decoding": "reading and decoding; more processors help, or prepared records",
    "augmentation": "augmentation and batching; more processors help, or smaller clips",
    "waiting": "waiting for files, or other programs use the processors",
}


def add_arguments(parser):
    """Adds this verb's arguments to `parser`."""
    kinds = parser.add_subparsers(dest="what", metavar="WHAT", required=True)
    parser = kinds.add_parser(
        "input",
        help="the training pipeline, without a network",
        description="Measure the training pipeline, without a network.",
        examples=EXAMPLES,
    )
    data = add_dataset_arguments(parser, records=True)
    add_split_argument(data, default="train", purpose="to read")
    add_streams_argument(parser, purpose="streams to read", default="rgb")
    parser.add_argument("--frames", type=count, default=64, metavar="N", help="frames per clip")
    parser.add_argument(
        "--size",
        type=count,
        metavar="PIXELS",
        help=f"height and width of a clip in pixels (default: {DEEPMIND.size}, or that of smaller "
        "records)",
    )
    batch_size = parser.add_argument(
        "--batch-size", type=count, default=8, metavar="N", help="clips per batch"
    )
    parser.add_former_option("--batch", batch_size)
    parser.add_argument(
        "--seconds",
        type=seconds,
        default=10.0,
        metavar="SECONDS",
        help="duration of the measurement",
    )
    add_json_argument(parser)


def run(options):
    """Prints the measurements; returns the exit code."""
    load_keras()
    from kinetics_i3d.data.pipeline import measure_input

    source = read_dataset(options).split(options.split)
    kind = "videos" if source.lists_videos else "records"
    spec = source.clip_spec or DEEPMIND
    # Records cannot be enlarged: at most the crop whose short side is theirs.
    largest = spec.short_side
    if spec.resize != "stretch":
        largest = largest * DEEPMIND.size // DEEPMIND.short_side
    size = options.size or min(DEEPMIND.size, largest)
    speed = measure_input(
        source,
        streams=options.streams,
        spec=of_size(spec, size),
        frames=options.frames,
        batch_size=options.batch_size,
        seconds=options.seconds,
    )
    settings = {
        "source": str(path_or_address(options.dataset)),
        "kind": kind,
        "streams": list(options.streams),
        "clip": [options.frames, size, size],
        "batch_size": options.batch_size,
    }
    print_result(options, as_text(speed, kind, len(source)), settings | speed.to_dict())
    return 0


def of_size(spec, size):
    """A `ClipSpec` with another crop size, and the short side scaled in proportion."""
    ratio = DEEPMIND.short_side / DEEPMIND.size
    short_side = size if spec.resize == "stretch" else round(size * ratio)
    return dataclasses.replace(spec, name="benchmark", short_side=short_side, size=size)


def as_text(speed, kind, examples):
    """An `InputBenchmark` of `examples` `"records"` or `"videos"`, in aligned lines."""
    lines = [
        ("source", f"{examples} {kind}"),
        ("clips per second", f"{speed.clips:.2f}"),
        ("frames per second", f"{speed.frames:.0f}"),
        ("read and decode", f"{100 * speed.decode:.0f} % of the processor time"),
        ("augment and batch", f"{100 * (1 - speed.decode):.0f} % of the processor time"),
        ("processors busy", f"{speed.processors:.1f} of {speed.available}"),
        ("peak memory", f"{speed.peak_mb:.0f} MB"),
        ("limited by", LIMITS[speed.limit]),
    ]
    return "\n".join(f"{name:<18}{value}" for name, value in lines)
