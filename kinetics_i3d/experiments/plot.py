"""`draw_bars`: accuracies as bars, each seed a dot, the paper's number a line across."""

from kinetics_i3d.core.canvas import (
    ACCENT,
    INK,
    LINE,
    MUTED,
    Canvas,
    check_picture_path,
    text_width,
)
from kinetics_i3d.experiments.cells import INITS, TRANSFERS, group_title

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
