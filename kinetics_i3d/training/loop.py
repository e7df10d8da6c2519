"""`Loop`: a run from step to step, with its state on disk.

A run that was killed continues from its last state and ends with the same bits as one that was not:
the state holds the variables, the seeds of dropout, the schedule, the position in the data and the
curves.
"""

import contextlib
import dataclasses
import math
import time
from collections.abc import Callable

import numpy as np
from absl import logging

from kinetics_i3d.core.errors import UserError
from kinetics_i3d.core.files import atomic_path
from kinetics_i3d.core.progress import as_time, stage
from kinetics_i3d.training.errors import TrainingError, TrainingStopped
from kinetics_i3d.training.optimizers import SCHEDULES, Plateau
from kinetics_i3d.training.state import StateFolder, TrainState, restore, variables_of

_LOG_SECONDS = 30.0  # between lines in the log
_SHOWN = ("loss", "accuracy", "val_loss", "val_accuracy", "val_map")


class Throughput:
    """Measures steps per second, the share of the time spent waiting for clips, and what is left.

    Args:
        clock: Returns the time in seconds.
    """

    def __init__(self, clock=time.perf_counter):
        self.clock = clock
        self._has_stepped = False
        self.restart()

    def restart(self):
        """Starts a new measurement, as each epoch does."""
        self.last = self.clock()
        self.steps = self.clips = 0
        self.waiting = self.working = 0.0
        self._startup_steps, self._startup_seconds = 0, 0.0

    def batch_arrived(self):
        """The time since the last call was spent waiting for a batch."""
        now = self.clock()
        self.waiting += now - self.last
        self.last = now

    def step_done(self, clips):
        """The time since the last call was spent on a step with this number of clips."""
        now = self.clock()
        self.working += now - self.last
        self.last = now
        self.steps += 1
        self.clips += clips
        if not self._has_stepped:
            # TensorFlow traces the graph in the first step, which may take a minute.
            self._has_stepped = True
            self._startup_steps, self._startup_seconds = 1, self.waiting + self.working

    def skip(self):
        """The time since the last call, such as that of a validation, does not count."""
        self.last = self.clock()

    def rates(self):
        """Steps and clips per second, and the share of the time spent waiting, 0 to 1.

        Empty before the first step, as in a process that only validates.
        """
        if not self.steps:
            return {}
        total = max(self.waiting + self.working, 1e-9)
        return {
            "steps_per_second": self.steps / total,
            "clips_per_second": self.clips / total,
            "waiting": self.waiting / total,
        }

    def seconds_left(self, steps):
        """The time that some steps will take, or `None` before the second step of a process."""
        measured = self.steps - self._startup_steps
        if measured < 1:
            return None
        return steps * (self.waiting + self.working - self._startup_seconds) / measured

    def line(self, steps_left):
        """The rates and the time left as text."""
        rates, seconds = self.rates(), self.seconds_left(steps_left)
        line = (
            f"{rates['steps_per_second']:.2f} steps/s, {rates['clips_per_second']:.1f} clips/s, "
            f"{100 * rates['waiting']:.0f} % waiting for clips"
        )
        return line if seconds is None else f"{line}, {as_time(seconds)} left"


@dataclasses.dataclass(frozen=True)
class Callbacks:
    """Functions that a `Loop` calls; `None` for no call.

    Args:
        validate: Called with a function that returns whether to stop; returns columns of the
            history, including `val_loss`.
        end_epoch: Called with (`TrainState`, improved) after each epoch, before its state is saved.
        write_scalars: Called with (step, {name: value}) every 30 seconds and after each epoch.
    """

    validate: Callable | None = None
    end_epoch: Callable | None = None
    write_scalars: Callable | None = None


class Loop:
    """Trains until the last step, and keeps the state on disk.

    Args:
        config: A `TrainConfig`.
        step: A `Step`.
        output: Folder of the run, a `pathlib.Path`; states go into `state/`.
        steps_per_epoch: Steps of an epoch.
        videos: Checksum of the training and validation videos.
        process_rank, world_size: Index of this process, and number of processes. Rank 0 writes.
        save_every: Steps between states; a state is also saved at the end of each epoch.
        callbacks: `Callbacks`.
    """

    def __init__(
        self,
        config,
        step,
        output,
        *,
        steps_per_epoch,
        videos="",
        process_rank=0,
        world_size=1,
        save_every=500,
        callbacks=None,
    ):
        self.config, self.step, self.output = config, step, output
        self.steps_per_epoch, self.save_every = steps_per_epoch, save_every
        self.total_steps = config.steps or steps_per_epoch * config.epochs
        self.process_rank, self.world_size = process_rank, world_size
        self.callbacks = callbacks or Callbacks()
        self.state_folder = StateFolder(output / "state")
        self.state = TrainState(positions=[0] * world_size, videos=videos)
        self.plateau = Plateau(patience=config.patience)
        self.variables = variables_of(step.model, step.optimizer)
        self.throughput = Throughput()

    def resume(self):
        """Restores the newest state, if there is one.

        Returns:
            (examples, batches) that this process has already taken from its data.

        Raises:
            TrainingError: If the states are damaged, or belong to another network, to another
                number of processes or to other videos.
        """
        stored = self.state_folder.load()
        if stored is not None:
            arrays, fields = stored
            videos, self.state = self.state.videos, TrainState(**fields)
            if len(self.state.positions) != self.world_size:
                raise TrainingError(
                    f"{self.state_folder.path}: belongs to a run of {len(self.state.positions)} "
                    f"processes; it cannot be resumed with {self.world_size}"
                )
            self._check_videos(videos)
            restore(self.variables, arrays, self.state_folder.path)
            self.plateau = Plateau(**self.state.plateau)
            logging.info("resuming at step %d of %d", self.state.step, self.total_steps)
        return self.state.positions[self.process_rank], self.state.step

    def _check_videos(self, videos):
        """Raises `TrainingError` if the state belongs to other videos or epochs."""
        advice = "choose another output, or start a new run from its weights"
        if self.state.history:
            before, now = self.state.history[0]["step"], min(self.steps_per_epoch, self.total_steps)
            if before != now:
                raise TrainingError(
                    f"{self.output}: its first epoch had {before} steps, but has {now} with these "
                    f"videos; {advice}"
                )
        if self.state.videos and self.state.videos != videos:
            raise TrainingError(
                f"{self.output}: is a run of other training or validation videos; {advice}"
            )
        self.state.videos = videos

    def run(self, batches, request):
        """Trains until the last step.

        Args:
            batches: Iterator of (clips, targets, numbers), from the position that `resume` returns.
            request: A `StopRequest`.

        Raises:
            TrainingStopped: If a stop was requested; the state is saved.
            TrainingError: If the loss is not finite, or a state cannot be saved.
            UserError: If the data cannot be read; the state is saved.
        """
        self.throughput.restart()
        finished = len(self.state.history)
        # The state before a validation was saved, and the run ended within the validation.
        if self._ends_epoch() and finished < math.ceil(self.state.step / self.steps_per_epoch):
            self._end_epoch(request)
        with contextlib.ExitStack() as stack:
            self._steps(batches, request, stack)

    def _steps(self, batches, request, stack):
        show, last_line = None, time.monotonic()
        while self.state.step < self.total_steps:
            batch = self._next(batches)
            self.throughput.batch_arrived()
            stop = self._one_step(batch, request.stop_requested)
            # A single process stops at once, also for a request that came during the step.
            # Several have to stop at the same step: the request travels with the next one's sum.
            stop = stop or (self.world_size == 1 and request.stop_requested)
            step = self.state.step
            if show is None:
                # The bar starts after the first step, whose tracing would distort its estimate.
                show = stack.enter_context(
                    stage(
                        "training",
                        total=self.total_steps,
                        noun="steps",
                        initial=step,
                        lines=False,
                    )
                )
            show(step, self._means())
            ends = self._ends_epoch()
            if ends:
                if self.callbacks.validate:
                    # A scheduler that requested the stop may kill the run before the validation
                    # ends.
                    self._save()
                self._end_epoch(request)
            elif stop or step % self.save_every == 0:
                self._save()
            if stop and step < self.total_steps:
                raise TrainingStopped(
                    f"{self.output}: stopped after step {step}; run the same command to resume"
                )
            if ends or time.monotonic() - last_line > _LOG_SECONDS:
                last_line = time.monotonic()
                line = self._line()
                if ends or show.bar is None:
                    logging.info("step %d of %d: %s", step, self.total_steps, line)
            self.throughput.skip()
            if ends:
                self.throughput.restart()

    def _next(self, batches):
        """The next batch; if it cannot be read, the state is saved before the error is raised."""
        try:
            return next(batches)
        except UserError:
            if self.state.step:
                self._save()
            raise

    def learning_rate(self, step=None):
        """The learning rate of a step, by default of the next one."""
        config = self.config
        warmup = round(config.warmup * self.steps_per_epoch)
        share = SCHEDULES[config.schedule].rate(
            self.state.step if step is None else step,
            steps=self.total_steps,
            warmup=warmup if self.total_steps > 1 else 0,  # a single step would have the rate 0
        )
        return config.learning_rate * share * self.plateau.factor

    def _one_step(self, batch, stop_requested):
        """Takes a step; returns whether a stop was requested in any process."""
        clips, targets, numbers = batch
        self.step.optimizer.learning_rate = self.learning_rate()
        # Each process fills in its own element, so that the sum over the processes contains the
        # position of each, which rank 0 saves. This needs no additional communication.
        shared = np.zeros(self.world_size + 1, np.int64)
        shared[self.process_rank], shared[-1] = int(numbers[-1]) + 1, stop_requested
        loss, accuracy, shared = self.step.train(clips, targets, shared)
        self.throughput.step_done(self.config.batch_size)
        if not math.isfinite(loss):
            self._refuse(batch, loss)
        state = self.state
        state.step += 1
        state.positions = [int(number) for number in shared[:-1]]
        state.loss, state.right = state.loss + loss, state.right + accuracy
        return bool(shared[-1])

    def _ends_epoch(self):
        """Whether the last step was the last of an epoch; the final epoch may be shorter."""
        step = self.state.step
        return step > 0 and (step % self.steps_per_epoch == 0 or step == self.total_steps)

    def _end_epoch(self, request):
        state, callbacks = self.state, self.callbacks
        row = {
            "epoch": len(state.history),
            "step": state.step,
            **self._epoch_means(),
            "learning_rate": self.learning_rate(state.step - 1),
            **self.throughput.rates(),
        }
        improved = False
        is_due = (row["epoch"] + 1) % self.config.validate_every == 0
        if callbacks.validate and (is_due or state.step == self.total_steps):
            # Several processes cannot agree to stop within a validation; they do at the next step.
            row |= callbacks.validate(lambda: request.stop_requested and self.world_size == 1)
            improved = row["val_loss"] < state.best
            state.best = min(state.best, row["val_loss"])
            if SCHEDULES[self.config.schedule].plateau:
                self.plateau.update(row["val_loss"])
        state.history.append(row)
        state.loss = state.right = 0.0
        if callbacks.end_epoch and self.process_rank == 0:
            callbacks.end_epoch(state, improved)
        # Last: a run that is killed before this point writes the files of the epoch again.
        self._save()

    def _save(self):
        if self.process_rank != 0:
            return
        self.state.plateau = dataclasses.asdict(self.plateau)
        arrays = [variable.numpy() for variable in self.variables]
        self.state_folder.save(self.state.step, arrays, dataclasses.asdict(self.state))

    def _refuse(self, batch, loss):
        """Saves a batch whose loss is not finite, and raises `TrainingError`."""
        import tensorflow as tf

        clips, targets, numbers = tf.nest.map_structure(np.asarray, batch)
        path = self.output / f"bad_batch_step_{self.state.step}_process_{self.process_rank}.npz"
        clips = clips if isinstance(clips, dict) else {"clips": clips}
        try:
            with atomic_path(path) as temporary:
                np.savez(temporary, targets=targets, numbers=numbers, **clips)
            where = f"its batch is in {path}"
        except OSError as error:
            where = f"its batch cannot be saved ({error.strerror})"
        raise TrainingError(
            f"{self.output}: the loss of step {self.state.step} is {loss}; {where}; check it, or "
            "use a lower learning_rate, a longer warmup or a global_clipnorm"
        )

    def _line(self):
        """Means and throughput as text; also passes them to TensorBoard."""
        line = self.throughput.line(self.total_steps - self.state.step)
        if self.callbacks.write_scalars:
            self.callbacks.write_scalars(
                self.state.step,
                {"learning_rate": self.learning_rate(), **self.throughput.rates()},
            )
        return f"{self._means()}, {line}"

    def _epoch_means(self):
        """Means over the steps of the current epoch, of which there must be at least one."""
        state = self.state
        steps = state.step - len(state.history) * self.steps_per_epoch
        return {"loss": state.loss / steps, "accuracy": state.right / steps}

    def _means(self):
        """The means of this epoch so far, or of the one that has just ended, as text."""
        has_steps = self.state.step > len(self.state.history) * self.steps_per_epoch
        row = self._epoch_means() if has_steps else self.state.history[-1]
        return ", ".join(f"{name} {row[name]:.3f}" for name in _SHOWN if name in row)
