"""The state of a run, and its files.

A state file holds all that a run needs to continue as if it had never stopped: the variables of the
model and of the optimizer, and a `TrainState` with the position in the data and the curves.
"""

import dataclasses
import json
import math
import os
import pathlib
import re
import zipfile

import numpy as np
from absl import logging

from kinetics_i3d.core.errors import DAMAGE, first_line
from kinetics_i3d.core.files import atomic_path
from kinetics_i3d.core.json_objects import check_fields, parse_object
from kinetics_i3d.training.errors import TrainingError, reporting_write_errors

_KEPT = 2  # the newest file may be damaged by a power failure; then the one before it is used
_NAME = re.compile(r"step-(\d+)\.npz")
_COUNT = "arrays"  # beside the fields of `TrainState`
_KINDS = {
    "step": int,
    "positions": list,
    "loss": float,
    "right": float,
    "plateau": dict,
    "best": float,
    "history": list,
    "videos": str,
}
_PLATEAU = {"patience": int, "least": float, "best": float, "waited": int, "factor": float}


# The names of the fields are stored in files of earlier versions and must not change.
@dataclasses.dataclass
class TrainState:
    """Everything in a state file besides the variables.

    Args:
        step: Number of steps done.
        positions: Number of the next example of each process.
        loss, right: Sums of loss and accuracy over the steps of the current epoch.
        plateau: Fields of a `Plateau`.
        best: Lowest validation loss so far.
        history: A row of `history.csv` per finished epoch, as a dictionary.
        videos: Checksum of the training and validation videos; empty in earlier versions.
    """

    step: int = 0
    positions: list[int] = dataclasses.field(default_factory=list)
    loss: float = 0.0
    right: float = 0.0
    plateau: dict = dataclasses.field(default_factory=dict)
    best: float = math.inf
    history: list[dict] = dataclasses.field(default_factory=list)
    videos: str = ""


class StateFolder:
    """The state files of one run, `step-000000500.npz` and so on.

    Args:
        path: The folder.
    """

    def __init__(self, path):
        self.path = pathlib.Path(path)

    def steps(self):
        """The steps that have a state, newest first."""
        matches = [_NAME.fullmatch(file.name) for file in self.path.glob("step-*.npz")]
        return sorted((int(match[1]) for match in matches if match), reverse=True)

    def file(self, step):
        """The path of the state of a step."""
        return self.path / f"step-{step:09d}.npz"

    def save(self, step, arrays, state):
        """Writes a state atomically, then deletes all but the newest two.

        Args:
            step: Its number.
            arrays: A list of arrays.
            state: A JSON-ready dictionary.

        Raises:
            TrainingError: If it cannot be written; older states remain.
        """
        path = self.file(step)
        # Numbered and not named: Keras' names of optimizer variables are not unique.
        numbered = {f"{number:05d}": array for number, array in enumerate(arrays)}
        # JSON as bytes: floats are restored exactly, and no pickle has to be allowed. The count is
        # stored because damage in a zip file's directory can hide some of its members.
        text = np.frombuffer(json.dumps({**state, _COUNT: len(arrays)}).encode(), np.uint8)
        steps = self.steps()
        remains = f"the state of step {steps[0]} is kept" if steps else "there is no state yet"
        with (
            reporting_write_errors(path, remains),
            atomic_path(path) as temporary,
            temporary.open("wb") as file,
        ):
            np.savez(file, facts=text, **numbered)
            file.flush()
            # Before the rename: after a power failure the new name must not have old contents.
            os.fsync(file.fileno())
        for old in self.steps()[_KEPT:]:
            self.file(old).unlink(missing_ok=True)

    def load(self):
        """(arrays, state) of the newest undamaged file, or `None` if there are no files.

        Raises:
            TrainingError: If all files are damaged.
        """
        steps = self.steps()
        for step in steps:
            try:
                return _read(self.file(step))
            except DAMAGE as error:
                logging.warning("%s: damaged (%s)", self.file(step), first_line(error))
        if steps:
            raise TrainingError(
                f"{self.path}: all states are damaged; delete the folder to start over"
            )
        return None


def _read(path):
    """(arrays, state) of a file; raises one of the errors in `DAMAGE` if it is damaged."""
    with open(path, "rb") as file, np.load(file, allow_pickle=False) as stored:
        if any(member.compress_type != zipfile.ZIP_STORED for member in stored.zip.infolist()):
            raise ValueError("it is compressed")  # it could expand to any size
        state = parse_object(stored["facts"].tobytes())
        names = sorted(set(stored.files) - {"facts"})
        # Earlier versions wrote neither of these.
        count = state.pop(_COUNT, len(names))
        state.setdefault("videos", "")
        if names != [f"{number:05d}" for number in range(len(names))] or count != len(names):
            raise ValueError(f"it holds {len(names)} of {count} arrays")
        check_fields("state", state, _KINDS)
        if state["plateau"]:
            check_fields("plateau", state["plateau"], _PLATEAU)
        numbers = [state["step"], *state["positions"]]
        if not all(type(number) is int and number >= 0 for number in numbers):
            raise ValueError(f"its step and positions must be whole numbers: {numbers!r:.200}")
        if not all(isinstance(row, dict) for row in state["history"]):
            raise ValueError("its history must be a list of objects")
        arrays = [stored[name] for name in names]
        if not all(isinstance(array, np.ndarray) for array in arrays):
            raise ValueError("a member is not an array")
        return arrays, state


def variables_of(model, optimizer):
    """The variables in a state: the model's, including dropout's seeds, and the optimizer's."""
    return [*model.variables, *optimizer.variables]


def restore(variables, arrays, path):
    """Assigns the arrays of a state to the variables of `variables_of`.

    Args:
        variables: The variables.
        arrays: As many arrays.
        path: The state's path, for the error.

    Raises:
        TrainingError: If the shapes do not match.
    """
    shapes = [tuple(variable.shape) for variable in variables]
    if shapes != [array.shape for array in arrays]:
        raise TrainingError(
            f"{path}: holds the state of another network; choose another output, or delete it"
        )
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)
