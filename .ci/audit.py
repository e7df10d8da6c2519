"""Audits the locked dependencies, and writes the bill of materials of a release.

`python .ci/audit.py` checks without a network that every requirement of every lock has one version
and the hashes of its files. Where `pip-audit` is installed, it also looks for known
vulnerabilities, and says how many packages could be looked up. `--sbom FILE` writes the packages of
a lock as CycloneDX 1.5 JSON (https://cyclonedx.org/docs/1.5/json/), the same bytes for one lock.
"""

import argparse
import importlib.util
import json
import pathlib
import re
import subprocess
import sys
import tomllib
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[1]
LOCKS = ROOT / "requirements"
# Builds of PyTorch for one platform take each other's place, so its files have no fixed hashes.
WITHOUT_HASHES = ("backends.txt",)
PIN = re.compile(
    r"(?P<name>[\w.-]+)==(?P<version>[\w.]+)(?: ; (?P<marker>[^#]*?))?"
    r"(?P<hashes>(?: --hash=sha256:[0-9a-f]{64})*)"
)


def read_lock(path):
    """The requirements of a lock: a list of {name, version, marker, hashes}.

    Raises:
        ValueError: If a line is no requirement with one version, or has no hash.
    """
    text = re.sub(r"\s*\\\n\s*", " ", path.read_text(encoding="utf-8"))
    requirements = []
    for line in text.splitlines():
        line = re.sub(r"\s*#.*", "", line).strip()
        if not line:
            continue
        match = PIN.fullmatch(line)
        if match is None:
            raise ValueError(f"{path.name}: {line[:80]!r} is not a version with hashes")
        requirement = match.groupdict()
        requirement["hashes"] = re.findall(r"sha256:([0-9a-f]{64})", requirement["hashes"])
        if not requirement["hashes"] and path.name not in WITHOUT_HASHES:
            raise ValueError(f"{path.name}: {requirement['name']} has no hash")
        requirements.append(requirement)
    return requirements


def bill_of_materials(path):
    """The packages of a lock as a CycloneDX document, a dictionary."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    main = f"pkg:pypi/{project['name']}@{project['version']}"
    components = []
    for requirement in read_lock(path):
        name, version = requirement["name"].lower(), requirement["version"]
        component = {
            "type": "library",
            "bom-ref": f"pkg:pypi/{name}@{version}",
            "name": name,
            "version": version,
            "purl": f"pkg:pypi/{name}@{version}",
            "externalReferences": [
                {
                    "type": "distribution",
                    "url": f"pkg:pypi/{name}@{version}",
                    "hashes": [{"alg": "SHA-256", "content": digest}],
                }
                for digest in requirement["hashes"]
            ],
        }
        if requirement["marker"]:
            marker = {"name": "python:marker", "value": requirement["marker"].strip()}
            component["properties"] = [marker]
        components.append(component)
    content = json.dumps(components, sort_keys=True)
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, main + content)}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "library",
                "bom-ref": main,
                "name": project["name"],
                "version": project["version"],
                "purl": main,
            }
        },
        "components": components,
        "dependencies": [
            {"ref": main, "dependsOn": sorted(item["bom-ref"] for item in components)}
        ],
    }


def find_vulnerabilities(path):
    """Looks a lock up by pip-audit: (lines of vulnerabilities, packages that were looked up, all).

    None if pip-audit fails, as it does where nothing can be reached.
    """
    words = ["--disable-pip", "--require-hashes", "--progress-spinner", "off", "--format", "json"]
    done = subprocess.run(
        [sys.executable, "-m", "pip_audit", *words, "--requirement", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except ValueError:
        return None
    # What a mirror does not know is skipped, and pip-audit still ends with success.
    checked = [package for package in packages if "skip_reason" not in package]
    lines = [
        f"{path.name}: {package['name']} {package['version']}: {vulnerability['id']}, fixed in "
        f"{', '.join(vulnerability['fix_versions']) or 'no version'}"
        for package in checked
        for vulnerability in package["vulns"]
    ]
    return lines, len(checked), len(packages)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sbom", metavar="FILE", help="write the bill of materials of --lock")
    parser.add_argument("--lock", default="core.txt", metavar="NAME", help="default: core.txt")
    options = parser.parse_args()

    if options.sbom:
        document = bill_of_materials(LOCKS / options.lock)
        path = pathlib.Path(options.sbom)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        print(f"{path}: {len(document['components'])} packages")
        return 0

    locks = sorted(LOCKS.glob("*.txt"))
    problems = []
    for path in locks:
        try:
            requirements = read_lock(path)
        except ValueError as error:
            problems.append(str(error))
            continue
        hashes = sum(len(requirement["hashes"]) for requirement in requirements)
        print(f"{path.name}: {len(requirements)} packages, {hashes} hashes")
    if importlib.util.find_spec("pip_audit") is None:
        print("known vulnerabilities: not looked up; pip-audit is not installed")
    else:
        for path in locks:
            if path.name in WITHOUT_HASHES or problems:
                continue
            result = find_vulnerabilities(path)
            if result is None or not result[1]:
                print(f"{path.name}: known vulnerabilities: no package could be looked up")
                continue
            lines, checked, total = result
            print(f"{path.name}: {checked} of {total} packages were looked up")
            problems += lines
    for problem in problems:
        print(problem, file=sys.stderr)
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
