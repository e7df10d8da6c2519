"""Small weights files of every format, each written by whoever owns the format."""

import json
import os
import pathlib
import pickle
import shutil

import numpy as np
import pytest

HERE = pathlib.Path(__file__).parent


def small_network():
    """A convolution without bias, a batch norm without scale, and a classifier."""
    import keras

    inputs = keras.Input((2, 3, 3, 2))
    x = keras.layers.Conv3D(3, 1, use_bias=False, name="unit_conv")(inputs)
    x = keras.layers.BatchNormalization(scale=False, name="unit_bn")(x)
    x = keras.layers.Dropout(0.5)(x)
    model = keras.Model(inputs, keras.layers.Conv3D(2, 1, name="logits")(x))
    random = np.random.default_rng(3)
    model.set_weights([random.uniform(0.5, 2, w.shape) for w in model.get_weights()])
    return model


def saver(folder, version, tensors):
    """Writes a checkpoint with TensorFlow's own Saver; returns its prefix."""
    import tensorflow as tf

    v1 = tf.compat.v1
    with tf.Graph().as_default():
        for name, array in tensors.items():
            v1.get_variable(name, initializer=array)
        with v1.Session() as session:
            session.run(v1.global_variables_initializer())
            folder.mkdir(parents=True, exist_ok=True)
            prefix = os.fspath(folder / "model.ckpt")
            v1.train.Saver(write_version=version).save(session, prefix, write_meta_graph=False)
    (folder / "checkpoint").unlink()
    return folder / "model.ckpt"


TENSORS = {
    "RGB/unit/conv_3d/w": np.random.default_rng(1).normal(size=(1, 2, 2, 3, 4)).astype("f4"),
    "RGB/unit/batch_norm/beta": np.random.default_rng(2).normal(size=4).astype("f4"),
    "RGB/zeros": np.zeros(40, "f4"),
    "global_step": np.int64(12345),
}


def write_plain_safetensors(path, arrays):
    """Writes float32 arrays by the format's words and nothing more: no checksum."""
    header: dict = {}
    end = 0
    for name, array in arrays.items():
        span = [end, end := end + array.nbytes]
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": span}
    text = json.dumps(header).encode()
    data = b"".join(array.astype("<f4").tobytes() for array in arrays.values())
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


@pytest.fixture(scope="session")
def saved_tensors():
    return TENSORS


@pytest.fixture(scope="session")
def write_saver():
    return saver


@pytest.fixture(scope="session")
def network():
    return small_network()


@pytest.fixture(scope="session")
def network_arrays(network):
    """What every Keras file of the network has to give."""
    return {
        f"{layer.name}/{variable.name}": np.array(variable)
        for layer in network.layers
        for variable in layer.weights
    }


@pytest.fixture(scope="session")
def files(tmp_path_factory, network):
    """{format: what to read}, each in a folder of its own."""
    import keras

    from kinetics_i3d.weights.readers.safetensors import write_safetensors
    from kinetics_i3d.weights.readers.torch import write_torch

    folder = tmp_path_factory.mktemp("weights")
    for name in (
        "keras",
        "weights",
        "h5",
        "object",
        "safetensors",
        "plain",
        "torch",
        "golden",
        "flax",
    ):
        (folder / name).mkdir()
    network.save(folder / "keras" / "m.keras")
    network.save_weights(folder / "weights" / "m.weights.h5")
    keras.Model.save(network, folder / "h5" / "m.h5")  # a `ClipModel` refuses
    network.export(folder / "saved", verbose=False)
    arrays = {
        f"{layer.name}/{v.name}": v.numpy() for layer in network.layers for v in layer.weights
    }
    write_safetensors(folder / "safetensors" / "m.safetensors", arrays, {"by": "a test"})
    write_plain_safetensors(folder / "plain" / "m.safetensors", arrays)
    write_torch(folder / "torch" / "m.pt", {**arrays, "bn.num_batches_tracked": np.int64(9)})
    tree: dict = {}
    for name, array in arrays.items():
        layer, variable = name.split("/")
        tree.setdefault(layer, {})[variable] = array
    (folder / "flax" / "m.ckpt").write_bytes(pickle.dumps({"params": tree}, 4))
    for name in ("torch_zip.pt", "torch_legacy.pth"):
        shutil.copy(HERE / name, folder / "golden" / name)
    return {
        "tensorflow 1": saver(folder / "one", 1, TENSORS),
        "tensorflow 2": saver(folder / "two", 2, TENSORS),
        "savedmodel": folder / "saved",
        "torch": folder / "torch" / "m.pt",
        "torch of torch": folder / "golden" / "torch_zip.pt",
        "torch legacy": folder / "golden" / "torch_legacy.pth",
        "safetensors": folder / "safetensors" / "m.safetensors",
        "safetensors of others": folder / "plain" / "m.safetensors",
        "keras": folder / "keras" / "m.keras",
        "weights.h5": folder / "weights" / "m.weights.h5",
        "h5": folder / "h5" / "m.h5",
        "flax": folder / "flax" / "m.ckpt",
    }
