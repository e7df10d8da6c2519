"""The doors of prepared records: the manifest with its shards, and clips for training."""

import json

import numpy as np

from fuzz.door import Door, equal
from fuzz.doors.videos import write_coded
from kinetics_i3d.core.clip_spec import ClipSpec
from kinetics_i3d.core.errors import UserError

SPEC = ClipSpec("fuzz", short_side=36, size=32)


def _plant(folder):
    from kinetics_i3d.data.records.prepare import PrepareConfig, prepare

    videos = folder.with_name("videos")
    for name in ("sit/a.mp4", "sit/b.mp4", "stand/c.mp4"):
        (videos / name).parent.mkdir(parents=True, exist_ok=True)
        write_coded(videos / name, "libx264", "yuv420p")
    prepare(videos, folder / "records", PrepareConfig(("rgb",), SPEC, shard_size=2), workers=1)
    for path in (folder / "records").iterdir():  # of interrupted preparations, and locks
        if path.name != "manifest.json" and path.suffix != ".tfrecord":
            path.unlink()


def _follow_manifest(folder):
    """Gives the manifest the sizes and checksums that a forger would write there."""
    from kinetics_i3d.data.records.shards import file_sha256

    path = folder / "manifest.json"
    try:
        fields = json.loads(path.read_bytes())
        for split in fields["splits"].values():
            for shard in split["shards"]:
                file = folder / shard["file"]
                if shard["bytes"] != file.stat().st_size or shard["sha256"] != file_sha256(file):
                    shard["bytes"] = file.stat().st_size
                    shard["sha256"] = file_sha256(file)
        path.write_text(json.dumps(fields))
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        pass


def _read(folder):
    """The records as `prepare --check`, `datasets` and a reader of single records see them."""
    import tensorflow as tf

    from kinetics_i3d.data.datasets import open_dataset
    from kinetics_i3d.data.records.prepare import verify_records
    from kinetics_i3d.data.records.reader import decode_frames, parse_record

    decode = tf.function(decode_frames)  # as the pipeline calls it: other errors than outside
    dataset = open_dataset(folder)
    bad = verify_records(folder)
    if bad:
        raise UserError("; ".join(f"{path}: {problem}" for path, problem in bad))
    rows = []
    for split in dataset.splits:
        dataset.failures(split)
        for path, _ in dataset.shards(split):
            for serialized in tf.data.TFRecordDataset(str(path)):
                try:
                    record = parse_record(serialized, streams=dataset.streams)
                    frames = decode(record["image"]).numpy()
                except tf.errors.InvalidArgumentError as error:
                    raise UserError(str(error).splitlines()[0]) from error
                label = int(record["label"])
                rows.append((split, label, bytes(record["name"].numpy()), frames))
    return dataset.labels, dataset.split_sizes(), dataset.class_counts(), rows


def _problem(seed, result, forged):
    labels, sizes, counts, rows = result
    if not forged and not equal(seed[3], rows):
        return "damaged records were accepted"
    if sum(sizes.values()) != len(rows):
        return f"{len(rows)} records in splits of {sizes}"
    if not labels or len(set(labels)) != len(labels) or not set(counts) <= set(labels):
        return f"labels {labels!r:.80}, counted {counts!r:.80}"
    if not all(isinstance(label, str) and label.isprintable() for label in labels):
        return f"labels {labels!r:.80}"
    return None


def _read_clips(folder):
    """One pass of clips as a training reads them."""
    from kinetics_i3d.core.stream_specs import StreamSpecs
    from kinetics_i3d.data.datasets import open_dataset
    from kinetics_i3d.data.records.clips import record_clips
    from kinetics_i3d.training.sources import read_batches

    dataset = open_dataset(folder)
    clips = []
    for split in dataset.splits:
        part = dataset.split(split)
        taken = record_clips(part, specs=StreamSpecs(SPEC), frames=8, workers=1)
        for clip, _, label, _ in read_batches(taken.take(len(part)), part):
            clips.append((clip["rgb"].numpy(), int(label)))
    return dataset.labels, clips


def _clips_problem(seed, result, forged):
    labels, clips = result
    for clip, label in clips:
        if clip.shape[0] != 8 or clip.shape[-1] != 3 or not np.isfinite(clip).all():
            return f"a clip of {clip.dtype} {clip.shape}"
        if not 0 <= label < len(labels):
            return f"the label {label} of {len(labels)}"
    return None


def _read_forged_clips(folder):
    _follow_manifest(folder)
    return _read_clips(folder)


def _read_forged(folder):
    _follow_manifest(folder)
    return _read(folder)


DOORS = [
    Door("records", _plant, _read, _problem),
    Door("records-forged", _plant, _read_forged, lambda *results: _problem(*results[:2], True)),
    Door("records-clips", _plant, _read_forged_clips, _clips_problem, weight=2),
]
