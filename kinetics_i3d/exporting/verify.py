"""The parity check: an artifact must reproduce its Keras model before it gets its final name.

Both read the same clips. The artifact reads them as pixels, in a process without this package.
"""

import dataclasses
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

from kinetics_i3d.core.errors import ExportError
from kinetics_i3d.core.files import check_free
from kinetics_i3d.core.labels import ACTIVATIONS
from kinetics_i3d.core.progress import waiting
from kinetics_i3d.exporting import isolated_runner
from kinetics_i3d.exporting.model_card import class_names
from kinetics_i3d.models.clip_model import fixed_size

TOLERANCE = 1e-4  # relative to the largest value; allows only for a different order of sums


def check_output(model, output, suffix=""):
    """Checks the output path and the class names before the export, which takes minutes.

    Raises:
        ExportError: If the name does not end in `suffix`, or the classes have no names.
        UserError: If `output` exists: an artifact in use is never replaced.
    """
    output = pathlib.Path(output)
    check_free(output)
    if suffix and output.suffix != suffix:
        raise ExportError(f"{output}: the name must end in {suffix}")
    if suffix and output.is_dir():
        raise ExportError(f"{output}: is a folder; the artifact is a file")
    class_names(model)
    return output


@dataclasses.dataclass(frozen=True)
class ParityInputs:
    """The same clips for an artifact and for its Keras model.

    Args:
        pixels: {stream: uint8 array (batch, frames, height, width, channels)} of frames that the
            spec's resize does not change, so that NumPy can prepare them.
        clips: {stream: float32 array (batch, frames, size, size, channels)} of their crops.
    """

    pixels: dict
    clips: dict

    @classmethod
    def noise(cls, model, *, seed=0):
        """Clips of noise with the minimum number of frames that a model reads."""
        random, pixels, clips = np.random.default_rng(seed), {}, {}
        for stream, spec in model.clip_specs.items():
            frames = fixed_size(model, stream)[0] or model.minimums[stream][0]
            height, width = spec.resized(spec.short_side, spec.short_side + 14)
            shape = (1, frames, height, width, spec.channels)
            pixels[stream] = random.integers(0, 256, shape, np.uint8)
            top, left = (height - spec.size) // 2, (width - spec.size) // 2
            crop = pixels[stream][:, :, top : top + spec.size, left : left + spec.size]
            clips[stream] = spec.normalize(crop)
        return cls(pixels, clips)

    @classmethod
    def from_clips(cls, model, clips):
        """Clips in the range of the specs, rounded to pixels, without borders around the crop."""
        specs = model.clip_specs
        pixels = {stream: specs[stream].denormalize(clip) for stream, clip in clips.items()}
        rounded = {stream: specs[stream].normalize(crop) for stream, crop in pixels.items()}
        return cls(pixels, rounded)

    def doubled(self, model):
        """Two clips instead of one, twice as long if the model allows it, and slightly wider."""
        pixels, clips = {}, {}
        for stream, spec in model.clip_specs.items():
            times = 1 if fixed_size(model, stream)[0] else 2
            frames = self.pixels[stream]
            wider = (frames.shape[2], frames.shape[3] + 4)
            # Two columns on either side change neither the resize nor the crop.
            columns = (2, 2) if spec.resized(*wider) == wider else (0, 0)
            frames = np.pad(frames, ((0, 0), (0, 0), (0, 0), columns, (0, 0)))
            pixels[stream] = np.tile(frames, (2, times, 1, 1, 1))
            clips[stream] = np.tile(self.clips[stream], (2, times, 1, 1, 1))
        return ParityInputs(pixels, clips)

    def run_model(self, model):
        """The outputs of a Keras model for these clips, an array or {name: array}."""
        from keras import device, ops, tree

        clips = self.clips if len(self.clips) > 1 else next(iter(self.clips.values()))
        with device("cpu:0"):  # as the artifact; GPUs round more
            return tree.map_structure(ops.convert_to_numpy, model(clips, training=False))


def run_in_subprocess(artifact, inputs, *, runtime, output):
    """Runs an artifact in a process that cannot import this package.

    Args:
        artifact: Path of the file or folder.
        inputs: {"call/stream": array}.
        runtime: A key of `isolated_runner.RUNTIMES`.
        output: The artifact's final path, for the error.

    Returns:
        {"call/output": array}.

    Raises:
        ExportError: If it fails, with the last line of its stderr.
    """
    with tempfile.TemporaryDirectory() as folder:
        files = [os.path.join(folder, name) for name in ("inputs.npz", "outputs.npz")]
        np.savez(files[0], **inputs)
        with waiting(f"checking {output}"):
            # -P: the folder of the runner has modules with the names of runtimes, such as
            # `tensorflow`.
            process = subprocess.run(
                [sys.executable, "-P", isolated_runner.__file__, runtime, str(artifact), *files],
                # This process may have reserved the memory of the GPU.
                env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"},
                capture_output=True,
                text=True,
                check=False,
            )
        if process.returncode < 0:
            raise ExportError(
                f"{output}: not written; the process that checks it was killed by signal "
                f"{-process.returncode}, perhaps because memory ran out"
            )
        if process.returncode != 0:
            reason = (process.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise ExportError(
                f"{output}: not written; it does not run without this package ({reason})"
            )
        with np.load(files[1]) as arrays:
            return dict(arrays)


def check_parity(actual, expected, *, what, path, tolerance=TOLERANCE):
    """Compares an array of an artifact with that of its Keras model.

    Args:
        actual: An array, (batch, classes) if it is logits.
        expected: The same array of the Keras model.
        what: The array's name, for the error.
        path: The artifact's path, for the error.
        tolerance: Largest difference, relative to the largest value.

    Returns:
        The largest difference, relative to the largest value.

    Raises:
        ExportError: If they differ by more than `tolerance`, in shape or, for logits, in the best
            class.
    """
    if actual.shape != expected.shape:
        raise ExportError(
            f"{path}: not written; its {what} would have the shape {actual.shape}, not "
            f"{expected.shape}"
        )
    error = float(np.abs(actual - expected).max() / max(np.abs(expected).max(), 1e-12))
    if not error <= tolerance:
        raise ExportError(
            f"{path}: not written; its {what} differ by {error:.2g} of the largest value, "
            f"where {tolerance:g} is allowed"
        )
    if what == "logits" and (actual.argmax(-1) != expected.argmax(-1)).any():
        raise ExportError(f"{path}: not written; its top class differs from the Keras model's")
    return error


def verify_any_size(model, path, *, runtime, output):
    """Compares an artifact of any input size with its model, on one clip and on two larger ones.

    Raises:
        ExportError: If it cannot be run, or its outputs differ.
    """
    clip = ParityInputs.noise(model)
    larger = clip.doubled(model)
    frames = {f"one/{stream}": pixels for stream, pixels in clip.pixels.items()}
    frames |= {f"two/{stream}": pixels for stream, pixels in larger.pixels.items()}
    actual = run_in_subprocess(path, frames, runtime=runtime, output=output)
    logits = clip.run_model(model)
    check_parity(actual["two/logits"], larger.run_model(model), what="logits", path=output)
    probabilities = ACTIVATIONS[model.activation](logits)
    check_parity(actual["one/probabilities"], probabilities, what="probabilities", path=output)
    check_parity(actual["one/logits"], logits, what="logits", path=output)
