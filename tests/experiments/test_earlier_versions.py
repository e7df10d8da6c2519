"""Output folders of earlier versions: their runs are read, their weights are sources."""

import dataclasses
import json

import pytest

from kinetics_i3d.experiments import runner
from kinetics_i3d.experiments.plan import Sources, make_plan, plan_tables
from kinetics_i3d.experiments.runner import do_runs, make_tables
from kinetics_i3d.experiments.runs import dataset_digest
from kinetics_i3d.experiments.scales import SCALES

# Written by version 0.1.0, which called a run a cell, but for dataset and accuracies.
RUN = "TwoStreamI3D.rgb.scratch.original"
CONFIG = """{"system": "InceptionI3D", "architecture": "googlenet", "streams": ["rgb"],
"weights": null, "head": "new", "inflate": null, "temporal": "center", "transfer": "original",
"feature_passes": 1, "norm": "train", "norm_momentum": 0.95, "norm_batches": 100,
"synchronize_norm": false, "fps": 25.0, "frames": 24, "stride": 1, "size": 112,
"test_short_side": 128, "test_size": 112, "crop": "resized", "area": [0.35, 1.0], "flip": true,
"color": true, "mixup": 0.0, "epochs": 20, "batch": 16, "steps": 160, "accumulate": 1,
"optimizer": "adamw", "learning_rate": 0.0001, "schedule": "cosine", "warmup": 1.0, "patience": 3,
"weight_decay": 0.05, "clip_norm": 0.0, "label_smoothing": 0.1, "dropout": 0.5, "ema": 0.0,
"head_start": 2, "freeze": [], "precision": "mixed_bfloat16", "split": "train",
"validation": null, "validate_every": 1, "keep": 0, "seed": 0}"""


@pytest.fixture
def earlier(tmp_path, videos):
    """An output folder with the cells of two seeds; seed 0 has 3 of 4 videos right, seed 1 all."""
    for seed, ranks in enumerate(([1, 1, 1, 2], [1, 1, 1, 1])):
        folder = tmp_path / "cells" / f"{RUN}.{seed}"
        folder.mkdir(parents=True)
        top1 = ranks.count(1) / 4
        cell = {
            "format": 1,
            "name": f"{RUN}.{seed}",
            "config": json.loads(CONFIG) | {"seed": seed},
            "parts": {},
            "dataset": dataset_digest(videos),
            "split": "test",
            "top1": top1,
            "top5": 1.0,
            "mean_class": top1,
            "videos": 4,
            "skipped": 0,
            "weights": {"rgb": "23f24407bc6e2957"},
            "processor_seconds": {"training": 625.4, "test": 46.6},
            "resumed": False,
        }
        (folder / "cell.json").write_text(json.dumps(cell))
        rows = [
            {"path": f"{number}.mp4", "label": "sit", "prediction": "sit", "rank": rank}
            for number, rank in enumerate(ranks, 2)
        ]
        report = {"format": 1, "version": "0.1.0", "videos_tested": rows}
        (folder / "evaluation.json").write_text(json.dumps(report))
        (folder / "weights.h5").touch()
    return tmp_path


def test_runs_of_an_earlier_version_are_read_and_tabulated(videos, earlier, monkeypatch):
    def fail(*args, **options):
        raise AssertionError("a finished run is only read")

    monkeypatch.setattr(runner, "train", fail)
    monkeypatch.setattr(runner, "evaluate", fail)
    plan = plan_tables(videos, earlier, SCALES["small"], seeds=2, pattern=f"{RUN}.*")
    results = make_tables(videos, earlier, plan)
    assert results["failed"] == {} and len(results["cells"]) == 2
    (group,) = results["groups"]
    assert group["top1"] == [75.0, 100.0] and group["seeds"] == [0, 1]
    assert "87.5 ± 17.7 (2)" in (earlier / "tables.md").read_text()


def test_weights_of_an_earlier_version_are_sources(earlier):
    plan = make_plan(
        SCALES["small"], seeds=2, sources=Sources([earlier]), pattern="*I3D.rgb.scratch.full.*"
    )
    weights = [job.config.weights for job in plan.jobs]
    assert weights == [str(earlier / "cells" / f"{RUN}.{seed}" / "weights.h5") for seed in (0, 1)]


def test_other_settings_than_in_an_earlier_version_are_named(videos, earlier):
    plan = make_plan(SCALES["small"], seeds=1, pattern=f"{RUN}.*")
    job = plan.jobs[0]
    job = dataclasses.replace(job, config=dataclasses.replace(job.config, batch_size=8))
    _, failed = do_runs(videos, dataclasses.replace(plan, jobs=(job,)), earlier)
    assert "made with other settings: batch_size is 16, requested is 8" in failed[f"{RUN}.0"]
