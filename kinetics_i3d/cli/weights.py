"""`kinetics-i3d weights`: lists the weights that have a name, and downloads released ones.

With names, of rows or of a pair: all about those. The rows of images are what `inflate` and
`train --inflate` start from. Released weights come from the cache, from an
installed distribution that carries them, or from a download, whichever is first; the list shows
which. They are downloaded when they are first used, or here with --fetch, into KINETICS_I3D_CACHE
(by default ~/.cache/kinetics_i3d), from KINETICS_I3D_SOURCE (by default their public place). A
download that was stopped is continued by repeating it. What the publisher gives no checksum of is
verified by the shapes of its tensors, and says so. Exit code 1 if one failed.
"""

import json
import os

from kinetics_i3d.cli.complaints import complain
from kinetics_i3d.core.errors import UserError, WeightsError
from kinetics_i3d.core.progress import Progress

HEAD = ("name", "size", "classes", "clips", "from", "verified", "accuracy")
# state: (source of the weights, whether they are known to be whole). Checksums in a shipped file,
# and those of the release, are compared whenever the weights are read.
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
    parser.add_argument("names", nargs="*", metavar="NAME", help="name in the catalog")
    parser.add_argument(
        "--fetch",
        action="store_true",
        help="download them; without names, all released networks of clips",
    )
    parser.add_argument(
        "--source", metavar="URL", help="a mirror's address, or a folder, to download from"
    )
    parser.add_argument(
        "--json", action="store_true", help="print one array of objects in place of text"
    )


def run(options):
    """Prints the catalog, or what was asked of it; returns the exit code."""
    from kinetics_i3d.weights.catalog import CATALOG, IMAGES
    from kinetics_i3d.weights.download import find_source
    from kinetics_i3d.weights.read import find_entries

    if options.source is not None and not options.fetch:
        raise UserError("--source says where to download from; add --fetch")
    named = [row for name in options.names for row in find_entries(name)]
    rows = list({row.name: row for row in named}.values()) or [*CATALOG.values(), *IMAGES.values()]
    failures = {}
    if options.fetch:
        find_source(options.source)  # a wrong one is wrong for all
        if not named:
            rows = [row for row in CATALOG.values() if row.release is not None]
        for row in rows:
            error = fetch_row(row, options.source, quiet=options.json)
            if error is not None:
                failures[row.name] = str(error)
    if options.json:
        errors = {name: {"error": text} for name, text in failures.items()}
        found = [describe(row) | errors.get(row.name, {}) for row in rows]
        print(json.dumps(found, indent=2, ensure_ascii=False))
    elif not options.fetch and named:
        print("\n\n".join(details(row) for row in rows))
    elif not options.fetch:
        print(table(rows))
    return 1 if failures else 0


def fetch_row(row, source, *, quiet=False):
    """Makes sure that a row's files are there, and prints their path.

    Args:
        row: A `CatalogEntry`, or an `ImageEntry`.
        source: Where from; `None` for the default.
        quiet: Prints no path.

    Returns:
        The error, if that failed; it has been printed.
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
    """Shows how far a download is.

    Args:
        name: What is downloaded.
        size: Bytes in all, or `None`.
        stream: Where to; by default stderr.
    """

    def __init__(self, name, size, *, stream=None):
        total = None if size is None else -(-size // MEGABYTE)
        super().__init__(total, "MB", stage=name, stream=stream)

    def __call__(self, done, size=None):
        """Shows that `done` bytes are done."""
        super().__call__(-(-done // MEGABYTE))


def table(rows):
    """All rows as aligned columns, the pairs that they make, and what is wrong with a file."""
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
    """All about one row, a line each."""
    found = describe(row)
    spec = row.clip_spec
    images = found["input"] == "images"
    rate = "" if images else f"{spec.stream}, {spec.fps:g} fps, "
    first = ", ".join(row.labels[:FIRST_LABELS]) or "those that the archive brings, if any"
    more = ", ..." if len(row.labels) > FIRST_LABELS else ""
    lines = [
        ("system", f"{row.system}, architecture {row.architecture}"),
        (
            found["input"],
            f"{rate}short side {spec.short_side}, "
            f"{spec.size} x {spec.size} pixels, {spec.low:g} to {spec.high:g} (spec {spec.name})",
        ),
        ("labels", f"{row.classes}: {first}{more}"),
        ("accuracy", accuracy(row.accuracy)),
        ("protocol", row.protocol),
        ("terms", row.terms),
        ("command", row.command or "-"),
        ("pair", found["pair"] or "-"),
        ("from", found["from"]),
        ("verified", found["verified"]),
        ("by", found["verified_by"]),
        ("path", found["path"] or "-"),
    ]
    if "error" in found:
        lines.append(("error", found["error"]))
    if row.distribution is not None:
        lines.append(("install", row.distribution.command))
    if row.release is not None:
        lines.append(("source", found["source"]))
    lines += [
        ("file", "  ".join(str(part) for part in file.values() if part is not None))
        for file in found["files"]
    ]
    return "\n".join([row.name, *(f"  {name:<8}  {text}" for name, text in lines)])


def describe(row):
    """All about one row, ready for JSON."""
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
        source = row.release.place(row.release.address)
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
        "verified_by": "crc32c" if row.release is None else row.release.verified_by,
        "sources": list(row.sources),
        "install": None if row.distribution is None else row.distribution.command,
        "path": None if path is None else str(path),
        "source": source,
        "files": files,
    }
    return description | ({"error": str(error)} if error else {})


def examine_row(row):
    """Where the weights of a row would come from, without a download.

    Args:
        row: A `CatalogEntry` or an `ImageEntry`. The file of an installed distribution is read and
            verified.

    Returns:
        (a key of `STATES`, the error of a `"damaged"` distribution or `None`).
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
    """Whether the weights of a row are verified, and honestly so: "shapes" is less than "yes"."""
    _, verified = STATES[state]
    if verified == "yes" and row.release is not None and row.release.verified_by == "shapes":
        return "shapes"
    return verified


def describe_inputs(row):
    """What a row's network reads, in a few words."""
    spec = row.clip_spec
    if row.system == "InceptionV1":
        return f"images, {spec.size} px"
    return f"{spec.stream}, {spec.fps:g} fps, {spec.size} px"


def describe_size(row):
    """Bytes of all files of a row; `None` where a shipped one is missing, or nobody says."""
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
