"""`verify_records`: whether prepared records are still as they were written.

Checksums of whole files (SHA-256), and TensorFlow's own of each record (CRC-32C).
"""

from kinetics_i3d.data.records.prepare import file_sha256
from kinetics_i3d.data.records.reader import Records


def verify_records(folder, *, progress=None):
    """Reads every shard of a folder and compares it with the manifest.

    A shard that is damaged or missing is made again by deleting it, if it is there, and repeating
    the `prepare` that made it.

    Args:
        folder: Where `prepare` has written.
        progress: Called with the number of shards done after each.

    Returns:
        A list of (path, what is wrong), one for each bad shard; empty if all is well.

    Raises:
        DatasetError: If the manifest is missing, damaged or not finished.

    Example:

    >>> from kinetics_i3d.data.datasets import open_dataset
    >>> from kinetics_i3d.data.records.prepare import PrepareConfig, prepare
    >>> _ = prepare(open_dataset(folder), folder / "out", PrepareConfig(streams=("rgb",)))
    >>> (folder / "out" / "test-00000-of-00001.tfrecord").unlink()
    >>> [(path.name, wrong) for path, wrong in verify_records(folder / "out")]
    [('test-00000-of-00001.tfrecord', 'missing')]
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
    """Compares a file with what is noted of it.

    Args:
        path: The file.
        shard: Its `Shard`.

    Returns:
        A phrase, or None if all is well.
    """
    import tensorflow as tf

    if not path.is_file():
        return "missing"
    size = path.stat().st_size
    if size != shard.bytes:
        return f"{size} bytes, not {shard.bytes}"
    if file_sha256(path) != shard.sha256:
        return "other bytes than were written: its SHA-256 differs"
    try:
        found = sum(1 for _ in tf.data.TFRecordDataset([str(path)]))
    except tf.errors.DataLossError:
        return "a record's own checksum does not fit it"
    return None if found == shard.records else f"{found} records, not {shard.records}"
