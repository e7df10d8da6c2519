"""`kinetics-i3d completion`: print the completion script for a shell.

Load it in bash with `eval "$(kinetics-i3d completion bash)"`, in zsh with a file `_kinetics-i3d` in
a folder of `fpath`, in tcsh with `kinetics-i3d completion tcsh > FILE` and `source FILE`. Needs
shtab: pip install 'kinetics-i3d[completion]'.
"""

import argparse

from kinetics_i3d.core.errors import UserError

SHELLS = ("bash", "zsh", "tcsh")
EXAMPLES = (
    'eval "$(kinetics-i3d completion bash)"',
    "kinetics-i3d completion zsh > ~/.zfunc/_kinetics-i3d",
)
FOLDERS = ("FOLDER", "RUN")
FILES = (
    *("DATASET", "FILE", "PATH", "PNG", "NPZ", "VIDEO", "SOURCE", "REAL", "GENERATED", "INPUT"),
    *("NAME|PATH", "FOLDER|NAME|PATH", "VIDEO|FOLDER", "VIDEO|FOLDER|LIST"),
)


def add_arguments(parser):
    """Adds this verb's arguments to `parser`."""
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help=", ".join(SHELLS))


def run(options):
    """Prints the script; returns the exit code."""
    try:
        import shtab
    except ImportError as error:
        raise UserError("completion needs shtab: pip install 'kinetics-i3d[completion]'") from error
    from kinetics_i3d.cli.main import make_parser

    parser = make_parser()
    _complete_paths(parser, shtab)
    print(shtab.complete(parser, options.shell))
    return 0


def _complete_paths(parser, shtab):
    """Enables the completion of paths for the options that take paths, in all verbs."""
    for action in list(parser._actions):
        if isinstance(action, argparse._SubParsersAction):
            for verb in action.choices.values():
                _complete_paths(verb, shtab)
        elif getattr(action, "bare", False):
            # argparse does not know the bare word, so shtab would not complete it.
            word = parser.add_argument(f"{action.dest}_word", nargs="?", metavar=action.metavar)
            word.complete = shtab.FILE
        if action.metavar in FOLDERS:
            action.complete = shtab.DIRECTORY
        elif action.metavar in FILES:
            action.complete = shtab.FILE
