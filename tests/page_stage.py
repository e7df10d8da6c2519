"""The folder of stand-ins in which the code blocks of the documentation run."""

import dataclasses
import hashlib
import json
import os
import shutil
import zipfile

import numpy as np
from doc_pages import ROOT
from short_network import shortened

# Small networks take the places of the large ones, under the same names.
NOT_REPLACED = ("rgb_figures", "rgb_kinetics600")  # small already, and downloaded only
# Pages whose networks need not have the names of the released ones, nor all endpoints.
SHORT = {
    "benchmarks/results/tables.md",
    "checkpoints/README.md",
    "docs/examples.md",
    "docs/export_litert.md",
    "docs/export_onnx.md",
    "docs/export_serving.md",
    "docs/tables.md",
}
SIZE = {"short_side": 36, "size": 32}
VIDEO_NAMES = ("video.mp4", "long_video.mp4", "VIDEO", "path/to/my.mp4", "my_videos/video.mp4")
ACTIONS = {"sit": "sit_down", "wave": "wave"}  # classes of J-HMDB, and the clips that show them
FOLDERS = ("REAL", "GENERATED", "FOLDER", "path/to/HMDB51")  # of classes
DATASETS = ("DATASET", "JHMDB")  # with splits


def make_stage(folder):
    """Writes what the pages' snippets read: videos, datasets and weights."""
    import keras

    import kinetics_i3d as ki3d
    from kinetics_i3d.weights.catalog import CATALOG

    for name in VIDEO_NAMES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "examples" / "wave.mp4", folder / name)
    frames = list(ki3d.read_frames(folder / "VIDEO", short_side=48))[:20]
    np.save(folder / "frames.npy", np.stack(frames))
    for name in FOLDERS:
        put_videos(folder / name, count=3)
    for name in DATASETS:
        put_videos(folder / name / "train", count=2)
        put_videos(folder / name / "test", count=1)
    rows = [
        f"JHMDB/train/{label}/{number}.mp4,{label},train"
        for label in ACTIONS
        for number in range(2)
    ]
    (folder / "training.csv").write_text("\n".join(["path,label,split", *rows]) + "\n")
    shutil.copytree(ROOT / "examples", folder / "examples")
    (folder / "checkpoints").mkdir()
    for script in (ROOT / "checkpoints").glob("*.py"):
        shutil.copy(script, folder / "checkpoints")

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


def put_videos(folder, *, count, actions=ACTIONS):
    """Writes a folder for each class of {class: clip}, with that many videos."""
    for label, clip in actions.items():
        (folder / label).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            path = folder / label / f"{number}.mp4"
            if not path.exists():  # it may be a link to that of another stage
                shutil.copy(ROOT / "examples" / f"{clip}.mp4", path)


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


def put_small_networks(patch, *, short=False):
    """Makes the architecture `inception_v1` a quarter as wide, or `short` too."""
    from kinetics_i3d.models import inception_i3d, inception_v1

    rows = inception_i3d.ARCHITECTURES
    small = rows["inception_v1_quarter"]
    small = dataclasses.replace(shortened(small) if short else small, name="inception_v1")
    patch.setitem(rows, "inception_v1", small)
    for module in (inception_i3d, inception_v1):  # the default
        patch.setattr(module, "INCEPTION_V1", small)


def put_stand_ins(patch, folder):
    """Makes the catalog's names those of the stage's weights, and all work short.

    Args:
        patch: pytest's `monkeypatch`, or what has its `setattr` and `setitem`.
        folder: The stage.
    """
    from kinetics_i3d.weights.catalog import CATALOG, IMAGES

    row = IMAGES["imagenet_inception5h"]
    digest = hashlib.sha256((folder / "inception5h.zip").read_bytes()).hexdigest()
    files = (dataclasses.replace(row.release.files[0], sha256=digest),)
    release = dataclasses.replace(row.release, files=files)
    patch.setitem(IMAGES, row.name, dataclasses.replace(row, release=release))
    for name, row in CATALOG.items():
        if name not in NOT_REPLACED:
            spec = dataclasses.replace(row.clip_spec, **SIZE)
            shipped = {"file": str(folder / f"{name}.h5"), "release": None, "distribution": None}
            row = dataclasses.replace(row, clip_spec=spec, **shipped)
            patch.setitem(CATALOG, name, row)
    put_short_trainings(patch)
    put_small_figures(patch)


def short_config(config):
    """A `TrainConfig` for two steps of small clips."""
    machines = len(os.environ.get("PAGE_PORTS", "").split(","))  # each takes a clip or more
    batch = max(2, machines)
    sizes = {"size": 32, "test_size": 32, "test_short_side": 36, "frames": 16, "batch_size": batch}
    short = {"steps": 2, "linear_probe": 0, "recalibration_batches": 1, "precision": "float32"}
    return dataclasses.replace(config, **sizes, **short, epochs=1, accumulate=1, warmup=0.0)


def put_short_trainings(patch):
    """Makes trainings two steps long."""
    from kinetics_i3d.training import train as module

    whole = module.train

    def train(dataset, config, output, **options):
        """As `train`, for two steps of small clips."""
        return whole(dataset, short_config(config), output, **options)

    patch.setattr(module, "train", train)


def put_small_figures(patch):
    """Makes datasets of figures one short video of each action and split."""
    import kinetics_i3d.figures
    from kinetics_i3d.figures import generate

    whole = generate.write_figures

    def write_figures(folder, **options):
        """As `write_figures`, for few and short videos."""
        few = {"train_per_action": 1, "test_per_action": 1, "frames": 24, "workers": 1}
        return whole(folder, **{**options, **few})

    for module in (kinetics_i3d.figures, generate):
        patch.setattr(module, "write_figures", write_figures)


def put_page(patch, page, folder):
    """Writes and changes what one page alone reads."""
    if page in PREPARE:
        PREPARE[page](patch, folder)


def _put_records(patch, folder):
    """Records of more files than there are processes."""
    import kinetics_i3d as ki3d

    config = ki3d.PrepareConfig(shard_size=1)
    ki3d.prepare(folder / "DATASET", folder / "RECORDS", config)
    shutil.copytree(folder / "RECORDS", folder / "shared" / "records")


def _put_bucket(patch, folder):
    """The videos in a bucket of S3, and in the folder that the machines of a cluster share."""
    for name in ("bucket", "shared"):
        shutil.copytree(folder / "my_videos", folder / name / "videos")


def put_curves(run):
    """Writes the history of a training of one epoch into its folder."""
    from kinetics_i3d.training.outputs import write_history

    row = {"epoch": 1, "step": 1, "loss": 1.0, "accuracy": 0.5, "learning_rate": 0.1}
    write_history(run / "history.csv", [row])


def _put_runs(patch, folder):
    """Two runs and an evaluation, whose curves and confusion matrix are drawn."""
    for name in ("RUN", "OTHER_RUN"):
        (folder / name).mkdir()
        put_curves(folder / name)
    classes = [{"label": "sit", "right": 3, "taken_for": {"wave": 1}}]
    classes += [{"label": "wave", "right": 2, "taken_for": {}}]
    (folder / "my_evaluation").mkdir()
    report = {"labels": ["sit", "wave"], "classes": classes}
    (folder / "my_evaluation" / "evaluation.json").write_text(json.dumps(report))


def _put_releases(patch, folder):
    """Two releases in the folder of `KINETICS_I3D_SOURCE`."""
    from image_archives import slim_archive
    from tensorflow_checkpoint import save

    from kinetics_i3d.weights.catalog import CATALOG
    from kinetics_i3d.weights.released import blob_id

    slim_archive(folder)
    row = CATALOG["rgb_kinetics600"]
    source = folder / row.release.folder
    source.mkdir()
    save({"kernel": np.zeros(2, np.float32)}, source / row.release.main)
    files = [
        dataclasses.replace(
            file,
            size=(source / file.name).stat().st_size,
            blob=blob_id(source / file.name),
        )
        for file in row.release.files
    ]
    release = dataclasses.replace(row.release, files=tuple(files))
    patch.setitem(CATALOG, row.name, dataclasses.replace(row, release=release))


def _put_long_videos(patch, folder):
    """Enough clips for long videos, and short figures."""
    from kinetics_i3d.figures import render

    for split in ("train", "test"):
        put_videos(folder / "DATASET" / split, count=6)
    whole = render.render_figure

    def render_figure(action, **options):
        """As `render_figure`, for few frames."""
        return whole(action, **{**options, "frames": 6})

    patch.setattr(render, "render_figure", render_figure)


def _put_figures(patch, folder):
    """The dataset that other pages generate, of the classes of `rgb_figures`."""
    for split in ("train", "test"):
        put_videos(folder / "FIGURES" / split, count=1, actions={"wave": "wave", "kick": "kick"})


def _put_folds(patch, folder):
    """As many videos of a class as a cross-validation has folds."""
    put_videos(folder / "FOLDER", count=5)


def _put_small_tables(patch, folder):
    """Tables of few and short runs."""
    from kinetics_i3d.experiments import plan as planning
    from kinetics_i3d.experiments import runner
    from kinetics_i3d.training.train import train

    whole = planning.plan_tables

    def plan_tables(*arguments, **options):
        """As `plan_tables`, for I3D RGB alone, a run of each kind."""
        plan = whole(*arguments, **options)
        jobs = {}
        for job in plan.jobs:
            if (job.run.system, job.run.stream) == ("TwoStreamI3D", "rgb"):
                jobs.setdefault((job.run.init, job.run.transfer), job)
        return dataclasses.replace(plan, jobs=tuple(jobs.values()) or plan.jobs[:1])

    patch.setattr(planning, "plan_tables", plan_tables)
    patch.setattr(runner, "train", train)  # the short one


PREPARE = {
    "benchmarks/results/tables.md": _put_small_tables,
    "docs/distributed.md": _put_records,
    "docs/examples.md": _put_folds,
    "docs/features.md": _put_long_videos,
    "docs/pictures.md": _put_runs,
    "docs/python.md": _put_figures,
    "docs/scale.md": _put_bucket,
    "docs/tables.md": _put_small_tables,
    "docs/weights.md": _put_releases,
}
