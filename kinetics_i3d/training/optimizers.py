"""The optimizer of a config, and its learning rate at every step.

AdamW, or SGD with momentum 0.9 as in the paper. Weight decay is decoupled from the gradients in
both: Loshchilov & Hutter, "Decoupled Weight Decay Regularization", ICLR 2019.

Schedules are tables of fractions of a run, so that they fit a run of any length. The drops are
those of the code released with Carreira & Zisserman, CVPR 2017; the paper itself says only that the
rate fell tenfold when the validation loss saturated.
"""

import contextlib
import dataclasses
import math

_MOMENTUM = 0.9


def make_optimizer(config):
    """The Keras optimizer of a `TrainConfig`; the loop sets its learning rate at every step.

    For `precision="mixed_float16"` it is a `LossScaleOptimizer`.
    """
    import keras  # the command line imports SCHEDULES, and must not wait for Keras

    settings: dict = {"weight_decay": config.weight_decay}
    if config.ema:
        settings |= {"use_ema": True, "ema_momentum": config.ema}
    if config.optimizer == "adamw":
        optimizer = keras.optimizers.AdamW(config.learning_rate, **settings)
    else:
        optimizer = keras.optimizers.SGD(config.learning_rate, momentum=_MOMENTUM, **settings)
    if config.precision == "mixed_float16":
        return keras.optimizers.LossScaleOptimizer(optimizer)
    return optimizer


def prepare_optimizer(optimizer, model):
    """Creates the variables of an optimizer for a model, and excludes vectors from weight decay.

    Layers that are not to be trained must already be frozen.
    """
    # Biases and batch norm's offsets do not overfit, so pulling them to 0 only makes the fit worse.
    vectors = [variable for variable in model.trainable_variables if len(variable.shape) <= 1]
    _without_loss_scale(optimizer).exclude_from_weight_decay(var_list=vectors)
    optimizer.build(model.trainable_variables)


@contextlib.contextmanager
def averaged_weights(optimizer, model):
    """Puts the moving average of the weights into the model for the block, if there is one."""
    if not _without_loss_scale(optimizer).use_ema:
        yield
        return
    weights = [variable.numpy() for variable in model.trainable_variables]
    optimizer.finalize_variable_values(model.trainable_variables)
    try:
        yield
    finally:
        for variable, value in zip(model.trainable_variables, weights, strict=True):
            variable.assign(value)


def _without_loss_scale(optimizer):
    return getattr(optimizer, "inner_optimizer", optimizer)


@dataclasses.dataclass(frozen=True)
class Schedule:
    """One learning rate schedule.

    Args:
        name: Its name in a config.
        drops: Pairs (fraction of the run, factor): from there on the rate is `factor` times its
            peak.
        cosine: Whether the rate falls as half a cosine to 0 instead.
        plateau: Whether the rate falls tenfold each time the validation loss saturates.
        reference: Number of steps of the run that the row is taken from; 0 for none.
    """

    name: str
    drops: tuple[tuple[float, float], ...] = ()
    cosine: bool = False
    plateau: bool = False
    reference: int = 0

    def rate(self, step, *, steps, warmup=0):
        """The rate at a step as a share of its peak, 0 to 1, without the cuts of a plateau.

        Args:
            step: Number of the step, from 0.
            steps: Steps of the run.
            warmup: Steps of a linear rise from 0.
        """
        rise = min(1.0, step / warmup) if warmup else 1.0
        if self.cosine:
            done = (step - warmup) / max(1, steps - warmup)
            return rise * (1 + math.cos(math.pi * min(1.0, max(0.0, done)))) / 2
        share = 1.0
        for fraction, factor in self.drops:
            # Rounded, since 97 / 115 * 1150 is not exactly 970 in floating point.
            if step >= round(fraction * steps):
                share = factor
        return rise * share


def _drops(last, *rows):
    return tuple((step / last, factor) for step, factor in rows)


SCHEDULES = {
    row.name: row
    for row in (
        Schedule("constant"),
        Schedule("cosine", cosine=True),
        Schedule("plateau", plateau=True),
        Schedule("paper", plateau=True, reference=110_000),
        Schedule("release_rgb", _drops(115, (97, 0.1), (108, 0.01)), reference=115_000),
        # After the third drop the flow network was trained again from the full rate.
        Schedule(
            "release_flow",
            _drops(155, (97, 0.1), (104.5, 0.01), (115, 1.0), (140, 0.1), (150, 0.01)),
            reference=155_000,
        ),
    )
}


# State files hold these fields by name.
@dataclasses.dataclass
class Plateau:
    """Counts validations without progress, and cuts the learning rate tenfold after `patience`.

    Args:
        patience: Validations without progress before a cut.
        least: Progress is a loss lower than the best by at least this fraction of it.
        best: Lowest validation loss so far.
        waited: Validations without progress since then, or since the last cut.
        factor: Current factor of the learning rate.
    """

    patience: int = 3
    least: float = 1e-3
    best: float = math.inf
    waited: int = 0
    factor: float = 1.0

    def update(self, loss):
        """Records a validation loss; returns `factor`."""
        # The first loss is compared with infinity, of which no fraction can be taken.
        if loss < self.best - self.least * abs(self.best if math.isfinite(self.best) else 0):
            self.best, self.waited = loss, 0
        else:
            self.waited += 1
        if self.waited >= self.patience:
            self.waited, self.factor = 0, self.factor / 10
        return self.factor
