"""Keras' files: all three kinds against the model's variables, and files of older versions."""

import io
import json
import zipfile

import h5py
import numpy as np
import pytest

import kinetics_i3d as ki3d
from kinetics_i3d.core.errors import WeightsError
from kinetics_i3d.weights.assign import named_variables
from kinetics_i3d.weights.readers.keras import read_keras

pytestmark = pytest.mark.slow


def assert_same(found, wanted):
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        assert found[name].dtype == np.float32, name
        np.testing.assert_array_equal(found[name], np.asarray(array), name)


@pytest.mark.parametrize("kind", ["keras", "weights.h5", "h5"])
def test_a_small_network(files, network_arrays, kind):
    assert_same(read_keras(files[kind]), network_arrays)


def test_our_own_models(tmp_path):
    model = ki3d.InceptionI3D(classes=2, architecture="inception_v1_quarter")
    random = np.random.default_rng(0)
    model.set_weights([random.uniform(0.5, 2, part.shape) for part in model.get_weights()])
    model.save(tmp_path / "m.keras")
    model.save_weights(tmp_path / "m.weights.h5")
    for path in tmp_path.iterdir():
        assert_same(read_keras(path), named_variables(model))


@pytest.fixture(scope="module")
def awkward():
    """Every kind of batch norm, a model inside, and an optimizer that has worked."""
    import keras

    keras.utils.set_random_seed(0)
    layers, inputs = keras.layers, keras.Input((4, 4, 3))
    x = inputs
    for scale in (True, False):
        for center in (True, False):
            x = layers.BatchNormalization(scale=scale, center=center, name=f"bn_{scale}_{center}")(
                x
            )
    inner = keras.Sequential([keras.Input((4, 4, 3)), layers.Conv2D(2, 1, name="deep")], name="in")
    x = layers.LayerNormalization(name="norm")(inner(x))
    x = layers.Dense(2, name="dense_7")(x)
    model = keras.Model(inputs, layers.DepthwiseConv2D(2, name="depth")(x))
    model.compile("adam", "mse")
    model.fit(np.ones((2, 4, 4, 3)), np.ones((2, 3, 3, 2)), verbose=0)
    return model


@pytest.mark.long
def test_an_awkward_network(awkward, tmp_path):
    deep = awkward.get_layer("in").get_layer("deep")
    outer = [layer for layer in awkward.layers if layer.name != "in"]
    wanted = {f"{layer.name}/{v.name}": v for layer in (*outer, deep) for v in layer.weights}
    assert {"bn_True_False/gamma", "deep/kernel", "depth/kernel"} < wanted.keys()
    awkward.save(tmp_path / "m.h5")
    assert_same(read_keras(tmp_path / "m.h5"), wanted)
    # Keras 3 numbers variables; those of layers that convolutional networks lack stay numbers.
    wanted["norm/0"], wanted["norm/1"] = wanted.pop("norm/gamma"), wanted.pop("norm/beta")
    awkward.save(tmp_path / "m.keras")
    assert_same(read_keras(tmp_path / "m.keras"), wanted)
    awkward.save_weights(tmp_path / "m.weights.h5")
    # Without a configuration three variables are taken for those that nearly everybody has.
    wanted["bn_True_False/beta"] = wanted.pop("bn_True_False/gamma")
    assert_same(read_keras(tmp_path / "m.weights.h5"), wanted)


def test_keras_3_without_names_of_layers(files, network_arrays, tmp_path):
    """Its first versions named the groups by class alone; only a configuration tells more."""
    with zipfile.ZipFile(files["keras"]) as file:
        config, weights = file.read("config.json"), io.BytesIO(file.read("model.weights.h5"))
    with h5py.File(weights, "r+") as file:
        groups = []
        file.visit(groups.append)  # goes on while it is given None
        assert sum(bool(file[group].attrs.pop("name", "")) for group in groups) == 6
    (tmp_path / "m.weights.h5").write_bytes(weights.getvalue())
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as file:
        file.writestr("config.json", config)
        file.writestr("model.weights.h5", weights.getvalue())
    assert_same(read_keras(tmp_path / "m.keras"), network_arrays)
    assert list(read_keras(tmp_path / "m.keras")) == list(network_arrays)
    names = {"unit_conv": "conv3d", "unit_bn": "batch_normalization", "logits": "conv3d_1"}
    renamed = {}
    for name, array in network_arrays.items():
        layer, variable = name.split("/")
        renamed[f"{names[layer]}/{variable}"] = array
    assert_same(read_keras(tmp_path / "m.weights.h5"), renamed)


def keras2(path, layers, root=""):
    """A file as Keras 2 wrote it: {layer: {weight's name: array}}."""
    with h5py.File(path, "w") as file:
        top = file.require_group(root) if root else file
        top.attrs["layer_names"] = [name.encode() for name in layers]
        for layer, weights in layers.items():
            group = top.create_group(layer)
            group.attrs["weight_names"] = [name.encode() for name in weights]
            for name, array in weights.items():
                group[name] = array
        file["optimizer_weights/Adam/m:0"] = np.zeros(3)
    return path


@pytest.mark.parametrize("root", ["", "model_weights"])
def test_keras_2(tmp_path, root):
    one, two = np.ones((1, 2), "f4"), np.full(2, 2, "f4")
    layers = {
        "input_1": {},
        "Conv3d_1a_7x7_conv": {"Conv3d_1a_7x7_conv/kernel:0": one},
        "Conv3d_1a_7x7_bn": {"Conv3d_1a_7x7_bn_1/Conv3d_1a_7x7_bn/beta:0": two},
        "conv2d_1": {"conv2d_1_W:0": one},
        "lstm": {"lstm/lstm_cell/kernel:0": one},
        "body": {"body/block1/kernel:0": one, "block2/bias:0": two},
    }
    found = read_keras(keras2(tmp_path / "m.h5", layers, root))
    assert list(found) == [
        "Conv3d_1a_7x7_conv/kernel",
        "Conv3d_1a_7x7_bn/beta",
        "conv2d_1/conv2d_1_W",
        "lstm_cell/kernel",
        "block1/kernel",
        "block2/bias",
    ]
    np.testing.assert_array_equal(found["block2/bias"], two)


def test_lists_and_tensors_of_keras_2_must_agree(tmp_path):
    path = keras2(tmp_path / "m.h5", {"a": {"a/b:0": np.ones(2, "f4")}})
    for change, why in (
        (lambda file: file.__setitem__("a/a/c:0", np.ones(2, "f4")), "that no layer lists: .*c:0"),
        (lambda file: file["a/a"].move("b:0", "d:0"), "a/a/b:0 is listed but missing"),
        (lambda file: file.move("a", "b"), "the layer 'a' is listed but missing"),
        (lambda file: file["b"].attrs.__setitem__("weight_names", [3]), "listed but missing"),
    ):
        with h5py.File(path, "r+") as file:
            change(file)
        with pytest.raises(WeightsError, match=why):
            read_keras(path)


def test_a_file_on_which_hdf5_never_ends_is_refused(tmp_path, monkeypatch):
    path = keras2(tmp_path / "m.h5", {"a": {"a/b:0": np.ones(2, "f4")}})
    data = bytearray(path.read_bytes())
    first = data.index(b"GCOL") + 16  # the head of the first text in the heap of names
    data[first : first + 16] = bytes(16)
    path.write_bytes(data)
    monkeypatch.setattr("kinetics_i3d.weights.readers.hdf5._SECONDS", 1)
    with pytest.raises(WeightsError, match=r"m\.h5: cannot be read: the HDF5 library took more"):
        read_keras(path)


def test_a_scalar_of_bfloat16(tmp_path):
    import keras

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, name="d", dtype="bfloat16")])
    model.set_weights([np.array([[1.5, 2], [3, -4]]), np.array([0.5, 7])])
    model.save_weights(tmp_path / "m.weights.h5")
    found = read_keras(tmp_path / "m.weights.h5")
    assert_same(found, {"d/kernel": [[1.5, 2], [3, -4]], "d/bias": [0.5, 7]})


def test_code_in_a_configuration_is_not_run(files, tmp_path):
    """A Lambda layer's code is text like any other."""
    with zipfile.ZipFile(files["keras"]) as file:
        config, weights = json.loads(file.read("config.json")), file.read("model.weights.h5")
    code = {"class_name": "__lambda__", "config": {"code": "not even base64"}}
    settings = {"name": "trap", "function": code}
    config["config"]["layers"].append({"class_name": "Lambda", "config": settings})
    config["module"] = "os"
    config["class_name"] = "system"
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as file:
        file.writestr("config.json", json.dumps(config))
        file.writestr("model.weights.h5", weights)
    assert read_keras(tmp_path / "m.keras").keys() == read_keras(files["keras"]).keys()


@pytest.mark.parametrize("config", [b"[", b"[" * 100_000, b"\xff"])
def test_a_configuration_that_is_none(files, tmp_path, config):
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as file:
        file.writestr("config.json", config)
        file.writestr("model.weights.h5", b"")
    with pytest.raises(WeightsError, match=r"m\.keras: its config\.json is not JSON"):
        read_keras(tmp_path / "m.keras")


def test_a_missing_file(tmp_path):
    with pytest.raises(WeightsError, match="none: no such file"):
        read_keras(tmp_path / "none")
