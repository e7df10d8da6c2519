"""`cut`: which part of its file a row with times is of.

A file that is named by its id and times is cut already; one that is named by its id alone may be
the whole upload, which its length tells.
"""

import concurrent.futures
import math
import re

from absl import logging

from kinetics_i3d.core.errors import VideoError
from kinetics_i3d.video.frame_folder import open_source
from kinetics_i3d.video.span import Span

CUT = re.compile(r"(?s).*_(\d{6})_(\d{6})")  # the name of a cut file, without suffix
# Tools that cut at keyframes leave a few seconds more than was asked for.
FACTOR, MORE = 1.5, 1.0
THREADS = 8  # headers that are read at once: on a network's disk each takes a while


def cut(files, where):
    """Finds the parts of the files that rows with times are of.

    Args:
        files: (row, path, stem) of each row: the `Row`, its file or None, and the one of its stems
            that the file was found by.
        where: What the log names.

    Returns:
        A list of (row, path, span): the path is None too where an id alone names one piece of
        several; the span is None where the row is of the whole file.
    """
    unsure = sorted({path for row, path, stem in files if path and stem in row.whole})
    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        lengths = dict(zip(unsure, pool.map(_length, unsure), strict=True))
    cuts, shortened = [], 0
    for row, path, stem in files:
        span = None if path is None or row.start is None else _span(row, path)
        if span is not None and stem in row.whole:
            if _is_whole(lengths[path], span):
                shortened += 1
            else:
                path = None if stem in row.shared else path
                span = None
        cuts.append((row, path, span))
    if shortened:
        logging.warning(
            "%s: %d videos are named by their id alone and much longer than their times say; they "
            "are cut to those times",
            where,
            shortened,
        )
    return cuts


def _span(row, path):
    """The span of a row, or None if its file's name says that it was cut to it."""
    named = CUT.fullmatch(path.stem)
    times = (row.start, row.end)
    if named and tuple(map(int, named.groups())) == tuple(
        int(time) if math.isfinite(time) else time for time in times
    ):
        return None
    if row.start == 0 and row.end == math.inf:
        return None
    return Span(row.start, None if row.end == math.inf else row.end)


def _is_whole(length, span):
    """Whether a file of a length is too long to be the span alone."""
    if length is None:
        return False
    if span.end is None:
        return length > span.start
    wanted = span.end - span.start
    return length > FACTOR * wanted + MORE


def _length(path):
    """Seconds that a file's header tells, or None."""
    try:
        with open_source(path, threads=1) as source:
            return source.duration
    except VideoError:  # whoever reads the video says so
        return None
