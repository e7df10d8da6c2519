"""`draw_confusion`: the confusion matrix of an evaluation as a picture."""

import numpy as np

from kinetics_i3d.core.canvas import INK, LINE, MUTED, PAPER, Canvas, check_picture_path, text_width

MARGIN = 36
LABEL = 230  # most pixels of a class name
ACCURACY = 150  # the column at the right
LEGEND = 340  # the lines below
# Share 0 to 1 of a row: ever darker, so that it can be read without colours too.
RAMP = ((255, 255, 255), (205, 224, 245), (116, 169, 222), (38, 107, 187), (10, 48, 107))
DARK = 0.66  # share from which white is read better than ink
MOST = 60  # classes that are drawn all; of more, the PART that is confused most
PART = 40
OTHERS = "any other class"


def draw_confusion(path_out, counts, labels, *, title=None):
    """Draws which class was taken for which.

    Rows are the true classes, coloured by their share; cells show the counts, and the right edge
    each class's accuracy. Of more than 60 classes, the 40 that are confused most are drawn, with
    one more column for all others.

    Args:
        path_out: The picture, `*.png`. It appears whole or not at all.
        counts: Whole numbers (classes, classes), rows by true class, such as
            `Evaluation.confusion()`.
        labels: Class names, 2 or more.
        title: A line above; none by default.

    Raises:
        UserError: If `path_out` cannot be a picture, or Pillow is missing.
        ValueError: If `counts` is not square, is negative, or `labels` are not as many.

    Example:

    >>> draw_confusion(folder / "confusion.png", [[3, 1], [0, 4]], ("sit", "stand"))
    """
    counts = np.asarray(counts)
    classes = len(labels)
    if counts.shape != (classes, classes) or classes < 2 or counts.min() < 0:
        raise ValueError(
            "`counts` must be numbers of videos, (classes, classes) for 2 or more `labels`. "
            f"Received: shape {counts.shape} and {classes} labels"
        )
    check_picture_path(path_out)
    counts, rows, columns = selected(counts, labels)
    classes = len(columns)
    cell = int(np.clip(1080 // classes, 22, 56))
    size = int(np.clip(cell * 0.42, 11, 17))
    longest = min(LABEL, max(text_width(label, size=size) for label in columns))
    left = MARGIN + 26 + int(longest) + 12
    top = MARGIN + (40 if title else 0) + int(longest * 0.71) + 26
    side, depth = cell * classes, cell * len(rows)
    # The last slanted name must not be cut.
    right = max(side + ACCURACY, LEGEND, side - cell // 2 + int(longest * 0.71) + size)
    canvas = Canvas(left + right + MARGIN, top + depth + 112)
    if title:
        width = canvas.image.width - 2 * MARGIN
        canvas.text((MARGIN, MARGIN + 8), title, size=22, width=width)

    shares = row_shares(counts)
    canvas.box((left - 1, top - 1), (side + 2, depth + 2), LINE)
    for row, column in np.ndindex(counts.shape):
        place = (left + column * cell, top + row * cell)
        _draw_cell(canvas, place, cell, counts[row, column], shares[row, column])
    fit = {"size": size, "width": LABEL}
    for index, label in enumerate(rows):
        canvas.text((left - 12, top + index * cell + cell // 2), label, anchor="rm", **fit)
    for index, label in enumerate(columns):
        canvas.slanted_text((left + index * cell + cell // 2, top - 10), label, **fit)
    _draw_accuracies(canvas, (left + side + 14, top), cell, size, counts)
    note = "" if len(rows) == len(labels) else f" of the {len(rows)} classes confused most"
    _draw_total(canvas, (left, top + depth + 22), counts, note)
    _draw_scale(canvas, (left, top + depth + 64))
    canvas.save(path_out)


def selected(counts, labels):
    """What is drawn of a confusion matrix.

    Args:
        counts: Whole numbers (classes, classes).
        labels: Class names.

    Returns:
        (counts, names of the rows, names of the columns): all of up to 60 classes; of more, those
        that are confused most, in their order, and a last column of the sums of all others.
    """
    if len(labels) <= MOST:
        return counts, labels, labels
    chosen = most_confused(counts, PART)
    part = counts[np.ix_(chosen, chosen)]
    others = counts[chosen].sum(axis=1, keepdims=True) - part.sum(axis=1, keepdims=True)
    names = [labels[index] for index in chosen]
    return np.hstack([part, others]), names, [*names, OTHERS]


def most_confused(counts, most):
    """The classes of the most frequent confusions, pair after pair.

    Args:
        counts: Whole numbers (classes, classes), rows by true class.
        most: How many classes.

    Returns:
        Their numbers, in order: those of the pairs that are confused most often, either way; if
        there are not so many, the first of the others.

    Example:

    >>> most_confused([[9, 0, 1, 0], [0, 9, 0, 0], [0, 0, 9, 0], [2, 0, 0, 7]], 3)
    [0, 2, 3]
    """
    counts = np.array(counts)
    np.fill_diagonal(counts, 0)
    pairs = np.triu(counts + counts.T)
    chosen: dict = {}
    for place in np.argsort(-pairs, axis=None, kind="stable")[: np.count_nonzero(pairs)]:
        for index in np.unravel_index(place, pairs.shape):
            if len(chosen) < most:
                chosen[int(index)] = True
    rest = (index for index in range(len(counts)) if index not in chosen)
    chosen.update((index, True) for index, _ in zip(rest, range(most - len(chosen)), strict=False))
    return sorted(chosen)


def row_shares(counts):
    """Each row divided by its sum; a row of zeros stays one.

    Args:
        counts: (classes, classes).

    Returns:
        float64 array of the same shape, 0 to 1.

    Example:

    >>> row_shares([[3, 1], [0, 0]])
    array([[0.75, 0.25],
           [0.  , 0.  ]])
    """
    counts = np.asarray(counts, float)
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)


def shade(share):
    """The colour of a share of 0 to 1, (red, green, blue)."""
    steps = np.linspace(0, 1, len(RAMP))
    return tuple(round(float(np.interp(share, steps, part))) for part in zip(*RAMP, strict=True))


def _draw_cell(canvas, place, cell, count, share):
    # A line of one pixel between cells, unless they are too small to spare it.
    inner = cell - 1 if cell > 20 else cell
    canvas.box(place, (inner, inner), shade(share))
    if count:
        color = PAPER if share > DARK else INK
        middle = (place[0] + inner / 2, place[1] + inner / 2)
        size = int(min(cell * 0.5, 17, cell * 1.5 / len(str(count))))
        canvas.text(middle, str(count), size=max(7, size), color=color, anchor="mm")


def _draw_accuracies(canvas, place, cell, size, counts):
    """A bar and a percentage for each class that occurs."""
    x, top = place
    for row, (right, videos) in enumerate(zip(counts.diagonal(), counts.sum(axis=1), strict=True)):
        y = top + row * cell + cell // 2
        if not videos:
            canvas.text((x, y), "no videos", size=size, color=MUTED)
            continue
        width, height = 64, max(4, cell // 5)
        canvas.box((x, y - height // 2), (width, height), LINE)
        canvas.box((x, y - height // 2), (round(width * right / videos), height), shade(0.75))
        canvas.text((x + width + 10, y), f"{100 * right / videos:.0f} %", size=size)


def _draw_scale(canvas, place):
    """The colours from 0 to 100 %."""
    width, height = 200, 12
    row = np.array([shade(share) for share in np.linspace(0, 1, width)], np.uint8)
    canvas.box((place[0] - 1, place[1] - 1), (width + 2, height + 2), LINE)
    canvas.paste(place, np.repeat(row[np.newaxis], height, axis=0))
    below = place[1] + height + 10
    canvas.text((place[0], below), "0", size=12, color=MUTED)
    canvas.text((place[0] + width, below), "100 % of the row", size=12, color=MUTED, anchor="mm")


def _draw_total(canvas, place, counts, note):
    videos = int(counts.sum())
    right = int(counts.diagonal().sum())
    share = f", {100 * right / videos:.1f} % right" if videos else ""
    canvas.text(place, f"{videos} videos{note}{share}", size=16)
    below = (place[0], place[1] + 22)
    legend = "row: true class; column: prediction; right: accuracy"
    canvas.text(below, legend, size=13, color=MUTED)
