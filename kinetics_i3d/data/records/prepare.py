"""`prepare` decodes the videos of a dataset once, into TFRecords, from which training is faster.

`verify_records` checks them. By default, flow is computed as for the I3D release; it is stored in
8 bits.
"""

import contextlib
import dataclasses
import importlib.metadata
import json
import re

from kinetics_i3d.core.clip_spec import DEEPMIND, ClipSpec, as_spec, as_streams
from kinetics_i3d.core.errors import DatasetError
from kinetics_i3d.core.files import check_unicode
from kinetics_i3d.core.locks import locked
from kinetics_i3d.core.settings import check_settings
from kinetics_i3d.core.threads import usable_processors
from kinetics_i3d.core.types import PathLike, ProgressFunction, Streams, check_count, is_number
from kinetics_i3d.data.dataset import Dataset
from kinetics_i3d.data.datasets import open_dataset
from kinetics_i3d.data.layouts.listing import UNDIVIDED
from kinetics_i3d.data.records import manifest as manifests
from kinetics_i3d.data.records.addresses import Address, path_or_address
from kinetics_i3d.data.records.manifest import digest
from kinetics_i3d.data.records.reader import Records
from kinetics_i3d.data.records.shards import ShardWriter, check_framing, file_sha256, plan_shards
from kinetics_i3d.data.video_dataset import SHARE, split_undivided
from kinetics_i3d.flow.methods import pair_function
from kinetics_i3d.flow.settings import FlowSettings

LEFT_OVER = re.compile(r"\.(manifest|.+-\d{5}-of-\d{5})(-\w+){1,3}\.(json|tfrecord)")


def prepare(
    dataset: PathLike | Dataset,
    folder: PathLike,
    config: "PrepareConfig | None" = None,
    *,
    workers: int | None = None,
    progress: ProgressFunction | None = None,
) -> Records:
    """Writes a dataset as shards of records, and `manifest.json` when all of them are complete.

    Repeating an interrupted call completes it: finished shards are kept, and deleted ones are
    written again. The bytes of a shard depend only on the videos and on `config`. Videos that are
    missing or cannot be read are skipped and listed in the manifest.

    Args:
        dataset: A `VideoDataset`, or its path; every split of it is written.
        folder: Output folder, created if missing.
        config: A `PrepareConfig`; None is the default.
        workers: Number of videos encoded at the same time, one thread each; None is one per
            processor. At most twice as many encoded videos are in memory.
        progress: Called with the number of finished videos after each.

    Returns:
        `Records(folder)`.

    Raises:
        DatasetError: If the folder contains records with other settings, which are listed, if
            another process is writing there, or if a file cannot be written.
        OSError: If the folder cannot be created or written.
        UserError: If a package that flow needs is missing.
        ValueError: If `workers` is below 1, or `config` is not a `PrepareConfig`.

    Example:

    >>> from kinetics_i3d.data.datasets import open_dataset
    >>> config = PrepareConfig(streams=("rgb",), quality=90)
    >>> records = prepare(open_dataset(folder), folder / "out", config)
    >>> records.count("train"), records.failures("train")
    (1, [])
    """
    config = PrepareConfig() if config is None else config
    if not isinstance(config, PrepareConfig):
        raise ValueError(f"`config` must be a PrepareConfig. Received: config={config!r}")
    dataset = open_dataset(dataset)
    workers = usable_processors() if workers is None else workers
    if workers < 1:
        raise ValueError(f"`workers` must be 1 or more. Received: workers={workers!r}")

    def write(missing, labels, config, identity, done):
        writer = ShardWriter(labels, config, identity, workers, progress)
        writer.report(done)
        return writer.write(missing)

    return prepare_by(write, dataset, folder, config)


def prepare_by(write, dataset, folder, config=None):
    """As `prepare`, with a custom function that writes the shards, for example on a cluster.

    Args:
        write: Called with ({path of a shard: list of (name, `Video`)}, labels, config, digest of
            the settings, number of videos in finished shards); calls `write_shard` for each shard
            and returns {path: `Split`}.
        dataset: As for `prepare`.
        folder: As for `prepare`.
        config: As for `prepare`.

    Returns:
        `Records(folder)`.
    """
    config = PrepareConfig() if config is None else config
    folder = path_or_address(folder)
    if isinstance(folder, Address):
        raise DatasetError(
            f"{folder}: records can only be written to a local folder; copy them from there"
        )
    check_unicode(folder)
    if "flow" in config.streams:
        pair_function(config.flow.method, config.flow.backend)  # refuses a missing package
    if config.validation and dataset.is_undivided and not _holds_undivided(folder):
        parts = split_undivided(dataset, share=config.validation, seed=config.seed)
        dataset = dataclasses.replace(
            dataset,
            videos=tuple(video for part in parts for video in part.videos),
            missing=tuple(video for part in parts for video in part.missing),
        )
    plan = plan_shards(dataset, size=config.shard_size, seed=config.seed)
    settings = {
        "labels": list(dataset.labels),
        **config.to_dict(),
        "videos": {name: summarize(shards) for name, shards in plan.items()},
        # Absent for one label per video, so that the bytes of such records do not change.
        **({"multi_label": True} if dataset.multi_label else {}),
    }
    settings = json.loads(json.dumps(settings))  # as they will be read: tuples become lists
    shards = {folder / file: videos for split in plan.values() for file, videos in split}
    with _exclusive(folder):
        begun = _claim(folder, settings)
        # The digest of the settings as read from the file, where 25 may be 25.0.
        identity = manifests.digest(begun.settings)
        done = {
            path: manifests.read_shard_manifest(path, identity, multi_label=dataset.multi_label)
            for path in shards
        }
        missing = {path: videos for path, videos in shards.items() if done[path] is None}
        if missing:  # the records may have been complete before
            manifests.write_manifest(folder, begun)
        finished = sum(len(shards[path]) for path in shards if path not in missing)
        done |= write(missing, dataset.labels, config, identity, finished)
        splits = {
            name: manifests.Split.merge([done[folder / file] for file, _ in split])
            for name, split in plan.items()
        }
        manifests.write_manifest(folder, dataclasses.replace(begun, splits=splits))
    return Records(folder)


def _holds_undivided(folder):
    """Whether a folder holds records, finished or not, that were prepared without dividing them."""
    if not (folder / manifests.NAME).is_file():
        return False
    earlier = manifests.read_manifest(folder, complete=False)
    return [*earlier.settings["videos"]] == [UNDIVIDED]


def _claim(folder, settings):
    """The manifest of the unfinished records in a folder; `DatasetError` for other settings."""
    if (folder / manifests.NAME).exists():
        earlier = manifests.read_manifest(folder, complete=False)
        check_settings(
            earlier.settings,
            settings,
            path=folder,
            advice="choose another folder, or the same settings and video files",
            error=DatasetError,
        )
        begun = dataclasses.replace(earlier, splits=None)
    else:
        begun = manifests.Manifest(settings, importlib.metadata.version("kinetics-i3d"))
    for path in folder.iterdir():
        if LEFT_OVER.fullmatch(path.name):  # left behind by a killed process
            path.unlink()
    return begun


@contextlib.contextmanager
def _exclusive(folder):
    """Creates a folder and locks it; `DatasetError` while another process writes records there."""
    with locked(folder / ".lock", wait=False) as is_free:
        if not is_free:
            raise DatasetError(f"{folder}: another process is preparing records there")
        yield


@dataclasses.dataclass(frozen=True)
class PrepareConfig:
    """The settings of `prepare`; the bytes of the records depend only on these and on the videos.

    Args:
        streams: `"rgb"`, `"flow"` or `"rgb,flow"`.
        spec: The `ClipSpec` with which frames are sampled and resized, or its name; they are not
            cropped.
        flow: The `FlowSettings`.
        quality: JPEG quality of the frames, 1 to 100.
        flow_quality: JPEG quality of the flow, 1 to 100.
        shard_size: Number of videos per file. 32 videos of 10 seconds take about 300 MB.
        seed: Seed of the assignment of videos to shards.
        validation: Fraction of the videos of a dataset without splits that get the split `"val"`,
            0 to 1; the others get `"train"`. `train` holds out the same videos of the dataset
            itself. With 0, all get the split `"all"`, as in a folder whose records were begun so.

    Raises:
        ValueError: If a field is outside its range.

    Example:

    >>> PrepareConfig(streams=("rgb",)).spec.name
    'deepmind'
    """

    streams: Streams = ("rgb", "flow")
    spec: ClipSpec = DEEPMIND
    flow: FlowSettings = dataclasses.field(default_factory=FlowSettings)
    quality: int = 95
    flow_quality: int = 98
    shard_size: int = 32
    seed: int = 0
    validation: float = SHARE

    def __post_init__(self):
        object.__setattr__(self, "streams", as_streams(self.streams))
        spec = as_spec(self.spec)
        object.__setattr__(self, "spec", spec)
        if spec.stream != "rgb":
            raise ValueError(
                "`spec` must be the spec of the frames, for the stream 'rgb'. Received: "
                f"spec={spec.name!r} of stream {spec.stream!r}"
            )
        for name in ("quality", "flow_quality", "shard_size"):  # Python's numbers, for JSON
            object.__setattr__(self, name, check_count(name, getattr(self, name)))
        for name in ("quality", "flow_quality"):
            value = getattr(self, name)
            if value > 100:
                raise ValueError(f"`{name}` must be 1 to 100. Received: {name}={value!r}")

        if not is_number(self.validation) or not 0 <= self.validation < 1:
            raise ValueError(
                "`validation` must be a fraction, at least 0 and below 1. Received: "
                f"validation={self.validation!r}"
            )

    def to_dict(self):
        """The fields that affect a record, JSON-ready, with the backend that is used."""
        has_flow = "flow" in self.streams
        return {
            "streams": list(self.streams),
            "spec": self.spec.to_dict(),
            "flow": self.flow.with_backend().to_dict() if has_flow else None,
            "quality": self.quality if "rgb" in self.streams else None,
            "flow_quality": self.flow_quality if has_flow else None,
            "shard_size": self.shard_size,
            "seed": self.seed,
        }


def summarize(shards):
    """The number of videos of a split and a digest of their order, JSON-ready."""
    rows = [
        (name, video.label if video.labels is None else video.labels)
        for _, videos in shards
        for name, video in videos
    ]
    return {"number": len(rows), "digest": digest(rows)}


def verify_records(folder, *, progress=None):
    """Reads every shard of a folder and compares it with the manifest.

    The checksums of files (SHA-256) and of each record (CRC-32C) are verified. To write a damaged
    shard again, delete it and repeat the call of `prepare`.

    Args:
        folder: A folder written by `prepare`.
        progress: Called with the number of verified shards after each.

    Returns:
        A list of (path, problem), one per bad shard.

    Raises:
        DatasetError: If the manifest is missing, damaged or incomplete.
    """
    records = Records(folder)
    shards = [shard for name in records.splits for shard in records.manifest.splits[name].shards]
    bad = []
    for number, shard in enumerate(shards, 1):
        path = records.folder / shard.file
        wrong = shard_problem(path, shard)
        if wrong:
            bad.append((path, wrong))
        if progress is not None:
            progress(number)
    return bad


def shard_problem(path, shard):
    """The problem of the file of a `Shard`, or None."""
    import tensorflow as tf

    if not path.is_file():
        return "missing"
    size = path.stat().st_size
    if size != shard.bytes:
        return f"{size} bytes, not {shard.bytes}"
    if file_sha256(path) != shard.sha256:
        return "its bytes have changed: the SHA-256 differs"
    try:
        if not isinstance(path, Address):
            check_framing(path)
        records = sum(1 for _ in tf.data.TFRecordDataset([str(path)]))
    except DatasetError:
        return "a record extends beyond the end of the file"
    except tf.errors.DataLossError:
        return "the checksum of a record does not match"
    return None if records == shard.records else f"{records} records, not {shard.records}"
