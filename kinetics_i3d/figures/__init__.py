"""Figures: a small, deterministic dataset of videos of one person performing one of 12 actions.

Two pairs of actions, sit_down / stand_up and walk / walk_backwards, have the same frames in the
opposite order: only motion tells them apart.
"""

from kinetics_i3d.figures.actions import ACTIONS
from kinetics_i3d.figures.generate import world_seed, write_figures
from kinetics_i3d.figures.render import render_figure

__all__ = ["ACTIONS", "render_figure", "world_seed", "write_figures"]
