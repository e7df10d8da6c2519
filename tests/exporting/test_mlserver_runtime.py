"""The MLServer runtime in `examples/`: requests whose data do not fit their shape are refused."""

import asyncio
import base64
import importlib.util
import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf

pytest.importorskip("mlserver", reason="mlserver is not installed")
PATH = pathlib.Path(__file__).parents[2] / "examples" / "mlserver" / "runtime.py"
PIXELS = tf.TensorSpec([None] * 5, tf.uint8, name="rgb")
VALUES = tf.TensorSpec([None] * 5, tf.float32, name="rgb")


@pytest.fixture(scope="module")
def runtime():
    spec = importlib.util.spec_from_file_location("runtime", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def make_input(data, *, shape=(1, 1, 1, 2, 2), datatype="UINT8"):
    from mlserver.types import RequestInput

    return RequestInput(name="rgb", shape=list(shape), datatype=datatype, data=data)


def test_numbers_become_an_array(runtime):
    actual = runtime.decode(make_input([0, 1, 254, 255]), PIXELS)
    assert actual.dtype == np.uint8 and actual.shape == (1, 1, 1, 2, 2)
    assert actual.ravel().tolist() == [0, 1, 254, 255]
    actual = runtime.decode(make_input([0, 0.5, -1, 1e39], datatype="FP32"), VALUES)
    assert actual.dtype == np.float32 and actual.ravel().tolist() == [0, 0.5, -1, np.inf]


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        ([0] * 4, {"datatype": "FP32"}, "rgb must be UINT8. Received: FP32"),
        ([0] * 4, {"shape": (4,)}, r"rgb must be of 5 sizes above 0\. Received: \[4\]"),
        ([0] * 4, {"shape": (1, -1, 1, -4, 1)}, "of 5 sizes above 0"),
        ([], {"shape": (1, 0, 1, 1, 1)}, "of 5 sizes above 0"),
        ([0] * 3, {}, r"the 4 numbers that its shape announces\. Received: 3"),
        ([0] * 4, {"shape": (1, 10**9, 9, 9, 3)}, "the 243000000000 numbers .* Received: 4"),
        ([[0, 0], [0, 0]], {}, "Received: 2"),
        ([[0], [0], [0], [0]], {}, "whole numbers from 0 to 255"),
        ([0, [0], 0, 0], {}, "whole numbers from 0 to 255"),
        ("abcd", {}, "Received: no list"),
        ([0, 0, 0, 256], {}, "whole numbers from 0 to 255"),
        ([0, 0, 0, -1], {}, "whole numbers from 0 to 255"),
        ([0, 0, 0, 0.5], {}, "whole numbers from 0 to 255"),
        ([0, 0, 0, 10**30], {}, "whole numbers from 0 to 255"),
        (["0"] * 4, {}, "whole numbers from 0 to 255"),
        ([None] * 4, {}, "whole numbers from 0 to 255"),
    ],
)
def test_data_that_do_not_fit_the_shape_are_refused(runtime, data, options, message):
    from mlserver.errors import InferenceError

    with pytest.raises(InferenceError, match=message):
        runtime.decode(make_input(data, **options), PIXELS)


def coded(array):
    return [base64.b64encode(array.tobytes()).decode()]


def base64_input(data, **options):
    given_input = make_input(data, **options)
    from mlserver.types import Parameters

    return given_input.model_copy(update={"parameters": Parameters(content_type="base64")})


def test_base64_becomes_an_array(runtime):
    frames = np.random.default_rng(0).integers(0, 256, (1, 2, 5, 7, 3), np.uint8)
    actual = runtime.decode(base64_input(coded(frames), shape=frames.shape), PIXELS)
    np.testing.assert_array_equal(actual, frames)
    values = frames.astype("<f4")
    options = {"shape": frames.shape, "datatype": "FP32"}
    np.testing.assert_array_equal(
        runtime.decode(base64_input(coded(values), **options), VALUES), values
    )


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "must hold one text in base64"),
        (["AAAA", "AAAA"], "must hold one text in base64"),
        ([0, 1, 2, 3], "must hold one text in base64"),
        (["AAAA"], "the 4 bytes that its shape announces, which are 8 letters .* Received: 4"),
        (["AAAAAAAA"], "must hold 4 bytes. Received: 6"),
        (["AAAA!A=="], "must hold base64"),
    ],
)
def test_base64_that_does_not_fit_the_shape_is_refused(runtime, data, message):
    from mlserver.errors import InferenceError

    with pytest.raises(InferenceError, match=message):
        runtime.decode(base64_input(data), PIXELS)


@pytest.mark.slow
def test_the_outputs_are_those_of_the_model(runtime, saved):
    from mlserver import ModelSettings
    from mlserver.errors import InferenceError
    from mlserver.settings import ModelParameters
    from mlserver.types import InferenceRequest

    frames = np.random.default_rng(0).integers(0, 256, (1, 9, 36, 36, 3), np.uint8)
    expected = tf.saved_model.load(str(saved)).signatures["serving_default"](rgb=frames)
    parameters = ModelParameters(uri=str(saved))
    model = runtime.SavedModelRuntime(
        ModelSettings(name="tiny", implementation=runtime.SavedModelRuntime, parameters=parameters)
    )

    def make_request(frames):
        return InferenceRequest(inputs=[make_input(frames.ravel().tolist(), shape=frames.shape)])

    async def run():
        assert await model.load()
        answer = await model.predict(make_request(frames))
        with pytest.raises(InferenceError, match="rgb must have 9 frames or more"):
            await model.predict(make_request(frames[:, :8]))
        return {output.name: output.data.root for output in answer.outputs}

    actual = asyncio.run(run())
    labels = expected["labels"].numpy().ravel()
    assert [label.encode() for label in actual["labels"]] == list(labels)
    np.testing.assert_allclose(actual["scores"], expected["scores"].numpy().ravel(), rtol=1e-5)
    (rgb,) = model.inputs
    assert (rgb.name, rgb.datatype, rgb.shape) == ("rgb", "UINT8", [-1] * 5)


def test_the_gate_accepts_ten_seconds_of_the_models_size(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(PATH.parent))
    import serve

    assert serve.max_body(tmp_path) == 32 << 20
    (tmp_path / "assets").mkdir()
    spec = {"rgb": {"short_side": 256}}
    (tmp_path / "assets" / "clip_spec.json").write_text(json.dumps(spec))
    most = serve.max_body(tmp_path)
    assert 4 * -(-250 * 256 * 256 * 3 // 3) < most < 70 << 20
    both = {"rgb": {"short_side": 256}, "flow": {"short_side": 256}}
    (tmp_path / "assets" / "clip_spec.json").write_text(json.dumps(both))
    assert most + 4 * -(-250 * 256 * 256 * 2 // 3) <= serve.max_body(tmp_path) < 112 << 20
