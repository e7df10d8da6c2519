"""Pickled dictionaries of NumPy arrays: by every writer, order and dtype that people have."""

import pickle
import tracemalloc

import numpy as np
import pytest

from kinetics_i3d.core.errors import WeightsError
from kinetics_i3d.weights.formats import read_arrays
from kinetics_i3d.weights.readers.flax import read_flax

KERNEL = np.random.default_rng(0).normal(size=(1, 2, 3, 4)).astype(np.float32)
TREE = {
    "params": {
        "Conv3d_1a_7x7": {"Conv_0": {"kernel": KERNEL}, "BatchNorm_0": {"bias": np.ones(4, "f4")}},
        "Mixed_3b": {"Branch_1/Conv3d_0b_3x3": {"Conv_0": {"kernel": KERNEL[::-1] + 1}}},
    },
    "batch_stats": {"Conv3d_1a_7x7": {"BatchNorm_0": {"mean": np.zeros((1, 1, 1, 1, 4), "f4")}}},
}
NAMES = {
    "Conv3d_1a_7x7/Conv_0/kernel",
    "Conv3d_1a_7x7/BatchNorm_0/bias",
    "Mixed_3b/Branch_1/Conv3d_0b_3x3/Conv_0/kernel",
    "Conv3d_1a_7x7/BatchNorm_0/mean",
}


def write(path, tree, protocol=4):
    path.write_bytes(pickle.dumps(tree, protocol))
    return path


@pytest.mark.parametrize("protocol", [3, 4])
@pytest.mark.parametrize("module", ["numpy.core.multiarray", "numpy._core.multiarray"])
def test_arrays_of_numpy_1_and_2(tmp_path, protocol, module):
    path = write(tmp_path / "m.ckpt", TREE, protocol)
    for written in (b"numpy._core.multiarray", b"numpy.core.multiarray"):
        # The name follows its length in protocol 4, and ends its line in protocol 3.
        old = bytes([len(written)]) + written if protocol == 4 else b"c" + written
        new = bytes([len(module)]) + module.encode() if protocol == 4 else b"c" + module.encode()
        path.write_bytes(path.read_bytes().replace(old, new))
    assert module.encode() in path.read_bytes()
    kind, arrays = read_arrays(path)
    assert kind == "flax" and set(arrays) == NAMES
    np.testing.assert_array_equal(arrays["Conv3d_1a_7x7/Conv_0/kernel"], KERNEL)
    reversed_ = arrays["Mixed_3b/Branch_1/Conv3d_0b_3x3/Conv_0/kernel"]
    np.testing.assert_array_equal(reversed_, KERNEL[::-1] + 1)
    assert arrays["Conv3d_1a_7x7/BatchNorm_0/mean"].shape == (1, 1, 1, 1, 4)


def test_names_of_other_collections_are_kept(tmp_path):
    for tree, name in (
        ({"params": {"a": KERNEL}, "step": np.array(3)}, "params/a"),
        ({"a": {"b": {"c": KERNEL}}}, "a/b/c"),
        ({"params": KERNEL}, "params"),
    ):
        arrays = read_flax(write(tmp_path / "m", tree))
        np.testing.assert_array_equal(arrays[name], KERNEL)
    assert read_flax(write(tmp_path / "m", {"step": np.array(7)}))["step"] == 7


@pytest.mark.parametrize("dtype", ["<f2", "<f4", "<f8"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shape", [(2, 3, 4), (5,), (), (0, 3)])
def test_dtypes_orders_and_shapes(tmp_path, dtype, order, shape):
    array = np.random.default_rng(1).normal(size=shape).astype(dtype, order=order)
    found = read_flax(write(tmp_path / "m", {"a": array}))["a"]
    assert found.dtype == np.float32 and found.shape == shape and found.flags.c_contiguous
    np.testing.assert_array_equal(found, array.astype(np.float32))


def test_arrays_may_share_a_shape_or_be_the_same(tmp_path):
    arrays = read_flax(write(tmp_path / "m", {"a": KERNEL, "b": {"c": KERNEL}}))
    assert set(arrays) == {"a", "b/c"}
    arrays["a"][:] = 0
    np.testing.assert_array_equal(arrays["b/c"], KERNEL)


def test_the_log_says_that_there_is_no_checksum(tmp_path, caplog):
    path = write(tmp_path / "m", TREE)
    read_flax(path, warn=False)
    assert not caplog.text
    read_flax(path)
    assert f"{path}: its format has no checksum" in caplog.text


def test_memory_stays_near_the_size_of_the_file(tmp_path):
    write(tmp_path / "m", {str(n): np.ones((500, 1000), "f4") for n in range(10)})
    tracemalloc.start()
    arrays = read_flax(tmp_path / "m")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sum(array.nbytes for array in arrays.values()) == 20_000_000
    assert peak < 26_000_000


@pytest.mark.parametrize("content", [b"", b"}.", b"weights"])
def test_what_is_no_pickle_is_refused(tmp_path, content):
    (tmp_path / "m").write_bytes(content)
    with pytest.raises(WeightsError, match="m: not a pickle of protocol 2 or later"):
        read_flax(tmp_path / "m")
    with pytest.raises(WeightsError, match="none: no such file"):
        read_flax(tmp_path / "none")
