"""`LiveSource`: growing files, addresses, and what neither may open."""

import functools
import http.server
import os
import pathlib
import socket
import threading

import av
import pytest

from kinetics_i3d.core.errors import VideoError
from kinetics_i3d.video import live
from kinetics_i3d.video.live import GrowingFile, LiveSource, check_source, source_kind, source_name
from kinetics_i3d.video.painter import Painter

TICKS = range(0, 1200, 40)


def remux(path, name, **options):
    """A copy of a video in another container."""
    copy = path.with_name(name)
    with av.open(str(path)) as video, av.open(str(copy), "w", options=options) as out:
        stream = out.add_stream_from_template(video.streams.video[0])
        for packet in video.demux(video.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)
    return copy


@pytest.fixture
def website(tmp_path):
    """(folder, address of it, list that grows with the paths that are requested)."""
    requests, folder = [], tmp_path / "website"
    folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_request(self, *_):
            requests.append(self.path)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Handler, directory=folder)
    )
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_address[1]}", requests
    server.shutdown()
    server.server_close()


def shown(source, numbers):
    with source:
        return numbers([Painter()(picture) for picture in source.pictures()])


@pytest.mark.parametrize(
    ("name", "options"),
    [("a.ts", {}), ("a.mkv", {}), ("a.flv", {}), ("a.mp4", {"movflags": "frag_keyframe"})],
)
def test_a_file_is_read_while_it_is_being_written(mux, numbers, tmp_path, name, options):
    data = remux(mux("whole.mp4", TICKS), f"complete_{name}", **options).read_bytes()
    path, complete = tmp_path / name, threading.Event()
    path.touch()

    def write():
        size = len(data) // 9 + 1
        with open(path, "ab", buffering=0) as file:
            for begin in range(0, len(data), size):
                file.write(data[begin : begin + size])
                complete.wait(0.02)
        complete.set()

    writer = threading.Thread(target=write)
    writer.start()
    assert shown(LiveSource(path, timeout=60, stopped=complete), numbers) == [*range(30)]
    writer.join()


def test_a_file_that_does_not_grow_is_complete_after_the_timeout(tmp_path):
    path = tmp_path / "a.ts"
    path.write_bytes(b"ab")
    file = GrowingFile(path, timeout=0.1, stopped=threading.Event())
    assert [file.read(9), file.read(9)] == [b"ab", b""]
    # The end may move: a format that would seek from there must not.
    assert (file.seek(0, os.SEEK_END), file.tell()) == (-1, 2)
    path.write_bytes(b"abc")
    assert file.read(9) == b"c"  # too late, but there
    file.close()


def test_a_file_of_yesterday_is_complete_at_once(tmp_path, monkeypatch):
    path, stopped = tmp_path / "a.ts", threading.Event()
    path.write_bytes(b"ab")
    yesterday = path.stat().st_mtime - 86400
    os.utime(path, (yesterday, yesterday))
    waits = []
    monkeypatch.setattr(stopped, "wait", waits.append)
    file = GrowingFile(path, timeout=3600, stopped=stopped)
    assert [file.read(9), file.read(9)] == [b"ab", b""]
    assert not waits
    file.close()


def test_an_mp4_with_its_index_at_the_end_is_read(mux, numbers):
    path = mux("a.mp4", TICKS)
    assert shown(LiveSource(path, timeout=0.1), numbers) == [*range(30)]


def test_a_playlist_at_an_address_is_read(mux, numbers, website):
    folder, address, _ = website
    (folder / "a.ts").write_bytes(remux(mux("a.mp4", TICKS), "a.ts").read_bytes())
    write_playlist(folder / "a.m3u8", "a.ts")
    assert shown(LiveSource(f"{address}/a.m3u8", timeout=30), numbers) == [*range(30)]


def test_an_address_of_plain_tcp_is_read(mux, numbers, tcp_sender):
    address, _ = tcp_sender(remux(mux("a.mp4", TICKS), "a.ts").read_bytes())
    assert shown(LiveSource(address, timeout=30), numbers) == [*range(30)]


@pytest.mark.parametrize("prefix", ["file://", "file:", "concat:", "subfile,,start,0,end,0,,:"])
def test_a_playlist_at_an_address_cannot_name_a_file(mux, website, prefix):
    folder, address, requests = website
    secret = remux(mux("secret.mp4", TICKS), "secret.ts")
    write_playlist(folder / "a.m3u8", f"{prefix}{secret}")
    with pytest.raises(VideoError, match=r"cannot be opened|no picture can be decoded"):
        shown(LiveSource(f"{address}/a.m3u8", timeout=30), list)
    assert "/a.m3u8" in requests


def test_a_file_cannot_open_the_network(mux, website, tmp_path):
    folder, address, requests = website
    (folder / "a.ts").write_bytes(remux(mux("a.mp4", TICKS), "a.ts").read_bytes())
    write_playlist(tmp_path / "a.m3u8", f"{address}/a.ts")
    with pytest.raises(VideoError, match="not a video in a supported format"):
        LiveSource(tmp_path / "a.m3u8", timeout=0.1)
    assert not requests


def write_playlist(path, entry):
    path.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:1.2,\n{entry}\n#EXT-X-ENDLIST\n")


def test_no_address_may_open_a_file():
    local = {"file", "concat", "subfile", "data", "pipe", "crypto"}
    for scheme, protocols in live.PROTOCOLS.items():
        assert scheme in protocols.split(",") and not local & set(protocols.split(","))


@pytest.mark.parametrize(
    ("source", "kind", "name"),
    [
        (0, "camera", "/dev/video0"),
        ("1", "camera", "/dev/video1"),
        ("/dev/video2", "camera", "/dev/video2"),
        ("HTTP://a.example/b", "address", "HTTP://a.example/b"),
        ("rtsp://me:pass@a.example/b", "address", "rtsp://me:***@a.example/b"),
        ("rtsp://me:p@s/:s@a.example/b", "address", "rtsp://me:***@a.example/b"),
        ("talk.mp4", "file", "talk.mp4"),
        (pathlib.Path("folder/1"), "file", "folder/1"),
        ("a:b.mp4", "file", "a:b.mp4"),
    ],
)
def test_sources_are_distinguished(monkeypatch, source, kind, name):
    monkeypatch.setattr("sys.platform", "linux")
    assert (source_kind(source), source_name(source)) == (kind, name)


@pytest.mark.parametrize("scheme", ["file", "ftp", "concat", "gopher"])
def test_other_schemes_are_refused_without_the_password(scheme):
    with pytest.raises(ValueError, match=r"begins with one of \('http', .*me:\*\*\*@x/y"):
        check_source(f"{scheme}://me:pass@x/y")


def test_cameras_are_refused_where_they_cannot_be_read(monkeypatch):
    monkeypatch.setattr("sys.platform", "darwin")
    with pytest.raises(ValueError, match="a camera on Linux only"):
        check_source(0)


def test_what_is_not_there_is_named(tmp_path):
    with pytest.raises(VideoError, match="there is no such file"):
        check_source(tmp_path / "a.mp4")
    with pytest.raises(VideoError, match="a part of a video cannot be watched; pass the whole"):
        check_source(tmp_path / "a.mp4#t=5,15")
    with pytest.raises(VideoError, match="a video file, a camera or an address is needed"):
        check_source(tmp_path)
    with pytest.raises(VideoError, match="/dev/video987654: there is no such camera"):
        check_source(987654)


def test_no_server_listens_at_an_address():
    with pytest.raises(VideoError, match=r"http://127.0.0.1:1/a.ts: cannot be opened \(Conn"):
        LiveSource("http://127.0.0.1:1/a.ts", timeout=30)


def test_an_address_that_never_answers_is_given_up():
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}/a.ts"
        with pytest.raises(VideoError, match=f"{address}: cannot be opened"):
            LiveSource(address, timeout=0.2)
