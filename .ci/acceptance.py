"""What a release must do, end to end: learn figures from scratch, and classify real videos."""

import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import kinetics_i3d as ki3d

# Two of the five, sit_down and stand_up, differ in motion alone.
LEARNED = ("bow", "jump", "run", "sit_down", "stand_up")
CHANCE = 1 / len(LEARNED)
SHARED = pathlib.Path(__file__).resolve().parents[2] / "shared"


def learn_figures(folder):
    """Trains the small network for minutes; on unseen worlds it must be far better than chance."""
    table = ki3d.write_figures(
        folder / "videos", train_per_action=40, test_per_action=8, size=(96, 128), workers=2
    )
    dataset = ki3d.open_dataset(table)
    chosen = tuple(video for video in dataset.videos if video.label in LEARNED)
    dataset = dataclasses.replace(dataset, labels=LEARNED, videos=chosen)
    config = ki3d.config_from_recipe(
        "figures",
        fps=8.0,
        frames=20,
        test_short_side=90,
        area=(0.8, 1.0),
        color=False,
        epochs=24,
        batch_size=8,
        batch_norm_momentum=0.9,
    )
    start = time.perf_counter()
    model = ki3d.train(dataset, config, folder / "run")
    seconds = time.perf_counter() - start
    summary = ki3d.evaluate(model, dataset.split("test")).summary()
    print(f"figures: {seconds:.0f} s of training, {summary} (chance {CHANCE:.2f})", flush=True)
    assert summary["top1"] >= 2.5 * CHANCE, "the network did not learn"


def classify(videos):
    """Runs the command on videos; returns its answers and its exit code."""
    command = [sys.executable, "-m", "kinetics_i3d", "classify", "--json", *map(str, videos)]
    process = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    return json.loads(process.stdout), process.returncode


def classify_real_videos():
    """Real videos get labels, and of a folder with a corrupt video only that one fails."""
    clips = sorted(file for file in (SHARED / "clips").glob("*.*") if file.suffix != ".gif")
    answers, code = classify(clips)
    assert code == 0, answers
    for answer in answers:
        best = answer["predictions"][0]
        print(f"{pathlib.Path(answer['path']).name}: {best['label']} {best['probability']:.2f}")
        assert 0 < best["probability"] <= 1
    awkward = sorted((SHARED / "clips" / "awkward").iterdir())
    answers, _ = classify(awkward)
    assert [answer["path"] for answer in answers] == [str(path) for path in awkward]
    failed = [answer for answer in answers if "error" in answer]
    assert len(failed) <= 1, failed
    assert all(answer["path"] in answer["error"] for answer in failed), failed


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        learn_figures(pathlib.Path(folder))
    if SHARED.is_dir():
        classify_real_videos()
    else:
        print(f"real videos: skipped, {SHARED} is absent")
