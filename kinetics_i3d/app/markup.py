"""The HTML of analyses and reports on the web page: templates of Jinja2, all text escaped.

Pictures are data URIs, so that no file is left behind and none has an address.
"""

import base64
import functools
import io
import pathlib

import numpy as np

from kinetics_i3d.core.canvas import pillow
from kinetics_i3d.inference.timeline import mean_over_windows
from kinetics_i3d.inference.timeline_picture import clock

TEMPLATES = pathlib.Path(__file__).parent / "templates"
_ROWS = 4  # labels of a timeline
_TICKS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, float("inf"))  # seconds
_QUALITY = 82  # of JPEG


def results_html(analysis):
    """Labels, bars and the timeline of an `Analysis`."""
    actions = dict.fromkeys(segment.label for segment in analysis.segments or ())
    return _render(
        "results.html.jinja",
        analysis=analysis,
        actions=list(actions) if len(actions) > 1 else [analysis.predictions[0][0]],
        timeline=timeline_rows(analysis),
    )


def pictures_html(analysis):
    """The strips of an `Analysis`."""
    return _render("pictures.html.jinja", analysis=analysis)


def comparison_html(analyses):
    """The labels of several `Analysis` side by side; an item is None until it is computed."""
    return _render("comparison.html.jinja", analyses=analyses)


def report_html(report):
    """The findings of a doctor's `Report`."""
    return _render("report.html.jinja", report=report)


def empty_html():
    """The placeholder for results that have not been requested."""
    return _render("empty.html.jinja")


def examples_html():
    """The line above the examples."""
    return _render("examples.html.jinja")


def error_html(message):
    """An error in one line."""
    return _render("error.html.jinja", message=message)


def style():
    """The style sheet of the page."""
    return (TEMPLATES / "page.css").read_text(encoding="utf-8")


def timeline_rows(analysis):
    """The curves of the most important labels of an analysis' timeline, or None.

    Returns:
        {"rows": [{"label", "most": largest probability, "path": the area under the curve as an SVG
        path in a box of 1000 x 100, "segments": [(left, width)] in percent}], "ticks": [(percent,
        text)]}.
    """
    timeline = analysis.timeline
    if timeline is None:
        return None
    edges, means = mean_over_windows(timeline)
    begin, end = float(edges[0]), float(edges[-1])
    places = (edges - begin) / (end - begin)
    rows = [
        {
            "label": timeline.labels[label],
            "most": float(means[:, label].max()),
            "path": _area(1000 * places, 100 - 96 * means[:, label]),
            "segments": [
                (
                    100 * (segment.start - begin) / (end - begin),
                    100 * (segment.end - segment.start) / (end - begin),
                )
                for segment in analysis.segments
                if segment.label == timeline.labels[label]
            ],
        }
        for label in _chosen_labels(timeline, means, analysis.segments)
    ]
    step = next(step for step in _TICKS if end - begin < 5 * step)
    ticks = [
        (100 * seconds / (end - begin), clock(begin + seconds))
        for seconds in np.arange(0, end - begin, step)
    ]
    return {"rows": rows, "ticks": ticks}


def _chosen_labels(timeline, means, segments):
    """Indices of the labels to draw: those of segments in their order, then the most probable."""
    ranked = np.argsort(-means.max(axis=0), kind="stable")
    chosen = [timeline.labels.index(segment.label) for segment in segments]
    return list(dict.fromkeys([*chosen, *map(int, ranked)]))[: max(_ROWS, len(set(chosen)))][:8]


def _area(edges, heights):
    """The area under a step curve as an SVG path."""
    corners = np.stack([np.repeat(edges, 2)[1:-1], np.repeat(heights, 2)], axis=1)
    line = " ".join(f"L{x:.1f} {y:.1f}" for x, y in corners.tolist())
    return f"M0 100 {line} L1000 100 Z"


def data_uri(pixels):
    """A uint8 array (height, width, 3) as a JPEG in a data URI."""
    image_module, _, _ = pillow()
    buffer = io.BytesIO()
    image = image_module.fromarray(np.ascontiguousarray(pixels))
    image.save(buffer, format="JPEG", quality=_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _render(template, **variables):
    return _environment().get_template(template).render(**variables)


@functools.cache
def _environment():
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        picture=data_uri,
        label=lambda text: str(text).replace("_", " "),
        percent=lambda share: f"{100 * share:.1f} %",
        seconds=lambda value: f"{value:.2f} s",
    )
    return environment
