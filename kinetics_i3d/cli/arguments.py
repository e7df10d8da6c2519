"""`Parser` and the argument types that verbs share."""

import argparse
import importlib.metadata

from kinetics_i3d.core.errors import UserError

PROGRAM = "kinetics-i3d"


class HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Tells every default that says something."""

    def _get_help_string(self, action):
        silent = action.default is None or action.default is False or action.default == ()
        return action.help if silent else super()._get_help_string(action)


class Parser(argparse.ArgumentParser):
    """An `ArgumentParser` that complains by `UserError`, so that `main` prints all errors alike."""

    def __init__(self, **kwargs):
        # Abbreviations would break scripts as soon as a second option begins alike.
        super().__init__(allow_abbrev=False, formatter_class=HelpFormatter, **kwargs)

    def error(self, message):
        raise UserError(f"{message}; see {self.prog} --help")


class ShowVersion(argparse.Action):
    """`--version`, looked up only when it is asked for."""

    def __init__(self, option_strings, dest, **kwargs):
        super().__init__(option_strings, dest, nargs=0, default=argparse.SUPPRESS, **kwargs)

    def __call__(self, parser, *_):
        print(PROGRAM, importlib.metadata.version(PROGRAM))
        parser.exit()


def count(text):
    """Reads a whole number above 0."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, not {number}")
    return number


count.__name__ = "whole number"  # what argparse calls it in "invalid whole number value: 'x'"
