"""The folder for TensorFlow Serving, through the loaders, the warm-up and the protos of the server.

The server itself is C++: it loads a SavedModel into a session, replays the warm-up, and answers
`Predict` and `GetModelMetadata`. Each of these is done here by what TensorFlow ships of it.
"""

import ctypes
import importlib.util
import pathlib

import numpy as np
import pytest
import tensorflow as tf
from grpc_service import serve
from tensorflow.core.framework import tensor_pb2
from tensorflow.core.protobuf import meta_graph_pb2

from kinetics_i3d.exporting.serving import WARM_UP, prediction_log, write_warm_up
from kinetics_i3d.video.writer import write_video

pytestmark = pytest.mark.slow
CLIENT = pathlib.Path(__file__).parents[2] / "examples" / "serve_video.py"
SIGNATURES = ["serving_default", "logits", "features", "float_clips"]


@pytest.fixture(scope="module")
def session(saved):
    """A function of a signature's name and its inputs, in a session with no Python of the model."""
    graph = tf.Graph()
    with graph.as_default():
        opened = tf.compat.v1.Session(graph=graph)
        signatures = tf.compat.v1.saved_model.load(opened, ["serve"], str(saved)).signature_def

    def ask(name, **inputs):
        signature = signatures[name]
        feed = {signature.inputs[key].name: value for key, value in inputs.items()}
        return opened.run({key: out.name for key, out in signature.outputs.items()}, feed)

    ask.signatures = signatures
    yield ask
    opened.close()


@pytest.fixture(scope="module")
def frames():
    return np.random.default_rng(0).integers(0, 256, (1, 9, 36, 36, 3), np.uint8)


@pytest.fixture(scope="module")
def expected(model, frames):
    clip = frames[:, :, 2:34, 2:34].astype(np.float32) / 255 * 2.5 - 0.5
    return model(clip, training=False).numpy()


def test_a_session_answers_as_the_model(session, frames, expected):
    assert set(SIGNATURES) <= set(session.signatures)
    np.testing.assert_allclose(
        session("logits", rgb=frames)["logits"], expected, rtol=1e-4, atol=1e-5
    )
    ranked = session("serving_default", rgb=frames)
    assert ranked["labels"][0, 0] == [b"sit", b"stand", b"wave"][expected[0].argmax()]


def test_a_wrong_request_fails_with_the_graphs_message(session):
    with pytest.raises(tf.errors.InvalidArgumentError, match="rgb must have 9 frames or more"):
        session("serving_default", rgb=np.zeros((1, 3, 36, 36, 3), np.uint8))
    with pytest.raises(tf.errors.InvalidArgumentError, match="and finite"):
        session("float_clips", rgb=np.full((1, 9, 32, 32, 3), np.nan, np.float32))


class Buffer(ctypes.Structure):
    """`TF_Buffer` of `tensorflow/c/tf_buffer.h`."""

    _fields_ = [
        ("data", ctypes.c_void_p),
        ("length", ctypes.c_size_t),
        ("free", ctypes.c_void_p),
    ]


class Output(ctypes.Structure):
    """`TF_Output` of `tensorflow/c/c_api.h`."""

    _fields_ = [("operation", ctypes.c_void_p), ("index", ctypes.c_int)]


@pytest.fixture(scope="module")
def c_api():
    """TensorFlow's own library, its functions returning pointers where they do."""
    path = pathlib.Path(tf.__file__).with_name("libtensorflow_cc.so.2")
    if not path.is_file():
        pytest.skip("this TensorFlow has no libtensorflow_cc.so.2")
    library = ctypes.CDLL(str(path))
    pointers = "NewGraph NewStatus NewSessionOptions NewBuffer LoadSessionFromSavedModel"
    pointers += " GraphOperationByName AllocateTensor TensorData"
    for name in pointers.split():
        getattr(library, f"TF_{name}").restype = ctypes.c_void_p
    library.TF_Message.restype = ctypes.c_char_p
    library.TF_TensorByteSize.restype = ctypes.c_size_t
    return library


def test_the_c_api_loads_and_runs_it(c_api, saved, frames, expected):
    pointer = ctypes.c_void_p
    status = pointer(c_api.TF_NewStatus())

    def check():
        assert c_api.TF_GetCode(status) == 0, c_api.TF_Message(status)

    graph, buffer = pointer(c_api.TF_NewGraph()), pointer(c_api.TF_NewBuffer())
    tags = (ctypes.c_char_p * 1)(b"serve")
    options = pointer(c_api.TF_NewSessionOptions())
    folder = str(saved).encode()
    session = pointer(
        c_api.TF_LoadSessionFromSavedModel(options, None, folder, tags, 1, graph, buffer, status)
    )
    check()
    meta_buffer = ctypes.cast(buffer, ctypes.POINTER(Buffer)).contents
    meta = meta_graph_pb2.MetaGraphDef.FromString(
        ctypes.string_at(meta_buffer.data, meta_buffer.length)
    )
    signature = meta.signature_def["logits"]

    def place(info):
        name, index = info.name.split(":")
        operation = c_api.TF_GraphOperationByName(graph, name.encode())
        assert operation, name
        return Output(operation, int(index))

    inputs = (Output * 1)(place(signature.inputs["rgb"]))
    outputs = (Output * 1)(place(signature.outputs["logits"]))
    sides = (ctypes.c_int64 * 5)(*frames.shape)
    size = ctypes.c_size_t(frames.nbytes)
    feed = pointer(c_api.TF_AllocateTensor(tf.uint8.as_datatype_enum, sides, 5, size))
    ctypes.memmove(c_api.TF_TensorData(feed), frames.tobytes(), frames.nbytes)
    values, answers = (pointer * 1)(feed), (pointer * 1)()
    c_api.TF_SessionRun(
        session, None, inputs, values, 1, outputs, answers, 1, None, 0, None, status
    )
    check()
    answer = pointer(answers[0])
    assert c_api.TF_TensorByteSize(answer) == expected.nbytes
    content = ctypes.string_at(c_api.TF_TensorData(answer), expected.nbytes)
    logits = np.frombuffer(content, np.float32).reshape(expected.shape)
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)
    c_api.TF_CloseSession(session, status)
    check()


def fields(message):
    """[(number, bytes)] of a message whose fields all hold bytes: the wire format read plainly."""
    pairs, position = [], 0

    def number():
        nonlocal position
        value = shift = 0
        while True:
            value |= (message[position] & 127) << shift
            shift, position = shift + 7, position + 1
            if message[position - 1] < 128:
                return value

    while position < len(message):
        tag = number()
        assert tag & 7 == 2
        length = number()
        pairs.append((tag >> 3, message[position : position + length]))
        position += length
    return pairs


def test_the_warm_up_is_replayed(model, session, tmp_path):
    write_warm_up(model, tmp_path, name="tiny", signatures=SIGNATURES)
    assert (tmp_path / WARM_UP).stat().st_size < 1000
    names = []
    for record in tf.data.TFRecordDataset(str(tmp_path / WARM_UP)).as_numpy_iterator():
        ((log, predict),) = fields(record)
        ((first, request),) = fields(predict)
        assert (log, first) == (6, 1)
        spec, *inputs = fields(request)
        assert spec[0] == 1 and dict(fields(spec[1])).keys() == {1, 3}
        assert dict(fields(spec[1]))[1] == b"tiny"
        name = dict(fields(spec[1]))[3].decode()
        feed = {}
        for number, entry in inputs:
            key, tensor = dict(fields(entry))[1], dict(fields(entry))[2]
            assert number == 2
            proto = tensor_pb2.TensorProto.FromString(tensor)
            feed[key.decode()] = tf.make_ndarray(proto)
        assert feed["rgb"].shape[:2] == (1, 9)
        assert feed["rgb"].dtype == (np.float32 if name == "float_clips" else np.uint8)
        assert session(name, **feed)
        names.append(name)
    assert names == SIGNATURES


def test_the_messages_are_those_of_the_servers_protos():
    log_pb2 = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2")
    tensor = tf.make_tensor_proto(0, dtype=tf.uint8, shape=(1, 300, 2, 2, 3))
    written = prediction_log({"rgb": tensor}, name="i3d", signature="logits")
    expected = log_pb2.PredictionLog()
    request = expected.predict_log.request
    request.model_spec.name, request.model_spec.signature_name = "i3d", "logits"
    request.inputs["rgb"].CopyFrom(tensor)
    assert log_pb2.PredictionLog.FromString(written) == expected
    assert written == expected.SerializeToString(deterministic=True)


@pytest.fixture
def server(session):
    """`host:port` of a server that answers from the session."""
    pytest.importorskip("tensorflow_serving.apis.prediction_service_pb2_grpc")
    with serve(session, session.signatures) as address:
        yield address


def test_the_client_in_examples_asks_over_grpc(server, session, tmp_path):
    spec = importlib.util.spec_from_file_location("serve_video_grpc", CLIENT)
    client = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(client)
    path = tmp_path / "noise.mp4"
    pictures = np.random.default_rng(2).integers(0, 256, (12, 36, 48, 3), np.uint8)
    write_video(path, pictures, fps=10)
    options = {"protocol": "grpc", "fps": 10, "short_side": 36}
    outputs = client.predict(str(path), url=f"{server}/tiny", max_frames=100, **options)
    sent = np.stack(list(client.read_frames(str(path), fps=10, short_side=36, max_frames=100)))[
        None
    ]
    assert sent.shape == (1, 12, 36, 48, 3)
    expected = session("serving_default", rgb=sent)
    np.testing.assert_allclose(outputs["scores"], expected["scores"][0], rtol=1e-5)
    assert [label.encode() for label in outputs["labels"]] == list(expected["labels"][0])
    with pytest.raises(SystemExit, match=r"INVALID_ARGUMENT: .*rgb must have 9 frames or more"):
        client.predict(str(path), url=f"{server}/tiny", max_frames=5, **options)


def test_metadata_list_the_signatures(server):
    import grpc
    from tensorflow_serving.apis import get_model_metadata_pb2, prediction_service_pb2_grpc

    request = get_model_metadata_pb2.GetModelMetadataRequest()
    request.model_spec.name = "tiny"
    request.metadata_field.append("signature_def")
    with grpc.insecure_channel(server) as channel:
        service = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        answer = service.GetModelMetadata(request, timeout=20)
    offered = get_model_metadata_pb2.SignatureDefMap()
    assert answer.metadata["signature_def"].Unpack(offered)
    assert set(SIGNATURES) <= set(offered.signature_def)
    rgb = offered.signature_def["serving_default"].inputs["rgb"]
    assert rgb.dtype == tf.uint8.as_datatype_enum and len(rgb.tensor_shape.dim) == 5
    assert offered.signature_def["float_clips"].inputs["rgb"].dtype == tf.float32.as_datatype_enum
    assert set(offered.signature_def["serving_default"].outputs) == {
        "labels",
        "scores",
        "probabilities",
    }
