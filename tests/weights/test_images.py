"""ImageNet's rows: archives of unknown size, verified by a hash or by their content."""

import dataclasses
import hashlib
import zipfile

import numpy as np
import pytest
import test_download as local
from image_archives import TAR, slim_archive
from test_inception5h_graph import GRAPH, LABELS, graph_of

from kinetics_i3d.core.clip_spec import DEEPMIND, INCEPTION5H
from kinetics_i3d.core.errors import WeightsError
from kinetics_i3d.weights.catalog import IMAGES
from kinetics_i3d.weights.download import fetch
from kinetics_i3d.weights.imagenet_slim import check_slim, slim_shapes
from kinetics_i3d.weights.inception5h import layer_names
from kinetics_i3d.weights.read import fetch_weights, find_entries, find_entry, read_weights
from kinetics_i3d.weights.released import Release, ReleasedFile, state

server = local.server  # a fixture
ZIP = "inception5h.zip"


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    for name in ("KINETICS_I3D_SOURCE", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KINETICS_I3D_CACHE", str(tmp_path / "cache"))


def zipped(path, members):
    with zipfile.ZipFile(path, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path.read_bytes()


@pytest.fixture
def archive(tmp_path):
    """The bytes of an inception5h.zip of small kernels, with fewer labels than outputs."""
    constants = {}
    for number, stem in enumerate(layer_names()):
        constants[f"{stem}_w"] = number + np.arange(120, dtype=np.float32).reshape(3, 5, 4, 2)
        constants[f"{stem}_b"] = np.full(2, number, np.float32)
    constants["softmax2_w"] = np.arange(8, dtype=np.float32).reshape(4, 2)
    return zipped(tmp_path / "made.zip", {GRAPH: graph_of(constants), LABELS: "dummy\n"})


@pytest.fixture
def publish(server, monkeypatch):
    """(row's name, content) -> the row, whose public place is a server on this machine."""

    def publish(name, content, **changes):
        row = IMAGES[name]
        (file,) = row.release.files
        if file.sha256 is not None:
            changes.setdefault("sha256", hashlib.sha256(content).hexdigest())
        file = dataclasses.replace(file, **changes)
        row = dataclasses.replace(row, release=Release("", (file,), address=server.address))
        monkeypatch.setitem(IMAGES, name, row)
        server.content, server.scripted = {f"/{file.name}": content}, file.name
        return row

    return publish


def get(row, **options):
    return fetch(row, **({"timeout": 5.0, "sleep": lambda seconds: None} | options))


def left(tmp_path, row):
    folder = tmp_path / "cache" / row.name
    return sorted(path.name for path in folder.iterdir() if path.name[0] != ".")


def test_the_rows_are_as_published():
    row = IMAGES["imagenet_inception5h"]
    assert row.release.address_of(row.release.address, row.release.main) == (
        "https://storage.googleapis.com/download.tensorflow.org/models/inception5h.zip"
    )
    digest = "d13569f6a98159de37e92e9c8ec4dae8f674fbf475f69fe6199b514f756d4364"
    assert row.release.files[0].sha256 == digest and row.release.verified_by == "sha256"
    assert (row.architecture, row.clip_spec, row.classes) == ("googlenet", INCEPTION5H, 1008)
    row = IMAGES["imagenet_slim"]
    assert row.release.address_of(row.release.address, row.release.main) == (
        "http://download.tensorflow.org/models/inception_v1_2016_08_28.tar.gz"
    )
    assert row.release.verified_by == "shapes" and row.release.size is None
    assert (row.architecture, row.clip_spec, row.classes) == ("inception_v1", DEEPMIND, 1001)
    assert row.accuracy == {"top1": 69.8, "top5": 89.6}


def test_a_file_is_verified_by_exactly_one_thing():
    for arguments in ({}, {"blob": "0" * 40, "sha256": "0" * 64}):
        with pytest.raises(ValueError, match="Exactly one of `blob`, `sha256` and `check`"):
            ReleasedFile("x.zip", None, **arguments)


def test_inception5h_is_downloaded_verified_and_read(server, publish, archive, tmp_path):
    row = publish("imagenet_inception5h", archive)
    read = read_weights("inception5h")
    path = tmp_path / "cache" / row.name / ZIP
    assert read.path == path and path.read_bytes() == archive
    assert left(tmp_path, row) == [ZIP, "verified.json"]
    assert (read.info.architecture, read.info.rank) == ("googlenet", 2)
    # The archive names fewer classes than the network has outputs.
    assert read.info.labels == ("dummy", "unnamed 1")
    assert state(path.parent, row.release) == "cached"
    assert read_weights("imagenet_inception5h").info == read.info
    assert server.requests == [(ZIP, 0)]


def test_a_part_of_unknown_size_is_continued(server, publish, archive, tmp_path):
    row = publish("imagenet_inception5h", archive)
    server.script = [local.cut, local.hang_up]
    seen = []
    path = get(row, progress=lambda *numbers: seen.append(numbers))
    assert path.read_bytes() == archive and left(tmp_path, row) == [ZIP, "verified.json"]
    half = len(archive) // 2
    assert server.requests == [(ZIP, 0), (ZIP, half), (ZIP, half)]
    assert seen[-1] == (len(archive), None)


def test_a_part_that_lacks_nothing_is_only_verified(server, publish, archive, tmp_path):
    row = publish("imagenet_inception5h", archive)
    part = tmp_path / "cache" / row.name / f"{ZIP}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(archive)
    server.script = [local.status(416, Content_Range=f"bytes */{len(archive)}")]
    assert get(row).read_bytes() == archive
    assert server.requests == [(ZIP, len(archive))]


def test_an_end_that_was_not_announced_is_found_by_the_hash(server, publish, archive):
    row = publish("imagenet_inception5h", archive)
    server.script = [local.unannounced(lambda content: content[:5000])]
    assert get(row).read_bytes() == archive
    assert server.requests == [(ZIP, 0), (ZIP, 0)]


@pytest.mark.parametrize("content", [b"<html>moved</html>", b"PK\x03\x04 another archive"])
def test_another_hash_is_one_line_and_leaves_nothing(publish, tmp_path, content):
    row = publish("imagenet_inception5h", content, sha256="0" * 64)
    found = hashlib.sha256(content).hexdigest()
    with pytest.raises(WeightsError, match=f"its SHA-256 is {found}, not 000") as raised:
        get(row)
    assert "\n" not in str(raised.value) and left(tmp_path, row) == []


@pytest.mark.parametrize("announced", [True, False])
def test_what_is_too_large_is_not_written(server, publish, archive, tmp_path, announced):
    row = publish("imagenet_inception5h", archive, limit=4000)
    if not announced:
        server.script = [local.unannounced(bytes)]
    sizes = []
    with pytest.raises(WeightsError, match="bytes, at most 4000 allowed"):
        get(row, progress=lambda done, total: sizes.append(done))
    assert left(tmp_path, row) == [] and max(sizes, default=0) <= 4000


def test_an_archive_without_the_graph_is_one_line(server, publish, tmp_path):
    publish("imagenet_inception5h", zipped(tmp_path / "made.zip", {LABELS: "dummy\n"}))
    with pytest.raises(WeightsError, match="a zip archive without weights") as raised:
        read_weights("imagenet_inception5h")
    assert "\n" not in str(raised.value) and len(server.requests) == 1


def test_an_archive_that_went_bad_in_the_cache_is_fetched_again(server, publish, archive):
    row = publish("imagenet_inception5h", archive)
    path = get(row)
    path.write_bytes(archive[: len(archive) // 2])
    assert read_weights("imagenet_inception5h").info.classes == 2
    assert path.read_bytes() == archive and len(server.requests) == 2


@pytest.fixture(scope="module")
def slim(tmp_path_factory):
    """(what to change) -> the bytes of an archive like TF-Slim's, of a version 1 checkpoint."""
    folder = tmp_path_factory.mktemp("slim")

    def made(change=None, damage=None):
        return slim_archive(folder, change=change, damage=damage).read_bytes()

    return made


@pytest.mark.slow
def test_the_shapes_are_those_of_the_network():
    from kinetics_i3d.models.inception_v1 import InceptionV1
    from kinetics_i3d.weights.assign import named_variables

    variables = named_variables(InceptionV1(classes=1001))
    assert slim_shapes() == {name: tuple(v.shape) for name, v in variables.items()}


def test_slim_is_downloaded_and_verified_by_its_shapes(server, publish, slim, tmp_path):
    row = publish("imagenet_slim", slim())
    read = read_weights("imagenet_slim")
    assert (read.info.architecture, read.info.rank) == ("inception_v1", 2)
    assert (read.info.classes, read.info.labels, read.info.clip_spec) == (1001, (), DEEPMIND)
    assert {name: array.shape for name, array in read.arrays.items()} == slim_shapes()
    assert left(tmp_path, row) == [TAR, "verified.json"] and server.requests == [(TAR, 0)]


def flip(content):
    bad = bytearray(content)
    bad[len(bad) // 2] ^= 4
    return bytes(bad)


def drop(arrays):
    del arrays["InceptionV1/InceptionV1/Mixed_4d/Branch_1/Conv2d_0b_3x3/weights"]


def widen(arrays):
    arrays["InceptionV1/Logits/Conv2d_0c_1x1/biases"] = np.zeros(1000, np.float32)
    arrays["InceptionV1/Logits/Conv2d_0c_1x1/weights"] = np.zeros((1, 1, 1024, 1000), np.float32)


@pytest.mark.parametrize(
    ("change", "damage", "message"),
    [
        (drop, None, "missing: .*Mixed_4d/Branch_1/Conv2d_0b_3x3/weights"),
        (widen, None, r"kernel has the shape \(1, 1, 1024, 1000\), not \(1, 1, 1024, 1001\)"),
        (None, flip, "damaged|not a complete TensorFlow checkpoint"),
        (None, lambda content: content[: len(content) // 2], "inception_v1.ckpt: unknown format"),
    ],
)
def test_another_content_of_slim_is_one_line_and_leaves_nothing(
    publish, slim, tmp_path, change, damage, message
):
    row = publish("imagenet_slim", slim(change, damage))
    with pytest.raises(
        WeightsError, match=f"{TAR}: not the released file: .*({message})"
    ) as raised:
        get(row)
    assert "\n" not in str(raised.value) and left(tmp_path, row) == []
    assert "tmp/tmp" not in str(raised.value)  # nobody knows the folder that it was unpacked to


def test_a_cut_archive_of_slim_is_one_line(publish, slim, tmp_path):
    whole = slim()
    row = publish("imagenet_slim", whole[: len(whole) // 2])
    with pytest.raises(WeightsError, match="not the released file: not a complete tar file"):
        get(row)
    assert left(tmp_path, row) == []
    (tmp_path / TAR).write_bytes(b"no archive")
    with pytest.raises(WeightsError, match="not a complete tar file"):
        check_slim(tmp_path / TAR)


def test_a_folder_is_a_source(publish, archive, tmp_path):
    row = publish("imagenet_inception5h", archive)
    (tmp_path / "mirror").mkdir()
    with pytest.raises(WeightsError, match=f"mirror/{ZIP}: cannot be read"):
        get(row, source=tmp_path / "mirror")
    (tmp_path / "mirror" / ZIP).write_bytes(archive)
    assert get(row, source=tmp_path / "mirror").read_bytes() == archive


def test_names_and_aliases(tmp_path, monkeypatch):
    row = IMAGES["imagenet_inception5h"]
    assert find_entry("inception5h") is find_entry("imagenet_inception5h") is row
    assert find_entries("inception5h") == [row] and find_entry(tmp_path) is None
    with pytest.raises(WeightsError, match="unknown weights 'imagenet_slm'; did you mean imagenet"):
        find_entries("imagenet_slm")
    with pytest.raises(WeightsError, match="did you mean imagenet_slim"):
        fetch_weights("imagenet_slm", images=True)
    # A folder of that name was what people had to have before there was a name.
    monkeypatch.chdir(tmp_path)
    (tmp_path / "inception5h").mkdir()
    assert find_entry("inception5h") is None
    assert fetch_weights("inception5h", images=True)[0].name == "inception5h"


@pytest.mark.parametrize("name", ["imagenet_slim", "imagenet_inception5h", "inception5h"])
def test_weights_of_images_are_refused_for_clips_before_a_download(server, publish, name):
    from kinetics_i3d.models.inception_i3d import InceptionI3D
    from kinetics_i3d.models.load import load_model

    publish(find_entry(name).name, b"")
    for take in (fetch_weights, load_model, lambda name: InceptionI3D(weights=name)):
        with pytest.raises(WeightsError, match="inflate them first: kinetics-i3d inflate imagenet"):
            take(name)
    assert server.requests == []


@pytest.mark.slow
def test_inception5h_knows_a_dalmatian_by_name(publish, shared):
    from PIL import Image
    from test_inception5h_graph import real_archive

    from kinetics_i3d.models.inception_v1 import InceptionV1

    source = shared / "reference" / "inception5h"
    publish("imagenet_inception5h", real_archive(source))
    model = InceptionV1(weights="inception5h")
    picture = Image.open(source / "dog.jpg").convert("RGB")
    side = min(picture.size)
    corner = [(length - side) // 2 for length in picture.size]
    picture = picture.crop((*corner, corner[0] + side, corner[1] + side)).resize((224, 224))
    logits = model.predict(model.clip_spec.normalize(np.asarray(picture))[None], verbose=0)
    assert "dalmatian" in model.labels[int(np.argmax(logits[0]))]
