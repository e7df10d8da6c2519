"""Scales: equal numbers of clips, one flow for all systems, and the paper's recipes."""

import dataclasses

import pytest

from kinetics_i3d.experiments.runs import all_runs
from kinetics_i3d.experiments.scales import SCALES, config_of, with_steps
from kinetics_i3d.models.systems import paper_systems
from kinetics_i3d.training.network import streams_of
from kinetics_i3d.training.recipes import RECIPES


@pytest.mark.parametrize("scale", SCALES.values(), ids=lambda scale: scale.name)
def test_with_steps_changes_the_steps_of_every_run_only(scale):
    longer = with_steps(scale, 4321)
    assert scale.about in longer.about and "4321 steps" in longer.about
    runs = all_runs(transfers=("original", "fixed", "full"))
    for run in [run for run in runs if not run.summed_runs]:
        weights = None if run.transfer == "original" else "mine.h5"
        usual, other = (config_of(s, run, weights=weights) for s in (scale, longer))
        assert other == dataclasses.replace(usual, steps=4321) != usual


@pytest.mark.parametrize("scale", SCALES.values(), ids=lambda scale: scale.name)
def test_systems_of_a_scale_see_equally_many_clips_and_the_same_flow(scale):
    assert len({config.steps * config.batch_size for config in scale.configs.values()}) == 1
    assert all(config.steps for config in scale.configs.values())
    specs = set()
    for run in all_runs(transfers=("original", "fixed", "full"), seeds=(0, 7)):
        if run.summed_runs:
            continue
        weights = None if run.transfer == "original" else "mine.h5"
        config = config_of(scale, run, weights=weights, validation="0.2")
        assert (config.seed, config.transfer, config.weights) == (
            run.seed,
            run.transfer,
            weights,
        )
        streams = streams_of(config)
        assert streams == (("rgb", "flow") if run.stream == "both" else (run.stream,))
        assert config.validation == ("0.2" if scale.name == "paper" else None)
        if "flow" in streams:
            spec = config.test_specs(("flow",), "any")["flow"]
            specs.add((spec.fps, spec.short_side))
            assert config.specs(streams)["flow"].short_side == spec.short_side
    assert len(specs) == 1


def test_scale_paper_uses_the_papers_recipes():
    configs = SCALES["paper"].configs
    assert configs["ConvNetLSTM"] == RECIPES["paper_conv_net_lstm"]
    assert configs["TwoStreamI3D"].batch_size == 384 and configs["TwoStreamI3D"].steps == 110_000


@pytest.mark.parametrize("name", paper_systems())
def test_the_paper_recipes_agree_with_the_systems(name):
    system, config = paper_systems()[name], SCALES["paper"].configs[name]
    assert config.system == name
    assert config.frames == max(system.train_frames.values())
    assert config.stride == system.stride["rgb"]
    assert config.size == config.test_size == system.size
