"""Runs a LiteRT file in an interpreter that cannot import this package.

A program of its own: `python -P fresh_litert.py FILE INPUTS.npz OUTPUTS.npz`, where arrays are
called `signature/stream` and `signature/output`. It imports LiteRT and NumPy alone, and TensorFlow
for its copy of LiteRT where that is not installed.
"""

import sys
import warnings


class Network:
    """A LiteRT file's network, which refuses clips of other sizes in words.

    The interpreter by itself resizes its tensors to what arrives, and fails in the first operation
    that does not fit, under that operation's number.

    Args:
        runner: The interpreter's runner of a signature.
    """

    def __init__(self, runner):
        self._runner = runner

    def __call__(self, **clips):
        wanted = self.get_input_details()
        if set(clips) != set(wanted):
            raise ValueError(f"inputs must be {sorted(wanted)}. Received: {sorted(clips)}")
        for name, details in wanted.items():
            shape = tuple(int(size) for size in details["shape"])
            found, dtype = getattr(clips[name], "shape", None), getattr(clips[name], "dtype", None)
            if found != shape or dtype != details["dtype"]:
                raise ValueError(
                    f"`{name}` must be {details['dtype'].__name__} of the shape {shape}; the file "
                    f"was written for clips of {shape[1]} frames. "
                    f"Received: shape={found}, dtype={dtype}"
                )
        return self._runner(**clips)

    def get_input_details(self):
        """What the interpreter knows about each input, by name."""
        return self._runner.get_input_details()

    def get_output_details(self):
        """What the interpreter knows about each output, by name."""
        return self._runner.get_output_details()


def open_file(path, *, threads=1):
    """What a LiteRT file answers, as a function of its inputs by name.

    Args:
        path: The file, of one signature.
        threads: Threads of the interpreter.

    Returns:
        A `Network`: a function of arrays by name, which gives {output: array}.
    """
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        import tensorflow as tf

        Interpreter = tf.lite.Interpreter  # noqa: N806 - the same class
    with warnings.catch_warnings():
        # TensorFlow's copy asks for the other package.
        warnings.filterwarnings("ignore", r"\s*Warning: tf.lite.Interpreter is deprecated")
        interpreter = Interpreter(model_path=str(path), num_threads=threads)
        return Network(interpreter.get_signature_runner())


def run(path, inputs, outputs):
    """Answers the inputs.

    Args:
        path: The LiteRT file.
        inputs: Path of an `.npz` with arrays `signature/stream`, of one signature.
        outputs: Path of the `.npz` to write, arrays `signature/output`.
    """
    import numpy as np

    with np.load(inputs) as arrays:
        (name,) = {key.split("/")[0] for key in arrays.files}
        given = {key.split("/")[1]: arrays[key] for key in arrays.files}
    found = open_file(path)(**given)
    np.savez(outputs, **{f"{name}/{key}": array for key, array in found.items()})


if __name__ == "__main__":
    sys.modules["kinetics_i3d"] = None  # an import of it fails from here on
    run(*sys.argv[1:])
