"""All pairs of a video: as one by one, on any number of threads, streamed, and stopped early."""

import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from absl import logging

from kinetics_i3d.flow import TVL1, compute, flow_stream, optical_flow
from kinetics_i3d.flow.compute import to_grey
from kinetics_i3d.flow.methods import pair_function

QUICK = TVL1(scales=2, warps=1)


@pytest.fixture
def programs(monkeypatch):
    """Replaces TV-L1 by a function of the test's."""

    def replace(function):
        monkeypatch.setattr(compute, "pair_function", lambda method, backend: function)

    return replace


def levels(first, second, parameters):
    """A flow that tells which pictures it was computed from."""
    return np.stack([first, second], -1).astype(np.float32)


def numbered(count):
    return np.stack([np.full((16, 20, 1), k, np.uint8) for k in range(count)])


def test_a_batch_is_its_pairs(video):
    pytest.importorskip("numba", reason="needs numba, an extra")
    flows = optical_flow(video, parameters=QUICK)
    assert flows.shape == (5, 48, 64, 2) and flows.dtype == np.float32
    tvl1 = pair_function("tvl1", "numba")
    for k in range(5):
        expected = tvl1(video[k, ..., 0], video[k + 1, ..., 0], QUICK)
        np.testing.assert_array_equal(flows[k], expected)
        np.testing.assert_array_equal(optical_flow(video[k : k + 2], parameters=QUICK)[0], expected)
    # Right by 1 and down by a half: x first, and from each frame to the next.
    middle = optical_flow(video)[:, 12:-12, 12:-12].mean((0, 1, 2))
    np.testing.assert_allclose(middle, (1, 0.5), atol=0.05)


@pytest.mark.parametrize("backend", ["numba", pytest.param("tensorflow", marks=pytest.mark.slow)])
def test_workers_and_streaming_change_no_bit(video, backend):
    pytest.importorskip(backend, reason=f"needs {backend}, an extra")
    how = {"backend": backend, "parameters": QUICK}
    several = optical_flow(video, workers=5, **how)
    one = optical_flow(video, workers=1, **how)
    np.testing.assert_array_equal(several, one)
    stream = flow_stream((frame for frame in video), workers=2, **how)
    np.testing.assert_array_equal(np.stack(list(stream)), one)


def test_rgb_is_weighed_to_grey_first(programs):
    programs(levels)
    frames = np.random.default_rng(0).integers(0, 256, (3, 16, 18, 3), np.uint8)
    flows = optical_flow(frames)
    np.testing.assert_array_equal(flows[..., 0], to_grey(frames[:-1]))
    np.testing.assert_array_equal(flows[..., 1], to_grey(frames[1:]))


@pytest.mark.parametrize("workers", [1, 2, 3, 50, None])
@pytest.mark.parametrize("count", [2, 3, 4, 5, 13])
def test_each_pair_comes_once_and_in_order(programs, workers, count):
    def slow(first, second, parameters):
        time.sleep(0.002 * (first[0, 0] % 3))
        return levels(first, second, parameters)

    programs(slow)
    seen = []
    flows = optical_flow(numbered(count), workers=workers, progress=lambda *at: seen.append(at))
    assert flows[:, 0, 0].tolist() == [[k, k + 1] for k in range(count - 1)]
    assert seen == [(k, count - 1) for k in range(1, count)]


def test_a_stream_reads_no_further_than_it_must(programs):
    programs(levels)
    read = []

    def frames():
        for frame in numbered(40):
            read.append(frame)
            yield frame

    stream = flow_stream(frames(), workers=3)
    assert not read
    for k in range(20):
        next(stream)
        assert len(read) == k + 7  # six pairs, and what has been given out
    stream.close()
    assert len(read) == 26


def test_no_more_threads_work_than_workers(programs):
    busy, most, lock = 0, 0, threading.Lock()

    def counted(first, second, parameters):
        nonlocal busy, most
        with lock:
            busy += 1
            most = max(most, busy)
        time.sleep(0.01)
        with lock:
            busy -= 1
        return levels(first, second, parameters)

    programs(counted)
    optical_flow(numbered(12), workers=3)
    assert most == 3


@pytest.mark.parametrize("end", ["close", "drop", "interrupt", "error of a frame"])
def test_a_stopped_stream_ends_its_threads_and_begins_no_more_pairs(programs, end):
    begun = []

    def slow(first, second, parameters):
        begun.append(int(first[0, 0]))
        time.sleep(0.15 if int(first[0, 0]) else 0)  # the first is ready at once
        return levels(first, second, parameters)

    def frames():
        yield from numbered(8)
        if end == "interrupt":
            raise KeyboardInterrupt
        if end == "error of a frame":
            yield np.zeros((16, 20, 1), np.float32)
        yield from numbered(100)

    programs(slow)
    stream = flow_stream(frames(), workers=4)
    if end in ("close", "drop"):
        assert next(stream)[0, 0].tolist() == [0, 1]
        if end == "close":
            stream.close()
        else:
            del stream
    else:
        with pytest.raises(KeyboardInterrupt if end == "interrupt" else ValueError):
            list(stream)
    assert 4 <= len(begun) <= 6  # of seven or eight that were handed in
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("flow")]


def test_an_error_in_a_thread_reaches_the_caller(programs):
    def broken(first, second, parameters):
        raise MemoryError("too large")

    programs(broken)
    with pytest.raises(MemoryError, match="too large"):
        optical_flow(numbered(9), workers=2)


GOOD = np.zeros((3, 16, 16, 3), np.uint8)
WRONG = [
    (GOOD.astype(np.float32), {}, r"`frames` must be uint8.*frames\[0\] of dtype float32"),
    (GOOD[0], {}, r"`frames` must be two frames or more.*\(16, 16, 3\)"),
    (GOOD[:1], {}, r"`frames` must be two frames or more.*\(1, 16, 16, 3\)"),
    (GOOD[..., :2], {}, r"\(height, width, 1 or 3\).*frames\[0\] of shape \(16, 16, 2\)"),
    (GOOD[:, :15], {}, r"16 pixels or more each way.*\(15, 16, 3\)"),
    (GOOD[:, :, :15], {}, r"16 pixels or more each way.*\(16, 15, 3\)"),
    (GOOD, {"workers": 0}, "`workers` must be a whole number above 0. Received: workers=0"),
    (GOOD, {"workers": 1.5}, "`workers` must be .* Received: workers=1.5"),
    (GOOD, {"parameters": {"tau": 1}}, "`parameters` must be a TVL1. Received"),
    (GOOD, {"parameters": TVL1(), "method": "dis"}, "`parameters` must be None for method='dis'"),
    (GOOD, {"method": "hs"}, r"`method` must be one of \('tvl1', .*Received: method='hs'"),
    (GOOD, {"backend": "cuda"}, r"`backend` must be one of .*Received: backend='cuda'"),
]


@pytest.mark.parametrize(("frames", "arguments", "why"), WRONG)
def test_wrong_arguments_are_refused_in_one_line(frames, arguments, why):
    with pytest.raises(ValueError, match=why) as raised:
        optical_flow(frames, **arguments)
    assert "\n" not in str(raised.value)


def test_a_frame_of_another_size_is_named(programs):
    programs(levels)
    frames = [*GOOD, np.zeros((16, 17, 3), np.uint8)]
    with pytest.raises(ValueError, match=r"first, \(16, 16, 3\).*frames\[3\] of shape \(16, 17, 3"):
        list(flow_stream(frames))
    assert list(flow_stream([])) == list(flow_stream(GOOD[:1])) == []


def test_the_fast_choice_warns(programs, monkeypatch):
    programs(levels)
    said = []
    monkeypatch.setattr(logging, "warning", lambda text, *args: said.append(text))
    optical_flow(GOOD)
    assert said == []
    optical_flow(GOOD, parameters=TVL1.fast())
    assert len(said) == 1 and "fast" in said[0]


def test_importing_the_room_loads_nothing_heavy():
    code = (
        "import sys, kinetics_i3d.flow;"
        "print({'cv2', 'numba', 'tensorflow', 'keras', 'PIL'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
