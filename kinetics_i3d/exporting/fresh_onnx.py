"""Runs an ONNX file in an interpreter that cannot import this package.

A program of its own: `python -P fresh_onnx.py FILE INPUTS.npz OUTPUTS.npz`, where arrays are called
`run/stream` and `run/output`. It imports ONNX Runtime and NumPy alone.
"""

import sys


def run(path, inputs, outputs):
    """Answers each group of inputs.

    Args:
        path: The ONNX file.
        inputs: Path of an `.npz` with arrays `run/stream`.
        outputs: Path of the `.npz` to write, arrays `run/output`.
    """
    import numpy as np
    import onnxruntime

    asked: dict = {}
    with np.load(inputs) as arrays:
        for key in arrays.files:
            name, stream = key.split("/")
            asked.setdefault(name, {})[stream] = arrays[key]
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_outputs()]
    answers = {}
    for name, given in asked.items():
        for output, array in zip(names, session.run(names, given), strict=True):
            answers[f"{name}/{output}"] = array
    np.savez(outputs, **answers)


if __name__ == "__main__":
    sys.modules["kinetics_i3d"] = None  # an import of it fails from here on
    run(*sys.argv[1:])
