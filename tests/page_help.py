"""What the two examples of each verb's help read: a stage for them, beside that of the pages."""

import shutil

import numpy as np
from doc_pages import ROOT
from page_stage import ACTIONS, put_curves, put_page, put_videos

LABELS = tuple(ACTIONS)
EXAMPLE = ROOT / "examples" / "wave.mp4"


def put_help(verb, patch, folder):
    """Writes and changes what the examples of a verb read.

    Args:
        verb: The verb.
        patch: pytest's `monkeypatch`.
        folder: The stage.
    """
    shutil.rmtree(folder / "my_videos")
    put_videos(folder / "my_videos", count=2)
    shutil.copy(folder / "video.mp4", folder / "talk.mp4")
    for name in ("real", "generated"):
        put_videos(folder / name, count=2)
    _put_hmdb51(folder / "path" / "to" / "HMDB51")
    _put_hmdb51(folder / "path" / "to" / "JHMDB")
    _put_ucf101(folder / "path" / "to" / "UCF101")
    if verb not in ("train", "tables"):  # which write it
        _put_run(folder)
    if verb in OTHERS:
        OTHERS[verb](patch, folder)


def _put_run(folder):
    """The folder of a training: weights, videos and curves."""
    import kinetics_i3d as ki3d

    run = folder / "RUN"
    run.mkdir()
    model = ki3d.InceptionI3D(classes=len(LABELS), input_shape=(None, None, None, 3))
    spec = ki3d.ClipSpec("small", short_side=36, size=32)
    ki3d.save_weights(model, run / "weights.h5", labels=LABELS, clip_spec=spec)
    rows = [f"{folder}/my_videos/{label}/0.mp4,{label},val" for label in LABELS]
    (run / "videos.csv").write_text("\n".join(["path,label,split", *rows]) + "\n")
    put_curves(run)


def _put_hmdb51(folder):
    """Classes of videos, and the files of the splits of HMDB-51 and J-HMDB."""
    put_videos(folder, count=2)
    (folder / "splits").mkdir()
    for label in LABELS:
        for split in (1, 2, 3):
            path = folder / "splits" / f"{label}_test_split{split}.txt"
            path.write_text("0.mp4 1\n1.mp4 2\n")


def _put_ucf101(folder):
    """The same as UCF-101 has it."""
    names = {label: f"{label}/v_{label}_g{{:02d}}_c01.mp4" for label in LABELS}
    for label, name in names.items():
        (folder / label).mkdir(parents=True)
        for group in (1, 2):
            shutil.copy(EXAMPLE, folder / name.format(group))
    classes = [f"{number} {label}\n" for number, label in enumerate(LABELS, 1)]
    (folder / "classInd.txt").write_text("".join(classes))
    for split in (1, 2, 3):
        for part, group in (("trainlist", 1), ("testlist", 2)):
            rows = [name.format(group) + "\n" for name in names.values()]
            (folder / f"{part}{split:02d}.txt").write_text("".join(rows))


def _put_records(patch, folder):
    """Records of both streams, and measurements of a second."""
    import kinetics_i3d as ki3d
    from kinetics_i3d.data import pipeline as module

    whole = module.measure_input
    short = {"seconds": 1.0}
    patch.setattr(
        module, "measure_input", lambda *arguments, **row: whole(*arguments, **row | short)
    )

    config = ki3d.PrepareConfig(streams=("rgb", "flow"))
    ki3d.prepare(folder / "DATASET", folder / "records", config)


def _put_foreign_weights(patch, folder):
    shutil.copy(folder / "rgb_kinetics400.h5", folder / "theirs.pt")  # known by its content
    (folder / "labels.txt").write_text("".join(f"action {number}\n" for number in range(400)))


def _put_clip(patch, folder):
    import kinetics_i3d as ki3d
    from kinetics_i3d.weights.catalog import CATALOG

    clip = ki3d.load_clip(folder / "video.mp4", spec=CATALOG["rgb_kinetics400"].clip_spec)
    np.save(folder / "clip.npy", clip)


def _put_generated(patch, folder):
    import kinetics_i3d as ki3d

    random = np.random.default_rng(0)
    for name in ("real", "generated"):
        videos = random.integers(0, 256, (4, 16, 40, 40, 3), np.uint8)
        np.save(folder / f"{name}.npy", videos)
    ki3d.fvd_features(folder / "real.npy", protocol="stylegan_v").save(folder / "real.npz")


def _put_bucket(patch, folder):
    put_videos(folder / "bucket" / "videos", count=1)


def _put_tables(patch, folder):
    put_page(patch, "docs/tables.md", folder)
    for split in ("train", "test"):
        put_videos(folder / "figures" / split, count=1)


def _put_releases(patch, folder):
    put_page(patch, "docs/weights.md", folder)


OTHERS = {
    "benchmark": _put_records,
    "convert": _put_foreign_weights,
    "doctor": _put_clip,
    "fvd": _put_generated,
    "inflate": _put_releases,
    "scale": _put_bucket,
    "tables": _put_tables,
    "weights": _put_releases,
}
