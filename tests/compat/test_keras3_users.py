"""The lowest versions that are promised, and the newest: the package itself runs there."""

import csv
import json
import re
import tomllib

import numpy as np
import pytest
import tensorflow as tf
from doc_pages import block_with, blocks_of, commands_of

import kinetics_i3d as ki3d
from kinetics_i3d.video.reader import read_frames

pytestmark = pytest.mark.slow  # programs in other environments

PROGRAM = "keras3_user.py"
PAGE = "docs/compatibility.md"
SMALL = (
    *("--recipe", "figures", "--frames", 9, "--size", 32, "--epochs", 2, "--batch-size", 2),
    *("--validation", "test"),
)


@pytest.fixture(scope="module", params=["lowest", "newest"])
def user(request, environment):
    return environment(request.param)


@pytest.fixture(scope="module")
def lowest(environment):
    return environment("lowest")


def test_the_lowest_are_those_that_the_metadata_promise(lowest, examples, tmp_path):
    project = tomllib.loads((examples.parent / "pyproject.toml").read_text())["project"]
    promised = list(project["dependencies"])
    for extra in ("flow", "io", "opencv", "pictures"):
        promised += project["optional-dependencies"][extra]
    bounds = dict(re.match(r"([\w-]+)[>=]=(\d+(?:\.\d+)*)", each).groups() for each in promised)
    found = lowest.ask(PROGRAM, "versions", *bounds, cwd=tmp_path)
    for (name, bound), version in zip(bounds.items(), found, strict=True):
        assert f"{version}.".startswith(f"{bound}."), name
    assert len(bounds) == len(project["dependencies"]) + 4


def test_every_module_is_imported(user, tmp_path):
    found, public = user.ask(PROGRAM, "modules", cwd=tmp_path)
    assert found > 150 and public == len(ki3d.__all__)


def test_every_system_is_built(user, command, tmp_path):
    here = command("systems", cwd=tmp_path)
    assert user.kinetics_i3d("systems", cwd=tmp_path) == here and "TwoStreamI3D" in here


@pytest.mark.parametrize("weights", ["rgb_figures", "rgb_kinetics_jhmdb"])
def test_shipped_weights_say_the_same_labels(user, weights, command, actions, examples, tmp_path):
    names = actions if weights == "rgb_figures" else actions[1:2]
    videos = [examples / f"{name}.mp4" for name in names]
    words = ("classify", *videos, "--weights", weights, "--json")
    there, here = (json.loads(run(*words, cwd=tmp_path)) for run in (user.kinetics_i3d, command))
    for one, other, name in zip(there, here, names, strict=True):
        first, same = one["predictions"][0], other["predictions"][0]
        assert first["label"] == same["label"]
        assert first["probability"] == pytest.approx(same["probability"], abs=1e-4)
        assert weights != "rgb_figures" or first["label"] == name


def losses(run):
    with (run / "history.csv").open() as file:
        return [row["loss"] for row in csv.DictReader(file)]


def test_training_there_makes_weights_that_serve_here(lowest, tmp_path):
    table = lowest.kinetics_i3d(
        *("figures", "--output", "figures", "--train-per-action", 1, "--test-per-action", 1),
        *("--frames", 24, "--size", 48, 64),
        cwd=tmp_path,
    ).strip()
    words = ("train", "InceptionI3D", "--data", table, "--output", "run", *SMALL)
    lowest.kinetics_i3d(*words, cwd=tmp_path)
    assert len(losses(tmp_path / "run")) == 2
    model = ki3d.InceptionI3D(weights=tmp_path / "run" / "weights.h5")
    clip = np.random.default_rng(0).uniform(-1, 1, (1, 9, 80, 80, 3)).astype(np.float32)
    wanted = np.asarray(model(clip))
    # What is written there is read here, in every format, and serves here.
    converted, exported = lowest.ask(PROGRAM, "formats", "run/weights.h5", cwd=tmp_path)
    row = {"architecture": "inception_v1_quarter", "classes": 12}
    for name in converted:
        read = ki3d.InceptionI3D(weights=tmp_path / name, **row)
        np.testing.assert_allclose(read(clip), wanted, atol=1e-5, err_msg=name)
    for name in exported:
        served = tf.saved_model.load(str(tmp_path / name))
        found = served.signatures["float_clips"](rgb=tf.constant(clip))
        np.testing.assert_allclose(found["logits"], wanted, atol=1e-4, err_msg=name)
    assert len(converted) == 4 and len(exported) == 2


def test_training_from_s3_is_training_from_the_folder(lowest, records, s3, tmp_path):
    address, variables = s3
    found = []
    for name, source in (("here", records), ("there", address)):
        words = ("train", "InceptionI3D", "--data", source, "--output", name, *SMALL)
        said = lowest.kinetics_i3d(*words, cwd=tmp_path, **variables)
        assert said == f"{name}/weights.h5\n"
        found.append((losses(tmp_path / name), (tmp_path / name / "weights.h5").read_bytes()))
    assert found[0][0] == found[1][0] and len(found[0][0]) == 2
    checked = lowest.kinetics_i3d("prepare", "--check", address, cwd=tmp_path, **variables)
    assert checked.count("all intact") == 2


def test_the_page_trains_from_s3(lowest, s3, examples, tmp_path):
    """By a small network and for two steps, from the server of the fixture."""
    root = examples.parent
    blocks = [block for block in blocks_of(root / PAGE) if "s3://videos" in block.text]
    _, *exports, (program, *words) = commands_of(*blocks)  # the first installs the extra
    names = [word.partition("=")[0] for export, *row in exports for word in row]
    _, variables = s3
    assert program == "kinetics-i3d" and names == [*variables]
    paths = {"PYTHONPATH": str(root / "tests")}
    runner = root / "tests" / "page_runner.py"
    out = lowest.run(runner, *words, cwd=tmp_path, **variables, **paths)
    assert out == "run/weights.h5\n"
    assert len(losses(tmp_path / "run")) == 2  # a step is an epoch of so few videos


def test_flow_is_the_same_there(lowest, examples, tmp_path):
    frames = np.stack(list(read_frames(examples / "wave.mp4", fps=12.5, short_side=48)))[12:15]
    np.save(tmp_path / "frames.npy", frames)
    words = ("flow", tmp_path / "frames.npy", tmp_path / "flow.npz")
    assert lowest.ask(PROGRAM, *words, cwd=tmp_path) == ["numba", "opencv", "tensorflow"]
    wanted = ki3d.optical_flow(frames, backend="numba")
    assert np.abs(wanted).max() > 1
    with np.load(tmp_path / "flow.npz") as found:
        for backend in found.files:
            assert np.abs(found[backend] - wanted).mean() < 0.02, backend


def test_the_exports_are_layers_of_the_newest(environment, model, clips, training, tmp_path):
    ki3d.export(model, tmp_path / "saved", to="savedmodel")
    ki3d.export(model, tmp_path / "hub", to="hub", include_top=False)
    words = (tmp_path / "saved", tmp_path / "hub", training, tmp_path / "out.npz")
    newest = environment("newest")
    loss = newest.ask(PROGRAM, "layer", *words, cwd=tmp_path, TF_USE_LEGACY_KERAS="1")
    few = clips[:, ::2]
    with np.load(tmp_path / "out.npz") as out:
        assert np.abs(out["logits"] - np.asarray(model(few[:1]))).max() < 1e-4
    assert loss[-1] < 0.5 * loss[0]


def test_the_page_builds_on_features_in_the_newest(environment, model, tmp_path):
    ki3d.export(model, tmp_path / "features", to="hub", include_top=False)
    text = block_with("docs/export_serving.md", "import tensorflow_hub")
    code = f"{text}\nprint(model.output_shape, len(layer.trainable_variables))"
    out = environment("newest").run("-c", code, cwd=tmp_path)
    count = len(model.trainable_variables) - 2
    assert out.splitlines()[-1] == f"(None, 10) {count}"


def test_the_python_of_the_hubs_card_runs_on_the_newest(environment, model, training, tmp_path):
    ki3d.export(model, tmp_path / "hub", to="hub")
    words = ("card", tmp_path / "hub", training)
    shapes = environment("newest").ask(PROGRAM, *words, cwd=tmp_path, TF_USE_LEGACY_KERAS="1")
    assert shapes == [[1, 12], [1, 5], [1, 12]]
