"""`kinetics-i3d tables`: train and test the paper's systems, and write the paper's tables.

Each run has its own folder below OUTPUT/cells. A finished run is only read, and rerunning a command
that was killed resumes it. Exit code 1: some runs failed and are reported; 75: it was stopped by
SIGTERM and has saved its state.
"""

import contextlib
import sys

from kinetics_i3d.cli.arguments import (
    add_dataset_arguments,
    add_json_argument,
    add_output_argument,
    add_split_argument,
    count,
    print_result,
    read_dataset,
)
from kinetics_i3d.cli.console import complain, load_keras
from kinetics_i3d.cli.train import TRY_AGAIN
from kinetics_i3d.core.progress import Progress
from kinetics_i3d.experiments.scales import SCALES, with_steps
from kinetics_i3d.training.errors import TrainingStopped

EXAMPLES = (
    "kinetics-i3d tables --data figures --output runs/figures --dry-run",
    "kinetics-i3d tables --data path/to/JHMDB --output runs/jhmdb --scale small",
)


def add_arguments(parser):
    """Adds this verb's arguments to `parser`."""
    data = add_dataset_arguments(parser, bare=False)
    add_split_argument(data, default="test", purpose="to test on")
    add_output_argument(
        parser,
        "FOLDER",
        "folder of tables.md, tables.json, the charts and the runs",
        required=True,
    )
    about = "; ".join(f"{row.name}: {row.about}" for row in SCALES.values())
    parser.add_argument(
        "--scale", choices=tuple(SCALES), default="mini", help=f"size of the runs. {about}"
    )
    runs = parser.add_argument(
        "--runs",
        default="*",
        metavar="GLOBS",
        help="runs to perform, as comma-separated patterns of names "
        "SYSTEM.STREAM.START.MODE.SEED, such as 'C3D.*,*.rgb.scratch.original.*' "
        "(default: all)",
    )
    parser.add_former_option("--cells", runs)
    parser.add_argument(
        "--seeds", type=count, metavar="N", help="number of seeds (default: the scale's)"
    )
    parser.add_argument(
        "--steps", type=count, metavar="N", help="training steps of each run (default: the scale's)"
    )
    parser.add_argument(
        "--imagenet",
        metavar="NAME|PATH",
        help="weights of InceptionV1 to start from, such as imagenet_inception5h; without them the "
        "runs that start from ImageNet are left out",
    )
    weights = parser.add_argument(
        "--weights",
        nargs="+",
        default=(),
        metavar="FOLDER|NAME|PATH",
        help="weights that the fixed and fine-tuned networks start from: the output folder of "
        "earlier tables on another dataset, or weights of clips, one per stream",
    )
    parser.add_former_option("--source", weights)
    parser.add_argument(
        "--save-every",
        type=count,
        default=500,
        metavar="STEPS",
        help="training steps between saved states",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="print the runs and their cost, and stop"
    )
    add_json_argument(parser)


def run(options):
    """Makes the tables and prints the path of their page; returns the exit code."""
    dataset = read_dataset(options)
    load_keras()
    from kinetics_i3d.data.layouts.formats import recognize
    from kinetics_i3d.experiments.plan import plan_tables
    from kinetics_i3d.experiments.runner import make_tables
    from kinetics_i3d.experiments.runs import PAGE

    scale = SCALES[options.scale]
    plan = plan_tables(
        dataset,
        options.output,
        with_steps(scale, options.steps) if options.steps else scale,
        seeds=options.seeds,
        pattern=options.runs,
        imagenet=options.imagenet,
        sources=tuple(options.weights),
        split=options.split,
    )
    if options.dry_run:
        rows = costs(plan, dataset)
        plan_facts = {"runs": dict(rows), "left_out": dict(plan.left_out)}
        print_result(options, costs_text(rows, plan.left_out), plan_facts)
        return 0
    # The paper reports its numbers on the first split.
    kind = None
    if options.split_number == 1:
        kind, _ = recognize(options.dataset, kind=options.kind, videos=options.videos)
    try:
        # stdout holds the result alone
        with contextlib.redirect_stdout(sys.stderr), Progress(len(plan.jobs), "runs") as progress:
            results = make_tables(
                dataset,
                options.output,
                plan,
                kind=kind,
                save_every=options.save_every,
                progress=progress,
            )
    except TrainingStopped as stopped:
        print(stopped, file=sys.stderr)
        return TRY_AGAIN
    for name, reason in results["failed"].items():
        complain(RuntimeError(f"{name}: {reason}"))
    page = f"{options.output.rstrip('/')}/{PAGE}"
    result = {"output": page, "runs": len(results["cells"]), "failed": results["failed"]}
    print_result(options, page, result)
    if not results["failed"]:
        return 0
    return 1 if results["cells"] else 2


def costs(plan, dataset):
    """[(name of a run, multiply-adds of its training)] of a `Plan` on a `VideoDataset`."""
    from kinetics_i3d.experiments.plan import training_cost

    sizes = {"videos": len(dataset.split("train")), "classes": len(dataset.labels)}
    return [(job.run.name, training_cost(job.config, **sizes)) for job in plan.jobs]


def costs_text(rows, left_out):
    """The rows of `costs` with their sum, and what is left out, as aligned lines."""
    rows = [*rows, (f"{len(rows)} runs", sum(cost for _, cost in rows))]
    width = max(len(name) for name, _ in rows)
    lines = [f"{name:<{width}}  {cost / 1e12:>12.1f}" for name, cost in rows]
    head = f"{'run':<{width}}  {'10^12 multiply-adds':>12}"
    skipped = [f"left out: {name}: {reason}" for name, reason in left_out.items()]
    return "\n".join([head, *lines, *skipped])
