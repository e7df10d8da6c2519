"""Finds, downloads and reads weights by name or path: `read_weights`, `fetch_weights` and others.

A name in the catalog refers to a shipped file or to released weights. Released weights come from
the cache, else from an installed distribution that contains them, else from the address of the
release.
"""

import contextlib
import dataclasses
import difflib
import os
import pathlib
from collections.abc import Mapping

from absl import logging

from kinetics_i3d.core.clip_spec import STREAMS
from kinetics_i3d.core.errors import WeightsError
from kinetics_i3d.core.types import PathLike, Weights
from kinetics_i3d.weights.catalog import CATALOG, IMAGES, PAIRS, CatalogEntry, ImageEntry
from kinetics_i3d.weights.checkpoint import Checkpoint, WeightsInfo
from kinetics_i3d.weights.distribution import find_file, read_distributed
from kinetics_i3d.weights.download import fetch
from kinetics_i3d.weights.formats import read_path, read_path_info
from kinetics_i3d.weights.released import PREFIX, STAMPS, cache_folder, missing_files

Entry = CatalogEntry | ImageEntry


@dataclasses.dataclass(frozen=True)
class WeightsSource:
    """The weights of one network: a row of the catalog, or a path.

    Args:
        entry: The row, or `None` for a path.
        path: A file, a folder, or the prefix of a TensorFlow checkpoint; `None` for a row.
    """

    entry: Entry | None = None
    path: pathlib.Path | None = None

    @property
    def name(self) -> str:
        """The name in the catalog, or the path."""
        return str(self.path) if self.entry is None else self.entry.name

    def fetch(self) -> pathlib.Path:
        """Downloads the weights if needed, and returns their local path."""
        return self.path if self.entry is None else locate(self.entry)[1]

    def info(self) -> WeightsInfo:
        """The `WeightsInfo`, without a download and, if possible, without reading the arrays."""
        row = self.entry
        if row is None:
            return read_path_info(self.path)
        rank = 2 if isinstance(row, ImageEntry) else 3
        system = None if row.system in ("InceptionV1", "InceptionI3D") else row.system
        labels = tuple(row.labels)
        return WeightsInfo(
            row.architecture, rank, row.clip_spec, row.classes, labels, system=system
        )

    def read(self) -> Checkpoint:
        """Reads the weights, and downloads them first if needed."""
        if self.entry is None or self.entry.release is None:
            return read_path(self.fetch())
        return _read_released(self.entry)


def resolve_weights(
    weights: Weights, *, images: bool = False, pairs: bool = False
) -> tuple[WeightsSource, ...]:
    """Resolves a name, a path, or a pair of them, without downloading or reading anything.

    Args:
        weights: A name in the catalog; or a path: a file, a folder, or the prefix of a TensorFlow
            checkpoint. With `pairs` also the name of a pair, or `{"rgb": ..., "flow": ...}`.
        images: Whether weights of image networks are accepted.
        pairs: Whether weights of two networks are accepted.

    Returns:
        A tuple with one `WeightsSource`, or with two, rgb first.

    Raises:
        ValueError: If `weights` is neither a name nor a path, or a dictionary without the keys of
            both streams.
        WeightsError: If there is no such name or path (similar names are listed), or if the weights
            are those of a pair or of an image network and these are not accepted.

    Example:

    >>> [source.name for source in resolve_weights("kinetics400", pairs=True)]
    ['rgb_kinetics400', 'flow_kinetics400']
    """
    if pairs and isinstance(weights, Mapping):
        if weights.keys() != {*STREAMS}:
            raise ValueError(
                "`weights` must have the keys 'rgb' and 'flow'. Received: "
                f"weights={dict(weights)!r}"
            )
        return tuple(resolve_weights(weights[stream])[0] for stream in STREAMS)
    if isinstance(weights, str) and weights in PAIRS:
        if not pairs:
            raise WeightsError(
                f"{weights}: a pair of two streams, but one stream is needed; use "
                f"{' or '.join(PAIRS[weights].members)}"
            )
        return tuple(WeightsSource(row) for row in find_entries(weights))
    entry = find_entry(weights)
    if isinstance(entry, ImageEntry) and not images:
        raise WeightsError(
            f"{entry.name}: these weights are for an image network (InceptionV1), but a video "
            f"network is needed; inflate them first: kinetics-i3d inflate {entry.name} --output "
            "inflated.h5"
        )
    if entry is not None:
        return (WeightsSource(entry),)
    if isinstance(weights, Mapping):
        raise WeightsError(f"weights of one network are needed. Received: {dict(weights)!r}")
    if not isinstance(weights, (str, os.PathLike)):
        raise ValueError(
            f"`weights` must be a name or a path of weights. Received: {type(weights).__name__}"
        )
    path = pathlib.Path(weights)
    # Unlike methods of `Path`, these are False for a name that is too long for a file.
    if os.path.exists(path) or os.path.isfile(f"{path}.index"):
        return (WeightsSource(path=path),)
    if not isinstance(weights, str) and (find_entry(str(weights)) or str(weights) in PAIRS):
        raise WeightsError(f"{path}: no such weights file; the name of weights must be a string")
    if path.suffix or os.sep in str(weights):
        raise WeightsError(f"{path}: no such weights file")
    raise _unknown(weights, images=images, pairs=pairs)


def read_weights(weights: PathLike | WeightsSource, *, images: bool = True) -> Checkpoint:
    """Reads weights by name or path, in any known format.

    Args:
        weights: A name in the catalog, a `WeightsSource`, or a path: a checkpoint of this package,
            of TensorFlow or PyTorch, safetensors, a Keras file, a SavedModel, a Flax pickle, a tar
            archive with one TensorFlow checkpoint such as TF-Slim's, or inception5h:
            `inception5h.zip`, its `tensorflow_inception_graph.pb`, or a folder of its tensors.
        images: Whether the names of image networks' weights are accepted.

    Returns:
        A `Checkpoint`, floats in float32.

    Raises:
        WeightsError: If the weights are unknown, damaged, in an unknown format, or cannot be
            downloaded.
    """
    if not isinstance(weights, WeightsSource):
        (weights,) = resolve_weights(weights, images=images)
    return weights.read()


def fetch_weights(
    weights: Weights, *, images: bool = False, pairs: bool = False
) -> list[pathlib.Path]:
    """Downloads weights if needed, and returns their local paths.

    Args:
        weights: As for `resolve_weights`.
        images: As for `resolve_weights`.
        pairs: As for `resolve_weights`.

    Returns:
        A list of paths, one per network; for released weights the prefix of the files in the cache,
        or the file in an installed distribution.

    Raises:
        WeightsError: As `resolve_weights`; or if an installed distribution has wrong weights, or a
            download fails.
    """
    return [source.fetch() for source in resolve_weights(weights, images=images, pairs=pairs)]


def list_weights() -> list[str]:
    """The names that `weights=` accepts: video networks, and pairs of streams.

    `kinetics-i3d weights NAME` prints the details of one of them.

    Returns:
        A list of names, such as `"rgb_kinetics400"` and the pair `"kinetics400"`.

    Example:

    >>> "rgb_kinetics400" in ki3d.list_weights(), "kinetics400" in ki3d.list_weights()
    (True, True)
    """
    return [*CATALOG, *PAIRS]


def find_entries(name: str) -> list[Entry]:
    """The rows of a name in the catalog: one, or both of a pair.

    Raises:
        WeightsError: If there is no such name; the error lists similar ones.

    Example:

    >>> [row.name for row in find_entries("kinetics400")]
    ['rgb_kinetics400', 'flow_kinetics400']
    """
    if name in PAIRS:
        return [CATALOG[member] for member in PAIRS[name].members]
    row = find_entry(name)
    if row is None:
        raise _unknown(name, images=True, pairs=True)
    return [row]


def find_entry(name) -> Entry | None:
    """The row of a name or alias in the catalog, or `None`; files take precedence over aliases.

    Example:

    >>> find_entry("inception5h").name
    'imagenet_inception5h'
    """
    if not isinstance(name, str):
        return None
    row = CATALOG.get(name) or IMAGES.get(name)
    if row is None and not os.path.exists(name):
        row = next((row for row in IMAGES.values() if name in row.aliases), None)
    return row


def _unknown(name, *, images, pairs):
    """The error for a name that is not in the catalog, with similar ones."""
    names = [*CATALOG, *(PAIRS if pairs else ()), *(IMAGES if images else ())]
    near = difflib.get_close_matches(str(name), names, n=3, cutoff=0.4)
    advice = f"did you mean {' or '.join(near)}?" if near else f"the names are {', '.join(names)}"
    return WeightsError(f"unknown weights {str(name)!r}; {advice}")


def locate(row: Entry) -> tuple[str, pathlib.Path]:
    """Finds the weights of a row in the first of its sources that has them.

    Returns:
        (source, path), the source being one of `row.sources`. Without a distribution, it is
        `"download"` even if the files are in the cache.

    Raises:
        WeightsError: As for `fetch_weights`.

    Example:

    >>> locate(CATALOG["rgb_figures"])[0]
    'shipped'
    """
    if isinstance(row, CatalogEntry) and row.release is None:
        return "shipped", row.path
    if row.distribution is not None:
        folder = cache_folder() / row.name
        if not missing_files(folder, row.release):
            return "cache", folder / PREFIX
        path = find_file(row.distribution, row.name)
        if path is not None:
            return "distribution", path
    return "download", fetch(row)  # which checks the cache too


def _read_released(row):
    """Reads a released row; a file that was damaged in the cache is replaced once."""
    source, path = locate(row)
    if source == "distribution":
        checkpoint = read_distributed(row, path)
    else:
        try:
            checkpoint = read_path(path)
        except WeightsError as error:
            # It was intact when it was stamped: verify it against the release again.
            with contextlib.suppress(OSError):  # of a cache that cannot be written
                (path.parent / STAMPS).unlink(missing_ok=True)
            if not missing_files(path.parent, row.release):
                raise
            logging.warning("%s; downloading it again", error)
            checkpoint = read_path(fetch(row))
    labels = row.labels or checkpoint.info.labels
    info = dataclasses.replace(checkpoint.info, clip_spec=row.clip_spec, labels=labels)
    return dataclasses.replace(checkpoint, info=info)
