"""Rounding of kernels, late layers, and the clips that networks are calibrated with."""

import dataclasses
import sys

import numpy as np
import pytest
from short_network import shortened

import kinetics_i3d as ki3d
from kinetics_i3d.core.clip_spec import ClipSpec
from kinetics_i3d.core.errors import ExportError
from kinetics_i3d.inference.quantize import (
    calibration_clips,
    calibration_sizes,
    import_openvino,
    is_late,
    quantize_network,
    response_norms,
    round_kernel,
)
from kinetics_i3d.models.inception_i3d import ARCHITECTURES
from kinetics_i3d.video.writer import write_video

WHY = "requirements/formats.txt is not installed"


def test_rounded_kernels_preserve_the_sum_over_the_taps():
    kernel = np.random.default_rng(0).normal(size=(3, 3, 3, 8, 16)).astype(np.float32)
    step = np.abs(kernel).max((0, 1, 2, 3)) / 127
    rounded = round_kernel(kernel)
    np.testing.assert_allclose(rounded / step, np.round(rounded / step), atol=1e-4)
    assert np.abs(rounded / step).max() < 127.001
    assert np.abs(rounded - kernel).max() < step.max()  # each to one of the two steps beside it
    off = np.abs((rounded - kernel).sum((0, 1, 2)) / step)
    nearest = np.abs((np.round(kernel / step) * step - kernel).sum((0, 1, 2)) / step)
    assert off.max() < 0.501 < 1 < nearest.max()


def test_layers_after_the_last_pool_are_late():
    assert is_late(7, 224) and is_late(1, 224) and not is_late(14, 224)


@pytest.mark.slow
def test_calibration_clips_are_in_the_ratio_of_the_streams():
    two = ki3d.TwoStream(architecture="inception_v1_quarter", classes=3)
    assert {key: size[1] for key, size in calibration_sizes(two).items()} == {"rgb": 2, "flow": 20}
    c3d = ki3d.C3D(architecture="c3d_eighth", classes=3)
    assert calibration_sizes(c3d) == {"rgb": (1, 16, 112, 112, 3)}


def labeled_folder(folder, videos):
    """A dataset of the videos: a folder for one class."""
    for path in videos:
        copy = folder / "labeled" / "wave" / path.name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    return folder / "labeled"


def test_calibration_clips_are_those_of_paths_or_a_dataset(tiny, calibration_videos, tmp_path):
    sizes = {"rgb": (1, 9, 32, 32, 3)}
    clips = list(calibration_clips(calibration_videos, tiny, sizes))
    assert len(clips) == 3 and clips[0]["rgb"].shape == sizes["rgb"]
    assert clips[0]["rgb"].dtype == np.float32 and clips[0]["rgb"].min() >= tiny.clip_spec.low
    dataset = ki3d.open_dataset(labeled_folder(tmp_path, calibration_videos))
    (from_dataset, _), (from_path, _) = (
        list(calibration_clips(videos, tiny, sizes, count=2))
        for videos in (dataset, tmp_path / "labeled")
    )
    np.testing.assert_array_equal(from_dataset["rgb"], from_path["rgb"])
    with pytest.raises(ExportError, match=r"the rgb clip has the shape \(1, 9, 32, 32, 3\)"):
        list(calibration_clips(calibration_videos, tiny, {"rgb": (1, 9, 40, 40, 3)}))


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "nncf", None)
    with pytest.raises(ExportError, match=r"need nncf: pip install 'kinetics-i3d\[openvino\]'"):
        import_openvino("nncf")


@pytest.mark.slow
def test_response_norms_are_not_quantized(tmp_path, monkeypatch):
    pytest.importorskip("openvino", reason=WHY)
    pytest.importorskip("nncf", reason=WHY)
    row = shortened(dataclasses.replace(ARCHITECTURES["googlenet"], width=0.1))
    monkeypatch.setitem(ARCHITECTURES, row.name, row)
    model = ki3d.InceptionI3D(architecture=row.name, classes=3)
    model.clip_spec = ClipSpec("tiny", fps=10, short_side=36, size=32)
    frames = np.random.default_rng(3).integers(0, 256, (11, 36, 44, 3), np.uint8)
    write_video(tmp_path / "a.mp4", frames, fps=10)
    graph, _ = quantize_network(model, [tmp_path / "a.mp4"])
    nodes = {node.get_friendly_name(): node for node in graph.get_ordered_ops()}
    norms = response_norms(graph)
    assert len(norms) == 16 == len({*norms})  # two norms, from the squares to the last product
    for name in norms:
        inputs = range(nodes[name].get_input_size())
        read = [nodes[name].input_value(index).get_node().get_type_name() for index in inputs]
        assert "FakeQuantize" not in read, name
    assert sum(node.get_type_name() == "FakeQuantize" for node in nodes.values()) > 10
