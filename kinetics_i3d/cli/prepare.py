"""`kinetics-i3d prepare`: decodes a dataset once, into TFRecords that training reads quickly.

Records of JPEG frames and of optical flow under the field names of MediaPipe and of TensorFlow's
Model Garden. A call that was stopped is finished by repeating it. Videos that cannot be read are
listed: exit code 1 if there are some, 2 if there is no other.
"""

import argparse
import dataclasses

from kinetics_i3d.cli.arguments import add_dataset_arguments, count, read_dataset, read_records
from kinetics_i3d.cli.complaints import complain
from kinetics_i3d.cli.quiet import load_keras
from kinetics_i3d.core.clip_spec import SPECS, STREAMS
from kinetics_i3d.core.errors import DatasetError, VideoError
from kinetics_i3d.core.progress import Progress
from kinetics_i3d.flow.quantization import BOUND, ROUNDINGS
from kinetics_i3d.flow.settings import BACKENDS

SHOWN = 20  # of the videos that could not be read; Kinetics misses a tenth of its own
BACKEND_NAMES = tuple(dict.fromkeys(name for names in BACKENDS.values() for name in names))


class CheckRecords(argparse.Action):
    """`--check FOLDER`, which needs no dataset; ends the command, as `--version` does."""

    def __call__(self, parser, namespace, folder, option_string=None):
        parser.exit(check(folder))


def add_arguments(parser):
    """Adds this verb's arguments to `parser`."""
    add_dataset_arguments(parser)
    parser.add_argument("output", metavar="OUT", help="folder of the records and manifest.json")
    parser.add_argument(
        "--check",
        action=CheckRecords,
        default=argparse.SUPPRESS,
        metavar="FOLDER",
        help="only verify the records in FOLDER; a bad file is made again by deleting it and "
        "repeating the command that made it",
    )
    parser.add_argument(
        "--streams",
        type=streams,
        default="rgb,flow",
        metavar="NAMES",
        help="rgb, flow or both",
    )
    parser.add_argument(
        "--split", action="append", metavar="NAME", help="only these; may be given several times"
    )
    parser.add_argument(
        "--spec",
        choices=[name for name, spec in SPECS.items() if spec.stream == "rgb"],
        default="deepmind",
        help="how frames are sampled and resized",
    )
    parser.add_argument("--fps", type=float, metavar="N", help="frames a second, if not the spec's")
    parser.add_argument(
        "--short-side", type=count, metavar="PIXELS", help="of the frames, if not the spec's"
    )
    parser.add_argument(
        "--shard-size", type=count, default=32, metavar="N", help="videos a file of records"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the videos' order")
    parser.add_argument(
        "--workers", type=count, metavar="N", help="videos at a time; one for each processor"
    )
    parser.add_argument(
        "--quality", type=int, default=95, metavar="N", help="of frames as JPEG, 1 to 100"
    )
    parser.add_argument(
        "--flow-quality", type=int, default=98, metavar="N", help="of flow as JPEG, 1 to 100"
    )
    parser.add_argument("--method", choices=(*BACKENDS,), default="tvl1", help="of flow")
    parser.add_argument("--backend", choices=BACKEND_NAMES, help="what computes flow")
    parser.add_argument(
        "--bound", type=float, default=BOUND, metavar="PIXELS", help="at which flow is cut"
    )
    parser.add_argument(
        "--rounding", choices=(*ROUNDINGS,), default="round", help="of flow to 8 bits"
    )


def streams(text):
    """Reads names of streams with commas between them."""
    names = text.split(",")
    if len({*names}) < len(names) or not {*names} <= {*STREAMS}:
        raise argparse.ArgumentTypeError(f"must be rgb, flow or rgb,flow, not {text}")
    return tuple(name for name in STREAMS if name in names)


def run(options):
    """Writes the records and prints their folder; returns the exit code."""
    from kinetics_i3d.data.records.config import PrepareConfig
    from kinetics_i3d.data.records.prepare import prepare
    from kinetics_i3d.flow.settings import FlowSettings

    config = PrepareConfig(
        streams=options.streams,
        spec=chosen_spec(options),
        flow=FlowSettings(
            options.method,
            backend=options.backend,
            bound=options.bound,
            rounding=options.rounding,
        ),
        quality=options.quality,
        flow_quality=options.flow_quality,
        shard_size=options.shard_size,
        seed=options.seed,
    )
    dataset = of_splits(read_dataset(options), options.split)
    load_keras()
    with Progress(len(dataset) + len(dataset.missing), "videos") as progress:
        records = prepare(
            dataset, options.output, config, workers=options.workers, progress=progress
        )
    failures = [failure for split in records.splits for failure in records.failures(split)]
    for name, message in failures[:SHOWN]:
        complain(VideoError(f"{name}: {message}"))
    if len(failures) > SHOWN:
        more = len(failures) - SHOWN
        complain(VideoError(f"{more} more videos could not be read; manifest.json names all"))
    written = sum(records.count(split) for split in records.splits)
    if not written:
        raise DatasetError(f"{options.output}: none of {len(failures)} videos could be read")
    print(options.output)
    return 1 if failures else 0


def chosen_spec(options):
    """The spec that is named, with the rate and size that are asked for in its place."""
    spec = SPECS[options.spec]
    changes = {"fps": options.fps, "short_side": options.short_side}
    changes = {name: value for name, value in changes.items() if value is not None}
    if "short_side" in changes:
        size = options.short_side
        changes["size"] = size if spec.resize == "stretch" else min(spec.size, size)
    return dataclasses.replace(spec, name="custom", **changes) if changes else spec


def of_splits(dataset, names):
    """The part of a dataset that is in some splits, or all of it for `None`."""
    if not names:
        return dataset
    parts = [dataset.split(name) for name in dict.fromkeys(names)]
    return dataclasses.replace(
        dataset,
        videos=tuple(video for part in parts for video in part.videos),
        missing=tuple(video for part in parts for video in part.missing),
    )


def check(folder):
    """Verifies records and prints what it found; returns the exit code."""
    from kinetics_i3d.data.records.verify import verify_records

    records = read_records(folder)
    load_keras()
    shards = {split: len(records.manifest.splits[split].shards) for split in records.splits}
    with Progress(sum(shards.values()), "shards") as progress:
        bad = verify_records(folder, progress=progress)
    for path, wrong in bad:
        complain(DatasetError(f"{path}: {wrong}; delete it and repeat the command that made it"))
    if bad:
        return 1 if len(bad) < sum(shards.values()) else 2
    for split, number in shards.items():
        print(f"{split}: {records.count(split)} records in {number} shards, all as written")
    return 0
