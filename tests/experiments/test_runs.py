"""The runs of the tables: names, order, sums and patterns."""

from kinetics_i3d.experiments.runs import all_runs, run_streams
from kinetics_i3d.models.systems import paper_systems


def names(runs):
    return [run.name for run in runs]


def test_streams_of_the_runs_are_those_of_the_systems():
    assert {name: run_streams(row) for name, row in paper_systems().items()} == {
        "ConvNetLSTM": ("rgb",),
        "C3D": ("rgb",),
        "TwoStream": ("both",),
        "TwoStreamFused": ("both",),
        "TwoStreamI3D": ("rgb", "flow", "both"),
    }


def test_runs_are_ordered_by_seed_with_sums_after_what_they_add():
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
    assert names(all_runs(seeds=range(2))) == first + again
    # Image weights double all but C3D, which has no Inception-V1.
    runs = all_runs(inits=("scratch", "imagenet"))
    assert len(runs) == 7 + 6 and not any("C3D.rgb.imagenet" in name for name in names(runs))
    several = all_runs(pattern="C3D.*,*I3D.flow*")
    assert names(several) == [first[1], first[5]]
    named = all_runs(inits=("given",), transfers=("original", "full"), pattern="C3D*")
    assert names(named) == ["C3D.rgb.given.full.0"]
    sums = {run.name: names(run.summed_runs) for run in all_runs()}
    assert sums.pop(first[-1]) == first[4:6] and not any(sums.values())
