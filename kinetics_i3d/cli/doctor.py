"""`kinetics-i3d doctor`: tells what in a video, or in an array made of one, spoils predictions.

A file that cannot be read is reported and passed over. Exit code 0 if nothing is wrong, 1 if
something is or a file could not be read, 2 if none could.
"""

import json

from kinetics_i3d.cli.arguments import SOURCES, expand_videos
from kinetics_i3d.cli.classify import picture_paths
from kinetics_i3d.cli.complaints import complain
from kinetics_i3d.core.clip_spec import SPECS
from kinetics_i3d.core.errors import UserError
from kinetics_i3d.weights import DEFAULT_WEIGHTS


def add_arguments(parser):
    """Adds this verb's arguments to `parser`."""
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help=f"a clip as *.npy or *.npz; {SOURCES}"
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--weights",
        default=DEFAULT_WEIGHTS[None],
        metavar="NAME|PATH",
        help="the model that shall read it: a name in the catalog, or a file",
    )
    what.add_argument(
        "--spec", choices=tuple(SPECS), metavar="NAME", help=f"in place of it: {', '.join(SPECS)}"
    )
    parser.add_argument(
        "--video", metavar="FILE", help="of an array: the video that it was made from"
    )
    parser.add_argument(
        "--output", metavar="PNG", help="also draw what the model sees; named as by classify"
    )
    parser.add_argument(
        "--json", action="store_true", help="print one array of objects in place of text"
    )


def run(options):
    """Prints the findings about each file; returns the exit code."""
    from kinetics_i3d.inference.doctor.examine import examine, is_array
    from kinetics_i3d.inference.doctor.spec import spec_of_weights

    options.files = expand_videos(options.files)
    pictures = picture_paths(options.output, options.files)
    spec = SPECS[options.spec] if options.spec else spec_of_weights(options.weights)
    for path in options.files:
        if options.video is not None and not is_array(path):
            raise UserError(f"{path}: --video belongs to arrays (*.npy, *.npz), this is a video")
    results = []
    for path, picture in zip(options.files, pictures, strict=True):
        try:
            report = examine(path, spec=spec, video=options.video)
            if picture is not None:
                from kinetics_i3d.inference.doctor.contact_sheet import draw_contact_sheet

                draw_contact_sheet(picture, report)
        except UserError as error:
            complain(error)
            results.append({"path": path, "error": str(error)})
        else:
            results.append(report.to_dict())
            if not options.json:
                show(report)
    if options.json:
        print(json.dumps(results, indent=2, ensure_ascii=False))
    failed = sum("error" in result for result in results)
    if failed == len(results):
        return 2
    return int(failed > 0 or any(result["wrong"] for result in results if "wrong" in result))


def show(report):
    """Prints a `Report`, a line for each finding."""
    print(f"{report.path} (for {report.spec.name}, {report.spec.stream})")
    for finding in report.findings:
        print(f"  {finding.severity:<5}  {finding.topic:<9}  {finding}", flush=True)
