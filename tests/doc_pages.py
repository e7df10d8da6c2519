"""The code blocks and commands of the documentation."""

import argparse
import contextlib
import dataclasses
import pathlib
import re
import shlex

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/*.md"),
        *ROOT.glob("checkpoints/*.md"),
        *ROOT.glob("benchmarks/**/*.md"),
    ]
)
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`(kinetics-i3d [a-z][^`]*)`")
NESTED = re.compile(r"(?:^|\s)(kinetics-i3d [a-z]+ .*)$")


@dataclasses.dataclass(frozen=True)
class Block:
    """A fenced code block: its page, its language, the line that it begins at, and its text."""

    page: str
    language: str
    line: int
    text: str

    @property
    def is_recipe(self):
        """Whether it is a new module, or a row of one, as CONTRIBUTING.md has them."""
        return self.text.startswith(("# new file ", "# row in "))


def blocks_of(path):
    """The code blocks of a page, from top to bottom."""
    text = path.read_text(encoding="utf-8")
    page = path.relative_to(ROOT).as_posix()
    return [
        Block(page, match[1], text.count("\n", 0, match.start(2)) + 1, match[2])
        for match in FENCE.finditer(text)
    ]


def block_with(page, text):
    """The text of the one block of a page, such as `docs/fvd.md`, that contains a text."""
    (block,) = (block for block in blocks_of(ROOT / page) if text in block.text)
    return block.text


def commands_of(block):
    """The commands of a block of a shell, each as a list of words, without comments."""
    commands, waiting = [], ""
    for line in re.sub(r"\\\n\s*", "", block.text).splitlines():
        waiting += line + "\n"
        with contextlib.suppress(ValueError):  # a quotation goes on in the next line
            commands.append(shlex.split(waiting, comments=True))
            waiting = ""
    assert not waiting, block
    return [words for words in commands if words]


def nested_commands(block):
    """The `kinetics-i3d` commands inside other programs: scripts of Slurm, Kubernetes' YAML."""
    lines = re.sub(r"\\\n\s*", "", block.text).splitlines()
    found = [NESTED.search(line) for line in lines]
    return [shlex.split(match[1].rstrip("'"))[1:] for match in found if match]


def inline_commands(path):
    """The `kinetics-i3d` commands between backquotes in the text of a page, as text."""
    text = FENCE.sub("", path.read_text(encoding="utf-8"))
    return [" ".join(match[1].split()) for match in INLINE.finditer(text)]


def options_of(parser, verb):
    """The options of a verb, such as `--weights`."""
    return _options(_children(parser)[verb])


def _options(parser):
    """The options of a parser and of those below it."""
    children = _children(parser).values()
    return set(parser._option_string_actions).union(*map(_options, children))


def _children(parser):
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return action.choices
    return {}
