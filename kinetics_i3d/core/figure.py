"""`new_figure`: the style, the colors and the atomic PNG files of all plots.

Drawn with Matplotlib, https://matplotlib.org, which the extra `reports` installs.
"""

import contextlib
import warnings

from kinetics_i3d.core.canvas import check_picture_path, printable
from kinetics_i3d.core.errors import UserError
from kinetics_i3d.core.files import atomic_path

INK, MUTED, LINE, FILL, ACCENT = "#1e2228", "#59616d", "#d5dae1", "#a9c8ea", "#14458f"
DPI = 100
_STYLE = {
    "font.family": "DejaVu Sans",  # comes with Matplotlib
    "font.size": 10,
    "text.color": INK,
    "text.parse_math": False,  # a `$` in a class name is a dollar sign
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 13,
    "axes.titlelocation": "left",
    "axes.titlepad": 14,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
}


def check_matplotlib():
    """Raises `UserError` if Matplotlib is missing."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise UserError('Plots need Matplotlib: pip install "kinetics-i3d[reports]"') from error


@contextlib.contextmanager
def new_figure(path, *, width, height):
    """Yields a Matplotlib figure, `width` x `height` inches, and saves it as the PNG `path`.

    The file is written atomically, and only if the block succeeds. It is cropped to what was drawn
    and does not depend on the user's Matplotlib settings. Raises `UserError` if `path` is not a PNG
    or Matplotlib is missing.
    """
    check_matplotlib()
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    check_picture_path(path)
    with matplotlib.rc_context(), warnings.catch_warnings():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        # Characters that the font lacks become boxes; no warning is needed.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure = Figure(figsize=(width, height), dpi=DPI)
        FigureCanvasAgg(figure)
        yield figure
        with atomic_path(path) as temporary:
            figure.savefig(
                temporary,
                format="png",
                bbox_inches="tight",
                pad_inches=0.3,
                metadata={"Software": None},
            )


def shorten(text, length):
    """The text in one printable line of at most `length` characters, cut with an ellipsis."""
    text = printable(text)
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"
