"""The reader of Google's release of 2014, on a small folder of its kind and on the real one."""

import h5py
import numpy as np
import pytest

from kinetics_i3d.core.clip_spec import INCEPTION5H
from kinetics_i3d.core.errors import WeightsError
from kinetics_i3d.weights.inception5h import is_inception5h, layer_names, read_inception5h
from kinetics_i3d.weights.read import read_weights

STEMS = 3 + 9 * 6 + 1


def write(folder, name, array):
    with h5py.File(folder / f"{name}.h5", "w") as file:
        file[name] = array


@pytest.fixture
def folder(tmp_path):
    """Every tensor, kernels of another length on each axis: 2 out, 3 high, 5 wide, 4 in."""
    for number, stem in enumerate(layer_names()):
        write(tmp_path, f"{stem}_w", number + np.arange(120, dtype=np.float32).reshape(2, 3, 5, 4))
        write(tmp_path, f"{stem}_b", np.full(2, number, np.float32))
    (tmp_path / "synsets.txt").write_text("n1 dog, hound\nn2 cat\nn3 spare\n")
    return tmp_path


def test_names_are_one_to_one():
    names = layer_names()
    assert len(names) == STEMS == len(set(names.values()))
    assert names["mixed4d_5x5_bottleneck"] == "Mixed_4e_Branch_2_Conv2d_0a_1x1_conv"
    assert names["softmax2"] == "Conv2d_0c_1x1"


def test_kernels_are_turned_and_labels_read(folder):
    read = read_weights(folder)
    assert (read.info.architecture, read.info.rank, read.path) == ("googlenet", 2, folder)
    assert read.info.clip_spec == INCEPTION5H
    assert read.info.classes == 2 and read.info.labels == ("n1 dog, hound", "n2 cat")
    assert len(read.arrays) == 2 * STEMS
    kernel = read.arrays["Conv2d_1a_7x7_conv/kernel"]
    assert kernel.shape == (3, 5, 4, 2) and kernel.dtype == np.float32
    source = np.arange(120).reshape(2, 3, 5, 4)
    for out, row, column, channel in ((0, 0, 0, 0), (1, 2, 3, 1), (0, 1, 4, 3)):
        assert kernel[row, column, channel, out] == source[out, row, column, channel]
    last = read.arrays["Conv2d_0c_1x1/bias"]
    np.testing.assert_array_equal(last, [list(layer_names()).index("softmax2")] * 2)


def test_the_auxiliary_classifiers_may_be_there(folder):
    for stem in ("head0_bottleneck", "head1_bottleneck", "nn0", "nn1", "softmax0", "softmax1"):
        for part in "wb":
            write(folder, f"{stem}_{part}", np.zeros(1))
    assert len(read_inception5h(folder).arrays) == 2 * STEMS


def test_without_synsets_nothing_is_named(folder):
    (folder / "synsets.txt").unlink()
    assert read_inception5h(folder).info.labels == ()


def test_missing_and_unknown_files_are_reported_at_once(folder):
    for name in ("mixed3a_1x1_w", "mixed5b_3x3_b"):
        (folder / f"{name}.h5").unlink()
    write(folder, "mixed6a_1x1_w", np.zeros(1))
    with pytest.raises(WeightsError) as raised:
        read_inception5h(folder)
    assert str(raised.value) == (
        f"{folder}: not the inception5h release; "
        "missing: mixed3a_1x1_w, mixed5b_3x3_b; unknown: mixed6a_1x1_w"
    )


def of_another_file(path):
    with h5py.File(path, "w") as file:
        file.create_dataset(path.stem, (4,), np.float32, external=[("/etc/passwd", 0, 16)])


def of_claims(path):
    with h5py.File(path, "w") as file:
        file.create_dataset(path.stem, (10**10,), np.float32, chunks=(100,))


def holding(content, name=None):
    def make(path):
        with h5py.File(path, "w") as file:
            file[name or path.stem] = content

    return make


DAMAGE = {
    "no HDF5": lambda path: path.write_text("no"),
    "another tensor": holding(np.zeros(1), "other"),
    "a group": holding(np.zeros(1), "mixed4a_3x3_w/inner"),
    "text": holding("text"),
    "three axes": holding(np.zeros((3, 3, 3), np.float32)),
    "claims": of_claims,
    "another file": of_another_file,
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_named(folder, damage):
    path = folder / "mixed4a_3x3_w.h5"
    path.unlink()
    DAMAGE[damage](path)
    with pytest.raises(WeightsError) as raised:
        read_inception5h(folder)
    assert str(raised.value).startswith(f"{path}: ") and "\n" not in str(raised.value)


def test_labels_that_are_not_utf8_are_read(folder):
    (folder / "synsets.txt").write_bytes(b"caf\xe9\ntea\n")
    assert read_inception5h(folder).info.labels[:2] == ("caf\ufffd", "tea")


def test_a_folder_is_known_by_its_first_tensor(folder, tmp_path_factory):
    assert is_inception5h(folder) and is_inception5h(str(folder))
    assert not is_inception5h(tmp_path_factory.mktemp("empty"))


def test_the_real_release(shared):
    read = read_inception5h(shared / "reference/inception5h")
    assert sum(array.size for array in read.arrays.values()) == 7_066_380
    assert read.info.classes == len(read.info.labels) == 1008
    assert read.arrays["Conv2d_1a_7x7_conv/kernel"].shape == (7, 7, 3, 64)


def test_other_tensors_than_the_releases_are_not_read_in_silence(folder, shared, caplog):
    with caplog.at_level("WARNING", "absl"):
        read_inception5h(shared / "reference/inception5h")
        assert not caplog.messages
        read_inception5h(folder)
    assert caplog.messages == [f"{folder}: its tensors are not those of the release"]
