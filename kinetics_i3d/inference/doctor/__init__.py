"""The doctor: what in a video, or in an array made of one, spoils predictions."""

from kinetics_i3d.inference.doctor.examine import examine

__all__ = ["examine"]
