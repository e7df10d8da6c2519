"""Speed of the engines that an exported I3D runs on, interleaved, one clip at a time, two threads.

All engines read the same clip, and their logits are compared. Engines that are not installed or
cannot be exported on this machine are listed with the reason.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import argparse
import dataclasses
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
from report import publish

from kinetics_i3d.core.clip_spec import DEEPMIND

THREADS, CLASSES, SIZE = 2, 400, 224
TORCH = """
import sys, time
import numpy as np, torch, keras
import kinetics_i3d as ki3d
torch.set_num_threads(int(sys.argv[3]))
model = ki3d.InceptionI3D(weights=sys.argv[1])
clips = np.load(sys.argv[2])
with torch.inference_mode():
    model(clips)
    print("ready", flush=True)
    for _ in sys.stdin:
        begin = time.perf_counter(), time.process_time()
        model(clips)
        print(time.perf_counter() - begin[0], time.process_time() - begin[1], flush=True)
"""


def random_model():
    """An I3D with random batch norm statistics and offsets."""
    import keras

    import kinetics_i3d as ki3d

    keras.utils.set_random_seed(0)
    model = ki3d.InceptionI3D(classes=CLASSES)
    random = np.random.default_rng(0)
    for variable in model.variables:
        if "moving_variance" in variable.path:
            variable.assign(random.uniform(0.5, 1.5, variable.shape))
        elif "moving_mean" in variable.path or "beta" in variable.path:
            variable.assign(random.normal(0, 0.2, variable.shape))
    model.labels = tuple(f"class {number}" for number in range(CLASSES))
    # Frames have the right size already, so that resizing is not measured.
    model.clip_spec = dataclasses.replace(DEEPMIND, resize="stretch", short_side=SIZE)
    return model


def make_engines(model, pixels, folder, calibration):
    """{name: function that predicts}, and {name: reason why it is missing}."""
    import keras
    import tensorflow as tf

    import kinetics_i3d as ki3d

    clips = model.clip_spec.normalize(pixels)
    functions, missing = {}, {}
    keras.config.set_dtype_policy("mixed_bfloat16")
    low = ki3d.InceptionI3D(classes=CLASSES)
    keras.config.set_dtype_policy("float32")
    low.set_weights(model.get_weights())
    functions["TensorFlow float32"] = lambda: model.predict_on_batch(clips)
    functions["TensorFlow mixed_bfloat16"] = lambda: low.predict_on_batch(clips)
    for precision in ("float32", "bfloat16", "int8"):
        arguments = {"calibration": calibration} if precision == "int8" else {}
        try:
            quick = ki3d.optimize(model, precision=precision, **arguments)
        except ki3d.ExportError as error:
            missing[f"optimize {precision}"] = str(error)
        else:
            functions[f"optimize {precision}"] = lambda quick=quick: quick.predict_on_batch(clips)

    def add(name, to, start, *, suffix="", **options):
        path = folder / f"{to}_{options.get('precision', 'float32')}{suffix}"
        try:
            if not path.exists():
                ki3d.export(model, path, to=to, **options)
            functions[name] = start(path)
        except (ki3d.ExportError, ImportError, ValueError) as error:
            missing[name] = str(error)

    def saved(path):
        run = tf.saved_model.load(str(path)).signatures["float_clips"]
        tensor = tf.constant(clips)
        return lambda: run(rgb=tensor)["logits"].numpy()

    def onnx(path):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = THREADS
        session = onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])
        return lambda: session.run(["logits"], {"rgb": pixels})[0]

    def openvino(hint):
        def start(path):
            import openvino

            options = {"INFERENCE_PRECISION_HINT": hint, "INFERENCE_NUM_THREADS": THREADS}
            run = openvino.Core().compile_model(path / "model.xml", "CPU", options)
            return lambda: run([pixels])["logits"]

        return start

    def litert(path):
        from kinetics_i3d.exporting.isolated_runner import open_litert

        run = open_litert(path, threads=THREADS)
        return lambda: run(rgb=pixels)["logits"]

    frames = pixels.shape[1]
    real = {"precision": "int8", "calibration": calibration}
    add("SavedModel", "savedmodel", saved)
    for precision in ("float32", "float16", "dynamic_int8", "int8"):
        options = real if precision == "int8" else {"precision": precision}
        add(f"LiteRT {precision}", "litert", litert, suffix=".tflite", frames=frames, **options)
    add("ONNX Runtime float32", "onnx", onnx, suffix=".onnx")
    add("OpenVINO float32", "openvino", openvino("f32"))
    add("OpenVINO bfloat16", "openvino", openvino("bf16"))
    add("OpenVINO int8", "openvino", openvino("f32"), **real)
    add("OpenVINO int8, bfloat16", "openvino", openvino("bf16"), **real)
    try:
        functions["Keras on PyTorch"] = torch_engine(model, clips, folder)
    except ImportError as error:
        missing["Keras on PyTorch"] = str(error)
    return functions, missing


def torch_engine(model, clips, folder):
    """Runs in its own process, since Keras has one backend per process, and returns its times."""
    import torch  # noqa: F401 - an ImportError if it is not installed

    import kinetics_i3d as ki3d

    ki3d.save_weights(model, folder / "model.h5")
    np.save(folder / "clips.npy", clips)
    process = subprocess.Popen(
        [sys.executable, "-c", TORCH, folder / "model.h5", folder / "clips.npy", str(THREADS)],
        env={**os.environ, "KERAS_BACKEND": "torch"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    process.stdout.readline()

    def run():
        process.stdin.write("\n")
        process.stdin.flush()
        return tuple(map(float, process.stdout.readline().split()))

    return run


def measure(engines, rounds):
    """{name: [(seconds, processor seconds), ...]}, each engine once per round."""
    logits = {name: engine() for name, engine in engines.items()}
    expected = logits["TensorFlow float32"]
    for name, output in logits.items():
        if not isinstance(output, tuple):  # the times of another process
            error = np.abs(output - expected).max() / np.abs(expected).max()
            assert error < (0.5 if "int8" in name else 0.05), (name, error)
    seconds = {name: [] for name in engines}
    for _ in range(rounds):
        for name, engine in engines.items():
            begin = time.perf_counter(), time.process_time()
            output = engine()
            spent = time.perf_counter() - begin[0], time.process_time() - begin[1]
            seconds[name].append(output if isinstance(output, tuple) else spent)
    return seconds


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calibration", required=True, help="dataset to calibrate 8-bit networks")
    parser.add_argument("--frames", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--keep", help="folder in which to keep and reuse artifacts")
    options = parser.parse_args()
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    shape = (1, options.frames, SIZE, SIZE, 3)
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(options.keep or temporary)
        folder.mkdir(parents=True, exist_ok=True)
        functions, missing = make_engines(random_model(), pixels, folder, options.calibration)
        measured = measure(functions, options.rounds)
    medians = {
        name: [statistics.median(column) for column in zip(*spent, strict=True)]
        for name, spent in measured.items()
    }
    base = medians["TensorFlow float32"]
    rows = [
        {
            "engine": name,
            "s per clip (median)": f"{wall:.3f}",
            "min": f"{min(spent for spent, _ in measured[name]):.3f}",
            "speed relative to TensorFlow float32": f"{base[0] / wall:.2f}",
            "processor s": f"{processor:.3f}",
            "by processor time": f"{base[1] / processor:.2f}",
        }
        for name, (wall, processor) in medians.items()
    ]
    notes = "Processor seconds are summed over both threads; they depend less on other load on the "
    notes += "machine than wall time.\n\n"
    notes += "\n".join(f"- {name} is missing: {why}" for name, why in missing.items())
    publish(
        "export",
        f"Exported I3D({CLASSES}) on {options.frames}x{SIZE}x{SIZE}, batch 1, {THREADS} threads",
        "python benchmarks/export.py --calibration DATASET",
        rows,
        notes=notes,
        data={"seconds": measured, "left_out": missing},
    )
