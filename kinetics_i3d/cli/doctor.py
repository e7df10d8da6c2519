"""`kinetics-i3d doctor`: check a video, or an array made from one, for wrong preprocessing.

It names wrong frame rates, sizes, value ranges and channel orders, and prints the line that fixes
each. A file that cannot be read is reported and skipped. Exit code 0 if nothing is wrong, 1 if a
file has a problem or cannot be read, 2 if no file can be read.
"""

import json

from kinetics_i3d.cli.arguments import (
    SOURCES,
    add_json_argument,
    add_output_argument,
    expand_videos,
)
from kinetics_i3d.cli.classify import picture_paths
from kinetics_i3d.cli.console import complain, try_to_draw
from kinetics_i3d.core.clip_spec import SPECS
from kinetics_i3d.core.errors import UserError
from kinetics_i3d.weights import DEFAULT_WEIGHTS

EXAMPLES = (
    "kinetics-i3d doctor video.mp4",
    "kinetics-i3d doctor clip.npy --video video.mp4 --output sheet.png",
)


def add_arguments(parser):
    """Adds this verb's arguments to `parser`."""
    parser.add_argument(
        "files",
        nargs="+",
        metavar="VIDEO|FOLDER|LIST",
        help=f"a clip as .npy or .npz; or {SOURCES}",
    )
    target = parser.add_mutually_exclusive_group()
    target.add_argument(
        "--weights",
        default=DEFAULT_WEIGHTS[None],
        metavar="NAME|PATH",
        help="weights of the network of one stream that will read the clips: a name that "
        "`kinetics-i3d weights` lists, or a file",
    )
    target.add_argument(
        "--spec",
        choices=tuple(SPECS),
        metavar="NAME",
        help=f"clip spec to check against, instead of the weights' own: {', '.join(SPECS)}",
    )
    parser.add_argument(
        "--video", metavar="FILE", help="for an array: the video that it was made from"
    )
    add_output_argument(
        parser,
        "PNG",
        "also draw the frames as the model sees them; for several files, the name of each is added "
        'before the suffix; needs the extra "pictures"',
    )
    add_json_argument(parser)


def run(options):
    """Prints the findings about each file; returns the exit code."""
    from kinetics_i3d.inference.doctor import examine, is_array, spec_of_weights

    options.files = expand_videos(options.files)
    pictures = picture_paths(options.output, options.files)
    spec = SPECS[options.spec] if options.spec else spec_of_weights(options.weights)
    for path in options.files:
        if options.video is not None and not is_array(path):
            raise UserError(f"{path}: --video is for arrays (*.npy, *.npz); this is a video")
    results = []
    undrawn = 0
    for path, picture in zip(options.files, pictures, strict=True):
        try:
            report = examine(path, spec=spec, video=options.video)
        except UserError as error:
            complain(error)
            results.append({"path": path, "error": str(error)})
        else:
            results.append(report.to_dict())
            if not options.json:
                print(report, flush=True)
            if picture is not None:
                undrawn += not draw(picture, report)
    if options.json:
        print(json.dumps(results, indent=2, ensure_ascii=False))
    failed = undrawn + sum("error" in result for result in results)
    if failed >= len(results):
        return 2
    return int(failed > 0 or any(result.get("has_errors") for result in results))


def draw(picture, report):
    """Draws the frames of a report; returns whether it worked."""
    from kinetics_i3d.inference.doctor.contact_sheet import draw_contact_sheet

    return try_to_draw(draw_contact_sheet, picture, report)
