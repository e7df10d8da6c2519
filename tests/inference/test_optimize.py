"""Optimized copies of models: the precisions, and 8-bit networks run by OpenVINO."""

import keras
import numpy as np
import pytest
from short_network import register

import kinetics_i3d as ki3d
from kinetics_i3d.core.clip_spec import ClipSpec
from kinetics_i3d.inference.optimize import has_bfloat16, optimize
from kinetics_i3d.inference.quantize import calibration_clips
from kinetics_i3d.models.folding import Folded, late_layers

WHY = "requirements/formats.txt is not installed"
SIZES = {"rgb": (1, 11, 32, 32, 3), "flow": (1, 11, 32, 32, 2)}


def clips_of(model, videos):
    """A clip of each video, as the model reads it."""
    sizes = {stream: SIZES[stream] for stream in model.clip_specs}
    read = list(calibration_clips(videos, model, sizes))
    clips = {stream: np.concatenate([clip[stream] for clip in read]) for stream in sizes}
    return clips if len(clips) > 1 else clips["rgb"]


@pytest.fixture(scope="module")
def int8(tiny, calibration_videos):
    pytest.importorskip("openvino", reason=WHY)
    pytest.importorskip("nncf", reason=WHY)
    return optimize(tiny, precision="int8", calibration=calibration_videos)


@pytest.mark.long
def test_bfloat16_keeps_the_logits_in_float32_and_the_dtype_policy(tiny, calibration_videos):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        fast = optimize(tiny, precision="bfloat16")
        assert keras.config.dtype_policy().name == "mixed_float16"
    finally:
        keras.config.set_dtype_policy("float32")
    convolutions = [layer for layer in fast.layers if isinstance(layer, keras.layers.Conv3D)]
    late = late_layers(tiny)
    assert {layer.compute_dtype for layer in convolutions if layer.name not in late} == {"bfloat16"}
    assert {layer.compute_dtype for layer in convolutions if layer.name in late} == {"float32"}
    assert fast.get_layer("Logits").compute_dtype == "float32"
    assert any(isinstance(layer, Folded) for layer in fast.layers)
    assert fast.labels == tiny.labels and fast.clip_spec == tiny.clip_spec
    clips = clips_of(tiny, calibration_videos)
    near, right = (network.predict(clips, verbose=0) for network in (fast, tiny))
    assert near.dtype == np.float32 and not np.array_equal(near, right)
    np.testing.assert_allclose(near, right, atol=0.03 * np.abs(right).max())


@pytest.mark.slow
def test_8_bits_are_close_and_run_as_any_model(tiny, int8, calibration_videos):
    clips = clips_of(tiny, calibration_videos)
    right = tiny.predict_on_batch(clips)
    for actual in (int8.predict_on_batch(clips), np.asarray(int8(clips, training=False))):
        assert actual.shape == right.shape and actual.dtype == np.float32
        assert not np.allclose(actual, right, rtol=1e-3)
        np.testing.assert_allclose(actual, right, atol=0.2 * np.abs(right).max())
    longer = np.concatenate([clips, clips], axis=1)[:1]
    assert int8.predict(longer, verbose=0).shape == (1, 3)
    for field in ("name", "labels", "clip_specs", "minimums", "system", "output_shape"):
        assert getattr(int8, field) == getattr(tiny, field)
    assert not int8.trainable_variables
    with pytest.raises(ValueError, match="9 x 32 x 32"):
        int8(clips[:, :3])


@pytest.mark.slow
def test_8_bits_classify_a_video_and_are_evaluated(int8, tiny, calibration_videos):
    from kinetics_i3d.evaluation.protocols import networks_of

    actual = ki3d.classify(calibration_videos[0], int8).predictions
    assert {label for label, _ in actual} == {"sit", "stand", "wave"}
    assert sum(probability for _, probability in actual) == pytest.approx(1, abs=1e-5)
    (network,) = networks_of(int8)
    (original,) = networks_of(tiny)
    assert network.cache_key("center")["weights"] != original.cache_key("center")["weights"]


@pytest.mark.slow
def test_another_calibration_gives_another_weights_digest(int8, tiny, calibration_videos):
    from kinetics_i3d.evaluation.protocols import weights_digest

    again = optimize(tiny, precision="int8", calibration=calibration_videos)
    assert weights_digest(again) == weights_digest(int8)
    other = optimize(tiny, precision="int8", calibration=calibration_videos[:1])
    assert weights_digest(other) != weights_digest(int8)


@pytest.mark.slow
def test_each_stream_of_two_is_an_8_bit_network(calibration_videos):
    pytest.importorskip("openvino", reason=WHY)
    pytest.importorskip("nncf", reason=WHY)
    from kinetics_i3d.evaluation.protocols import networks_of

    rgb = ClipSpec("tiny", fps=10, short_side=36, size=32)
    flow = ClipSpec("tiny_flow", stream="flow", fps=10, short_side=36, size=32)
    model = ki3d.TwoStreamI3D(architecture=register(), classes=3)
    model.clip_specs = {"rgb": rgb, "flow": flow}
    for stream, network in model.streams.items():
        network.clip_spec = model.clip_specs[stream]
    random = np.random.default_rng(0)
    for variable in model.non_trainable_variables:
        if "moving" in variable.path:  # or the logits are close to 0
            low = 0.1 if "variance" in variable.path else -0.3
            variable.assign(random.uniform(low, low + 0.3, variable.shape))
    model.labels = ("sit", "stand", "wave")
    int8 = optimize(model, precision="int8", calibration=calibration_videos)
    assert [network.name for network in networks_of(int8)] == ["rgb", "flow"]
    assert int8.clip_specs == model.clip_specs and int8.labels == model.labels
    clips = clips_of(model, calibration_videos)
    right = model.predict_on_batch(clips)
    actual = int8.predict_on_batch(clips)
    np.testing.assert_allclose(actual, right, atol=0.3 * np.abs(right).max())
    parts = [int8.streams[key].predict_on_batch(clips[key]) for key in ("rgb", "flow")]
    np.testing.assert_allclose(actual, sum(parts), atol=1e-5)
    assert len(ki3d.classify(calibration_videos[0], int8).predictions) == 3


@pytest.mark.slow
def test_8_bits_need_logits_and_the_tensorflow_backend(tiny, monkeypatch):
    headless = ki3d.InceptionI3D(architecture=register(), include_top=False)
    with pytest.raises(ValueError, match="`model` must read clips"):
        optimize(headless, precision="int8", calibration=["a.mp4"])
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ValueError, match="on the TensorFlow backend"):
        optimize(tiny, precision="int8", calibration=["a.mp4"])


def test_a_missing_package_is_named(tiny, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(ki3d.ExportError, match=r"need openvino: pip install .*\[openvino\]"):
        optimize(tiny, precision="int8", calibration=["a.mp4"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": "float16"}, r"`precision` must be one of \('float32', 'bfloat16', 'int8'\)"),
        ({"precision": "int8"}, "`calibration` must be given for precision='int8'"),
        ({"calibration": ["a.mp4"]}, "`calibration` must be given for precision='int8'"),
        ({}, "`model` must be a ClipModel"),
    ],
)
def test_wrong_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        optimize(keras.Sequential(), **options)


@pytest.mark.parametrize(
    ("text", "has"),
    [
        ("flags\t\t: fpu avx512f avx512_bf16\n", True),
        ("flags\t\t: fpu amx_bf16\n", True),
        ("processor\t: 0\nflags\t\t: fpu avx512f avx2\n", False),
        ("Features\t: fp asimd bf16\n", None),  # another kind of processor
    ],
)
def test_whether_a_processor_has_bfloat16_is_detected(tmp_path, text, has):
    (tmp_path / "cpuinfo").write_text(text)
    assert has_bfloat16(tmp_path / "cpuinfo") is has
    assert has_bfloat16(tmp_path / "nothing") is None
