"""The verbs beside `classify`: what they hand to the library, and what they print."""

import csv

import pytest

from kinetics_i3d.cli import convert
from kinetics_i3d.weights.read import read_weights

LABELS = ("sit", "stand", "wave")  # of the fixture `weights`


@pytest.fixture
def dataset(tmp_path, videos):
    """A table of two videos to train, three to test."""
    table = tmp_path / "table.csv"
    with table.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "label", "split"))
        for split, names in (("train", ("one", "two", "three")), ("test", ("one", "two", "text"))):
            for name, label in zip(names, LABELS, strict=True):
                copy = tmp_path / split / f"{name}.mp4"
                copy.parent.mkdir(exist_ok=True)
                copy.write_bytes(videos[name].read_bytes())
                writer.writerow((f"{split}/{name}.mp4", label, split))
    return table


@pytest.mark.slow
def test_inflate_writes_a_checkpoint_that_loads(command, weights, tmp_path):
    import kinetics_i3d as ki3d

    output = tmp_path / "flow.h5"
    words = ("--channels", "2", "--classes", "5", "--temporal", "center", "--dtype", "float16")
    assert command("inflate", weights["image"], "--output", output, *words) == (
        0,
        f"{output}\n",
        "",
    )
    model = ki3d.InceptionI3D(weights=output)
    assert model.input_shape[-1] == 2 and model.output_shape[-1] == 5
    assert model.clip_spec.stream == "flow"
    code, _, err = command("inflate", weights["good"], "--output", tmp_path / "x.h5")
    assert code == 2 and "holds a model of clips" in err
    assert not (tmp_path / "x.h5").exists()


def test_convert_offers_the_formats_that_the_library_writes():
    # The verb has a list of its own, so that --help loads no Keras.
    from kinetics_i3d.models import convert as library

    assert set(convert.FORMATS) == set(library.FORMATS)


def test_convert_writes_a_file_that_reads_back(command, weights, tmp_path):
    output = tmp_path / "good.safetensors"
    code, out, err = command("convert", weights["good"], "--output", output)
    assert (code, out.strip()) == (0, str(output)) and "Traceback" not in err
    found, wanted = (read_weights(path) for path in (output, weights["good"]))
    assert found.info == wanted.info and found.info.labels == LABELS
    assert {name: array.tobytes() for name, array in found.arrays.items()} == {
        name: array.tobytes() for name, array in wanted.arrays.items()
    }


@pytest.mark.parametrize(
    ("source", "output", "said"),
    [
        ("good", "x.onnx", "must end in one of"),
        ("damaged", "x.pt", "damaged.h5: "),
        ("image", "x.pt", "inflate the image network first"),
        ("nowhere.pt", "x.h5", "nowhere.pt: no such weights file"),
    ],
)
def test_what_cannot_be_converted_is_one_line_and_no_file(
    command, weights, tmp_path, source, output, said
):
    code, out, err = command("convert", weights.get(source, source), "--output", tmp_path / output)
    assert code == 2 and out == "" and said in err and len(err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_figures_writes_a_dataset(command, tmp_path):
    size = ("--frames", "2", "--size", "16", "16", "--workers", "1")
    counts = ("--train-per-action", "1", "--test-per-action", "0")
    code, out, err = command("figures", "--output", tmp_path / "f", *counts, *size)
    assert (code, out, err) == (0, f"{tmp_path / 'f' / 'figures.csv'}\n", "")
    assert len(list((tmp_path / "f").glob("*/*.mp4"))) == 12
    code, _, err = command("figures", "--output", tmp_path / "g", "--size", "15", "16")
    assert (code, err.count("\n")) == (2, 1)
    assert "`size`" in err
