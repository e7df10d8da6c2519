"""`Step`: one update of a model's weights, on one device or on several.

A loop of our own steps where Keras' `fit` cannot: it knows the position in the data, and runs under
every strategy of tf.distribute.
"""

import tensorflow as tf

from kinetics_i3d.training.batch_norm import agree_on, measuring, moments_of
from kinetics_i3d.training.losses import binary_cross_entropy, cross_entropy, final


class Step:
    """Takes batches of clips, and moves the model's weights.

    Args:
        model: A model of clips; its output is logits, of every time step or of the last.
        optimizer: Of `make_optimizer`, prepared for this model.
        network: A model of the same layers to a list of logits that are trained each by itself and
            answer by their sum; by default `model`.
        smoothing: Of the labels, 0 to 1.
        accumulate: Parts that each device runs its clips in; their gradients are those of the
            whole, except that batch norm sees the clips of a part alone.
        clip_norm: Largest norm of all gradients together, 0 for any.
        strategy: A `tf.distribute.Strategy`; by default this process' only device.
        loss: `"softmax"` or `"sigmoid"`.
        class_weights: (classes,), as `balanced_weights` gives; they weight the training loss of a
            clip by its class, or by the mean of its target where that is blended, and of `sigmoid`
            each class's positive term. `None` weights all alike.
    """

    def __init__(
        self,
        model,
        optimizer,
        *,
        network=None,
        smoothing=0.0,
        accumulate=1,
        clip_norm=0.0,
        strategy=None,
        loss="softmax",
        class_weights=None,
    ):
        self.loss, self.class_weights = loss, class_weights
        self.model, self.optimizer, self.network = model, optimizer, network or model
        self.smoothing, self.accumulate, self.clip_norm = smoothing, accumulate, clip_norm
        self.strategy = strategy or tf.distribute.get_strategy()
        self.replicas = self.strategy.num_replicas_in_sync
        # Without XLA: on CPUs it is several times slower here.
        self._train = None  # made for the first batch
        self._sum = tf.function(self._sum_on_all, jit_compile=False)
        self._test = tf.function(self._test_on_all, jit_compile=False)

    def train(self, clips, targets, note=None):
        """One update.

        Args:
            clips: (batch, frames, height, width, channels), or a dictionary of streams: the part of
                the global batch that belongs to this process.
            targets: (batch, classes).
            note: int64 vector that is summed over all processes, for what they have to agree on.

        Returns:
            (loss, accuracy, note): the means of the global batch, and the sum of the notes.
        """
        note = tf.zeros((1,), tf.int64) if note is None else tf.convert_to_tensor(note)
        parts = self._spread(clips, targets, note)
        if self._train is None:
            self._train = tf.function(self._on_all, _any_batch(parts), jit_compile=False)
        loss, right, note = self._train(*parts)
        return float(loss), float(right), note.numpy()

    def test(self, clips, targets):
        """The loss of each clip and whether its answer is right, at rest.

        Returns:
            Two float32 arrays (batch,).
        """
        return self.test_with_logits(clips, targets)[:2]

    def test_with_logits(self, clips, targets):
        """What `test` returns, and the logits: float32 array (batch, classes)."""
        empty = tf.zeros((1,), tf.int64)
        results = self._test(*self._spread(clips, targets, empty)[:2])
        parts = [self.strategy.experimental_local_results(one) for one in results]
        return tuple(tf.concat(one, axis=0).numpy() for one in parts)

    def total(self, values):
        """The sums over all processes of a list of numbers, as float64."""
        empty = tf.zeros((self.replicas, 1))  # parted like a batch
        spread = self._spread(empty, empty, tf.constant(values, tf.float64))
        return self._sum(*spread).numpy()

    def _spread(self, clips, targets, note):
        """Parts what this process has among its own devices."""
        local = len(self.strategy.extended.worker_devices) if self.replicas > 1 else 1
        local = max(1, min(local, self.replicas))
        if local == 1:
            return clips, targets, note
        size = targets.shape[0] // local

        def part(context):
            index = context.replica_id_in_sync_group % local
            rows = slice(index * size, (index + 1) * size)
            mine = tf.nest.map_structure(lambda one: one[rows], (clips, targets))
            return *mine, note if index == 0 else tf.zeros_like(note)

        spread = self.strategy.experimental_distribute_values_from_function
        # One structure of parts becomes parts of the structure.
        values = [part(context) for context in _contexts(self.strategy)]
        return tf.nest.map_structure(
            lambda *each: spread(lambda context: each[context.replica_id_in_sync_group % local]),
            *values,
        )

    def _on_all(self, clips, targets, note):
        parts = self.strategy.run(self._on_one, args=(clips, targets, note))
        return tuple(self.strategy.reduce("SUM", part, axis=None) for part in parts)

    def _sum_on_all(self, clips, targets, values):
        del clips, targets
        parts = self.strategy.run(lambda one: tf.identity(one), args=(values,))
        return self.strategy.reduce("SUM", parts, axis=None)

    def _test_on_all(self, clips, targets):
        return self.strategy.run(self._test_on_one, args=(clips, targets))

    def _test_on_one(self, clips, targets):
        logits = self.model(clips, training=False)
        loss = self._losses(logits, targets)
        return loss, self._right(logits, targets), tf.cast(final(logits), tf.float32)

    def _losses(self, logits, targets, weights=None):
        """The loss of each clip."""
        if self.loss == "sigmoid":
            return binary_cross_entropy(logits, targets, smoothing=self.smoothing, weights=weights)
        losses = cross_entropy(logits, targets, smoothing=self.smoothing)
        if weights is None:
            return losses
        return losses * tf.linalg.matvec(tf.cast(targets, tf.float32), weights)

    def _right(self, logits, targets):
        """1.0 where the best class is that of the target, or, of `sigmoid`, one of the target's."""
        best = tf.argmax(final(logits), axis=-1)
        if self.loss == "sigmoid":
            hit = tf.gather(targets, best, axis=1, batch_dims=1) > 0
        else:
            hit = best == tf.argmax(targets, axis=-1)
        return tf.cast(hit, tf.float32)

    def _on_one(self, clips, targets, note):
        share = 1.0 / (self.replicas * self.accumulate)  # equal parts of the global batch
        gradients, loss, right = self._first_order(clips, targets, share)
        self.optimizer.apply(self._whole(gradients), self.model.trainable_variables)
        agree_on(moments_of(measuring(self.model)))
        return loss, right, note

    def _first_order(self, clips, targets, share):
        """Gradients, loss and accuracy of this device's part of the global means."""
        if self.accumulate == 1:
            return self._of_part(clips, targets, share)
        size = tf.shape(targets)[0] // self.accumulate

        def part_of(number):
            rows = slice(number * size, (number + 1) * size)
            part, wanted = tf.nest.map_structure(lambda one: one[rows], (clips, targets))
            return self._of_part(part, wanted, share)

        if self.replicas > 1:
            # Devices meet inside batch norm, which no loop of the graph allows.
            sums = part_of(0)
            for number in range(1, self.accumulate):
                with tf.control_dependencies(tf.nest.flatten(sums)):  # one at a time
                    sums = tf.nest.map_structure(tf.add, sums, part_of(number))
            return sums
        variables = self.model.trainable_variables
        nothing = ([tf.zeros_like(one) for one in variables], 0.0, 0.0)
        _, sums = tf.while_loop(
            lambda number, _: number < self.accumulate,
            lambda number, sums: (
                number + 1,
                tf.nest.map_structure(tf.add, sums, part_of(number)),
            ),
            (0, tf.nest.map_structure(tf.convert_to_tensor, nothing)),
            parallel_iterations=1,
        )
        return sums

    def _of_part(self, clips, targets, share):
        with tf.GradientTape() as tape:
            outputs = tf.nest.flatten(self.network(clips, training=True))
            losses = [self._losses(one, targets, self.class_weights) for one in outputs]
            loss = share * tf.reduce_mean(tf.add_n(losses))
            scaled = self.optimizer.scale_loss(loss)
        variables = [one.value for one in self.model.trainable_variables]
        gradients = tape.gradient(
            scaled, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        return gradients, loss, share * tf.reduce_mean(self._right(tf.add_n(outputs), targets))

    def _whole(self, gradients):
        """Clips the gradients of the global batch; the optimizer sums those of the devices."""
        scaler = hasattr(self.optimizer, "inner_optimizer")
        if not self.clip_norm and not (scaler and self.replicas > 1):
            return gradients
        if self.replicas > 1:
            # Summed here: a norm, and what is finite, are of the sum and not of its parts.
            context = tf.distribute.get_replica_context()
            gradients = context.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
        if self.clip_norm:
            bound = self.optimizer.scale_loss(tf.constant(self.clip_norm, tf.float32))
            gradients, _ = tf.clip_by_global_norm(gradients, bound)
        return [one / self.replicas for one in gradients] if self.replicas > 1 else gradients


def _any_batch(parts):
    """The signature of tensors whose batch has any size, or `None` for those of several devices.

    Where TensorFlow knows all sizes of a large sum of gradients, it adds each term as soon as that
    is there (Grappler's memory optimizer), so that a sum of three depends on which came first, and
    no two runs are the same to the last bit.
    """
    tensors = tf.nest.flatten(parts)
    if not all(isinstance(one, tf.Tensor) for one in tensors):
        return None
    return tf.nest.map_structure(
        lambda one: tf.TensorSpec((None, *one.shape[1:]), one.dtype), parts
    )


def _contexts(strategy):
    """The value contexts of this process' devices, in order."""
    found: list = []

    def look(context):
        found.append(context)
        return 0

    strategy.experimental_distribute_values_from_function(look)
    return found
