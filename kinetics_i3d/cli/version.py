"""`--version`: this package, the backends of Keras, and what each optional extra needs.

Only the metadata of installed packages is read: importing the backends takes seconds.
"""

import argparse
import importlib.metadata
import platform
import re

from kinetics_i3d.cli.console import PROGRAM

# {backend: names under which it is distributed}
BACKENDS = {
    "TensorFlow": ("tensorflow", "tensorflow-cpu", "tf-nightly"),
    "JAX": ("jax",),
    "PyTorch": ("torch",),
}
UNLISTED = ("dev", "docs")  # extras for work on this package
_EXTRA = re.compile(r"""^([\w.-]+).*;.*\bextra == ['"]([\w.-]+)['"]""")


class ShowVersion(argparse.Action):
    """`--version`; the versions are looked up only when the option is used."""

    def __init__(self, option_strings, dest, **options):
        super().__init__(option_strings, dest, nargs=0, default=argparse.SUPPRESS, **options)

    def __call__(self, parser, *_):
        print(version_text())
        parser.exit()


def version_text():
    """The versions, a line each."""
    lines = [f"{PROGRAM} {importlib.metadata.version(PROGRAM)}"]
    rows = {"Python": platform.python_version(), "Keras": installed_version("keras") or "missing"}
    for backend, names in BACKENDS.items():
        rows[backend] = next(filter(None, map(installed_version, names)), "not installed")
    lines += [f"  {name:<11} {version}" for name, version in rows.items()]
    lines += ["", "extras:"]
    for extra, packages in extras().items():
        versions = {name: installed_version(name) for name in packages}
        missing = [name for name, version in versions.items() if version is None]
        text = ", ".join(f"{name} {version}" for name, version in versions.items())
        if missing:
            text = f"not installed: {', '.join(missing)}"
        lines.append(f"  {extra:<11} {text}")
    return "\n".join(lines)


def installed_version(package):
    """The version of an installed package, or None."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def extras():
    """{extra of this package: the packages that it installs}."""
    packages: dict = {}
    for requirement in importlib.metadata.requires(PROGRAM) or ():
        if match := _EXTRA.match(requirement):
            package, extra = match.groups()
            if extra not in UNLISTED:
                packages.setdefault(extra, []).append(package)
    return packages
