"""`kinetics-i3d systems`: the table of what is built, as text and as JSON."""

import dataclasses
import json

import pytest

from kinetics_i3d.models import systems
from kinetics_i3d.models.systems import SYSTEMS


@pytest.fixture
def small(monkeypatch):
    """Two of the rows, whose builders make small networks."""

    def narrow(builder, row):
        def build(**options):
            shapes = options["input_shape"]
            if isinstance(shapes, dict):
                shapes = {key: (shape[0], 32, 32, shape[3]) for key, shape in shapes.items()}
            return builder(architecture=row, input_shape=shapes)

        return build

    rows = {
        name: dataclasses.replace(SYSTEMS[name], builder=narrow(SYSTEMS[name].builder, row))
        for name, row in (("C3D", "c3d_eighth"), ("TwoStream", "inception_v1_quarter"))
    }
    monkeypatch.setattr(systems, "SYSTEMS", rows)
    return rows


@pytest.mark.slow
def test_json_has_counts_of_the_models_that_are_built(command, small):
    code, out, err = command("systems", "--json")
    found = json.loads(out)
    assert (code, err) == (0, "")
    assert [each["name"] for each in found] == list(small)
    for each, row in zip(found, small.values(), strict=True):
        model = row.build()
        assert each["parameters"] == model.count_params() != 0
        assert each["train"] == {
            "frames": row.train_frames,
            "stride": row.stride,
            "seconds": row.train_seconds,
        }
        assert each["test"] == {"frames": row.test_frames, "seconds": row.test_seconds}
        assert each["paper_million_parameters"] == row.million_parameters
    streams = found[1]["parameters_by_stream"]
    assert list(streams) == ["rgb", "flow"] and sum(streams.values()) == found[1]["parameters"]
    assert found[0]["parameters_by_stream"] == {}


@pytest.mark.slow
def test_text_is_a_row_for_each(command, small):
    code, out, err = command("systems")
    head, *lines = out.splitlines()
    assert (code, err, len(lines)) == (0, "", 2)
    columns = [head.index(word) for word in ("parameters", "paper", "training", "multiply", "loss")]
    count = small["C3D"].build().count_params()
    first = [lines[0][at:].split("  ")[0] for at in columns]
    assert first[:3] == [f"{count / 1e6:.2f} M", "79 M", "16 rgb, 112 px"]
    assert first[3].endswith(" G") and first[4] == "last"
    assert lines[1].startswith("(c) TwoStream ") and "1 rgb + 10 flow, 224 px" in lines[1]


@pytest.mark.slow
def test_the_table_is_the_papers(command):
    code, out, err = command("systems")
    cells = [line.split("  ") for line in out.splitlines()[1:]]
    rows = [[cell.strip() for cell in line if cell.strip()] for line in cells]
    assert (code, err) == (0, "")
    assert [row[:6] for row in rows] == [
        ["(a) ConvNetLSTM", "8.96 M", "9 M", "25 rgb, 224 px", "5", "37.51 G"],
        ["(b) C3D", "79.66 M", "79 M", "16 rgb, 112 px", "0.64", "19.82 G"],
        ["(c) TwoStream", "12.09 M", "12 M", "1 rgb + 10 flow, 224 px", "0.4", "3.66 G"],
        ["(d) TwoStreamFused", "39.79 M", "39 M", "5 rgb + 50 flow, 224 px", "2", "25.25 G"],
        ["(e) TwoStreamI3D", "25.39 M", "25 M", "64 rgb + 64 flow, 224 px", "2.56", "213.49 G"],
    ]
