"""`.keras` files load in a new process after `import kinetics_i3d` and nothing else."""

import os
import pathlib
import re
import subprocess
import sys

import keras
import numpy as np
import pytest
from short_network import register

import kinetics_i3d as ki3d
from kinetics_i3d import models

pytestmark = pytest.mark.slow

ROOT = pathlib.Path(__file__).resolve().parents[2]
LINES = {
    "keras first": "import keras, kinetics_i3d",
    "keras last": "import kinetics_i3d, keras",
    "from keras": "import kinetics_i3d\nfrom keras.models import load_model",
    "looked for": "import importlib.util, kinetics_i3d\nimportlib.util.find_spec('keras')",
}


@pytest.fixture(scope="module")
def clips():
    return np.random.default_rng(0).uniform(-1, 1, (1, 9, 32, 32, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def files(tmp_path_factory, clips):
    """{kind: (file, its answer)} of models that name each registered class."""
    folder = tmp_path_factory.mktemp("keras")
    quarter = "inception_v1_quarter"
    model = ki3d.InceptionI3D(architecture=quarter, classes=3)
    flow = clips[..., :2]
    kinds = {
        "clips": (model, clips),
        "inside a Sequential": (
            keras.Sequential([keras.Input((9, 32, 32, 3)), model], name="sequential"),
            clips,
        ),
        "two streams": (
            ki3d.TwoStreamI3D(architecture=quarter, classes=3),
            {"rgb": clips, "flow": flow},
        ),
        "an LSTM": (ki3d.ConvNetLSTM(architecture=quarter, classes=3), clips),
    }
    made = {}
    for number, (kind, (network, inputs)) in enumerate(kinds.items()):
        network.save(folder / f"{number}.keras")
        made[kind] = (folder / f"{number}.keras", inputs, np.asarray(network(inputs)))
    return made


def run(code, *arguments):
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# Each order starts a process of its own: `make test` has one.
ORDERS = [
    name if name == "keras first" else pytest.param(name, marks=pytest.mark.long) for name in LINES
]


@pytest.mark.long
@pytest.mark.parametrize("order", ORDERS)
def test_keras_files_load_in_a_new_process(files, order):
    code = f"""
{LINES[order]}
import sys, keras
for path in sys.argv[1:]:
    print(keras.models.load_model(path).name)
"""
    names = ["inception_i3d", "sequential", "two_stream_i3d", "conv_net_lstm"]
    count = len(names) if order == "keras first" else 1
    paths = [path for path, *_ in files.values()]
    assert run(code, *paths[-count:]).split() == names[-count:]


@pytest.mark.parametrize("kind", ["clips", "two streams", "an LSTM"])
def test_weights_may_be_a_keras_file(files, kind):
    path, inputs, answer = files[kind]
    builder = {
        "clips": ki3d.InceptionI3D,
        "two streams": ki3d.TwoStreamI3D,
        "an LSTM": ki3d.ConvNetLSTM,
    }[kind]
    np.testing.assert_allclose(builder(weights=path)(inputs), answer, rtol=1e-5, atol=1e-6)


def test_every_decorated_object_is_registered():
    decorated = set()
    for path in (ROOT / "kinetics_i3d").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        pattern = r'register_keras_serializable\("kinetics_i3d"\)\n(?:class|def) (\w+)'
        decorated |= set(re.findall(pattern, text))
    assert decorated == {each.__name__ for each in models.REGISTERED}


def test_importing_the_package_imports_no_keras():
    assert run("import sys, kinetics_i3d; print('keras' in sys.modules)").strip() == "False"


@pytest.mark.parametrize(
    ("system", "options"),
    [
        ("C3D", {"architecture": "c3d_eighth"}),
        ("TwoStream", {"architecture": register()}),
        ("TwoStreamFused", {"architecture": register()}),
        ("InceptionV1", {"architecture": register()}),
    ],
)
def test_weights_of_every_system_may_be_a_keras_file(system, options, tmp_path):
    builder = getattr(ki3d, system)
    model = builder(classes=3, **options)
    model.labels = ("a", "b", "c")
    model.save(tmp_path / "model.keras")
    again = builder(weights=tmp_path / "model.keras")
    for one, other in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert (again.labels, again.clip_specs) == (model.labels, model.clip_specs)


@pytest.mark.long
def test_converted_keras_files_load_and_are_weights(files, tmp_path):
    for kind in ("clips", "two streams"):
        path = ki3d.convert(files[kind][0], tmp_path / f"{kind}.h5")
        back = ki3d.convert(path, tmp_path / f"{kind} again.keras")
        assert keras.models.load_model(back).output_shape == (None, 3)
