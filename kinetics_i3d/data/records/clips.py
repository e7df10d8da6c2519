"""`record_clips`: random clips from prepared records.

Records contain JPEG frames. Only the frames of the clip are decoded, whereas a video has to be
decoded from the last keyframe on.
"""

import numpy as np
import tensorflow as tf

from kinetics_i3d.core.clip_spec import resized
from kinetics_i3d.core.errors import DatasetError
from kinetics_i3d.data import transforms
from kinetics_i3d.data.records.addresses import SCHEME
from kinetics_i3d.data.records.reader import (
    decode_flow_frames,
    decode_frames,
    parse_record,
)
from kinetics_i3d.data.records.shards import check_framing
from kinetics_i3d.data.video_clips import clip_seeds, share_of

OPEN_FILES = 8  # files that are read alternately
SHUFFLED = 32  # clips in the shuffle buffer; 64 JPEG frames take about 2 MB
READ_AHEAD = 1 << 20  # bytes per file
_MAX_ASPECT = 100  # of frames


def record_clips(source, *, specs, frames, seed=0, workers, shard=(0, 1), start=0):
    """Endless random clips of the records of a split: each record once per pass, in a new order.

    Files are shuffled, several are read alternately, and clips are shuffled within a buffer of
    `SHUFFLED`. `prepare` has distributed the videos over the files at random.

    Args:
        source: A `RecordSplit`.
        specs: `StreamSpecs`. Larger frames are resized; frames of a higher rate are subsampled.
        frames: Frames of a clip, of the fastest stream.
        seed: Seed of the order and of the start frames.
        workers: Number of clips decoded at the same time.
        shard: (index, count): every count-th file from index on, or every count-th record if there
            are fewer files.
        start: Number of examples to skip, without decoding them.

    Returns:
        A `tf.data.Dataset` as returned by `video_clips`; resized clips are float32.

    Raises:
        DatasetError: If the records lack a stream, or were prepared with an incompatible rate,
            resize or size.
        ValueError: If there are fewer records than shards.
    """
    check_fit(source.records, specs)
    spec, names = specs.fastest, specs.streams
    steps = specs.strides(source.clip_spec.fps)
    stretch = frames * min(steps.values())  # frames of a record that a clip spans
    files = source.records.shards(source.name)
    total, one_pass = _one_pass([(str(path), count) for path, count in files if count], shard, seed)
    classes = len(source.labels) if source.multi_label else None
    larger = source.clip_spec.short_side > spec.short_side
    max_pixels = _MAX_ASPECT * source.clip_spec.short_side**2

    def take(number, serialized):
        seeds = clip_seeds(seed, number, shard)
        record = parse_record(serialized, streams=names, classes=classes)
        coded = {"rgb": record.get("image"), "flow": record.get("flow")}
        coded = {name: coded[name] for name in names}
        length = tf.reduce_min([tf.shape(jpegs)[0] for jpegs in coded.values()])
        spare = tf.maximum(length - stretch, 0)
        drawn = tf.random.stateless_uniform((), seeds[0])
        start = tf.minimum(tf.cast(drawn * tf.cast(spare + 1, tf.float32), tf.int32), spare)
        stop = start + tf.minimum(length, stretch)
        coded = {name: jpegs[start:stop] for name, jpegs in coded.items()}
        label = record["label"]
        if classes is None:  # a label out of range would become a target of zeros
            tf.debugging.Assert(
                (label >= 0) & (label < len(source.labels)),
                [f"a label that is none of {len(source.labels)}:", label, record["name"]],
            )
        return coded, seeds[1], label

    def decode(number, example):
        coded, clip_seed, label = example
        ways = {"rgb": decode_frames, "flow": decode_flow_frames}
        clip = {}
        for name, jpegs in coded.items():
            height, width, _ = tf.unstack(tf.io.extract_jpeg_shape(jpegs[0], tf.int64))
            tf.debugging.Assert(
                height * width <= max_pixels, ["frames of too many pixels:", width, height]
            )
            looped = tf.range(0, stretch, steps[name]) % tf.shape(jpegs)[0]
            unique, positions = tf.unique(looped)
            clip[name] = tf.gather(ways[name](tf.gather(jpegs, unique)), positions)
        if larger:
            clip = _shrunk(clip, spec)
        return clip, clip_seed, label, number

    first = start // total

    def once(epoch):
        numbered = one_pass(epoch).enumerate(epoch * total).map(take, num_parallel_calls=workers)
        # A single frame has no flow.
        with_frames = numbered.filter(lambda coded, *_: tf.shape(coded[names[-1]])[0] > 0)
        # For this graph only: with a global seed of 0, a seed must not be a tensor.
        tf.compat.v1.set_random_seed(1)
        order = {"seed": seed + epoch, "reshuffle_each_iteration": False}
        shuffled = with_frames.shuffle(SHUFFLED, **order)
        done = tf.where(epoch == first, tf.constant(start % total, tf.int64), 0)
        return shuffled.enumerate(epoch * total).skip(done)

    return tf.data.Dataset.counter(first).flat_map(once).map(decode, num_parallel_calls=workers)


def check_fit(records, specs):
    """Raises `DatasetError` if clips of these `StreamSpecs` cannot be taken from `Records`."""
    missing = [stream for stream in specs if stream not in records.streams]
    if missing:
        raise DatasetError(
            f"{records.folder}: holds the streams {records.streams}, not {', '.join(missing)}; "
            "kinetics-i3d prepare --streams rgb,flow writes records of both"
        )
    there, wanted = records.clip_spec, specs.fastest
    try:
        specs.strides(there.fps)
    except ValueError as error:
        raise DatasetError(
            f"{records.folder}: was prepared with fps {there.fps}, but {wanted.fps} is needed; "
            "prepare it again with that spec, or for rgb alone at a multiple of its rate"
        ) from error
    for field in ("resize", "interpolation"):
        if getattr(there, field) != getattr(wanted, field):
            raise DatasetError(
                f"{records.folder}: was prepared with {field} {getattr(there, field)!r}, but "
                f"{getattr(wanted, field)!r} is needed; prepare it again with that spec"
            )
    if there.short_side < wanted.short_side:
        raise DatasetError(
            f"{records.folder}: was prepared with short_side {there.short_side}, but "
            f"{wanted.short_side} is needed; frames are never enlarged: prepare it again"
        )


def _one_pass(files, shard, seed):
    """(number of a shard's records, function from the epoch to its serialized records)."""
    index, count = shard
    by_file = len(files) >= count
    mine = share_of(files, shard) if by_file else files
    firsts = np.cumsum([0, *(records for _, records in mine)]).tolist()
    total = firsts[-1] if by_file else len(share_of(range(firsts[-1]), shard))

    def records_of(path, offset):
        path = tf.ensure_shape(tf.numpy_function(_checked_path, (path,), tf.string), ())
        records = tf.data.TFRecordDataset(path, buffer_size=READ_AHEAD)
        if by_file:
            return records
        numbered = records.enumerate(offset)
        return numbered.filter(lambda n, _: n % count == index).map(lambda _, record: record)

    def one_pass(epoch):
        key = (seed, tf.cast(epoch, tf.int32))
        order = tf.random.experimental.stateless_shuffle(tf.range(len(mine)), seed=key)
        paths = tf.constant([path for path, _ in mine])
        offsets = tf.constant(firsts[:-1], tf.int64)
        shuffled = (tf.gather(paths, order), tf.gather(offsets, order))
        return tf.data.Dataset.from_tensor_slices(shuffled).interleave(
            records_of, cycle_length=OPEN_FILES, block_length=1
        )

    return total, one_pass


def _checked_path(path):
    if not SCHEME.match(path.decode()):
        check_framing(path.decode())
    return path


def _shrunk(clip, spec):
    """Resizes a clip as a spec says."""

    def size(shape):
        return np.array(resized(tuple(shape.tolist()), spec.short_side, spec.resize), np.int32)

    shape = tf.shape(next(iter(clip.values())))[1:3]
    height, width = tf.unstack(tf.ensure_shape(tf.numpy_function(size, (shape,), tf.int32), (2,)))
    return transforms.resize(height, width)(clip, None)
