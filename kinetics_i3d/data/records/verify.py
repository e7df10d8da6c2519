"""`verify_records` compares prepared records with their manifest."""

from kinetics_i3d.core.errors import DatasetError
from kinetics_i3d.data.records.addresses import Address
from kinetics_i3d.data.records.framing import check_framing
from kinetics_i3d.data.records.reader import Records
from kinetics_i3d.data.records.shards import file_sha256


def verify_records(folder, *, progress=None):
    """Reads every shard of a folder and compares it with the manifest.

    Checksums of whole files (SHA-256), and TensorFlow's own of each record (CRC-32C). A damaged or
    missing shard is made again by deleting it and repeating the `prepare` that made it.

    Args:
        folder: A folder that `prepare` has filled.
        progress: Called with the number of shards done after each.

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
        wrong = what_is_wrong(path, shard)
        if wrong:
            bad.append((path, wrong))
        if progress is not None:
            progress(number)
    return bad


def what_is_wrong(path, shard):
    """The problem of a shard's file, compared with its `Shard`; None if there is none."""
    import tensorflow as tf

    if not path.is_file():
        return "missing"
    size = path.stat().st_size
    if size != shard.bytes:
        return f"{size} bytes, not {shard.bytes}"
    if file_sha256(path) != shard.sha256:
        return "other bytes than were written: its SHA-256 differs"
    try:
        if not isinstance(path, Address):
            check_framing(path)
        records = sum(1 for _ in tf.data.TFRecordDataset([str(path)]))
    except DatasetError:
        return "a record that would reach beyond its end"
    except tf.errors.DataLossError:
        return "a record's own checksum does not fit it"
    return None if records == shard.records else f"{records} records, not {shard.records}"
