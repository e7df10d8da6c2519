"""Archives like TF-Slim's, of the real shapes and of values of no meaning."""

import tarfile

import numpy as np

TAR = "inception_v1_2016_08_28.tar.gz"


def slim_archive(folder, *, change=None, damage=None):
    """Writes the archive of a version 1 checkpoint, which is one file.

    Args:
        folder: Where to.
        change: A function that changes {name: array} before it is written.
        damage: A function from the checkpoint's bytes to what is packed.

    Returns:
        The archive's path.
    """
    import tensorflow as tf

    from kinetics_i3d.weights.imagenet_slim import slim_shapes
    from kinetics_i3d.weights.layouts import LAYOUTS

    shapes, layout, arrays = slim_shapes(), LAYOUTS["slim"], {}
    for name, ours in layout.names().items():
        if not ours.endswith("/gamma"):
            name = name if "Logits" in name else layout.prefixes[0] + name
            arrays[name] = np.full(shapes[ours], 0.5, np.float32)
    if change is not None:
        change(arrays)
    path = folder / "inception_v1.ckpt"
    tf.raw_ops.Save(filename=str(path), tensor_names=[*arrays], data=[*arrays.values()])
    if damage is not None:
        path.write_bytes(damage(path.read_bytes()))
    with tarfile.open(folder / TAR, "w:gz", compresslevel=1) as file:
        file.add(path, path.name)
    path.unlink()
    return folder / TAR
