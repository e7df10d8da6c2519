"""`Records`: prepared videos as TFRecords of JPEG frames, flow and labels.

Field names are those of MediaSequence, https://github.com/google-ai-edge/mediapipe
(`util/sequence`), which TensorFlow's Model Garden also reads.
"""

import collections
import dataclasses

from kinetics_i3d.core.clip_spec import as_streams
from kinetics_i3d.core.errors import DatasetError
from kinetics_i3d.core.types import PathLike
from kinetics_i3d.data.dataset import Dataset
from kinetics_i3d.data.layouts.listing import UNDIVIDED
from kinetics_i3d.data.records.addresses import path_or_address
from kinetics_i3d.data.records.manifest import NAME, is_manifest, read_manifest

LABEL_INDEX = "clip/label/index"
LABEL_NAME = "clip/label/string"
DATA_PATH = "clip/data_path"
# Prefixes of the fields of each stream.
PREFIX = {"rgb": "image/", "flow": "FORWARD_FLOW/image/"}
# libjpeg's accurate DCT. TensorFlow's default is no longer faster, and doubles the error of flow:
# 0.09 pixels on average instead of 0.05.
ACCURATE = "INTEGER_ACCURATE"


class Records(Dataset):
    """A folder of records written by `prepare`.

    Args:
        folder: The folder of `manifest.json` and the shards; an address such as
            `"s3://bucket/records"` is read through the file systems of TensorFlow.

    Raises:
        DatasetError: If the manifest is missing, damaged or incomplete, or there is no file system
            for the address.

    Example:

    >>> from kinetics_i3d.data.datasets import open_dataset
    >>> from kinetics_i3d.data.records.prepare import PrepareConfig, prepare
    >>> _ = prepare(open_dataset(folder), folder / "out", PrepareConfig(streams=("rgb",)))
    >>> records = open_dataset(folder / "out")
    >>> records.labels, records.splits, records.count("train")
    (('sit', 'stand'), ('test', 'train'), 1)
    >>> [(path.name, count) for path, count in records.shards("test")]
    [('test-00000-of-00001.tfrecord', 1)]
    """

    def __init__(self, folder: PathLike):
        self.folder = path_or_address(folder)
        self.manifest = read_manifest(self.folder)

    def __len__(self):
        return sum(split.records for split in self.manifest.splits.values())

    @property
    def name(self):
        """The name of the folder."""
        return self.folder.name

    @property
    def labels(self):
        """Class names, in the order of the indices in the records."""
        return self.manifest.labels

    @property
    def multi_label(self):
        """Whether a record may have several classes, or none."""
        return self.manifest.multi_label

    @property
    def is_undivided(self):
        """Whether they were prepared of videos without splits, and not divided."""
        return self.splits == (UNDIVIDED,)

    @property
    def clip_spec(self):
        """The `ClipSpec` by which frames were sampled and resized; they are not cropped."""
        return self.manifest.spec

    @property
    def streams(self):
        """`("rgb",)`, `("flow",)` or `("rgb", "flow")`."""
        return self.manifest.streams

    @property
    def flow(self):
        """The `FlowSettings.to_dict()` of the flow; None without flow."""
        return self.manifest.settings["flow"]

    def split_sizes(self):
        """{name of a split: number of its records}."""
        return {name: split.records for name, split in self.manifest.splits.items()}

    def class_counts(self):
        """{label: number of records that have it}, only of labels that occur."""
        counts: collections.Counter = collections.Counter()
        for split in self.manifest.splits.values():
            counts.update(split.classes)
        return dict(counts)

    @property
    def missing(self):
        """Empty; `failures` are the videos that `prepare` could not read."""
        return ()

    @property
    def videos(self):
        """Raises `DatasetError`: records do not contain the videos."""
        raise DatasetError(
            f"{self.folder}: contains prepared records; this requires the original videos"
        )

    def split(self, name):
        """The `RecordSplit` of a split; `DatasetError` if it is missing or empty."""
        if not self.count(name):
            raise DatasetError(f"{self.folder}: the split {name!r} has no records")
        return RecordSplit(self, name)

    def hold_out(self, fraction, *, seed=0):
        """Raises `DatasetError`: `prepare` fixes the splits of records."""
        raise DatasetError("validation must be a split when training on records, not a fraction")

    def shards(self, split):
        """The files of a split in order, a list of (path or `Address`, number of records).

        Raises:
            DatasetError: If there is no such split, or a file is missing or of another size.
        """
        shards = []
        for shard in self._split(split).shards:
            path = self.folder / shard.file
            if not path.is_file():
                raise DatasetError(f"{path}: no such shard; repeat the `prepare` that wrote it")
            size = path.stat().st_size
            if size != shard.bytes:
                raise DatasetError(
                    f"{path}: has {size} bytes, but {shard.bytes} were written; delete it, and "
                    "repeat the `prepare` that wrote it"
                )
            shards.append((path, shard.records))
        return shards

    def count(self, split):
        """The number of records in a split; `DatasetError` if there is no such split."""
        return self._split(split).records

    def failures(self, split):
        """The videos of a split that could not be read, a list of (path, message)."""
        return list(self._split(split).failures)

    def _split(self, name):
        if name not in self.manifest.splits:
            raise DatasetError(f"{self.folder}: no split {name!r}; there are {list(self.splits)}")
        return self.manifest.splits[name]


@dataclasses.dataclass(frozen=True)
class RecordSplit(Dataset):
    """One split of prepared records.

    Args:
        records: `Records`.
        name: The name of the split.
    """

    records: Records
    name: str

    def __len__(self):
        return self.records.count(self.name)

    @property
    def labels(self):
        """Class names in order."""
        return self.records.labels

    @property
    def multi_label(self):
        """As for `Records`."""
        return self.records.multi_label

    def split_sizes(self):
        """{name: number of its records}."""
        return {self.name: len(self)}

    @property
    def missing(self):
        """Empty, as for `Records`."""
        return ()

    @property
    def clip_spec(self):
        """As for `Records`."""
        return self.records.clip_spec

    @property
    def videos(self):
        """As for `Records`."""
        return self.records.videos

    def split(self, name):
        """Another split of the same records."""
        return self.records.split(name)

    def hold_out(self, fraction, *, seed=0):
        """Raises `DatasetError`, as for `Records`."""
        return self.records.hold_out(fraction, seed=seed)

    def for_process(self, index, count):
        """The whole split: validation on records is not divided."""
        return self

    def class_counts(self):
        """{label: number of records that have it}, only of labels that occur."""
        return self.records.manifest.splits[self.name].classes

    def random_clips(self, **options):
        """Random clips from the records, see `record_clips`."""
        from kinetics_i3d.data.records.clips import record_clips

        return record_clips(self, **options)

    def identity(self, specs=None):
        """Yields the labels, then the names and checksums of the files."""
        yield self.labels
        yield dataclasses.asdict(self.records.manifest.splits[self.name])


LOOKS_LIKE = "manifest.json of prepared records"


def find_records(location):
    """The folder of a `Location` that contains records, recognized by its manifest."""
    manifests = [file for file in location.files if file.name == NAME]
    if not location.path.is_dir() or not all(map(is_manifest, manifests)):
        return ()
    return (location.path,) if manifests else ()


def open_records(files):
    """The `Records` in the folder, or at the address, that `find_records` found."""
    return Records(files[0])


def parse_record(serialized, *, streams, classes=None):
    """Parses a record without decoding its frames; a clip then decodes only the frames it needs.

    Works eagerly and inside tf.data.

    Args:
        serialized: Scalar string tensor.
        streams: `"rgb"`, `"flow"` or both.
        classes: The number of classes of records that may have several labels; None for one label.

    Returns:
        A dictionary of tensors:

        - `"image"`: string (frames,), with rgb.
        - `"flow"`: string (frames - 1,), with flow.
        - `"label"`: int64 (); with `classes`, float32 (classes,), 1.0 for each class of the video.
        - `"timestamps"`: int64 (frames,), or (frames - 1,) of flow alone; microseconds from the
          first frame.
        - `"name"`: string (), the video's path in its dataset.
    """
    import tensorflow as tf

    streams = as_streams(streams)
    clock = f"{PREFIX['rgb' if 'rgb' in streams else 'flow']}timestamp"
    lists = {f"{PREFIX[stream]}encoded": tf.string for stream in streams} | {clock: tf.int64}
    context, sequences = tf.io.parse_single_sequence_example(
        serialized,
        context_features={
            LABEL_INDEX: (
                tf.io.FixedLenFeature((), tf.int64)
                if classes is None
                else tf.io.VarLenFeature(tf.int64)
            ),
            DATA_PATH: tf.io.FixedLenFeature((), tf.string),
        },
        sequence_features={
            name: tf.io.FixedLenSequenceFeature((), kind) for name, kind in lists.items()
        },
    )
    label = context[LABEL_INDEX]
    if classes is not None:
        numbers = label.values[:, None]
        ones = tf.ones_like(label.values, tf.float32)
        label = tf.tensor_scatter_nd_update(tf.zeros(classes), numbers, ones)
    parsed = {
        "label": label,
        "name": context[DATA_PATH],
        "timestamps": sequences[clock],
    }
    for stream, name in (("rgb", "image"), ("flow", "flow")):
        if stream in streams:
            parsed[name] = sequences[f"{PREFIX[stream]}encoded"]
    return parsed


def decode_frames(jpegs):
    """uint8 (n, height, width, 3) of n JPEG strings, 1 or more."""
    import tensorflow as tf

    return tf.map_fn(
        lambda jpeg: tf.io.decode_jpeg(jpeg, channels=3, dct_method=ACCURATE),
        tf.convert_to_tensor(jpegs),
        fn_output_signature=tf.TensorSpec((None, None, 3), tf.uint8),
    )


def decode_flow_frames(jpegs):
    """uint8 (n, height, width, 2), quantized flow, x then y, of n JPEG strings, 1 or more."""
    return decode_frames(jpegs)[..., :2]
