"""Cells, scales and plans: what is run, with which settings, and what is left out and why."""

import dataclasses

import pytest

from kinetics_i3d.core.clip_spec import ClipSpec
from kinetics_i3d.core.errors import UserError, WeightsError
from kinetics_i3d.experiments import plan as plan_module
from kinetics_i3d.experiments.paper import FROM_IMAGENET, FROM_SCRATCH, TRANSFER, paper_number
from kinetics_i3d.experiments.plan import Sources, make_plan
from kinetics_i3d.experiments.prerequisites import flow_spec
from kinetics_i3d.experiments.runs import Cell, absolute, all_cells, cell_folder, run_streams
from kinetics_i3d.experiments.scales import SCALES, config_of, with_steps
from kinetics_i3d.models.systems import paper_systems
from kinetics_i3d.training.network import streams_of
from kinetics_i3d.training.recipes import RECIPES
from kinetics_i3d.weights.checkpoint import Checkpoint, WeightsInfo


def names(cells):
    return [cell.name for cell in cells]


def test_streams_of_the_runs_are_those_of_the_systems():
    assert {name: run_streams(row) for name, row in paper_systems().items()} == {
        "ConvNetLSTM": ("rgb",),
        "C3D": ("rgb",),
        "TwoStream": ("both",),
        "TwoStreamFused": ("both",),
        "TwoStreamI3D": ("rgb", "flow", "both"),
    }


@pytest.mark.parametrize("name", paper_systems())
def test_the_paper_recipes_agree_with_the_systems(name):
    system, config = paper_systems()[name], SCALES["paper"].configs[name]
    assert config.system == name
    assert config.frames == max(system.train_frames.values())
    assert config.stride == system.stride["rgb"]
    assert config.size == config.test_size == system.size


def test_cells_come_once_for_each_seed_and_sums_after_their_parts():
    first = [
        "ConvNetLSTM.rgb.scratch.original.0",
        "C3D.rgb.scratch.original.0",
        "TwoStream.both.scratch.original.0",
        "TwoStreamFused.both.scratch.original.0",
        "TwoStreamI3D.rgb.scratch.original.0",
        "TwoStreamI3D.flow.scratch.original.0",
        "TwoStreamI3D.both.scratch.original.0",
    ]
    again = [name.replace("original.0", "original.1") for name in first]
    assert names(all_cells(seeds=range(2))) == first + again
    # An image start doubles all but C3D, which has no Inception-V1.
    cells = all_cells(inits=("scratch", "imagenet"))
    assert len(cells) == 7 + 6 and not any("C3D.rgb.imagenet" in name for name in names(cells))
    several = all_cells(pattern="C3D.*,*I3D.flow*")
    assert names(several) == [first[1], first[5]]
    given = all_cells(inits=("given",), transfers=("original", "full"), pattern="C3D*")
    assert names(given) == ["C3D.rgb.given.full.0"]
    parts = {cell.name: names(cell.parts) for cell in all_cells()}
    assert parts.pop(first[-1]) == first[4:6] and not any(parts.values())


@pytest.mark.parametrize("scale", SCALES.values(), ids=lambda scale: scale.name)
def test_another_number_of_steps_is_that_of_every_run_and_changes_nothing_else(scale):
    longer = with_steps(scale, 4321)
    assert scale.about in longer.about and "4321 steps" in longer.about
    cells = all_cells(transfers=("original", "fixed", "full"))
    for cell in [cell for cell in cells if not cell.parts]:
        weights = None if cell.transfer == "original" else "mine.h5"
        usual, other = (config_of(one, cell, weights=weights) for one in (scale, longer))
        assert other == dataclasses.replace(usual, steps=4321) != usual


@pytest.mark.parametrize("scale", SCALES.values(), ids=lambda scale: scale.name)
def test_in_a_scale_all_systems_see_as_many_clips_and_the_same_flow(scale):
    assert len({config.steps * config.batch for config in scale.configs.values()}) == 1
    assert all(config.steps for config in scale.configs.values())
    specs = set()
    for cell in all_cells(transfers=("original", "fixed", "full"), seeds=(0, 7)):
        if cell.parts:
            continue
        weights = None if cell.transfer == "original" else "mine.h5"
        config = config_of(scale, cell, weights=weights, validation="0.2")
        assert (config.seed, config.transfer, config.weights) == (
            cell.seed,
            cell.transfer,
            weights,
        )
        streams = streams_of(config)
        assert streams == (("rgb", "flow") if cell.stream == "both" else (cell.stream,))
        assert config.validation == ("0.2" if scale.name == "paper" else None)
        if "flow" in streams:
            spec = config.test_specs(("flow",), "any")["flow"]
            specs.add((spec.fps, spec.short_side))
            assert config.specs(streams)["flow"].short_side == spec.short_side
    assert len(specs) == 1


def test_the_papers_scale_is_its_recipes():
    configs = SCALES["paper"].configs
    assert configs["ConvNetLSTM"] == RECIPES["paper_conv_net_lstm"]
    assert configs["TwoStreamI3D"].system == "TwoStreamI3D"
    assert configs["TwoStreamI3D"].batch == 384 and configs["TwoStreamI3D"].steps == 110_000


def test_a_plan_says_what_is_left_out(mini):
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
    inflated = {job.cell.init: job.config.inflate for job in plan.jobs if job.config}
    assert inflated == {"scratch": None, **images}
    with pytest.raises(UserError, match="no cell that can be run fits 'I3D"):
        make_plan(mini, pattern="I3D.*")


def write_weights(folder, name):
    path = cell_folder(folder, Cell(*name.split(".")[:-1], int(name[-1]))) / "weights.h5"
    path.parent.mkdir(parents=True)
    path.touch()
    return str(path)


def test_fixed_and_full_start_from_earlier_tables(mini, tmp_path):
    rgb = [write_weights(tmp_path, f"TwoStreamI3D.rgb.scratch.original.{seed}") for seed in (0, 1)]
    flow = write_weights(tmp_path, "TwoStreamI3D.flow.scratch.original.0")
    sources = Sources([tmp_path])
    plan = make_plan(mini, seeds=3, sources=sources, pattern="*.full.*")
    found = {job.cell.name: job.config and job.config.weights for job in plan.jobs}
    assert found == {
        "TwoStreamI3D.rgb.scratch.full.0": rgb[0],
        "TwoStreamI3D.rgb.scratch.full.1": rgb[1],
        "TwoStreamI3D.rgb.scratch.full.2": rgb[0],  # one training does for further seeds
        **{f"TwoStreamI3D.flow.scratch.full.{seed}": flow for seed in range(3)},
        **{f"TwoStreamI3D.both.scratch.full.{seed}": None for seed in range(3)},
    }
    assert plan.left_out["C3D.rgb.scratch.full"].startswith("the source has no weights of this")
    # A stream is missing: no sum either.
    write_weights(tmp_path / "other", "TwoStreamI3D.rgb.scratch.original.0")
    plan = make_plan(mini, seeds=1, sources=Sources([tmp_path / "other"]), pattern="*I3D*full*")
    assert names(job.cell for job in plan.jobs) == ["TwoStreamI3D.rgb.scratch.full.0"]


def test_weights_that_are_named_one_by_one(mini, monkeypatch):
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
    assert {job.cell.name: job.config and job.config.weights for job in plan.jobs} == {
        "TwoStreamI3D.rgb.scratch.fixed.0": "rgb_kinetics400",
        "TwoStreamI3D.flow.scratch.fixed.0": "flow_kinetics400",
        "TwoStreamI3D.both.scratch.fixed.0": None,
        "ConvNetLSTM.rgb.given.fixed.0": absolute("lstm.h5"),
        "TwoStreamI3D.rgb.given.fixed.0": absolute("mine.h5"),
        # No weights of flow are given: those of frames are adapted.
        "TwoStreamI3D.flow.given.fixed.0": absolute("mine.h5"),
        "TwoStreamI3D.both.given.fixed.0": None,
    }
    with pytest.raises(WeightsError, match=r"images\.h5: of images; .* for --imagenet"):
        Sources(["images.h5"])
    infos["more.h5"] = infos["mine.h5"]
    with pytest.raises(WeightsError, match=r"more\.h5 and .*mine\.h5: both are weights of"):
        Sources(["mine.h5", "more.h5"])


def test_the_papers_tables_agree_with_one_another():
    seen = 0
    for kind, table in TRANSFER.items():
        for system, starts in table.items():
            for init, (original, _, _) in starts.items():
                one = {"imagenet": FROM_IMAGENET, "scratch": FROM_SCRATCH}[init]
                row = one[kind].get(system)
                if row is not None:
                    assert row[0 if row[2] is None else 2] == original
                    seen += 1
    assert seen == 10
    for group, kind, wanted in (
        (("TwoStreamI3D", "flow", "imagenet", "original"), "ucf101", 90.6),
        (("TwoStreamI3D", "both", "scratch", "original"), "hmdb51", 62.2),
        (("TwoStreamI3D", "both", "scratch", "full"), "hmdb51", 81.3),
        (("TwoStreamI3D", "rgb", "scratch", "full"), "hmdb51", None),
        (("TwoStreamI3D", "rgb", "scratch", "original"), "kinetics", 68.4),
        (("ConvNetLSTM", "rgb", "scratch", "fixed"), "ucf101", 82.6),
        (("C3D", "rgb", "scratch", "original"), "kinetics", 56.1),
        (("C3D", "rgb", "scratch", "full"), "kinetics", None),
        (("TwoStream", "both", "frames", "original"), "ucf101", None),
        (("TwoStream", "both", "imagenet", "original"), "jhmdb", None),
        (("TwoStream", "both", "imagenet", "original"), None, None),
    ):
        assert paper_number(kind, group) == wanted, group


def test_flow_is_that_of_the_cells_that_read_it(mini):
    assert flow_spec(make_plan(mini, pattern="*.rgb.*")) is None
    spec = flow_spec(make_plan(mini, pattern="TwoStream.*"))
    assert (spec.stream, spec.fps, spec.short_side) == ("flow", 12.5, 72)
