"""Words that the package does not use: vague names, and phrases that need a second reading.

`ALLOWED` lists what is still there, a line per file and name. Delete lines as you clean up; the
list never grows. `python tests/test_words.py` prints the list as it would be now.
"""

import ast
import functools
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "kinetics_i3d"
ALLOWED = pathlib.Path(__file__).with_name("words_allowed.txt")

# {name of a variable, parameter, function or class: what to write}
NAMES = {
    **dict.fromkeys(
        ("found", "one", "each", "here", "known", "held", "given", "told", "amiss"),
        "the name of what it is: path, matches, arrays, row, ...",
    ),
    "parted": "split_head",
    "fresh": "isolated_runner",
    "run_fresh": "run_in_subprocess",
    "ask": "run_model",
    "asked": "requested, calls",
    "probes": "parity_check",
    "Question": "StopRequest",
    "products": "resize_matmul",
    "facts": "TrainState, or what they are",
    "in_graph": "graph_preprocessing",
    "frames_function": "serving_function",
    "board": "tensorboard",
    "flat": "lower_3d_to_2d",
    "flat_layers": "lower_3d_to_2d",
    "meter": "throughput",
    "eight_bits": "quantize",
    "origin": "provenance",
    "answer": "logits, result",
    "trunk": "backbone",
    "twin": "inflated",
    "snapshots": "clips",
    "input_speed": "input_benchmark",
    "mend": "fix",
    "mends": "fixes",
    "cells": "runs",
    "claims": "locks, hypotheses",
    "manieth": "index",
}
# {phrase in a docstring, a help text or an error: what to write}
PHRASES = {
    "so manieth": "the n-th",
    "is told": "is reported",
    "are told": "are reported",
    "goes on": "continues, resumes",
    "as usual": "say how",
    "such as are": "those that",
    "spoils": "what it does",
    "amiss": "wrong",
    "mends": "fixes",
    "trunk": "backbone",
    "twin": "inflated model",
    "anew": "again",
    "a folder a class": "a folder per class",
    "passed over": "skipped",
    "eight bits": "8 bits",
    "the like": "name them",
    "no two to one": "different",
}
PHRASE = re.compile("|".join(rf"\b{re.escape(phrase)}\b" for phrase in PHRASES), re.IGNORECASE)


def words_of(source):
    """The banned names that a module defines, and the banned phrases in its texts."""
    words = set()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.arg(arg=name):
                names = [name]
            case ast.Name(id=name, ctx=ast.Store()) | ast.ExceptHandler(name=str(name)):
                names = [name]
            case ast.Constant(value=str(text)):
                text = " ".join(text.split())
                words |= {match.group().lower() for match in PHRASE.finditer(text)}
                continue
            case _:
                continue
        words |= {name for name in (name.lstrip("_") for name in names) if name in NAMES}
    return words


@functools.cache
def words_in_package():
    """{path below the package: the banned words in it}."""
    words = {
        path.relative_to(PACKAGE).as_posix(): words_of(path.read_text(encoding="utf-8"))
        for path in sorted(PACKAGE.rglob("*.py"))
    }
    return {path: names for path, names in words.items() if names}


def rows(words):
    return [f"{path}: {word}" for path in sorted(words) for word in sorted(words[path])]


def room_of(path):
    return path.partition("/")[0]


def test_no_banned_word_is_added():
    allowed = {
        (room_of(path), word)
        for path, _, word in (row.partition(": ") for row in ALLOWED.read_text().splitlines())
    }  # by package, since modules are merged and moved
    added = [
        f"kinetics_i3d/{path}: {word!r}, write {({**NAMES, **PHRASES})[word]!r}"
        for path, words in words_in_package().items()
        for word in sorted(words)
        if (room_of(path), word) not in allowed
    ]
    assert not added, "\n".join(added)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("found = 1", {"found"}),
        ("def f(given): pass", {"given"}),
        ("for each in x: pass", {"each"}),
        ("[one for one in x]", {"one"}),
        ("def _told(): pass", {"told"}),
        ("with x as held: pass", {"held"}),
        ("class Question: pass", {"Question"}),
        ('raise E(f"{x}: it goes\\\\n on")', set()),
        ('"""It goes\\n    on as usual."""', {"goes on", "as usual"}),
        ("x.found = y.one(each=1)", set()),
        ("founder = 1", set()),
    ],
)
def test_banned_words_are_noticed(source, words):
    assert words_of(source) == words


if __name__ == "__main__":
    print("\n".join(rows(words_in_package())))
