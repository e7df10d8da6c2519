"""`kinetics-i3d weights`: list the named weights, and download released ones.

With names of weights or of a pair, it prints everything about them. Weights of image networks are
for `inflate` and `train --inflate`.

Released weights come from the first of these sources that has them: the cache, an installed
distribution, a download. The list shows which. They are downloaded on first use, or in advance with
--fetch, into KINETICS_I3D_CACHE (by default ~/.cache/kinetics_i3d) from KINETICS_I3D_SOURCE (by
default their public address). Rerunning a download that was stopped continues it. Weights without a
published checksum are verified only by the shapes of their tensors; the list says so. Exit code 1
if a download failed.
"""

import json
import os

from kinetics_i3d.cli.arguments import add_json_argument
from kinetics_i3d.cli.console import complain
from kinetics_i3d.core.errors import UserError, WeightsError
from kinetics_i3d.core.progress import Progress

EXAMPLES = (
    "kinetics-i3d weights",
    "kinetics-i3d weights rgb_kinetics600 --fetch",
)
HEAD = ("name", "size", "classes", "clips", "from", "verified", "accuracy")
# {state: (source of the weights, whether they have been verified)}. Checksums of shipped files and
# of the release are verified whenever the weights are read.
STATES = {
    "shipped": ("shipped", "when read"),
    "missing": ("shipped", "missing"),
    "cached": ("cache", "yes"),
    "to verify": ("cache", "when read"),
    "installed": ("distribution", "yes"),
    "damaged": ("distribution", "no"),
    "to download": ("download", "when downloaded"),
}
FIRST_LABELS = 5
MEGABYTE = 1_000_000


def add_arguments(parser):
    """Adds this verb's arguments to `parser`."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="names of weights or of a pair")
    parser.add_argument(
        "--fetch",
        action="store_true",
        help="download the named weights or, without names, all released video networks",
    )
    parser.add_argument(
        "--source",
        metavar="URL",
        help="address of a mirror, or a folder, to download from (default: KINETICS_I3D_SOURCE)",
    )
    add_json_argument(parser)


def run(options):
    """Prints the catalog, some of its rows, or the paths of downloads; returns the exit code."""
    from kinetics_i3d.weights.catalog import CATALOG, IMAGES
    from kinetics_i3d.weights.download import find_source
    from kinetics_i3d.weights.read import find_entries

    if options.source is not None and not options.fetch:
        raise UserError("--source sets where to download from; add --fetch")
    named = [row for name in options.names for row in find_entries(name)]
    rows = list({row.name: row for row in named}.values()) or [*CATALOG.values(), *IMAGES.values()]
    failures = {}
    if options.fetch:
        find_source(options.source)  # refused before the first download
        if not named:
            rows = [row for row in CATALOG.values() if row.release is not None]
        for row in rows:
            error = fetch_row(row, options.source, quiet=options.json)
            if error is not None:
                failures[row.name] = str(error)
    if options.json:
        errors = {name: {"error": text} for name, text in failures.items()}
        described = [describe(row) | errors.get(row.name, {}) for row in rows]
        print(json.dumps(described, indent=2, ensure_ascii=False))
    elif not options.fetch and named:
        print("\n\n".join(details(row) for row in rows))
    elif not options.fetch:
        print(table(rows))
    return 1 if failures else 0


def fetch_row(row, source, *, quiet=False):
    """Downloads a row's files if they are missing, and prints their path unless `quiet`.

    Returns the error, already printed, if that failed.
    """
    from kinetics_i3d.weights.download import fetch

    progress = None
    try:
        if row.release is None:
            path = row.path
        else:
            progress = DownloadProgress(row.name, row.release.size)
            path = fetch(row, source=source, progress=progress)
    except WeightsError as error:
        complain(error)
        return error
    finally:
        if progress is not None:
            progress.close()
    if not quiet:
        print(path, flush=True)
    return None


class DownloadProgress(Progress):
    """Progress of the download `name` in megabytes; `size` is in bytes, or None."""

    def __init__(self, name, size, *, stream=None):
        total = None if size is None else -(-size // MEGABYTE)
        super().__init__(total, "MB", stage=name, stream=stream)

    def __call__(self, done, size=None):
        """Shows that `done` bytes have arrived."""
        super().__call__(-(-done // MEGABYTE))


def table(rows):
    """All rows as aligned columns, the pairs of streams, and the errors of damaged files."""
    from kinetics_i3d.weights.catalog import PAIRS

    lines, errors = [HEAD], []
    for row in rows:
        size = describe_size(row)
        state, error = examine_row(row)
        errors += [str(error)] if error else []
        where, _ = STATES[state]
        lines.append(
            (
                row.name,
                "-" if size is None else f"{size / MEGABYTE:.1f} MB",
                str(row.classes),
                describe_inputs(row),
                where,
                how_verified(row, state),
                accuracy(row.accuracy),
            )
        )
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in lines]
    pairs = [
        f"{pair.name} = {pair.rgb} + {pair.flow}: {accuracy(pair.accuracy)}"
        for pair in PAIRS.values()
    ]
    return "\n".join([*text, "", *pairs, *(["", *errors] if errors else [])])


def details(row):
    """Everything about one row, in lines."""
    info = describe(row)
    spec = row.clip_spec
    images = info["input"] == "images"
    rate = "" if images else f"{spec.stream}, {spec.fps:g} fps, "
    first = ", ".join(row.labels[:FIRST_LABELS]) or "those of the archive, if any"
    more = ", ..." if len(row.labels) > FIRST_LABELS else ""
    lines = [
        ("system", f"{row.system}, architecture {row.architecture}"),
        (
            info["input"],
            f"{rate}short side {spec.short_side}, "
            f"{spec.size} x {spec.size} pixels, {spec.low:g} to {spec.high:g} (spec {spec.name})",
        ),
        ("labels", f"{row.classes}: {first}{more}"),
        ("accuracy", accuracy(row.accuracy)),
        ("protocol", row.protocol),
        ("terms", row.terms),
        ("command", row.command or "-"),
        ("pair", info["pair"] or "-"),
        ("from", info["from"]),
        ("verified", info["verified"]),
        ("by", info["verified_by"]),
        ("path", info["path"] or "-"),
    ]
    if "error" in info:
        lines.append(("error", info["error"]))
    if row.distribution is not None:
        lines.append(("install", row.distribution.command))
    if row.release is not None:
        lines.append(("source", info["source"]))
    lines += [
        ("file", "  ".join(str(part) for part in file.values() if part is not None))
        for file in info["files"]
    ]
    return "\n".join([row.name, *(f"  {name:<8}  {text}" for name, text in lines)])


def describe(row):
    """Everything about one row, ready for JSON."""
    from kinetics_i3d.weights.catalog import PAIRS
    from kinetics_i3d.weights.distribution import find_file
    from kinetics_i3d.weights.released import cache_folder

    pair = next((pair.name for pair in PAIRS.values() if row.name in pair.members), None)
    state, error = examine_row(row)
    where, _ = STATES[state]
    if row.release is None:
        files = [{"name": row.file, "size": describe_size(row), "blob": None, "sha256": None}]
        path = row.path if state == "shipped" else None
        source = None
    else:
        files = [
            {"name": file.name, "size": file.size, "blob": file.blob, "sha256": file.sha256}
            for file in row.release.files
        ]
        path = cache_folder() / row.name / row.release.main
        source = row.release.address_of(row.release.address)
    if state == "installed":
        path = find_file(row.distribution, row.name)
    description = {
        "name": row.name,
        "system": row.system,
        "architecture": row.architecture,
        "input": "images" if row.system == "InceptionV1" else "clips",
        "clip_spec": row.clip_spec.to_dict(),
        "classes": row.classes,
        "labels": list(row.labels),
        "accuracy": row.accuracy,
        "protocol": row.protocol,
        "terms": row.terms,
        "command": row.command,
        "pair": pair,
        "size": describe_size(row),
        "from": where,
        "verified": how_verified(row, state),
        "verified_by": verified_by(row, where),
        "sources": list(row.sources),
        "install": None if row.distribution is None else row.distribution.command,
        "path": None if path is None else str(path),
        "source": source,
        "files": files,
    }
    return description | ({"error": str(error)} if error else {})


def examine_row(row):
    """(key of `STATES`, error of a `"damaged"` distribution or None) of a row; downloads nothing.

    The file of an installed distribution is read and verified.
    """
    from kinetics_i3d.weights.distribution import find_file, read_distributed
    from kinetics_i3d.weights.released import cache_folder, state

    if row.release is None:
        return "missing" if describe_size(row) is None else "shipped", None
    cached = state(cache_folder() / row.name, row.release)
    if cached != "to download" or row.distribution is None:
        return cached, None
    try:
        path = find_file(row.distribution, row.name)
        if path is None:
            return cached, None
        read_distributed(row, path)
    except WeightsError as error:
        return "damaged", error
    return "installed", None


def how_verified(row, state):
    """How the weights of a row are verified; "shapes" is less than "yes"."""
    _, verified = STATES[state]
    if verified == "yes" and row.release is not None and row.release.verified_by == "shapes":
        return "shapes"
    return verified


def verified_by(row, where):
    """What the weights of a row are compared with, in the place where they are."""
    if where == "distribution":
        return "sha256, and the crc32c of each tensor"
    return "sha256" if row.release is None else row.release.verified_by


def describe_inputs(row):
    """The input of a row's network in a few words."""
    spec = row.clip_spec
    if row.system == "InceptionV1":
        return f"images, {spec.size} px"
    return f"{spec.stream}, {spec.fps:g} fps, {spec.size} px"


def describe_size(row):
    """Bytes of all files of a row; None if a shipped one is missing or the size is unknown."""
    if row.release is not None:
        return _size_in_cache(row) if row.release.size is None else row.release.size
    try:
        return row.path.stat().st_size
    except WeightsError:
        return None


def _size_in_cache(row):
    """Bytes of the files of a row that has been downloaded, or `None`."""
    from kinetics_i3d.weights.released import cache_folder

    paths = [cache_folder() / row.name / file.name for file in row.release.files]
    return sum(path.stat().st_size for path in paths) if all(map(os.path.isfile, paths)) else None


def accuracy(percents):
    """Percents by measure as text."""
    return ", ".join(f"{name} {percent:.1f}" for name, percent in percents.items()) or "-"
