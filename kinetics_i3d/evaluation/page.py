"""`make_page`: an evaluation as one HTML page that needs neither network nor other files."""

import base64
import pathlib
from html import escape

from kinetics_i3d.evaluation.page_parts import jpeg_uri, percent, size_attributes, table
from kinetics_i3d.evaluation.page_style import SCRIPT, STYLE

# The browser itself keeps the page from loading anything.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
MEASURES = {
    "top1": "Top-1",
    "top5": "Top-5",
    "mean_class": "Mean of the classes",
    "calibration_error": "Calibration error",
}
MULTI_LABEL_MEASURES = {
    "map": "Mean average precision",
    "hit1": "Best class is one of the video's",
}
RESIZED = {
    "short_side": "the short side to",
    "height": "the height to",
    "stretch": "both sides to",
}
LARGE = 30  # classes up to which the confusion picture has large letters
LISTED = 20  # changed videos that the page names, of each kind


def make_page(report, *, title, confusion, mistakes, comparison=None):
    """Makes the page.

    Args:
        report: The dictionary of `report_of`.
        title: What was evaluated.
        confusion: The confusion picture, bytes of a PNG.
        mistakes: (row of `videos_tested`, uint8 (height, width, 3) or None) of the worst ones.
        comparison: A `Comparison` with an earlier evaluation.

    Returns:
        The HTML text.

    Raises:
        UserError: If Pillow is missing.
    """
    return _page(
        report,
        title,
        _section("Accuracy", _summary(report)),
        _section("What changed", _comparison(comparison)) if comparison else "",
        _section("Most confident mistakes", _mistakes(report, mistakes)),
        _section("Which class was taken for which", _confusion(report, confusion)),
        _section("Classes", _classes(report)),
        _section("Videos left out", _skipped(report)) if report["videos_skipped"] else "",
        _section("How it was measured", _measured(report)),
    )


def make_multi_label_page(report, *, title):
    """Makes the page of an evaluation of videos that may have several labels.

    Args:
        report: The dictionary of `report_of`.
        title: What was evaluated.

    Returns:
        The HTML text.
    """
    return _page(
        report,
        title,
        _section("Accuracy", _multi_label_summary(report)),
        _section("Classes", _average_precisions(report)),
        _section("Videos left out", _skipped(report)) if report["videos_skipped"] else "",
        _section("How it was measured", _measured(report)),
    )


def _page(report, title, *sections):
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<title>{escape(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<header>
<h1>{escape(title)}</h1>
<p class="muted">{escape(_line(report))}</p>
</header>
<main>
{"".join(sections)}</main>
<footer>kinetics-i3d {escape(report["version"])}</footer>
<script>{SCRIPT}</script>
</body>
</html>
"""


def _section(head, body):
    name = head.lower().replace(" ", "-")
    return f'<section aria-labelledby="{name}">\n<h2 id="{name}">{head}</h2>\n{body}</section>\n'


def _line(report):
    parts = [f"{report['videos']} videos", f"views: {report['views']}"]
    if report["skipped"]:
        parts.append(f"{report['skipped']} left out")
    if report["missing"]:
        parts.append(f"{report['missing']} without a file")
    return ", ".join(parts)


def _summary(report):
    columns = dict(report["streams"])
    if len(columns) > 1:
        columns["both, logits added"] = report
    rows = []
    for measure, name in MEASURES.items():
        row = [name]
        for summary in columns.values():
            text = percent(summary[measure], 2)
            if measure == "top1":
                low, high = summary["top1_interval"]
                text += f'<br><span class="muted">{percent(low)} to {percent(high)}</span>'
            row.append(text)
        rows.append(row)
    head = ["Measure", *columns]
    note = (
        f'<p class="muted">Below top-1 stands its {percent(0.95, 0)} confidence interval, as far '
        "as so many videos can tell. The calibration error is the mean distance between how sure "
        "the model is and how often it is right.</p>\n"
    )
    return table(head, rows, numbers=range(1, len(head)), kind="narrow", caption="Accuracy") + note


def _multi_label_summary(report):
    columns = dict(report["streams"])
    if len(columns) > 1:
        columns["both, logits added"] = report
    rows = [
        [name, *(percent(summary[measure], 2) for summary in columns.values())]
        for measure, name in MULTI_LABEL_MEASURES.items()
    ]
    head = ["Measure", *columns]
    note = (
        '<p class="muted">The mean average precision is the mean over the classes that occur of '
        "how well the scores rank the videos that have the class before the others.</p>\n"
    )
    return table(head, rows, numbers=range(1, len(head)), kind="narrow", caption="Accuracy") + note


def _average_precisions(report):
    present = [each for each in report["classes"] if each["videos"]]
    present.sort(key=lambda each: (each["average_precision"], each["label"]))
    rows = []
    for each in present:
        value = each["average_precision"]
        bar = f'<span class="bar"><i style="width:{100 * value:.0f}%"></i></span>'
        rows.append([escape(each["label"]), str(each["videos"]), (percent(value) + bar, value)])
    head = ["Class", "videos", "average precision"]
    text = table(head, rows, numbers=(1, 2), kind="sortable", caption="Classes")
    absent = len(report["classes"]) - len(present)
    if absent:
        text += f'<p class="muted">{absent} classes have no videos here.</p>\n'
    return text


def _comparison(found):
    rows = [
        [
            MEASURES[name],
            percent(found.old[name], 2),
            percent(found.new[name], 2),
            f"{100 * (found.new[name] - found.old[name]):+.2f}",
        ]
        for name in found.new
    ]
    head = ["Measure", "before", "now", "change"]
    text = table(head, rows, numbers=(1, 2, 3), kind="narrow", caption="Accuracy before and now")
    text += (
        f"<p>Of {found.videos} videos that are in both evaluations, {len(found.lost)} turned from "
        f"right to wrong and {len(found.won)} from wrong to right. If both models were equally "
        f"good, a difference as large as this would have the probability {found.p_value:.3g} "
        "(McNemar).</p>\n"
    )
    for name, changes in (
        ("Right before, wrong now", found.lost),
        ("Wrong before, right now", found.won),
    ):
        if changes:
            rows = [
                # The folder is often the class, and tells files of one name apart.
                ["/".join(pathlib.PurePath(each.path).parts[-2:]), each.label, each.old, each.new]
                for each in changes[:LISTED]
            ]
            rows = [[escape(cell) for cell in row] for row in rows]
            head = ["Video", "label", "before", "now"]
            text += f"<h3>{name}</h3>\n" + table(head, rows, kind="long", caption=name)
            if len(changes) > LISTED:
                text += f'<p class="muted">and {len(changes) - LISTED} more</p>\n'
    return text


def _mistakes(report, mistakes):
    wrong = report["videos"] - sum(each["right"] for each in report["classes"])
    if not mistakes:
        return "<p>There are no mistakes.</p>\n"
    items = []
    for row, strip in mistakes:
        label, best = escape(row["label"]), escape(row["prediction"])
        picture = '<p class="gone">The video cannot be read any more.</p>'
        if strip is not None:
            alt = f"Frames of a video of {label}, which was taken for {best}"
            picture = (
                f'<img src="{jpeg_uri(strip)}" alt="{alt}" {size_attributes(strip)} loading="lazy">'
            )
        items.append(
            f'<li>\n<p class="words"><span><strong>{label}</strong> '
            f'<span class="muted">taken for</span> <strong class="wrong">{best}</strong></span>'
            f'<span class="number">{percent(row["probability"])}</span></p>\n'
            f'<p class="words file"><span>{escape(pathlib.PurePath(row["path"]).name)}</span>'
            f'<span class="number">{label}: {percent(row["label_probability"])}</span></p>\n'
            f"{picture}\n</li>"
        )
    told = f"<p>{len(items)} of {wrong} mistakes, the ones that the model was surest of."
    if len(items) == wrong:
        told = "<p>All mistakes, those that the model was surest of first."
    seen = " The model does not see what is dark at the edges.</p>\n"
    return told + seen + '<ol class="mistakes">\n' + "\n".join(items) + "\n</ol>\n"


def _confusion(report, png):
    pairs = [
        (times, each["label"], other)
        for each in report["classes"]
        for other, times in each["taken_for"].items()
    ]
    worst = sorted(pairs, key=lambda pair: -pair[0])[:3]
    told = "; ".join(f"{label} for {other} {times} times" for times, label, other in worst)
    alt = "Confusion matrix, true classes in rows. "
    alt += f"Most frequent: {told}." if worst else "No class was taken for another."
    width = int.from_bytes(png[16:20])  # PNG, https://www.w3.org/TR/png-3/, 11.2.1
    # Names of up to 30 classes are large enough to be shrunk a little; others are scrolled.
    least = width if len(report["labels"]) > LARGE else width * 7 // 10
    source = "data:image/png;base64," + base64.b64encode(png).decode()
    return (
        '<div class="scroll picture" tabindex="0" role="region" aria-label="Confusion matrix">\n'
        f'<img src="{source}" alt="{escape(alt)}" style="min-width:{least}px">\n</div>\n'
    )


def _classes(report):
    present = [each for each in report["classes"] if each["videos"]]
    present.sort(key=lambda each: (each["accuracy"], each["label"]))
    rows = []
    for each in present:
        wrong = each["most_frequent_wrong"]
        times = each["taken_for"][wrong] if wrong is not None else 0
        bar = f'<span class="bar"><i style="width:{100 * each["accuracy"]:.0f}%"></i></span>'
        rows.append(
            [
                escape(each["label"]),
                str(each["videos"]),
                str(each["right"]),
                (percent(each["accuracy"]) + bar, each["accuracy"]),
                "" if wrong is None else (f"{escape(wrong)} ({times})", wrong),
            ]
        )
    head = ["Class", "videos", "right", "accuracy", "most often taken for"]
    text = table(head, rows, numbers=(1, 2, 3), kind="sortable", caption="Accuracy of each class")
    absent = len(report["classes"]) - len(present)
    if absent:
        text += f'<p class="muted">{absent} classes have no videos here.</p>\n'
    return text


def _skipped(report):
    items = "\n".join(f"<li>{escape(message)}</li>" for message in report["videos_skipped"])
    return f"<ul>\n{items}\n</ul>\n"


def _measured(report):
    rows = []
    for stream, weights in report["weights"].items():
        specs = [
            spec
            for name, spec in report["clip_specs"].items()
            if name == stream or stream not in report["clip_specs"]
        ]
        recipe = "; ".join(
            f"{spec['name']}: {spec['fps']:g} frames a second, {RESIZED[spec['resize']]} "
            f"{spec['short_side']} pixels, crops of {spec['size']}, values {spec['low']:g} to "
            f"{spec['high']:g}"
            for spec in specs
        )
        digest = weights["digest"]
        rows.append(
            [
                escape(stream),
                escape(str(weights["name"] or "")),
                f"<code>{escape(digest[:16])}</code>" if digest else "",
                escape(recipe),
            ]
        )
    head = ["Stream", "weights", "checksum", "clips"]
    return table(head, rows, kind="wide", caption="Weights and clips")
