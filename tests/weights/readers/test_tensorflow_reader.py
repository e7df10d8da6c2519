"""TensorFlow's checkpoints: every age and way of naming one, against what was saved."""

import shutil

import numpy as np
import pytest

from kinetics_i3d.core.errors import WeightsError
from kinetics_i3d.weights.readers.tensorflow import read_tensorflow, table_entries


def assert_same(found, wanted):
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        assert found[name].dtype == array.dtype and found[name].shape == array.shape, name
        np.testing.assert_array_equal(found[name], array)


@pytest.fixture
def folder(files, tmp_path):
    return shutil.copytree(files["tensorflow 2"].parent, tmp_path / "two")


@pytest.mark.parametrize("kind", ["tensorflow 1", "tensorflow 2"])
def test_what_saver_wrote_comes_back(files, saved_tensors, kind):
    assert_same(read_tensorflow(files[kind]), saved_tensors)


def test_every_way_of_naming_a_checkpoint(folder, saved_tensors):
    for name in ("model.ckpt", "model.ckpt.index", "model.ckpt.data-00000-of-00001", "."):
        assert_same(read_tensorflow(folder / name), saved_tensors)
    shutil.copy(folder / "model.ckpt.index", folder / "other.ckpt.index")
    with pytest.raises(WeightsError, match="nor a folder with exactly one"):
        read_tensorflow(folder)


def test_what_is_missing_is_named(folder, tmp_path):
    (folder / "model.ckpt.data-00000-of-00001").unlink()
    with pytest.raises(WeightsError, match=r"data-00000-of-00001: no such file, but model"):
        read_tensorflow(folder)
    for path in (tmp_path / "none", tmp_path / "none.index"):
        with pytest.raises(WeightsError, match=f"{path}: neither a TensorFlow checkpoint"):
            read_tensorflow(path)


def test_a_damaged_tensor_is_named(folder, saved_tensors):
    path = folder / "model.ckpt.data-00000-of-00001"
    data = bytearray(path.read_bytes())
    beta = saved_tensors["RGB/unit/batch_norm/beta"].tobytes()
    data[data.index(beta) + 3] ^= 1
    path.write_bytes(data)
    why = r"model\.ckpt: the tensor RGB/unit/batch_norm/beta is damaged \(.*[Cc]hecksum"
    with pytest.raises(WeightsError, match=why) as raised:
        read_tensorflow(folder)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", ["1180", "1246"])
def test_shared_checkpoints_whose_index_errors_are_reported(shared, name):
    prefix = shared / "cases" / "tf_index_error" / name / "obj.ckpt"
    with pytest.raises(WeightsError, match=rf"^{prefix}: the tensor \S+ is damaged \(") as raised:
        read_tensorflow(prefix)
    assert "\n" not in str(raised.value)


def test_text_that_ends_too_early_is_damage(tmp_path, monkeypatch):
    import tensorflow as tf

    prefix = tf.train.Checkpoint(v=tf.Variable([1.0])).write(str(tmp_path / "c"))

    def parse(*_):
        raise IndexError("Parsed past limit.")  # as of a block of other bytes

    reader = tf.train.load_checkpoint(prefix)
    monkeypatch.setattr(type(reader), "get_tensor", parse)
    with pytest.raises(WeightsError, match=r"the tensor \S+ is damaged \(Parsed past limit\.\)"):
        read_tensorflow(prefix)


def test_an_exported_keras_model_has_names_of_layers(files, network_arrays):
    assert_same(read_tensorflow(files["savedmodel"]), network_arrays)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_objects_with_an_optimizer(network, network_arrays, tmp_path):
    import keras
    import tensorflow as tf

    model = keras.models.clone_model(network)
    model.compile(keras.optimizers.Adam(), "mse")
    model.optimizer.build(model.trainable_variables)
    model.set_weights(network.get_weights())
    prefix = tf.train.Checkpoint(model=model, optimizer=model.optimizer).save(tmp_path / "all/c")
    assert_same(read_tensorflow(prefix), network_arrays)
    tf.saved_model.save(network, str(tmp_path / "saved"))
    assert_same(read_tensorflow(tmp_path / "saved"), network_arrays)


def test_objects_of_one_name_keep_their_paths(tmp_path):
    import tensorflow as tf

    objects = {
        "one": tf.Variable([1.0, 2.0], name="same"),
        "two": tf.Variable([3.0], name="same"),
        "three": tf.Variable(4.0, name="own/name"),
    }
    prefix = tf.train.Checkpoint(**objects).save(tmp_path / "c")
    wanted = {"one": [1, 2], "two": [3], "own/name": 4}
    assert_same(read_tensorflow(prefix), {k: np.array(v, "f4") for k, v in wanted.items()})


def test_dtypes(tmp_path, write_saver):
    import ml_dtypes

    values = {"half": "f2", "brain": ml_dtypes.bfloat16, "double": "f8", "single": "f4"}
    tensors = {name: np.array([[1.5, -0.25]]).astype(kind) for name, kind in values.items()}
    found = read_tensorflow(write_saver(tmp_path / "a", 2, tensors))
    assert_same(found, dict.fromkeys(values, np.array([[1.5, -0.25]], "f4")))
    for name, array, why in (
        ("step", np.arange(3), "step is int64 of shape"),
        ("text", np.array(["a"]), "the tensor text is string, not a weight"),
        ("complex", np.array([1j]), "the tensor complex is complex128"),
        ("double", np.array([1e300]), "double has values that do not fit into float32"),
    ):
        with pytest.raises(WeightsError, match=why):
            read_tensorflow(write_saver(tmp_path / name, 2, {name: array}))


def test_partitioned_variables_are_refused(tmp_path):
    import tensorflow as tf

    prefix = tmp_path / "model.ckpt"
    array = np.arange(8, dtype="f4").reshape(4, 2)
    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=["RGB/w", "RGB/w", "RGB/b"],
        shape_and_slices=["4 2 0,2:-", "4 2 2,2:-", ""],
        tensors=[array[:2], array[2:], array[0]],
    )
    why = r"model\.ckpt\.index: the tensor RGB/w is a partitioned variable, which is not supported$"
    with pytest.raises(WeightsError, match=why):
        read_tensorflow(prefix)


@pytest.mark.parametrize("name", ["rgb_imagenet", "flow_scratch", "rgb_scratch_kin600"])
def test_the_released_indexes_are_whole_and_held_against_their_data(shared, tmp_path, name):
    source = shared / "reference" / "deepmind" / f"{name}.index"
    entries = table_entries(source.read_bytes(), source)
    assert len(entries) == {"rgb_scratch_kin600": 347}.get(name, 231)  # the header is one
    sizes = {"rgb_imagenet": 50_818_176, "flow_scratch": 50_730_368}
    size = sizes.get(name, 103_218_112)
    shutil.copy(source, tmp_path / "model.ckpt.index")
    data = tmp_path / "model.ckpt.data-00000-of-00001"
    for length, why in ((size - 1, "is damaged: its data file is truncated"), (size, "hecksum")):
        with data.open("wb") as file:
            file.truncate(length)  # zeros that take no room
        with pytest.raises(WeightsError, match=why):
            read_tensorflow(tmp_path / "model.ckpt")
