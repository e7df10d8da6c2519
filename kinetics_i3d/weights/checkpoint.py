"""`Checkpoint`: the project's weights file, HDF5 with one dataset a variable.

Datasets are named `<layer>/<variable>`; the attribute `kinetics_i3d` holds a `WeightsInfo` as JSON.
"""

import dataclasses
import json
import pathlib

import numpy as np

from kinetics_i3d.core.clip_spec import ClipSpec
from kinetics_i3d.core.errors import WeightsError, first_line
from kinetics_i3d.core.files import atomic_path
from kinetics_i3d.core.labels import ACTIVATIONS

FORMAT = 1


@dataclasses.dataclass(frozen=True)
class WeightsInfo:
    """What has to be known about weights to build their model and to feed it.

    Args:
        architecture: Name of a row in `ARCHITECTURES`.
        rank: 2 for images, 3 for clips.
        clip_spec: How inputs are made.
        classes: Outputs of the classifier; 0 without one.
        labels: Their names in order; empty where nobody named them.
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
        # Readers of before these fields still read the files that need none of them.
        for name in ("system", "flow_spec", "flow_architecture"):
            if fields[name] is None:
                del fields[name]
        if self.activation == "softmax":
            del fields["activation"]
        return json.dumps({"format": FORMAT, **fields}, sort_keys=True)

    @classmethod
    def from_json(cls, text):
        """The inverse of `to_json`; `ValueError`, `KeyError` or `TypeError` on anything else."""
        fields = json.loads(text)
        number = fields.pop("format")
        if number != FORMAT:
            raise ValueError(f"format {number} is not {FORMAT}")
        for name in {"clip_spec", "flow_spec"} & fields.keys() | {"clip_spec"}:
            fields[name] = ClipSpec(**fields[name])
        info = cls(labels=tuple(fields.pop("labels")), **fields)
        if info.activation not in ACTIVATIONS:
            raise ValueError(f"activation {info.activation!r} is none of {tuple(ACTIVATIONS)}")
        return info


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """Arrays by name (`"Mixed_3b_Branch_0_Conv3d_0a_1x1_conv/kernel"`) with their `WeightsInfo`."""

    info: WeightsInfo
    arrays: dict
    path: pathlib.Path | None = None


def write_checkpoint(path, checkpoint, *, dtype="float32"):
    """Writes a checkpoint; the file appears whole or not at all.

    Args:
        path: Where to, by custom `*.h5`.
        checkpoint: The `Checkpoint`.
        dtype: `"float32"`, or `"float16"` for half the size.

    Raises:
        WeightsError: If a value is not finite, or does not fit into `dtype`.
    """
    import h5py

    # HDF5 1.10 keeps a dataset of one chunk without an index, which is larger than most of ours.
    with atomic_path(path) as temporary, h5py.File(temporary, "w", libver="v110") as file:
        file.attrs["kinetics_i3d"] = checkpoint.info.to_json()
        for name, array in checkpoint.arrays.items():
            with np.errstate(over="ignore"):
                stored = np.asarray(array, dtype)
            if not np.isfinite(stored).all():
                raise WeightsError(f"{path}: {name} has values that are not finite in {dtype}")
            # With a checksum: a flipped bit shall be an error and not a slightly worse model.
            filters = {"compression": "gzip", "shuffle": True, "fletcher32": True}
            chunked = {"chunks": stored.shape, **filters} if stored.ndim else {}
            file.create_dataset(name, data=stored, **chunked)


def read_info(path):
    """What a file of `write_checkpoint` says about itself; reads none of its arrays.

    Args:
        path: Any file.

    Returns:
        A `WeightsInfo`, or `None` for a file that is no such checkpoint.

    Raises:
        WeightsError: If it is one, and what it says cannot be read.
    """
    import h5py

    if not h5py.is_hdf5(path):
        return None
    try:
        with h5py.File(path, "r") as file:
            text = file.attrs.get("kinetics_i3d")
            return None if text is None else WeightsInfo.from_json(text)
    except (OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
        reason = first_line(error)
        raise WeightsError(
            f"{path}: what it says about itself cannot be read ({reason})"
        ) from error


def read_checkpoint(path):
    """Reads a file of `write_checkpoint`.

    Args:
        path: The file.

    Returns:
        The `Checkpoint`, arrays in float32.

    Raises:
        WeightsError: If the file is missing, is not such a checkpoint, or is damaged.
    """
    import h5py

    path = pathlib.Path(path)
    if not path.is_file():
        raise WeightsError(f"{path}: no such file")
    try:
        with h5py.File(path, "r") as file:
            info = WeightsInfo.from_json(file.attrs["kinetics_i3d"])
            names = []
            file.visititems(
                lambda name, item: names.append(name) if hasattr(item, "dtype") else None
            )
            arrays = {name: np.asarray(file[name], np.float32) for name in names}
    except (OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
        reason = first_line(error)
        raise WeightsError(f"{path}: not a checkpoint of kinetics_i3d ({reason})") from error
    return Checkpoint(info, arrays, path)
