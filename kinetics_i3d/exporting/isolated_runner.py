"""Runs an exported artifact in an interpreter that cannot import this package.

A standalone program: `python -P isolated_runner.py RUNTIME ARTIFACT INPUTS.npz OUTPUTS.npz`, where
RUNTIME is a key of `RUNTIMES`. The arrays of INPUTS are called `call/stream`, those of OUTPUTS
`call/output`; a call is a signature of a SavedModel, and any name for the other formats. Only NumPy
and the runtime are imported, so that an artifact that needs the package fails.
"""

import sys
import warnings


def _run_saved_model(path, calls):
    """Runs signatures of a SavedModel, or its `__call__`; strings become Unicode arrays."""
    import numpy as np
    import tensorflow as tf

    model = tf.saved_model.load(path)
    results = {}
    for name, arrays in calls.items():
        inputs = {stream: tf.constant(array) for stream, array in arrays.items()}
        if name == "__call__":
            clips = inputs if len(inputs) > 1 else next(iter(inputs.values()))
            outputs = {"logits": model(clips)}
        else:
            outputs = model.signatures[name](**inputs)
        results[name] = {key: tensor.numpy() for key, tensor in outputs.items()}
        for key, array in results[name].items():
            if array.dtype == object:  # text
                results[name][key] = np.char.decode(array.astype("S"), "utf-8")
    return results


def _run_litert(path, calls):
    """Runs the only signature of a LiteRT file."""
    network = open_litert(path)
    return {name: network(**inputs) for name, inputs in calls.items()}


def _run_onnx(path, calls):
    """Runs an ONNX file."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return {
        name: dict(zip(names, session.run(names, inputs), strict=True))
        for name, inputs in calls.items()
    }


def _run_openvino(path, calls):
    """Runs the `.xml` of an OpenVINO model in float32."""
    import openvino

    # The default is bfloat16 where the processor has it.
    options = {"INFERENCE_PRECISION_HINT": "f32"}
    model = openvino.Core().compile_model(path, "CPU", options)
    results = {}
    for name, inputs in calls.items():
        outputs = model(inputs)
        results[name] = {output.any_name: outputs[output] for output in model.outputs}
    return results


RUNTIMES = {
    "saved_model": _run_saved_model,
    "litert": _run_litert,
    "onnx": _run_onnx,
    "openvino": _run_openvino,
}


class LiteRTNetwork:
    """The network of a LiteRT file, which refuses clips of another size with a clear message.

    The interpreter itself resizes its tensors to the input, and fails in the first operation that
    does not fit, with only the number of that operation.

    Args:
        runner: The interpreter's runner of a signature.
    """

    def __init__(self, runner):
        self._runner = runner

    def __call__(self, **clips):
        expected = self.get_input_details()
        if set(clips) != set(expected):
            raise ValueError(f"inputs must be {sorted(expected)}. Received: {sorted(clips)}")
        for name, details in expected.items():
            shape = tuple(int(size) for size in details["shape"])
            received = getattr(clips[name], "shape", None)
            dtype = getattr(clips[name], "dtype", None)
            if received != shape or dtype != details["dtype"]:
                raise ValueError(
                    f"`{name}` must be {details['dtype'].__name__} of the shape {shape}; the file "
                    f"was written for clips of {shape[1]} frames. "
                    f"Received: shape={received}, dtype={dtype}"
                )
        return self._runner(**clips)

    def get_input_details(self):
        """The interpreter's details of each input, by name."""
        return self._runner.get_input_details()

    def get_output_details(self):
        """The interpreter's details of each output, by name."""
        return self._runner.get_output_details()


def open_litert(path, *, threads=1):
    """Opens a LiteRT file of one signature.

    Args:
        path: The file.
        threads: Threads of the interpreter.

    Returns:
        A `LiteRTNetwork`: a function of arrays by name that returns {output: array}.
    """
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        import tensorflow as tf  # it has a copy

        Interpreter = tf.lite.Interpreter  # noqa: N806 - the same class
    with warnings.catch_warnings():
        # TensorFlow's copy recommends the other package.
        warnings.filterwarnings("ignore", r"\s*Warning: tf.lite.Interpreter is deprecated")
        interpreter = Interpreter(model_path=str(path), num_threads=threads)
        return LiteRTNetwork(interpreter.get_signature_runner())


def run_file(runtime, path, inputs, outputs):
    """Runs an artifact on the arrays of one `.npz` file and writes the results to another."""
    import numpy as np

    calls: dict = {}
    with np.load(inputs) as arrays:
        for key in arrays.files:
            name, stream = key.split("/")
            calls.setdefault(name, {})[stream] = arrays[key]
    results = RUNTIMES[runtime](str(path), calls)
    np.savez(
        outputs,
        **{
            f"{name}/{key}": array
            for name, arrays in results.items()
            for key, array in arrays.items()
        },
    )


if __name__ == "__main__":
    sys.modules["kinetics_i3d"] = None  # from here on, importing it fails
    run_file(*sys.argv[1:])
