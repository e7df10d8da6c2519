"""TensorFlow 2.15, Keras 2, tensorflow-addons: what is exported and what is prepared serves."""

import numpy as np
import pytest
from doc_pages import block_with

import kinetics_i3d as ki3d
from kinetics_i3d.video.reader import read_frames

pytestmark = pytest.mark.slow  # programs in other environments

PROGRAM = "keras2_user.py"


@pytest.fixture(scope="module")
def old(environment):
    return environment("keras2")


def test_it_is_the_old_stack(old, tmp_path):
    found = old.ask(PROGRAM, "versions", cwd=tmp_path)
    short = [".".join(version.split(".")[:2]) for version in found]
    assert short == ["2.15", "2.15", "0.23", "0.36"]


def test_a_saved_model_answers_there_as_the_model_does_here(old, model, clips, examples, tmp_path):
    ki3d.export(model, tmp_path / "saved", to="savedmodel", top=3)
    path, spec = examples / "sit_down.mp4", model.clip_spec
    resized = np.stack(list(read_frames(path, **spec.reading)))[np.newaxis]
    raw = np.stack(list(read_frames(path, fps=spec.fps)))[np.newaxis]
    assert raw.shape[2:4] == (240, 320) and resized.shape[2:4] == (88, 117)
    asked = {
        "logits/resized/rgb": resized,
        "float_clips/clips/rgb": clips[1:2],
        "features/features/rgb": resized,
        "serving_default/raw/rgb": raw,
    }
    np.savez(tmp_path / "asked.npz", **asked)
    words = ("serve", tmp_path / "saved", tmp_path / "asked.npz", tmp_path / "answers.npz")
    found = old.ask(PROGRAM, *words, cwd=tmp_path)
    assert found == ["default", "features", "float_clips", "logits", "serving_default"]
    wanted = np.asarray(model(clips[1:2]))
    grid = np.asarray(ki3d.feature_model(model, "Mixed_5c")(clips[1:2]))
    with np.load(tmp_path / "answers.npz") as answers:
        assert np.abs(answers["resized/logits"] - wanted).max() < 1e-4
        assert np.abs(answers["clips/logits"] - wanted).max() < 1e-4
        assert np.abs(answers["features/Mixed_5c"] - grid).max() < 1e-4 * np.abs(grid).max()
        odds = np.exp(wanted - wanted.max())
        assert np.abs(answers["raw/probabilities"] - odds / odds.sum()).max() < 0.05
        assert answers["raw/labels"][0, 0] == b"sit_down" and answers["raw/labels"].shape == (1, 3)


def test_the_hub_form_is_fine_tuned_there(old, model, clips, training, tmp_path):
    ki3d.export(model, tmp_path / "hub", to="hub", include_top=False)
    words = ("finetune", tmp_path / "hub", training, tmp_path / "out.npz")
    found = old.ask(PROGRAM, *words, cwd=tmp_path)
    grid = np.asarray(ki3d.feature_model(model, "Mixed_5c")(clips[:, ::2]))
    wanted = grid.mean(axis=(1, 2, 3))
    with np.load(tmp_path / "out.npz") as out:
        assert np.abs(out["before"] - wanted).max() < 1e-4 * np.abs(wanted).max()
    # All but the classifier's kernel and bias; two of three of batch norm's are its statistics.
    assert found["trainable"] == len(model.trainable_variables) - 2
    assert found["variables"] == len(model.weights) - 2 == found["moved"]
    assert found["loss"][-1] < 0.5 * found["loss"][0] and found["f1"][-1] == 1.0


def test_the_page_runs_there(old, model, examples, tmp_path):
    ki3d.export(model, tmp_path / "saved", to="savedmodel")
    ki3d.export(model, tmp_path / "features", to="hub", include_top=False)
    frames = list(read_frames(examples / "wave.mp4", short_side=88))[:20]
    np.save(tmp_path / "frames.npy", np.stack(frames))
    page = "docs/compatibility.md"
    blocks = (block_with(page, text) for text in ('load("saved")', "tensorflow_addons"))
    shown = "print(sorted(answer), len(backbone.trainable_variables))"
    out = old.run("-c", "\n".join([*blocks, shown]), cwd=tmp_path)
    count = len(model.trainable_variables) - 2
    assert out.splitlines()[-1] == f"['labels', 'probabilities', 'scores'] {count}"


@pytest.mark.parametrize("where", ["folder", "s3"])
def test_records_are_read_there(old, where, records, examples, request, tmp_path):
    location, variables = (records, {}) if where == "folder" else request.getfixturevalue("s3")
    arrays = old.ask(PROGRAM, "records", location, tmp_path / "out.npz", cwd=tmp_path, **variables)
    names = sorted(arrays)
    assert names == ["kick", "sit_down", "stand_up", "wave"]
    with np.load(tmp_path / "out.npz") as out:
        for index, name in enumerate(names):
            path, label, times = arrays[name]
            assert path.endswith(f"{name}.mp4") and label == index
            assert times == [80_000 * frame for frame in range(32)]  # 12.5 a second
            video = read_frames(examples / f"{name}.mp4", fps=12.5, short_side=88)
            wanted = np.stack(list(video))
            assert out[name].shape == wanted.shape
            assert np.abs(out[name].astype(int) - wanted).mean() < 2  # JPEG
