"""`kinetics-i3d systems`: build the paper's five systems and print its table 1 for them.

Parameters and multiply-adds are counted in the models, for 400 classes and one training clip; the
paper's numbers of parameters are beside them. It takes seconds and needs no weights.
"""

from kinetics_i3d.cli.arguments import add_json_argument, print_result
from kinetics_i3d.cli.console import load_keras
from kinetics_i3d.core.progress import track

EXAMPLES = ("kinetics-i3d systems", "kinetics-i3d systems --json")
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
    "aggregation",
)


def add_arguments(parser):
    """Adds this verb's arguments to `parser`."""
    add_json_argument(parser)


def run(options):
    """Prints the systems; returns the exit code."""
    load_keras()
    from kinetics_i3d.models.systems import paper_systems

    systems = paper_systems().values()
    progress = track(systems, "building", total=len(systems), noun="systems")
    rows = [describe(system) for system in progress]
    print_result(options, table(rows), rows)
    return 0


def describe(system):
    """One `System` as JSON, with counts from the model that it builds."""
    from kinetics_i3d.models.systems import multiply_adds

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
    """The rows of `describe` in aligned columns."""
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
