"""One grammar in all verbs: the same thing has the same option, and former spellings still work."""

import argparse
import json
import re

import pytest

from kinetics_i3d.cli import main as program
from kinetics_i3d.cli.main import TOPICS, VERBS, make_parser
from kinetics_i3d.cli.parser import Parser, with_option_names
from kinetics_i3d.core.errors import UserError

REQUIRED = {
    "classify": "video.mp4",
    "evaluate": "--weights w",
    "doctor": "video.mp4",
    "train": "InceptionI3D --output run",
    "prepare": "--output records",
    "flow": "videos",
    "convert": "--output x.h5",
    "inflate": "--output x.h5",
    "export": "--to onnx --output x.onnx",
    "tables": "--output run",
    "scale prepare": "--output records",
}


def verb_parsers():
    (verbs,) = (a for a in make_parser()._actions if isinstance(a, argparse._SubParsersAction))
    return dict(verbs.choices)


def actions_of(parser):
    """The visible options of a verb, and those of the verbs below it."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for child in action.choices.values():
                yield from actions_of(child)
        elif action.help is not argparse.SUPPRESS:
            yield action


def parse(words):
    return vars(make_parser().parse_args(words.split()))


@pytest.mark.parametrize("verb", VERBS)
def test_a_shared_option_has_one_spelling_in_every_verb(verb):
    dests = {
        "dataset": "--data",
        "weights": "--weights",
        "output": "--output",
        "streams": "--streams",
        "split": "--split",
        "split_number": "--split-number",
        "json": "--json",
    }
    for action in actions_of(verb_parsers()[verb]):
        for name in action.option_strings:
            assert name not in ("--out", "--dataset", "--number", "--table"), name
        if action.dest in dests:
            assert dests[action.dest] in action.option_strings, action


@pytest.mark.parametrize("verb", sorted({*VERBS} - {"completion", "demo"}))
def test_every_verb_with_a_result_has_json(verb):
    assert any("--json" in action.option_strings for action in actions_of(verb_parsers()[verb]))


@pytest.mark.parametrize(
    "verb", ["classify", "prepare", "scale prepare", "benchmark input", "train"]
)
def test_streams_have_one_syntax(verb):
    words = f"{verb} {REQUIRED.get(verb, '')} "
    words += "" if verb == "classify" else "--data folder "
    assert parse(words + "--streams flow,rgb")["streams"] == ("rgb", "flow")
    assert parse(words + "--streams flow")["streams"] == ("flow",)
    with pytest.raises(UserError, match="must be rgb, flow or rgb,flow, not sound"):
        parse(words + "--streams sound")


@pytest.mark.parametrize(
    "verb", ["datasets", "evaluate", "prepare", "scale prepare", "benchmark input"]
)
@pytest.mark.parametrize("order", ["{data} {rest}", "{rest} {data}", "{rest} -- {data}"])
def test_the_dataset_is_an_option_or_the_bare_word_of_its_verb(verb, order, capsys):
    rest = f"{REQUIRED.get(verb, '')} --kind table"
    bare = parse(f"{verb} " + order.format(data="folder", rest=rest))
    assert bare["dataset"] == "folder"
    assert bare == parse(f"{verb} {rest} --data folder")
    assert capsys.readouterr().err == ""
    with pytest.raises(UserError, match="DATASET and --data are the same; pass only one of them"):
        parse(f"{verb} other {rest} --data folder")
    with pytest.raises(UserError, match=r"required: DATASET; see kinetics-i3d"):
        parse(f"{verb} {rest}")


@pytest.mark.parametrize("verb", ["train", "tables"])
def test_the_dataset_of_other_verbs_is_an_option_only(verb):
    with pytest.raises(UserError, match="unrecognized arguments: folder"):
        parse(f"{verb} {REQUIRED[verb]} --data other folder")


@pytest.mark.parametrize("verb", ["convert", "inflate", "export"])
def test_the_weights_are_an_option_or_the_bare_word_of_their_verb(verb, capsys):
    bare = parse(f"{verb} {REQUIRED[verb]} mine.h5")
    assert bare["weights"] == "mine.h5"
    assert bare == parse(f"{verb} --weights mine.h5 {REQUIRED[verb]}")
    assert capsys.readouterr().err == ""
    with pytest.raises(UserError, match="required: WEIGHTS"):
        parse(f"{verb} {REQUIRED[verb]}")


@pytest.mark.parametrize(
    ("former", "now"),
    [
        ("convert a.pt b.h5 --to h5", "convert a.pt --output b.h5 --to h5"),
        ("inflate a.h5 --classes 3 b.h5", "inflate a.h5 --output b.h5 --classes 3"),
        ("export a.h5 --to onnx b.onnx", "export a.h5 --to onnx --output b.onnx"),
        ("figures folder --seed 1", "figures --output folder --seed 1"),
        ("prepare data --streams rgb out", "prepare data --output out --streams rgb"),
        ("flow videos --out flows", "flow videos --output flows"),
        ("datasets data --table x.csv", "datasets data --output x.csv"),
        ("classify a.mp4 --streams both", "classify a.mp4 --streams rgb,flow"),
        ("tables --data a --output b --source x y", "tables --data a --output b --weights x y"),
        ("draw embedding a --output b --most 9", "draw embedding a --output b --max-videos 9"),
        ("export a --output b --name c", "export a --output b --model-name c"),
        ("benchmark input folder --batch 2", "benchmark input folder --batch-size 2"),
        *(
            (
                f"train --data a --output run --{former} 2",
                f"train --data a --output run --{now} 2",
            )
            for former, now in (
                ("batch", "batch-size"),
                ("head-start", "linear-probe"),
                ("clip-norm", "global-clipnorm"),
                ("norm-momentum", "batch-norm-momentum"),
                ("norm-batches", "recalibration-batches"),
            )
        ),
        (
            "train --data a --output run --norm freeze",
            "train --data a --output run --batch-norm freeze",
        ),
    ],
)
def test_a_former_spelling_works_with_one_notice_and_is_hidden(former, now, capsys):
    wanted = parse(now)
    assert capsys.readouterr().err == ""
    assert parse(former) == wanted
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and err.startswith("kinetics-i3d: note: ")
    assert "the former spelling will be removed in the next release" in err
    help_text = verb_parsers()[former.split()[0]].format_help()
    assert "--out " not in help_text and "--table" not in help_text and "rgb|flow" not in help_text


@pytest.mark.parametrize(
    ("words", "text", "expected"),
    [
        (
            "timeline a.mp4",
            "`min_length` must be seconds. Received: min_length=-1.5",
            "--min-length must be seconds. Received: --min-length -1.5",
        ),
        (
            "timeline a.mp4",
            "`stride` must be left out with window='whole'",
            "--stride must be left out with --window whole",
        ),
        ("draw flow a.mp4 --output b.png", "`frames` must be 1", "--frames must be 1"),
        ("classify a.mp4", "`endpoint` must be x; top1=3", "`endpoint` must be x; top1=3"),
        (
            "train --data a --output b",
            "`area` must be x. Received: area=(0.5, 2.0), fps=inf, weights=None",
            "--area must be x. Received: --area (0.5, 2.0), --fps inf, --weights None",
        ),
        (
            "train --data a --output b",
            "no such weights: weights='my runs/seed=0/w.h5'",
            "no such weights: --weights my runs/seed=0/w.h5",
        ),
        ("train No --data a --output b", "`system` must be one of", "SYSTEM must be one of"),
        ("draw grad-cam a --output b", "`stream` must be x", "--map-stream must be x"),
        ("train --data a --output b", "`norm` is `batch_norm`", "`norm` is --batch-norm"),
    ],
)
def test_errors_about_arguments_name_the_options_of_their_verb(words, text, expected):
    parser = make_parser()
    assert with_option_names(text, parser, parser.parse_args(words.split())) == expected


def test_words_that_nothing_takes_are_refused():
    with pytest.raises(UserError, match="unrecognized arguments: c"):
        parse("convert a b c")
    with pytest.raises(UserError, match="required: --output"):
        parse("convert a")
    with pytest.raises(UserError, match="unrecognized arguments: --weigh x"):
        parse("evaluate folder --weights w --weigh x")


@pytest.mark.parametrize("verb", VERBS)
def test_help_opens_with_a_summary_and_two_examples_that_parse(verb):
    parser = verb_parsers()[verb]
    summary, examples, usage, *_ = parser.format_help().split("\n\n")
    assert summary.strip().endswith(".") and len(summary.splitlines()) == 1
    lines = [line.strip() for line in examples.splitlines()]
    assert len(lines) == 2 and usage.startswith(f"usage: kinetics-i3d {verb} ")
    assert tuple(lines) == VERBS[verb].EXAMPLES
    for line in lines:  # `completion` stands inside other commands of the shell
        words = re.search("kinetics-i3d ([^>)]*)", line)[1].split()
        assert make_parser().parse_args(words).verb == verb


@pytest.mark.parametrize("verb", ["scale features", "scale prepare", "benchmark input"])
def test_help_of_a_verb_below_a_verb_opens_with_two_examples_that_parse(verb, capsys):
    with pytest.raises(SystemExit):
        make_parser().parse_args([*verb.split(), "--help"])
    _, examples, *_ = capsys.readouterr().out.split("\n\n")
    lines = [line.strip() for line in examples.splitlines()]
    assert len(lines) == 2 and all(line.startswith(f"kinetics-i3d {verb} ") for line in lines)
    for line in lines:
        make_parser().parse_args(line.split()[1:])


@pytest.mark.parametrize("verb", VERBS)
def test_every_help_text_is_a_phrase_of_its_own(verb):
    seen = {}
    for action in actions_of(verb_parsers()[verb]):
        if isinstance(action, argparse._HelpAction):
            continue
        assert action.help and not action.help.rstrip(")").endswith("."), action
        # The works of `scale` share options.
        names = (*action.option_strings,)
        seen.setdefault(re.sub(r" \(default.*", "", action.help), set()).add(names)
    assert all(len(names) == 1 for names in seen.values()), seen


def test_a_call_without_words_prints_a_short_start_with_commands_that_parse(capsys):
    assert program.main([]) == 0
    out, err = capsys.readouterr()
    assert err == "" and len(out.splitlines()) <= 15
    commands = [line.split() for line in out.splitlines() if line.startswith("  ")]
    assert len(commands) == 3
    for name, *words in commands:
        assert name == "kinetics-i3d" and make_parser().parse_args(words)
    assert "kinetics-i3d --help" in out and "kinetics-i3d VERB --help" in out


def test_help_lists_the_verbs_by_topic(capsys):
    with pytest.raises(SystemExit):
        program.main(["--help"])
    out = capsys.readouterr().out
    for topic, verbs in TOPICS.items():
        assert f"\n{topic}:\n" in out
        for verb in verbs:
            assert re.search(rf"^  {verb} +[a-z]", out, re.MULTILINE)
    assert "--quiet" in out and "--verbose" in out and "--version" in out


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_can_be_quiet_or_verbose(verb):
    names = {name for action in actions_of(verb_parsers()[verb]) for name in action.option_strings}
    assert {"-q", "--quiet", "-v", "--verbose"} <= names


@pytest.mark.parametrize("words", ["-q scale flow a b", "scale -q flow a b", "scale flow a b -q"])
def test_a_verb_below_a_verb_is_quiet_wherever_the_option_stands(words):
    assert parse(words)["verbosity"] == "quiet"
    assert parse(f"{words} --verbose")["verbosity"] == "verbose"  # the last one counts


def test_json_of_a_verb_that_writes_a_file(command, tmp_path):
    sizes = ("--frames", "2", "--size", "16", "16", "--workers", "1")
    counts = ("--train-per-action", "1", "--test-per-action", "0")
    code, out, _ = command("figures", "--output", tmp_path / "f", *counts, *sizes, "--json")
    assert code == 0 and json.loads(out) == {"output": str(tmp_path / "f" / "figures.csv")}


@pytest.mark.parametrize(
    ("verb", "usage"),
    [
        ("classify", "VIDEO|FOLDER|LIST..."),
        ("evaluate", "DATASET --weights NAME|PATH"),
        ("train", "--data DATASET --output FOLDER"),
        ("export", "WEIGHTS --output PATH"),
        ("figures", "--output FOLDER"),
        ("weights", "[NAME...]"),
    ],
)
def test_the_usage_has_what_is_required(verb, usage, capsys):
    with pytest.raises(SystemExit):
        program.main([verb, "--help"])
    assert f"\nusage: kinetics-i3d {verb} {usage} [options]\n" in capsys.readouterr().out


def test_a_default_of_zero_is_shown(capsys):
    with pytest.raises(SystemExit):
        program.main(["figures", "--help"])
    assert "(default: 0)" in capsys.readouterr().out


def test_a_parser_has_no_abbreviations():
    parser = Parser(prog="x")
    parser.add_argument("--weights")
    with pytest.raises(UserError, match="unrecognized arguments: --weigh"):
        parser.parse_args(["--weigh", "x"])
