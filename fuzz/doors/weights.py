"""The doors of weights: a reader for each format, and the own files with their information."""

import contextlib
import json
import os
import pickle
import shutil
import tarfile

import numpy as np

from fuzz.door import Door, equal, same
from fuzz.doors.datasets import label_problem

TENSORS = {
    "RGB/unit/conv_3d/w": np.random.default_rng(1).normal(size=(1, 2, 2, 3, 4)).astype("f4"),
    "RGB/unit/batch_norm/beta": np.random.default_rng(2).normal(size=4).astype("f4"),
    "RGB/zeros": np.zeros(40, "f4"),
    "global_step": np.int64(12345),
}


def small_arrays():
    """A convolution, its batch norm and a classifier of two classes, under the package's names."""
    rng = np.random.default_rng(3)
    shapes = {
        "Mixed_3b_Branch_0_Conv3d_0a_1x1_conv/kernel": (1, 3, 3, 2, 4),
        "Mixed_3b_Branch_0_Conv3d_0a_1x1_bn/moving_mean": (4,),
        "Mixed_3b_Branch_0_Conv3d_0a_1x1_bn/moving_variance": (4,),
        "Conv3d_0c_1x1/kernel": (1, 1, 1, 4, 2),
        "Conv3d_0c_1x1/bias": (2,),
    }
    return {name: rng.uniform(0.5, 2, shape).astype("f4") for name, shape in shapes.items()}


def small_info():
    """The `WeightsInfo` of `small_arrays`."""
    from kinetics_i3d.core.clip_spec import ClipSpec
    from kinetics_i3d.weights.checkpoint import WeightsInfo

    spec = ClipSpec("fuzz", fps=12.5, short_side=144, size=128)
    return WeightsInfo("inception_v1_quarter", 3, spec, 2, ("sit", "stand"), {"by": "fuzz"})


def _network():
    import keras

    inputs = keras.Input((2, 3, 3, 2))
    x = keras.layers.Conv3D(3, 1, use_bias=False, name="unit_conv")(inputs)
    x = keras.layers.BatchNormalization(scale=False, name="unit_bn")(x)
    model = keras.Model(inputs, keras.layers.Conv3D(2, 1, name="logits")(x))
    rng = np.random.default_rng(3)
    model.set_weights([rng.uniform(0.5, 2, w.shape) for w in model.get_weights()])
    return model


def _path(folder):
    """The file of an input, or the prefix of a checkpoint."""
    names = sorted(os.listdir(folder))
    index = [name for name in names if name.endswith(".index")]
    if index:
        return folder / index[0].removesuffix(".index")
    return folder / names[0] if len(names) == 1 else folder


def _result(checkpoint):
    info = checkpoint.info.to_json() if checkpoint.info.architecture else ""
    return checkpoint.arrays | {"": np.array(info)}


def _read_own(folder):
    from kinetics_i3d.weights.formats import read_path, read_path_info

    path = _path(folder)
    info = read_path_info(path)
    checkpoint = read_path(path)
    assert info == checkpoint.info, "the information differs from that with the arrays"
    return _result(checkpoint)


def _finite(seed, result, forged):
    """For files without checksums: what was accepted can be weights."""
    for name, array in result.items():
        array = np.asarray(array)
        if array.dtype.kind not in "fiubU" or (array.dtype.kind == "f" and array.dtype != "f4"):
            return f"{name!r:.60} is {array.dtype}"
    return None


def _own_problem(seed, result, forged):
    if not forged and not equal(seed, result):
        return same(seed, result, forged)
    for name, array in result.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            return f"{name!r:.60} is not finite"
    return None


def _read_arrays(folder):
    from kinetics_i3d.core.errors import WeightsError
    from kinetics_i3d.weights.formats import read_arrays, read_path

    path = _path(folder)
    result = dict(read_arrays(path)[1])
    with contextlib.suppress(WeightsError):  # its names are of no known layout
        read_path(path)
    return result


def _plant_own(folder):
    from kinetics_i3d.weights.checkpoint import Checkpoint, write_checkpoint

    (folder / "own").mkdir()
    write_checkpoint(folder / "own" / "m.h5", Checkpoint(small_info(), small_arrays()))


def _plant_old(folder):
    """As version 1.0 and Keras wrote them: HDF5 without a checksum of ours."""
    import h5py

    for name, version in (("old", "v110"), ("older", "earliest")):
        (folder / name).mkdir()
        with h5py.File(folder / name / "m.h5", "w", libver=version) as file:
            file.attrs["kinetics_i3d"] = small_info().to_json()
            for key, array in small_arrays().items():
                file.create_dataset(key, data=array, compression="gzip", fletcher32=True)


def _plant_safetensors(folder):
    from kinetics_i3d.weights.readers.safetensors import write_safetensors

    (folder / "own").mkdir()
    metadata = {"kinetics_i3d": small_info().to_json()}
    write_safetensors(folder / "own" / "m.safetensors", small_arrays(), metadata)


def _plant_foreign_safetensors(folder):
    from safetensors.numpy import save_file

    (folder / "plain").mkdir()
    save_file(small_arrays(), folder / "plain" / "m.safetensors")


def _plant_torch(folder):
    from kinetics_i3d.weights.readers.torch import write_torch

    (folder / "own").mkdir()
    arrays = {**small_arrays(), "bn.num_batches_tracked": np.int64(9)}
    write_torch(folder / "own" / "m.pt", arrays)
    from fuzz.runner import ROOT

    golden = ROOT / "tests" / "weights" / "readers"
    for name in ("torch_zip.pt", "torch_legacy.pth"):
        (folder / name).mkdir()
        shutil.copy(golden / name, folder / name / name)


def _plant_flax(folder):
    tree: dict = {}
    for name, array in small_arrays().items():
        layer, variable = name.split("/")
        tree.setdefault(layer, {})[variable] = array
    for protocol in (3, 4):
        (folder / f"protocol{protocol}").mkdir()
        path = folder / f"protocol{protocol}" / "m.ckpt"
        path.write_bytes(pickle.dumps({"params": tree}, protocol))


def _plant_tensorflow(folder):
    import tensorflow as tf

    v1 = tf.compat.v1
    for version in (1, 2):
        (folder / f"saver{version}").mkdir()
        with tf.Graph().as_default():
            for name, array in TENSORS.items():
                v1.get_variable(name, initializer=array)
            with v1.Session() as session:
                session.run(v1.global_variables_initializer())
                saver = v1.train.Saver(write_version=version)
                prefix = os.fspath(folder / f"saver{version}" / "model.ckpt")
                saver.save(session, prefix, write_meta_graph=False)
        (folder / f"saver{version}" / "checkpoint").unlink()
    (folder / "tar").mkdir()
    with tarfile.open(folder / "tar" / "inception_v1.tar.gz", "w:gz") as file:
        file.add(folder / "saver1" / "model.ckpt", "inception_v1.ckpt")


def _read_tensorflow(folder):
    from kinetics_i3d.core.errors import WeightsError
    from kinetics_i3d.weights.formats import read_path
    from kinetics_i3d.weights.readers.archive import checkpoint_in_tar, is_tar
    from kinetics_i3d.weights.readers.tensorflow import read_tensorflow

    path = _path(folder)
    if is_tar(path):
        with checkpoint_in_tar(path) as prefix:
            return dict(read_tensorflow(prefix))
    with contextlib.suppress(WeightsError):
        read_path(path)
    return dict(read_tensorflow(path))


def _tensorflow_problem(seed, result, forged):
    # The second version's files have a checksum for every block and tensor, the first's for blocks.
    return same(seed, result, forged) or _finite(seed, result, forged)


def _plant_keras(folder):
    network = _network()
    for name in ("m.keras", "m.weights.h5", "m.h5"):
        (folder / name).mkdir()
        save = network.save_weights if name == "m.weights.h5" else network.save
        save(folder / name / name)


def _plant_frozen(folder):
    import tensorflow as tf

    graph = tf.Graph()
    with graph.as_default():
        for name, array in small_arrays().items():
            tf.constant(array, name=name.replace("/", "_"))
        tf.constant(0.5, shape=(2, 3), name="filled")
    (folder / "graph").mkdir()
    data = graph.as_graph_def().SerializeToString()
    (folder / "graph" / "tensorflow_inception_graph.pb").write_bytes(data)


def _read_frozen(folder):
    from kinetics_i3d.core.errors import WeightsError
    from kinetics_i3d.weights.formats import read_path
    from kinetics_i3d.weights.inception5h import read_frozen_graph

    path = _path(folder)
    with contextlib.suppress(WeightsError):
        read_path(path)
    return dict(read_frozen_graph(path))


def _plant_information(folder):
    (folder / "information").mkdir()
    fields = json.loads(small_info().to_json())
    (folder / "information" / "fields.json").write_text(json.dumps(fields))


def _read_information(folder):
    """The information of a file whose checksum is right, whatever it says."""
    from kinetics_i3d.weights.formats import read_path, read_path_info
    from kinetics_i3d.weights.readers.safetensors import write_safetensors

    path = _path(folder)
    text = path.read_bytes().decode("utf-8", "replace") if path.is_file() else ""
    path = folder.with_name("forged.safetensors")
    write_safetensors(path, small_arrays(), {"kinetics_i3d": text})
    checkpoint = read_path(path)
    assert read_path_info(path) == checkpoint.info
    info = checkpoint.info
    if info.architecture is not None:
        wrong = info.labels and label_problem(None, {*info.labels}, True)  # some may be repeated
        assert not wrong, wrong
        for spec in info.clip_specs.values():
            assert 0 < spec.fps <= 1000 and 0 < spec.size <= spec.short_side <= 2048, spec
    return _result(checkpoint)


def _information_problem(seed, result, forged):
    return _own_problem(seed, result, True)


DOORS = [
    Door("weights-own", _plant_own, _read_own, _own_problem),
    Door("weights-information", _plant_information, _read_information, _information_problem),
    Door("weights-safetensors", _plant_safetensors, _read_own, _own_problem),
    Door("weights-safetensors-foreign", _plant_foreign_safetensors, _read_arrays, _finite),
    Door("weights-torch", _plant_torch, _read_arrays, _finite),
    Door("weights-flax", _plant_flax, _read_arrays, _finite),
    Door("weights-tensorflow", _plant_tensorflow, _read_tensorflow, _tensorflow_problem),
    Door("weights-frozen", _plant_frozen, _read_frozen, _finite),
    Door("weights-keras", _plant_keras, _read_arrays, _finite, weight=2),
    Door("weights-hdf5", _plant_old, _read_own, _finite, weight=2),
]
