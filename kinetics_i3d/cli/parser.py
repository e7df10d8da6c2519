"""`Parser`: help with examples, bare words for options, and deprecated spellings."""

import argparse
import difflib
import os
import re
import sys

from kinetics_i3d.cli.console import (
    QUIET,
    VERBOSE,
    colored,
    has_colors,
    notify,
)
from kinetics_i3d.core.errors import UserError


class HelpFormatter(argparse.HelpFormatter):
    """Wraps paragraphs, keeps indented lines, and appends the defaults of options."""

    def __init__(self, prog):
        super().__init__(prog, max_help_position=28)

    def _fill_text(self, text, width, indent):
        paragraphs = text.split("\n\n")
        return "\n\n".join(
            paragraph
            if paragraph.startswith("  ")
            else super(HelpFormatter, self)._fill_text(paragraph, width, indent)
            for paragraph in paragraphs
        )

    def _get_help_string(self, action):
        text = action.help or ""
        # By identity, as 0 is False.
        unsaid = any(action.default is value for value in (None, False, (), argparse.SUPPRESS))
        unsaid = unsaid or "(default" in text
        return text if unsaid else f"{text} (default: %(default)s)"

    def _format_action_invocation(self, action):
        names = super()._format_action_invocation(action)
        return f"{action.dest.upper()}, {names}" if getattr(action, "bare", False) else names


class Parser(argparse.ArgumentParser):
    """An `ArgumentParser` for one verb.

    Args:
        examples: Commands that open the help.
        **options: Those of `argparse.ArgumentParser`.

    A mistake is a `UserError`, so that `main` prints all errors alike. Words that belong to no
    option fill the options that `take_word` named, in that order.
    """

    def __init__(self, *, examples=(), **options):
        # Abbreviations would break scripts when another option with the same prefix is added.
        super().__init__(allow_abbrev=False, formatter_class=HelpFormatter, **options)
        self.examples = tuple(examples)
        self._word_options = []
        # Without defaults: a verb must not reset options before it.
        for names, value, text in (
            (("-q", "--quiet"), QUIET, "print only results, warnings and errors"),
            (("-v", "--verbose"), VERBOSE, "also print what other packages log, and tracebacks"),
        ):
            self.add_argument(
                *names,
                dest="verbosity",
                action="store_const",
                const=value,
                default=argparse.SUPPRESS,
                help=text,
            )

    def error(self, message):
        """Raises `UserError` with the message."""
        files = [word for word in sys.argv[1:] if word.startswith("-") and os.path.exists(word)]
        if files:
            message = f"{message}; write ./{files[0]} for a file that begins with a hyphen"
        raise UserError(f"{message}; see {self.prog} --help")

    def _check_value(self, action, value):
        """Names the choice that a wrong one resembles, instead of listing all choices."""
        try:
            super()._check_value(action, value)
        except argparse.ArgumentError as error:
            near = difflib.get_close_matches(str(value), map(str, action.choices), n=1)
            if near:
                error.message = f"invalid choice: {value!r} (did you mean {near[0]}?)"
            raise

    def take_word(self, action, *, former=False):
        """Lets a bare word stand for an option: `evaluate DATASET` for `evaluate --data DATASET`.

        Args:
            action: The option, as `add_argument` returned it.
            former: The bare word is a deprecated spelling: it is hidden and prints a notice.
        """
        # argparse does not know that a word may fill it, so `parse_known_args` checks instead.
        action.bare, action.needed, action.required = not former, action.required, False
        self._word_options.append(action)

    def waive_words(self):
        """Makes the options of `take_word` optional, for an option that needs none of them."""
        for action in self._word_options:
            action.needed = False

    def add_former_option(self, name, action):
        """Accepts a deprecated name of an option, hidden and with a notice."""
        self.add_argument(
            name,
            dest=action.dest,
            action=_FormerOption,
            replacement=action.option_strings[0],
            type=action.type,
            nargs=action.nargs,
            default=argparse.SUPPRESS,
            help=argparse.SUPPRESS,
        )

    def parse_known_args(self, args=None, namespace=None):
        """As `argparse`; also fills the options of `take_word`, and refuses remaining words.

        The error names this verb's own parser, not that of all verbs.
        """
        namespace, rest = super().parse_known_args(args, namespace)
        rest = self._fill_options(namespace, rest)
        missing = [
            action.dest.upper() if action.bare else action.option_strings[0]
            for action in self._word_options
            if action.needed and getattr(namespace, action.dest) is None
        ]
        if missing:
            self.error(f"the following arguments are required: {', '.join(missing)}")
        if rest:
            self.error(f"unrecognized arguments: {' '.join(rest)}{self._similar_option(rest)}")
        self._refuse_empty(namespace)
        return namespace, rest

    def _similar_option(self, words):
        """The option that the first unknown one of the words resembles, for an error."""
        options = [
            name
            for action in self._actions
            for name in action.option_strings
            if action.help is not argparse.SUPPRESS
        ]
        unknown = next((word.partition("=")[0] for word in words if word.startswith("--")), "")
        near = difflib.get_close_matches(unknown, options, n=1)
        return f" (did you mean {near[0]}?)" if near else ""

    def _refuse_empty(self, namespace):
        """Refuses empty texts, such as those of unset variables of a shell.

        As a path, an empty text would mean the current folder.
        """
        for action in self._actions:
            value = getattr(namespace, action.dest, None)
            if value == "" or (isinstance(value, list) and "" in value):
                self.error(f"argument {argparse._get_action_name(action)}: must not be empty")

    def _fill_options(self, namespace, words):
        """Assigns the words that argparse left over to options; returns the remaining ones."""
        words = list(words)
        for action in self._word_options:
            if words and words[0] == "--":
                words.pop(0)
            if not words or words[0].startswith("-"):
                break
            option = action.option_strings[0]
            if getattr(namespace, action.dest) is not None:
                if action.bare:
                    self.error(
                        f"{action.dest.upper()} and {option} are the same; pass only one of them"
                    )
                continue
            if not action.bare:
                notify(f"{words[0]}: write {option} {words[0]}; {FORMER}")
            setattr(namespace, action.dest, words.pop(0))
        return words

    def format_usage(self):
        """One line: the required options, and [options] for the others."""
        words = [self._usage_word(action) for action in self._actions]
        return " ".join(["usage:", self.prog, *filter(None, words), "[options]"]) + "\n"

    def _usage_word(self, action):
        if action.help is argparse.SUPPRESS or not getattr(action, "needed", action.required):
            return None
        metavar = action.metavar or action.dest.upper()
        if getattr(action, "bare", False):
            return action.dest.upper()
        if action.option_strings:
            return f"{action.option_strings[0]} {metavar}"
        return {"+": f"{metavar}...", "*": f"[{metavar}...]"}.get(action.nargs, metavar)

    def format_help(self):
        """The summary, examples, usage, the rest of the description, and the options."""
        summary, _, rest = (self.description or "").partition("\n\n")
        formatter = self._get_formatter()
        formatter.add_text(summary)
        formatter.add_text("\n".join(f"  {example}" for example in self.examples))
        formatter.add_text(f"  {self.format_usage().rstrip()}"[2:])
        formatter.add_text(rest)
        words, options, *topics = self._action_groups
        for group in (words, *topics, options):
            formatter.start_section(group.title)
            formatter.add_text(group.description)
            # The options that every verb has come last.
            formatter.add_arguments(sorted(group._group_actions, key=_is_shared))
            formatter.end_section()
        return formatter.format_help()

    def print_help(self, file=None):
        """Prints the help, on a terminal with bold headings."""
        file = file or sys.stdout
        if not has_colors(file):
            super().print_help(file)
            return
        text = HEADING.sub(lambda match: colored(match[0], "heading", file), self.format_help())
        getattr(file, "write_colored", file.write)(text)


def with_option_names(text, parser, options):
    """The message of an error about an argument of Python, in the words of the command line.

    Args:
        text: The message, such as "`stride` must be left out with window='whole'".
        parser: The parser of all verbs.
        options: The options that it parsed.

    Returns:
        The message with the names of the verb's options, "--stride must be left out with --window
        whole"; names that are no options stay.
    """
    names = dict(_option_names(parser, options))

    def value(match):
        if match[1] not in names:
            return match[0]
        return f"{names[match[1]]} {match[3] if match[2] is None else match[2]}"

    text = _NAME.sub(lambda match: names.get(match[1], match[0]), text)
    return _VALUE.sub(value, text)


_NAME = re.compile(r"`([a-z_0-9]+)`")
# name='text', or name= a number, a tuple or None; not within a path.
_VALUE = re.compile(
    r"(?<![\w/.'])([a-z_0-9]+)=(?:'([^']*)'|(-?\d[\w.+-]*|-?inf|nan|None|\([^()]*\)))(?![\w/])"
)


def _option_names(parser, options):
    """(name in the parsed options, name on the command line) of a verb's arguments."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from _option_names(action.choices[getattr(options, action.dest)], options)
        elif action.option_strings and action.help is not argparse.SUPPRESS:
            yield action.dest, action.option_strings[0]
        elif not action.option_strings:
            yield action.dest, action.metavar or action.dest


def _is_shared(action):
    return action.dest in ("help", "verbosity")


HEADING = re.compile(r"^(usage:|\S.*:$)", re.MULTILINE)
FORMER = "the former spelling will be removed in the next release"


class _FormerOption(argparse.Action):
    """Stores the value of an option that has been renamed."""

    def __init__(self, option_strings, dest, *, replacement, **options):
        super().__init__(option_strings, dest, **options)
        self.replacement = replacement

    def __call__(self, parser, namespace, values, option_string=None):
        notify(f"{option_string} is now {self.replacement}; {FORMER}")
        setattr(namespace, self.dest, values)
