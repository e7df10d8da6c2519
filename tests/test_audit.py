"""The audit of the locks: hashes of every requirement, and all of them in the bill of materials."""

import importlib.util
import pathlib

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))


@pytest.fixture(scope="module")
def audit():
    spec = importlib.util.spec_from_file_location("audit", ROOT / ".ci" / "audit.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_every_requirement_of_every_lock_has_hashes(audit, path):
    requirements = audit.read_lock(path)
    names = [requirement["name"].lower() for requirement in requirements]
    assert len(names) == len({*names}) > 0
    if path.name != "backends.txt":
        assert all(requirement["hashes"] for requirement in requirements)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("numpy==2.0\n", "numpy has no hash"),
        ("numpy>=2.0 --hash=sha256:" + "0" * 64, "is not a version with hashes"),
        ("numpy==2.0 --hash=md5:" + "0" * 32, "is not a version with hashes"),
        ("numpy==2.0 \\\n    --hash=sha256:12", "is not a version with hashes"),
        ("--index-url https://example.org", "is not a version with hashes"),
    ],
)
def test_anything_else_is_refused(audit, tmp_path, text, why):
    path = tmp_path / "lock.txt"
    path.write_text(text)
    with pytest.raises(ValueError, match=why):
        audit.read_lock(path)


def test_markers_and_comments_are_read(audit, tmp_path):
    path = tmp_path / "lock.txt"
    hashes = ("0" * 64, "1" * 64)
    path.write_text(
        "# by make lock\n"
        f"colorama==0.4.6 ; sys_platform == 'win32' \\\n    --hash=sha256:{hashes[0]} \\\n"
        f"    --hash=sha256:{hashes[1]}\n    # via tqdm\n"
    )
    (row,) = audit.read_lock(path)
    assert row["name"] == "colorama" and row["version"] == "0.4.6"
    assert row["marker"] == "sys_platform == 'win32'" and row["hashes"] == [*hashes]


def test_the_bill_of_materials_names_every_package(audit):
    path = ROOT / "requirements" / "core.txt"
    document = audit.bill_of_materials(path)
    assert document == audit.bill_of_materials(path)  # the same bytes for the same lock
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.5")
    names = {(item["name"], item["version"]) for item in document["components"]}
    assert names == {(row["name"].lower(), row["version"]) for row in audit.read_lock(path)}
    assert all(item["externalReferences"] for item in document["components"])
    references = {item["bom-ref"] for item in document["components"]}
    assert {*document["dependencies"][0]["dependsOn"]} == references
