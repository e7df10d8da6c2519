"""`read_weights`: one call for every kind of weights, and released rows that heal themselves."""

import os
import shutil

import h5py
import numpy as np
import pytest
from tensorflow_checkpoint import save
from test_translate import made

from kinetics_i3d.core.clip_spec import DEEPMIND
from kinetics_i3d.core.errors import WeightsError
from kinetics_i3d.weights.catalog import CATALOG, CatalogEntry
from kinetics_i3d.weights.layouts import LAYOUTS, translate
from kinetics_i3d.weights.read import read_weights
from kinetics_i3d.weights.readers.safetensors import write_safetensors
from kinetics_i3d.weights.readers.torch import write_torch
from kinetics_i3d.weights.released import Release, ReleasedFile, blob_id

pytestmark = pytest.mark.slow  # whole networks are written and read

DATA = "model.ckpt.data-00000-of-00001"


@pytest.fixture(scope="session")
def arrays():
    return made(LAYOUTS["deepmind"], scales=False)


@pytest.fixture(scope="session")
def saved(arrays, tmp_path_factory):
    """The folder of a checkpoint of them, to be copied."""
    folder = tmp_path_factory.mktemp("saved")
    save(arrays, folder / "model.ckpt")
    return folder


@pytest.fixture
def released(tmp_path, monkeypatch, saved):
    """The name of a released row whose source is a folder; the cache is empty."""
    source = shutil.copytree(saved, tmp_path / "source" / "small")
    files = tuple(
        ReleasedFile(name, (source / name).stat().st_size, blob_id(source / name))
        for name in ("model.ckpt.index", DATA)
    )
    row = CatalogEntry(
        name="small",
        system="InceptionI3D",
        architecture="inception_v1",
        clip_spec=DEEPMIND,
        labels=("x", "y", "z"),
        accuracy={},
        protocol="",
        terms="",
        release=Release("small", files),
    )
    monkeypatch.setitem(CATALOG, "small", row)
    monkeypatch.setenv("KINETICS_I3D_SOURCE", str(tmp_path / "source"))
    monkeypatch.setenv("KINETICS_I3D_CACHE", str(tmp_path / "cache"))
    return "small"


def same(found, arrays):
    wanted = translate(arrays, "wanted").arrays
    assert set(found) == set(wanted)
    for name, array in wanted.items():
        np.testing.assert_array_equal(found[name], array)


def test_a_released_name_is_fetched_and_read_with_its_rows_labels(released, arrays):
    read = read_weights(released)
    same(read.arrays, arrays)
    assert read.info.labels == ("x", "y", "z") and read.info.clip_spec == DEEPMIND


def test_a_tensor_that_went_bad_in_the_cache_is_noticed_and_fetched_again(
    released, arrays, tmp_path, caplog
):
    read_weights(released)
    path = tmp_path / "cache" / "small" / DATA
    whole, times = path.read_bytes(), path.stat()
    bad = bytearray(whole)
    bad[len(bad) // 2] ^= 4
    path.write_bytes(bad)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))  # the stamp still fits
    same(read_weights(released).arrays, arrays)
    assert path.read_bytes() == whole
    assert "downloading it again" in caplog.text
    assert any(name in caplog.text for name in arrays)  # the damaged tensor, by name


def test_what_is_not_inception_is_reported_and_not_fetched_again(released, tmp_path, monkeypatch):
    source = tmp_path / "source" / "other"
    source.mkdir()
    save({f"layer{k}/kernel": np.ones(2, np.float32) for k in range(4)}, source / "model.ckpt")
    files = tuple(
        ReleasedFile(name, (source / name).stat().st_size, blob_id(source / name))
        for name in ("model.ckpt.index", DATA)
    )
    fields = {**vars(CATALOG[released]), "name": "other", "release": Release("other", files)}
    monkeypatch.setitem(CATALOG, "other", CatalogEntry(**fields))
    with pytest.raises(WeightsError, match="not an Inception-V1 in any known layout"):
        read_weights("other")


@pytest.mark.parametrize("kind", ["prefix", "folder", "index", "torch", "safetensors", "keras"])
def test_a_path_of_any_kind(kind, tmp_path, arrays, saved):
    torch = made(LAYOUTS["torch"])
    keras = made(LAYOUTS["keras_2018"])
    prefix = saved / "model.ckpt"
    if kind in ("prefix", "folder", "index"):
        same(
            read_weights(
                {"prefix": prefix, "folder": prefix.parent}.get(
                    kind, prefix.with_name("model.ckpt.index")
                )
            ).arrays,
            arrays,
        )
    elif kind == "torch":
        write_torch(tmp_path / "i3d.pt", torch)
        same(read_weights(tmp_path / "i3d.pt").arrays, torch)
    elif kind == "safetensors":
        write_safetensors(tmp_path / "i3d.safetensors", torch)
        same(read_weights(str(tmp_path / "i3d.safetensors")).arrays, torch)
    else:
        with h5py.File(tmp_path / "i3d.h5", "w") as file:
            for name, array in keras.items():
                layer = name.split("/")[0]
                group = file.require_group(layer)
                file_name = f"{layer}/{name.split('/')[1]}:0"
                group.create_dataset(file_name, data=array)
                names = [*group.attrs.get("weight_names", []), file_name.encode()]
                group.attrs["weight_names"] = np.array(names, "S")
            file.attrs["layer_names"] = [name.encode() for name in file]
        same(read_weights(tmp_path / "i3d.h5").arrays, keras)


def test_what_is_no_weights_error_lists_what_is_read(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing of the kind")
    with pytest.raises(WeightsError, match=r"notes.txt: unknown format; supported are TensorFlow"):
        read_weights(tmp_path / "notes.txt")
