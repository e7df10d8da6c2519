"""`kinetics-i3d systems`: builds the paper's five systems, and prints its table 1 of what is built.

Parameters and multiply-adds are counted, for 400 classes and a clip of training; beside the count
stands the paper's. Needs seconds and no weights.
"""

import json

from kinetics_i3d.cli.quiet import load_keras
from kinetics_i3d.core.progress import track

HEAD = (
    "system",
    "parameters",
    "paper",
    "training clip",
    "seconds",
    "multiply-adds",
    "loss",
    "test clip",
    "seconds",
    "answer",
)


def add_arguments(parser):
    """Adds this verb's arguments to `parser`."""
    parser.add_argument(
        "--json", action="store_true", help="print one array of objects in place of text"
    )


def run(options):
    """Prints the systems; returns the exit code."""
    load_keras()
    from kinetics_i3d.models.systems import paper_systems

    systems = paper_systems().values()
    rows = [
        describe(system)
        for system in track(systems, "building", total=len(systems), noun="systems")
    ]
    print(json.dumps(rows, indent=2) if options.json else table(rows))
    return 0


def describe(system):
    """A `System` and the counts of the model that it builds, ready for JSON."""
    from kinetics_i3d.models.multiply_adds import multiply_adds

    model = system.build()
    networks = model.streams.items()
    return {
        "letter": system.letter,
        "name": system.name,
        "title": system.title,
        "streams": list(system.streams),
        "size": system.size,
        "parameters": model.count_params(),
        "parameters_by_stream": {
            stream: network.count_params() for stream, network in networks if network is not model
        },
        "paper_million_parameters": system.million_parameters,
        "multiply_adds": multiply_adds(model),
        "loss": system.loss,
        "aggregation": system.aggregation,
        "train": {
            "frames": dict(system.train_frames),
            "stride": dict(system.stride),
            "seconds": system.train_seconds,
        },
        "test": {"frames": dict(system.test_frames), "seconds": system.test_seconds},
    }


def table(rows):
    """What `describe` gave for all systems, as aligned columns."""
    lines = [HEAD]
    for row in rows:
        lines.append(
            (
                f"({row['letter']}) {row['name']}",
                f"{row['parameters'] / 1e6:.2f} M",
                f"{row['paper_million_parameters']} M",
                f"{frames(row['train']['frames'])}, {row['size']} px",
                f"{row['train']['seconds']:g}",
                f"{row['multiply_adds'] / 1e9:.2f} G",
                row["loss"],
                frames(row["test"]["frames"]),
                f"{row['test']['seconds']:g}",
                row["aggregation"],
            )
        )
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def frames(counts):
    """Frames by stream as text, such as `5 rgb + 50 flow`."""
    return " + ".join(f"{count} {stream}" for stream, count in counts.items())
