"""A training step and its losses against NumPy; accumulation, clipping, averages and weights."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.eager import context

from kinetics_i3d.training.config import TrainConfig
from kinetics_i3d.training.optimizers import (
    averaged_weights,
    make_optimizer,
    prepare_optimizer,
)
from kinetics_i3d.training.step import (
    Objective,
    Step,
    balanced_weights,
    binary_cross_entropy,
    cross_entropy,
    last_step,
)

PLAIN = TrainConfig(optimizer="sgd", learning_rate=0.1, weight_decay=0.0)


def small(*, norm=True, steps=False, seed=0):
    """Clips (4, 6, 6, 2) to 3 logits, or to 3 at each of 4 steps."""
    keras.utils.set_random_seed(seed)
    inputs = x = keras.Input((4, 6, 6, 2))
    x = keras.layers.Conv3D(5, 3, padding="same", name="conv")(x)
    if norm:
        x = keras.layers.BatchNormalization(name="norm")(x)
    x = keras.layers.ReLU()(x)
    x = keras.ops.mean(x, axis=(2, 3) if steps else (1, 2, 3))
    return keras.Model(inputs, keras.layers.Dense(3, name="head")(x))


def data(batch, seed=1):
    random = np.random.default_rng(seed)
    clips = random.normal(size=(batch, 4, 6, 6, 2)).astype(np.float32)
    return tf.constant(clips), tf.constant(
        np.eye(3, dtype=np.float32)[random.integers(0, 3, batch)]
    )


def make(model, config=PLAIN, **options):
    optimizer = make_optimizer(config)
    prepare_optimizer(optimizer, model)
    return Step(model, optimizer, **options)


def linear():
    """Clips of one pixel to logits: softmax regression, which NumPy does as well."""
    inputs = keras.Input((1, 1, 1, 4))
    outputs = keras.layers.Dense(3, bias_initializer="ones", name="head")(
        keras.layers.Flatten()(inputs)
    )
    return keras.Model(inputs, outputs)


def by_hand(kernel, bias, x, y, count, *, rate, decay, clip=0.0):
    """SGD with momentum 0.9 on softmax regression; the decay shrinks the kernel alone."""
    speeds = [np.zeros_like(kernel), np.zeros_like(bias)]
    losses = []
    for _ in range(count):
        logits = x @ kernel + bias
        odds = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        losses.append(-np.log((odds * y).sum(1)).mean())
        gradients = [x.T @ (odds - y) / len(x), (odds - y).mean(0)]
        norm = np.sqrt(sum((one**2).sum() for one in gradients))
        if clip:
            gradients = [one * min(1, clip / norm) for one in gradients]
        kernel = kernel - rate * decay * kernel
        speeds = [0.9 * v - rate * g for v, g in zip(speeds, gradients, strict=True)]
        kernel, bias = kernel + speeds[0], bias + speeds[1]
    return losses, kernel, bias


@pytest.mark.slow
@pytest.mark.parametrize(("decay", "clip"), [(0.0, 0.0), (0.5, 0.0), (0.0, 0.2)])
def test_train_step_matches_numpy_sgd_and_decays_only_kernels(decay, clip):
    keras.utils.set_random_seed(3)
    model = linear()
    kernel, bias = (one.numpy().astype(np.float64) for one in model.trainable_variables)
    random = np.random.default_rng(0)
    x, y = random.normal(size=(6, 4)), np.eye(3)[random.integers(0, 3, 6)]
    config = dataclasses.replace(PLAIN, weight_decay=decay)
    step = make(model, config, global_clipnorm=clip)
    clips = tf.constant(x.reshape(6, 1, 1, 1, 4), tf.float32)
    found = [step.train(clips, tf.constant(y, tf.float32))[0] for _ in range(5)]
    losses, kernel, bias = by_hand(kernel, bias, x, y, 5, rate=0.1, decay=decay, clip=clip)
    np.testing.assert_allclose(found, losses, rtol=1e-5)
    for variable, wanted in zip(model.trainable_variables, (kernel, bias), strict=True):
        np.testing.assert_allclose(variable.numpy(), wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_weight_decay_shrinks_kernels_and_not_vectors(optimizer):
    model = small()
    config = dataclasses.replace(PLAIN, optimizer=optimizer, weight_decay=0.3)
    made = make_optimizer(config)
    prepare_optimizer(made, model)
    before = [one.numpy() for one in model.trainable_variables]
    zeros = [tf.zeros(one.shape) for one in model.trainable_variables]
    made.apply(zeros, model.trainable_variables)
    for old, new in zip(before, model.trainable_variables, strict=True):
        share = 1 - 0.1 * 0.3 if old.ndim > 1 else 1.0
        np.testing.assert_allclose(new.numpy(), old * share, rtol=1e-6)


@pytest.mark.parametrize("options", [{}, {"accumulate": 2}, {"global_clipnorm": 0.5}])
def test_a_layer_without_effect_keeps_its_weights(options):
    network = small(norm=False)
    other = keras.layers.Dense(2, name="other")(network.input)
    model = keras.Model(network.input, [network.output, other])
    before = [one.numpy() for one in model.trainable_variables]
    make(model, network=network, **options).train(*data(4))
    for variable, old in zip(model.trainable_variables, before, strict=True):
        is_same = np.array_equal(variable.numpy(), old)
        assert is_same == variable.path.startswith("other/"), variable.path


@pytest.mark.slow
def test_gradient_sums_have_a_fixed_order():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 64, 64, 2))
    x = keras.layers.Conv3D(16, 1, name="conv")(inputs)
    x = keras.layers.BatchNormalization(name="norm")(x)  # a sum of three gradients
    x = keras.ops.mean(keras.layers.ReLU()(x), axis=(1, 2, 3))
    step = make(keras.Model(inputs, keras.layers.Dense(3, name="head")(x)))
    context.enable_run_metadata()
    try:
        step.train(tf.random.normal((32, 8, 64, 64, 2)), tf.one_hot([0, 1] * 16, 3))
        graphs = context.export_run_metadata().function_graphs
    finally:
        context.disable_run_metadata()
    nodes = [node for graph in graphs for node in graph.post_optimization_graph.node]
    # What Grappler makes of such a sum where it knows all sizes: each term is added as it comes.
    assert not [node.name for node in nodes if node.op == "TemporaryVariable"]
    assert any(node.op == "AddN" and len(node.input) == 3 for node in nodes)


@pytest.mark.slow
@pytest.mark.parametrize("parts", [2, 4])
def test_accumulation_matches_the_whole_batch(parts):
    clips, targets = data(8)
    results = []
    for accumulate in (1, parts):
        model = small()
        model.get_layer("norm").trainable = False  # it would see the clips of a part alone
        step = make(model, objective=Objective(smoothing=0.1), accumulate=accumulate)
        curve = [step.train(clips, targets)[:2] for _ in range(4)]
        results.append((curve, [one.numpy() for one in model.trainable_variables]))
    (whole, weights), (accumulated, others) = results
    np.testing.assert_allclose(accumulated, whole, rtol=1e-5)
    for one, other in zip(weights, others, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_moving_average_of_weights_matches_numpy():
    model, (clips, targets) = small(), data(6)
    step = make(model, dataclasses.replace(PLAIN, ema=0.8))
    means = None
    for _ in range(5):
        step.train(clips, targets)
        now = [one.numpy().astype(np.float64) for one in model.trainable_variables]
        means = (
            now if means is None else [0.8 * m + 0.2 * n for m, n in zip(means, now, strict=True)]
        )
    with averaged_weights(step.optimizer, model):
        for one, wanted in zip(model.trainable_variables, means, strict=True):
            np.testing.assert_allclose(one.numpy(), wanted, rtol=1e-5, atol=1e-7)
    for one, wanted in zip(model.trainable_variables, now, strict=True):
        np.testing.assert_array_equal(one.numpy(), wanted.astype(np.float32))


def test_averaged_weights_without_ema_changes_nothing():
    model = small()
    step = make(model)
    before = model.get_weights()
    with averaged_weights(step.optimizer, model):
        for old, new in zip(before, model.get_weights(), strict=True):
            np.testing.assert_array_equal(old, new)


def test_streams_are_trained_separately():
    model, (clips, targets) = small(norm=False), data(6)
    inputs, features = model.input, model.get_layer("head").input
    first, second = (keras.layers.Dense(3, name=name) for name in ("one", "two"))
    network = keras.Model(inputs, [first(features), second(features)])
    both = keras.Model(inputs, keras.layers.Add()(network.outputs))
    step = make(both, network=network)
    with tf.GradientTape() as tape:
        loss = sum(
            tf.reduce_mean(tf.keras.losses.categorical_crossentropy(targets, one, from_logits=True))
            for one in network(clips)
        )
    variables = [one.value for one in both.trainable_variables]
    wanted = [
        old - 0.1 * slope
        for old, slope in zip(variables, tape.gradient(loss, variables), strict=True)
    ]
    right = np.mean(np.argmax(both(clips), -1) == np.argmax(targets, -1))
    found, accuracy, _ = step.train(clips, targets)
    assert found == pytest.approx(float(loss), rel=1e-5) and accuracy == pytest.approx(right)
    for one, other in zip(variables, wanted, strict=True):
        np.testing.assert_allclose(one.numpy(), other, rtol=1e-4, atol=1e-6)


def test_test_step_changes_nothing_and_returns_each_clip():
    model, (clips, targets) = small(steps=True), data(40)
    clips += tf.reshape([3.0, -3.0, 3.0, -3.0], (4, 1, 1, 1))  # each step its own answers
    step = make(model, objective=Objective(smoothing=0.2))
    before = [one.numpy() for one in model.variables]
    losses, right, _ = step.test(clips, targets)
    logits = model(clips, training=False).numpy()
    odds = np.log(np.exp(logits) / np.exp(logits).sum(-1, keepdims=True))
    spread = targets.numpy() * 0.8 + 0.2 / 3
    np.testing.assert_allclose(losses, -(odds * spread[:, None]).sum(-1).mean(1), rtol=1e-5)
    first, last = (logits[:, step].argmax(-1) == targets.numpy().argmax(-1) for step in (0, -1))
    np.testing.assert_array_equal(right, last)
    assert (first != last).any()
    for old, new in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(old, new.numpy())


def test_all_reduce_sum_of_one_process_is_the_identity():
    step, (clips, targets) = make(small()), data(4)
    assert step.train(clips, targets, np.array([7, 0, 3]))[2].tolist() == [7, 0, 3]
    assert step.all_reduce_sum([1.5, 2.0]).tolist() == [1.5, 2.0]


@pytest.mark.slow
def test_float16_scales_the_loss_and_skips_steps_that_are_not_finite():
    config = dataclasses.replace(PLAIN, precision="mixed_float16")
    model, (clips, targets) = small(norm=False), data(6)  # in float32: CPUs train no float16
    step = make(model, config, global_clipnorm=0.1)  # of the gradients before they are scaled
    other = make(small(norm=False), global_clipnorm=0.1)
    for _ in range(3):
        assert step.train(clips, targets)[0] == pytest.approx(other.train(clips, targets)[0], 1e-4)
    scale = float(step.optimizer.dynamic_scale.numpy())
    assert scale == 2.0**15
    before = model.get_weights()
    step.train(clips * np.float32(1e38), targets)
    assert float(step.optimizer.dynamic_scale.numpy()) == scale / 2
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_class_weights_affect_only_the_training_loss():
    keras.utils.set_random_seed(3)
    model = linear()
    kernel, bias = (one.numpy().astype(np.float64) for one in model.trainable_variables)
    random = np.random.default_rng(0)
    x, y = random.normal(size=(6, 4)), np.eye(3)[[0, 0, 0, 0, 1, 2]]
    weights = np.array([0.5, 2.0, 2.0], np.float32)
    odds = np.exp(x @ kernel + bias)
    odds /= odds.sum(1, keepdims=True)
    losses = -np.log((odds * y).sum(1))
    step = make(model, objective=Objective(class_weights=weights))
    clips, targets = tf.constant(x.reshape(6, 1, 1, 1, 4), tf.float32), tf.constant(y, tf.float32)
    np.testing.assert_allclose(step.test(clips, targets)[0], losses, rtol=1e-5)
    factor = weights[y.argmax(1)]
    assert step.train(clips, targets)[0] == pytest.approx((factor * losses).mean(), rel=1e-5)
    error = (factor[:, None] * (odds - y)) / 6
    np.testing.assert_allclose(model.trainable_variables[0], kernel - 0.1 * x.T @ error, rtol=1e-4)
    np.testing.assert_allclose(model.trainable_variables[1], bias - 0.1 * error.sum(0), rtol=1e-4)


def test_sigmoid_train_step_matches_numpy():
    keras.utils.set_random_seed(3)
    model = linear()
    kernel, bias = (one.numpy().astype(np.float64) for one in model.trainable_variables)
    random = np.random.default_rng(0)
    x = random.normal(size=(4, 4))
    y = np.array([[1, 1, 0], [0, 0, 0], [0, 1, 0], [1, 1, 1]], float)
    logits = x @ kernel + bias
    odds = 1 / (1 + np.exp(-logits))
    step = make(model, objective=Objective(loss="sigmoid"))
    clips, targets = tf.constant(x.reshape(4, 1, 1, 1, 4), tf.float32), tf.constant(y, tf.float32)
    losses, right, scores = step.test(clips, targets)
    np.testing.assert_allclose(losses, -np.log(np.where(y > 0, odds, 1 - odds)).sum(1), rtol=1e-5)
    np.testing.assert_allclose(scores, logits, rtol=1e-4)
    # The best class is one of the clip's; a clip without classes is never right.
    np.testing.assert_array_equal(right, y[range(4), logits.argmax(1)])
    assert step.train(clips, targets)[1] == pytest.approx(right.mean())
    error = (odds - y) / 4
    np.testing.assert_allclose(model.trainable_variables[0], kernel - 0.1 * x.T @ error, rtol=1e-4)


def numpy_cross_entropy(logits, targets):
    """-sum of target * log softmax, in float64."""
    logits = np.asarray(logits, np.float64)
    logits = logits - logits.max(axis=-1, keepdims=True)
    return -(targets * (logits - np.log(np.exp(logits).sum(-1, keepdims=True)))).sum(-1)


@pytest.fixture
def logits_and_targets():
    random = np.random.default_rng(0)
    return random.normal(0, 3, (4, 5, 6)).astype(np.float32), np.eye(6, dtype=np.float32)[
        [0, 2, 5, 2]
    ]


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_cross_entropy_averages_over_time_steps(logits_and_targets, smoothing):
    logits, targets = logits_and_targets
    spread = targets * (1 - smoothing) + smoothing / 6
    wanted = np.mean([numpy_cross_entropy(logits[:, step], spread) for step in range(5)], axis=0)
    result = cross_entropy(logits, targets, smoothing=smoothing)
    assert result.dtype == "float32" and result.shape == (4,)
    np.testing.assert_allclose(result, wanted, rtol=1e-5)
    last = cross_entropy(logits[:, 2], targets, smoothing=smoothing)
    np.testing.assert_allclose(last, numpy_cross_entropy(logits[:, 2], spread), rtol=1e-5)


def test_last_step_is_the_prediction(logits_and_targets):
    logits, _ = logits_and_targets
    np.testing.assert_array_equal(last_step(logits), logits[:, 4])
    np.testing.assert_array_equal(last_step(logits[:, 1]), logits[:, 1])


def numpy_binary_cross_entropy(logits, targets, weights=None):
    """The sum over classes of -w y log p - (1 - y) log(1 - p), in float64."""
    odds = 1 / (1 + np.exp(-np.asarray(logits, np.float64)))
    positive = np.ones(odds.shape[-1]) if weights is None else weights
    return -(positive * targets * np.log(odds) + (1 - targets) * np.log(1 - odds)).sum(-1)


@pytest.mark.parametrize("weights", [None, np.array([1.0, 2, 0.5, 1, 3, 0])])
def test_binary_cross_entropy_sums_over_classes(logits_and_targets, weights):
    logits, targets = logits_and_targets
    targets = np.maximum(targets, np.roll(targets, 1, axis=1))  # two classes each
    targets[0] = 0  # and none
    wanted = np.mean(
        [numpy_binary_cross_entropy(logits[:, step], targets, weights) for step in range(5)], axis=0
    )
    result = binary_cross_entropy(logits, targets, weights=weights)
    assert result.dtype == "float32" and result.shape == (4,)
    np.testing.assert_allclose(result, wanted, rtol=1e-5)
    last = binary_cross_entropy(logits[:, 2], targets, smoothing=0.2, weights=weights)
    np.testing.assert_allclose(
        last, numpy_binary_cross_entropy(logits[:, 2], targets * 0.8 + 0.1, weights), rtol=1e-5
    )


def test_sigmoid_class_weights_affect_only_the_positive_terms_of_training(logits_and_targets):
    logits, targets = logits_and_targets[0][:, 0], np.roll(logits_and_targets[1], 1, axis=0)
    weights = np.array([1.0, 2, 0.5, 1, 3, 0], np.float32)
    objective = Objective("sigmoid", class_weights=weights)
    for training, factors in ((True, weights), (False, None)):
        losses = objective.losses(logits, targets, training=training)
        wanted = numpy_binary_cross_entropy(logits, targets, factors)
        np.testing.assert_allclose(losses, wanted, rtol=1e-5)


def test_balanced_weights_have_mean_one_over_clips():
    counts = np.array([6, 3, 0, 1])
    weights = balanced_weights(counts)
    assert weights[2] == 0 and weights[1] == pytest.approx(2 * weights[0])
    assert weights[3] == pytest.approx(6 * weights[0])
    assert (weights * counts).sum() / counts.sum() == pytest.approx(1)
