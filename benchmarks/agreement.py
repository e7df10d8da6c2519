"""Agreement of reduced-precision engines with Keras in float32 on the test videos of a dataset.

Each video is one clip of a fixed length, looped if the video is shorter. All engines read the same
pixels. No labels are needed: what counts is whether an engine ranks the same class first, and how
many of the first five classes it shares with float32. 8-bit engines are calibrated on clips of the
training split.

With `--keep FOLDER`, an engine's artifact and logits stay in the folder. A later call computes only
what is missing, so an interrupted run continues, and a deleted file is computed again.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import argparse
import importlib.metadata
import json
import pathlib
import tempfile

import numpy as np
from report import publish

from kinetics_i3d.data.datasets import open_dataset
from kinetics_i3d.video.clip import read_clip

THREADS, TOP = 2, 5
REFERENCE = "Keras float32"
# The share of videos on which the first class must be that of float32.
TARGETS = {
    "optimize bfloat16": 0.99,
    "LiteRT float16": 0.99,
    "LiteRT int8": 0.95,
    "OpenVINO int8": 0.95,
}


def keras_engine(model, **_):
    """The model itself."""
    return lambda pixels: model.predict_on_batch(model.clip_spec.normalize(pixels))


def optimized_engine(precision):
    """`optimize`, computed by Keras."""

    def start(model, **_):
        import kinetics_i3d as ki3d

        return keras_engine(ki3d.optimize(model, precision=precision))

    return start


def litert_engine(precision):
    """A LiteRT file, which reads pixels of the crop."""

    def start(model, *, folder, data, frames):
        from kinetics_i3d.exporting.isolated_runner import open_litert
        from kinetics_i3d.exporting.litert import export_litert

        path = folder / f"litert_{precision}.tflite"
        if not path.exists():
            calibration = {"calibration": data} if precision == "int8" else {}
            export_litert(model, path, precision=precision, frames=frames, **calibration)
        network = open_litert(path, threads=THREADS)
        return lambda pixels: network(rgb=pixels)["logits"]

    return start


def openvino_engine(precision, hint):
    """An OpenVINO folder, which reads whole frames: the crop in a black border."""

    def start(model, *, folder, data, frames):
        import openvino

        from kinetics_i3d.exporting.openvino import export_openvino, with_borders

        path = folder / f"openvino_{precision}"
        if not path.exists():
            calibration = {"calibration": data} if precision == "int8" else {}
            export_openvino(model, path, precision=precision, **calibration)
        options = {"INFERENCE_PRECISION_HINT": hint, "INFERENCE_NUM_THREADS": THREADS}
        network = openvino.Core().compile_model(path / "model.xml", "CPU", options)
        return lambda pixels: network([with_borders(pixels, model.clip_spec)])["logits"]

    return start


ENGINES = {
    REFERENCE: keras_engine,
    "optimize bfloat16": optimized_engine("bfloat16"),
    "LiteRT float32": litert_engine("float32"),
    "LiteRT float16": litert_engine("float16"),
    "LiteRT dynamic_int8": litert_engine("dynamic_int8"),
    "LiteRT int8": litert_engine("int8"),
    "OpenVINO int8": openvino_engine("int8", "f32"),
    "OpenVINO int8, bfloat16": openvino_engine("int8", "bf16"),
}


def all_logits(data, model, engines, *, frames, folder):
    """{engine: (videos, classes) float32 logits}, read from the folder where they are there."""
    videos = open_dataset(data).split("test").videos
    results = {}
    for name in engines:
        path = folder / f"{name.replace(',', '').replace(' ', '_')}.npy"
        if not path.exists():
            engine = ENGINES[name](model, folder=folder, data=data, frames=frames)
            logits = []
            for number, video in enumerate(videos):
                pixels = read_clip(video.path, spec=model.clip_spec, frames=frames)[np.newaxis]
                logits.append(engine(pixels)[0])
                print(f"\r{name}: {number + 1} of {len(videos)} videos", end="", flush=True)
            print()
            temporary = path.with_suffix(".part")
            with temporary.open("wb") as file:
                np.save(file, np.array(logits, np.float32))
            temporary.replace(path)
        results[name] = np.load(path)
    return results


def compare(logits, reference):
    """The agreement of an engine with the reference; both are (videos, classes) logits."""
    ranked, wanted = (
        np.argsort(-values, axis=1, kind="stable")[:, :TOP] for values in (logits, reference)
    )
    shared = [len(set(a) & set(b)) for a, b in zip(ranked, wanted, strict=True)]
    same = ranked[:, 0] == wanted[:, 0]
    ordered = np.sort(reference, axis=1)
    return {
        "videos": len(same),
        "same_first": int(same.sum()),
        "mean_overlap_of_five": float(np.mean(shared)),
        "same_five": int((np.array(shared) == TOP).sum()),
        "largest_difference": float(np.abs(logits - reference).max() / np.abs(reference).max()),
        "correlation": float(np.corrcoef(logits.ravel(), reference.ravel())[0, 1]),
        # How much higher the reference scores its first class than the engine's first class.
        "reference_margins_of_changed": sorted(
            float(round(margin, 4)) for margin in (ordered[:, -1] - ordered[:, -2])[~same]
        ),
    }


def versions():
    """Versions of the runtimes that are installed."""
    installed = {}
    for name in ("ai-edge-litert", "openvino", "nncf"):
        try:
            installed[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return installed


def settings_file(folder, settings):
    """Writes what the results in a folder were made with, or checks that it is the same."""
    path = folder / "settings.json"
    if path.exists() and json.loads(path.read_text()) != settings:
        raise SystemExit(f"{folder} holds results of other settings: {path.read_text()}")
    path.write_text(json.dumps(settings))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=pathlib.Path, help="a dataset with the splits train and test")
    parser.add_argument("--weights", default="rgb_kinetics400", help="weights of an RGB network")
    parser.add_argument("--frames", type=int, default=24, help="frames per clip")
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=list(ENGINES))
    parser.add_argument("--keep", type=pathlib.Path, help="a folder of artifacts and logits")
    options = parser.parse_args()
    import tensorflow as tf

    from kinetics_i3d.models.load import load_model

    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    engines = list(dict.fromkeys([REFERENCE, *options.engines]))
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or pathlib.Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        settings_file(folder, {"weights": options.weights, "frames": options.frames})
        model = load_model(options.weights)
        logits = all_logits(options.data, model, engines, frames=options.frames, folder=folder)
    measured = {name: compare(values, logits[REFERENCE]) for name, values in logits.items()}
    rows = []
    for name, row in measured.items():
        target = TARGETS.get(name)
        rows.append(
            {
                "engine": name,
                "same first class": f"{row['same_first']} of {row['videos']}",
                "": f"{100 * row['same_first'] / row['videos']:.1f} %",
                "target": "" if target is None else f"{100 * target:.0f} %",
                "of the first five, shared": f"{row['mean_overlap_of_five']:.2f}",
                "all five": f"{100 * row['same_five'] / row['videos']:.1f} %",
                "largest difference of a logit": f"{row['largest_difference']:.2g}",
            }
        )
    command = f"python benchmarks/agreement.py DATA --weights {options.weights}"
    publish(
        "agreement",
        f"Agreement of `{options.weights}` with Keras float32 on J-HMDB's test videos",
        command + f" --frames {options.frames}" * (options.frames != 24),
        rows,
        notes=f"One clip of {options.frames} frames at {model.clip_spec.fps:g} frames a second and "
        f"{model.clip_spec.size} pixels from each test video of J-HMDB split 1, looped if the "
        "video is shorter; the same pixels for every engine. The network of 8 bits is calibrated "
        "on clips of the training split. Differences are parts of the largest logit. Runtimes: "
        + ", ".join(f"{name} {version}" for name, version in versions().items())
        + ".",
        data={"weights": options.weights, "frames": options.frames, "engines": measured},
    )
