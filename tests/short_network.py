"""Small Inception-V1s for tests of the code around networks, traced in a third of the time."""

import dataclasses

LABELS = ("sit", "stand", "wave")
KEPT = ("Mixed_3c", "Mixed_4f", "Mixed_5c")  # of nine modules


def shortened(row):
    """An `Architecture` with a third of another's modules, called as that with `_short`."""
    from kinetics_i3d.models.architecture import Mixed

    backbone = tuple(one for one in row.backbone if not isinstance(one, Mixed) or one.name in KEPT)
    return dataclasses.replace(row, name=f"{row.name}_short", backbone=backbone)


def register():
    """Puts one, a quarter wide, among `ARCHITECTURES`, so that files may name it.

    Returns:
        Its name.
    """
    from kinetics_i3d.models.inception_i3d import ARCHITECTURES

    short = shortened(ARCHITECTURES["inception_v1_quarter"])
    ARCHITECTURES[short.name] = short
    return short.name


def tiny_spec():
    """The `ClipSpec` of `tiny_model`, of a range that is not the default."""
    from kinetics_i3d.core.clip_spec import ClipSpec

    return ClipSpec("tiny", fps=10, short_side=36, size=32, low=-0.5, high=2.0)


def tiny_model():
    """A short I3D of three classes whose batch norms have statistics as after training."""
    import keras

    import kinetics_i3d as ki3d

    keras.utils.set_random_seed(0)
    model = ki3d.InceptionI3D(architecture=register(), classes=len(LABELS))
    random = keras.random.SeedGenerator(1)
    for variable in model.non_trainable_variables:
        if "moving" in variable.path:
            low = 0.5 if "variance" in variable.path else -0.3
            variable.assign(keras.random.uniform(variable.shape, low, low + 0.6, seed=random))
    model.labels, model.clip_spec = LABELS, tiny_spec()
    return model
