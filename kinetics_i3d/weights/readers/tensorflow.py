"""`read_tensorflow`: TensorFlow's checkpoints of both versions, object checkpoints and SavedModels.

TensorFlow's own reader reads the values and verifies the CRC of each tensor. It trusts sizes and
offsets that could crash the process, so `table_entries` and the functions that use it check them
first.
"""

import math
import mmap
import pathlib
import re
import struct

import numpy as np

from kinetics_i3d.core.errors import DAMAGE, WeightsError, first_line
from kinetics_i3d.weights.readers.values import as_float32, check_total, count

GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
ATTRIBUTE = "/.ATTRIBUTES/VARIABLE_VALUE"
# Variables of object checkpoints that are not weights: step counters, optimizers, random
# generators and metrics.
STATE = re.compile(
    r"save_counter|(.*/)?\.OPTIMIZER_SLOT/.*|(.*/)?keras_api/.*"
    r"|(.*/)?_?optimizer/(_variables/.*|_?iter(ations)?|_?learning_rate|decay|beta_[12]|momentum"
    r"|rho|epsilon)|(.*/)?_?seed_generators?(/.*)?"
)
SHARD = re.compile(r"(.*)\.data-\d{5}-of-\d{5}")
MAX_INDEX = 64 * 2**20
MAX_SHARDS = 1000


def read_tensorflow(path):
    """Reads a TensorFlow checkpoint of any version, or the variables of a SavedModel.

    Object checkpoints are read under the variables' own names (`Conv3d_1a_7x7_conv/kernel`) if
    these are unique, without the variables of the optimizer.

    Args:
        path: The prefix `model.ckpt`, its `.index` or one of its `.data-00000-of-00001`, a
            checkpoint of the first version, which is one file, a folder with exactly one
            checkpoint, or the folder of a SavedModel.

    Returns:
        {name: array}, floats in float32; a step counter stays an integer.

    Raises:
        WeightsError: If there is no checkpoint or more than one, or a tensor is damaged.

    Example:

    >>> model.export(folder / "saved", verbose=False)
    >>> sorted(read_tensorflow(folder / "saved"))[:2]
    ['Conv3d_0c_1x1/bias', 'Conv3d_0c_1x1/kernel']
    """
    import tensorflow as tf

    path = pathlib.Path(path)
    prefix = checkpoint_prefix(path)
    if prefix is None:
        raise WeightsError(f"{path}: neither a TensorFlow checkpoint nor a folder with exactly one")
    if _index(prefix).is_file():
        _check_bundle(prefix)
    else:
        _check_first_version(prefix)
    damage = (tf.errors.OpError, *DAMAGE)
    try:
        reader = tf.train.load_checkpoint(str(prefix))
        shapes, dtypes = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
    except damage as error:
        raise WeightsError(f"{prefix}: not a complete checkpoint ({first_line(error)})") from error

    def read(key):
        try:
            return reader.get_tensor(key)
        except damage as error:
            raise WeightsError(
                f"{prefix}: the tensor {key} is damaged ({first_line(error)})"
            ) from error

    sizes = [math.prod(shape) * dtypes[key].size for key, shape in shapes.items()]
    check_total(sum(sizes), prefix)
    names = {key: key for key in shapes}
    if GRAPH in shapes:
        names = _names_of_objects([key for key in shapes if key != GRAPH], read(GRAPH), prefix)
    attributes: dict = {}
    for key, name in sorted(names.items(), key=lambda pair: pair[1]):
        if not dtypes[key].is_floating and not dtypes[key].is_integer:
            raise WeightsError(f"{prefix}: the tensor {key} is {dtypes[key].name}, not a weight")
        array = as_float32(np.asarray(read(key)), name, prefix)
        attributes.setdefault(name, {})[key] = array
    if not attributes:
        raise WeightsError(f"{prefix}: a checkpoint without weights")
    arrays = {}
    for name, copies in attributes.items():
        first = next(iter(copies.values()))
        if all(np.array_equal(first, copy, equal_nan=True) for copy in copies.values()):
            arrays[name] = first  # SavedModels list a variable twice
        else:
            arrays |= {key.removesuffix(ATTRIBUTE): copy for key, copy in copies.items()}
    return arrays


def checkpoint_prefix(path):
    """The prefix of the checkpoint that `path` is, belongs to, or contains.

    Args:
        path: A file, a folder or a prefix.

    Returns:
        A `pathlib.Path`, or None if there is no checkpoint or more than one.
    """
    path = pathlib.Path(path)
    if path.is_dir():
        inner = path / "variables" / "variables"
        prefixes = [inner] if _index(inner).is_file() else []
        if not prefixes:
            prefixes = [file.with_suffix("") for file in path.glob("*.index") if is_table(file)]
        return prefixes[0] if len(prefixes) == 1 else None
    shard = SHARD.fullmatch(path.name)
    for prefix in (
        path,
        path.with_suffix("") if path.suffix == ".index" else path,
        path.with_name(shard[1]) if shard else path,
    ):
        if _index(prefix).is_file():
            return prefix
    return path if path.is_file() and is_table(path) else None


def _index(prefix):
    return prefix.with_name(f"{prefix.name}.index")


def _names_of_objects(keys, graph, path):
    """{key: the variable's own name}, without variables that are not weights."""
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import trackable_object_graph_pb2

    objects = trackable_object_graph_pb2.TrackableObjectGraph()
    try:
        objects.ParseFromString(graph)
    except (DecodeError, TypeError) as error:
        raise WeightsError(f"{path}: its graph of objects is damaged") from error
    own = {
        attribute.checkpoint_key: attribute.full_name.removesuffix(":0")
        for node in objects.nodes
        for attribute in node.attributes
    }
    names = {}
    for key in keys:
        plain = key.removesuffix(ATTRIBUTE)
        name = own.get(key) or plain
        if not STATE.fullmatch(plain) and not name.endswith("seed_generator_state"):
            names[key] = name
    return names


def _check_bundle(prefix):
    """Checks every entry of a version 2 index against the data files."""
    from google.protobuf.message import DecodeError
    from tensorflow.core.framework import types_pb2
    from tensorflow.core.protobuf import tensor_bundle_pb2 as bundle

    index = _index(prefix)
    if index.stat().st_size > MAX_INDEX:
        raise WeightsError(f"{index}: too large for an index")
    entries = table_entries(index.read_bytes(), index)
    try:
        header = bundle.BundleHeaderProto.FromString(dict(entries).get(b"", b""))
        rows = [(key, bundle.BundleEntryProto.FromString(value)) for key, value in entries if key]
        for key, entry in rows:
            if entry.slices:  # TensorFlow ends the process if they do not fit together
                raise WeightsError(
                    f"{index}: the tensor {key.decode()} is a partitioned variable, which is not "
                    f"supported"
                )
        rows = [(key.decode(), entry) for key, entry in rows]  # keys of parts are not text
    except (DecodeError, UnicodeDecodeError) as error:
        raise WeightsError(f"{index}: its entries are damaged") from error
    if header.endianness != bundle.BundleHeaderProto.LITTLE:
        raise WeightsError(f"{index}: written on a big-endian machine, which is not supported")
    if not 1 <= header.num_shards <= MAX_SHARDS:
        raise WeightsError(f"{index}: has {header.num_shards} data files")
    sizes = []
    for number in range(header.num_shards):
        shard = prefix.with_name(f"{prefix.name}.data-{number:05d}-of-{header.num_shards:05d}")
        if not shard.is_file():
            raise WeightsError(f"{shard}: no such file, but {index.name} needs it")
        sizes.append(shard.stat().st_size)
    for key, entry in rows:
        elements = count([dim.size for dim in entry.shape.dim], key, index)
        width = _width(entry.dtype)
        if entry.dtype not in types_pb2.DataType.values():
            raise WeightsError(f"{index}: the tensor {key} has an unknown dtype")
        if elements * (width or 1) > sum(sizes):
            raise WeightsError(f"{index}: the tensor {key} is larger than the data")
        if width and entry.size != elements * width:
            raise WeightsError(
                f"{index}: the tensor {key} has a size that does not match its shape"
            )
        if not 0 <= entry.shard_id < len(sizes) or entry.offset < 0 or entry.size < 0:
            raise WeightsError(f"{index}: the tensor {key} is in no data file")
        if entry.offset + entry.size > sizes[entry.shard_id]:
            raise WeightsError(f"{prefix}: the tensor {key} is damaged: its data file is truncated")


def _width(dtype):
    """Bytes per element; 0 if it varies."""
    import tensorflow as tf

    try:
        return tf.dtypes.as_dtype(dtype).size or 0
    except (TypeError, KeyError):
        return 0


def _check_first_version(path):
    """Checks the shapes at the beginning of a version 1 file against its size."""
    from google.protobuf.message import DecodeError
    from tensorflow.core.util import saved_tensor_slice_pb2 as slices

    with path.open("rb") as file:
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    for key, value in table_entries(data, path, first_block=True)[:1]:
        try:
            meta = slices.SavedTensorSlices.FromString(value).meta
        except DecodeError as error:
            raise WeightsError(f"{path}: its list of tensors is damaged") from error
        if key or not meta.tensor:
            raise WeightsError(f"{path}: a table, but not a TensorFlow checkpoint")
        for tensor in meta.tensor:
            elements = count([dim.size for dim in tensor.shape.dim], tensor.name, path)
            if elements > len(data):  # an element takes at least one byte
                raise WeightsError(f"{path}: the tensor {tensor.name} is larger than the file")


FOOTER = 48
MAGIC = bytes.fromhex("57fb808b247547db")
TRAILER = 5  # bytes after a block: its compression and its CRC
MAX_KEY = 4096  # bytes; shared prefixes are not stored, so longer keys could exhaust the memory
SNAPPY_RATIO = 32  # a copy of 3 bytes gives up to 64, a ratio of 21


def is_table(path):
    """Whether a file ends with the magic number of a table."""
    with open(path, "rb") as file:
        if file.seek(0, 2) < FOOTER:
            return False
        file.seek(-len(MAGIC), 2)
        return file.read() == MAGIC


def table_entries(data, path, *, first_block=False):
    """The entries of a table; all offsets are checked.

    Args:
        data: The file's content, bytes-like.
        path: The file, for errors.
        first_block: Whether to return only the entries of the first block.

    Returns:
        [(key, value)] in the table's order, without those of compressed blocks.

    Raises:
        WeightsError: If an offset is outside the file.
    """
    try:
        if len(data) < FOOTER or bytes(data[-len(MAGIC) :]) != MAGIC:
            raise ValueError("no footer: truncated")
        footer = bytes(data[-FOOTER:])
        _, _, at = _handle(footer, 0, data)
        start, size, _ = _handle(footer, at, data)
        entries, end = [], 0
        for number, (_, handle) in enumerate(_block(data, start, size)):
            start, size, _ = _handle(handle, 0, data)
            if start < end:
                raise ValueError("blocks that overlap")  # reading them could take forever
            end = start + size
            if number == 0 or not first_block:
                entries += _block(data, start, size)
        return entries
    except (ValueError, IndexError, struct.error) as error:
        raise WeightsError(f"{path}: not a complete TensorFlow checkpoint ({error})") from error


def _handle(data, at, file):
    """(start, size, end of the handle) of a block, from its handle."""
    start, at = read_varint(data, at)
    size, at = read_varint(data, at)
    if start + size + TRAILER > len(file) - FOOTER:
        raise ValueError("a block beyond the end of the file")
    return start, size, at


def _block(data, start, size):
    """The entries of a block; keys are stored without the prefix shared with the previous one."""
    block, kind = bytes(data[start : start + size]), data[start + size]
    if kind == 1:
        length, _ = read_varint(block, 0)
        if length > SNAPPY_RATIO * size:
            raise ValueError("a block that would be too large when decompressed")
        return []
    (restarts,) = struct.unpack("<I", block[-4:])
    end = size - 4 * (restarts + 1)
    if kind or end < 0:
        raise ValueError("an invalid block")
    entries, key, at = [], b"", 0
    while at < end:
        shared, at = read_varint(block, at)
        added, at = read_varint(block, at)
        length, at = read_varint(block, at)
        if shared + added > MAX_KEY or shared > len(key) or at + added + length > end:
            raise ValueError("a key too long, or an entry beyond the end of its block")
        key = key[:shared] + block[at : at + added]
        entries.append((key, block[at + added : at + added + length]))
        at += added + length
    return entries


def read_varint(data, at):
    """Reads an unsigned integer of up to ten bytes, seven bits per byte, the lowest first.

    Args:
        data: Bytes.
        at: Offset of the integer.

    Returns:
        (the integer, the offset after it).

    Raises:
        IndexError: If the data end first.
        ValueError: If it has more than ten bytes.

    Example:

    >>> read_varint(bytes([0xAC, 0x7F, 0x01]), 0)
    (16300, 2)

    Source: Protocol Buffers, "Encoding", section "Base 128 Varints".
    """
    value = 0
    for shift in range(0, 64, 7):
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
    raise ValueError("a number of more than 64 bits")
