"""`make bench`: the quick benchmarks, as ratios of a fixed reference, against the last record.

    python benchmarks/bench.py            # prints what moved
    python benchmarks/bench.py --record   # also writes results/bench.json and results/bench.md

Each benchmark runs in a process of its own, in turn with a reference that contains no code of this
package. It is not a gate: the exit code is 0 unless a benchmark cannot run.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse
import collections.abc
import dataclasses
import importlib.util
import json
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

import numpy as np
from ratios import RULE, cells, compare, measure_ratios
from report import RESULTS, machine, publish, table

EXAMPLES = sorted((pathlib.Path(__file__).parents[1] / "examples").glob("*.mp4"))
RECORD = RESULTS / "bench.json"
WINDOW, SIZE = 64, 224  # frames and pixels of a clip


def timed(function, processor=time.process_time):
    """A function that runs `function` and returns its (processor, wall) seconds."""

    def run():
        begin, begin_wall = processor(), time.perf_counter()
        function()
        return processor() - begin, time.perf_counter() - begin_wall

    return run


def decode(folder):
    import decode as benchmark

    benchmark.pictures.compile_shortcut()  # as the training pipeline does
    reference = benchmark.pyav(benchmark.to_spec_size())

    def read(path):
        for _ in benchmark.read_frames(path, fps=25, short_side=256):
            pass

    def all_examples(program):
        return timed(lambda: [program(path) for path in 2 * EXAMPLES])

    return all_examples(read), all_examples(reference)


def flow(folder):
    import cv2
    import flow as benchmark

    cv2.setNumThreads(1)
    pairs = benchmark.pairs_of(EXAMPLES[0], (SIZE, SIZE), 2)
    parameters = benchmark.TVL1()

    def all_pairs(backend, times):
        program = benchmark.pair_function("tvl1", backend)
        return timed(lambda: [program(*pair, parameters) for pair in times * pairs])

    return all_pairs("numba", 10), all_pairs("opencv", 1)


def example_records(folder, spec):
    """Records of the example videos."""
    from kinetics_i3d.data.records.prepare import PrepareConfig, prepare
    from kinetics_i3d.data.video_dataset import Video, VideoDataset

    videos = [Video(path, path.stem, "train", path.name) for path in EXAMPLES]
    dataset = VideoDataset("examples", tuple(path.stem for path in EXAMPLES), tuple(videos))
    config = PrepareConfig(streams=("rgb",), spec=spec)
    return prepare(dataset, folder / "records", config).split("train")


def clips_from_records(folder):
    import input as benchmark
    import tensorflow as tf

    spec, count = benchmark.SMALL, 96
    source = example_records(folder, spec)
    clips = benchmark.training_clips(
        source, spec=spec, frames=16, batch_size=1, augment=benchmark.augmentation(spec)
    )
    noise = np.random.default_rng(0).integers(0, 256, (16, 22, 3), np.uint8)
    jpeg = tf.io.encode_jpeg(noise.repeat(8, 0).repeat(8, 1), quality=95)

    def decode_pictures():
        for _ in range(1000):
            tf.io.decode_jpeg(jpeg, dct_method="INTEGER_ACCURATE")

    def draw():
        wall, processor = benchmark.drawn(clips, count)
        return count / processor, count / wall

    return draw, timed(decode_pictures)


def convolutions(frames, size, *, batch_size=1, train=False):
    """A function that runs three 3D convolutions of TensorFlow, and their gradients to train."""
    import tensorflow as tf

    random = np.random.default_rng(0)
    shapes = ((7, 7, 7, 3, 32), (3, 3, 3, 32, 64), (3, 3, 3, 64, 128))
    kernels = [tf.constant(random.normal(0, 0.05, shape), tf.float32) for shape in shapes]
    clips = tf.constant(random.uniform(-1, 1, (batch_size, frames, size, size, 3)), tf.float32)

    def network():
        x = clips
        for kernel, stride in zip(kernels, (2, 2, 1), strict=True):
            x = tf.nn.relu(tf.nn.conv3d(x, kernel, (1, *3 * [stride], 1), "SAME"))
        return tf.reduce_mean(x)

    @tf.function
    def gradients():
        with tf.GradientTape() as tape:
            tape.watch(kernels)
            mean = network()
        return tape.gradient(mean, kernels)

    function = gradients if train else tf.function(network)
    return lambda: tf.nest.map_structure(lambda tensor: tensor.numpy(), function())


def inference(folder):
    import kinetics_i3d as ki3d

    model = ki3d.InceptionI3D(classes=400)
    clips = np.random.default_rng(0).uniform(-1, 1, (1, WINDOW, SIZE, SIZE, 3)).astype("float32")
    reference = convolutions(WINDOW, SIZE)
    return timed(lambda: model.predict_on_batch(clips)), timed(reference)


def training_steps(folder):
    import training as benchmark

    config = benchmark.SMALL
    source = example_records(folder, config.specs(("rgb",))["rgb"])
    batches = benchmark.training_batches(
        source, config, ("rgb",), batch_size=config.batch_size, seed=0
    )
    run, _ = benchmark.our_loop(config, source.labels, batches, folder / "loop")
    reference = convolutions(config.frames, config.size, batch_size=config.batch_size, train=True)
    return timed(lambda: run(1)), timed(reference)


def features(folder):
    import kinetics_i3d as ki3d
    from kinetics_i3d.inference.feature_options import FeatureOptions
    from kinetics_i3d.inference.features import FeatureExtractor

    model = ki3d.InceptionI3D(classes=400)  # random weights take the same time
    extractor = FeatureExtractor(model, FeatureOptions(window=WINDOW, stride=WINDOW, tail="drop"))
    reference = convolutions(WINDOW, SIZE)
    return timed(lambda: extractor.extract(EXAMPLES[0])), timed(reference)


def checkpoint(folder):
    """The path of a checkpoint like the released ones."""
    import weights as benchmark

    benchmark.write(folder / "model.ckpt")
    return str(folder / "model.ckpt")


def read_checkpoint(folder):
    import tensorflow as tf
    import weights as benchmark

    path = checkpoint(folder)

    def read_by_tensorflow():
        reader = tf.train.load_checkpoint(path)
        for name in reader.get_variable_to_shape_map():
            reader.get_tensor(name)

    return timed(lambda: benchmark.read(path, None)), timed(read_by_tensorflow)


def build_network(folder):
    import weights as benchmark

    path = checkpoint(folder)

    def build_by_keras():
        import keras

        x = clips = keras.Input((None, 32, 32, 3))
        for _ in range(57):  # as many as InceptionI3D has
            x = keras.layers.Conv3D(16, 3, padding="same", use_bias=False)(x)
            x = keras.layers.BatchNormalization(scale=False)(x)
            x = keras.layers.Activation("relu")(x)
        keras.Model(clips, x)

    return timed(lambda: benchmark.load(path, None)), timed(build_by_keras)


def python(*words):
    """A function that runs Python three times and returns its seconds."""

    def processor():
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    def run():
        for _ in range(3):
            subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)

    return timed(run, processor)


def import_package(folder):
    return python("-c", "import kinetics_i3d"), python("-c", "import numpy")


def print_help(folder):
    return python("-m", "kinetics_i3d", "--help"), python("-c", "import numpy")


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """A row of the table.

    Args:
        prepare: Function of an empty folder that returns the benchmark and its reference, two
            functions that return (processor, wall) seconds.
        reference: What the reference does. A record with another text is not compared.
        needs: Modules besides those that the package needs.
    """

    prepare: collections.abc.Callable
    reference: str
    needs: tuple = ()


CONVOLUTIONS = "three tf.nn.conv3d"
BENCHMARKS = {
    "decode: `read_frames`, 256 lines": Benchmark(
        decode, "PyAV, to RGB of that size, its defaults", ("numba",)
    ),
    "input: augmented clips of 16x112x112 from records": Benchmark(
        clips_from_records, "tf.io.decode_jpeg of 1000 pictures"
    ),
    "flow: TV-L1, ten pairs of 224x224": Benchmark(
        flow, "OpenCV's TV-L1 of one pair", ("cv2", "numba")
    ),
    "inference: `predict_on_batch`, 64x224x224": Benchmark(inference, CONVOLUTIONS),
    "features: a window of 64 frames from a video": Benchmark(features, CONVOLUTIONS),
    "training: a step of `train`, 8x16x112x112": Benchmark(
        training_steps, f"{CONVOLUTIONS} and their gradients"
    ),
    "weights: 230 tensors of a checkpoint, names translated": Benchmark(
        read_checkpoint, "tf.train.load_checkpoint, all tensors"
    ),
    "weights: `InceptionI3D(weights=...)`, network built": Benchmark(
        build_network, "a Keras model of 57 Conv3D"
    ),
    "start: `import kinetics_i3d`": Benchmark(import_package, "import numpy"),
    "start: `kinetics-i3d --help`": Benchmark(print_help, "import numpy"),
}


def run_benchmark(name, rounds):
    """Runs a benchmark in this process and prints its result as JSON."""
    benchmark = BENCHMARKS[name]
    with tempfile.TemporaryDirectory() as folder:
        program, reference = benchmark.prepare(pathlib.Path(folder))
        times = measure_ratios(program, reference, rounds=rounds)
    print(json.dumps({"reference": benchmark.reference, **times}))


def measure(names, rounds):
    """({benchmark: result}, [benchmark that failed]), each in a process of its own."""
    results, failed = {}, []
    for name in names:
        missing = [need for need in BENCHMARKS[name].needs if not importlib.util.find_spec(need)]
        if missing:
            print(f"{name}: left out, as it needs {' and '.join(missing)}", flush=True)
            continue
        words = [sys.executable, __file__, "--one", name, "--rounds", str(rounds)]
        begin = time.perf_counter()
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            failed.append(name)
            print(f"{name}: failed\n{done.stderr}", file=sys.stderr, flush=True)
            continue
        results[name] = json.loads(done.stdout.splitlines()[-1])
        print(f"{name}: {time.perf_counter() - begin:.0f} s", flush=True)
    return results, failed


def read_record(path):
    """The last record; an empty one where there is none."""
    if not path.is_file():
        return {"machine": {}, "benchmarks": {}}
    return json.loads(path.read_text(encoding="utf-8"))


def print_comparison(record, results, load):
    """Prints the table, and what moved; `load` is the load average before the run."""
    rows = compare(record["benchmarks"], results)
    print(f"\n{table(rows)}\n\nRatios are times relative to the reference. {RULE}.")
    now = machine()
    others = [
        f"{key} {value} (now {now.get(key)})"
        for key, value in record["machine"].items()
        if now.get(key) != value
    ]
    if others:
        print(f"The record was made with other conditions: {', '.join(others)}.")
    loads = [load, record.get("load", 0.0)]
    if max(loads) > os.cpu_count():
        print(
            f"The load average was {loads[0]:.1f} before this run and {loads[1]:.1f} before the "
            "record: on a busy machine the wall clock measures the other programs too."
        )
    moved = [row for row in rows if row["result"] in ("slower", "faster")]
    for row in moved:
        print(f"{row['result']}: {row['benchmark']}, {row['time']} time {row['change']}")
    if not moved:
        print("Nothing has moved beyond the noise.")


def write_record(results, rounds, load):
    """Writes the record and its page; `load` is the load average before the run."""
    rows = []
    for name, result in results.items():
        processor, wall = result["processor"], result["wall"]
        row = {"benchmark": name, "reference": result["reference"]}
        row["ratio"], row["range"] = cells(processor["ratios"])
        row["processor seconds"] = f"{processor['seconds']:.3g}"
        row["of the reference"] = f"{processor['reference_seconds']:.3g}"
        row["ratio by the wall clock"], row["its range"] = cells(wall["ratios"])
        rows.append(row)
    publish(
        "bench",
        "The quick benchmarks, relative to a fixed reference",
        "python benchmarks/bench.py --record",
        rows,
        notes=(
            f"Medians of {rounds} rounds. A ratio is the time of the benchmark divided by the mean "
            "time of the reference before and after it, in processor time and by the wall clock. "
            "The references contain no code of this package. `make bench` compares a run with "
            f"this record. {RULE}. Other programs widen the ranges; the load average before this "
            f"run was {load:.1f}."
        ),
        data={"machine": machine(), "rounds": rounds, "load": load, "benchmarks": results},
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--record", action="store_true", help="write a new record")
    parser.add_argument("--rounds", type=int, default=7, metavar="N")
    parser.add_argument("--only", metavar="TEXT", help="benchmarks whose names contain a text")
    parser.add_argument("--one", choices=BENCHMARKS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        run_benchmark(options.one, options.rounds)
        return 0
    if options.record and options.only:
        parser.error("a record has all benchmarks: --record or --only")
    record = read_record(RECORD)
    names = [name for name in BENCHMARKS if (options.only or "") in name]
    if not names:
        parser.error(f"no benchmark's name contains {options.only!r}; there are {[*BENCHMARKS]}")
    if options.only:
        recorded = record["benchmarks"]
        record["benchmarks"] = {name: recorded[name] for name in names if name in recorded}
    load = os.getloadavg()[0]
    results, failed = measure(names, options.rounds)
    if results:
        print_comparison(record, results, load)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
        return 1
    if options.record:
        write_record(results, options.rounds, load)
    return 0


if __name__ == "__main__":
    sys.exit(main())
