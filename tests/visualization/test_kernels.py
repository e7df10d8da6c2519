"""`draw_kernels`: kernels at their place, on their own scale; streams and stacks."""

import numpy as np
import pytest

import kinetics_i3d as ki3d
from kinetics_i3d.visualization.kernels import _montages, _rows


def test_a_montage_has_each_kernel_at_its_place_on_its_own_scale():
    kernels = np.zeros((2, 3, 3, 3, 10), np.float32)
    kernels[1, 0, 0, :, 9] = -5  # the second of the second row
    kernels[0, 2, 2, 0, 9] = 2.5
    pictures = _montages(kernels)
    assert pictures.shape == (2, 10, 40, 3)  # two rows of eight, a pixel of white around each
    np.testing.assert_array_equal(pictures[1, 6, 6], [0, 0, 0])
    np.testing.assert_array_equal(pictures[0, 8, 8], [0.75, 0.5, 0.5])
    assert (pictures[:, 6:9, 11:14] == 1).all()  # no kernel
    assert (pictures[:, 1:4, 1:4] == 0.5).all()


def test_streams_have_rows_of_their_channels_and_stacks_are_time(short):
    model = ki3d.TwoStream(architecture=short, classes=2)
    rows = {stream: _rows(model, stream) for stream in ("rgb", "flow")}
    assert [name for name, _ in rows["rgb"]] == ["rgb"]
    assert [name for name, _ in rows["flow"]] == ["flow x", "flow y"]
    assert rows["rgb"][0][1].shape[0] == 1
    (_, across), (_, down) = rows["flow"]
    assert across.shape[0] == down.shape[0] == 10 and across.ndim == 3
    kernel = np.asarray(model.streams["flow"].get_layer("Conv2d_1a_7x7_conv").kernel)
    first = kernel[:, :, 7, 0]  # y of the fourth flow
    of_channel = np.abs(kernel[:, :, 1::2, 0]).max()
    np.testing.assert_allclose(down[3, 1:8, 1:8], 0.5 + 0.5 * first / of_channel, rtol=1e-5)


def test_a_picture_has_a_panel_for_each_step(tmp_path, short):
    from PIL import Image

    model = ki3d.InceptionI3D(architecture=short, classes=2)
    ki3d.draw_kernels(tmp_path / "kernels.png", model)
    with Image.open(tmp_path / "kernels.png") as picture:
        assert picture.width > 5 * picture.height


def test_a_network_without_convolution_of_the_stream_is_refused():
    from types import SimpleNamespace

    layer = SimpleNamespace(kernel=np.zeros((3, 3, 5, 8)))
    network = SimpleNamespace(name="other", layers=[layer])
    with pytest.raises(ValueError, match="must begin with a convolution of rgb"):
        _rows(SimpleNamespace(name="other", streams={"rgb": network}), "rgb")
