"""`--labels FILE`: class names of weights that bring none, wherever weights are taken."""

import pytest


@pytest.fixture
def labels(tmp_path):
    path = tmp_path / "labels.txt"
    path.write_text("sitzen\nstehen\nwinken\n")
    return path


def test_classify_and_convert_take_labels(command, videos, weights, labels, tmp_path):
    plain = command("classify", videos["one"], "--weights", weights["nameless"])
    assert plain[0] == 2 and "must name its 3 classes" in plain[2]
    words = ("--weights", weights["nameless"], "--labels", labels)
    code, out, err = command("classify", videos["one"], *words)
    assert code == 0, err
    assert {"sitzen", "stehen", "winken"} <= set(out.split())
    named = tmp_path / "named.safetensors"
    assert command("convert", weights["nameless"], named, "--labels", labels)[0] == 0
    code, again, err = command("classify", videos["one"], "--weights", named)
    assert (code, again) == (0, out), err


@pytest.mark.parametrize("verb", ["classify", "convert", "export", "evaluate"])
def test_a_wrong_file_is_one_line_before_anything_is_read(command, weights, tmp_path, verb):
    missing = tmp_path / "none.txt"
    words = {
        "classify": ("video.mp4", "--weights", weights["nameless"]),
        "convert": (weights["nameless"], tmp_path / "out.h5"),
        "export": (weights["nameless"], tmp_path / "out", "--to", "savedmodel"),
        "evaluate": (tmp_path, "--weights", weights["nameless"]),
    }[verb]
    code, out, err = command(verb, *words, "--labels", missing)
    assert (code, out) == (2, "") and f"--labels {missing}: there is no such file" in err


def test_another_number_of_labels_is_refused(command, videos, weights, labels, tmp_path):
    labels.write_text("sit\nstand\n")
    code, out, err = command(
        "classify", videos["one"], "--weights", weights["nameless"], "--labels", labels
    )
    assert (code, out) == (2, "") and "--labels names 2 classes; the weights have 3" in err
    code, out, err = command(
        "convert", weights["nameless"], tmp_path / "out.h5", "--labels", labels
    )
    assert (code, out) == (2, "") and "must name the 3 classes" in err
    assert not (tmp_path / "out.h5").exists()
