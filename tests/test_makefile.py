"""The targets of make that the README and CONTRIBUTING.md name: CI runs each, some shortened."""

import os
import re
import subprocess

import pytest
from doc_pages import ROOT, blocks_of, commands_of

# What CI runs in a short form here, by variables that the targets read: target -> (variables, text
# that it prints). `.ci/run` runs the others whole.
SHORT_TESTS = {"PYTEST_ADDOPTS": "-o testpaths=tests/test_words.py"}
SHORTENED = {
    "audit": ({}, "core.txt: "),
    "bench": ({"ONLY": "decode"}, "decode"),
    "check": (SHORT_TESTS, "passed"),
    "coverage": (SHORT_TESTS, "TOTAL"),
    "faults": ({"VERBS": "inflate"}, " faults, 0 failed"),
    "mutants": ({"COUNT": "1", "PACKAGES": "metrics"}, "| `metrics` |"),
}
RUNNING_TEST = re.compile("PYTEST_|KINETICS_I3D_|COV_")  # variables of this test


def targets():
    """The targets in the blocks of the two pages."""
    commands = [
        words
        for page in ("README.md", "CONTRIBUTING.md")
        for block in blocks_of(ROOT / page)
        if block.language == "bash"
        for words in commands_of(block)
    ]
    return {words[1] for words in commands if words[0] == "make"}


def test_ci_runs_every_target():
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    steps = re.findall(r"^ *step \d+ \d+ (?:--jobs \d )?(.*)$", script, re.MULTILINE)
    run = {word for step in steps for word in step.split() if "=" not in word}
    assert targets() - {"demo"} == {*run, *SHORTENED} - {"fuzz"}


@pytest.mark.long
@pytest.mark.parametrize("target", SHORTENED)
def test_a_target_runs(target):
    variables, text = SHORTENED[target]
    kept = {name: value for name, value in os.environ.items() if not RUNNING_TEST.match(name)}
    done = subprocess.run(
        ["make", target],
        cwd=ROOT,
        env={**kept, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert text in done.stdout, done.stdout + done.stderr
    # A vulnerability that becomes known is no error of the target.
    assert done.returncode == 0 or (target == "audit" and "fixed in" in done.stderr), done.stderr
