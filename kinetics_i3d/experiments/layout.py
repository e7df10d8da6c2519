"""`as_markdown`: the results in the layout of the paper's tables, its numbers beside them.

Carreira & Zisserman, CVPR 2017, tables 2 to 5.
"""

from kinetics_i3d.experiments.cells import (
    IMAGES,
    INITS,
    ROWS,
    STREAM_TITLES,
    TRANSFERS,
    group_title,
)

NONE = "–"
# What is told of where networks began, {key of `about`: words}.
BEGAN = {
    "frames": "Single frames first",
    "imagenet": "ImageNet first",
    "sources": "Fixed and Full-FT start from",
}


def as_markdown(results, *, pictures=()):
    """The page of the tables.

    Args:
        results: What `results_of` gives.
        pictures: (title, file name) of the pictures beside it.

    Returns:
        Markdown. Accuracies are means over seeds, with the sample standard deviation after ± and
        the number of seeds in brackets; the paper's number stands in square brackets.
    """
    groups = {
        tuple(row[name] for name in ("system", "stream", "init", "transfer")): row
        for row in results["groups"]
    }
    parts = [_head(results)]
    parts.append(_systems(groups))
    parts.append(_starts(groups))
    parts.append(_transfer(groups))
    parts += [f"![{title}]({name})" for title, name in pictures]
    if results["claims"]:
        lines = [f"- {claim['sentence']}" for claim in results["claims"]]
        parts.append("## What the numbers say\n\n" + "\n".join(lines))
    for title, names in (("Left out", "left_out"), ("Failed", "failed")):
        if results[names]:
            lines = [f"- {name}: {why}" for name, why in results[names].items()]
            parts.append(f"## {title}\n\n" + "\n".join(lines))
    return "\n\n".join(part for part in parts if part) + "\n"


def number(group):
    """One place of a table.

    Args:
        group: A row of `groups` of `results_of`, or `None`.

    Returns:
        Text such as `63.2 ± 1.4 (3) [71.1]`.

    Example:

    >>> number({"mean": 63.21, "spread": 1.42, "seeds": [0, 1, 2], "paper": 71.1})
    '63.2 ± 1.4 (3) [71.1]'
    """
    if group is None:
        return NONE
    spread = "" if group["spread"] is None else f" ± {group['spread']:.1f}"
    paper = "" if group["paper"] is None else f" [{group['paper']:.1f}]"
    return f"{group['mean']:.1f}{spread} ({len(group['seeds'])}){paper}"


def _head(results):
    about, scale = results["about"], results["scale"]
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    lines = [
        f"# The paper's tables on {about['dataset']}",
        "",
        f"Top-1 accuracy in % on {about['test_videos']} videos of the split `{about['split']}`, "
        f"{about['classes']} classes; {about['training_videos']} videos to train with. Mean ± "
        "sample standard deviation over seeds (their number).",
    ]
    if any(row["paper"] is not None for row in results["groups"]):
        lines[-1] += " In square brackets the paper's number."
    else:
        lines[-1] += " The paper has no numbers of this dataset."
    lines += ["", f"Scale `{scale['name']}`: {scale['about']}."]
    lines += [f"\n{name}: {about[key]}." for key, name in BEGAN.items() if about.get(key)]
    lines += ["", f"Made with {versions}."]
    return "\n".join(lines)


def _systems(groups):
    """Table 2: systems by streams, each start in a line of its own."""
    rows = []
    for system, row in ROWS.items():
        for init, start in INITS.items():
            found = [groups.get((system, stream, init, "original")) for stream in STREAM_TITLES]
            if any(found):
                name = f"({row.letter}) {row.title}"
                rows.append((name, start, *map(number, found)))
    return _table(
        "## Table 2: the systems, trained on these videos alone",
        ("system", "start", *STREAM_TITLES.values()),
        rows,
    )


def _starts(groups):
    """Table 3: with and without images first."""
    rows = []
    for system, row in ROWS.items():
        for stream in row.streams:
            plain = groups.get((system, stream, "scratch", "original"))
            for init in IMAGES:
                first = groups.get((system, stream, init, "original"))
                if plain and first:
                    gain = f"{first['mean'] - plain['mean']:+.1f}"
                    both = [
                        f"{number(one)}, top-5 {one['mean_top5']:.1f}" for one in (plain, first)
                    ]
                    name = group_title((system, stream))
                    rows.append((f"({row.letter}) {name}", INITS[init], *both, gain))
    return _table(
        "## Table 3: from scratch and from images",
        ("system", "start", "from scratch", "from images", "gain"),
        rows,
    )


def _transfer(groups):
    """Tables 4 and 5: what features from other videos are worth."""
    rows = []
    for system, row in ROWS.items():
        for stream in row.streams:
            for init, start in INITS.items():
                own = "scratch" if init == "given" else init
                found = [
                    groups.get((system, stream, own if mode == "original" else init, mode))
                    for mode in TRANSFERS
                ]
                if any(found[1:]):
                    name = group_title((system, stream))
                    rows.append((f"({row.letter}) {name}", start, *map(number, found)))
    return _table(
        "## Table 4: features from other videos",
        ("system", "start there", *TRANSFERS.values()),
        rows,
    )


def _table(title, head, rows):
    """A title and a Markdown table; nothing without rows."""
    if not rows:
        return ""
    lines = [head, ["---"] * len(head), *rows]
    return f"{title}\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines)
