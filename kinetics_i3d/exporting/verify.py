"""`Probe`: what an artifact and its Keras model are both shown, and how far they may differ.

The pictures are noise of just the size that the spec resizes to, so that the model's clips can be
made of them in NumPy, by a crop and a scale.
"""

import dataclasses

import numpy as np

from kinetics_i3d.core.errors import ExportError
from kinetics_i3d.exporting.graph_preprocessing import fixed_shape

TOLERANCE = 1e-4  # of the largest value: sums in another order, nothing else


@dataclasses.dataclass(frozen=True)
class Probe:
    """Inputs of a model.

    Args:
        pixels: {stream: uint8 array (1, frames, height, width, channels)}, sized as the spec says.
        clips: {stream: float32 array (1, frames, size, size, channels)} that belongs to it.
    """

    pixels: dict
    clips: dict

    @classmethod
    def of(cls, model, *, seed=0):
        """Noise that a model can read, of about the fewest frames.

        Args:
            model: A `ClipModel`.
            seed: Of the noise.

        Returns:
            A `Probe`.
        """
        random, pixels, clips = np.random.default_rng(seed), {}, {}
        for stream, spec in model.clip_specs.items():
            frames = fixed_shape(model, stream)[0] or model.minimums[stream][0]
            height, width = spec.resized(spec.short_side, spec.short_side + 14)
            shape = (1, frames, height, width, spec.channels)
            pixels[stream] = random.integers(0, 256, shape, np.uint8)
            top, left = (height - spec.size) // 2, (width - spec.size) // 2
            crop = pixels[stream][:, :, top : top + spec.size, left : left + spec.size]
            clips[stream] = spec.normalize(crop)
        return cls(pixels, clips)

    def ask(self, model):
        """What a Keras model answers, an array or {name: array}."""
        from keras import ops, tree

        clips = self.clips if len(self.clips) > 1 else next(iter(self.clips.values()))
        return tree.map_structure(ops.convert_to_numpy, model(clips, training=False))


def compare(found, wanted, *, what, path, tolerance=TOLERANCE):
    """Raises `ExportError` where an artifact's numbers are not those of the Keras model.

    Args:
        found: An array, (batch, classes) if it is logits.
        wanted: That of the Keras model.
        what: What they are, for the error.
        path: The artifact, for the error.
        tolerance: Of the largest value.

    Returns:
        The largest difference, of the largest value.

    Raises:
        ExportError: If they differ by more, in shape, or, being logits, in the best class.
    """
    if found.shape != wanted.shape:
        raise ExportError(
            f"{path}: not written; its {what} would be of shape {found.shape}, not {wanted.shape}"
        )
    off = float(np.abs(found - wanted).max() / max(np.abs(wanted).max(), 1e-12))
    if not off <= tolerance:
        raise ExportError(
            f"{path}: not written; its {what} would be off by {off:.2g} of the largest value, "
            f"where {tolerance:g} is allowed"
        )
    if what == "logits" and (found.argmax(-1) != wanted.argmax(-1)).any():
        raise ExportError(f"{path}: not written; another class would come first")
    return off
