"""ImageNet's weights by name in the verbs: listed, downloaded, inflated, named by --labels."""

import json

import pytest
from image_archives import TAR, slim_archive


@pytest.fixture(autouse=True)
def mirror(tmp_path, monkeypatch):
    """A folder that downloads come from; the cache is empty."""
    monkeypatch.setenv("KINETICS_I3D_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("KINETICS_I3D_SOURCE", str(tmp_path / "mirror"))
    (tmp_path / "mirror").mkdir()
    return tmp_path / "mirror"


def row_of(command, name):
    code, out, err = command("weights", name, "--json")
    assert code == 0, err
    (row,) = json.loads(out)
    return row


def test_the_rows_say_what_they_are(command):
    row = row_of(command, "inception5h")
    assert (row["name"], row["input"], row["classes"]) == ("imagenet_inception5h", "images", 1008)
    assert row["size"] is None and row["verified_by"] == "sha256"
    assert row["files"][0]["sha256"].startswith("d13569f6")
    assert row_of(command, "imagenet_slim")["verified_by"] == "shapes"
    _, out, _ = command("weights", "imagenet_slim")
    assert "\n  images    short side 256, 224 x 224 pixels, -1 to 1" in out
    assert "\n  by        shapes\n" in out


@pytest.mark.slow
def test_a_fetched_archive_without_a_hash_is_verified_by_shapes(command, mirror, tmp_path):
    slim_archive(mirror)
    path = tmp_path / "cache" / "imagenet_slim" / TAR
    assert row_of(command, "imagenet_slim")["verified"] == "when downloaded"
    assert command("weights", "imagenet_slim", "--fetch") == (0, f"{path}\n", "")
    row = row_of(command, "imagenet_slim")
    assert (row["from"], row["verified"]) == ("cache", "shapes")
    assert row["size"] == path.stat().st_size
    _, out, _ = command("weights")
    (line,) = [line for line in out.splitlines() if line.startswith("imagenet_slim ")]
    assert "  cache  " in line and "  shapes  " in line


def test_a_wrong_archive_is_one_line(command, mirror):
    (mirror / "inception5h.zip").write_bytes(b"PK")
    code, out, err = command("weights", "inception5h", "--fetch")
    assert (code, out) == (1, "") and "its SHA-256 is" in err.splitlines()[-1]
    code, out, err = command("inflate", "imagenet_inception5h", "--output", mirror / "x.h5")
    assert (code, out) == (2, "") and "its SHA-256 is" in err.splitlines()[-1]
    assert not (mirror / "x.h5").exists()


@pytest.mark.parametrize("verb", ["classify", "evaluate", "export", "doctor", "train"])
def test_verbs_of_clips_say_to_inflate_first(command, videos, tmp_path, verb):
    words = {
        "classify": (videos["one"], "--weights", "imagenet_slim"),
        "evaluate": (tmp_path, "--weights", "imagenet_slim"),
        "export": ("imagenet_slim", "--output", tmp_path / "out", "--to", "savedmodel"),
        "doctor": (videos["one"], "--weights", "imagenet_slim"),
        "train": ("InceptionI3D", "--data", tmp_path, "--output", tmp_path / "run", "--weights")
        + ("imagenet_slim", "--transfer", "full"),
    }[verb]
    code, out, err = command(verb, *words)
    assert (code, out) == (2, "")
    assert "inflate them first: kinetics-i3d inflate imagenet_slim" in err
    assert not (tmp_path / "cache").exists()


@pytest.mark.long
def test_inflate_takes_the_name_and_labels(command, mirror, tmp_path):
    import kinetics_i3d as ki3d

    slim_archive(mirror)
    names = tmp_path / "names.txt"
    names.write_text("".join(f"class {number}\n" for number in range(1001)))
    output = tmp_path / "mine.h5"
    code, out, err = command("inflate", "imagenet_slim", "--output", output, "--labels", names)
    assert (code, out) == (0, f"{output}\n"), err
    model = ki3d.InceptionI3D(weights=output)
    assert model.labels[:2] == ("class 0", "class 1") and model.output_shape == (None, 1001)


def test_train_takes_the_name(command, mirror, monkeypatch, videos, tmp_path):
    from kinetics_i3d.weights import read

    requested = []

    class StoppedError(Exception):
        pass

    def locate(row):
        requested.append(row.name)
        raise StoppedError

    monkeypatch.setattr(read, "locate", locate)
    words = ("--data", tmp_path, "--output", tmp_path / "run", "--transfer", "full")
    with pytest.raises(StoppedError):
        command("train", "InceptionI3D", *words, "--inflate", "inception5h")
    assert requested == ["imagenet_inception5h"]


def test_the_architecture_of_images_is_known_without_a_download():
    from kinetics_i3d.training.recipes import config_from_recipe

    config = config_from_recipe("jhmdb", inflate="imagenet_slim")
    assert (config.inflate, config.architecture) == ("imagenet_slim", "inception_v1")
    config = config_from_recipe("figures", inflate="inception5h")
    assert (config.inflate, config.architecture) == ("inception5h", "googlenet")
