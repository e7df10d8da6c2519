"""An MLServer runtime for an exported SavedModel: the Open Inference Protocol over its signatures.

What a request claims is checked against what it holds before TensorFlow sees any of it; what is
wrong with the frames themselves, the graph says. https://mlserver.readthedocs.io (custom runtimes).
"""

import asyncio
import base64
import math

import numpy as np
from mlserver import MLModel
from mlserver.errors import InferenceError
from mlserver.types import InferenceResponse, MetadataTensor, ResponseOutput

# The protocol's names of the types that signatures have.
DATATYPES = {"uint8": "UINT8", "float32": "FP32", "string": "BYTES"}
SIGNATURE = "serving_default"


class SavedModelRuntime(MLModel):
    """Serves the folder that `parameters.uri` names; a request may name a signature."""

    async def load(self):
        """Reads the model and answers once, so that the first request finds it compiled."""
        import tensorflow as tf

        # One clip fills all cores; several at once would only share them, and need more memory.
        self._turn = asyncio.Semaphore(1)
        self._model = tf.saved_model.load(self.settings.parameters.uri)
        offered = self._model.signatures[SIGNATURE]
        self.inputs = [describe(spec) for spec in offered.structured_input_signature[1].values()]
        self.outputs = [describe(spec, name) for name, spec in offered.structured_outputs.items()]
        return True

    async def predict(self, payload):
        """Answers one request.

        Raises:
            InferenceError: In one line that says what is wrong with the request.
        """
        asked = ((payload.parameters and payload.parameters.model_extra) or {}).get("signature")
        signature = self._model.signatures.get(asked or SIGNATURE)
        if signature is None:
            names = sorted(self._model.signatures)
            raise InferenceError(f"signature must be one of {names}. Received: {asked!r}")
        wanted = signature.structured_input_signature[1]
        if sorted(each.name for each in payload.inputs) != sorted(wanted):
            raise InferenceError(f"inputs must be {sorted(wanted)}")
        async with self._turn:
            found = await asyncio.to_thread(self._answer, signature, wanted, payload.inputs)
        return InferenceResponse(
            model_name=self.name,
            model_version=self.version,
            id=payload.id,
            outputs=[encode(name, array) for name, array in found.items()],
        )

    def _answer(self, signature, wanted, inputs):
        import tensorflow as tf

        given = {each.name: tf.constant(decode(each, wanted[each.name])) for each in inputs}
        try:
            return {name: tensor.numpy() for name, tensor in signature(**given).items()}
        except (tf.errors.InvalidArgumentError, tf.errors.ResourceExhaustedError) as error:
            raise InferenceError(reason(error)) from error


def describe(spec, name=None):
    """A `TensorSpec` in the protocol's words; -1 is any size."""
    return MetadataTensor(
        name=name or spec.name,
        datatype=DATATYPES[spec.dtype.name],
        shape=[-1 if side is None else side for side in spec.shape],
    )


def decode(given, spec):
    """The array of an input.

    Raises:
        InferenceError: If its type or its shape is another, or it holds other than it announces.
    """
    name, datatype = spec.name, DATATYPES[spec.dtype.name]
    if given.datatype != datatype:
        raise InferenceError(f"{name} must be {datatype}. Received: {given.datatype}")
    if len(given.shape) != len(spec.shape) or min(given.shape, default=0) < 1:
        raise InferenceError(
            f"{name} must be of {len(spec.shape)} sizes above 0. Received: {given.shape}"
        )
    announced = math.prod(given.shape)
    data = given.data.root
    if getattr(given.parameters, "content_type", None) == "base64":
        return decode_base64(data, given.shape, spec)
    if not isinstance(data, list) or announced != len(data):
        held = len(data) if isinstance(data, list) else "no list"
        raise InferenceError(
            f"{name} must hold, as one flat list, the {announced} numbers that its shape "
            f"announces. Received: {held}"
        )
    try:
        # NumPy would wrap, round or read text; a request shall mean what it says.
        array = np.asarray(data)
        if array.dtype.kind not in ("iu" if datatype == "UINT8" else "iuf") or array.ndim != 1:
            raise ValueError
        if datatype == "UINT8" and not 0 <= array.min() <= array.max() <= 255:
            raise ValueError
        with np.errstate(over="ignore"):  # the graph refuses what is not finite
            return array.astype(spec.dtype.as_numpy_dtype).reshape(given.shape)
    except (ValueError, OverflowError) as error:
        kind = "whole numbers from 0 to 255" if datatype == "UINT8" else "numbers"
        raise InferenceError(f"{name} must hold {kind}") from error


def decode_base64(data, shape, spec):
    """The array of an input that is one text of base64, a third of the size of numbers.

    Raises:
        InferenceError: If it is no such text, or of another length than the shape announces.
    """
    kind = np.dtype(spec.dtype.as_numpy_dtype).newbyteorder("<")
    announced = math.prod(shape) * kind.itemsize
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
    return np.frombuffer(content, kind).reshape(shape)


def encode(name, array):
    """An output in the protocol's words."""
    text = array.dtype == object
    data = [each.decode() for each in array.ravel()] if text else array.ravel().tolist()
    datatype = "BYTES" if text else DATATYPES[array.dtype.name]
    return ResponseOutput(name=name, shape=list(array.shape), datatype=datatype, data=data)


def reason(error):
    """What the graph's assertion says, without the path through the graph to it."""
    lines = [line.strip() for line in str(error).splitlines()]
    said = [line for line in lines if "must" in line]
    return (said or lines)[0]
