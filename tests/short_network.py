"""Inception-V1s for tests of what is around networks: they are traced in a third of the time."""

import dataclasses

KEPT = ("Mixed_3c", "Mixed_4f", "Mixed_5c")  # of nine modules


def shortened(row):
    """An `Architecture` with a third of another's modules, called as that with `_short`."""
    from kinetics_i3d.models.architecture import Mixed

    trunk = tuple(one for one in row.trunk if not isinstance(one, Mixed) or one.name in KEPT)
    return dataclasses.replace(row, name=f"{row.name}_short", trunk=trunk)


def register():
    """Puts one, a quarter wide, among `ARCHITECTURES`, so that files may name it.

    Returns:
        Its name.
    """
    from kinetics_i3d.models.inception_i3d import ARCHITECTURES

    short = shortened(ARCHITECTURES["inception_v1_quarter"])
    ARCHITECTURES[short.name] = short
    return short.name
