"""What runs need before they start. The trainings are in test_end_to_end."""

from kinetics_i3d.experiments.plan import make_plan
from kinetics_i3d.experiments.prerequisites import flow_spec


def test_flow_spec_is_that_of_the_runs_that_read_flow(mini):
    assert flow_spec(make_plan(mini, pattern="*.rgb.*")) is None
    spec = flow_spec(make_plan(mini, pattern="TwoStream.*"))
    assert (spec.stream, spec.fps, spec.short_side) == ("flow", 12.5, 72)
