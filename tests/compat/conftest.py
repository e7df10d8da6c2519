"""The environments that `make compat` builds, and what is handed to their users."""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from page_servers import serve_s3

HERE = pathlib.Path(__file__).resolve().parent
EXAMPLES = HERE.parents[1] / "examples"
ACTIONS = ("kick", "sit_down", "stand_up", "wave")
# Those of this process are about another TensorFlow, and another package than the installed one.
KEPT = ("HOME", "PATH", "TMPDIR", "LANG")


class Environment:
    """An interpreter of another time.

    Args:
        folder: Of the virtual environment.
    """

    def __init__(self, folder):
        self.python = folder / "bin" / "python"

    def run(self, *arguments, cwd, timeout=300, **variables):
        """Runs its Python; gives what that says, and demands that it ends well."""
        settings = {name: os.environ[name] for name in KEPT if name in os.environ}
        done = subprocess.run(
            [self.python, *map(str, arguments)],
            env={**settings, "TF_CPP_MIN_LOG_LEVEL": "3", **variables},
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert done.returncode == 0, f"{arguments}: {done.returncode}\n{done.stderr[-4000:]}"
        return done.stdout

    def ask(self, program, *arguments, cwd, **variables):
        """Runs a program that stands beside this file; gives its last line, JSON."""
        said = self.run(HERE / program, *arguments, cwd=cwd, **variables)
        return json.loads(said.splitlines()[-1])

    def kinetics_i3d(self, *arguments, cwd, **variables):
        """Runs the command of this package that is installed there; gives what it says."""
        return self.run("-m", "kinetics_i3d", *arguments, cwd=cwd, **variables)


@pytest.fixture(scope="session")
def environment():
    """Name -> `Environment`; skips where `make compat` does not run."""
    folder = os.environ.get("KINETICS_I3D_COMPAT")
    if not folder:
        pytest.skip("needs other TensorFlows; `make compat` installs them and runs this")
    return lambda name: Environment(pathlib.Path(folder).resolve() / name)


@pytest.fixture(scope="session")
def model():
    import kinetics_i3d as ki3d

    return ki3d.InceptionI3D(weights="rgb_figures")


@pytest.fixture(scope="session")
def clips(model):
    """float32 (4, 32, 80, 80, 3): the example clips, in the order of `ACTIONS`."""
    import kinetics_i3d as ki3d

    found = [ki3d.load_clip(EXAMPLES / f"{name}.mp4", spec=model.clip_spec) for name in ACTIONS]
    return np.concatenate(found)


@pytest.fixture(scope="session")
def videos(tmp_path_factory):
    """A table of the example clips, half of them to train on."""
    table = tmp_path_factory.mktemp("videos") / "videos.csv"
    splits = ("train", "train", "test", "test")
    named = zip(ACTIONS, splits, strict=True)
    rows = [f"{EXAMPLES / name}.mp4,{name},{split}" for name, split in named]
    table.write_text("\n".join(["path,label,split", *rows, ""]))
    return table


@pytest.fixture(scope="session")
def records(videos, tmp_path_factory):
    """The example clips as `kinetics-i3d prepare` writes them."""
    from kinetics_i3d.cli.main import main

    folder = tmp_path_factory.mktemp("videos")
    settings = ("--streams", "rgb", "--fps", "12.5", "--short-side", "88")
    # Those of the page, with the settings that a training has by default, lie beside them.
    for name, words in (("figures", settings), ("records", ())):
        assert main(["prepare", str(videos), "--output", str(folder / name), *words]) == 0
    return folder / "figures"


@pytest.fixture(scope="session")
def s3(environment, records):
    """(address of the records, the variables by which tensorflow-io finds their server)."""
    with serve_s3(records.parent, "videos") as (address, variables):
        # Without http:// it would be asked by TLS.
        yield f"s3://videos/{records.name}", {**variables, "S3_ENDPOINT": f"http://{address}"}


@pytest.fixture(scope="session")
def command():
    """Arguments -> what the command says in this environment, the newest that is locked."""

    def run(*arguments, cwd):
        settings = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
        words = [sys.executable, "-m", "kinetics_i3d", *map(str, arguments)]
        return subprocess.run(
            words, cwd=cwd, env=settings, capture_output=True, text=True, check=True
        ).stdout

    return run


@pytest.fixture(scope="session")
def training(clips, tmp_path_factory):
    """The clips at half their frames and one-hot targets, for a fine-tuning of some steps."""
    path = tmp_path_factory.mktemp("training") / "training.npz"
    np.savez(path, clips=clips[:, ::2], targets=np.eye(len(ACTIONS), dtype=np.float32))
    return path


@pytest.fixture(scope="session")
def examples():
    """The folder of the example clips."""
    return EXAMPLES


@pytest.fixture(scope="session")
def actions():
    """What they show."""
    return ACTIONS
