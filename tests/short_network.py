"""An Inception-V1 for tests of what is around networks: it is traced in a third of the time."""

import dataclasses

KEPT = ("Mixed_3c", "Mixed_4f", "Mixed_5c")  # of nine modules


def register():
    """Puts the row among `ARCHITECTURES`, so that files may name it; returns its name."""
    from kinetics_i3d.models.architecture import Mixed
    from kinetics_i3d.models.inception_i3d import ARCHITECTURES

    row = ARCHITECTURES["inception_v1_quarter"]
    trunk = tuple(one for one in row.trunk if not isinstance(one, Mixed) or one.name in KEPT)
    short = dataclasses.replace(row, name="inception_v1_short", trunk=trunk)
    ARCHITECTURES[short.name] = short
    return short.name
