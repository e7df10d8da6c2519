"""`kinetics-i3d flow`: whole trees, killed runs, several at once, and what cannot be read."""

import dataclasses
import errno
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from concurrent import futures

import numpy as np
import pytest

from kinetics_i3d.cli import flow
from kinetics_i3d.core.clip_spec import DEEPMIND_FLOW, SPECS
from kinetics_i3d.flow import compute
from kinetics_i3d.flow import tree as flow_tree
from kinetics_i3d.flow import visualization as flow_shown
from kinetics_i3d.flow.cache import open_flow, write_flow_file
from kinetics_i3d.flow.settings import TVL1, FlowSettings
from kinetics_i3d.flow.stored import open_stored
from kinetics_i3d.flow.visualization import beside_frame
from kinetics_i3d.video.reader import read_frames
from kinetics_i3d.video.writer import write_video
from kinetics_i3d.weights.catalog import CATALOG

pytest.importorskip("cv2", reason="needs OpenCV, an extra")

QUICK = ("--method", "farneback")
FAST = FlowSettings("farneback")
PROGRESS = re.compile(r"\d+ of 24 videos(, \d+ flows of the next)?(, [\d:]+ left)?")


def sliding(frames, seed):
    """Frames of 32 x 40 coarse noise that slides to the right by two pixels a frame."""
    noise = np.random.default_rng(seed).integers(0, 256, (8, 40, 3), np.uint8)
    picture = np.kron(noise, np.ones((4, 4, 1), np.uint8))
    return [np.roll(picture, 2 * k, 1)[:, :40] for k in range(frames)]


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    """A folder of three videos, one of them in a folder inside."""
    folder = tmp_path_factory.mktemp("originals")
    for seed, (name, frames) in enumerate((("b.mp4", 4), ("a.avi", 3), ("in/c.MKV", 1))):
        (folder / name).parent.mkdir(exist_ok=True)
        write_video(folder / name, sliding(frames, seed), fps=25)
    return folder


@pytest.fixture
def tree(originals, tmp_path):
    return shutil.copytree(originals, tmp_path / "tree")


def contents(folder):
    """{name inside the folder: bytes} of all files."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_each_video_of_a_tree_gets_a_file_beside_it(command, tree, originals):
    (tree / "notes.txt").write_text("no video")
    (tree / "._a.avi").write_bytes(b"what macOS leaves")
    (tree / ".old").mkdir()
    shutil.copy(tree / "b.mp4", tree / ".old" / "b.mp4")
    before = contents(tree)
    names = ["a.avi", "b.mp4", "in/c.MKV"]
    code, out, err = command("flow", tree, *QUICK)
    assert (code, err) == (0, "")
    assert out.splitlines() == [f"{tree / name}.flow.npz" for name in names]
    made = contents(tree)
    assert made.keys() - before.keys() == {f"{name}.flow.npz" for name in names}
    for name, flows in zip(names, (2, 3, 0), strict=True):
        with open_flow(f"{tree / name}.flow.npz", video=tree / name, settings=FAST) as file:
            assert len(file) == flows and file.info.size == (256, 320)
    # Again: nothing is done, and the same is printed.
    stamps = {name: (tree / name).stat().st_mtime_ns for name in made}
    assert command("flow", tree, *QUICK) == (0, out, "")
    assert contents(tree) == made
    assert {name: (tree / name).stat().st_mtime_ns for name in made} == stamps


def test_another_root_mirrors_the_tree(command, tree, tmp_path):
    out = tmp_path / "out"
    before = contents(tree)
    code, printed, _ = command("flow", tree, tree / "b.mp4", "--output", out, *QUICK)
    # The single file stands in no folder of its own, so it goes where the tree's goes: once.
    assert code == 0 and len(printed.splitlines()) == 3
    assert contents(out).keys() == {"a.avi.flow.npz", "b.mp4.flow.npz", "in/c.MKV.flow.npz"}
    assert contents(tree) == before


def test_two_videos_for_one_file_are_the_user_s_mistake(command, tree, tmp_path):
    other = shutil.copytree(tree, tmp_path / "other")
    code, out, err = command("flow", tree, other, "--output", tmp_path / "out", *QUICK)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert f"a.avi.flow.npz: would be the flow of {tree / 'a.avi'} and of {other / 'a.avi'}" in err
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_options_reach_the_file(command, tree, tmp_path, monkeypatch):
    plain, threads = compute._stream, []

    def counted(grays, program, workers):
        threads.append(workers)
        return plain(grays, program, workers)

    monkeypatch.setattr(compute, "_stream", counted)
    path = tree / "b.mp4.flow.npz"
    words = ("--fast", "--bound", 7.5, "--rounding", "truncate", "--spec", "fvd", "--workers", 1)
    assert command("flow", tree / "b.mp4", *words, "--backend", "opencv")[0] == 0
    assert threads == [1]
    with open_flow(path) as file:
        assert file.info.settings == FlowSettings(
            parameters=TVL1.fast(), backend="opencv", bound=7.5, rounding="truncate"
        )
        assert file.info.size == (224, 224) and file.info.reading["resize"] == "stretch"
    write_flow_file(tree / "b.mp4", tmp_path / "by_hand.npz", settings=FAST)
    assert command("flow", tree / "b.mp4", *QUICK, "--replace")[0] == 0
    assert path.read_bytes() == (tmp_path / "by_hand.npz").read_bytes()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--method", "dis", "--fast"), "--fast is for --method tvl1 only"),
        (("--method", "dis", "--backend", "numba"), "--backend must be None or one of ('opencv',)"),
        (("--bound", "0"), "--bound must be a number of pixels above 0"),
        (("--workers", "0"), "must be 1 or more, not 0"),
        (("--spec", "none"), "invalid choice: 'none'"),
    ],
)
def test_mistakes_are_one_line_before_any_work(command, tree, words, message):
    before = contents(tree)
    code, out, err = command("flow", tree, *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err and contents(tree) == before


def test_a_folder_without_videos_and_a_missing_path(command, tmp_path):
    (tmp_path / "empty").mkdir()
    code, out, err = command("flow", tmp_path / "empty")
    assert (code, out, err.count("\n")) == (2, "", 1) and "no video in this folder" in err
    code, out, err = command("flow", tmp_path / "none" / "x.mp4", *QUICK)
    assert (code, out, err.count("\n")) == (2, "", 1) and "x.mp4: there is no such file" in err
    assert not (tmp_path / "none").exists()


def test_bad_videos_are_reported_at_the_end_and_the_others_done(command, tree):
    (tree / "0.mp4").touch()
    (tree / "aa.mp4").write_text("no video\n" * 99)
    (tree / "in" / "thin.mp4").write_bytes((tree / "b.mp4").read_bytes()[:600])
    code, out, err = command("flow", tree, *QUICK)
    bad = ["0.mp4", "aa.mp4", "in/thin.mp4"]
    assert code == 1
    assert [line.split(": ")[2] for line in err.splitlines()] == [str(tree / name) for name in bad]
    assert len(out.splitlines()) == 3
    assert len(list(tree.rglob("*.npz"))) == 3 and not list(tree.rglob(".*"))
    code, out, err = command("flow", tree, *QUICK, "--json")
    results = {result["video"]: result for result in json.loads(out)}
    assert code == 1 and err.count("\n") == 3 and len(results) == 6
    assert all(str(tree / name) in results[str(tree / name)]["error"] for name in bad)
    assert results[str(tree / "b.mp4")] == {
        "video": str(tree / "b.mp4"),
        "path": str(tree / "b.mp4.flow.npz"),
        "flows": 3,
        "made": False,
    }
    code, out, err = command("flow", *(tree / name for name in bad), *QUICK)
    assert (code, out, err.count("\n")) == (2, "", 3)


def test_what_other_settings_made_is_kept_and_reported(command, tree):
    assert command("flow", tree, *QUICK)[0] == 0
    before = contents(tree)
    code, out, err = command("flow", tree, *QUICK, "--bound", "10")
    assert (code, out, err.count("\n")) == (2, "", 3)
    assert f"{tree / 'a.avi.flow.npz'}: bound is 20.0, requested is 10.0; replace it (-" in err
    assert contents(tree) == before
    assert command("flow", tree, *QUICK, "--bound", "10", "--replace")[0] == 0
    with open_flow(tree / "a.avi.flow.npz") as file:
        assert file.info.settings.bound == 10


def test_flow_for_several_specs_lies_side_by_side(command, tree):
    video = tree / "b.mp4"
    assert command("flow", video, *QUICK)[0] == 0
    usual = (tree / "b.mp4.flow.npz").read_bytes()
    code, out, _ = command("flow", video, *QUICK, "--spec", "fvd")
    assert (code, out) == (0, f"{video}.25fps_224px_stretch.flow.npz\n")
    code, out, _ = command("flow", video, *QUICK, "--weights", "kinetics_jhmdb")
    assert (code, out) == (0, f"{video}.25fps_208px.flow.npz\n")
    assert (tree / "b.mp4.flow.npz").read_bytes() == usual
    before = contents(tree)
    for words in (("--spec", "fvd"), ("--weights", "flow_kinetics_jhmdb"), ()):
        code, out, _ = command("flow", video, *QUICK, *words, "--json")
        assert code == 0 and not json.loads(out)[0]["made"]
    assert contents(tree) == before
    small = CATALOG["flow_kinetics_jhmdb"].clip_spec
    for spec, size in ((DEEPMIND_FLOW, 256), (small, 208), (SPECS["fvd"], 224)):
        with open_stored(video, spec=spec) as stored:
            assert min(stored.info.size) == size and len(stored) == 3
    assert open_stored(video, spec=dataclasses.replace(small, short_side=64, size=64)) is None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--weights", "rgb_figures"), "--weights must name weights that read flow. Received: rgb"),
        (("--weights", "rgb_figure"), "did you mean rgb_figures"),
        (("--weights", "rgb_figures", "--spec", "fvd"), "not allowed with argument"),
    ],
)
def test_weights_without_flow_have_no_flow_spec(command, tree, words, message):
    code, out, err = command("flow", tree, *words)
    assert (code, out, err.count("\n")) == (2, "", 1) and message in err


def test_flow_of_patterns_lists_tables_and_spans(command, tree, tmp_path):
    (tree / "t.csv").write_text(
        "path,label,split,start,end\nb.mp4,x,train,0,0.12\nin/c.MKV,x,test,,\n"
    )
    (tree / "train.txt").write_text("a.avi 0\n")
    (tree / "labels.txt").write_text("x\n")
    code, out, _ = command("flow", tree / "t.csv", tree / "train.txt", *QUICK)
    names = ["b.mp4.0-0.12s", "in/c.MKV", "a.avi"]
    assert code == 0 and out.splitlines() == [f"{tree / name}.flow.npz" for name in names]
    with open_stored(f"{tree / 'b.mp4'}#t=0,0.12", spec=DEEPMIND_FLOW) as stored:
        assert len(stored) == 2
    code, out, _ = command(
        "flow", f"{tree}/**/*.[ma][pv][4i]", *QUICK, "--output", tmp_path / "out"
    )
    assert code == 0 and {*contents(tmp_path / "out")} == {"a.avi.flow.npz", "b.mp4.flow.npz"}
    code, _, err = command("flow", f"{tree}/*.webm", *QUICK)
    assert code == 2 and "no video matches this pattern" in err


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "text", "another video"])
def test_damaged_and_outdated_files_are_made_anew(command, tree, damage):
    assert command("flow", tree, *QUICK)[0] == 0
    path = tree / "b.mp4.flow.npz"
    good, data = path.read_bytes(), bytearray(path.read_bytes())
    kept = (tree / "a.avi.flow.npz").stat().st_mtime_ns
    if damage == "cut":
        path.write_bytes(data[:-1])
    elif damage == "flip":
        data[len(data) // 2] ^= 4
        path.write_bytes(data)
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "text":
        path.write_text("flow")
    else:
        shutil.copy(tree / "a.avi.flow.npz", path)
    code, out, err = command("flow", tree, *QUICK, "--json")
    assert (code, err) == (0, "")
    assert [result["made"] for result in json.loads(out)] == [False, True, False]
    assert path.read_bytes() == good
    assert (tree / "a.avi.flow.npz").stat().st_mtime_ns == kept


def test_a_video_that_another_process_works_on_comes_last(tree):
    first, *others = flow_tree.flow_jobs([(tree, [tree / "b.mp4", tree / "a.avi"])])
    results = flow_tree.make_flow([first, *others], settings=FAST)
    with futures.ThreadPoolExecutor(1) as pool, flow_tree.locked_path(first.path):
        done = [pool.submit(next, results).result(timeout=60)]
    done += results
    assert [(result.job, result.made) for result in done] == [(*others, True), (first, True)]


def test_what_another_process_made_in_the_meantime_is_kept(command, tree, monkeypatch):
    plain = flow_tree.locked_path

    def late(path, *, wait):
        write_flow_file(path.with_name(path.name.removesuffix(".flow.npz")), settings=FAST)
        return plain(path, wait=wait)

    monkeypatch.setattr(flow_tree, "locked_path", late)
    code, out, _ = command("flow", tree, *QUICK, "--json")
    assert code == 0 and [result["made"] for result in json.loads(out)] == [False] * 3
    assert len(list(tree.rglob("*.npz"))) == 3 and not list(tree.rglob(".*"))


def test_a_full_disk_stops_the_run(command, tree, monkeypatch):
    tried = []

    def full(video, file, **_):
        tried.append(video)
        file.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device", str(file))

    monkeypatch.setattr(flow_tree, "write_flows", full)
    before = contents(tree)
    code, out, err = command("flow", tree, *QUICK)
    assert (code, out, err.count("\n")) == (2, "", 1) and "No space left" in err
    assert len(tried) == 1 and contents(tree) == before

    def denied(video, file, **_):
        raise OSError(errno.EACCES, "Permission denied", str(file))

    monkeypatch.setattr(flow_tree, "write_flows", denied)
    code, out, err = command("flow", tree, *QUICK)
    assert (code, out, err.count("\n")) == (2, "", 3) and "b.mp4.flow.npz: Permission denied" in err
    assert contents(tree) == before


def test_shown_videos_have_the_frames_beside_their_flow(command, tree, tmp_path, monkeypatch):
    shown = tmp_path / "shown"
    code, out, err = command("flow", tree, *QUICK, "--show", shown)
    assert (code, err) == (0, "") and len(out.splitlines()) == 3
    assert contents(shown).keys() == {"a.avi.flow.mp4", "b.mp4.flow.mp4"}  # c has one frame
    pictures = list(read_frames(shown / "b.mp4.flow.mp4"))
    frames = list(read_frames(tree / "b.mp4", fps=25, short_side=256))
    assert len(pictures) == len(frames) - 1 and pictures[0].shape == (256, 640, 3)
    again = tmp_path / "again.mp4"
    longest = flow_shown.show_flow(tree / "b.mp4", tree / "b.mp4.flow.npz", again)
    assert again.read_bytes() == (shown / "b.mp4.flow.mp4").read_bytes()
    with open_flow(tree / "b.mp4.flow.npz") as file:
        flows = file.pixels()
    # Two of 40 pixels a frame are 16 of 320, all to the right: red.
    assert longest == pytest.approx(
        np.percentile(np.hypot(*flows.transpose(3, 0, 1, 2)), 99.5), abs=0.05
    )
    for picture, frame, pixels in zip(pictures, frames, flows, strict=False):
        expected = beside_frame(frame, pixels, longest=longest).astype(int)
        assert np.abs(picture - expected).mean() < 8
    # They are there, so they are not drawn again; and no videos to compute flow of.
    monkeypatch.setattr(flow_shown, "show_flow", None)
    assert command("flow", tree, *QUICK, "--show", shown)[0] == 0
    shutil.copytree(shown, tree / "shown")
    assert len(command("flow", tree, *QUICK)[1].splitlines()) == 3


def test_pictures_are_in_a_folder_of_each_video(command, tree, tmp_path):
    part = f"{tree / 'b.mp4'}#t=0,0.12"
    words = ("flow", tree, part, *QUICK, "--pictures", tmp_path / "pictures")
    assert command(*words)[0] == 0
    counts = {"a": 2, "b": 3, "b.0-0.12s": 2}  # c has one frame
    folders = {path.name: path for path in (tmp_path / "pictures").iterdir()}
    assert {name: len(list(path.glob("flow_x_*"))) for name, path in folders.items()} == counts
    before = contents(tmp_path / "pictures")
    assert command(*words)[0] == 0 and contents(tmp_path / "pictures") == before
    (tmp_path / "others" / "b").mkdir(parents=True)
    (tmp_path / "others" / "b" / "notes.txt").touch()
    code, _, err = command("flow", tree / "b.mp4", *QUICK, "--pictures", tmp_path / "others")
    assert code == 2 and "others/b: holds other files; choose another folder" in err
    code, _, err = command(*words, "--bound", "10", "--replace")
    assert (
        code == 1
        and "pictures/b: is older than" in err
        and "delete it and repeat the command" in err
    )
    assert contents(tmp_path / "pictures") == before


def test_another_spelling_of_a_video_is_the_same_video(command, tree, tmp_path, monkeypatch):
    monkeypatch.chdir(tree)
    words = ("flow", "b.mp4", "./b.mp4", tree / "b.mp4", *QUICK, "--pictures", tmp_path / "made")
    code, out, err = command(*words)
    assert (code, len(out.splitlines())) == (0, 1), err
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["b"]
    # The same video of another folder: two flow files, and one folder of pictures.
    words = ("flow", tree / "in", tree, *QUICK, "--output", tmp_path / "flow", "--pictures")
    code, _, err = command(*words, tmp_path / "both")
    assert code == 0, err
    assert len([*(tmp_path / "both").glob("**/flow_x_00001.jpg")]) == 2


@pytest.mark.parametrize("option", ["--pictures", "--show"])
def test_two_videos_for_one_output_are_refused_before_the_work(command, tree, tmp_path, option):
    other = shutil.copytree(tree, tmp_path / "other")
    before = contents(tree)
    code, out, err = command("flow", tree, other, *QUICK, option, tmp_path / "made")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "a" in err and "the flow of" in err and "give each its own" in err
    assert contents(tree) == before and not (tmp_path / "made").exists()


def test_a_single_frame_is_not_shown(tree, tmp_path):
    video = tree / "in" / "c.MKV"
    write_flow_file(video, settings=FAST)
    shown = tmp_path / "shown.mp4"
    assert flow_shown.show_flow(video, f"{video}.flow.npz", shown) is None and not shown.exists()


def test_what_stands_still_is_shown_white(tmp_path):
    still = np.random.default_rng(0).integers(0, 256, (32, 40, 3), np.uint8)
    write_video(tmp_path / "still.mp4", [still] * 3, fps=25)
    write_flow_file(tmp_path / "still.mp4", tmp_path / "still.npz", settings=FAST)
    path = tmp_path / "shown.mp4"
    assert flow_shown.show_flow(tmp_path / "still.mp4", tmp_path / "still.npz", path) == 1
    picture = next(read_frames(path))
    assert picture[:128, 320:].min() > 250


def test_progress_counts_videos_and_the_flows_of_one(capsys, monkeypatch):
    monkeypatch.setattr("kinetics_i3d.core.progress.EVERY", -1)
    progress = flow.FlowProgress(["a", "b"])
    progress.flows(7)
    progress(1)
    progress.close()
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "0 of 2 videos, 7 flows of the next"
    assert lines[1].startswith("1 of 2 videos, ") and "flows" not in lines[1]
    progress = flow.FlowProgress(["a"])
    progress.flows(7)
    progress(1)
    progress.close()
    assert capsys.readouterr().err.splitlines() == ["7 flows"]


def start(tree, out):
    """The command as a process of its own."""
    words = [sys.executable, "-m", "kinetics_i3d", "flow", tree, "--output", out, *QUICK]
    return subprocess.Popen(
        [str(word) for word in words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def complaints(err):
    """The lines of stderr without those of the progress, which slow machines show."""
    return [line for line in err.splitlines() if not PROGRESS.fullmatch(line)]


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """A tree of 24 videos in four folders, and what an uninterrupted run makes of it."""
    folder = tmp_path_factory.mktemp("many")
    for k in range(24):
        path = folder / "tree" / f"class_{k % 4}" / f"{k}.mp4"
        write_video(path, sliding(8 + k % 5, k), fps=25)
    with start(folder / "tree", folder / "whole") as done:
        out, err = done.communicate(timeout=400)
    assert (done.returncode, complaints(err), len(out.splitlines())) == (0, [], 24)
    wanted = contents(folder / "whole")
    assert len(wanted) == 24
    return folder / "tree", wanted


@pytest.mark.long
def test_killed_runs_leave_nothing_wrong_and_are_finished_by_the_next(many, tmp_path):
    tree, wanted = many
    out, chance, killed, seen = tmp_path / "out", random.Random(0), 0, {}
    out.mkdir()
    for _ in range(10):
        with start(tree, out) as run:
            # Until it has done some more, and then anywhere in what comes next.
            enough = len(seen) + chance.randrange(3)
            deadline = time.monotonic() + 60
            while run.poll() is None and time.monotonic() < deadline:
                if len(list(out.rglob("*.npz"))) >= enough and list(out.rglob(".*.part")):
                    break
                time.sleep(0.002)
            time.sleep(chance.uniform(0, 0.2))
            killed += run.poll() is None
            run.send_signal(signal.SIGKILL)
            run.communicate()
        files = contents(out)
        finished = {name: data for name, data in files.items() if name.endswith(".npz")}
        assert finished.items() <= wanted.items()
        assert finished.items() >= seen.items()  # nothing is lost
        assert all(name.endswith((".part", ".lock")) for name in files.keys() - finished.keys())
        seen = finished
    assert killed >= 8 and 0 < len(seen) < 24
    with start(tree, out) as last:
        printed, err = last.communicate(timeout=400)
    assert (last.returncode, complaints(err), len(printed.splitlines())) == (0, [], 24)
    assert contents(out) == wanted


@pytest.mark.long
def test_two_at_once_share_the_work(many, tmp_path):
    tree, wanted = many
    out = tmp_path / "out"
    made = []
    words = [sys.executable, "-m", "kinetics_i3d", "flow", tree, "--output", out, *QUICK, "--json"]
    runs = [
        subprocess.Popen([str(word) for word in words], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for run in runs:
        printed, _ = run.communicate(timeout=400)
        assert run.returncode == 0
        results = json.loads(printed)
        assert len(results) == 24
        made.append({result["video"] for result in results if result["made"]})
    assert not made[0] & made[1] and len(made[0] | made[1]) == 24
    assert min(map(len, made)) > 2
    assert contents(out) == wanted


@pytest.mark.long
@pytest.mark.slow
def test_a_video_that_a_killed_process_had_is_waited_for_and_done(many, tmp_path):
    tree, wanted = many
    source = tree / "class_0"
    out = tmp_path / "out"
    out.mkdir()
    hold = (
        "import sys, time\nfrom kinetics_i3d.core.locks import locked_path\n"
        "with locked_path(sys.argv[1]):\n    print('locked', flush=True)\n    time.sleep(60)\n"
    )
    holder = [sys.executable, "-c", hold, str(out / "4.mp4.flow.npz")]
    with subprocess.Popen(holder, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "locked\n"
        with start(source, out) as run:
            deadline = time.monotonic() + 60
            while len(list(out.glob("*.npz"))) < 5 and time.monotonic() < deadline:
                time.sleep(0.01)
            assert len(list(out.glob("*.npz"))) == 5
            time.sleep(0.2)
            assert run.poll() is None
            other.kill()
            printed, _ = run.communicate(timeout=400)
    assert run.returncode == 0 and printed.splitlines()[-1] == str(out / "4.mp4.flow.npz")
    assert contents(out) == {
        os.path.basename(name): data for name, data in wanted.items() if name.startswith("class_0")
    }
