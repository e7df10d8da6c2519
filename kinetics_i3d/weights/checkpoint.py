"""`Checkpoint`: the project's weights file, HDF5 with one dataset a variable.

Datasets are named `<layer>/<variable>`; the attribute `kinetics_i3d` holds a `WeightsInfo` as JSON.
Behind what HDF5 reads stand the word `kinetics_i3d sha256` and the SHA-256 of all bytes before it.
A single flipped bit can crash the HDF5 library, so it is checked first. Files of version 1.0 and
earlier have none.
"""

import dataclasses
import hashlib
import json
import math
import os
import pathlib

import numpy as np

from kinetics_i3d.core.clip_spec import ClipSpec
from kinetics_i3d.core.errors import DAMAGE, WeightsError, first_line
from kinetics_i3d.core.files import atomic_path
from kinetics_i3d.core.json_objects import check_fields, parse_object
from kinetics_i3d.core.labels import ACTIVATIONS, check_class_names
from kinetics_i3d.weights.readers.hdf5 import check_survivable, open_hdf5
from kinetics_i3d.weights.readers.values import as_float32, check_total

FORMAT = 1
# Limits of the information in a file. Beyond them a network would fill the memory or run for days.
MAX_CLASSES, MAX_FPS, MAX_SIDE = 100_000, 1000, 2048
_CHECKSUM_MARK = b"kinetics_i3d sha256 "
_SPEC = {
    **dict.fromkeys(("name", "stream", "resize", "interpolation"), str),
    **dict.fromkeys(("fps", "low", "high"), float),
    **dict.fromkeys(("short_side", "size"), int),
}
_FIELDS = {
    "architecture": str,
    "rank": int,
    "clip_spec": dict,
    "classes": int,
    "labels": list,
    "about": dict,
    "system": (str, type(None)),
    "flow_spec": (dict, type(None)),
    "flow_architecture": (str, type(None)),
    "activation": str,
}
# Of fields that earlier versions did not write.
_DEFAULTS = {
    **dict.fromkeys(("system", "flow_spec", "flow_architecture")),
    "classes": 0,
    "about": {},
    "activation": "softmax",
}
_SPEC_DEFAULTS = {
    field.name: field.default for field in dataclasses.fields(ClipSpec) if field.name != "name"
}


@dataclasses.dataclass(frozen=True)
class WeightsInfo:
    """What has to be known about weights to build their model and to feed it.

    Args:
        architecture: Name of a row in `ARCHITECTURES`.
        rank: 2 for images, 3 for clips.
        clip_spec: How inputs are made.
        classes: Outputs of the classifier; 0 without one.
        labels: Their names in order; empty if unknown.
        about: Anything else worth keeping: command, accuracy, versions, terms.
        system: Name of the constructor; `None` for `InceptionV1` and `InceptionI3D`.
        flow_spec: Of two streams: how flow is made. `clip_spec` is that of rgb then.
        flow_architecture: Of two streams: where it is not that of rgb.
        activation: How logits become probabilities, `"softmax"` or, of weights trained on several
            labels per video, `"sigmoid"`.
    """

    architecture: str
    rank: int
    clip_spec: ClipSpec
    classes: int = 0
    labels: tuple = ()
    about: dict = dataclasses.field(default_factory=dict)
    system: str | None = None
    flow_spec: ClipSpec | None = None
    flow_architecture: str | None = None
    activation: str = "softmax"

    @property
    def clip_specs(self):
        """{stream: `ClipSpec`}, rgb first."""
        both = (self.clip_spec, self.flow_spec)
        return {spec.stream: spec for spec in both if spec is not None}

    def to_json(self):
        """The fields, with the format's number, as one line of JSON."""
        fields = dataclasses.asdict(self)
        # Left out if unused, so that earlier versions can read the file.
        for name in ("system", "flow_spec", "flow_architecture"):
            if fields[name] is None:
                del fields[name]
        if self.activation == "softmax":
            del fields["activation"]
        return json.dumps({"format": FORMAT, **fields}, sort_keys=True)

    @classmethod
    def from_json(cls, text):
        """The inverse of `to_json`; `ValueError` or `KeyError` on anything else."""
        fields = parse_object(text)
        number = fields.pop("format")
        if number != FORMAT:
            raise ValueError(f"format {number} is not {FORMAT}")
        fields = _DEFAULTS | fields
        check_fields("weights", fields, _FIELDS)
        for name in ("clip_spec", "flow_spec"):
            if fields[name] is not None:
                spec = _SPEC_DEFAULTS | fields[name]
                check_fields(name, spec, _SPEC)
                fields[name] = ClipSpec(**spec)
        info = cls(**{**fields, "labels": tuple(fields["labels"])})
        info.check()
        return info

    def check(self):
        """Raises `ValueError` where a field is out of the limits of this module."""
        if self.rank not in (2, 3) or not 0 <= self.classes <= MAX_CLASSES:
            raise ValueError(
                f"`rank` must be 2 or 3, and `classes` 0 to {MAX_CLASSES}. "
                f"Received: rank={self.rank!r}, classes={self.classes!r}"
            )
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"activation {self.activation!r} is none of {tuple(ACTIVATIONS)}")
        check_class_names(self.labels)
        if len(self.labels) not in (0, self.classes):
            raise ValueError(f"{len(self.labels)} labels of {self.classes} classes")
        for spec in self.clip_specs.values():
            if not (spec.fps <= MAX_FPS and spec.short_side <= MAX_SIDE):
                raise ValueError(
                    f"`fps` must be at most {MAX_FPS}, and `short_side` {MAX_SIDE}. "
                    f"Received: fps={spec.fps!r}, short_side={spec.short_side!r}"
                )
            if not math.isfinite(spec.low) or not math.isfinite(spec.high):
                raise ValueError(f"`low` and `high` must be finite. Received: {spec.low!r}")


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """Arrays by name (`"Mixed_3b_Branch_0_Conv3d_0a_1x1_conv/kernel"`) with their `WeightsInfo`."""

    info: WeightsInfo
    arrays: dict
    path: pathlib.Path | None = None


def write_checkpoint(path, checkpoint, *, dtype="float32"):
    """Writes a checkpoint atomically.

    Args:
        path: The file, usually `*.h5`.
        checkpoint: The `Checkpoint`.
        dtype: `"float32"`, or `"float16"` for half the size.

    Raises:
        ValueError: If the information could not be read again, such as labels that are repeated.
        WeightsError: If a value is not finite, or does not fit into `dtype`.
    """
    import h5py

    if checkpoint.info.architecture is not None:
        checkpoint.info.check()
    # HDF5 1.10 keeps a dataset of one chunk without an index, which is larger than most of ours.
    with atomic_path(path) as temporary, h5py.File(temporary, "w", libver="v110") as file:
        file.attrs["kinetics_i3d"] = checkpoint.info.to_json()
        for name, array in checkpoint.arrays.items():
            with np.errstate(over="ignore"):
                stored = np.asarray(array, dtype)
            if not np.isfinite(stored).all():
                raise WeightsError(f"{path}: {name} has values that are not finite in {dtype}")
            # With a checksum: a flipped bit must be an error, not a slightly worse model.
            filters = {"compression": "gzip", "shuffle": True, "fletcher32": True}
            chunked = {"chunks": stored.shape, **filters} if stored.ndim else {}
            file.create_dataset(name, data=stored, **chunked)
        file.close()
        _append_checksum(temporary)


def add_checksum(path):
    """Adds the checksum to a file of an earlier version that has none.

    Args:
        path: The file, which is replaced atomically.

    Raises:
        WeightsError: If it is damaged, or not a checkpoint of this package.
    """
    path = pathlib.Path(path)
    if not verify_checksum(path):
        read_checkpoint(path)
        with atomic_path(path) as temporary:
            temporary.write_bytes(path.read_bytes())
            _append_checksum(temporary)


def verify_checksum(path):
    """Verifies the checksum at the end of a file, and returns whether there is one.

    Raises:
        WeightsError: If the bytes do not match the checksum.
    """
    length = len(_CHECKSUM_MARK) + hashlib.sha256().digest_size
    size = os.path.getsize(path)
    if size <= length:
        return False
    with open(path, "rb") as file:
        file.seek(size - length)
        trailer = file.read()
        if not trailer.startswith(_CHECKSUM_MARK):
            return False
        file.seek(0)
        if _sha256(file, size - length) != trailer[len(_CHECKSUM_MARK) :]:
            raise WeightsError(f"{path}: damaged: its bytes do not match their checksum")
    return True


def _append_checksum(path):
    with open(path, "r+b") as file:
        checksum = _sha256(file, os.path.getsize(path))
        file.write(_CHECKSUM_MARK + checksum)


def _sha256(file, size):
    """The digest of the next `size` bytes."""
    digest = hashlib.sha256()
    while size > 0:
        block = file.read(min(size, 1 << 20))
        if not block:
            break
        digest.update(block)
        size -= len(block)
    return digest.digest()


def read_info(path):
    """The `WeightsInfo` of a file of `write_checkpoint`, without reading its arrays.

    Args:
        path: Any file.

    Returns:
        A `WeightsInfo`, or `None` for another file.

    Raises:
        WeightsError: If the information cannot be read.
    """
    import h5py

    if not h5py.is_hdf5(path):
        return None
    if not verify_checksum(path):
        check_survivable(path)
    try:
        with h5py.File(path, "r") as file:
            if "kinetics_i3d" not in file.attrs:
                return None
            return WeightsInfo.from_json(_text(file.attrs["kinetics_i3d"]))
    except DAMAGE as error:
        reason = first_line(error)
        raise WeightsError(f"{path}: its information cannot be read ({reason})") from error


def _text(value):
    if not isinstance(value, str):
        raise ValueError(f"it must be text, is {type(value).__name__}")
    return value


def read_checkpoint(path):
    """Reads a file of `write_checkpoint`.

    Args:
        path: The file.

    Returns:
        The `Checkpoint`, arrays in float32.

    Raises:
        WeightsError: If the file is missing, is not such a checkpoint, or is damaged.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise WeightsError(f"{path}: no such file")
    if not verify_checksum(path):
        check_survivable(path)
    with open_hdf5(path, path) as file:
        try:
            info = WeightsInfo.from_json(_text(file.attributes[""]["kinetics_i3d"]))
        except DAMAGE as error:
            reason = first_line(error)
            raise WeightsError(f"{path}: not a checkpoint of kinetics_i3d ({reason})") from error
        check_total(sum(dataset.nbytes for dataset in file.datasets.values()), path)
        arrays = {name: as_float32(file.read(name), name, path) for name in file.datasets}
    return Checkpoint(info, arrays, path)
