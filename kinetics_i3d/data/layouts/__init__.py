"""Readers of the layouts in which datasets of videos are found; `recognise` tells them apart."""

from kinetics_i3d.data.layouts.recognise import KINDS, LAYOUTS, recognise

__all__ = ["KINDS", "LAYOUTS", "recognise"]
