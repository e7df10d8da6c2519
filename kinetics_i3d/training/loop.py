"""`Loop`: a run from step to step, whose every fact is in a state on disk.

A run that was killed goes on from its last state and ends as if it had not been: the state knows
the variables, the seeds of dropout, the schedule, the position in the data and the curves.
"""

import dataclasses
import math
import time

import numpy as np
from absl import logging

from kinetics_i3d.core.files import atomic_path
from kinetics_i3d.core.progress import stage
from kinetics_i3d.training.errors import TrainingError, TrainingStopped
from kinetics_i3d.training.meter import Meter
from kinetics_i3d.training.schedules import SCHEDULES, Plateau
from kinetics_i3d.training.state import StateFolder, restore, variables_of

EVERY = 30.0  # seconds between lines in the log


@dataclasses.dataclass
class Facts:
    """What a state knows beside the variables.

    Args:
        step: Steps done.
        positions: For each process, the number of the example that it takes next.
        loss, right: Sums of the steps of this epoch.
        plateau: Fields of a `Plateau`.
        best: The lowest validation loss yet.
        history: A dictionary for each whole epoch.
    """

    step: int = 0
    positions: list = dataclasses.field(default_factory=list)
    loss: float = 0.0
    right: float = 0.0
    plateau: dict = dataclasses.field(default_factory=dict)
    best: float = math.inf
    history: list = dataclasses.field(default_factory=list)


class Loop:
    """Steps until the last one.

    Args:
        config: A `TrainConfig`.
        step: A `Step`.
        output: Folder of the run, a `pathlib.Path`; states go into `state/`.
        per_epoch: Steps of an epoch.
        place: (index, count) of this process; the first one writes.
        save_every: Steps between states; there is one at each epoch's end anyway.
        validate: Called with what tells whether to stop for a dictionary of the columns of the
            history, of which `val_loss` is one; or `None`.
        report: Called with (`Facts`, improved) after each epoch and before its state is saved.
        board: Called with (step, {name: value}) now and then, or `None`.
    """

    def __init__(
        self,
        config,
        step,
        output,
        *,
        per_epoch,
        place=(0, 1),
        save_every=500,
        validate=None,
        report=None,
        board=None,
    ):
        self.config, self.step, self.output = config, step, output
        self.per_epoch, self.save_every = per_epoch, save_every
        self.total = config.steps or per_epoch * config.epochs
        self.index, self.workers = place
        self.validate, self.report, self.board = validate, report, board
        self.states = StateFolder(output / "state")
        self.facts = Facts(positions=[0] * self.workers)
        self.plateau = Plateau(patience=config.patience)
        self.variables = variables_of(step.model, step.optimizer)
        self.meter = Meter()

    def resume(self):
        """Takes up the newest state there is.

        Returns:
            (examples, batches) that this process has taken, where its data has to begin.

        Raises:
            TrainingError: If the states are damaged or of another network or number of processes.
        """
        stored = self.states.load()
        if stored is not None:
            arrays, facts = stored
            self.facts = Facts(**facts)
            if len(self.facts.positions) != self.workers:
                raise TrainingError(
                    f"{self.states.path}: of a run of {len(self.facts.positions)} processes; "
                    f"it cannot go on with {self.workers}"
                )
            restore(self.variables, arrays, self.states.path)
            self.plateau = Plateau(**self.facts.plateau)
            logging.info("goes on at step %d of %d", self.facts.step, self.total)
        return self.facts.positions[self.index], self.facts.step

    def run(self, batches, question):
        """Trains until the last step.

        Args:
            batches: Iterator of (clips, targets, numbers), from where `resume` says.
            question: A `Question`, which ends the run early.

        Raises:
            TrainingStopped: If `question` was asked; the state is saved.
            TrainingError: If the loss is not finite, or a state cannot be saved.
        """
        self.meter.restart()
        if self._ends() and len(self.facts.history) < math.ceil(self.facts.step / self.per_epoch):
            self._end_epoch(question)  # which was stopped in its validation
        shown = stage(
            "training", total=self.total, noun="steps", initial=self.facts.step, lines=False
        )
        with shown as show:
            self._steps(batches, question, show)

    def _steps(self, batches, question, show):
        shown = time.monotonic()
        while self.facts.step < self.total:
            batch = next(batches)
            self.meter.waited()
            stop = self._one(batch, question.asked)
            # Several processes agree within a step, so they learn of it by the next one.
            stop = stop or (self.workers == 1 and question.asked)
            step = self.facts.step
            show(step, self._means())
            ends = self._ends()
            if ends:
                if self.validate:
                    self._save()  # that may take longer than whoever stops it will wait
                self._end_epoch(question)
            elif stop or step % self.save_every == 0:
                self._save()
            if stop and step < self.total:
                raise TrainingStopped(
                    f"{self.output}: stopped after step {step}; goes on from there"
                )
            if ends or time.monotonic() - shown > EVERY:
                shown = time.monotonic()
                line = self._line()
                if ends or show.bar is None:
                    logging.info("step %d of %d: %s", step, self.total, line)
            self.meter.pause()
            if ends:
                self.meter.restart()

    def rate(self):
        """The learning rate of the next step."""
        config = self.config
        share = SCHEDULES[config.schedule].rate(
            self.facts.step, steps=self.total, warmup=round(config.warmup * self.per_epoch)
        )
        return config.learning_rate * share * self.plateau.factor

    def _one(self, batch, asked):
        clips, targets, numbers = batch
        self.step.optimizer.learning_rate = self.rate()
        note = np.zeros(self.workers + 1, np.int64)
        note[self.index], note[-1] = int(numbers[-1]) + 1, asked
        loss, right, note = self.step.train(clips, targets, note)
        self.meter.stepped(self.config.batch)
        if not math.isfinite(loss):
            self._refuse(batch, loss)
        facts = self.facts
        facts.step += 1
        facts.positions = [int(number) for number in note[:-1]]
        facts.loss, facts.right = facts.loss + loss, facts.right + right
        return bool(note[-1])

    def _ends(self):
        """Whether the last step was that of an epoch."""
        step = self.facts.step
        return step > 0 and (step % self.per_epoch == 0 or step == self.total)

    def _end_epoch(self, question):
        facts = self.facts
        steps = facts.step - len(facts.history) * self.per_epoch
        row = {
            "epoch": len(facts.history),
            "step": facts.step,
            "loss": facts.loss / steps,
            "accuracy": facts.right / steps,
            "learning_rate": self.rate(),
            **self.meter.rates(),
        }
        improved = False
        due = (row["epoch"] + 1) % self.config.validate_every == 0 or facts.step == self.total
        if self.validate and due:
            # Several processes would have to agree, and do so at the next step.
            row |= self.validate(lambda: question.asked and self.workers == 1)
            improved = row["val_loss"] < facts.best
            facts.best = min(facts.best, row["val_loss"])
            if SCHEDULES[self.config.schedule].plateau:
                self.plateau.see(row["val_loss"])
        facts.history.append(row)
        facts.loss = facts.right = 0.0
        if self.report and self.index == 0:
            self.report(facts, improved)
        self._save()

    def _save(self):
        if self.index != 0:
            return
        self.facts.plateau = dataclasses.asdict(self.plateau)
        arrays = [variable.numpy() for variable in self.variables]
        self.states.save(self.facts.step, arrays, dataclasses.asdict(self.facts))

    def _refuse(self, batch, loss):
        import tensorflow as tf

        clips, targets, numbers = tf.nest.map_structure(np.asarray, batch)
        path = self.output / f"bad_batch_step_{self.facts.step}_process_{self.index}.npz"
        clips = clips if isinstance(clips, dict) else {"clips": clips}
        try:
            with atomic_path(path) as temporary:
                np.savez(temporary, targets=targets, numbers=numbers, **clips)
            where = f"its batch is in {path}: look at it"
        except OSError as error:
            where = f"its batch cannot be saved ({error.strerror})"
        raise TrainingError(
            f"{self.output}: the loss of step {self.facts.step} is {loss}; {where}, or take a "
            "lower learning_rate, a longer warmup or a clip_norm"
        )

    def _line(self):
        line = self.meter.line(self.total - self.facts.step)
        if self.board:
            self.board(self.facts.step, {"learning_rate": self.rate(), **self.meter.rates()})
        return f"{self._means()}, {line}"

    def _means(self):
        """Loss and accuracy of this epoch so far, or of the one that has just ended."""
        facts = self.facts
        steps = facts.step - len(facts.history) * self.per_epoch
        if steps > 0:
            row = {"loss": facts.loss / steps, "accuracy": facts.right / steps}
        else:
            row = facts.history[-1]
        names = ("loss", "accuracy", "val_loss", "val_accuracy", "val_map")
        return ", ".join(f"{name} {row[name]:.3f}" for name in names if name in row)
