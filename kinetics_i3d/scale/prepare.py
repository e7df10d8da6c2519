"""`prepare_on_cluster`: writes the records of `prepare`, each shard in a process of a cluster.

A shard is the unit of work: its bytes depend only on its videos and the settings, it is written
atomically, and a small manifest beside it marks it as complete.
"""

import json
import pathlib

from kinetics_i3d.core.errors import UserError, first_line
from kinetics_i3d.core.progress import stage
from kinetics_i3d.data.records.addresses import SCHEME
from kinetics_i3d.data.records.manifest import Split
from kinetics_i3d.data.records.prepare import prepare_by
from kinetics_i3d.data.records.shards import has_several_labels, write_shard
from kinetics_i3d.scale.cluster import Cluster, dataset_of, losses_reported
from kinetics_i3d.video.limits import bounded_decoder, set_bounded_decoder


def prepare_on_cluster(dataset, folder, config=None, *, cluster=None):
    """Writes the same records as `prepare`.

    Args:
        dataset: A `VideoDataset` whose videos have the same paths on every node.
        folder: Output folder, with the same path on every node.
        config: A `PrepareConfig`; None is the default one.
        cluster: A `Cluster`; None is this machine.

    Returns:
        `Records(folder)`.

    Raises:
        DatasetError: As `prepare`.
        UserError: If there is no such cluster, or `folder` is an address.
    """
    cluster = Cluster() if cluster is None else cluster
    if SCHEME.match(str(folder)):
        raise UserError(f"{folder}: records must be written to a folder that all nodes share")

    def write(missing, labels, config, identity, done):
        if not missing:
            return {}
        total = done + sum(map(len, missing.values()))
        with (
            cluster.connected(has_network=False) as ray,
            stage("prepare", total=total, noun="videos", initial=done) as show,
            losses_reported(ray, folder),
        ):
            records = (missing, labels, config, identity)
            return _write(ray, *records, cluster.bounded_decoder, done, show)

    with bounded_decoder(cluster.bounded_decoder):
        return prepare_by(write, dataset, pathlib.Path(folder).absolute(), config)


def _write(ray, missing, labels, config, identity, is_bounded, done, show):
    shards = ray.put({str(path): videos for path, videos in missing.items()})

    def write_one(batch):
        import pyarrow

        path = batch["path"][0].as_py()
        fatal = text = None
        set_bounded_decoder(is_bounded)
        try:
            videos = ray.get(shards)[path]
            split = write_shard(pathlib.Path(path), videos, labels, config, identity)
            text = json.dumps(split.to_dict())
        except UserError as error:
            fatal = str(error)
        except OSError as error:
            fatal = f"{path}: cannot be written ({error.strerror or first_line(error)})"
        columns = {"path": path, "split": text, "fatal": fatal}
        kind = pyarrow.string()
        return pyarrow.table({name: pyarrow.array([v], kind) for name, v in columns.items()})

    dataset = dataset_of(ray, [{"path": str(path)} for path in missing])
    dataset = dataset.map_batches(write_one, batch_size=1, batch_format="pyarrow", num_cpus=1)
    splits = {}
    for row in dataset.iter_rows():
        if row["fatal"] is not None:
            raise UserError(row["fatal"])
        path = pathlib.Path(row["path"])
        fields, several = json.loads(row["split"]), has_several_labels(missing[path])
        splits[path] = Split.from_dict(fields, multi_label=several)
        done += len(missing[path])
        show(done)
    return splits
