"""JSON annotations: Kinetics (train.json), ActivityNet and HACS, WLASL, Something-Something.

Kinetics-700 also has its lists as csv tables, which take precedence.
"""

import collections
import dataclasses
import json
import math
import re

from absl import logging

from kinetics_i3d.core.errors import DatasetError
from kinetics_i3d.core.files import read_text
from kinetics_i3d.data.layouts.kinetics import piece
from kinetics_i3d.data.layouts.listing import (
    UNDIVIDED,
    Listing,
    Row,
    folder_name,
    split_by_name,
    split_name,
)

LOOKS_LIKE = (
    "*.json with annotations of Kinetics, ActivityNet, WLASL (gloss, instances) or "
    "Something-Something (id, template)"
)
MARKS = (("annotations", "subset"), ("gloss", "instances"), ("id", "template"))
WATCH = re.compile(r"(?:[?&]v=|youtu\.be/|/embed/|/shorts/)([\w-]{11})")


def find(location):
    """The JSON files in a `Location` that begin with the keys of a known format."""
    return tuple(
        file
        for file in location.files
        if file.suffix.lower() == ".json"
        and any(all(f'"{word}"' in location.start(file) for word in words) for words in MARKS)
    )


def read(files, *, root, split, labels):
    """A `Listing` of the annotations; videos are named by their ids, with or without times."""
    del split, labels
    rows: list = []
    for file in files:
        try:
            content = json.loads(read_text(file))
        except (ValueError, RecursionError) as error:
            raise DatasetError(f"{file}: cannot be read as JSON ({error})") from error
        rows += _rows(file, content)
    if not rows:
        names = ", ".join(map(str, files))
        raise DatasetError(f"{names}: must have videos with labels")
    times = collections.Counter(stem for row in rows for stem in row.whole)
    rows = [
        dataclasses.replace(row, shared=tuple(stem for stem in row.whole if times[stem] > 1))
        for row in rows
    ]
    path = files[0] if len(files) == 1 else root
    return Listing(path, folder_name(root), root, tuple(rows))


def _rows(file, content):
    if isinstance(content, dict):
        database = content.get("database", content)
        if not isinstance(database, dict):
            raise DatasetError(f"{file}: its database must be a JSON object")
        return _of_segments(file, database)
    if not isinstance(content, list) or not all(isinstance(entry, dict) for entry in content):
        raise DatasetError(f"{file}: must be a JSON object of videos, or a list of objects")
    if content and "gloss" in content[0]:
        return _of_glosses(file, content)
    return _of_templates(file, content)


def _objects(values, where):
    """Returns a list of JSON objects; `DatasetError` for anything else."""
    if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
        raise DatasetError(f"{where}: must be a list of JSON objects. Received: {values!r:.80}")
    return values


def _label(value, where):
    """Returns a string without surrounding spaces; `DatasetError` for anything else."""
    if not isinstance(value, str):
        raise DatasetError(f"{where}: the class must be text. Received: {value!r:.80}")
    return value.strip()


def _of_segments(file, database):
    """Rows of {id: {"subset", "annotations": one or a list of {"label", "segment"}}}."""
    rows, bare, useless = [], 0, 0
    for video, entry in database.items():
        where = f"{file}, {video!r}"
        if not isinstance(entry, dict):
            raise DatasetError(f"{where}: must be a JSON object")
        earlier: set = set()
        annotations = entry.get("annotations")
        annotations = [annotations] if isinstance(annotations, dict) else annotations
        if not annotations:
            bare += 1
            continue
        part = split_name(str(entry.get("subset") or split_by_name(file.stem)))
        for annotation in _objects(annotations, f"{where}, annotations"):
            try:
                label = annotation["label"]
                start, end = (float(second) for second in annotation["segment"])
            except (KeyError, OverflowError, TypeError, ValueError) as error:
                raise DatasetError(f"{where}: must have a label and a segment") from error
            if isinstance(label, str) and (start == end or (label, start, end) in earlier):
                useless += 1
                continue
            if not isinstance(label, str) or not label.strip() or not 0 <= start < end < math.inf:
                raise DatasetError(
                    f"{where}: must have a label, and a segment of two times in order. Received: "
                    f"{label!r}, {[start, end]}"
                )
            earlier.add((label, start, end))
            row = piece(
                video,
                start,
                end,
                label=label.strip(),
                split=part,
                file=file,
                line=0,
                shared=False,
            )
            name = f"{video}_{start:g}_{end:g}.mp4"
            stems = (*row.stems, f"v_{video}")
            whole = (video, f"v_{video}")
            rows.append(dataclasses.replace(row, name=name, stems=stems, whole=whole))
    if bare:
        logging.warning("%s: %d videos have no annotations and are left out", file, bare)
    if useless:
        logging.warning(
            "%s: %d annotations without a length or listed before are left out", file, useless
        )
    return rows


def _of_glosses(file, entries):
    """Rows of WLASL: [{"gloss", "instances": [{"video_id", "frame_start", "fps", ...}]}]."""
    rows = []
    for entry in entries:
        label = _label(entry.get("gloss", ""), f"{file}, gloss")
        for instance in _objects(entry.get("instances", []), f"{file}, instances of {label!r}"):
            where = f"{file}, {instance.get('video_id')!r} of {label!r}"
            try:
                video = str(instance["video_id"])
                rate = float(instance.get("fps") or 25)
                first, last = (
                    int(instance.get("frame_start", 1)),
                    int(instance.get("frame_end", -1)),
                )
                start = max(0, first - 1) / rate if rate > 0 else math.nan
                end = last / rate if last > 0 else math.inf
            except (KeyError, OverflowError, TypeError, ValueError) as error:
                raise DatasetError(f"{where}: must have video_id, fps and frames") from error
            if not label or not 0 < rate < math.inf:
                raise DatasetError(f"{where}: must have a gloss and an fps above 0")
            if end <= start:
                raise DatasetError(f"{where}: frame_end must be after frame_start")
            watched = WATCH.search(str(instance.get("url", "")))
            stems = (video, *([watched[1]] if watched else ()))
            whole = () if (start, end) == (0, math.inf) else stems
            rows.append(
                Row(
                    f"{video}.mp4",
                    label,
                    split_name(str(instance.get("split") or UNDIVIDED)),
                    watched[1] if watched else video,
                    file,
                    0,
                    stems,
                    start=start if whole else None,
                    end=end if whole else None,
                    whole=whole,
                )
            )
    return rows


def _of_templates(file, entries):
    """Rows of Something-Something: [{"id", "template"}]; the test set has only ids."""
    rows, bare = [], 0
    for entry in entries:
        video, template = str(entry.get("id", "")).strip(), entry.get("template")
        if not video:
            raise DatasetError(f"{file}: each entry must have an id. Received: {entry!r:.80}")
        if not template:
            bare += 1
            continue
        where = f"{file}, {video!r}"
        label = _label(template, where).replace("[", "").replace("]", "").strip()
        if not label:
            raise DatasetError(f"{where}: the class is empty. Received: template={template!r:.80}")
        part = split_by_name(file.stem)
        rows.append(Row(f"{video}.webm", label, part, video, file, 0, (video,)))
    if bare:
        logging.warning("%s: has no labels for %d videos, which are left out", file, bare)
    return rows
