"""`Manifest`: the content, the settings and the failures of a folder of prepared records.

It is stored as JSON. In addition, each shard has a small manifest of its own, written after the
shard, from which an interrupted `prepare` resumes.
"""

import collections
import dataclasses
import hashlib
import json
import os
import pathlib

from kinetics_i3d.core.clip_spec import STREAMS, parse_spec
from kinetics_i3d.core.errors import DAMAGE, DatasetError, first_line
from kinetics_i3d.core.files import atomic_path
from kinetics_i3d.core.json_objects import check_fields, parse_object
from kinetics_i3d.core.labels import check_class_names
from kinetics_i3d.data.records.addresses import Address, path_or_address

FORMAT, MULTI_LABEL_FORMAT = 1, 2  # one class per record, and any number of classes
NAME = "manifest.json"
_LONGEST_NAME = 255  # bytes, of most file systems
_SHARD = {"file": str, "records": int, "bytes": int, "sha256": str}


@dataclasses.dataclass(frozen=True)
class Shard:
    """One file of records.

    Args:
        file: Its name in the folder.
        records: The number of records.
        bytes: Its size.
        sha256: Its checksum, hexadecimal.
    """

    file: str
    records: int
    bytes: int
    sha256: str


@dataclasses.dataclass(frozen=True)
class Split:
    """Some shards of one split.

    Args:
        shards: `Shard`s in the order of their numbers.
        classes: {label: number of records that have it}, only for labels that occur.
        failures: (path in the dataset, message) of each video that could not be read.
    """

    shards: tuple
    classes: dict
    failures: tuple

    @property
    def records(self):
        """The total number of records."""
        return sum(shard.records for shard in self.shards)

    @classmethod
    def merge(cls, parts):
        """Joins several `Split`s, in their order."""
        classes: collections.Counter = collections.Counter()
        for part in parts:
            classes.update(part.classes)
        return cls(
            tuple(shard for part in parts for shard in part.shards),
            dict(sorted(classes.items())),
            tuple(failure for part in parts for failure in part.failures),
        )

    def to_dict(self):
        """The fields as a JSON-ready dictionary; `from_dict` is the inverse."""
        return {
            "records": self.records,
            "classes": self.classes,
            "failures": [{"path": path, "message": text} for path, text in self.failures],
            "shards": [dataclasses.asdict(shard) for shard in self.shards],
        }

    @classmethod
    def from_dict(cls, fields, *, multi_label=False):
        """The inverse of `to_dict`; `KeyError`, `TypeError` or `ValueError` for anything else."""
        for shard in fields["shards"]:
            check_fields("shard", shard, _SHARD)
        for entry in fields["failures"]:
            check_fields("failure", entry, {"path": str, "message": str})
        classes = dict(fields["classes"])
        check_fields("classes", classes, dict.fromkeys(classes, int))
        split = cls(
            tuple(Shard(**shard) for shard in fields["shards"]),
            classes,
            tuple((entry["path"], entry["message"]) for entry in fields["failures"]),
        )
        labeled = split.records if multi_label else sum(split.classes.values())
        if not split.records == fields["records"] == labeled:
            raise ValueError("its numbers of records are inconsistent")
        counts = [*classes.values(), *(shard.records for shard in split.shards)]
        if min(counts, default=0) < 0:
            raise ValueError("a negative number of records")
        if any(pathlib.PurePath(shard.file).name != shard.file for shard in split.shards):
            raise ValueError("a shard outside the folder")
        if any(len(os.fsencode(shard.file)) > _LONGEST_NAME for shard in split.shards):
            raise ValueError(f"the name of a shard has more than {_LONGEST_NAME} bytes")
        return split


@dataclasses.dataclass(frozen=True)
class Manifest:
    """The manifest of a folder of records.

    Args:
        settings: Everything that the bytes of the records depend on, JSON-ready.
        version: The version of the package that started to write them.
        splits: {name: `Split`}; None until all splits are complete.
    """

    settings: dict
    version: str
    splits: dict | None = None

    @property
    def labels(self):
        """Class names in the order of the records' indices."""
        return tuple(self.settings["labels"])

    @property
    def multi_label(self):
        """Whether a record may have several classes, or none."""
        return self.settings.get("multi_label", False)

    @property
    def spec(self):
        """The `ClipSpec` of the frames."""
        return parse_spec("spec", self.settings["spec"])

    @property
    def streams(self):
        """The streams in every record."""
        return tuple(self.settings["streams"])

    def check(self):
        """Raises an error of `DAMAGE` if the settings are not those of records."""
        check_class_names(self.labels)
        if self.streams not in (("rgb",), ("flow",), STREAMS):
            raise ValueError(f"`streams` must be one or both of {STREAMS}: {self.streams!r:.200}")
        if not isinstance(self.multi_label, bool):
            raise ValueError(f"`multi_label` must be true or false: {self.multi_label!r:.200}")
        if self.spec.stream != "rgb" or not isinstance(self.settings["flow"], (dict, type(None))):
            raise ValueError(
                "`spec` must be for rgb, and `flow` must be the settings of flow or null"
            )
        unknown = {label for split in (self.splits or {}).values() for label in split.classes}
        if unknown - {*self.labels}:
            raise ValueError(
                f"it counts {sorted(unknown - {*self.labels})[:3]}, which are not classes"
            )


def write_manifest(folder, manifest):
    """Writes `manifest.json` into a folder, atomically."""
    splits = manifest.splits
    fields = {
        "format": MULTI_LABEL_FORMAT if manifest.multi_label else FORMAT,
        "version": manifest.version,
        "complete": splits is not None,
        "settings": manifest.settings,
        "splits": {name: split.to_dict() for name, split in (splits or {}).items()},
    }
    _write(pathlib.Path(folder) / NAME, fields)


def is_manifest(path):
    """Whether a file begins like one written by `write_manifest`."""
    with path.open("rb") as file:
        start = file.read(256)
    return b'"format"' in start and b'"complete"' in start


def read_manifest(folder, *, complete=True):
    """Reads `manifest.json` of a folder.

    Args:
        folder: A folder written by `prepare`, or the address of a copy.
        complete: Whether an incomplete manifest is an error.

    Raises:
        DatasetError: If it is missing, damaged, of another format, or incomplete.
    """
    path = path_or_address(folder) / NAME
    if not path.is_file():
        # Network file systems also report "not found" if the server does not answer.
        far = ", or the server does not answer" if isinstance(path, Address) else ""
        raise DatasetError(f"{path}: no such manifest{far}; `kinetics-i3d prepare` writes it last")
    try:
        fields = parse_object(path.read_text(encoding="utf-8"))
        begun = Manifest(fields["settings"], fields["version"])
        expected = MULTI_LABEL_FORMAT if begun.multi_label else FORMAT
        if fields["format"] != expected:
            raise ValueError(f"format {fields['format']} is not {expected}")
        splits = {
            name: Split.from_dict(entry, multi_label=begun.multi_label)
            for name, entry in fields["splits"].items()
        }
        done = fields["complete"]
        manifest = dataclasses.replace(begun, splits=splits if done else None)
        dataclasses.replace(begun, splits=splits).check()
    except DAMAGE as error:
        raise DatasetError(
            f"{path}: not a manifest of prepared records, or damaged ({first_line(error)})"
        ) from error
    if complete and not done:
        raise DatasetError(
            f"{path}: not finished; repeat the same `kinetics-i3d prepare` to finish it"
        )
    return manifest


def digest(settings):
    """Sixteen hexadecimal digits that identify settings.

    Example:

    >>> digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    True
    """
    text = json.dumps(settings, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def shard_manifest_path(shard):
    """The path of the manifest of one shard."""
    return shard.with_suffix(".json")


def write_shard_manifest(path, split, settings):
    """Writes the manifest of one shard: its `Split` and the `digest` of its settings."""
    _write(shard_manifest_path(path), {"settings": settings, **split.to_dict()})


def read_shard_manifest(path, settings, *, multi_label=False):
    """The `Split` of a shard written with the same settings; None if it has to be written."""
    try:
        fields = json.loads(shard_manifest_path(path).read_text(encoding="utf-8"))
        split = Split.from_dict(fields, multi_label=multi_label)
        (shard,) = split.shards
        whole = shard.file == path.name and shard.bytes == path.stat().st_size
        return split if whole and fields["settings"] == settings else None
    except DAMAGE:
        return None


def _write(path, fields):
    with atomic_path(path) as temporary:
        text = json.dumps(fields, indent=2, ensure_ascii=False)
        temporary.write_text(text + "\n", encoding="utf-8")
