"""Files that are damaged, lie, hold more than a video, or are none."""

import fractions
import os
import pathlib
import pickle

import av
import numpy as np
import pytest

from kinetics_i3d.core.errors import VideoError
from kinetics_i3d.video.reader import read_frames, video_info
from kinetics_i3d.video.source import Source, open_container

Fraction = fractions.Fraction


def noisy(count, coded):
    """Coded frames that fill a file as real ones do, so that damage strikes pictures."""
    random = np.random.default_rng(0)
    for number in range(count):
        noise = random.integers(0, 60, (64, 64, 1))
        yield np.where(coded(number) > 127, 255 - noise, noise).astype(np.uint8)


@pytest.mark.parametrize("name", ["a.mkv", "a.ts", "a.avi", "a.flv"])
@pytest.mark.parametrize("part", [0.5, 0.66, 0.83])
def test_cut_off_file_gives_its_beginning(mux, numbers, coded, tmp_path, name, part):
    whole = mux(name, range(100), tick=Fraction(1, 25), frames=noisy(100, coded)).read_bytes()
    cut = tmp_path / f"cut{name}"
    cut.write_bytes(whole[: int(part * len(whole))])
    frames = numbers(read_frames(cut))
    assert 100 * part - 12 <= len(frames) <= 100 * part + 12
    # At the cut the decoder may lack a picture and patch its neighbors.
    assert frames[:-4] == list(range(len(frames) - 4))
    assert numbers(read_frames(cut, fps=25))[: len(frames) - 4] == frames[:-4]


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "a.ts", "a.avi"])
def test_damage_in_the_middle_is_passed_and_logged_once(mux, numbers, coded, caplog, name):
    path = mux(name, range(300), tick=Fraction(1, 25), frames=noisy(300, coded))
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 5000] = np.random.default_rng(1).bytes(5000)
    path.write_bytes(data)
    with caplog.at_level("WARNING", logger="absl"):
        frames = numbers(read_frames(path))
    assert frames[:120] == list(range(120)) and frames[-40:] == list(range(260, 300))
    logged = [record for record in caplog.records if str(path) in record.getMessage()]
    # AVI and Matroska find their next packet, and x264's pictures are patched, without a word.
    assert len(logged) == 1 or (not logged and name in ("a.avi", "a.mkv"))
    resampled = numbers(read_frames(path, fps=25))
    # AVI counts its pictures instead of timing them, so that lost ones shorten it.
    assert len(resampled) == (len(frames) if name == "a.avi" else 300)
    assert resampled[:120] == list(range(120)) and resampled[-40:] == list(range(260, 300))


def test_header_that_overstates_its_frames(mux, numbers):
    path = mux("a.avi", range(30), tick=Fraction(1, 25), codec="mpeg4")
    data = bytearray(path.read_bytes())
    for chunk, offset in ((b"avih", 24), (b"strh", 40)):  # dwTotalFrames, dwLength.
        at = data.index(chunk) + offset
        assert int.from_bytes(data[at : at + 4], "little") == 30
        data[at : at + 4] = (90).to_bytes(4, "little")
    path.write_bytes(data)
    assert video_info(path).duration == pytest.approx(3.6)
    assert numbers(read_frames(path)) == list(range(30))
    assert numbers(read_frames(path, fps=25)) == list(range(30))


def add_silence(out, stream, parts):
    """Writes `parts` times 0.128 seconds of silence to an audio stream of 8 kHz."""
    for k in range(parts):
        samples = np.zeros((1, 1024), np.float32)
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 8000, 1024 * k
        out.mux(stream.encode(frame))
    out.mux(stream.encode(None))


def test_duration_is_that_of_the_video_where_the_audio_is_longer(tmp_path):
    with av.open(str(tmp_path / "talk.mkv"), "w") as out:
        video, audio = out.add_stream("libx264", rate=25), out.add_stream("aac", rate=8000)
        video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
        for number in range(50):
            picture = np.full((64, 64, 3), 4 * number, np.uint8)
            out.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(video.encode(None))
        add_silence(out, audio, 100)
    info = video_info(tmp_path / "talk.mkv")
    assert (info.duration, info.frames) == (pytest.approx(2.0, abs=0.05), 50)


def audio_only(path):
    with av.open(str(path), "w") as out:
        add_silence(out, out.add_stream("aac", rate=8000), 4)


def sound_with_a_cover(path):
    with av.open(str(path), "w") as out:
        sound, cover = out.add_stream("aac", rate=8000), out.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 64, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        image = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
        image = image.reformat(format="yuvj420p")
        image.pts = 0
        out.mux(cover.encode(image))
        samples = np.zeros((1, 1024), np.float32)
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 8000, 0
        out.mux(sound.encode(frame))
        out.mux(sound.encode(None))


BAD_FILES = {
    "missing.mp4": (None, "there is no such file"),
    "folder.mp4": (pathlib.Path.mkdir, "a folder"),
    "empty.mp4": (lambda path: path.write_bytes(b""), "the file is empty"),
    "words.mp4": (lambda path: path.write_text("one line of words\n" * 99), "not a video"),
    "noise.mp4": (
        lambda path: path.write_bytes(np.random.default_rng(0).bytes(9999)),
        "not a video",
    ),
    "sound.mp4": (audio_only, "contains no video, only audio"),
    "song.mp4": (sound_with_a_cover, "contains no video, only audio, cover picture"),
    "list.m3u8": (
        lambda path: path.write_text(
            "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\na.ts\n#EXT-X-ENDLIST\n"
        ),
        "not a video",
    ),
    "list.txt": (lambda path: path.write_text("ffconcat version 1.0\nfile a.mp4\n"), "not a video"),
}


@pytest.mark.parametrize("name", BAD_FILES)
@pytest.mark.parametrize("read", [video_info, lambda path: next(read_frames(path))])
def test_bad_files_are_named_in_one_line(mux, tmp_path, name, read):
    mux("a.mp4", range(3)), mux("a.ts", range(3))  # What the playlists would open.
    make, words = BAD_FILES[name]
    if make is not None:
        make(tmp_path / name)
    with pytest.raises(VideoError, match=words) as caught:
        read(tmp_path / name)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / name}: ") and "\n" not in message


def test_header_without_pictures_is_an_error(mux, tmp_path):
    whole = mux("a.mkv", range(50), tick=Fraction(1, 25)).read_bytes()
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole[: whole.index(b"\x1f\x43\xb6\x75") + 24])  # Into the first cluster.
    with pytest.raises(VideoError, match=r"cut\.mkv: no picture can be decoded"):
        list(read_frames(cut))


def test_sound_and_cover_pictures_are_passed_over(tmp_path, numbers, mux):
    plain = mux("plain.mp4", range(20), tick=Fraction(1, 25))
    path = tmp_path / "cover.mp4"
    with av.open(str(plain)) as source, av.open(str(path), "w") as out:
        cover = out.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 640, 480, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        video = out.add_stream_from_template(source.streams.video[0])
        image = av.VideoFrame.from_ndarray(np.zeros((480, 640, 3), np.uint8), format="rgb24")
        image = image.reformat(format="yuvj420p")
        image.pts = 0
        out.mux(cover.encode(image))
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = video
                out.mux(packet)
    with av.open(str(path)) as file:
        covers = [bool(s.disposition & av.stream.Disposition.attached_pic) for s in file.streams]
    assert sorted(covers) == [False, True]
    assert numbers(read_frames(path)) == list(range(20))


@pytest.mark.parametrize("name", ["with space.mp4", "12:30.mp4", "file:a.mp4", "ü%03d.mp4"])
def test_any_file_name(mux, numbers, name, tmp_path, monkeypatch):
    mux("a.mp4", range(3), tick=Fraction(1, 25)).rename(tmp_path / name)
    assert numbers(read_frames(tmp_path / name)) == [0, 1, 2]
    monkeypatch.chdir(tmp_path)
    assert numbers(read_frames(name)) == [0, 1, 2]


def open_files():
    return {os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")}


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs Linux' /proc")
def test_file_is_closed_when_left(mux):
    path = mux("a.mp4", range(30))
    frames = read_frames(path)
    next(frames)
    assert str(path) in open_files()
    frames.close()
    assert str(path) not in open_files()
    for _ in read_frames(path):
        break
    assert str(path) not in open_files()
    with pytest.raises(VideoError):
        next(read_frames(path, start=9))
    assert str(path) not in open_files()


@pytest.mark.parametrize("suffix", ["avi", "mkv", "mp4"])
def test_metadata_that_is_not_utf8_does_not_hide_the_pictures(suffix, tmp_path, shared):
    path = shared / "cases" / "latin1_metadata" / f"latin1_title.{suffix}"
    assert len(list(read_frames(path, fps=25))) == 30


@pytest.mark.parametrize("suffix", ["avi", "mkv", "mp4"])
def test_title_in_latin1_is_passed(suffix, tmp_path):
    path = tmp_path / f"a.{suffix}"
    with av.open(str(path), "w") as file:
        file.metadata["title"] = "Cafe XYZW"
        stream = file.add_stream("mpeg4", rate=25, width=32, height=32, pix_fmt="yuv420p")
        for _ in range(4):
            file.mux(stream.encode(av.VideoFrame(32, 32, "yuv420p")))
        file.mux(stream.encode())
    data = path.read_bytes()
    assert b"Cafe XYZW" in data
    path.write_bytes(data.replace(b"Cafe XYZW", b"Caf\xe9 XYZW"))
    assert len(list(read_frames(path))) == 4


@pytest.mark.parametrize(
    ("version", "arguments"), [("18.1.0", {"metadata_errors": "replace"}), ("19.0.2", {})]
)
def test_metadata_errors_is_passed_to_the_versions_that_know_it(monkeypatch, version, arguments):
    received = []
    monkeypatch.setattr(av, "__version__", version)
    monkeypatch.setattr(av, "open", lambda file, **options: received.append((file, options)))
    open_container("a.mp4", timeout=3)
    assert received == [("a.mp4", {"timeout": 3, **arguments})]


def test_rate_and_tick_are_fractions_whatever_type_pyav_returns(coded_video):
    class Rational:  # the part of PyAV 19's `AVRational` that is read
        def __init__(self, numerator, denominator):
            self.numerator, self.denominator = numerator, denominator

    class Stream:
        average_rate = guessed_rate = Rational(30000, 1001)
        time_base = Rational(1, 90000)

    source = Source(coded_video(4), threads=1)
    source.close()
    source.stream = Stream()
    values = pickle.loads(pickle.dumps((source.rate, source.tick)))
    assert values == (Fraction(30000, 1001), Fraction(1, 90000))


def test_names_that_cannot_be_looked_at_are_video_errors(tmp_path, monkeypatch):
    for name in ("x" * 300 + ".mp4", "a\0b.mp4"):
        with pytest.raises(VideoError):
            next(read_frames(tmp_path / name))

    def refuse(path, **options):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "stat", refuse)
    with pytest.raises(VideoError, match=r"a\.mp4: cannot be read \(Permission denied\)"):
        next(read_frames("a.mp4"))
