"""An MLServer runtime for an exported SavedModel: the Open Inference Protocol over its signatures.

A request's names, types and shapes are checked before TensorFlow gets its data; the graph itself
checks the frames. https://mlserver.readthedocs.io (custom runtimes).
"""

import asyncio
import base64
import math

import numpy as np
from mlserver import MLModel
from mlserver.errors import InferenceError
from mlserver.types import InferenceResponse, MetadataTensor, ResponseOutput

# {type of a signature: its name in the protocol}.
DATATYPES = {"uint8": "UINT8", "float32": "FP32", "string": "BYTES"}
SIGNATURE = "serving_default"


class SavedModelRuntime(MLModel):
    """Serves the SavedModel at `parameters.uri`; a request may name a signature."""

    async def load(self):
        """Loads the model."""
        import tensorflow as tf

        # One clip uses all cores; several at once would only need more memory.
        self._turn = asyncio.Semaphore(1)
        self._model = tf.saved_model.load(self.settings.parameters.uri)
        offered = self._model.signatures[SIGNATURE]
        self.inputs = [describe(spec) for spec in offered.structured_input_signature[1].values()]
        self.outputs = [describe(spec, name) for name, spec in offered.structured_outputs.items()]
        return True

    async def predict(self, payload):
        """Runs one request.

        Raises:
            InferenceError: If the request is wrong.
        """
        name = ((payload.parameters and payload.parameters.model_extra) or {}).get("signature")
        signature = self._model.signatures.get(name or SIGNATURE)
        if signature is None:
            names = sorted(self._model.signatures)
            raise InferenceError(f"signature must be one of {names}. Received: {name!r}")
        specs = signature.structured_input_signature[1]
        if sorted(tensor.name for tensor in payload.inputs) != sorted(specs):
            raise InferenceError(f"inputs must be {sorted(specs)}")
        async with self._turn:
            outputs = await asyncio.to_thread(self._run, signature, specs, payload.inputs)
        return InferenceResponse(
            model_name=self.name,
            model_version=self.version,
            id=payload.id,
            outputs=[encode(name, array) for name, array in outputs.items()],
        )

    def _run(self, signature, specs, inputs):
        import tensorflow as tf

        tensors = {
            tensor.name: tf.constant(decode(tensor, specs[tensor.name])) for tensor in inputs
        }
        try:
            return {name: tensor.numpy() for name, tensor in signature(**tensors).items()}
        except (tf.errors.InvalidArgumentError, tf.errors.ResourceExhaustedError) as error:
            raise InferenceError(reason(error)) from error


def describe(spec, name=None):
    """A `TensorSpec` in the protocol's format, where -1 is any size."""
    return MetadataTensor(
        name=name or spec.name,
        datatype=DATATYPES[spec.dtype.name],
        shape=[-1 if side is None else side for side in spec.shape],
    )


def decode(tensor, spec):
    """The array of an input.

    Raises:
        InferenceError: If its type or rank is wrong, or its data do not fit its shape.
    """
    name, datatype = spec.name, DATATYPES[spec.dtype.name]
    if tensor.datatype != datatype:
        raise InferenceError(f"{name} must be {datatype}. Received: {tensor.datatype}")
    if len(tensor.shape) != len(spec.shape) or min(tensor.shape, default=0) < 1:
        raise InferenceError(
            f"{name} must be of {len(spec.shape)} sizes above 0. Received: {tensor.shape}"
        )
    announced = math.prod(tensor.shape)
    data = tensor.data.root
    if getattr(tensor.parameters, "content_type", None) == "base64":
        return decode_base64(data, tensor.shape, spec)
    if not isinstance(data, list) or announced != len(data):
        received = len(data) if isinstance(data, list) else "no list"
        raise InferenceError(
            f"{name} must hold, as one flat list, the {announced} numbers that its shape "
            f"announces. Received: {received}"
        )
    try:
        # NumPy would wrap, round or parse other values.
        array = np.asarray(data)
        if array.dtype.kind not in ("iu" if datatype == "UINT8" else "iuf") or array.ndim != 1:
            raise ValueError
        if datatype == "UINT8" and not 0 <= array.min() <= array.max() <= 255:
            raise ValueError
        with np.errstate(over="ignore"):  # the graph refuses infinite values
            return array.astype(spec.dtype.as_numpy_dtype).reshape(tensor.shape)
    except (ValueError, OverflowError) as error:
        kind = "whole numbers from 0 to 255" if datatype == "UINT8" else "numbers"
        raise InferenceError(f"{name} must hold {kind}") from error


def decode_base64(data, shape, spec):
    """The array of an input in base64, which has a third of the size of JSON numbers.

    Raises:
        InferenceError: If it is not base64, or its length does not fit its shape.
    """
    dtype = np.dtype(spec.dtype.as_numpy_dtype).newbyteorder("<")
    announced = math.prod(shape) * dtype.itemsize
    if not isinstance(data, list) or len(data) != 1 or not isinstance(data[0], str):
        raise InferenceError(f"{spec.name} must hold one text in base64")
    if len(data[0]) != 4 * -(-announced // 3):
        raise InferenceError(
            f"{spec.name} must hold the {announced} bytes that its shape announces, which are "
            f"{4 * -(-announced // 3)} letters of base64. Received: {len(data[0])}"
        )
    try:
        content = base64.b64decode(data[0], validate=True)
    except ValueError as error:
        raise InferenceError(f"{spec.name} must hold base64") from error
    if len(content) != announced:
        raise InferenceError(f"{spec.name} must hold {announced} bytes. Received: {len(content)}")
    return np.frombuffer(content, dtype).reshape(shape)


def encode(name, array):
    """An output in the protocol's format."""
    text = array.dtype == object
    data = [label.decode() for label in array.ravel()] if text else array.ravel().tolist()
    datatype = "BYTES" if text else DATATYPES[array.dtype.name]
    return ResponseOutput(name=name, shape=list(array.shape), datatype=datatype, data=data)


def reason(error):
    """The message of the graph's assertion, without the path through the graph."""
    lines = [line.strip() for line in str(error).splitlines()]
    messages = [line for line in lines if "must" in line]
    return (messages or lines)[0]
