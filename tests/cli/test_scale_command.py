"""`kinetics-i3d scale`: its grammar, and what is wrong in one line before Ray starts."""

import pytest

from kinetics_i3d.cli.main import make_parser
from kinetics_i3d.cli.scale import WORKS
from kinetics_i3d.core.errors import UserError
from kinetics_i3d.scale import storage


def parse(words):
    return vars(make_parser().parse_args(["scale", *words.split()]))


@pytest.mark.parametrize("work", WORKS)
def test_the_input_is_a_word_and_the_output_an_option(work, capsys):
    source = "dataset" if work == "prepare" else "source"
    options = parse(f"{work} in --output out --address auto --json")
    assert (options[source], options["output"]) == ("in", "out")
    assert (options["address"], options["json"]) == ("auto", True)
    with pytest.raises(UserError, match="required: --output"):
        parse(f"{work} in")
    with pytest.raises(UserError, match="unrecognized arguments: more"):
        parse(f"{work} in more --output out")
    assert capsys.readouterr().err == ""
    assert parse(f"{work} in out --address auto --json") == options
    assert "out: write --output out; the former spelling" in capsys.readouterr().err


def test_each_work_has_the_options_of_its_verb():
    assert parse("features in --output out --window 16 --stride 0.5s")["stride"] == "0.5s"
    assert parse("classify in --output out --top 3 --labels a.txt")["labels"] == "a.txt"
    assert parse("flow in --output out --method dis --bound 10")["bound"] == 10
    assert parse("prepare in --output out --streams rgb --shard-size 4")["shard_size"] == 4
    assert parse("prepare in --output out --split train --split val")["split"] == ["train", "val"]
    with pytest.raises(UserError, match="unrecognized arguments: --networks 2"):
        parse("flow in --output out --networks 2")


@pytest.mark.parametrize("work", WORKS)
def test_a_missing_package_is_one_line(command, monkeypatch, work):
    monkeypatch.setattr(storage.importlib.util, "find_spec", lambda name: None)
    code, out, err = command("scale", work, "in", "--output", "out")
    assert (code, out) == (2, "")
    assert err == (
        "kinetics-i3d: error: scale needs ray and pyarrow: pip install 'kinetics-i3d[scale]', on "
        "every node\n"
    )
