"""Figures: independent of the user's settings, and whole or not there."""

import matplotlib
import pytest

from kinetics_i3d.core.figure import new_figure


def test_figures_do_not_depend_on_or_change_user_settings(tmp_path):
    def draw(name):
        with new_figure(tmp_path / name, width=2, height=1) as figure:
            figure.subplots().plot((0, 1), (0, 1))
        return (tmp_path / name).read_bytes()

    with matplotlib.rc_context({"lines.linewidth": 9, "font.size": 30}):
        changed = draw("a.png")
        assert matplotlib.rcParams["lines.linewidth"] == 9
    assert changed == draw("b.png")


def test_failed_figures_leave_no_file(tmp_path):
    with pytest.raises(ZeroDivisionError), new_figure(tmp_path / "a.png", width=2, height=1):
        1 / 0  # noqa: B018
    assert list(tmp_path.iterdir()) == []
