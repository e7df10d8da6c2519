"""Plans: settings and source weights of each run, and what is left out and why."""

import dataclasses

import pytest

from kinetics_i3d.core.clip_spec import ClipSpec
from kinetics_i3d.core.errors import UserError, WeightsError
from kinetics_i3d.experiments import plan as plan_module
from kinetics_i3d.experiments.plan import Sources, make_plan, plan_tables
from kinetics_i3d.experiments.runs import Run, absolute_weights, run_folder
from kinetics_i3d.experiments.scales import SCALES
from kinetics_i3d.weights.checkpoint import Checkpoint, WeightsInfo


def test_plan_lists_what_is_left_out(mini):
    plan = make_plan(mini, seeds=1)
    assert len(plan.jobs) == 7 and plan.jobs[-1].config is None
    assert plan.jobs[5].config.streams == ("flow",)
    assert list(plan.left_out) == [
        "ImageNet first",
        "fixed and full",
        "RGB and Flow of Two-Stream and 3D-Fused",
    ]
    images = {"frames": "frames.h5", "imagenet": "net.h5"}
    plan = make_plan(mini, seeds=1, images=images)
    assert "ImageNet first" not in plan.left_out
    inflated = {job.run.init: job.config.inflate for job in plan.jobs if job.config}
    assert inflated == {"scratch": None, **images}
    with pytest.raises(UserError, match="no possible run matches 'I3D"):
        make_plan(mini, pattern="I3D.*")


def test_videos_with_several_labels_are_refused(videos, mini, tmp_path):
    first, *others = videos.videos
    several = dataclasses.replace(first, labels=(first.label,))
    dataset = dataclasses.replace(videos, videos=(several, *others))
    with pytest.raises(UserError, match="its videos may have several labels"):
        plan_tables(dataset, tmp_path, mini)


def test_the_split_to_test_on_is_not_validated_on(videos, mini, tmp_path):
    rows = [dataclasses.replace(v, split=v.split.replace("test", "val")) for v in videos.videos]
    dataset = dataclasses.replace(videos, videos=(*rows, *videos.split("test").videos))
    for split, validation in (("test", "val"), ("val", "0.1")):
        plan = plan_tables(dataset, tmp_path, SCALES["paper"], split=split)
        assert {job.config.validation for job in plan.jobs if job.config} == {validation}


def write_weights(folder, name):
    path = run_folder(folder, Run(*name.split(".")[:-1], int(name[-1]))) / "weights.h5"
    path.parent.mkdir(parents=True)
    path.touch()
    return str(path)


def test_fixed_and_full_start_from_earlier_tables(mini, tmp_path):
    rgb = [write_weights(tmp_path, f"TwoStreamI3D.rgb.scratch.original.{seed}") for seed in (0, 1)]
    flow = write_weights(tmp_path, "TwoStreamI3D.flow.scratch.original.0")
    sources = Sources([tmp_path])
    plan = make_plan(mini, seeds=3, sources=sources, pattern="*.full.*")
    weights = {job.run.name: job.config and job.config.weights for job in plan.jobs}
    assert weights == {
        "TwoStreamI3D.rgb.scratch.full.0": rgb[0],
        "TwoStreamI3D.rgb.scratch.full.1": rgb[1],
        "TwoStreamI3D.rgb.scratch.full.2": rgb[0],  # one training serves further seeds
        **{f"TwoStreamI3D.flow.scratch.full.{seed}": flow for seed in range(3)},
        **{f"TwoStreamI3D.both.scratch.full.{seed}": None for seed in range(3)},
    }
    assert plan.left_out["C3D.rgb.scratch.full"].startswith("the source has no weights of this")
    # Without one of the streams there is no sum either.
    write_weights(tmp_path / "other", "TwoStreamI3D.rgb.scratch.original.0")
    plan = make_plan(mini, seeds=1, sources=Sources([tmp_path / "other"]), pattern="*I3D*full*")
    assert [job.run.name for job in plan.jobs] == ["TwoStreamI3D.rgb.scratch.full.0"]


def test_sources_named_one_by_one(mini, monkeypatch):
    infos = {
        "mine.h5": WeightsInfo("inception_v1", 3, ClipSpec("a")),
        "flow_kinetics400": WeightsInfo("inception_v1", 3, ClipSpec("a", stream="flow")),
        "rgb_kinetics400": WeightsInfo("inception_v1", 3, ClipSpec("a")),
        "lstm.h5": WeightsInfo("inception_v1", 3, ClipSpec("a"), system="ConvNetLSTM"),
        "images.h5": WeightsInfo("inception_v1", 2, ClipSpec("a")),
    }
    monkeypatch.setattr(plan_module, "read_weights", lambda name: Checkpoint(infos[name], {}))
    sources = Sources(["mine.h5", "lstm.h5", "kinetics400"])
    assert sources.inits == ("scratch", "given")
    plan = make_plan(mini, seeds=1, sources=sources, pattern="*.fixed.*")
    assert {job.run.name: job.config and job.config.weights for job in plan.jobs} == {
        "TwoStreamI3D.rgb.scratch.fixed.0": "rgb_kinetics400",
        "TwoStreamI3D.flow.scratch.fixed.0": "flow_kinetics400",
        "TwoStreamI3D.both.scratch.fixed.0": None,
        "ConvNetLSTM.rgb.given.fixed.0": absolute_weights("lstm.h5"),
        "TwoStreamI3D.rgb.given.fixed.0": absolute_weights("mine.h5"),
        # Without flow weights, the rgb weights are adapted.
        "TwoStreamI3D.flow.given.fixed.0": absolute_weights("mine.h5"),
        "TwoStreamI3D.both.given.fixed.0": None,
    }
    with pytest.raises(WeightsError, match=r"images\.h5: image weights; .*--imagenet takes"):
        Sources(["images.h5"])
    infos["more.h5"] = infos["mine.h5"]
    with pytest.raises(WeightsError, match=r"more\.h5 and .*mine\.h5: both are weights of"):
        Sources(["mine.h5", "more.h5"])
