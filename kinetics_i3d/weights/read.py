"""`read_weights`: weights by name or path, whatever program wrote them."""

import dataclasses

from absl import logging

from kinetics_i3d.core.errors import WeightsError
from kinetics_i3d.weights.catalog import CATALOG, find_weights, locate
from kinetics_i3d.weights.checkpoint import read_checkpoint, read_info
from kinetics_i3d.weights.distribution import read_distributed
from kinetics_i3d.weights.download import fetch
from kinetics_i3d.weights.foreign import read_foreign
from kinetics_i3d.weights.images import find_image_row
from kinetics_i3d.weights.inception5h import is_inception5h, read_inception5h
from kinetics_i3d.weights.released import STAMPS, lacking
from kinetics_i3d.weights.tar_archive import checkpoint_in_tar, is_tar


def read_weights(weights):
    """Reads weights of any known kind.

    Args:
        weights: A name in `CATALOG` or `IMAGES`, or a path: a checkpoint of this package,
            TensorFlow's or PyTorch's, safetensors, a Keras file, a SavedModel, a Flax pickle, or
            inception5h: `inception5h.zip`, its `tensorflow_inception_graph.pb`, or a folder of its
            tensors; or a tar archive with one TensorFlow checkpoint, such as TF-Slim's.

    Returns:
        A `Checkpoint`.

    Raises:
        WeightsError: If the weights are unknown, damaged or of a kind that is not known.
    """
    row = CATALOG.get(str(weights)) or find_image_row(weights)
    if row is not None and row.release is not None:
        return read_released(row)
    return _read_path(find_weights(weights))


def _read_path(path):
    """Reads weights from a file, a folder, or the prefix of a TensorFlow checkpoint."""
    if is_inception5h(path):
        return read_inception5h(path)
    if is_tar(path):
        with checkpoint_in_tar(path) as prefix:
            return dataclasses.replace(read_foreign(prefix), path=path)
    if path.is_file() and read_info(path) is not None:
        return read_checkpoint(path)
    return read_foreign(path)


def read_released(row):
    """Reads a released row; a file that went bad in the cache is replaced, once.

    Args:
        row: A `CatalogEntry` with a `release`, or an `ImageEntry`.

    Returns:
        A `Checkpoint`.

    Raises:
        WeightsError: If its files cannot be had, or are not those of the release.
    """
    source, path = locate(row)
    if source == "distribution":
        checkpoint = read_distributed(row, path)
    else:
        try:
            checkpoint = _read_path(path)
        except WeightsError as error:
            # The stamp says that it was whole when it came: check it against the release again.
            (path.parent / STAMPS).unlink(missing_ok=True)
            if not lacking(path.parent, row.release):
                raise
            logging.warning("%s; fetching it again", error)
            checkpoint = _read_path(fetch(row))
    labels = row.labels or checkpoint.info.labels
    info = dataclasses.replace(checkpoint.info, clip_spec=row.clip_spec, labels=labels)
    return dataclasses.replace(checkpoint, info=info)
