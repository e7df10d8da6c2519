"""`optimize`: a faster copy of a model for use from Python: folded batch norms, lower precision."""

import hashlib
import pathlib
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from absl import logging
from keras import layers

from kinetics_i3d.core.types import Weights
from kinetics_i3d.inference.quantize import check_precision, quantize_network
from kinetics_i3d.models.clip_model import ClipModel, check_ends_in_logits
from kinetics_i3d.models.folding import fold
from kinetics_i3d.models.layers import dtype_policy
from kinetics_i3d.models.load import as_model
from kinetics_i3d.models.streams import STREAMS
from kinetics_i3d.models.systems import system_of
from kinetics_i3d.models.two_stream_i3d import joined

PRECISIONS = ("float32", "bfloat16", "int8")
_BFLOAT16_FLAGS = ("avx512_bf16", "amx_bf16")  # of /proc/cpuinfo


def optimize(
    model: ClipModel | Weights, *, precision: str = "float32", calibration: Any = None
) -> ClipModel:
    """Makes a faster copy of a model with the same predictions, which cannot be trained.

    Args:
        model: A `ClipModel`, which is not changed, or weights as `load_model` takes them. With
            `"int8"` it must end in logits.
        precision: Precision of the copy. `"float32"` differs by rounding only. `"bfloat16"` takes
            about half the time on processors with AVX512-BF16 or AMX and longer on others; the
            logits differ by a few hundredths. `"int8"` takes about a third of the time: the network
            is calibrated on videos, which takes a minute, quantized, and run by OpenVINO, on the
            CPU and with the TensorFlow backend only.
        calibration: For `"int8"`: videos on which the ranges of the activations are measured,
            preferably training videos of the model. A dataset, whose split `"train"` is used if it
            has one, or paths of videos, which are all used.

    Returns:
        A `ClipModel`. With `"int8"` the network is one layer, or one layer per stream of a
        Two-Stream I3D. Otherwise the layers keep their names, and folded batch norms are
        identities. All weights are frozen and do not match the original architecture: to save
        weights, save `model`.

    Raises:
        DatasetError: If the calibration videos cannot be found.
        ExportError: If OpenVINO or NNCF, the extra `[openvino]`, is missing.
        ValueError: If an argument is out of range, or `precision` and `calibration` do not match.
        VideoError: If a calibration video cannot be read.

    Example:

    >>> fast = ki3d.optimize(model)
    >>> clips = np.random.default_rng(0).uniform(-1, 1, (1, 9, 64, 64, 3))
    >>> np.allclose(fast.predict(clips, verbose=0), model.predict(clips, verbose=0), atol=1e-4)
    True
    """
    check_precision(precision, calibration, PRECISIONS)
    if isinstance(calibration, Iterator):
        calibration = list(calibration)  # each stream reads them
    model = as_model(model)
    if precision == "int8":
        return _in_8_bits(model, calibration)
    if precision == "bfloat16" and has_bfloat16() is False:
        logging.warning("this processor does not support bfloat16: float32 is likely faster")
    with dtype_policy("float32"):
        return fold(model, "mixed_bfloat16" if precision == "bfloat16" else "float32")


def has_bfloat16(cpuinfo="/proc/cpuinfo"):
    """Whether this x86 processor computes in bfloat16; `None` if Linux does not report it."""
    path = pathlib.Path(cpuinfo)
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else ()
    flags = next((line.split() for line in lines if line.startswith("flags")), None)
    return None if flags is None else bool(set(_BFLOAT16_FLAGS) & set(flags))


def _in_8_bits(model, calibration):
    """A `ClipModel` of an `_OpenVinoNetwork`, or of one per stream for a Two-Stream I3D.

    Keras and TensorFlow have no 8-bit 3D convolution on CPUs, so OpenVINO runs the network.
    """
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            "`precision` must be 'float32' or 'bfloat16' except on the TensorFlow backend. "
            f"Received: precision='int8' on {keras.backend.backend()}"
        )
    check_ends_in_logits(model)
    if system_of(model).is_separate:
        # Separate streams can be run one by one, and their logits kept.
        streams = {key: _in_8_bits(model.streams[key], calibration) for key in STREAMS}
        shapes = {stream: model.input[stream].shape[1:] for stream in STREAMS}
        both = joined(streams, shapes, name=model.name)
        both.clip_specs, both.labels = model.clip_specs, model.labels
        both.activation = model.activation
        return both
    clips = {
        stream: keras.Input(tensor.shape[1:], name=stream)
        for stream, tensor in zip(model.clip_specs, keras.tree.flatten(model.input), strict=True)
    }
    graph, _ = quantize_network(model, calibration)
    logits = _OpenVinoNetwork(graph, model.output_shape[-1], name="Logits")([*clips.values()])
    inputs = clips if len(clips) > 1 else next(iter(clips.values()))
    return model.copy_with(inputs, logits, architecture=f"{model.architecture}, int8")


class _OpenVinoNetwork(layers.Layer):
    """A layer that OpenVINO computes on the CPU; it cannot be trained or saved.

    Args:
        graph: An `openvino.Model` of clips, in the order of its inputs, with the output `logits`.
        classes: Number of logits.
        name: The layer's name.
    """

    def __init__(self, graph, classes, *, name):
        import openvino

        super().__init__(name=name, trainable=False, dtype="float32")
        self.supports_jit = False
        self._classes = classes
        self._run = openvino.Core().compile_model(graph, "CPU")
        # This digest identifies the network, like the digest of weights for other models.
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
