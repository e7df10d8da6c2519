"""`--labels FILE`: class names of weights without them, wherever weights are taken."""

import pytest


@pytest.fixture
def labels(tmp_path):
    path = tmp_path / "labels.txt"
    path.write_text("sitzen\nstehen\nwinken\n")
    return path


@pytest.mark.slow
def test_classify_and_convert_take_labels(command, videos, weights, labels, tmp_path):
    plain = command("classify", videos["one"], "--weights", weights["nameless"])
    assert plain[0] == 2 and "must name its 3 classes" in plain[2]
    words = ("--weights", weights["nameless"], "--labels", labels)
    code, out, err = command("classify", videos["one"], *words)
    assert code == 0, err
    assert {"sitzen", "stehen", "winken"} <= set(out.split())
    named = tmp_path / "named.safetensors"
    assert command("convert", weights["nameless"], "--output", named, "--labels", labels)[0] == 0
    code, again, err = command("classify", videos["one"], "--weights", named)
    assert (code, again) == (0, out), err


@pytest.mark.parametrize("verb", ["classify", "convert", "export", "evaluate", "inflate", "train"])
def test_a_wrong_file_is_one_line_before_anything_is_read(command, weights, tmp_path, verb):
    missing = tmp_path / "none.txt"
    words = {
        "classify": ("video.mp4", "--weights", weights["nameless"]),
        "convert": (weights["nameless"], "--output", tmp_path / "out.h5"),
        "export": (weights["nameless"], "--output", tmp_path / "out", "--to", "savedmodel"),
        "evaluate": (tmp_path, "--weights", weights["nameless"]),
        "inflate": (weights["image"], "--output", tmp_path / "out.h5"),
        "train": ("InceptionI3D", "--data", tmp_path, "--output", tmp_path / "run", "--weights")
        + (weights["nameless"], "--head", "keep", "--transfer", "full"),
    }[verb]
    code, out, err = command(verb, *words, "--labels", missing)
    assert (code, out) == (2, "") and f"--labels {missing}: there is no such file" in err


def test_another_number_of_labels_is_refused(command, videos, weights, labels, tmp_path):
    labels.write_text("sit\nstand\n")
    code, out, err = command(
        "classify", videos["one"], "--weights", weights["nameless"], "--labels", labels
    )
    assert (code, out) == (
        2,
        "",
    ) and "--labels must name the model's 3 classes. Received: 2 labels" in err
    code, out, err = command(
        "convert", weights["nameless"], "--output", tmp_path / "out.h5", "--labels", labels
    )
    assert (code, out) == (2, "") and "must name the model's 3 classes" in err
    assert not (tmp_path / "out.h5").exists()


@pytest.mark.slow
def test_inflate_names_the_classes(command, weights, labels, tmp_path):
    import kinetics_i3d as ki3d

    output = tmp_path / "out.h5"
    code, _, err = command("inflate", weights["image"], "--output", output, "--labels", labels)
    assert code == 0, err
    assert ki3d.InceptionI3D(weights=output).labels == ("sitzen", "stehen", "winken")
    words = ("--classes", "2", "--labels", labels)
    code, out, err = command("inflate", weights["image"], "--output", tmp_path / "two.h5", *words)
    assert (code, out) == (
        2,
        "",
    ) and "--labels must name the model's 2 classes. Received: 3 labels" in err
    assert not (tmp_path / "two.h5").exists()


@pytest.mark.slow
def test_train_names_the_classes_of_weights_that_keep_their_head(short, weights):
    from kinetics_i3d.training.config import TrainConfig
    from kinetics_i3d.training.network import build

    config = TrainConfig(
        weights=str(weights["nameless"]),
        head="keep",
        transfer="full",
        architecture=short,
        frames=9,
        size=32,
        test_size=32,
        test_short_side=36,
    )
    names = ("sit", "stand", "wave")
    with pytest.raises(ValueError, match="`head` must be 'new' if the labels of the weights"):
        build(config, names)
    assert build(config, names, weights_labels=names).labels == names
    with pytest.raises(ValueError, match="`head` must be 'new' if the labels of the weights"):
        build(config, names, weights_labels=names[::-1])  # each class would be another one's start
    with pytest.raises(ValueError, match="`weights_labels` must name the 3 classes of"):
        build(config, names, weights_labels=names[:2])


@pytest.mark.parametrize("words", [(), ("--weights", "rgb_figures", "--transfer", "full")])
def test_train_refuses_labels_that_name_nothing(command, labels, tmp_path, words):
    run = ("--data", tmp_path, "--output", tmp_path / "run", "--labels", labels)
    code, out, err = command("train", "InceptionI3D", *run, *words)
    assert (code, out) == (2, "")
    assert "--labels can be used only with --weights and --head keep" in err


def test_train_hands_the_labels_on(command, weights, labels, tmp_path, monkeypatch):
    from kinetics_i3d.cli import train as verb
    from kinetics_i3d.training import train as library

    handed = {}
    monkeypatch.setattr(library, "train", lambda *_, **options: handed.update(options))
    monkeypatch.setattr(verb, "read_dataset", lambda options: None)
    words = ("--data", tmp_path, "--output", tmp_path / "run", "--labels", labels)
    kept = ("--weights", weights["nameless"], "--head", "keep", "--transfer", "full")
    code, _, err = command("train", "InceptionI3D", *words, *kept)
    assert code == 0, err
    assert handed["weights_labels"] == ("sitzen", "stehen", "winken")


def test_benchmark_takes_no_weights_and_so_no_labels(command, labels, tmp_path):
    code, _, err = command("benchmark", "input", tmp_path, "--labels", labels)
    assert code == 2 and "unrecognized arguments: --labels" in err
