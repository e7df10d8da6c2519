"""`draw_training_curves`: one run or several, with and without validation."""

import pytest

import kinetics_i3d as ki3d
from kinetics_i3d.training.outputs import write_history


def run(folder, *, validation=False, name="accuracy"):
    folder.mkdir()
    rows = []
    for epoch in (1, 2, 3):
        row = {"epoch": epoch, "step": 5 * epoch, "loss": 2 / epoch, name: epoch / 4}
        row["learning_rate"] = 0.1**epoch if epoch < 3 else 0
        if validation:
            row |= {"val_loss": 3 / epoch, f"val_{name}": epoch / 5}
        rows.append({key: value for key, value in row.items() if key != "map"})
    write_history(folder / "history.csv", rows)
    return folder


def lines(tmp_path, monkeypatch, runs):
    """{title: [(label, style, xs, ys)]} of what was drawn."""
    from matplotlib.axes import Axes

    drawn = []
    plot = Axes.plot

    def record(self, xs, ys, **style):
        drawn.append((self, style["linestyle"], list(xs), list(ys)))
        return plot(self, xs, ys, **style)

    monkeypatch.setattr(Axes, "plot", record)
    ki3d.draw_training_curves(tmp_path / "curves.png", runs)
    assert (tmp_path / "curves.png").stat().st_size > 5000
    panels = {}
    for axes, *line in drawn:
        panels.setdefault(axes.get_title(loc="left"), []).append(tuple(line))
    return panels


def test_curves_are_the_columns_of_the_history(tmp_path, monkeypatch):
    panels = lines(tmp_path, monkeypatch, run(tmp_path / "a", validation=True))
    epochs = [1, 2, 3]
    assert panels["loss"] == [("--", epochs, [2, 1, 2 / 3]), ("-", epochs, [3, 1.5, 1])]
    assert panels["accuracy"] == [
        ("--", epochs, [0.25, 0.5, 0.75]),
        ("-", epochs, [0.2, 0.4, 0.6]),
    ]
    assert panels["learning rate"][0][2] == pytest.approx([0.1, 0.01])


def test_runs_are_compared_and_multi_label_runs_show_their_precision(tmp_path, monkeypatch):
    runs = [run(tmp_path / "a"), run(tmp_path / "b", validation=True, name="map")]
    panels = lines(tmp_path, monkeypatch, runs)
    assert len(panels["loss"]) == 3 and len(panels["learning rate"]) == 2
    assert panels["mean average precision"] == [("-", [1, 2, 3], [0.2, 0.4, 0.6])]


def test_what_is_no_run_is_named(tmp_path):
    with pytest.raises(ki3d.UserError, match=r"no history\.csv"):
        ki3d.draw_training_curves(tmp_path / "a.png", tmp_path)
    write_history(tmp_path / "history.csv", [])
    with pytest.raises(ki3d.UserError, match="no epoch is complete"):
        ki3d.draw_training_curves(tmp_path / "a.png", tmp_path)
    for runs in ([], ["a"] * 8):
        with pytest.raises(ValueError, match="`runs` must be 1 to 7 folders"):
            ki3d.draw_training_curves(tmp_path / "a.png", runs)
