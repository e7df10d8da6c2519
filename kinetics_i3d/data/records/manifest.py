"""`Manifest`: what a folder of prepared records holds, how it was made, and what failed.

JSON. Beside each shard stands a small one of its own, written after it: so an interrupted
preparation knows what is done.
"""

import collections
import dataclasses
import hashlib
import json
import pathlib

from kinetics_i3d.core.clip_spec import ClipSpec
from kinetics_i3d.core.errors import DatasetError, first_line
from kinetics_i3d.core.files import atomic_path
from kinetics_i3d.data.records.addresses import Address, path_or_address

FORMAT = 1
NAME = "manifest.json"
DAMAGE = (OSError, ValueError, KeyError, TypeError, AttributeError)


@dataclasses.dataclass(frozen=True)
class Shard:
    """One file of records.

    Args:
        file: Its name in the folder.
        records: How many it holds.
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
        classes: {label: number of records}, only of labels that occur.
        failures: (path in the dataset, message) of the videos that could not be read.
    """

    shards: tuple
    classes: dict
    failures: tuple

    @property
    def records(self):
        """How many there are in all."""
        return sum(shard.records for shard in self.shards)

    @classmethod
    def merge(cls, parts):
        """One of several, in their order."""
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
    def from_dict(cls, fields):
        """The inverse of `to_dict`; `KeyError`, `TypeError` or `ValueError` on anything else."""
        split = cls(
            tuple(Shard(**shard) for shard in fields["shards"]),
            dict(fields["classes"]),
            tuple((each["path"], each["message"]) for each in fields["failures"]),
        )
        if not split.records == fields["records"] == sum(split.classes.values()):
            raise ValueError("its numbers of records contradict each other")
        if any(pathlib.PurePath(shard.file).name != shard.file for shard in split.shards):
            raise ValueError("a shard outside the folder")
        return split


@dataclasses.dataclass(frozen=True)
class Manifest:
    """A whole folder of records.

    Args:
        settings: All that the records' bytes depend on, as JSON holds it.
        version: Of the package that began them.
        splits: {name: `Split`}; None until all are there.
    """

    settings: dict
    version: str
    splits: dict | None = None

    @property
    def labels(self):
        """Class names in the order of the records' indices."""
        return tuple(self.settings["labels"])

    @property
    def spec(self):
        """The `ClipSpec` of the frames."""
        return ClipSpec(**self.settings["spec"])

    @property
    def streams(self):
        """Names of the streams that every record holds."""
        return tuple(self.settings["streams"])


def write_manifest(folder, manifest):
    """Writes `manifest.json` into a folder, whole or not at all."""
    splits = manifest.splits
    fields = {
        "format": FORMAT,
        "version": manifest.version,
        "complete": splits is not None,
        "settings": manifest.settings,
        "splits": {name: split.to_dict() for name, split in (splits or {}).items()},
    }
    _write(pathlib.Path(folder) / NAME, fields)


def is_manifest(path):
    """Whether a file is, or was meant to be, a manifest of `write_manifest`, by its beginning."""
    with path.open("rb") as file:
        start = file.read(256)
    return b'"format"' in start and b'"complete"' in start


def read_manifest(folder, *, complete=True):
    """Reads `manifest.json` of a folder.

    Args:
        folder: Where `prepare` has written, or the address of a copy.
        complete: Whether one that is not finished is refused.

    Returns:
        A `Manifest`.

    Raises:
        DatasetError: If it is missing, damaged, of another format, or not finished.
    """
    path = path_or_address(folder) / NAME
    if not path.is_file():
        # File systems of the network say "not found" of servers that do not answer, too.
        far = ", or nobody answers" if isinstance(path, Address) else ""
        raise DatasetError(f"{path}: no such manifest{far}; `kinetics-i3d prepare` writes it last")
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        if fields["format"] != FORMAT:
            raise ValueError(f"format {fields['format']} is not {FORMAT}")
        splits = {name: Split.from_dict(each) for name, each in fields["splits"].items()}
        done = fields["complete"]
        manifest = Manifest(fields["settings"], fields["version"], splits if done else None)
        # Read here, so that what is wrong in them is found here.
        _ = (manifest.labels, manifest.spec, manifest.streams, manifest.settings["flow"])
    except DAMAGE as error:
        raise DatasetError(
            f"{path}: not a manifest of prepared records, or damaged ({first_line(error)})"
        ) from error
    if complete and not done:
        raise DatasetError(
            f"{path}: not finished; the same `kinetics-i3d prepare` once more goes on with it"
        )
    return manifest


def digest(settings):
    """Sixteen letters by which settings are known again.

    Example:

    >>> digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    True
    """
    text = json.dumps(settings, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def beside(shard):
    """The path of the small manifest of a shard's path."""
    return shard.with_suffix(".json")


def note_shard(path, split, settings):
    """Notes that a shard is done.

    Args:
        path: The shard.
        split: A `Split` of it alone.
        settings: The `digest` of what it was made by.
    """
    _write(beside(path), {"settings": settings, **split.to_dict()})


def noted_shard(path, settings):
    """What is noted of a shard that is there, of its full size, and made by the same settings.

    Args:
        path: The shard.
        settings: The `digest` of what it must have been made by.

    Returns:
        A `Split` of it alone, or None if it has to be made.
    """
    try:
        fields = json.loads(beside(path).read_text(encoding="utf-8"))
        split = Split.from_dict(fields)
        (shard,) = split.shards
        whole = shard.file == path.name and shard.bytes == path.stat().st_size
        return split if whole and fields["settings"] == settings else None
    except DAMAGE:
        return None


def _write(path, fields):
    with atomic_path(path) as temporary:
        text = json.dumps(fields, indent=2, ensure_ascii=False)
        temporary.write_text(text + "\n", encoding="utf-8")
