"""`as_markdown`: the results in the layout of the paper's tables, its numbers beside them.

Carreira & Zisserman, CVPR 2017, tables 2 to 5.
"""

from kinetics_i3d.core.canvas import (
    ACCENT,
    INK,
    LINE,
    MUTED,
    Canvas,
    check_picture_path,
    text_width,
)
from kinetics_i3d.experiments.runs import (
    IMAGES,
    INITS,
    STREAM_TITLES,
    TRANSFERS,
    group_title,
    run_streams,
)
from kinetics_i3d.models.systems import paper_systems

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
    for system, row in paper_systems().items():
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
    for system, row in paper_systems().items():
        for stream in run_streams(row):
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
    for system, row in paper_systems().items():
        for stream in run_streams(row):
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


MARGIN = 36
NAME, BARS, VALUE = 340, 520, 150  # pixels of the columns; all names fit
ROW = 30
PALE = (190, 211, 240)
PAPER_MARK = (196, 84, 28)


def draw_bars(path_out, groups, *, title, paper="paper"):
    """Draws a bar a group, from 0 to 100 %, with a dot for each seed.

    Args:
        path_out: The picture, `*.png`. It appears whole or not at all.
        groups: Rows of `groups` of `results_of`, in the order to draw, one or more.
        title: A line above.
        paper: What the marks of the paper's numbers are called in the legend.

    Raises:
        UserError: If `path_out` cannot be a picture, or Pillow is missing.
        ValueError: If there are no groups.

    Example:

    >>> group = {"system": "C3D", "stream": "rgb", "init": "scratch", "transfer": "original",
    ...     "top1": [50.0, 54.0], "mean": 52.0, "spread": 2.8, "paper": None}
    >>> draw_bars(folder / "bars.png", [group], title="One system")
    """
    groups = list(groups)
    if not groups:
        raise ValueError("`groups` must be one or more. Received: none")
    check_picture_path(path_out)
    marked = any(group["paper"] is not None for group in groups)
    top = MARGIN + 44
    foot = top + ROW * len(groups)
    left = MARGIN + NAME
    canvas = Canvas(left + BARS + VALUE + MARGIN, foot + 64)
    canvas.text((MARGIN, MARGIN), title, size=20, width=NAME + BARS + VALUE)
    for share in range(0, 101, 20):
        x = left + BARS * share // 100
        canvas.box((x, top - 6), (1, foot - top + 6), LINE)
        canvas.text((x, foot + 12), str(share), size=12, color=MUTED, anchor="mm")
    for row, group in enumerate(groups):
        _draw_row(canvas, (left, top + row * ROW), group)
    _draw_legend(canvas, (left, foot + 40), paper if marked else None)
    canvas.save(path_out)


def bar_name(group):
    """What a bar is called: system, start and mode.

    Args:
        group: A row of `groups` of `results_of`.

    Example:

    >>> bar_name({"system": "C3D", "stream": "rgb", "init": "scratch", "transfer": "original"})
    '3D-ConvNet, from scratch'
    """
    words = [group_title((group["system"], group["stream"])), INITS[group["init"]]]
    if group["transfer"] != "original":
        words.append(TRANSFERS[group["transfer"]])
    return ", ".join(words)


def _draw_row(canvas, place, group):
    left, top = place
    middle = top + ROW // 2
    canvas.text((left - 12, middle), bar_name(group), size=15, anchor="rm", width=NAME - 12)
    height = 16
    width = round(BARS * group["mean"] / 100)
    canvas.box((left, middle - height // 2), (width, height), PALE, radius=2)
    for value in group["top1"]:
        x = left + BARS * value / 100
        canvas.draw.ellipse((x - 3, middle - 3, x + 3, middle + 3), fill=ACCENT)
    if group["paper"] is not None:
        x = left + round(BARS * group["paper"] / 100)
        canvas.box((x - 1, middle - 11), (3, 22), PAPER_MARK)
    spread = "" if group["spread"] is None else f" ± {group['spread']:.1f}"
    canvas.text((left + BARS + 14, middle), f"{group['mean']:.1f}{spread}", size=15, color=INK)


def _draw_legend(canvas, place, paper):
    x, y = place
    for mark, text in ((PALE, "mean, top-1 in %"), (ACCENT, "a seed"), (PAPER_MARK, paper)):
        if text is None:
            continue
        if mark == ACCENT:
            canvas.draw.ellipse((x + 3, y - 3, x + 9, y + 3), fill=mark)
        else:
            size = (12, 12) if mark == PALE else (3, 16)
            canvas.box((x, y - size[1] // 2), size, mark)
        canvas.text((x + 18, y), text, size=12, color=MUTED)
        x += 18 + int(text_width(text, size=12)) + 26
