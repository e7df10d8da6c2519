"""`kinetics-i3d convert`: files that read back, and one line for what cannot be converted."""

import pytest

from kinetics_i3d.cli import convert
from kinetics_i3d.weights.read import read_weights

LABELS = ("sit", "stand", "wave")  # of the fixture `weights`


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
    ("source", "output", "message"),
    [
        ("good", "x.onnx", "must end in one of"),
        ("damaged", "x.pt", "damaged.h5: "),
        ("image", "x.pt", "inflate the image network first"),
        ("nowhere.pt", "x.h5", "nowhere.pt: no such weights file"),
    ],
)
def test_what_cannot_be_converted_is_one_line_and_no_file(
    command, weights, tmp_path, source, output, message
):
    code, out, err = command("convert", weights.get(source, source), "--output", tmp_path / output)
    assert code == 2 and out == "" and message in err and len(err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
