"""`kinetics-i3d scale`: its grammar, and what is wrong in one line before Ray starts."""

import pytest

from kinetics_i3d.cli.main import make_parser
from kinetics_i3d.cli.scale import WORKS
from kinetics_i3d.core.errors import UserError
from kinetics_i3d.scale import storage


def parse(words):
    return vars(make_parser().parse_args(["scale", *words.split()]))


@pytest.mark.parametrize("work", WORKS)
def test_input_and_output_are_words_and_the_output_is_an_option_too(work, capsys):
    source = "dataset" if work == "prepare" else "source"
    options = parse(f"{work} in out --address auto --json")
    assert (options[source], options["output"]) == ("in", "out")
    assert (options["address"], options["json"]) == ("auto", True)
    assert parse(f"{work} in --output out --address auto --json") == options
    with pytest.raises(UserError, match="required"):
        parse(f"{work} in")
    with pytest.raises(UserError, match="unrecognized arguments: more"):
        parse(f"{work} in out more")
    assert capsys.readouterr().err == ""


def test_each_work_has_the_options_of_its_verb():
    assert parse("features in out --window 16 --stride 0.5s")["stride"] == "0.5s"
    assert parse("classify in out --top 3")["top"] == 3
    assert parse("flow in out --method dis --bound 10")["bound"] == 10
    assert parse("prepare in out --streams rgb --shard-size 4")["shard_size"] == 4
    with pytest.raises(UserError, match="unrecognized arguments: --networks 2"):
        parse("flow in out --networks 2")


@pytest.mark.parametrize("work", WORKS)
def test_a_missing_package_is_one_line(command, monkeypatch, work):
    monkeypatch.setattr(storage.importlib.util, "find_spec", lambda name: None)
    code, out, err = command("scale", work, "in", "out")
    assert (code, out) == (2, "")
    assert err == (
        "kinetics-i3d: error: scale needs ray and pyarrow: pip install 'kinetics-i3d[scale]', on "
        "every node\n"
    )
