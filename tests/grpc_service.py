"""A server that speaks TensorFlow Serving's protos over gRPC."""

import concurrent.futures
import contextlib


@contextlib.contextmanager
def serve(answer, signatures=None):
    """Serves `Predict` and `GetModelMetadata`, with the errors of the real server.

    Args:
        answer: Function of a signature's name and arrays by name that returns arrays by name. Its
            `InvalidArgumentError` becomes INVALID_ARGUMENT with the graph's words.
        signatures: {name: `SignatureDef`} of the metadata.

    Yields:
        `host:port`.
    """
    import grpc
    import tensorflow as tf
    from tensorflow_serving.apis import (
        get_model_metadata_pb2,
        predict_pb2,
        prediction_service_pb2_grpc,
    )

    class Service(prediction_service_pb2_grpc.PredictionServiceServicer):
        def Predict(self, request, context):
            feed = {key: tf.make_ndarray(tensor) for key, tensor in request.inputs.items()}
            response = predict_pb2.PredictResponse(model_spec=request.model_spec)
            try:
                outputs = answer(request.model_spec.signature_name, **feed)
            except tf.errors.InvalidArgumentError as error:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, error.message)
            for key, array in outputs.items():
                response.outputs[key].CopyFrom(tf.make_tensor_proto(array))
            return response

        def GetModelMetadata(self, request, context):
            response = get_model_metadata_pb2.GetModelMetadataResponse(
                model_spec=request.model_spec
            )
            offered = get_model_metadata_pb2.SignatureDefMap()
            for key, signature in (signatures or {}).items():
                offered.signature_def[key].CopyFrom(signature)
            response.metadata["signature_def"].Pack(offered)
            return response

    server = grpc.server(concurrent.futures.ThreadPoolExecutor(2))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Service(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()
