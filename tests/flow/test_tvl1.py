"""TV-L1: flows that are known, symmetries, the papers in plain NumPy, and OpenCV."""

import dataclasses
import threading

import numpy as np
import plain_tvl1
import pytest
from end_points import error

from kinetics_i3d.flow.methods import pair_function
from kinetics_i3d.flow.settings import TVL1

DEFAULT = TVL1()
# Without a stop by the flow's change, on which side of which float32 and float64 may differ.
COUNTED = TVL1(epsilon=1e-9, inner=15, outer=2, scales=3)
INNER = np.s_[8:-8, 8:-8]  # away from the edge, where the other picture is black


def program(name):
    package = {"numba": "numba", "opencv": "cv2", "tensorflow": "tensorflow"}[name]
    pytest.importorskip(package, reason=f"needs {package}, an extra")
    return pair_function("tvl1", name)


@pytest.fixture(
    scope="session", params=["numba", pytest.param("tensorflow", marks=pytest.mark.long)]
)
def tvl1(request):
    return program(request.param)


@pytest.fixture(scope="session")
def kernel():
    return program("numba")


def turn(degrees):
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, -s], [s, c]])


# What stands at c, measured from the middle, goes to M c + s.
MOTIONS = {
    "right": (np.eye(2), (1.5, 0)),
    "up and left": (np.eye(2), (-2.0, -0.75)),
    "far": (np.eye(2), (5.0, 3.0)),
    "rotation": (turn(3), (0, 0)),
    "zoom": (1.04 * np.eye(2), (0, 0)),
}


@pytest.mark.parametrize("motion", MOTIONS)
def test_a_known_motion_is_found(tvl1, waves, motion):
    first, second, truth = waves.moved(*MOTIONS[motion])
    flow = tvl1(first, second, DEFAULT)
    assert flow.dtype == np.float32 and flow.shape == (64, 80, 2)
    wrong = error(flow, truth)[INNER]
    assert wrong.mean() < 0.07 and wrong.max() < 0.35
    assert error(0, truth)[INNER].mean() > 10 * wrong.mean()


def test_nothing_moves_by_exactly_nothing(tvl1, waves):
    first, _, _ = waves.moved(np.eye(2), (0, 0))
    assert not tvl1(first, first, DEFAULT).any()
    assert not tvl1(np.zeros_like(first), np.zeros_like(first), DEFAULT).any()


def test_a_flip_negates_x_and_a_transpose_swaps_x_and_y(tvl1, waves):
    first, second, _ = waves.moved(turn(2), (1.0, -0.5), size=(64, 64))
    flow = tvl1(first, second, COUNTED)
    turned = tvl1(first.T, second.T, COUNTED).transpose(1, 0, 2)[..., ::-1]
    assert error(flow, turned).mean() < 5e-3
    # Differences look forward and the pyramid begins at the left, so this is not exact.
    flipped = tvl1(first[:, ::-1], second[:, ::-1], COUNTED)[:, ::-1] * (-1, 1)
    assert error(flow, flipped)[INNER].mean() < 0.03
    assert np.abs(flow[INNER]).mean() > 0.5


OTHER = TVL1(0.2, 0.08, 0.4, scales=3, warps=3, epsilon=0.02, inner=7, outer=3, scale_step=0.6)
# Parameters, and the mean error allowed: by default one iteration more or less moves all after it.
CHOICES = {
    "defaults": (TVL1(), 0.05),
    "one scale, no median": (TVL1(scales=1, median=False), 1e-4),
    "other numbers": (OTHER, 1e-4),
    "stopped by its count": (TVL1(epsilon=1e-9, inner=4, outer=2, warps=2, scales=2), 1e-4),
}


def noisy(waves, size):
    """A rotation with what no flow explains: noise, an occluder, flat parts and clipped ones."""
    first, second, _ = waves.moved(turn(2), (2.3, -1.2), size=size)
    random = np.random.default_rng(1)
    first, second = (np.clip(a + random.normal(0, 4, size), 0, 255) for a in (first, second))
    first[5:20, 10:24], second[5:20, 16:30] = 40, 40
    second[30:, :6] = 255
    return np.rint(first).astype(np.uint8), np.rint(second).astype(np.uint8)


@pytest.mark.parametrize("choice", CHOICES)
def test_it_is_the_papers_method(tvl1, waves, choice):
    parameters, mean = CHOICES[choice]
    first, second = noisy(waves, (37, 53))
    flow = tvl1(first, second, parameters)
    assert error(flow, plain_tvl1.tvl1(first, second, parameters)).mean() < mean
    assert np.abs(flow).max() > 2


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(TVL1)])
def test_every_parameter_reaches_the_kernel(kernel, waves, name):
    first, second = noisy(waves, (37, 53))
    value = getattr(DEFAULT, name)
    other = {"median": False, "outer": 1, "scales": 2}.get(
        name, value - 1 if value > 1 else value / 2
    )
    changed = kernel(first, second, dataclasses.replace(DEFAULT, **{name: other}))
    assert error(changed, kernel(first, second, DEFAULT)).max() > 1e-3


@pytest.mark.parametrize("size", [(16, 16), (17, 40), (33, 16), (50, 129)])
def test_it_is_opencv_s_method_at_any_size(kernel, waves, size):
    cv2 = program("opencv")
    first, second, _ = waves.moved(turn(1), (0.8, 0.4), size=size)
    wrong = error(kernel(first, second, DEFAULT), cv2(first, second, DEFAULT))
    assert wrong.mean() < 0.03


def test_the_tensorflow_program_is_the_papers_method_without_its_compiler(waves):
    import tensorflow as tf

    tensorflow = program("tensorflow")
    first, second = noisy(waves, (18, 26))
    tf.config.run_functions_eagerly(True)  # XLA takes seconds
    try:
        for median in (True, False):
            parameters = TVL1(scales=2, warps=2, inner=3, outer=2, scale_step=0.9, median=median)
            flow = tensorflow(first, second, parameters)
            assert error(flow, plain_tvl1.tvl1(first, second, parameters)).max() < 1e-3
            assert np.abs(flow).max() > 1
    finally:
        tf.config.run_functions_eagerly(False)


@pytest.mark.long
def test_the_two_programs_agree(kernel, waves):
    first, second, _ = waves.moved(turn(2), (2.3, -1.2))
    other = program("tensorflow")(first, second, DEFAULT)
    wrong = error(kernel(first, second, DEFAULT), other)
    assert wrong.mean() < 0.03 and np.percentile(wrong, 99) < 0.2


def test_the_median_is_the_median(kernel):
    from kinetics_i3d.flow import tvl1_numba

    random = np.random.default_rng(0)
    for levels in (2, 3, 1000):  # with many ties, and with none
        picture = random.integers(0, levels, (120, 133)).astype(np.float32)
        expected = plain_tvl1.median(picture)
        tvl1_numba._median(picture, np.empty_like(picture), 133)
        np.testing.assert_array_equal(picture, expected)


def test_what_was_in_memory_before_changes_nothing(kernel, waves):
    from kinetics_i3d.flow import tvl1_numba

    small = waves.moved(turn(2), (2.3, -1.2), size=(40, 53))[:2]
    expected = kernel(*small, DEFAULT)
    kernel(*waves.moved(turn(-4), (5, 3), size=(90, 117))[:2], DEFAULT)
    np.testing.assert_array_equal(kernel(*small, DEFAULT), expected)
    tvl1_numba.THREAD.numbers[:] = np.nan
    np.testing.assert_array_equal(kernel(*small, DEFAULT), expected)


def test_where_the_memory_is_used_up_there_is_more(kernel, waves, monkeypatch):
    from kinetics_i3d.flow import tvl1_numba

    pair = waves.moved(turn(2), (2.3, -1.2), size=(40, 53))[:2]
    expected = kernel(*pair, DEFAULT)
    little = np.empty(100, np.float32), np.zeros(1, np.int64)
    monkeypatch.setattr(tvl1_numba, "_memory", lambda height, width: little)
    np.testing.assert_array_equal(kernel(*pair, DEFAULT), expected)


def test_memory_of_large_pictures_is_not_kept(monkeypatch):
    from kinetics_i3d.flow import tvl1_numba

    monkeypatch.setattr(tvl1_numba, "THREAD", threading.local())
    assert len(tvl1_numba._memory(40, 53)[0]) >= tvl1_numba.SHARE * 40 * 53
    kept = tvl1_numba.THREAD.numbers
    assert np.shares_memory(tvl1_numba._memory(30, 40)[0], kept)
    assert len(tvl1_numba._memory(2160, 3840)[0]) >= tvl1_numba.SHARE * 2160 * 3840
    assert tvl1_numba.THREAD.numbers is kept


def test_other_threads_run_while_the_kernel_works(kernel, waves):
    first, second, _ = waves.moved(turn(2), (3, 1), size=(256, 256))
    kernel(first[:32, :32], second[:32, :32], DEFAULT)  # compiled
    ticks, done = 0, threading.Event()

    def tick():
        nonlocal ticks
        while not done.wait(0.001):
            ticks += 1

    thread = threading.Thread(target=tick)
    thread.start()
    before = ticks
    kernel(first, second, DEFAULT)
    during = ticks - before
    done.set()
    thread.join()
    assert during > 5


@pytest.mark.parametrize("wild", [{"tau": 1e30}, {"lam": 1e30}, {"theta": 1e-30}, {"theta": 1e30}])
def test_parameters_that_diverge_do_not_read_outside_the_picture(kernel, waves, wild):
    first, second = noisy(waves, (37, 53))
    assert kernel(first, second, TVL1(**wild)).shape == (37, 53, 2)
    assert kernel(first * np.float32(np.nan), second, TVL1(**wild)).shape == (37, 53, 2)


def test_wrong_parameters_are_refused():
    for name in ("tau", "lam", "theta", "epsilon", "scales", "warps", "inner", "outer"):
        for value in (0, -1, float("nan")):
            with pytest.raises(ValueError, match=f"^`{name}` must be .*Received: {name}="):
                TVL1(**{name: value})
    for fields in ({"scale_step": 1.0}, {"scale_step": 0}, {"warps": 2.5}, {"median": 5}):
        with pytest.raises(ValueError, match="must be"):
            TVL1(**fields)
    assert TVL1.fast() == TVL1(warps=2) != TVL1()
