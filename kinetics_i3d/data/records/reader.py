"""`Records`: prepared videos as TFRecords, and what one record holds: JPEG frames, flow and label.

Field names are MediaSequence's, https://github.com/google-ai-edge/mediapipe (`util/sequence`),
which TensorFlow's Model Garden reads too.
"""

from kinetics_i3d.core.clip_spec import STREAMS
from kinetics_i3d.core.errors import DatasetError
from kinetics_i3d.data.records.addresses import path_or_address
from kinetics_i3d.data.records.manifest import read_manifest

LABEL_INDEX = "clip/label/index"
LABEL_NAME = "clip/label/string"
DATA_PATH = "clip/data_path"
# What comes before the fields of a stream's pictures.
PREFIX = {"rgb": "image/", "flow": "FORWARD_FLOW/image/"}
# libjpeg's. TensorFlow's default is a quicker one that costs as much time today, and twice the
# error in flow: 0.09 pixels on average in place of 0.05.
ACCURATE = "INTEGER_ACCURATE"


class Records:
    """A folder that `prepare` has filled.

    Args:
        folder: With `manifest.json` and the shards; an address such as `"s3://bucket/records"` is
            read by TensorFlow's file systems.

    Raises:
        DatasetError: If the manifest is missing, damaged or not finished, or there is no file
            system for such an address.

    Example:

    >>> from kinetics_i3d.data.datasets import open_dataset
    >>> from kinetics_i3d.data.records.prepare import PrepareConfig, prepare
    >>> _ = prepare(open_dataset(folder), folder / "out", PrepareConfig(streams=("rgb",)))
    >>> records = Records(folder / "out")
    >>> records.labels, records.splits, records.count("train")
    (('sit', 'stand'), ('test', 'train'), 1)
    >>> [(path.name, count) for path, count in records.shards("test")]
    [('test-00000-of-00001.tfrecord', 1)]
    """

    def __init__(self, folder):
        self.folder = path_or_address(folder)
        self.manifest = read_manifest(self.folder)

    @property
    def labels(self):
        """Class names; their order is that of the indices in the records."""
        return self.manifest.labels

    @property
    def spec(self):
        """The `ClipSpec` by which frames were sampled and resized; they are not cropped."""
        return self.manifest.spec

    @property
    def streams(self):
        """`("rgb",)`, `("flow",)` or `("rgb", "flow")`."""
        return self.manifest.streams

    @property
    def flow(self):
        """How flow was computed and coded, `FlowSettings.to_dict()`; None without flow."""
        return self.manifest.settings["flow"]

    @property
    def splits(self):
        """Their names, sorted."""
        return tuple(sorted(self.manifest.splits))

    def shards(self, split):
        """The files of a split.

        Args:
            split: One of `splits`.

        Returns:
            A list of (`pathlib.Path` or `Address`, number of records), in their order.

        Raises:
            DatasetError: If there is no such split, or a file is missing.
        """
        found = []
        for shard in self._split(split).shards:
            path = self.folder / shard.file
            if not path.is_file():
                raise DatasetError(f"{path}: no such shard; the same `prepare` makes it again")
            found.append((path, shard.records))
        return found

    def count(self, split):
        """The number of records in a split; raises `DatasetError` if there is no such split."""
        return self._split(split).records

    def failures(self, split):
        """The (path, message) of each video of a split that could not be read."""
        return list(self._split(split).failures)

    def _split(self, name):
        if name not in self.manifest.splits:
            raise DatasetError(f"{self.folder}: no split {name!r}; there are {list(self.splits)}")
        return self.manifest.splits[name]


def open_records(folder):
    """Reads the manifest of prepared videos: `Records(folder)`; raises as that does."""
    return Records(folder)


def parse_record(serialized, *, streams):
    """Takes a record apart and leaves its pictures coded, so that a clip decodes only its own.

    Works eagerly and inside tf.data.

    Args:
        serialized: Scalar string tensor.
        streams: Which of `"rgb"` and `"flow"` to take.

    Returns:
        A dictionary of tensors: `"image"` string (frames,) where rgb is taken, `"flow"` string
        (frames - 1,) where flow is, `"label"` int64 (), `"timestamps"` int64 (frames,),
        microseconds from the first frame (of flow alone: frames - 1), and `"name"` string (), the
        video's path in its dataset.

    Raises:
        ValueError: If `streams` is wrong.
    """
    import tensorflow as tf

    if not streams or not set(streams) <= set(STREAMS):
        raise ValueError(f"`streams` must be some of {STREAMS}. Received: streams={streams!r}")
    clock = f"{PREFIX['rgb' if 'rgb' in streams else 'flow']}timestamp"
    lists = {f"{PREFIX[stream]}encoded": tf.string for stream in streams} | {clock: tf.int64}
    context, found = tf.io.parse_single_sequence_example(
        serialized,
        context_features={
            LABEL_INDEX: tf.io.FixedLenFeature((), tf.int64),
            DATA_PATH: tf.io.FixedLenFeature((), tf.string),
        },
        sequence_features={
            name: tf.io.FixedLenSequenceFeature((), kind) for name, kind in lists.items()
        },
    )
    parsed = {
        "label": context[LABEL_INDEX],
        "name": context[DATA_PATH],
        "timestamps": found[clock],
    }
    for stream, name in (("rgb", "image"), ("flow", "flow")):
        if stream in streams:
            parsed[name] = found[f"{PREFIX[stream]}encoded"]
    return parsed


def decode_frames(jpegs):
    """Decodes pictures.

    Args:
        jpegs: String tensor (n,), n of 1 or more: the part of `"image"` that is wanted.

    Returns:
        uint8 tensor (n, height, width, 3), RGB.
    """
    import tensorflow as tf

    return tf.map_fn(
        lambda jpeg: tf.io.decode_jpeg(jpeg, channels=3, dct_method=ACCURATE),
        tf.convert_to_tensor(jpegs),
        fn_output_signature=tf.TensorSpec((None, None, 3), tf.uint8),
    )


def decode_flow_frames(jpegs):
    """Decodes flow to its codes; `dequantize_flow` makes pixels or a network's values of them.

    Args:
        jpegs: String tensor (n,), n of 1 or more: the part of `"flow"` that is wanted.

    Returns:
        uint8 tensor (n, height, width, 2), x then y.
    """
    return decode_frames(jpegs)[..., :2]
