"""tables.md, tables.json and the bar charts: results in the layout of the paper's tables.

Carreira & Zisserman, CVPR 2017, tables 2 to 5.
"""

import json
import pathlib

from kinetics_i3d.core.figure import ACCENT, FILL, INK, LINE, new_figure, shorten
from kinetics_i3d.core.files import atomic_path
from kinetics_i3d.evaluation.report import reports_installed
from kinetics_i3d.experiments.runs import (
    IMAGE_INITS,
    INITS,
    NUMBERS,
    PAGE,
    STREAM_TITLES,
    TRANSFERS,
    group_title,
    run_streams,
)
from kinetics_i3d.models.systems import paper_systems

_SYSTEMS_CHART = ("Trained on these videos alone", "systems.png")
_TRANSFER_CHART = ("Features from other videos", "transfer.png")
_NO_NUMBER = "–"
# Lines of the page on the initial weights, {key of `about`: title}.
_SOURCES = {
    "frames": "Single frames first",
    "imagenet": "ImageNet first",
    "sources": "Fixed and Full-FT start from",
}
_PAPER = "#b5460f"


def write_tables(output, results):
    """Writes tables.json and tables.md, and the charts if the extra `reports` is installed.

    `results` is what `make_results` returns. Every file is written atomically.
    """
    output = pathlib.Path(output)
    with atomic_path(output / NUMBERS) as path:
        path.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    charts = []
    if results["groups"] and reports_installed(f"charts of {PAGE}"):
        original = [group for group in results["groups"] if group["transfer"] == "original"]
        transferred = [group for group in results["groups"] if group["transfer"] != "original"]
        for groups, (title, name) in ((original, _SYSTEMS_CHART), (transferred, _TRANSFER_CHART)):
            if groups:
                draw_bars(output / name, groups, title=f"{title}, {results['about']['dataset']}")
                charts.append((title, name))
    with atomic_path(output / PAGE) as path:
        path.write_text(as_markdown(results, charts=charts), encoding="utf-8")


def as_markdown(results, *, charts=()):
    """The content of tables.md, given the results and the (title, file name) of each chart.

    Accuracies are means over seeds, with the sample standard deviation after ± and the number of
    seeds in parentheses; the paper's number is in square brackets.
    """
    groups = {
        tuple(group[name] for name in ("system", "stream", "init", "transfer")): group
        for group in results["groups"]
    }
    parts = [_header(results), _systems_table(groups), _images_table(groups)]
    parts.append(_transfer_table(groups))
    parts += [f"![{title}]({name})" for title, name in charts]
    if results["claims"]:
        lines = [f"- {hypothesis['sentence']}" for hypothesis in results["claims"]]
        parts.append("## Hypotheses of the paper\n\n" + "\n".join(lines))
    for title, key in (("Left out", "left_out"), ("Failed", "failed")):
        if results[key]:
            lines = [f"- {name}: {reason}" for name, reason in results[key].items()]
            parts.append(f"## {title}\n\n" + "\n".join(lines))
    return "\n\n".join(part for part in parts if part) + "\n"


def _format_group(group):
    """A group of the results as text, such as `63.2 ± 1.4 (3) [71.1]`; a dash for `None`."""
    if group is None:
        return _NO_NUMBER
    spread = "" if group["spread"] is None else f" ± {group['spread']:.1f}"
    paper = "" if group["paper"] is None else f" [{group['paper']:.1f}]"
    return f"{group['mean']:.1f}{spread} ({len(group['seeds'])}){paper}"


def _header(results):
    about, scale = results["about"], results["scale"]
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    lines = [
        f"# The paper's tables on {about['dataset']}",
        "",
        f"Top-1 accuracy in % on {about['test_videos']} videos of the split `{about['split']}`, "
        f"{about['classes']} classes; {about['training_videos']} training videos. Mean ± sample "
        "standard deviation over seeds, with the number of seeds in parentheses.",
    ]
    if any(group["paper"] is not None for group in results["groups"]):
        lines[-1] += " The paper's number is in square brackets."
    else:
        lines[-1] += " The paper has no numbers for these runs."
    lines += ["", f"Scale `{scale['name']}`: {scale['about']}."]
    lines += [f"\n{title}: {about[key]}." for key, title in _SOURCES.items() if about.get(key)]
    lines += ["", f"Made with {versions}."]
    return "\n".join(lines)


def _systems_table(groups):
    """Table 2: systems by streams, one line for each initialization."""
    rows = []
    for system, row in paper_systems().items():
        for init, title in INITS.items():
            streams = [groups.get((system, stream, init, "original")) for stream in STREAM_TITLES]
            if any(streams):
                rows.append((f"({row.letter}) {row.title}", title, *map(_format_group, streams)))
    return _table(
        "## Table 2: systems trained on these videos alone",
        ("system", "initialization", *STREAM_TITLES.values()),
        rows,
    )


def _images_table(groups):
    """Table 3: from scratch and from image weights."""
    rows = []
    for system, row in paper_systems().items():
        for stream in run_streams(row):
            scratch = groups.get((system, stream, "scratch", "original"))
            for init in IMAGE_INITS:
                images = groups.get((system, stream, init, "original"))
                if scratch and images:
                    gain = f"{images['mean'] - scratch['mean']:+.1f}"
                    both = [
                        f"{_format_group(group)}, top-5 {group['mean_top5']:.1f}"
                        for group in (scratch, images)
                    ]
                    name = f"({row.letter}) {group_title((system, stream))}"
                    rows.append((name, INITS[init], *both, gain))
    return _table(
        "## Table 3: from scratch and from image weights",
        ("system", "initialization", "from scratch", "from image weights", "gain"),
        rows,
    )


def _transfer_table(groups):
    """Tables 4 and 5: features learned on other videos."""
    rows = []
    for system, row in paper_systems().items():
        for stream in run_streams(row):
            for init, title in INITS.items():
                original = "scratch" if init == "given" else init
                modes = [
                    groups.get((system, stream, original if mode == "original" else init, mode))
                    for mode in TRANSFERS
                ]
                if any(modes[1:]):
                    name = f"({row.letter}) {group_title((system, stream))}"
                    rows.append((name, title, *map(_format_group, modes)))
    return _table(
        "## Table 4: features from other videos",
        ("system", "initialization there", *TRANSFERS.values()),
        rows,
    )


def _table(title, columns, rows):
    """A heading and a Markdown table; empty without rows."""
    if not rows:
        return ""
    lines = [columns, ["---"] * len(columns), *rows]
    return f"{title}\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines)


def draw_bars(path, groups, *, title):
    """Draws a bar for each group's mean, a dot for each seed, and a line at the paper's number.

    Args:
        path: The PNG to write, atomically.
        groups: Items of `groups` of `make_results`, from top to bottom, one or more.
        title: Line above the chart.

    Raises:
        UserError: If `path` is not a PNG, or Matplotlib is missing.
        ValueError: If there are no groups.

    Example:

    >>> group = {"system": "C3D", "stream": "rgb", "init": "scratch", "transfer": "original",
    ...     "top1": [50.0, 54.0], "mean": 52.0, "spread": 2.8, "paper": None}
    >>> draw_bars(folder / "bars.png", [group], title="One system")
    """
    groups = list(groups)
    if not groups:
        raise ValueError("`groups` must not be empty. Received: groups=[]")
    rows = range(len(groups))
    height = 0.32 * len(groups) + 0.1
    with new_figure(path, width=5.2, height=height) as figure:
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_title(shorten(title, 80))
        means = [group["mean"] for group in groups]
        axes.barh(rows, means, height=0.55, color=FILL, label="mean top-1 accuracy in %")
        seeds = [(value, row) for row, group in enumerate(groups) for value in group["top1"]]
        axes.plot(*zip(*seeds, strict=True), "o", color=ACCENT, markersize=5, label="one seed")
        paper = [
            (group["paper"], row) for row, group in enumerate(groups) if group["paper"] is not None
        ]
        if paper:
            style = {"color": _PAPER, "markersize": 16, "markeredgewidth": 2.5}
            axes.plot(*zip(*paper, strict=True), "|", label="paper", **style)
        for row, group in enumerate(groups):
            spread = "" if group["spread"] is None else f" ± {group['spread']:.1f}"
            axes.text(103, row, f"{group['mean']:.1f}{spread}", va="center", color=INK)
        axes.set_yticks(rows, [_bar_label(group) for group in groups])
        axes.set(xlim=(0, 100), ylim=(len(groups) - 0.5, -0.5), xticks=range(0, 101, 20))
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", color=LINE, linewidth=0.8)
        axes.set_axisbelow(True)
        # The distance between chart and legend is in axes heights, hence divided by the height.
        axes.legend(
            loc="upper left",
            bbox_to_anchor=(-0.02, -0.3 / height),
            ncols=3,
            fontsize=9,
            handlelength=1.2,
            borderaxespad=0,
        )


def _bar_label(group):
    """System, initialization and transfer in words, such as `3D-ConvNet, from scratch`."""
    words = [group_title((group["system"], group["stream"])), INITS[group["init"]]]
    if group["transfer"] != "original":
        words.append(TRANSFERS[group["transfer"]])
    return ", ".join(words)
