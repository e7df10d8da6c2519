"""The documentation's code blocks, and the folder of stand-ins in which they run."""

import argparse
import contextlib
import dataclasses
import hashlib
import pathlib
import re
import shlex
import shutil
import zipfile

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/*.md"),
        *ROOT.glob("checkpoints/*.md"),
        *ROOT.glob("benchmarks/**/*.md"),
    ]
)
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`(kinetics-i3d [a-z][^`]*)`")
NESTED = re.compile(r"(?:^|\s)(kinetics-i3d [a-z]+ .*)$")


@dataclasses.dataclass(frozen=True)
class Block:
    """A fenced code block: its page, its language, the line that it begins at, and its text."""

    page: str
    language: str
    line: int
    text: str

    @property
    def is_recipe(self):
        """Whether it is a new module, or a row of one, as CONTRIBUTING.md has them."""
        return self.text.startswith(("# new file ", "# row in "))


def blocks_of(path):
    """The code blocks of a page, from top to bottom."""
    text = path.read_text(encoding="utf-8")
    page = path.relative_to(ROOT).as_posix()
    return [
        Block(page, match[1], text.count("\n", 0, match.start(2)) + 1, match[2])
        for match in FENCE.finditer(text)
    ]


def commands_of(block):
    """The commands of a block of a shell, each as a list of words, without comments."""
    commands, waiting = [], ""
    for line in re.sub(r"\\\n\s*", "", block.text).splitlines():
        waiting += line + "\n"
        with contextlib.suppress(ValueError):  # a quotation goes on in the next line
            commands.append(shlex.split(waiting, comments=True))
            waiting = ""
    assert not waiting, block
    return [words for words in commands if words]


def nested_commands(block):
    """The `kinetics-i3d` commands inside other programs: scripts of Slurm, Kubernetes' YAML."""
    lines = re.sub(r"\\\n\s*", "", block.text).splitlines()
    found = [NESTED.search(line) for line in lines]
    return [shlex.split(match[1].rstrip("'"))[1:] for match in found if match]


def inline_commands(path):
    """The `kinetics-i3d` commands between backquotes in the text of a page, as text."""
    text = FENCE.sub("", path.read_text(encoding="utf-8"))
    return [" ".join(match[1].split()) for match in INLINE.finditer(text)]


def options_of(parser, verb):
    """The options of a verb, such as `--weights`."""
    return _options(_children(parser)[verb])


def _options(parser):
    """The options of a parser and of those below it."""
    children = _children(parser).values()
    return set(parser._option_string_actions).union(*map(_options, children))


def _children(parser):
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return action.choices
    return {}


# Small networks take the places of the large ones, under the same names.
NOT_REPLACED = ("rgb_figures", "rgb_kinetics600")  # small already, and downloaded only
SIZE = {"short_side": 36, "size": 32}
VIDEO_NAMES = ("video.mp4", "long_video.mp4", "VIDEO", "path/to/my.mp4")
DATASETS = ("REAL", "GENERATED", "FOLDER", "DATASET", "JHMDB", "FIGURES", "path/to/HMDB51")


def make_stage(folder):
    """Writes what the pages' snippets read: videos, datasets and weights."""
    import keras

    import kinetics_i3d as ki3d
    from kinetics_i3d.weights.catalog import CATALOG

    clips = {name: ROOT / "examples" / f"{name}.mp4" for name in ("sit_down", "wave")}
    for name in VIDEO_NAMES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(clips["wave"], folder / name)
    frames = list(ki3d.read_frames(clips["wave"], short_side=48))[:20]
    np.save(folder / "frames.npy", np.stack(frames))
    for name in DATASETS:
        for label, clip in clips.items():
            (folder / name / label).mkdir(parents=True)
            for number in range(3):
                shutil.copy(clip, folder / name / label / f"{number}.mp4")
    rows = [f"JHMDB/{label}/{number}.mp4,{label},train" for label in clips for number in range(3)]
    (folder / "training.csv").write_text("\n".join(["path,label,split", *rows]) + "\n")
    shutil.copytree(ROOT / "examples", folder / "examples")

    keras.utils.set_random_seed(0)
    models = {}  # rows of the same channels and labels share one
    for name, row in CATALOG.items():
        if name not in NOT_REPLACED:
            spec = row.clip_spec
            shape = (None, None, None, spec.channels)
            kind = (shape, row.labels)
            if kind not in models:
                models[kind] = ki3d.InceptionI3D(classes=len(row.labels), input_shape=shape)
            small = dataclasses.replace(spec, **SIZE)
            path = folder / f"{name}.h5"
            ki3d.save_weights(models[kind], path, labels=row.labels, clip_spec=small)
    # Formats are recognized by content; the readers of PyTorch's files have tests of their own.
    shutil.copy(folder / "rgb_imagenet_kinetics400.h5", folder / "rgb_imagenet.pt")
    shutil.copy(folder / "rgb_kinetics_jhmdb.h5", folder / "mine.h5")
    write_inception5h(folder / "inception5h.zip")


def write_inception5h(path):
    """Writes an archive as that of the release, its constants all zero."""
    import tensorflow as tf

    import kinetics_i3d as ki3d
    from kinetics_i3d.weights.inception5h import GRAPH, LABELS, layer_names

    model = ki3d.InceptionV1(architecture="googlenet", classes=1008)
    graph = tf.compat.v1.GraphDef()
    for stem, layer in layer_names().items():
        kernel, bias = model.get_layer(layer).weights
        for part, variable in (("w", kernel), ("b", bias)):
            node = graph.node.add(name=f"{stem}_{part}", op="Const")
            node.attr["dtype"].type = tf.float32.as_datatype_enum
            zeros = np.zeros(variable.shape, np.float32)
            node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(zeros))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(GRAPH, graph.SerializeToString())
        archive.writestr(LABELS, "\n".join(map(str, range(1008))))


def put_small_networks(monkeypatch):
    """Makes the architecture `inception_v1` a quarter as wide."""
    from kinetics_i3d.models import inception_i3d, inception_v1

    rows = inception_i3d.ARCHITECTURES
    small = dataclasses.replace(rows["inception_v1_quarter"], name="inception_v1")
    monkeypatch.setitem(rows, "inception_v1", small)
    for module in (inception_i3d, inception_v1):  # the default
        monkeypatch.setattr(module, "INCEPTION_V1", small)


def put_stand_ins(monkeypatch, folder):
    """Makes the catalog's names those of the stage's weights, and trainings two steps long."""
    from kinetics_i3d.training import train as module
    from kinetics_i3d.weights.catalog import CATALOG, IMAGES

    row = IMAGES["imagenet_inception5h"]
    digest = hashlib.sha256((folder / "inception5h.zip").read_bytes()).hexdigest()
    files = (dataclasses.replace(row.release.files[0], sha256=digest),)
    release = dataclasses.replace(row.release, files=files)
    monkeypatch.setitem(IMAGES, row.name, dataclasses.replace(row, release=release))
    for name, row in CATALOG.items():
        if name not in NOT_REPLACED:
            spec = dataclasses.replace(row.clip_spec, **SIZE)
            shipped = {"file": str(folder / f"{name}.h5"), "release": None, "distribution": None}
            row = dataclasses.replace(row, clip_spec=spec, **shipped)
            monkeypatch.setitem(CATALOG, name, row)
    whole = module.train

    def train(dataset, config, output, **options):
        """As `train`, for two steps of small clips."""
        sizes = {"size": 32, "test_size": 32, "test_short_side": 36, "frames": 16, "batch": 2}
        short = {"steps": 2, "head_start": 0, "norm_batches": 1, "precision": "float32"}
        config = dataclasses.replace(config, **sizes, **short, epochs=1, accumulate=1, warmup=0.0)
        return whole(dataset, config, output, **options)

    monkeypatch.setattr(module, "train", train)
