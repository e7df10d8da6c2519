"""The doors of files that the package itself wrote: states, configs, results, features."""

import dataclasses
import json

import numpy as np

from fuzz.door import Door, equal
from kinetics_i3d.core.errors import UserError


def _plant_state(folder):
    from kinetics_i3d.training.state import StateFolder

    rng = np.random.default_rng(0)
    for name, steps in (("one", (20,)), ("two", (10, 20))):
        _plant_states(StateFolder(folder / name), steps, rng)


def _plant_states(states, steps, rng):
    from kinetics_i3d.training.optimizers import Plateau
    from kinetics_i3d.training.state import TrainState

    for step in steps:
        arrays = [rng.normal(size=(3, 4)).astype("f4"), rng.normal(size=5).astype("f4")]
        state = TrainState(step, [4 * step], 1.5, 2.0, dataclasses.asdict(Plateau()))
        state.history = [{"epoch": 1, "step": 10, "loss": 1.25, "accuracy": 0.5}]
        states.save(step, arrays, dataclasses.asdict(state))


def _read_state(folder):
    from kinetics_i3d.training.optimizers import Plateau
    from kinetics_i3d.training.state import StateFolder, TrainState

    stored = StateFolder(folder).load()
    if stored is None:
        return None
    arrays, fields = stored
    state = TrainState(**fields)
    plateau = Plateau(**state.plateau)
    return state.step, arrays, dataclasses.asdict(state), dataclasses.asdict(plateau)


def _state_problem(seed, result, forged):
    if result is None:
        return None  # the files have other names
    step, _, state, _ = result
    if not forged and step == seed[0] and not equal(seed, result):
        return "a damaged state was accepted"
    if step not in (10, 20) and not forged:
        return f"the state of step {step}"
    if type(step) is not int or step < 0:
        return f"the step {step!r:.40}"
    if not all(type(position) is int and position >= 0 for position in state["positions"]):
        return f"positions {state['positions']!r:.40}"
    if not all(isinstance(row, dict) for row in state["history"]):
        return f"a history {state['history']!r:.40}"
    return None


def _config():
    """The config that is asked for."""
    from kinetics_i3d.training.config import TrainConfig

    return TrainConfig(validation="val", loss="softmax")


def _plant_config(folder):
    (folder / "run").mkdir()
    (folder / "run" / "config.json").write_text(_config().to_json())


def _read_config(folder):
    from kinetics_i3d.training.preflight import check_output

    try:
        check_output(folder, _config())
    except FileExistsError as error:
        raise UserError(str(error)) from error  # a line on the command line, as any OSError
    return (folder / "config.json").is_file() and json.loads((folder / "config.json").read_text())


def _config_problem(seed, result, forged):
    """A run may continue with the config that it began with alone, or with more epochs."""
    from kinetics_i3d.training.config import recorded_fields

    if result is False:
        return None
    result = recorded_fields(result)  # as if from an earlier version
    changed = {name for name in {*seed, *result} if seed.get(name) != result.get(name)}
    return f"continues a run with other {changed}" if changed - {"epochs"} else None


def _report(logits):
    from kinetics_i3d.core.clip_spec import DEEPMIND
    from kinetics_i3d.evaluation.report import make_report
    from kinetics_i3d.evaluation.result import Evaluation

    evaluation = Evaluation(
        ("sit", "stand", "wave"),
        ("sit/a.mp4", "stand/b.mp4", "wave/c.mp4"),
        np.array([0, 1, 2]),
        {"rgb": np.asarray(logits, np.float32)},
        specs={"rgb": DEEPMIND},
        digests={"rgb": "1234"},
    )
    return make_report(evaluation, dataset="fuzz", split="test", weights={"rgb": "m.h5"})


def _plant_evaluation(folder):
    report = _report([[2, 0, 0], [1, 0, 0], [0, 0, 1]])
    (folder / "evaluation").mkdir()
    (folder / "evaluation" / "evaluation.json").write_text(json.dumps(report))


def _read_evaluation(folder):
    from kinetics_i3d.evaluation.compare import compare
    from kinetics_i3d.evaluation.report import read_report
    from kinetics_i3d.experiments.results import correct_videos

    new = _report([[2, 0, 0], [0, 1, 0], [0, 1, 0]])
    report = read_report(folder)
    correct_videos(report)
    first = compare(report, new)
    compare(new, report)
    json.dumps(first.to_dict())
    return first.old["top1"], first.to_dict()


def _evaluation_problem(seed, result, forged):
    return None if 0 <= result[0] <= 1 else f"an accuracy of {result[0]}"


def _settings():
    from kinetics_i3d.training.config import TrainConfig

    config = json.loads(TrainConfig(loss="softmax").to_json())
    return {"config": config, "parts": None, "dataset": "0123456789abcdef", "split": "test"}


def _plant_tables(folder):
    run = folder / "run" / "InceptionI3D.rgb.scratch.original.0"
    run.mkdir(parents=True)
    numbers = {"top1": 0.5, "top5": 1.0, "mean_class": 0.5, "videos": 3, "skipped": 0}
    result = _settings() | numbers | {"weights": {"rgb": "1234"}, "resumed": False}
    (run / "cell.json").write_text(json.dumps(result, indent=2))


def _read_tables(folder):
    from kinetics_i3d.experiments import runner
    from kinetics_i3d.experiments.results import group_scores

    run = folder / "InceptionI3D.rgb.scratch.original.0"
    result = runner._read_run(run, _settings())
    if result is None:
        return None
    scores = group_scores({run.name: result}, {run.name: {"a": True}})
    return [(score.mean, score.mean_top5, score.chance_error) for score in scores.values()]


def _tables_problem(seed, result, forged):
    for numbers in result or ():
        if not all(isinstance(number, float) and 0 <= number <= 100 for number in numbers):
            return f"scores {numbers}"
    return None


def _plant_logits(folder):
    (folder / "logits").mkdir()
    np.save(folder / "logits" / "kept.npy", np.array([0.5, 2.0, -1.0], np.float32))


def _read_logits(folder):
    from kinetics_i3d.evaluation.result import LogitCache

    cache = LogitCache(folder, depends_on={"weights": "1234"}, classes=3)
    cache.path = lambda video: folder / "kept.npy"
    return cache.get({"bytes": 10})


def _logits_problem(seed, result, forged):
    if result is None or (result.dtype == np.float32 and result.shape == (3,)):
        return None
    return f"logits {result.dtype} {result.shape}"


def _feature_fields():
    names = ["rgb"]
    return {
        "key": "0123",
        "rows": 4,
        "axes": ["window", "feature"],
        "clip_specs": {name: {"fps": 25.0} for name in names},
        "channels": {"rgb": 6},
        "video": {"name": "a.mp4"},
    }


def _plant_features(folder):
    from kinetics_i3d.evaluation.fvd_protocols import FVDProtocol, VideoFeatures
    from kinetics_i3d.inference.feature_options import Features
    from kinetics_i3d.inference.features_files import _Files

    rng = np.random.default_rng(0)
    times = np.arange(4.0)
    features = Features(
        rng.normal(size=(4, 6)).astype("f4"), times, times + 1, times + 0.5, _feature_fields()
    )
    for name in ("npz", "npy", "hdf5"):
        (folder / name).mkdir()
        _Files(name).write(folder / name / "a", features)
    (folder / "fvd").mkdir()
    values = rng.normal(size=(2, 400)).astype("f4")
    saved = VideoFeatures(values, FVDProtocol("reference"), "1234", ("a", "b"))
    saved.save(folder / "fvd" / "fvd.npz")
    (folder / "array").mkdir()
    np.savez(folder / "array" / "clip.npz", rng.integers(0, 255, (9, 32, 32, 3), np.uint8))
    (folder / "plain").mkdir()
    np.save(folder / "plain" / "clip.npy", rng.integers(0, 255, (1, 9, 32, 32, 3), np.uint8))


def _read_features(folder):
    from kinetics_i3d.core.clip_spec import DEEPMIND
    from kinetics_i3d.evaluation.fvd_features import _load_array
    from kinetics_i3d.evaluation.fvd_protocols import VideoFeatures
    from kinetics_i3d.inference.doctor.array import examine_array, read_array
    from kinetics_i3d.inference.features_files import _Files, read_features
    from kinetics_i3d.video.video_frames import VideoFrames

    if (folder / "fvd.npz").exists():
        saved = VideoFeatures.load(folder / "fvd.npz")
        return saved.values, saved.names, saved.weights
    for path in (folder / "clip.npz", folder / "clip.npy"):
        if path.exists():
            array = read_array(path)
            examine_array(array, spec=DEEPMIND)
            array = _load_array(path)
            if array.dtype == np.uint8 and array.ndim == 4 and array.shape[-1] == 3 and array.size:
                VideoFrames(np.asarray(array), fps=25)
            return (np.asarray(array),)
    name = {".npz": "npz", ".npy": "npy", ".h5": "hdf5"}
    kinds = {name[path.suffix] for path in folder.iterdir() if path.suffix in name}
    result = None
    for kind in kinds:
        result = _Files(kind).rows(folder / "a", "0123", ("rgb",))
    if "npz" in kinds:
        features = read_features(folder / "a.npz")
        return features.features, features.start, features.end, features.center, features.metadata
    return result


def _features_problem(seed, result, forged):
    if not isinstance(result, tuple):
        # Their number is what the metadata say; only npz has a checksum of these.
        is_number = result is None or (type(result) is int and result >= 0)
        return None if is_number else f"{result!r:.40} rows"
    if not forged and len(result) > 1 and not equal(seed, result):
        return "damaged features were accepted"
    if len(result) > 3 and len({len(array) for array in result[:4]}) != 1:
        return f"arrays of {[array.shape for array in result[:4]]}"
    return None


DOORS = [
    Door("states", _plant_state, _read_state, _state_problem),
    Door("configs", _plant_config, _read_config, _config_problem),
    Door("evaluations", _plant_evaluation, _read_evaluation, _evaluation_problem),
    Door("tables", _plant_tables, _read_tables, _tables_problem),
    Door("logits", _plant_logits, _read_logits, _logits_problem),
    Door("features", _plant_features, _read_features, _features_problem),
]
