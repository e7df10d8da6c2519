"""`prepare` decodes the videos of a dataset once and for all into TFRecords, which train faster.

`verify_records` checks them. Flow: that of the I3D release, in 8 bits.
"""

import contextlib
import dataclasses
import importlib.metadata
import json
import re

from kinetics_i3d.core.clip_spec import DEEPMIND, STREAMS, ClipSpec
from kinetics_i3d.core.errors import DatasetError
from kinetics_i3d.core.files import check_unicode
from kinetics_i3d.core.locks import locked
from kinetics_i3d.core.processors import usable_processors
from kinetics_i3d.core.settings import check_settings
from kinetics_i3d.core.types import PathLike, ProgressFunction
from kinetics_i3d.data.dataset import Dataset
from kinetics_i3d.data.datasets import open_dataset
from kinetics_i3d.data.records import manifest as manifests
from kinetics_i3d.data.records.addresses import Address, path_or_address
from kinetics_i3d.data.records.manifest import digest
from kinetics_i3d.data.records.reader import Records
from kinetics_i3d.data.records.shards import ShardWriter, plan_shards
from kinetics_i3d.flow.methods import pair_function
from kinetics_i3d.flow.settings import FlowSettings

LEFT_OVER = re.compile(r"\.(manifest|.+-\d{5}-of-\d{5})-[^-.]+\.(json|tfrecord)")


def prepare(
    dataset: PathLike | Dataset,
    folder: PathLike,
    config: "PrepareConfig | None" = None,
    *,
    workers: int | None = None,
    progress: ProgressFunction | None = None,
) -> Records:
    """Writes a dataset as shards of records, and `manifest.json` when all are done.

    A call that was stopped is finished by repeating it: shards that are done stay. So does, by
    repeating the call, a shard that was deleted come back. A shard's bytes depend on the videos and
    on `config` alone. A video that is missing or cannot be read is skipped and noted in the
    manifest.

    Args:
        dataset: A `VideoDataset`, or its path; every split of it is written.
        folder: Where to; made if missing.
        config: A `PrepareConfig`; None is the default one.
        workers: Videos worked on at once, a thread each; None is one for each processor. At most
            twice as many are in memory, coded.
        progress: Called with the number of videos done after each.

    Returns:
        `Records(folder)`.

    Raises:
        DatasetError: If the folder holds records of other settings, of which it names what differs,
            or another process is writing there, or a file cannot be written.
        UserError: If a package is missing that flow needs.
        ValueError: If `workers` is below 1, or `config` is no `PrepareConfig`.

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
    """As `prepare`, with another function that writes the shards, such as one of a cluster.

    Args:
        write: Called with ({path of a shard: list of (name, `Video`)}, labels, config, digest of
            the settings, number of videos in shards that are done); calls `write_shard` for each
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
        raise DatasetError(f"{folder}: records are written to a folder here, and then copied there")
    check_unicode(folder)
    if "flow" in config.streams:
        pair_function(config.flow.method, config.flow.backend)  # a missing package: before any file
    plan = plan_shards(dataset, size=config.shard_size, seed=config.seed)
    settings = {
        "labels": list(dataset.labels),
        **config.to_dict(),
        "videos": {name: summarize(shards) for name, shards in plan.items()},
        # Absent from records of one label per video, whose bytes do not change.
        **({"multi_label": True} if dataset.multi_label else {}),
    }
    settings = json.loads(json.dumps(settings))  # as it will be read: tuples are lists there
    shards = {folder / file: videos for split in plan.values() for file, videos in split}
    with _exclusive(folder):
        begun = _claim(folder, settings)
        # Of the settings as they were read: 25 frames a second are 25.0 there.
        identity = manifests.digest(begun.settings)
        done = {
            path: manifests.noted_shard(path, identity, multi_label=dataset.multi_label)
            for path in shards
        }
        missing = {path: videos for path, videos in shards.items() if done[path] is None}
        if missing:  # not complete any more, should it have been so
            manifests.write_manifest(folder, begun)
        finished = sum(len(shards[path]) for path in shards if path not in missing)
        done |= write(missing, dataset.labels, config, identity, finished)
        splits = {
            name: manifests.Split.merge([done[folder / file] for file, _ in split])
            for name, split in plan.items()
        }
        manifests.write_manifest(folder, dataclasses.replace(begun, splits=splits))
    return Records(folder)


def _claim(folder, settings):
    """The manifest, without splits, of the records that are begun here; refuses other settings."""
    if (folder / manifests.NAME).exists():
        earlier = manifests.read_manifest(folder, complete=False)
        check_settings(
            earlier.settings,
            settings,
            path=folder,
            advice="choose another folder or the same settings",
            error=DatasetError,
        )
        begun = dataclasses.replace(earlier, splits=None)
    else:
        begun = manifests.Manifest(settings, importlib.metadata.version("kinetics-i3d"))
    for path in folder.iterdir():
        if LEFT_OVER.fullmatch(path.name):  # a killed process had no time to clear up
            path.unlink()
    return begun


@contextlib.contextmanager
def _exclusive(folder):
    """Makes a folder, and refuses it while another process prepares records there."""
    with locked(folder / ".lock", wait=False) as is_free:
        if not is_free:
            raise DatasetError(f"{folder}: another process is preparing records there")
        yield


@dataclasses.dataclass(frozen=True)
class PrepareConfig:
    """What is written; all that the bytes of the records depend on, but for the videos.

    Args:
        streams: `"rgb"`, `"flow"` or both.
        spec: The `ClipSpec` by which frames are sampled and resized; they are not cropped.
        flow: The `FlowSettings`.
        quality: Of the frames' JPEG, 1 to 100.
        flow_quality: Of the flow's JPEG, 1 to 100.
        shard_size: Videos a file. A shard of 32 videos of 10 seconds has some 300 MB.
        seed: Chooses which video goes into which shard.

    Raises:
        ValueError: If a field is outside its range.

    Example:

    >>> PrepareConfig(streams=("rgb",)).spec.name
    'deepmind'
    """

    streams: tuple = ("rgb", "flow")
    spec: ClipSpec = DEEPMIND
    flow: FlowSettings = dataclasses.field(default_factory=FlowSettings)
    quality: int = 95
    flow_quality: int = 98
    shard_size: int = 32
    seed: int = 0

    def __post_init__(self):
        if self.streams not in (("rgb",), ("flow",), ("rgb", "flow")):
            raise ValueError(
                f"`streams` must be one or both of {STREAMS}, in this order. "
                f"Received: streams={self.streams!r}"
            )
        if self.spec.stream != "rgb":
            raise ValueError(
                "`spec` must be that of the frames, of stream 'rgb'. "
                f"Received: spec={self.spec.name!r} of stream {self.spec.stream!r}"
            )
        for name in ("quality", "flow_quality"):
            value = getattr(self, name)
            if not isinstance(value, int) or not 1 <= value <= 100:
                raise ValueError(f"`{name}` must be 1 to 100. Received: {name}={value!r}")
        if not isinstance(self.shard_size, int) or self.shard_size < 1:
            raise ValueError(
                f"`shard_size` must be 1 or more. Received: shard_size={self.shard_size!r}"
            )

    def to_dict(self):
        """The fields that count, JSON-ready, with the backend that is used if none is named."""
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
    """The number of a split's videos, and a digest of their order; JSON-ready."""
    rows = [
        (name, video.label if video.labels is None else video.labels)
        for _, videos in shards
        for name, video in videos
    ]
    return {"number": len(rows), "digest": digest(rows)}
