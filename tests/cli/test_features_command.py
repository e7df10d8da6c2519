"""`kinetics-i3d features`: the files that it writes, and what it does about bad input."""

import dataclasses
import importlib.util
import json
import os
import re
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest

import kinetics_i3d as ki3d
from kinetics_i3d.cli import features as verb
from kinetics_i3d.core import progress
from kinetics_i3d.core.locks import locked
from kinetics_i3d.inference import feature_options
from kinetics_i3d.inference import features as library
from kinetics_i3d.inference import features_files as files

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("models_loaded_once")]

WINDOWS = ("--window", "9", "--stride", "4")


def metadata_of(path):
    with np.load(path) as archive:
        return json.loads(str(archive["metadata"]))


def test_the_choices_are_those_of_the_library():
    expected = {
        "pool": feature_options.POOLS,
        "align": feature_options.ALIGNS,
        "views": (*feature_options.CROPS,),
        "tail": feature_options.TAILS,
        "short": feature_options.SHORTS,
    }
    assert expected == verb.CHOICES
    assert (*files.FORMATS,) == verb.FORMATS and (*files.PRESETS,) == verb.PRESETS
    for preset in files.PRESETS.values():
        feature_options.FeatureOptions(**preset.options)


@pytest.mark.long
def test_files_hold_what_the_library_computes(command, videos, weights, tmp_path):
    words = (videos["two"], "--weights", weights["good"], "--output", tmp_path / "out", *WINDOWS)
    code, out, _ = command("features", *words)
    path = tmp_path / "out" / "two.npz"
    assert (code, out) == (0, f"{path}: 4 rows\n")
    expected = ki3d.extract_features(videos["two"], weights["good"], window=9, stride=4)
    with np.load(path) as archive:
        assert sorted(archive) == ["center", "end", "features", "metadata", "start"]
        for name in ("features", "start", "end", "center"):
            np.testing.assert_allclose(archive[name], getattr(expected, name), atol=1e-6)
    assert metadata_of(path) == expected.metadata
    assert {each.name for each in path.parent.iterdir()} == {"two.npz"}


def test_seconds_stand_for_frames(command, videos, weights, tmp_path):
    words = ("--weights", weights["good"], "--output", tmp_path, "--window", "0.9s")
    assert command("features", videos["two"], *words, "--stride", "0.4s")[0] == 0
    assert metadata_of(tmp_path / "two.npz")["window"] == {"frames": 9, "seconds": 0.9}


def test_a_folder_goes_past_a_broken_file_and_lists_it(
    command, tree, weights, tmp_path, monkeypatch
):
    monkeypatch.setattr(progress, "EVERY", 0)  # a line each time, as in a long run
    words = (tree, "--weights", weights["good"], "--output", tmp_path / "out", *WINDOWS)
    code, out, err = command("features", *words)
    assert code == 1
    assert [line.split(":")[0] for line in out.splitlines()] == [
        str(tmp_path / "out" / "b.npz"),
        str(tmp_path / "out" / "inside" / "a.npz"),
    ]
    (line,) = (line for line in err.splitlines() if line.startswith("kinetics-i3d: error: "))
    assert str(tree / "broken.mp4") in line
    assert re.search(r"0 of 3 videos, 4 windows of the next, \d+ frames/s", err)
    assert re.search(r"1 of 3 videos, \d+:\d\d left", err)


def test_a_folder_resumes_and_redoes_what_has_changed(command, tree, weights, tmp_path, videos):
    words = ("features", tree, "--weights", weights["good"], "--output", tmp_path / "out")
    command(*words, *WINDOWS)
    made = {name: tmp_path / "out" / f"{name}.npz" for name in ("b", "inside/a")}
    stamps = {name: path.stat().st_mtime_ns for name, path in made.items()}

    code, out, _ = command(*words, *WINDOWS)
    assert code == 1 and out.count("(kept)") == 2
    assert stamps == {name: path.stat().st_mtime_ns for name, path in made.items()}

    (tree / "b.mp4").write_bytes(videos["three"].read_bytes())
    made["inside/a"].write_bytes(made["inside/a"].read_bytes()[:500])
    code, out, _ = command(*words, *WINDOWS, "--json")
    results = {result["video"]: result for result in json.loads(out)}
    assert results[str(tree / "b.mp4")]["rows"] == 1 and results[str(tree / "b.mp4")]["made"]
    assert results[str(tree / "inside" / "a.mp4")]["made"]
    assert "error" in results[str(tree / "broken.mp4")]

    code, out, _ = command(*words, *WINDOWS, "--tail", "drop")
    assert "(kept)" not in out


@pytest.mark.long
def test_a_killed_run_is_completed_with_the_same_files(tree, weights, tmp_path, command):
    words = ["features", tree, "--weights", weights["good"], *WINDOWS]
    command(*words, "--output", tmp_path / "whole")
    script = (
        "import sys; sys.path.insert(0, sys.argv.pop(1))\n"
        "from short_network import register; register()\n"
        "from kinetics_i3d.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    tests = os.path.dirname(os.path.dirname(__file__))
    killed = [sys.executable, "-c", script, tests, *map(str, words), "--output"]
    run = subprocess.Popen([*killed, str(tmp_path / "out")], stdout=subprocess.PIPE, text=True)
    assert "b.npz" in run.stdout.readline()
    run.kill()
    run.communicate()
    code, out, _ = command(*words, "--output", tmp_path / "out")
    assert code == 1 and out.splitlines()[0].endswith("(kept)")
    for name in ("b.npz", "inside/a.npz"):
        first, second = (np.load(tmp_path / folder / name) for folder in ("whole", "out"))
        with first, second:
            np.testing.assert_allclose(first["features"], second["features"], atol=1e-5)
            assert str(first["metadata"]) == str(second["metadata"])


def test_no_video_at_all_is_exit_code_2(command, videos, weights, tmp_path):
    words = ("--weights", weights["good"], "--output", tmp_path)
    code, out, err = command("features", videos["text"], videos["missing"], *words)
    assert (code, out) == (2, "") and err.count("kinetics-i3d: error: ") == 2


def test_hdf5_and_npy_hold_the_same(command, videos, weights, tmp_path):
    words = ("features", videos["one"], "--weights", weights["good"], *WINDOWS)
    for name in ("npz", "npy", "hdf5"):
        assert command(*words, "--output", tmp_path, "--format", name)[0] == 0
        assert "(kept)" in command(*words, "--output", tmp_path, "--format", name)[1]
    with np.load(tmp_path / "one.npz") as archive, h5py.File(tmp_path / "one.h5") as file:
        beside = json.loads((tmp_path / "one.json").read_text())
        np.testing.assert_array_equal(np.load(tmp_path / "one.npy"), archive["features"])
        np.testing.assert_array_equal(file["features"], archive["features"])
        for name in ("start", "end", "center"):
            np.testing.assert_array_equal(file[name], archive[name])
            np.testing.assert_array_equal(beside.pop(name), archive[name])
        metadata = json.loads(str(archive["metadata"]))
        assert beside == json.loads(file.attrs["metadata"]) == metadata


def test_parquet_without_its_package_is_one_line(command, videos, weights, tmp_path, monkeypatch):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "pyarrow" else find_spec(name)
    )
    words = ("--weights", weights["good"], "--output", tmp_path, "--format", "parquet")
    code, out, err = command("features", videos["one"], *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "parquet files need the package pyarrow: pip install pyarrow" in err


def test_parquet_has_a_row_for_each_window(command, videos, weights, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    words = ("--weights", weights["good"], "--output", tmp_path, *WINDOWS, "--format", "parquet")
    assert command("features", videos["two"], *words)[0] == 0
    table = parquet.read_table(tmp_path / "two.parquet")
    expected = ki3d.extract_features(videos["two"], weights["good"], window=9, stride=4)
    assert table["start"].to_pylist() == expected.start.tolist()
    np.testing.assert_allclose(np.stack(table["features"].to_pylist()), expected.features)
    assert "(kept)" in command("features", videos["two"], *words)[1]


def test_video_features_files(command, tree, tmp_path, short, weights):
    """Names and shapes as that tool's `make_path` and `extract` give them."""
    words = ("--weights", weights["good"], "--output", tmp_path / "out")
    chosen = ("--preset", "video_features", "--window", "9")
    assert command("features", tree, *words, *chosen, "--stride", "9")[0] == 1
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(
        f"{name}{end}"
        for name in ("a", "b")
        for end in (".json", "_fps.npy", "_rgb.npy", "_timestamps_ms.npy")
    )
    arrays = {
        name: np.load(tmp_path / "out" / f"b_{name}.npy")
        for name in ("rgb", "fps", "timestamps_ms")
    }
    assert arrays["rgb"].shape == (2, 256) and arrays["fps"] == 10
    assert json.loads((tmp_path / "out" / "b.json").read_text())["endpoint"] == "AvgPool_0a_7x7"
    # The frame after the window.
    assert arrays["timestamps_ms"].tolist() == pytest.approx([900, 1800])
    # A file of another run beside metadata that is no longer there is not kept.
    (tmp_path / "out" / "b.json").unlink()
    out = command("features", tree, *words, *chosen, "--stride", "9")[1]
    assert [line.endswith("(kept)") for line in out.splitlines()] == [False, True]


def test_each_stream_has_a_file_in_the_layout_of_video_features(tmp_path):
    features = feature_options.Features(
        np.arange(12, dtype=np.float32).reshape(2, 6),
        *(np.array([0.0, 1.0]),) * 3,
        {
            "key": "k",
            "rows": 2,
            "axes": ["window", "channel"],
            "channels": {"rgb": 4, "flow": 2},
            "clip_specs": {"rgb": {"fps": 25}, "flow": {"fps": 25}},
        },
    )
    layout = files._Files("npy", files.PRESETS["video_features"])
    layout.write(tmp_path / "v", features)
    assert np.load(tmp_path / "v_rgb.npy").tolist() == [[0, 1, 2, 3], [6, 7, 8, 9]]
    assert np.load(tmp_path / "v_flow.npy").tolist() == [[4, 5], [10, 11]]
    assert layout.rows(tmp_path / "v", "k", ("rgb", "flow")) == 2
    assert layout.rows(tmp_path / "v", "another", ("rgb", "flow")) is None


def test_files_that_were_half_overwritten_are_not_kept(tmp_path, monkeypatch):
    metadata = {
        "key": "old",
        "rows": 1,
        "axes": ["window", "channel"],
        "channels": {"rgb": 2, "flow": 2},
        "clip_specs": {"rgb": {"fps": 25}, "flow": {"fps": 25}},
    }
    times = (np.zeros(1),) * 3
    layout = files._Files("npy", files.PRESETS["video_features"])
    layout.write(tmp_path / "v", feature_options.Features(np.zeros((1, 4)), *times, metadata))
    assert layout.rows(tmp_path / "v", "old", ("rgb", "flow")) == 1
    plain, calls = np.lib.format.write_array, []

    def full(*arguments, **options):
        calls.append(arguments)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        plain(*arguments, **options)

    monkeypatch.setattr(np.lib.format, "write_array", full)
    metadata = {**metadata, "key": "new"}
    with pytest.raises(OSError, match="No space"):
        layout.write(tmp_path / "v", feature_options.Features(np.ones((1, 4)), *times, metadata))
    assert layout.rows(tmp_path / "v", "old", ("rgb", "flow")) is None


def test_rtfm_files_load_as_its_dataset_loads_them(command, videos, weights, tmp_path):
    words = ("--weights", weights["good"], "--output", tmp_path, "--preset", "rtfm")
    assert command("features", videos["two"], *words)[0] == 0
    array = np.array(np.load(tmp_path / "two.npy", allow_pickle=True), dtype=np.float32)
    assert array.transpose(1, 0, 2).shape == (10, 1, 256)  # dataset.py: crops, segments, channels


@pytest.mark.parametrize("tool", ["actionformer", "opentad"])
def test_thumos_files_load_as_the_datasets_load_them(command, tmp_path, weights, tool):
    """At 12 frames a second: `thumos14.py`, and `loading.py` with `padding_dataset.py`."""
    path = tmp_path / "video_validation_0000001.mp4"
    frames = np.random.default_rng(0).integers(0, 256, (24, 48, 64, 3), np.uint8)
    ki3d.write_video(path, frames, fps=12)
    words = ("--weights", weights["good"], "--output", tmp_path, "--preset", f"{tool}_thumos")
    assert command("features", path, *words)[0] == 0
    array = np.load(path.with_suffix(".npy")).astype(np.float32)
    assert array.transpose().shape == (256, 3)  # frames 0 to 15, 4 to 19, 8 to 23
    # Both put an annotated second s at row s * fps / stride - half a window / stride.
    center = np.array(json.loads(path.with_suffix(".json").read_text())["center"])
    np.testing.assert_allclose(center * 12 / 4 - 8 / 4, [0, 1, 2], atol=1e-6)


@pytest.mark.parametrize(("name", "fps"), [("actionformer_anet", 25), ("opentad_anet", 15)])
def test_activitynet_rows_are_at_the_rate_of_the_configuration(
    command, videos, weights, tmp_path, name, fps
):
    words = ("--weights", weights["good"], "--output", tmp_path, "--preset", name)
    assert command("features", videos["two"], *words)[0] == 0
    array = np.load(tmp_path / "two.npy")
    assert array.shape == (1 + (2 * fps - 16) // 16, 256)  # of two seconds
    center = np.array(json.loads((tmp_path / "two.json").read_text())["center"])
    np.testing.assert_allclose(center, (np.arange(len(array)) * 16 + 8) / fps, atol=1 / fps)


@pytest.mark.long
def test_mstcn_files_load_as_its_batch_generator_loads_them(command, videos, weights, tmp_path):
    words = ("features", videos["two"], "--weights", weights["good"], "--output", tmp_path)
    assert command(*words, "--preset", "mstcn")[0] == 0
    array = np.load(tmp_path / "two.npy")
    labels = ["kick"] * 20  # a line for each frame in groundTruth/two.txt
    assert min(np.shape(array)[1], len(labels)) == 20
    assert array[:, ::2].shape == (256, 10)  # sample_rate of 50salads
    about = json.loads((tmp_path / "two.json").read_text())
    assert about["axes"] == ["channel", "window"] and about["window"]["frames"] == 21
    np.testing.assert_allclose(about["center"], (np.arange(20) + 0.5) / 10)
    expected = ki3d.extract_features(
        videos["two"],
        weights["good"],
        endpoint="AvgPool_0a_7x7",
        window=21,
        stride=1,
        align="center",
    )
    np.testing.assert_allclose(array.T, expected.features, atol=1e-6)
    assert "(kept)" in command(*words, "--preset", "mstcn")[1]
    options = ("--endpoint", "AvgPool_0a_7x7", "--window", "21", "--stride", "1")
    options = (*options, "--align", "center", "--fps", "source", "--format", "npy")
    assert "(kept)" not in command(*words, *options)[1]  # the same numbers, (windows, channels)
    assert np.load(tmp_path / "two.npy").shape == (20, 256)


def test_sign_language_files_have_a_row_for_each_window_of_16(command, videos, weights, tmp_path):
    """As `sliding_windows` of BSL-1K's demo counts them, at 25 frames a second."""
    words = ("--weights", weights["good"], "--output", tmp_path, "--preset", "sign_language")
    assert command("features", videos["two"], videos["three"], *words)[0] == 0
    for name, frames in (("two", 50), ("three", 16)):  # 2 s; 0.5 s, padded
        about = json.loads((tmp_path / f"{name}.json").read_text())
        rows = -(-(frames - 16) // 1) + 1
        assert np.load(tmp_path / f"{name}.npy").shape == (rows, 256)
        assert about["end"][-1] == pytest.approx(2 if name == "two" else 0.5)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--preset", "video_feature"), "--preset: invalid choice: 'video_feature'"),
        (("--endpoint", "Mixed_5d"), "--endpoint must name an activation"),
        (("--window", "a while"), "--window must be a whole number of frames"),
        (("--fps", "fast"), "--fps must be a number above 0, 'source' or None"),
        (("--align", "end"), "--align: invalid choice: 'end'"),
        (("--format", "csv"), "--format: invalid choice: 'csv'"),
        (("--preset", "rtfm", "--format", "npz"), "--format must be 'npy' for --preset rtfm"),
        (("--streams", "rgb,flow"), "reads rgb, must read rgb and flow"),
    ],
)
def test_wrong_options_are_one_line_and_no_file(command, videos, weights, tmp_path, words, message):
    output = tmp_path / "out"
    code, out, err = command(
        "features", videos["one"], "--weights", weights["good"], "--output", output, *words
    )
    assert (code, out, err.count("\n")) == (2, "", 1) and message in err
    assert not output.exists()


def test_a_second_run_on_a_folder_is_one_line(command, videos, weights, tmp_path):
    words = ("features", videos["one"], "--weights", weights["good"], "--output", tmp_path)
    with locked(tmp_path / files.LOCK):
        code, out, err = command(*words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "another run writes features there" in err
    assert command(*words)[0] == 0


def test_a_full_disk_is_one_line_and_keeps_what_was_made(
    command, tree, weights, tmp_path, monkeypatch
):
    plain, calls = files._write_npz, []

    def full(path, *rest):
        calls.append(path)
        if len(calls) > 1:
            raise OSError(28, "No space left on device", str(path))
        plain(path, *rest)

    monkeypatch.setattr(files, "_write_npz", full)
    words = ("features", tree, "--weights", weights["good"], "--output", tmp_path / "out")
    code, _, err = command(*words, *WINDOWS)
    assert (code, err.count("\n")) == (2, 1) and "No space left on device" in err
    assert [path.name for path in (tmp_path / "out").rglob("*.npz")] == ["b.npz"]
    monkeypatch.setattr(files, "_write_npz", plain)
    assert command(*words, *WINDOWS)[1].splitlines()[0].endswith("(kept)")


def test_videos_of_one_stem_keep_their_suffix(tmp_path):
    videos = ["v/a.mp4", "v/a.avi", "v/b.mp4", "v/b.mp4#t=1,2"]
    jobs = files.feature_jobs([("v", videos)], tmp_path)
    assert [job.path.name for job in jobs] == ["a.mp4", "a.avi", "b", "b.1-2s"]
    with pytest.raises(files.UserError, match=r"would hold the features of"):
        files.feature_jobs([("v", ["v/1/a.mp4", "v/2/a.mp4"])], tmp_path, one_folder=True)


def test_decoding_is_ahead_of_the_network(videos, weights, tmp_path):
    extractor = library.FeatureExtractor(weights["good"], feature_options.FeatureOptions(window=9))
    events = []

    class Slow:
        specs, view_count = extractor.specs, extractor.view_count
        describe, finish = extractor.describe, extractor.finish

        def batches(self, video):
            events.append(("decode", video))
            yield from extractor.batches(video)

        def predict(self, clips):
            deadline = time.monotonic() + 30
            while len({*events}) < 2 and time.monotonic() < deadline:
                time.sleep(0.01)
            return extractor.predict(clips)

    jobs = files.feature_jobs([(videos["folder"], [videos["one"], videos["two"]])], tmp_path)
    results = files.write_feature_files(jobs, Slow(), output=tmp_path)
    assert next(results).made
    assert [video for _, video in events] == [str(videos["one"]), str(videos["two"])]
    assert [result.made for result in results] == [True]


def test_the_extractor_options_are_the_arguments_of_the_function():
    import inspect

    fields = {
        field.name: field.default for field in dataclasses.fields(feature_options.FeatureOptions)
    }
    parameters = inspect.signature(ki3d.extract_features).parameters
    assert fields == {name: parameters[name].default for name in list(parameters)[2:]}
