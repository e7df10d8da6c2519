"""`Checkpoint`: this package's weights file, HDF5 with one dataset per variable.

Datasets are named `<layer>/<variable>`; the attribute `kinetics_i3d` holds a `WeightsInfo` as JSON.
The HDF5 data is followed by the text `kinetics_i3d sha256` and the SHA-256 of all preceding bytes.
Files of version 1.0 and earlier have no checksum.
"""

import dataclasses
import hashlib
import io
import json
import os
import pathlib

import numpy as np

from kinetics_i3d.core.clip_spec import ClipSpec, check_limits, parse_spec
from kinetics_i3d.core.errors import DAMAGE, WeightsError, first_line
from kinetics_i3d.core.files import atomic_path
from kinetics_i3d.core.json_objects import check_fields, parse_object
from kinetics_i3d.core.labels import ACTIVATIONS, check_class_names
from kinetics_i3d.weights.readers.hdf5 import is_hdf5, read_hdf5, read_root_attribute

FORMAT = 1
MAX_CLASSES = 100_000
_CHECKSUM_MARK = b"kinetics_i3d sha256 "
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
# Defaults of fields that earlier versions did not write.
_DEFAULTS = {
    **dict.fromkeys(("system", "flow_spec", "flow_architecture")),
    "classes": 0,
    "about": {},
    "activation": "softmax",
}


@dataclasses.dataclass(frozen=True)
class WeightsInfo:
    """The information needed to build the model that weights belong to and to prepare its inputs.

    Args:
        architecture: Name of a row in `ARCHITECTURES`.
        rank: 2 for images, 3 for clips.
        clip_spec: Preprocessing of the inputs.
        classes: Number of outputs of the classifier; 0 without one.
        labels: Class names in the order of the outputs; empty if unknown.
        about: Further information, such as command, accuracy, versions and terms.
        system: Name of the constructor; `None` for `InceptionV1` and `InceptionI3D`.
        flow_spec: Preprocessing of the flow of a two-stream model, whose `clip_spec` is that of
            rgb.
        flow_architecture: Architecture of the flow stream, if it is not that of rgb.
        activation: Turns logits into probabilities: `"softmax"`, or `"sigmoid"` for weights trained
            on several labels per video.
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
        """The fields and the format number as one line of JSON."""
        fields = dataclasses.asdict(self)
        # Omitted if unused, so that earlier versions can read the file.
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
                fields[name] = parse_spec(name, fields[name])
        info = cls(**{**fields, "labels": tuple(fields["labels"])})
        info.check()
        return info

    def check(self):
        """Raises `ValueError` if a field is outside the limits of this module."""
        if self.rank not in (2, 3) or not 0 <= self.classes <= MAX_CLASSES:
            raise ValueError(
                f"`rank` must be 2 or 3, and `classes` 0 to {MAX_CLASSES}. "
                f"Received: rank={self.rank!r}, classes={self.classes!r}"
            )
        if self.activation not in ACTIVATIONS:
            raise ValueError(f"activation {self.activation!r} is not one of {tuple(ACTIVATIONS)}")
        check_class_names(self.labels)
        if len(self.labels) not in (0, self.classes):
            raise ValueError(f"{len(self.labels)} labels for {self.classes} classes")
        for spec in self.clip_specs.values():
            check_limits(spec)


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
        ValueError: If `read_info` would refuse the information, for example repeated labels.
        WeightsError: If a value is not finite, or does not fit into `dtype`.
    """
    import h5py

    if checkpoint.info.architecture is not None:
        checkpoint.info.check()
    # In memory: on a full disk, HDF5 would fail again, with another error, when closing the file.
    data = io.BytesIO()
    # HDF5 1.10 stores a dataset of one chunk without an index; the index would be larger than most
    # of our datasets.
    with h5py.File(data, "w", libver="v110") as file:
        file.attrs["kinetics_i3d"] = checkpoint.info.to_json()
        for name, array in checkpoint.arrays.items():
            with np.errstate(over="ignore"):
                stored = np.asarray(array, dtype)
            if not np.isfinite(stored).all():
                raise WeightsError(f"{path}: {name} has values that are not finite in {dtype}")
            # With a checksum: a flipped bit has to be an error, not a slightly worse model.
            filters = {"compression": "gzip", "shuffle": True, "fletcher32": True}
            chunked = {"chunks": stored.shape, **filters} if stored.ndim else {}
            file.create_dataset(name, data=stored, **chunked)
    with atomic_path(path) as temporary:
        temporary.write_bytes(data.getvalue())
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
        A `WeightsInfo`, or `None` for any other file.

    Raises:
        WeightsError: If the information cannot be read.
    """
    path = pathlib.Path(path)
    if not is_hdf5(path):
        return None
    verify_checksum(path)
    text = read_root_attribute(path, "kinetics_i3d", trusted=_is_shipped(path))
    if text is None:
        return None
    try:
        return WeightsInfo.from_json(_text(text))
    except DAMAGE as error:
        reason = first_line(error)
        raise WeightsError(f"{path}: its information cannot be read ({reason})") from error


def _text(value):
    if not isinstance(value, str):
        raise ValueError(f"it must be text, but is {type(value).__name__}")
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
    verify_checksum(path)
    file = read_hdf5(path, trusted=_is_shipped(path))
    try:
        info = WeightsInfo.from_json(_text(file.attributes[""]["kinetics_i3d"]))
    except DAMAGE as error:
        reason = first_line(error)
        raise WeightsError(f"{path}: not a checkpoint of kinetics_i3d ({reason})") from error
    return Checkpoint(info, {name: file.read(name) for name in file.shapes}, path)


def _is_shipped(path):
    """Whether a file is one of those that come with the package, like its code."""
    from kinetics_i3d.weights import catalog

    names = [row.file for row in catalog.CATALOG.values() if row.file]
    return path.resolve() in {folder / name for folder in catalog.FOLDERS for name in names}
