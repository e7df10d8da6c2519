"""`check_framing`: checks the lengths of the records in a shard before TensorFlow reads them.

A record of a TFRecord file consists of its length (8 bytes), a checksum of the length (4), the
data, and a checksum of the data (4). TensorFlow allocates whatever length a file declares, which
can crash the process.
https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details
"""

import functools
import os

from kinetics_i3d.core.errors import DatasetError

_HEAD, _TAIL = 12, 4


def check_framing(path):
    """Raises `DatasetError` unless the records of a shard end where the file does.

    Only the lengths are read, and once per file and process.
    """
    state = os.stat(path)
    _check(os.fspath(path), state.st_size, state.st_mtime_ns)


@functools.cache
def _check(path, size, _time):
    offset = 0
    with open(path, "rb", buffering=0) as file:
        while offset < size:
            file.seek(offset)
            head = file.read(_HEAD)
            offset += _HEAD + int.from_bytes(head[:8], "little") + _TAIL
            if len(head) < _HEAD or offset > size:
                raise DatasetError(
                    f"{path}: a record extends beyond the end of the file; delete the file, "
                    "and repeat the `prepare` that wrote it"
                )
