"""`kinetics-i3d flow`: compute the optical flow of videos, in a file beside each.

wave.avi gets wave.avi.flow.npz, which numpy.load opens. Flow for another clip spec gets its own
file name, such as wave.avi.25fps_128px.flow.npz. Files that exist and are valid are kept: rerunning
a command that was stopped completes it, and several commands at once share the work. A video that
cannot be read is skipped and reported at the end: exit code 1 if others could be read, 2 if none
could.
"""

import json
import os
import pathlib

from kinetics_i3d.cli.arguments import SOURCES, add_json_argument, add_output_argument, count
from kinetics_i3d.cli.console import complain, load_keras_for_flow
from kinetics_i3d.core.clip_spec import DEEPMIND_FLOW, FLOW_BOUND, SPECS
from kinetics_i3d.core.errors import UserError, VideoError
from kinetics_i3d.core.progress import Progress

EXAMPLES = (
    "kinetics-i3d flow my_videos",
    "kinetics-i3d flow my_videos --weights kinetics_jhmdb --output my_flow",
)


def add_arguments(parser):
    """Adds this verb's arguments to `parser`."""
    parser.add_argument("sources", nargs="+", metavar="VIDEO|FOLDER|LIST", help=SOURCES)
    output = add_output_argument(
        parser,
        "FOLDER",
        "folder for the flow files, in the same subfolders as the videos (default: beside them)",
    )
    parser.add_former_option("--out", output)
    add_flow_arguments(parser)
    parser.add_argument(
        "--show",
        metavar="FOLDER",
        help="also write videos that show frames and flow to this folder",
    )
    parser.add_argument(
        "--pictures",
        metavar="FOLDER",
        help="also write the flow as flow_x_00001.jpg and flow_y_00001.jpg, like denseflow, to "
        "one subfolder of this folder per video",
    )
    parser.add_argument(
        "--replace",
        action="store_true",
        help="recompute flow that was made with another clip spec or other settings",
    )
    parser.add_argument(
        "--workers",
        type=count,
        metavar="N",
        help="pairs of frames computed at the same time (default: one per processor)",
    )
    add_json_argument(parser)


def add_flow_arguments(parser):
    """Adds the options that `flow_choice` reads."""
    target = parser.add_mutually_exclusive_group()
    target.add_argument(
        "--weights",
        metavar="NAME|PATH",
        help="weights that will read the flow, whose clip spec is used: a name of flow weights "
        "or of a pair that `kinetics-i3d weights` lists, or a file",
    )
    target.add_argument(
        "--spec",
        choices=tuple(SPECS),
        default=DEEPMIND_FLOW.name,
        metavar="NAME",
        help=f"clip spec, which sets frame rate and size: {', '.join(SPECS)}",
    )
    parser.add_argument(
        "--method",
        choices=("tvl1", "dis", "farneback"),
        default="tvl1",
        help="algorithm. The released weights expect tvl1; dis and farneback are faster and less "
        "accurate",
    )
    parser.add_argument(
        "--fast",
        action="store_true",
        help="run tvl1 with fewer iterations: half the time, inaccurate for fast motion",
    )
    parser.add_argument(
        "--backend",
        choices=("numba", "tensorflow", "opencv"),
        help="library that computes it (default: the fastest that is installed)",
    )
    parser.add_argument(
        "--bound",
        type=float,
        default=FLOW_BOUND,
        metavar="PIXELS",
        help="largest motion, in pixels per frame, that the 8-bit values represent",
    )
    parser.add_argument(
        "--rounding",
        choices=("round", "truncate"),
        default="round",
        help="how flow is rounded to 8 bits",
    )


def flow_choice(options):
    """The `ClipSpec` and the `FlowSettings` of the command line."""
    from kinetics_i3d.flow.settings import TVL1, FlowSettings

    if options.fast and options.method != "tvl1":
        raise UserError(f"--fast is for --method tvl1 only. Received: --method {options.method}")
    settings = FlowSettings(
        options.method,
        parameters=TVL1.fast() if options.fast else None,
        backend=options.backend,
        bound=options.bound,
        rounding=options.rounding,
    )
    return flow_spec(options.weights) if options.weights else SPECS[options.spec], settings


def run(options):
    """Writes the flow files and prints their paths; returns the exit code."""
    from kinetics_i3d.data.datasets import find_videos
    from kinetics_i3d.flow.tree import flow_jobs, make_flow
    from kinetics_i3d.inference.features_files import output_paths

    spec, settings = flow_choice(options)
    load_keras_for_flow()
    trees = [*map(find_videos, options.sources)]
    jobs = flow_jobs(trees, out=options.output)
    # Two videos for one path are refused before any work.
    folders: dict = {}
    if options.pictures is not None:
        paths = output_paths(trees, options.pictures, content="flow")
        folders = {os.path.abspath(video): path for video, path in paths.items()}
    if options.show is not None:
        check_names(jobs, options.show)
    progress = FlowProgress(jobs)
    made = make_flow(
        jobs,
        spec=spec,
        settings=settings,
        workers=options.workers,
        replace=options.replace,
        progress=progress.flows,
    )
    results, failures = [], []
    for result in made:
        error = result.error
        if error is None and options.show is not None:
            error = show(result, options.show)
        if error is None and options.pictures is not None:
            error = write_pictures(result, folders[os.path.abspath(result.job.video)])
        if error is not None:
            failures.append(error)
            results.append({"video": str(result.job.video), "error": str(error)})
        else:
            results.append(result.to_dict())
            if not options.json:
                progress.clear()
                print(result.job.path, flush=True)
        progress(len(results))
    progress.close()
    if options.json:
        print(json.dumps(results, indent=2, ensure_ascii=False))
    for error in failures:
        complain(error)
    return 0 if not failures else 2 if len(failures) == len(results) else 1


def flow_spec(weights):
    """The `ClipSpec` of the flow that weights read.

    Args:
        weights: A name in the catalog, also of a pair, or a path.

    Returns:
        A `ClipSpec`.

    Raises:
        UserError: If they read no flow.
        WeightsError: If there are no such weights.

    Example:

    >>> flow_spec("kinetics_jhmdb").short_side
    208
    """
    from kinetics_i3d.weights.catalog import CATALOG, PAIRS
    from kinetics_i3d.weights.checkpoint import read_info
    from kinetics_i3d.weights.read import fetch_weights

    name = PAIRS[weights].members[1] if weights in PAIRS else weights
    if name in CATALOG:
        specs = {CATALOG[name].clip_spec.stream: CATALOG[name].clip_spec}
    else:
        info = read_info(fetch_weights(name)[0])
        specs = info.clip_specs if info else {}
    if "flow" not in specs:
        raise UserError(
            f"--weights must name weights that read flow. Received: {weights}, "
            + (f"which read {' and '.join(specs)}" if specs else "without a clip spec; use --spec")
        )
    return specs["flow"]


def shown_path(job, folder):
    """The path of the video that shows the flow of a job."""
    from kinetics_i3d.data.datasets import FLOW_VIDEO_SUFFIX

    return pathlib.Path(folder) / job.name.with_name(job.name.name + FLOW_VIDEO_SUFFIX)


def check_names(jobs, folder):
    """Raises `UserError` if two jobs have the same path of `shown_path`."""
    shown: dict = {}
    for job in jobs:
        other = shown.setdefault(job.name, job)
        if other is not job:
            raise UserError(
                f"{shown_path(job, folder)}: would show the flow of {other.video} and of "
                f"{job.video}; give each its own folder"
            )


def show(result, folder):
    """Writes the video for viewing, unless it exists; returns the error if that fails."""
    from kinetics_i3d.flow.cache import FlowFileError
    from kinetics_i3d.flow.visualization import show_flow

    path = shown_path(result.job, folder)
    shown = path.exists() and path.stat().st_mtime >= result.job.path.stat().st_mtime
    if shown or not result.flows:
        return None
    try:
        show_flow(result.job.video, result.job.path, path)
    except (VideoError, FlowFileError) as error:
        return error
    return None


def write_pictures(result, path):
    """Writes the flow as pictures to a folder, unless they exist; returns the error if it fails."""
    from kinetics_i3d.flow.cache import FlowFileError
    from kinetics_i3d.flow.stored import write_flow_pictures

    if not result.flows:
        return None
    if path.is_dir() and any(path.iterdir()):
        if not any(path.glob("flow_x_*")):
            return UserError(f"{path}: holds other files; choose another folder for --pictures")
        if path.stat().st_mtime >= result.job.path.stat().st_mtime:
            return None
        return UserError(
            f"{path}: is older than {result.job.path}; delete it and repeat the command"
        )
    try:
        write_flow_pictures(result.job.path, path)
    except FlowFileError as error:
        return error
    return None


class FlowProgress(Progress):
    """Shows the number of finished videos, or of finished flows for a single video.

    Args:
        jobs: The `FlowJob`s.
        stream: The stream to write to; by default stderr.
    """

    def __init__(self, jobs, *, stream=None):
        self.is_single = len(jobs) == 1
        total, noun = (None, "flows") if self.is_single else (len(jobs), "videos")
        super().__init__(total, noun, stream=stream)
        self.done = 0

    def __call__(self, done, note=""):
        """Shows that `done` videos are done."""
        self.done = done
        if not self.is_single:
            super().__call__(done, note)

    def flows(self, done):
        """Shows that `done` flows of the next video are computed."""
        if self.is_single:
            super().__call__(done)
        else:
            super().__call__(self.done, f"{done} flows of the next")
