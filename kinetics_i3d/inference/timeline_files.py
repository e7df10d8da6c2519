"""`write_timeline`: the predictions over time of a video, and their segments, as text files."""

import csv
import json

from kinetics_i3d.core.files import atomic_path

FORMATS = ("jsonl", "csv")


def write_timeline(path, timeline, segments, *, file_format="jsonl", top=5):
    """Writes `PATH.jsonl` and `PATH.segments.jsonl`, or `.csv` files of the same names.

    Args:
        path: Path without a suffix.
        timeline: A `Timeline`.
        segments: Its `Segment`s.
        file_format: `"jsonl"`, a JSON object in each line; or `"csv"`, a table with a row for each
            label of each window.
        top: Labels of each window, the most probable ones.

    Returns:
        The paths of both files.
    """
    if file_format not in FORMATS:
        raise ValueError(f"`format` must be one of {FORMATS}. Received: format={file_format!r}")
    video = {"video": timeline.path}
    windows = (video | row for row in timeline.to_dicts(top))
    merged = [video | segment.to_dict() for segment in segments]
    paths = [path.with_name(f"{path.name}{part}.{file_format}") for part in ("", ".segments")]
    if file_format == "jsonl":
        _write_lines(paths[0], windows)
        _write_lines(paths[1], merged)
    else:
        times = ["video", "start", "end"]
        predictions = (
            {name: row[name] for name in times} | prediction
            for row in windows
            for prediction in row["predictions"]
        )
        _write_table(paths[0], [*times, "label", "probability"], predictions)
        _write_table(paths[1], [*times, "label", "score"], merged)
    return paths


def _write_lines(path, rows):
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def _write_table(path, columns, rows):
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
