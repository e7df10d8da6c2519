"""The optimizer of a config: SGD with momentum 0.9 as in the paper, or AdamW.

Loshchilov & Hutter, "Decoupled Weight Decay Regularization", ICLR 2019: the decay is taken from the
weights by themselves, in both. Biases and batch norm's offsets have none: pulled to 0 they would
not generalise better, only fit worse.
"""

import contextlib

import keras

MOMENTUM = 0.9


def make_optimizer(config):
    """The optimizer of a `TrainConfig`; the loop sets its learning rate at every step.

    Args:
        config: A `TrainConfig`.

    Returns:
        A `keras.Optimizer`, in float16 one that scales the loss.
    """
    settings: dict = {"weight_decay": config.weight_decay}
    if config.ema:
        settings |= {"use_ema": True, "ema_momentum": config.ema}
    if config.optimizer == "adamw":
        optimizer = keras.optimizers.AdamW(config.learning_rate, **settings)
    else:
        optimizer = keras.optimizers.SGD(config.learning_rate, momentum=MOMENTUM, **settings)
    if config.precision == "mixed_float16":
        return keras.optimizers.LossScaleOptimizer(optimizer)
    return optimizer


def prepare_optimizer(optimizer, model):
    """Creates an optimizer's variables, and leaves out of the decay what is no kernel.

    Args:
        optimizer: Of `make_optimizer`.
        model: The model, frozen where it shall be.
    """
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    inner.exclude_from_weight_decay(
        var_list=[one for one in model.trainable_variables if not is_decayed(one)]
    )
    optimizer.build(model.trainable_variables)


def is_decayed(variable):
    """Whether weight decay shrinks a variable: kernels, and none of the vectors."""
    return len(variable.shape) > 1


@contextlib.contextmanager
def averaged(optimizer, model):
    """Puts the moving average of the weights in their place for a while, where there is one.

    Args:
        optimizer: Of `make_optimizer`.
        model: The model.
    """
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    if not inner.use_ema:
        yield
        return
    before = [variable.numpy() for variable in model.trainable_variables]
    optimizer.finalize_variable_values(model.trainable_variables)
    try:
        yield
    finally:
        for variable, value in zip(model.trainable_variables, before, strict=True):
            variable.assign(value)
