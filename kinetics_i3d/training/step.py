"""One step of training: the loss, its gradients and the update, on one device or on several.

It replaces Keras' `fit`, which does not know the position in the data and cannot resume exactly.
The same code runs under every strategy of tf.distribute.

Carreira & Zisserman, CVPR 2017, section 2.1: the LSTM is trained on its outputs at every time step.
"""

import dataclasses
import typing

import numpy as np
import tensorflow as tf

from kinetics_i3d.training.batch_norm import (
    average_over_devices,
    moments_of,
    trainable_batch_norms_of,
)


def cross_entropy(logits, targets, *, smoothing=0.0):
    """The softmax cross-entropy of each clip, float32 (batch,).

    Args:
        logits: (batch, classes), or (batch, steps, classes), over whose steps the loss is averaged.
        targets: (batch, classes); each row a distribution.
        smoothing: Share of each target that is spread over all classes, 0 to 1.
    """
    # Losses are in float32 even if the network is in half precision.
    logits, targets = tf.cast(logits, tf.float32), tf.cast(targets, tf.float32)
    if smoothing:
        targets = targets * (1 - smoothing) + smoothing / targets.shape[-1]
    if len(logits.shape) == 2:
        return tf.nn.softmax_cross_entropy_with_logits(targets, logits)
    repeated = tf.repeat(targets[:, None], tf.shape(logits)[1], axis=1)
    return tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(repeated, logits), axis=1)


def binary_cross_entropy(logits, targets, *, smoothing=0.0, weights=None):
    """The sigmoid cross-entropy of each clip, summed over the classes, float32 (batch,).

    Args:
        logits: (batch, classes), or (batch, steps, classes), over whose steps the loss is averaged.
        targets: (batch, classes), 0 to 1, each class independent of the others.
        smoothing: Share of each target that is replaced by 1/2, 0 to 1.
        weights: (classes,), factors of the positive terms; `None` for 1.
    """
    logits, targets = tf.cast(logits, tf.float32), tf.cast(targets, tf.float32)
    if smoothing:
        targets = targets * (1 - smoothing) + smoothing / 2
    if len(logits.shape) == 3:
        targets = tf.repeat(targets[:, None], tf.shape(logits)[1], axis=1)
    positive = 1.0 if weights is None else tf.constant(weights, tf.float32)
    losses = tf.nn.weighted_cross_entropy_with_logits(targets, logits, positive)
    losses = tf.reduce_sum(losses, axis=-1)
    return losses if len(logits.shape) == 2 else tf.reduce_mean(losses, axis=1)


def last_step(logits):
    """The logits (batch, classes) that are the prediction: the last of several time steps."""
    return logits if len(logits.shape) == 2 else logits[:, -1]


def balanced_weights(counts):
    """Class weights by inverse frequency, whose mean over the clips is 1.

    Args:
        counts: (classes,), the number of clips of each class.

    Returns:
        float32 array (classes,); 0 for a class without clips.
    """
    counts = np.asarray(counts, np.float64)
    present = counts > 0
    weights = np.zeros(counts.shape)
    weights[present] = counts.sum() / (present.sum() * counts[present])
    return weights.astype(np.float32)


@dataclasses.dataclass(frozen=True)
class Objective:
    """The loss of a step, and when a prediction counts as correct.

    Args:
        loss: `"softmax"`, one class per clip, or `"sigmoid"`, any number of classes.
        smoothing: Label smoothing, 0 to 1.
        class_weights: (classes,), as `balanced_weights` returns, or `None`. With softmax they
            weight the training loss of a clip by its class, or by the mean over its target if
            mixup has blended it; with sigmoid they weight the positive term of each class.
    """

    loss: str = "softmax"
    smoothing: float = 0.0
    class_weights: typing.Any = None

    def losses(self, logits, targets, *, training):
        """The loss of each clip; only training losses are weighted."""
        weights = self.class_weights if training else None
        if self.loss == "sigmoid":
            return binary_cross_entropy(logits, targets, smoothing=self.smoothing, weights=weights)
        losses = cross_entropy(logits, targets, smoothing=self.smoothing)
        if weights is None:
            return losses
        return losses * tf.linalg.matvec(tf.cast(targets, tf.float32), weights)

    def correct(self, logits, targets):
        """1.0 where the best class is that of the target (sigmoid: any of the target), else 0.0."""
        best = tf.argmax(last_step(logits), axis=-1)
        if self.loss == "sigmoid":
            is_correct = tf.gather(targets, best, axis=1, batch_dims=1) > 0
        else:
            is_correct = best == tf.argmax(targets, axis=-1)
        return tf.cast(is_correct, tf.float32)


class Step:
    """Updates the weights of a model from batches of clips.

    Args:
        model: A model of clips; its outputs are logits, of each time step or of the last.
        optimizer: The result of `make_optimizer`, prepared for this model.
        network: A model that shares the layers of `model` and returns the logits to train: those of
            `model`, or a list whose members are trained separately and whose sum is the prediction.
            By default `model`.
        objective: An `Objective`.
        accumulate: Number of parts into which each device splits its clips. The gradients of the
            parts add up to those of the whole, except that batch norm sees one part at a time.
        global_clipnorm: Largest norm of all gradients together; 0 for no limit.
        strategy: A `tf.distribute.Strategy`; by default the one in scope.
    """

    def __init__(
        self,
        model,
        optimizer,
        *,
        network=None,
        objective=None,
        accumulate=1,
        global_clipnorm=0.0,
        strategy=None,
    ):
        self.model, self.optimizer, self.network = model, optimizer, network or model
        self.objective = objective or Objective()
        self.accumulate, self.global_clipnorm = accumulate, global_clipnorm
        self.strategy = strategy or tf.distribute.get_strategy()
        self.replicas = self.strategy.num_replicas_in_sync
        self._train_graph = None  # its signature depends on the first batch
        # No XLA: on CPUs it makes these graphs several times slower.
        self._test_graph = tf.function(self._test_on_all, jit_compile=False)
        self._sum_graph = tf.function(self._sum_on_all, jit_compile=False)

    def train(self, clips, targets, values=None):
        """One update.

        Args:
            clips: (batch, frames, height, width, channels), or {stream: clips}: the clips of the
                global batch that belong to this process.
            targets: (batch, classes).
            values: int64 vector to sum over all processes.

        Returns:
            (loss, accuracy, values): means over the global batch, and the summed values.
        """
        values = tf.zeros((1,), tf.int64) if values is None else tf.convert_to_tensor(values)
        batch = self._split_over_devices(clips, targets, values)
        if self._train_graph is None:
            signature = _signature_of_any_batch_size(batch)
            self._train_graph = tf.function(self._train_on_all, signature, jit_compile=False)
        loss, accuracy, values = self._train_graph(*batch)
        return float(loss), float(accuracy), values.numpy()

    def test(self, clips, targets):
        """(losses, correct, logits) of each clip without an update.

        Returns:
            float32 arrays (batch,), (batch,) and (batch, classes); `correct` is 0.0 or 1.0.
        """
        empty = tf.zeros((1,), tf.int64)
        results = self._test_graph(*self._split_over_devices(clips, targets, empty)[:2])
        parts = [self.strategy.experimental_local_results(result) for result in results]
        return tuple(tf.concat(part, axis=0).numpy() for part in parts)

    def all_reduce_sum(self, values):
        """The sums of a list of numbers over all processes, as float64."""
        batch = tf.zeros((self.replicas, 1))  # only there to be split like a batch
        split = self._split_over_devices(batch, batch, tf.constant(values, tf.float64))
        return self._sum_graph(*split).numpy()

    def _split_over_devices(self, clips, targets, values):
        """Gives each device of this process its share of the clips."""
        local = len(self.strategy.extended.worker_devices) if self.replicas > 1 else 1
        local = max(1, min(local, self.replicas))
        if local == 1:
            return clips, targets, values
        size = targets.shape[0] // local

        def part_of(context):
            index = context.replica_id_in_sync_group % local
            rows = slice(index * size, (index + 1) * size)
            part = tf.nest.map_structure(lambda tensor: tensor[rows], (clips, targets))
            # The values belong to the process: summed over devices they must count once.
            return *part, values if index == 0 else tf.zeros_like(values)

        distribute = self.strategy.experimental_distribute_values_from_function
        # That function makes one distributed value at a time, so the list of structures, one for
        # each device, becomes a structure of distributed values.
        parts = [part_of(context) for context in _value_contexts(self.strategy)]
        return tf.nest.map_structure(
            lambda *tensors: distribute(
                lambda context: tensors[context.replica_id_in_sync_group % local]
            ),
            *parts,
        )

    def _train_on_all(self, clips, targets, values):
        results = self.strategy.run(self._train_on_one, args=(clips, targets, values))
        return tuple(self.strategy.reduce("SUM", result, axis=None) for result in results)

    def _test_on_all(self, clips, targets):
        return self.strategy.run(self._test_on_one, args=(clips, targets))

    def _sum_on_all(self, clips, targets, values):
        del clips, targets
        # `reduce` takes only what `run` has returned.
        values = self.strategy.run(lambda tensor: tf.identity(tensor), args=(values,))
        return self.strategy.reduce("SUM", values, axis=None)

    def _test_on_one(self, clips, targets):
        logits = self.model(clips, training=False)
        losses = self.objective.losses(logits, targets, training=False)
        correct = self.objective.correct(logits, targets)
        return losses, correct, tf.cast(last_step(logits), tf.float32)

    def _train_on_one(self, clips, targets, values):
        # All parts have the same size, so the mean over the global batch is the sum of the means
        # over the parts times this share.
        share = 1.0 / (self.replicas * self.accumulate)
        gradients, loss, accuracy = self._accumulated_gradients(clips, targets, share)
        self.optimizer.apply(self._clipped(gradients), self.model.trainable_variables)
        average_over_devices(moments_of(trainable_batch_norms_of(self.model)))
        return loss, accuracy, values

    def _accumulated_gradients(self, clips, targets, share):
        """(gradients, loss, accuracy): this device's terms of the global means."""
        if self.accumulate == 1:
            return self._gradients(clips, targets, share)
        size = tf.shape(targets)[0] // self.accumulate

        def gradients_of(number):
            rows = slice(number * size, (number + 1) * size)
            part, part_targets = tf.nest.map_structure(
                lambda tensor: tensor[rows], (clips, targets)
            )
            return self._gradients(part, part_targets, share)

        if self.replicas > 1:
            # Synchronized batch norm communicates inside the network, which tf.distribute does not
            # allow in a tf.while_loop. Unrolled, control dependencies keep the memory of one part.
            sums = gradients_of(0)
            for number in range(1, self.accumulate):
                with tf.control_dependencies(tf.nest.flatten(sums)):
                    sums = tf.nest.map_structure(tf.add, sums, gradients_of(number))
            return sums
        variables = self.model.trainable_variables
        zeros = ([tf.zeros_like(variable) for variable in variables], 0.0, 0.0)
        _, sums = tf.while_loop(
            lambda number, _: number < self.accumulate,
            lambda number, sums: (
                number + 1,
                tf.nest.map_structure(tf.add, sums, gradients_of(number)),
            ),
            (0, tf.nest.map_structure(tf.convert_to_tensor, zeros)),
            parallel_iterations=1,  # several at once would need the memory of the whole batch
        )
        return sums

    def _gradients(self, clips, targets, share):
        with tf.GradientTape() as tape:
            outputs = tf.nest.flatten(self.network(clips, training=True))
            losses = [self.objective.losses(logits, targets, training=True) for logits in outputs]
            loss = share * tf.reduce_mean(tf.add_n(losses))
            scaled = self.optimizer.scale_loss(loss)  # only in float16; else the same
        variables = [variable.value for variable in self.model.trainable_variables]
        # Zeros and not None where a layer has no effect: sums and norms need a tensor for each.
        gradients = tape.gradient(
            scaled, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        correct = self.objective.correct(tf.add_n(outputs), targets)
        return gradients, loss, share * tf.reduce_mean(correct)

    def _clipped(self, gradients):
        """The gradients, with the norm of those of the global batch limited to `global_clipnorm`.

        Each device returns its share, since the optimizer sums the gradients of all devices.
        """
        has_loss_scale = hasattr(self.optimizer, "inner_optimizer")
        if not self.global_clipnorm and not (has_loss_scale and self.replicas > 1):
            return gradients
        if self.replicas > 1:
            # Summed here already: the norm, and the check for infinities of the loss scale, have to
            # see the sum, or devices would decide differently.
            context = tf.distribute.get_replica_context()
            gradients = context.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
        if self.global_clipnorm:
            limit = self.optimizer.scale_loss(tf.constant(self.global_clipnorm, tf.float32))
            gradients, _ = tf.clip_by_global_norm(gradients, limit)
        # Divided again, since the optimizer also sums over the devices.
        return [g / self.replicas for g in gradients] if self.replicas > 1 else gradients


def _signature_of_any_batch_size(batch):
    """The signature of a batch with an unknown batch size; `None` for one of several devices.

    With all sizes known, Grappler's memory optimizer rewrites a large sum of gradients to add each
    term as soon as it is computed. The order of three terms then depends on timing, and two runs
    differ in their last bits.
    """
    tensors = tf.nest.flatten(batch)
    if not all(isinstance(tensor, tf.Tensor) for tensor in tensors):
        return None
    return tf.nest.map_structure(
        lambda tensor: tf.TensorSpec((None, *tensor.shape[1:]), tensor.dtype), batch
    )


def _value_contexts(strategy):
    """The value contexts of this process' devices, in order."""
    contexts: list = []

    def collect(context):
        contexts.append(context)
        return 0

    strategy.experimental_distribute_values_from_function(collect)
    return contexts
