"""`gradients`: the gradient of a logit with respect to all variables, on any Keras backend."""

import keras


def gradients(model, clips):
    """{path of a variable: gradient of the first logit of the first clip}, NumPy arrays."""
    variables = model.trainable_variables
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        fixed = [variable.value for variable in model.non_trainable_variables]

        def logit(values):
            return model.stateless_call(values, fixed, clips)[0][0, 0]

        arrays = jax.grad(logit)([variable.value for variable in variables])
    elif backend == "torch":
        model(clips)[0, 0].backward()
        arrays = [variable.value.grad for variable in variables]
    else:
        import tensorflow as tf

        with tf.GradientTape() as tape:
            logit = model(clips)[0, 0]
        arrays = tape.gradient(logit, [variable.value for variable in variables])
    pairs = zip(variables, arrays, strict=True)
    return {variable.path: keras.ops.convert_to_numpy(array) for variable, array in pairs}
