"""`LiveFrames`: what its queue keeps and drops, and how a stream begins and ends."""

import pathlib
import runpy
import threading
import time

import numpy as np
import pytest

from kinetics_i3d.core.clip_spec import ClipSpec
from kinetics_i3d.core.errors import VideoError
from kinetics_i3d.video import live_frames
from kinetics_i3d.video.live_frames import FrameQueue, LiveFrames
from kinetics_i3d.video.reader import read_frames
from kinetics_i3d.video.video_frames import VideoFrames

pytestmark = pytest.mark.slow  # waits as live video does

ROOT = pathlib.Path(__file__).resolve().parents[2]
serve_in_real_time = runpy.run_path(str(ROOT / "benchmarks" / "live_server.py"))[
    "serve_in_real_time"
]
SPEC = ClipSpec("tiny", fps=10, short_side=64, size=64)


def test_a_full_queue_drops_the_oldest_and_counts_them():
    queue = FrameQueue(3, drop=True)
    assert all(queue.put(number) for number in range(5))
    assert queue.dropped == 0  # before those that were taken
    assert (queue.take(), queue.dropped) == ([2, 3, 4], 2)
    queue.put(5)
    queue.end()
    assert (queue.take(), queue.take(), queue.dropped) == ([5], [], 2)


def test_a_full_queue_that_keeps_all_waits():
    queue = FrameQueue(2, drop=False)

    def put():
        for number in range(50):
            queue.put(number)
        queue.end()

    threading.Thread(target=put).start()
    taken = []
    while items := queue.take(3):
        assert len(items) <= 2
        taken += items
    assert taken == [*range(50)] and queue.dropped == 0


def test_the_oldest_are_taken_first():
    queue = FrameQueue(9, drop=True)
    for number in range(5):
        queue.put(number)
    assert (queue.take(2), queue.take(1), queue.take(9)) == ([0, 1], [2], [3, 4])


def test_an_error_comes_after_the_items():
    queue = FrameQueue(9, drop=True)
    queue.put(1)
    queue.end(VideoError("lost"))
    assert queue.take() == [1]
    with pytest.raises(VideoError, match="lost"):
        queue.take()


def test_a_closed_queue_ends_the_one_who_puts():
    queue = FrameQueue(1, drop=False)
    assert queue.put(1)
    results = []
    waiting = threading.Thread(target=lambda: results.append(queue.put(2)))
    waiting.start()
    queue.close()
    waiting.join()
    assert results == [False] and queue.put(3) is False


def read_into(frames, live):
    with live:
        while taken := live.take():
            frames += taken


def frames_of(live):
    frames = []
    read_into(frames, live)
    return frames


def open_live(source, **options):
    timeout = 30 if "://" in str(source) else 0.1
    return LiveFrames(source, **{"spec": SPEC, "size": 100, "timeout": timeout} | options)


@pytest.mark.parametrize("fps", [4, 10, 25])
def test_a_file_gives_the_frames_of_read_frames(coded_video, fps):
    path = coded_video(20, fps=fps)
    frames = frames_of(open_live(path, size=3))
    expected = list(read_frames(path, **SPEC.reading))
    assert [frame.number for frame in frames] == [*range(len(expected))]
    np.testing.assert_array_equal([frame.pixels for frame in frames], expected)


def test_a_file_in_real_time_takes_its_time(coded_video):
    path = coded_video(8, fps=20)
    begin = time.monotonic()
    frames = frames_of(open_live(path, realtime=True))
    assert frames[-1].arrived - begin >= 3 / 10  # however late the first is on a busy machine
    assert len(frames) == 4


@pytest.mark.parametrize(
    ("source", "realtime", "drops"),
    [("a.mp4", False, False), ("a.mp4", True, True), ("http://a.example/b", False, True)],
)
def test_only_a_file_out_of_real_time_keeps_all_frames(monkeypatch, source, realtime, drops):
    queues = []
    monkeypatch.setattr(live_frames, "FrameQueue", lambda size, *, drop: queues.append(drop))
    live = open_live(source, realtime=realtime)
    assert (queues, live.keeps_all) == ([drops], not drops)


def test_frames_in_memory_are_a_source():
    picture = np.full((64, 64, 3), 200, np.uint8)
    frames = frames_of(open_live(VideoFrames([picture] * 5, fps=10)))
    assert len(frames) == 5 and (frames[-1].pixels == 200).all()


def test_a_stream_over_http_is_read_to_its_end(coded_video, numbers):
    with serve_in_real_time(coded_video(20), seconds=1.2) as address:
        frames = frames_of(open_live(address))
    assert numbers([frame.pixels for frame in frames])[:8] == [0, 2, 5, 7, 10, 12, 15, 17]
    assert len(frames) in (12, 13)  # by decoding time


def test_a_lost_connection_is_reported_after_the_last_frame(coded_video):
    taken = []
    with (
        serve_in_real_time(coded_video(20), seconds=0.8, ends=False) as address,
        pytest.raises(VideoError, match="connection was lost"),
    ):
        read_into(taken, open_live(address))
    assert len(taken) >= 8


def test_reconnecting_continues_after_a_gap(coded_video, monkeypatch):
    monkeypatch.setattr(live_frames, "_RETRY", 0.01)
    taken = []
    with (
        serve_in_real_time(coded_video(20), seconds=0.4, ends=False) as address,
        open_live(address, reconnect=True) as live,
    ):
        while len(taken) < 12:
            taken += live.take()
    steps = np.diff([frame.number for frame in taken])
    assert (steps >= 1).all() and (steps[:3] == 1).all() and (steps > 1).sum() >= 2


def test_an_address_is_opened_again_after_the_usual_pause(mux, tcp_sender):
    address, sent = tcp_sender(mux("a.mkv", range(0, 400, 40)).read_bytes())
    with open_live(address, reconnect=True) as live:
        assert sent.acquire(timeout=60) and live.take()
        assert sent.acquire(timeout=60)


def test_a_pause_in_a_file_is_kept_and_a_jump_of_a_streams_clock_is_not(mux, numbers, tcp_sender):
    path = mux("a.mkv", [0, 100, 200, 20_000, 20_100], rate=10)
    address, _ = tcp_sender(path.read_bytes())
    shown = [
        numbers([frame.pixels for frame in frames_of(open_live(source))])
        for source in (path, address)
    ]
    assert shown == [[0, 1, *[2] * 198, 3, 4], [0, 1, 2, 3, 4]]


def test_a_first_connection_that_fails_is_not_tried_again():
    live = open_live("http://127.0.0.1:1/a.ts", reconnect=True)
    with live, pytest.raises(VideoError, match="cannot be opened"):
        live.take()


def test_a_damaged_file_is_no_live_source(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_text("no video at all\n" * 100)
    with open_live(path) as live, pytest.raises(VideoError, match="not a video"):
        live.take()
