"""Runs an OpenVINO model in an interpreter that cannot import this package.

A program of its own: `python -P fresh_openvino.py FILE.xml INPUTS.npz OUTPUTS.npz`, where arrays
are called `run/stream` and `run/output`. It imports OpenVINO and NumPy alone.
"""

import sys


def run(path, inputs, outputs):
    """Answers each group of inputs.

    Args:
        path: The model's `.xml`.
        inputs: Path of an `.npz` with arrays `run/stream`.
        outputs: Path of the `.npz` to write, arrays `run/output`.
    """
    import numpy as np
    import openvino

    asked: dict = {}
    with np.load(inputs) as arrays:
        for key in arrays.files:
            name, stream = key.split("/")
            asked.setdefault(name, {})[stream] = arrays[key]
    # By itself it would take bfloat16 where the processor has it.
    exactly = {"INFERENCE_PRECISION_HINT": "f32"}
    model = openvino.Core().compile_model(path, "CPU", exactly)
    answers = {}
    for name, given in asked.items():
        found = model(given)
        for output in model.outputs:
            answers[f"{name}/{output.any_name}"] = found[output]
    np.savez(outputs, **answers)


if __name__ == "__main__":
    sys.modules["kinetics_i3d"] = None  # an import of it fails from here on
    run(*sys.argv[1:])
