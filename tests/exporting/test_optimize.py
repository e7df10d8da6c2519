"""Optimised copies, as people ask for them: the precisions, and 8 bits run by OpenVINO."""

import keras
import numpy as np
import pytest
from short_network import register

import kinetics_i3d as ki3d
from kinetics_i3d.core.clip_spec import ClipSpec
from kinetics_i3d.exporting import optimize as module
from kinetics_i3d.exporting.calibration import calibration_clips
from kinetics_i3d.exporting.optimize import optimize
from kinetics_i3d.models.folding import Folded, late_layers
from kinetics_i3d.video.writer import write_video

WHY = "requirements/formats.txt is not installed"
SIZES = {"rgb": (1, 11, 32, 32, 3), "flow": (1, 11, 32, 32, 2)}


def clips_of(model, videos):
    """A clip of each video, as the model reads it."""
    sizes = {stream: SIZES[stream] for stream in model.clip_specs}
    read = list(calibration_clips(videos, model, sizes))
    clips = {stream: np.concatenate([clip[stream] for clip in read]) for stream in sizes}
    return clips if len(clips) > 1 else clips["rgb"]


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Paths of three videos of blocks that wander."""
    folder = tmp_path_factory.mktemp("calibration")
    random = np.random.default_rng(3)
    for number in range(3):
        blocks = random.integers(0, 256, (9, 11, 3), np.uint8).repeat(4, 0).repeat(4, 1)
        frames = [np.roll(blocks, step * (number - 1), 1) for step in range(12)]
        write_video(folder / f"{number}.mp4", frames, fps=10)
    return sorted(folder.glob("*.mp4"))


@pytest.fixture(scope="module")
def eight(model, videos):
    pytest.importorskip("openvino", reason=WHY)
    pytest.importorskip("nncf", reason=WHY)
    return optimize(model, precision="int8", calibration=videos)


def test_bfloat16_keeps_the_logits_exact_and_the_policy_as_it_was(model, videos):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        quick = optimize(model, precision="bfloat16")
        assert keras.config.dtype_policy().name == "mixed_float16"
    finally:
        keras.config.set_dtype_policy("float32")
    convolutions = [one for one in quick.layers if isinstance(one, keras.layers.Conv3D)]
    late = late_layers(model)
    assert {one.compute_dtype for one in convolutions if one.name not in late} == {"bfloat16"}
    assert {one.compute_dtype for one in convolutions if one.name in late} == {"float32"}
    assert quick.get_layer("Logits").compute_dtype == "float32"
    assert any(isinstance(one, Folded) for one in quick.layers)
    assert quick.labels == model.labels and quick.clip_spec == model.clip_spec
    clips = clips_of(model, videos)
    near, right = (one.predict(clips, verbose=0) for one in (quick, model))
    assert near.dtype == np.float32 and not np.array_equal(near, right)
    np.testing.assert_allclose(near, right, atol=0.03 * np.abs(right).max())


@pytest.mark.slow
def test_eight_bits_are_near_and_run_as_any_model(model, eight, videos):
    clips = clips_of(model, videos)
    right = model.predict_on_batch(clips)
    for found in (eight.predict_on_batch(clips), np.asarray(eight(clips, training=False))):
        assert found.shape == right.shape and found.dtype == np.float32
        assert not np.allclose(found, right, rtol=1e-3)
        np.testing.assert_allclose(found, right, atol=0.2 * np.abs(right).max())
    longer = np.concatenate([clips, clips], axis=1)[:1]
    assert eight.predict(longer, verbose=0).shape == (1, 3)
    for field in ("name", "labels", "clip_specs", "minimums", "system", "output_shape"):
        assert getattr(eight, field) == getattr(model, field)
    assert not eight.trainable_variables
    with pytest.raises(ValueError, match="9 x 32 x 32"):
        eight(clips[:, :3])


@pytest.mark.slow
def test_eight_bits_name_the_action_in_a_video_and_are_evaluated(eight, model, videos):
    from kinetics_i3d.evaluation.protocols import networks_of

    found = ki3d.classify(videos[0], eight).predictions
    assert {label for label, _ in found} == {"sit", "stand", "wave"}
    assert sum(probability for _, probability in found) == pytest.approx(1, abs=1e-5)
    (network,) = networks_of(eight)
    assert (
        network.depends("center")["weights"] != networks_of(model)[0].depends("center")["weights"]
    )


@pytest.mark.slow
def test_what_was_quantised_otherwise_is_another_network(eight, model, videos):
    from kinetics_i3d.evaluation.protocols import weights_digest

    again = optimize(model, precision="int8", calibration=videos)
    assert weights_digest(again) == weights_digest(eight)
    other = optimize(model, precision="int8", calibration=videos[:1])
    assert weights_digest(other) != weights_digest(eight)


@pytest.mark.slow
def test_each_stream_of_two_is_a_network_in_eight_bits(videos):
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
        if "moving" in variable.path:  # else logits are next to nothing
            low = 0.1 if "variance" in variable.path else -0.3
            variable.assign(random.uniform(low, low + 0.3, variable.shape))
    model.labels = ("sit", "stand", "wave")
    eight = optimize(model, precision="int8", calibration=videos)
    assert [network.name for network in networks_of(eight)] == ["rgb", "flow"]
    assert eight.clip_specs == model.clip_specs and eight.labels == model.labels
    clips = clips_of(model, videos)
    right = model.predict_on_batch(clips)
    found = eight.predict_on_batch(clips)
    np.testing.assert_allclose(found, right, atol=0.3 * np.abs(right).max())
    parts = [eight.streams[key].predict_on_batch(clips[key]) for key in ("rgb", "flow")]
    np.testing.assert_allclose(found, sum(parts), atol=1e-5)
    assert len(ki3d.classify(videos[0], eight).predictions) == 3


@pytest.mark.slow
def test_eight_bits_need_logits_and_tensorflow(model, monkeypatch):
    headless = ki3d.InceptionI3D(architecture=register(), include_top=False)
    with pytest.raises(ValueError, match="`model` must read clips and end in logits"):
        optimize(headless, precision="int8", calibration=["a.mp4"])
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ValueError, match="on the TensorFlow backend"):
        optimize(model, precision="int8", calibration=["a.mp4"])


def test_what_is_not_installed_is_named(model, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(ki3d.ExportError, match=r"needs openvino: pip install .*\[openvino\]"):
        optimize(model, precision="int8", calibration=["a.mp4"])


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
    ("text", "lacks"),
    [
        ("flags\t\t: fpu avx512f avx512_bf16\n", False),
        ("flags\t\t: fpu amx_bf16\n", False),
        ("processor\t: 0\nflags\t\t: fpu avx512f avx2\n", True),
        ("Features\t: fp asimd bf16\n", False),  # another kind of processor
    ],
)
def test_a_processor_without_bfloat16_is_known(tmp_path, text, lacks):
    (tmp_path / "cpuinfo").write_text(text)
    assert module.lacks_bfloat16(tmp_path / "cpuinfo") is lacks
    assert module.lacks_bfloat16(tmp_path / "nothing") is False
