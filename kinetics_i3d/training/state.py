"""The state of a run on disk: whole or not at all, the last two of them.

What a run needs to go on as if it had never stopped: variables, and a JSON-ready dictionary.
"""

import json
import os
import pathlib
import re
import zipfile

import numpy as np
from absl import logging

from kinetics_i3d.core.errors import first_line
from kinetics_i3d.core.files import atomic_path
from kinetics_i3d.training.errors import TrainingError, writing

GENERATIONS = 2
NAME = re.compile(r"step-(\d+)\.npz")


class StateFolder:
    """The states of one run, by their step.

    Args:
        path: The folder.

    Example:

    >>> states = StateFolder(folder / "state")
    >>> states.save(7, [np.ones(2)], {"step": 7})
    >>> arrays, facts = states.load()
    >>> arrays[0].tolist(), facts
    ([1.0, 1.0], {'step': 7})
    """

    def __init__(self, path):
        self.path = pathlib.Path(path)

    def steps(self):
        """The steps that there are states of, the newest first."""
        files = self.path.glob("step-*.npz")
        found = [match for match in (NAME.fullmatch(file.name) for file in files) if match]
        return sorted((int(match[1]) for match in found), reverse=True)

    def file(self, step):
        """The path of the state of a step."""
        return self.path / f"step-{step:09d}.npz"

    def save(self, step, arrays, facts):
        """Writes a state, then deletes those older than the one before it.

        Args:
            step: Its number.
            arrays: A list of arrays.
            facts: A JSON-ready dictionary.

        Raises:
            TrainingError: If it cannot be written; older states stay.
        """
        path = self.file(step)
        named = {f"{number:05d}": array for number, array in enumerate(arrays)}
        text = np.frombuffer(json.dumps(facts).encode(), np.uint8)
        steps = self.steps()
        kept = f"the state of step {steps[0]} is kept" if steps else "there is no state yet"
        with writing(path, kept), atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez(file, facts=text, **named)
            file.flush()
            os.fsync(file.fileno())  # before the name: power may fail, too
        for old in self.steps()[GENERATIONS:]:
            self.file(old).unlink(missing_ok=True)

    def load(self):
        """The newest state that is whole.

        Returns:
            (arrays, facts), or `None` where there is no state yet.

        Raises:
            TrainingError: If there are states, and each of them is damaged.
        """
        steps = self.steps()
        for step in steps:
            try:
                with np.load(self.file(step), allow_pickle=False) as stored:
                    facts = json.loads(stored["facts"].tobytes())
                    names = sorted(set(stored.files) - {"facts"})
                    return [stored[name] for name in names], facts
            except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
                logging.warning("%s: damaged (%s)", self.file(step), first_line(error))
        if steps:
            raise TrainingError(
                f"{self.path}: every state there is damaged; delete the folder to begin anew"
            )
        return None


def variables_of(model, optimizer):
    """The variables that a state holds: the model's, dropout's seeds, and the optimizer's."""
    return [*model.variables, *optimizer.variables]


def restore(variables, arrays, path):
    """Puts the arrays of a state back.

    Args:
        variables: As `variables_of` gives.
        arrays: As many arrays.
        path: What the error calls them.

    Raises:
        TrainingError: If they are those of another network.
    """
    shapes = [tuple(variable.shape) for variable in variables]
    if shapes != [array.shape for array in arrays]:
        raise TrainingError(
            f"{path}: holds the state of another network; choose another output, or delete it"
        )
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)
