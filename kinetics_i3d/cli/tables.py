"""`kinetics-i3d tables`: trains and tests the paper's systems, and writes its tables of them.

Each cell of the tables has a folder of its own below OUTPUT/cells; what is finished is only read,
and a call that was killed goes on where it was. Exit code 1: some cells failed, and are told; 75:
it was asked to end (SIGTERM) and has saved its state.
"""

import contextlib
import sys

from kinetics_i3d.cli.arguments import add_dataset_arguments, count, read_dataset
from kinetics_i3d.cli.complaints import complain
from kinetics_i3d.cli.quiet import load_keras
from kinetics_i3d.cli.train import COME_AGAIN
from kinetics_i3d.core.progress import Progress
from kinetics_i3d.experiments.scales import SCALES, with_steps
from kinetics_i3d.training.errors import TrainingStopped


def add_arguments(parser):
    """Adds this verb's arguments to `parser`."""
    add_dataset_arguments(parser, dataset="--data")
    parser.add_argument("--split", default="test", metavar="NAME", help="which videos to test on")
    parser.add_argument(
        "--output",
        required=True,
        metavar="FOLDER",
        help="where tables.md, tables.json, the pictures and the cells go",
    )
    about = "; ".join(f"{row.name}: {row.about}" for row in SCALES.values())
    parser.add_argument("--scale", choices=tuple(SCALES), default="mini", help=about)
    parser.add_argument(
        "--cells",
        default="*",
        metavar="GLOBS",
        help="of names SYSTEM.STREAM.START.MODE.SEED, such as 'C3D.*,*.rgb.scratch.original.*'",
    )
    parser.add_argument(
        "--seeds", type=count, metavar="N", help="runs of each cell; by default the scale's"
    )
    parser.add_argument(
        "--steps", type=count, metavar="N", help="steps of every run; by default the scale's"
    )
    parser.add_argument(
        "--imagenet",
        metavar="NAME|PATH",
        help="weights of InceptionV1 to start from, such as imagenet_inception5h; without it "
        "the cells that start from ImageNet are left out",
    )
    parser.add_argument(
        "--source",
        nargs="+",
        default=(),
        metavar="FOLDER|NAME|PATH",
        help="where fixed and fine-tuned networks start: the OUTPUT of earlier tables on another "
        "dataset, or weights of clips, one of each stream",
    )
    parser.add_argument(
        "--save-every", type=count, default=500, metavar="STEPS", help="steps between states"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="print the cells and what they cost, and stop"
    )


def run(options):
    """Makes the tables and prints the path of their page; returns the exit code."""
    dataset = read_dataset(options)
    load_keras()
    from kinetics_i3d.data.layouts.recognise import recognise
    from kinetics_i3d.experiments.plan import plan_tables
    from kinetics_i3d.experiments.runner import make_tables
    from kinetics_i3d.experiments.runs import PAGE

    given = {"imagenet": options.imagenet, "sources": tuple(options.source), "split": options.split}
    scale = SCALES[options.scale]
    plan = plan_tables(
        dataset,
        options.output,
        with_steps(scale, options.steps) if options.steps else scale,
        seeds=options.seeds,
        pattern=options.cells,
        **given,
    )
    if options.dry_run:
        print(costs(plan, dataset))
        return 0
    # The paper's numbers are of the first split.
    kind = recognise(options.dataset, kind=options.kind)[0] if options.split_number == 1 else None
    try:
        # stdout holds the result alone
        with contextlib.redirect_stdout(sys.stderr), Progress(len(plan.jobs), "cells") as progress:
            results = make_tables(
                dataset,
                options.output,
                plan,
                kind=kind,
                save_every=options.save_every,
                progress=progress,
                **given,
            )
    except TrainingStopped as stopped:
        print(stopped, file=sys.stderr)
        return COME_AGAIN
    for name, why in results["failed"].items():
        complain(RuntimeError(f"{name}: {why}"))
    print(f"{options.output.rstrip('/')}/{PAGE}")
    if not results["failed"]:
        return 0
    return 1 if results["cells"] else 2


def costs(plan, dataset):
    """The cells of a plan with what their training multiplies and adds, as aligned lines.

    Args:
        plan: A `Plan`.
        dataset: A `VideoDataset`.
    """
    from kinetics_i3d.experiments.plan import training_cost

    facts = {"videos": len(dataset.split("train")), "classes": len(dataset.labels)}
    rows = [(job.run.name, training_cost(job.config, **facts)) for job in plan.jobs]
    rows.append((f"{len(rows)} cells", sum(cost for _, cost in rows)))
    width = max(len(name) for name, _ in rows)
    lines = [f"{name:<{width}}  {cost / 1e12:>12.1f}" for name, cost in rows]
    head = f"{'cell':<{width}}  {'10^12 multiply-adds':>12}"
    left = [f"left out: {name}: {why}" for name, why in plan.left_out.items()]
    return "\n".join([head, *lines, *left])
