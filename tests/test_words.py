"""Words that the package does not use: vague names, and phrases that need a second reading."""

import ast
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "kinetics_i3d"

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
    "place": "position, index, folder",
    "said": "reason, text",
    "codes": "quantized",
    "fewest": "minimum",
    "lacking": "missing",
    "noted": "recorded",
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
    "asked for": "requested",
    "became of": "the result",
    "becomes of": "how it is handled",
    "cut short": "truncated",
    "for ever": "forever",
    "gives way": "is replaced by",
    "made again": "written again",
    "nobody": "say who or what",
    "once more": "again",
    "so much": "this much",
    "strangers": "untrusted files",
    "the most bytes": "the maximum number of bytes",
    "what has to be": "what it is",
    "whoever": "say who or what",
    "whole or not at all": "atomically",
    # American spelling, as in Keras.
    "behaviour": "behavior",
    "centre": "center",
    "colour": "color",
    "colours": "colors",
    "grey": "gray",
    "neighbour": "neighbor",
    "neighbours": "neighbors",
    "unlabelled": "unlabeled",
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


def test_the_package_uses_no_banned_word():
    banned = [
        f"{path.relative_to(ROOT)}: {word!r}, write {({**NAMES, **PHRASES})[word]!r}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for word in sorted(words_of(path.read_text(encoding="utf-8")))
    ]
    assert not banned, "\n".join(banned)


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
