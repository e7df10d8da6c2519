"""`kinetics-i3d prepare`: decode a dataset once, into TFRecords that training reads quickly.

The records hold JPEG frames and optical flow under the field names of MediaPipe and of TensorFlow's
Model Garden. Rerunning a command that was stopped completes it. Videos that cannot be read are
listed: exit code 1 if there are any, 2 if none could be read.
"""

import argparse
import dataclasses

from kinetics_i3d.cli.arguments import (
    add_dataset_arguments,
    add_json_argument,
    add_output_argument,
    add_streams_argument,
    count,
    print_result,
    read_dataset,
)
from kinetics_i3d.cli.console import complain, load_keras
from kinetics_i3d.core.clip_spec import SPECS
from kinetics_i3d.core.errors import DatasetError, VideoError
from kinetics_i3d.core.progress import Progress
from kinetics_i3d.data.video_dataset import SHARE
from kinetics_i3d.flow.quantization import BOUND, ROUNDINGS
from kinetics_i3d.flow.settings import BACKENDS

EXAMPLES = (
    "kinetics-i3d prepare my_videos --output records",
    "kinetics-i3d prepare path/to/HMDB51 --output records --streams rgb,flow --short-side 128",
)
SHOWN = 20  # unreadable videos that are printed; a tenth of Kinetics is missing
BACKEND_NAMES = tuple(dict.fromkeys(name for names in BACKENDS.values() for name in names))


class CheckRecords(argparse.Action):
    """`--check FOLDER`, which needs neither a dataset nor an output."""

    def __call__(self, parser, namespace, folder, option_string=None):
        parser.waive_words()
        setattr(namespace, self.dest, folder)


def add_arguments(parser):
    """Adds this verb's arguments to `parser`."""
    add_split_arguments(add_dataset_arguments(parser))
    add_output_argument(
        parser,
        "FOLDER",
        "folder of the records and of manifest.json",
        required=True,
        former_word=True,
    )
    parser.add_argument(
        "--check",
        action=CheckRecords,
        metavar="FOLDER",
        help="only verify the records in FOLDER. To replace a damaged file, delete it and repeat "
        "the command that wrote it",
    )
    add_record_arguments(parser)
    parser.add_argument(
        "--workers",
        type=count,
        metavar="N",
        help="videos decoded at the same time (default: one per processor)",
    )
    add_json_argument(parser)


def add_split_arguments(group):
    """Adds --split, which `of_splits` reads, and --validation."""
    group.add_argument(
        "--split",
        action="append",
        metavar="NAME",
        help="split to prepare; may be given several times (default: all)",
    )
    group.add_argument(
        "--validation",
        type=float,
        default=SHARE,
        metavar="FRACTION",
        help="fraction of a dataset without splits that becomes the split val; the rest is train. "
        "0 or --split all keeps one split, all",
    )


def add_record_arguments(parser):
    """Adds the options that `prepare_config` reads."""
    add_streams_argument(parser, purpose="streams to store", default="rgb,flow")
    parser.add_argument(
        "--spec",
        choices=[name for name, spec in SPECS.items() if spec.stream == "rgb"],
        default="deepmind",
        help="clip spec, which sets frame rate and size",
    )
    parser.add_argument(
        "--fps", type=float, metavar="N", help="frames per second (default: the spec's)"
    )
    parser.add_argument(
        "--short-side",
        type=count,
        metavar="PIXELS",
        help="pixels of the shorter side of the frames (default: the spec's)",
    )
    parser.add_argument(
        "--quality", type=int, default=95, metavar="N", help="JPEG quality of frames, 1 to 100"
    )
    parser.add_argument(
        "--flow-quality", type=int, default=98, metavar="N", help="JPEG quality of flow, 1 to 100"
    )
    parser.add_argument(
        "--shard-size", type=count, default=32, metavar="N", help="videos per shard"
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="seed of the order of the videos"
    )
    parser.add_argument(
        "--method", choices=(*BACKENDS,), default="tvl1", help="algorithm of optical flow"
    )
    parser.add_argument(
        "--backend",
        choices=BACKEND_NAMES,
        help="library that computes flow (default: the fastest that is installed)",
    )
    parser.add_argument(
        "--bound",
        type=float,
        default=BOUND,
        metavar="PIXELS",
        help="largest motion, in pixels per frame, that the 8-bit values of flow represent",
    )
    parser.add_argument(
        "--rounding", choices=(*ROUNDINGS,), default="round", help="how flow is rounded to 8 bits"
    )


def prepare_config(options):
    """The `PrepareConfig` of the command line."""
    from kinetics_i3d.data.records.prepare import PrepareConfig
    from kinetics_i3d.flow.settings import FlowSettings

    return PrepareConfig(
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
        validation=0.0 if options.split else options.validation,
    )


def run(options):
    """Writes the records and prints their folder; returns the exit code."""
    from kinetics_i3d.data.records.prepare import prepare

    if options.check is not None:
        return check(options)
    config = prepare_config(options)
    dataset = of_splits(read_dataset(options), options.split)
    load_keras()
    with Progress(len(dataset) + len(dataset.missing), "videos") as progress:
        records = prepare(
            dataset, options.output, config, workers=options.workers, progress=progress
        )
    return report(options, records)


def report(options, records):
    """Prints the videos that could not be read; returns the exit code."""
    failures = [failure for split in records.splits for failure in records.failures(split)]
    for name, message in failures[:SHOWN]:
        complain(VideoError(f"{name}: {message}"))
    if len(failures) > SHOWN:
        more = len(failures) - SHOWN
        complain(
            VideoError(f"{more} more videos could not be read; manifest.json lists all of them")
        )
    written = sum(records.count(split) for split in records.splits)
    if not written:
        raise DatasetError(f"{options.output}: none of {len(failures)} videos could be read")
    result = {
        "output": str(options.output),
        "records": {split: records.count(split) for split in records.splits},
        "failures": [{"video": name, "error": message} for name, message in failures],
    }
    print_result(options, options.output, result)
    return 1 if failures else 0


def chosen_spec(options):
    """The clip spec of --spec, changed by --fps and --short-side."""
    spec = SPECS[options.spec]
    changes = {"fps": options.fps, "short_side": options.short_side}
    changes = {name: value for name, value in changes.items() if value is not None}
    if "short_side" in changes:
        size = options.short_side
        changes["size"] = size if spec.resize == "stretch" else min(spec.size, size)
    return dataclasses.replace(spec, name="custom", **changes) if changes else spec


def of_splits(dataset, names):
    """The videos of some splits of a dataset, or all of it for None."""
    if not names:
        return dataset
    splits = [dataset.split(name) for name in dict.fromkeys(names)]
    return dataclasses.replace(
        dataset,
        videos=tuple(video for split in splits for video in split.videos),
        missing=tuple(video for split in splits for video in split.missing),
    )


def check(options):
    """Verifies the records in the folder of --check; returns the exit code."""
    from kinetics_i3d.data.records.prepare import verify_records
    from kinetics_i3d.data.records.reader import Records

    load_keras()
    records = Records(options.check)
    shards = {split: len(records.manifest.splits[split].shards) for split in records.splits}
    with Progress(sum(shards.values()), "shards") as progress:
        bad = verify_records(options.check, progress=progress)
    for path, wrong in bad:
        complain(DatasetError(f"{path}: {wrong}; delete it and repeat the command that made it"))
    lines = []
    for split, number in shards.items():
        counts = {"record": records.count(split), "shard": number}
        texts = [f"{count} {noun}{'' if count == 1 else 's'}" for noun, count in counts.items()]
        lines.append(f"{split}: {' in '.join(texts)}, all intact")
    result = {
        "folder": str(options.check),
        "records": {split: records.count(split) for split in shards},
        "shards": shards,
        "damaged": [{"path": str(path), "error": str(wrong)} for path, wrong in bad],
    }
    if options.json or not bad:
        print_result(options, "\n".join(lines), result)
    if bad:
        return 1 if len(bad) < sum(shards.values()) else 2
    return 0
