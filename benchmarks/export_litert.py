"""LiteRT files in four precisions: speed and size against TensorFlow, answers against Keras.

Speed is that of an I3D of random weights, interleaved rounds on two threads. Answers are those of
the shipped J-HMDB network on clips of a fixed length; needs the clips (a folder with `split1.csv`).
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import argparse
import json
import pathlib
import statistics
import tempfile
import time

import numpy as np
from report import RESULTS, publish

from kinetics_i3d.exporting.fresh_litert import open_file
from kinetics_i3d.exporting.litert import export_litert
from kinetics_i3d.exporting.litert_file import PRECISIONS, convert

FRAMES, SIZE, CLASSES, THREADS = 64, 224, 400, 2
WEIGHTS, SHOWN, FEW = "rgb_imagenet_jhmdb", 24, 20
PLAIN = "TensorFlow float32"


def speed(rounds, folder):
    """({engine: [seconds, ...]}, {engine: bytes}) of 64x224x224."""
    import keras
    import tensorflow as tf

    import kinetics_i3d as ki3d

    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    keras.utils.set_random_seed(0)
    model = ki3d.InceptionI3D(classes=CLASSES)
    plain = keras.Model(model.inputs, model.outputs)
    graph = tf.function(lambda x: plain(x, training=False))
    pixels = np.random.default_rng(0).integers(0, 256, (1, FRAMES, SIZE, SIZE, 3), np.uint8)
    clips = model.clip_spec.normalize(pixels)
    tensor = tf.constant(clips)
    engines = {PLAIN: lambda: graph(tensor).numpy()}
    sizes = {PLAIN: 4 * model.count_params()}
    for precision in PRECISIONS:
        path = folder / f"speed_{precision}.tflite"
        given = [{"rgb": clips}] if precision == "int8" else ()
        file = convert(model, {"rgb": pixels.shape}, precision=precision, clips=given)
        path.write_bytes(file)
        network, name = open_file(path, threads=THREADS), f"LiteRT {precision}"
        engines[name] = lambda network=network: network(rgb=pixels)["logits"]
        sizes[name] = path.stat().st_size
    for engine in engines.values():
        engine()
    seconds = {name: [] for name in engines}
    for _ in range(rounds):
        for name, engine in engines.items():
            start = time.perf_counter()
            engine()
            seconds[name].append(time.perf_counter() - start)
    return seconds, sizes


def answers(data, folder):
    """({engine: (clips, classes) logits}, labels) on the test clips of J-HMDB.

    Keras and int8 see all of them, the other precisions the first few.
    """
    import kinetics_i3d as ki3d
    from kinetics_i3d.data.datasets import open_dataset
    from kinetics_i3d.video.clip import read_clip

    model = ki3d.InceptionI3D(weights=WEIGHTS)
    test = open_dataset(data).split("test")
    # Evenly over the classes, which follow one another in the list.
    few = {video.path for video in test.videos[:: len(test) // FEW]}
    networks = {}
    for precision in PRECISIONS:
        path = folder / f"answers_{precision}.tflite"
        given = {"calibration": data} if precision == "int8" else {}
        export_litert(model, path, precision=precision, frames=SHOWN, **given)
        networks[f"LiteRT {precision}"] = open_file(path, threads=THREADS)
    found = {name: [] for name in ("Keras", *networks)}
    for video in test.videos:
        pixels = read_clip(video.path, spec=model.clip_spec, frames=SHOWN)[np.newaxis]
        found["Keras"].append(model.predict_on_batch(model.clip_spec.normalize(pixels))[0])
        for name, network in networks.items():
            whole = name.endswith(" int8") or video.path in few
            logits = (
                network(rgb=pixels)["logits"][0] if whole else np.full(len(test.labels), np.nan)
            )
            found[name].append(logits)
    labels = np.array([test.labels.index(video.label) for video in test.videos])
    return {name: np.array(logits) for name, logits in found.items()}, labels


def compared(found, labels):
    """{engine: {measure: number}} against Keras."""
    told = {}
    for name, logits in found.items():
        seen = ~np.isnan(logits[:, 0])
        wanted = found["Keras"][seen]
        told[name] = {
            "clips": int(seen.sum()),
            "same_first": int((logits[seen].argmax(1) == wanted.argmax(1)).sum()),
            "difference": float(np.abs(logits[seen] - wanted).max() / np.abs(wanted).max()),
            "top1": float((logits[seen].argmax(1) == labels[seen]).mean()),
        }
    return told


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=pathlib.Path, help="folder of J-HMDB")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument(
        "--only", choices=("speed", "answers"), help="keep the other part of the last results"
    )
    options = parser.parse_args()
    path = RESULTS / "export_litert.json"
    data = json.loads(path.read_text()) if options.only and path.is_file() else {}
    with tempfile.TemporaryDirectory() as beside:
        if options.only != "speed":
            data["answers"] = compared(*answers(options.data, pathlib.Path(beside)))
        if options.only != "answers":
            data["seconds"], data["bytes"] = speed(options.rounds, pathlib.Path(beside))
    seconds, sizes, told = (data.get(key, {}) for key in ("seconds", "bytes", "answers"))
    if options.only:  # kept, should the other part never come
        path.write_text(json.dumps(data, indent=1) + "\n")
    if not (seconds and told):
        parser.exit(0, "one part is measured, the other not yet\n")
    base = statistics.median(seconds[PLAIN])
    rows = []
    for name, measured in seconds.items():
        row = told["Keras" if name == PLAIN else name]
        median = statistics.median(measured)
        rows.append(
            {
                "engine": name,
                "s a clip (median)": f"{median:.3f}",
                "min": f"{min(measured):.3f}",
                "against TensorFlow": f"{base / median:.2f}x",
                "MB": f"{sizes[name] / 1e6:.1f}",
                "largest difference of a logit": f"{row['difference']:.2g}",
                "same first class": f"{row['same_first']} of {row['clips']}",
                "top-1": f"{100 * row['top1']:.1f} %" if row["clips"] > 2 * FEW else "",
            }
        )
    publish(
        "export_litert",
        f"LiteRT: InceptionI3D({CLASSES}) on {FRAMES}x{SIZE}x{SIZE}, batch 1, {THREADS} threads",
        "python benchmarks/export_litert.py DATA",
        rows,
        notes="Speed and size of random weights. Answers of "
        f"`{WEIGHTS}` on the first {SHOWN} frames of test clips of J-HMDB split 1, against Keras "
        "in float32; differences are parts of the largest logit. int8 is calibrated by 64 training "
        "clips.",
        data=data,
    )
