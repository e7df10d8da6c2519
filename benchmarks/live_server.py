"""`serve_in_real_time`: a video over HTTP as a camera sends it, MPEG-TS at its own rate."""

import contextlib
import http.server
import threading
import time

import av


@contextlib.contextmanager
def serve_in_real_time(path, *, seconds, ends=True):
    """Serves a file on the loopback interface, repeated until `seconds` have been sent.

    Args:
        path: An H.264 video.
        seconds: Length of the stream that each connection gets.
        ends: Whether the stream says that it ends there, or the connection breaks.

    Yields:
        The address of the stream.
    """
    stopped = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "video/mp2t")
            if ends:
                self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            # FFmpeg's errors are those of writing to a client that has left.
            with contextlib.suppress(ConnectionError, av.error.FFmpegError):
                send(path, _Chunks(self.wfile) if ends else self.wfile, seconds, stopped)
                if ends:
                    self.wfile.write(b"0\r\n\r\n")
            self.close_connection = True

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/live.ts"
    finally:
        stopped.set()
        server.shutdown()
        server.server_close()


class _Chunks:
    """Writes chunks of HTTP; without the position that a muxer would seek to."""

    def __init__(self, file):
        self._file = file

    def write(self, data):
        self._file.write(b"%x\r\n" % len(data) + data + b"\r\n")
        return len(data)


def send(path, file, seconds, stopped):
    """Writes the packets of a video as MPEG-TS, each when it is due."""
    begin, offset = time.monotonic(), 0
    with av.open(file, "w", format="mpegts") as out:
        stream = None
        while not stopped.is_set():
            with av.open(str(path)) as video:
                source = video.streams.video[0]
                if stream is None:
                    stream = out.add_stream_from_template(source)
                length = round(1 / source.average_rate / source.time_base)
                end = offset
                for packet in video.demux(source):
                    if packet.dts is None:
                        continue
                    packet.pts, packet.dts = packet.pts + offset, packet.dts + offset
                    end = max(end, packet.pts + length)
                    due = float(packet.dts * source.time_base)
                    if due >= seconds or stopped.wait(max(0.0, begin + due - time.monotonic())):
                        return
                    packet.stream = stream
                    out.mux(packet)
                offset = end
