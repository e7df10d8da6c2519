"""inception5h as TensorFlow gives it: a zip archive with a frozen graph."""

import io
import struct
import zipfile

import numpy as np
import pytest

from kinetics_i3d.core.errors import WeightsError
from kinetics_i3d.weights.inception5h import (
    layer_names,
    parse_frozen_graph,
    read_frozen_graph,
    read_inception5h,
)
from kinetics_i3d.weights.read import read_weights

GRAPH = "tensorflow_inception_graph.pb"
LABELS = "imagenet_comp_graph_label_strings.txt"


def varint(value):
    data = b""
    while value >= 0x80:
        data, value = data + bytes([value & 0x7F | 0x80]), value >> 7
    return data + bytes([value])


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def node(name, array, *, op=b"Const", dtype=1, packed=False, shape=None):
    """A NodeDef with a constant, written by hand."""
    dims = b"".join(field(2, field(1, size)) for size in shape or np.shape(array))
    values = np.asarray(array, "<f4").tobytes()
    tensor = field(1, dtype) + field(2, dims) + field(5 if packed else 4, values)
    attributes = field(5, field(1, b"dtype") + field(2, field(6, dtype)))
    attributes += field(5, field(1, b"value") + field(2, field(8, tensor)))
    return field(1, field(1, name.encode()) + field(2, op) + attributes)


def graph_of(arrays):
    shapes = node("avgpool0/reshape/shape", [1.0, 1024.0], dtype=3)
    return b"".join(node(name, array) for name, array in arrays.items()) + shapes


@pytest.fixture(scope="module")
def arrays():
    """Every tensor of the release, small: kernels 3 x 5 x 4 to 2, the classifier a matrix."""
    made = {}
    for number, stem in enumerate(layer_names()):
        made[f"{stem}_w"] = number + np.arange(120, dtype=np.float32).reshape(3, 5, 4, 2)
        made[f"{stem}_b"] = np.full(2, number, np.float32)
    made["softmax2_w"] = np.arange(8, dtype=np.float32).reshape(4, 2)
    made["nn0_w"] = np.zeros((2, 2), np.float32)  # of an auxiliary classifier
    return made


@pytest.fixture
def archive(arrays, tmp_path):
    path = tmp_path / "inception5h.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(GRAPH, graph_of(arrays))
        file.writestr(LABELS, "dummy\nkit fox\n")
        file.writestr("LICENSE", "Apache")
    return path


def test_constants_are_read_however_they_are_stored():
    data = node("whole", np.arange(6).reshape(2, 3)) + node("packed", [1.5, -2.0], packed=True)
    data += node("filled", [7.0], shape=(2, 2), packed=True) + node("scalar", 3.0)
    data += node("other", [1.0], op=b"Placeholder") + node("integers", [1.0], dtype=3)
    found = parse_frozen_graph(data, "graph.pb")
    assert sorted(found) == ["filled", "packed", "whole"]
    np.testing.assert_array_equal(found["whole"], [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(found["packed"], [1.5, -2.0])
    np.testing.assert_array_equal(found["filled"], np.full((2, 2), 7))


def test_the_archive_and_its_graph_give_the_network(archive, arrays, tmp_path):
    (tmp_path / GRAPH).write_bytes(graph_of(arrays))
    for path, labels in ((archive, ("dummy", "kit fox")), (tmp_path / GRAPH, ())):
        read = read_weights(path)
        assert (read.info.architecture, read.info.rank) == ("googlenet", 2)
        assert (read.info.classes, read.info.labels) == (2, labels)
        kernel = read.arrays["Conv2d_1a_7x7_conv/kernel"]
        np.testing.assert_array_equal(kernel, arrays["conv2d0_w"])
        assert read.arrays["Conv2d_0c_1x1/kernel"].shape == (1, 1, 4, 2)
        assert len(read.arrays) == 2 * len(layer_names())


def test_an_archive_that_was_unpacked_is_read(archive, tmp_path):
    folder = tmp_path / "inception5h"
    with zipfile.ZipFile(archive) as file:
        file.extractall(folder)
    whole = read_weights(archive)
    for path in (folder, folder / GRAPH):
        read = read_weights(path)
        assert read.info == whole.info and read.info.labels == ("dummy", "kit fox")
        for name, array in whole.arrays.items():
            np.testing.assert_array_equal(read.arrays[name], array)


def test_missing_constants_are_listed(archive, arrays, tmp_path):
    few = {name: array for name, array in arrays.items() if name != "mixed3a_1x1_w"}
    (tmp_path / "graph.pb").write_bytes(graph_of(few))
    with pytest.raises(WeightsError, match=r"missing constants: \['mixed3a_1x1_w'\]"):
        read_inception5h(tmp_path / "graph.pb")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "no constants"),
        (b"text that is no graph", "not a frozen graph"),
        (field(1, b"\x0a\xff\xff\xff\xff\x7f"), "longer than its message"),
        (b"\xff" * 12, "more than 64 bits"),
        (field(1, field(1, 2**50)), "a number in place of a text"),
        (node("bad", [1.0, 2.0], shape=(3,)), "2 values for the shape"),
        (node("huge", [1.0], shape=(2**40,)), "GiB of tensors"),
        (node("twice", [1.0, 2.0]) * 2, "twice"),
    ],
)
def test_damaged_and_hostile_graphs_are_refused(tmp_path, data, why):
    (tmp_path / "graph.pb").write_bytes(data)
    with pytest.raises(WeightsError, match=why):
        read_frozen_graph(tmp_path / "graph.pb")


def test_a_graph_of_too_many_bytes_is_refused_unread(tmp_path, monkeypatch):
    monkeypatch.setattr("kinetics_i3d.weights.inception5h.MAX_GRAPH", 10)
    (tmp_path / "graph.pb").write_bytes(b"x" * 11)
    with pytest.raises(WeightsError, match="has 11 bytes; a frozen graph has at most 10"):
        read_frozen_graph(tmp_path / "graph.pb")


def test_a_constant_without_a_value_is_passed_over():
    empty = field(1, b"empty") + field(2, b"Const") + field(5, field(1, b"value"))
    data = field(1, empty) + node("full", np.ones(2))
    assert [*parse_frozen_graph(data, "graph.pb")] == ["full"]


def test_every_cut_of_a_graph_is_refused_or_read(arrays):
    data = graph_of(dict(list(arrays.items())[:2]))
    for length in range(0, len(data), 7):
        try:
            parse_frozen_graph(data[:length], "graph.pb")
        except WeightsError:
            continue


def test_a_hostile_archive_is_refused(tmp_path, arrays):
    for name, content, why in (
        (f"../{GRAPH}", graph_of(arrays), "leads out of the archive"),
        (f"/{GRAPH}", graph_of(arrays), "leads out of the archive"),
        (GRAPH, bytes(2**24), "would unpack to more"),
    ):
        path = tmp_path / "inception5h.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr(name, content)
        with pytest.raises(WeightsError, match=why):
            read_weights(path)


def test_a_list_of_labels_has_at_most_a_mebibyte(arrays, tmp_path):
    path = tmp_path / "inception5h.zip"
    for size in (2**20, 2**20 + 1):
        with zipfile.ZipFile(path, "w") as file:
            file.writestr(GRAPH, graph_of(arrays))
            file.writestr(LABELS, "a\nb\n".ljust(size))
        if size == 2**20:
            assert read_inception5h(path).info.labels == ("a", "b")
    with pytest.raises(WeightsError, match=f"{LABELS} has 1048577 bytes, too many"):
        read_inception5h(path)


def test_an_archive_of_something_else_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as file:
        file.writestr("readme.txt", "nothing")
    with pytest.raises(WeightsError, match="a zip archive without weights"):
        read_weights(tmp_path / "other.zip")


def test_numbers_are_little_endian():
    assert struct.unpack("<f", np.asarray(1.5, "<f4").tobytes())[0] == 1.5


def real_archive(source):
    """The bytes of an inception5h.zip of the release's tensors, from its folder of HDF5 files."""
    import h5py

    constants = {}
    for stem in layer_names():
        for part in "wb":
            with h5py.File(source / f"{stem}_{part}.h5") as file:
                array = np.asarray(file[f"{stem}_{part}"], np.float32)
            if part == "w":
                array = array.transpose(1, 2, 3, 0)
            constants[f"{stem}_{part}"] = (
                array[0, 0] if (stem, part) == ("softmax2", "w") else array
            )
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as file:
        file.writestr(GRAPH, graph_of(constants))
        file.writestr(LABELS, (source / "synsets.txt").read_text())
    return data.getvalue()


@pytest.fixture(scope="module")
def real(shared, tmp_path_factory):
    """A frozen graph of the release's tensors, in an archive."""
    path = tmp_path_factory.mktemp("real") / "inception5h.zip"
    path.write_bytes(real_archive(shared / "reference" / "inception5h"))
    return path


def test_the_releases_tensors_are_known(real, shared, caplog):
    with caplog.at_level("WARNING", "absl"):
        read = read_inception5h(real)
    assert not any("not those of the release" in message for message in caplog.messages)
    folder = read_inception5h(shared / "reference" / "inception5h")
    assert read.info == folder.info
    for name, array in folder.arrays.items():
        np.testing.assert_array_equal(read.arrays[name], array)


@pytest.mark.slow
def test_the_graph_knows_a_dalmatian(real, shared):
    from PIL import Image

    from kinetics_i3d.models.inception_v1 import InceptionV1

    model = InceptionV1(weights=real)
    picture = Image.open(shared / "reference" / "inception5h" / "dog.jpg").convert("RGB")
    side = min(picture.size)
    left, top = ((length - side) // 2 for length in picture.size)
    picture = picture.crop((left, top, left + side, top + side)).resize((224, 224))
    logits = model.predict(model.clip_spec.normalize(np.asarray(picture))[None], verbose=0)
    assert "dalmatian" in model.labels[int(np.argmax(logits[0]))]
