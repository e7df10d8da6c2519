"""`in_eight_bits`: a quantised network, run by OpenVINO, in the place of a Keras model's layers.

Keras and TensorFlow have no 3D convolution of 8 bits on processors.
"""

import hashlib

import keras
import numpy as np
from keras import layers

from kinetics_i3d.exporting.openvino_folder import quantized
from kinetics_i3d.models.clip_model import check_ends_in_logits
from kinetics_i3d.models.streams import STREAMS
from kinetics_i3d.models.systems import system_of
from kinetics_i3d.models.two_stream_i3d import joined


def in_eight_bits(model, calibration):
    """A model whose network is quantised, see `optimize`.

    Args:
        model: A `ClipModel` that ends in logits.
        calibration: As for `calibration_clips`.

    Returns:
        A `ClipModel` of an `OpenVinoNetwork`; that of a Two-Stream I3D has one for each stream, so
        that they can be run, and their logits kept, one by one.

    Raises:
        DatasetError: If the videos cannot be found.
        ExportError: If OpenVINO or NNCF is missing.
        ValueError: If the model does not end in logits, or Keras runs on another backend.
        VideoError: If a video cannot be read.
    """
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            "`precision` must be 'float32' or 'bfloat16' but on the TensorFlow backend. "
            f"Received: precision='int8' on {keras.backend.backend()}"
        )
    check_ends_in_logits(model)
    if system_of(model).is_separate:
        streams = {key: in_eight_bits(model.streams[key], calibration) for key in STREAMS}
        shapes = {stream: model.input[stream].shape[1:] for stream in STREAMS}
        found = joined(streams, shapes, name=model.name)
        found.clip_specs, found.labels = model.clip_specs, model.labels
        return found
    clips = {
        stream: keras.Input(tensor.shape[1:], name=stream)
        for stream, tensor in zip(model.clip_specs, keras.tree.flatten(model.input), strict=True)
    }
    graph, _ = quantized(model, calibration)
    logits = OpenVinoNetwork(graph, model.output_shape[-1], name="Logits")([*clips.values()])
    inputs = clips if len(clips) > 1 else next(iter(clips.values()))
    return model.copy_with(inputs, logits, architecture=f"{model.architecture}, int8")


class OpenVinoNetwork(layers.Layer):
    """A layer that OpenVINO computes on the processor; it cannot be trained or saved.

    Args:
        graph: An `openvino.Model` that gives `logits`, of clips in the order of its inputs.
        classes: How many logits.
        name: The layer's name.
    """

    def __init__(self, graph, classes, *, name):
        import openvino

        super().__init__(name=name, trainable=False, dtype="float32")
        self.supports_jit = False
        self._classes = classes
        self._run = openvino.Core().compile_model(graph, "CPU")
        # Known by its content, as other networks are by their weights.
        content = hashlib.sha256()
        for node in graph.get_ordered_ops():
            content.update(f"{node.get_type_name()} {node.get_output_size()}".encode())
            if node.get_type_name() == "Constant":
                content.update(np.ascontiguousarray(node.get_data()))
        digest = np.frombuffer(content.digest(), np.uint8)
        self.digest = self.add_weight(
            shape=digest.shape, dtype="uint8", initializer="zeros", trainable=False, name="digest"
        )
        self.digest.assign(digest)

    def call(self, inputs):
        import tensorflow as tf

        def run(*clips):
            return self._run([np.asarray(clip) for clip in clips])["logits"]

        logits = tf.numpy_function(run, inputs, tf.float32)
        return tf.ensure_shape(logits, (None, self._classes))

    def compute_output_shape(self, input_shape):
        first = input_shape[0] if isinstance(input_shape[0], tuple | list) else input_shape
        return first[0], self._classes
