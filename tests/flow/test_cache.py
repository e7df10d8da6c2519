"""Flow files: what is written is read, in any part, and anything else is refused by name."""

import dataclasses
import hashlib
import io
import json
import shutil
import zipfile

import numpy as np
import pytest

from kinetics_i3d.core.clip_spec import ClipSpec
from kinetics_i3d.core.errors import UserError, VideoError
from kinetics_i3d.flow import cache as flow_cache
from kinetics_i3d.flow.cache import FlowFile, FlowFileError, open_flow, write_flow_file
from kinetics_i3d.flow.compute import read_flow
from kinetics_i3d.flow.info import FlowInfo, file_fingerprint, fingerprint
from kinetics_i3d.flow.quantization import dequantize_flow, quantize_flow
from kinetics_i3d.flow.settings import TVL1, FlowSettings
from kinetics_i3d.video.writer import write_video

pytest.importorskip("cv2", reason="needs OpenCV, an extra")

SPEC = ClipSpec("small", stream="flow", fps=25, short_side=24, size=16)
SETTINGS = FlowSettings("farneback")


def textured(frames, seed=0, size=(24, 34)):
    """Blurred noise that slides, with a little of its own in each frame."""
    random = np.random.default_rng(seed)
    noise = random.integers(0, 256, (8, 12, 3), np.uint8)
    picture = np.kron(noise, np.ones((8, 8, 1), np.uint8))
    for k in range(frames):
        moved = np.roll(picture, (k, 2 * k), (0, 1))[: size[0], : size[1]]
        yield moved // 2 + random.integers(0, 90, moved.shape, np.uint8)


@pytest.fixture(scope="session")
def video(tmp_path_factory):
    path = tmp_path_factory.mktemp("flow_video") / "wave.mp4"
    write_video(path, textured(72), fps=25)
    return path


@pytest.fixture(scope="session")
def written(video, tmp_path_factory):
    """The flow file of 71 flows: two whole parts and one of seven."""
    path = tmp_path_factory.mktemp("flow_files") / "wave.npz"
    write_flow_file(video, path, spec=SPEC, settings=SETTINGS)
    return path


@pytest.fixture(scope="session")
def flows(video):
    return np.stack(list(read_flow(video, spec=SPEC, settings=SETTINGS)))


@pytest.fixture
def path(written, tmp_path):
    """A copy, to be damaged."""
    return shutil.copy(written, tmp_path / "wave.npz")


def test_what_is_read_is_the_coded_flow(written, flows):
    codes = quantize_flow(flows, 20.0, "round")
    assert flows.shape == (71, 24, 34, 2) and len(np.unique(codes)) > 10
    with open_flow(str(written)) as file:
        assert len(file) == 71
        assert file.quantized().dtype == np.uint8
        np.testing.assert_array_equal(file.quantized(), codes)
        np.testing.assert_array_equal(file.pixels(), dequantize_flow(codes, 20.0))
        np.testing.assert_array_equal(file.clip(), dequantize_flow(codes))
        # An error of half a code at most, where the flow is not clipped.
        assert np.abs(file.pixels() - flows.clip(-20, 20)).max() <= 20 / 255 * 1.001
        middle = file.clip(3, 50, size=16)
        np.testing.assert_array_equal(middle, dequantize_flow(codes[3:50, 4:20, 9:25]))


@pytest.mark.parametrize(
    "settings",
    [FlowSettings("farneback", bound=3), FlowSettings("farneback", rounding="truncate")],
)
def test_bound_and_rounding_are_those_of_the_settings(video, tmp_path, flows, settings):
    path = tmp_path / "other.npz"
    info = write_flow_file(video, path, spec=SPEC, settings=settings)
    codes = quantize_flow(flows, settings.bound, settings.rounding)
    with open_flow(path, video=video, spec=SPEC, settings=settings) as file:
        assert file.info == info
        np.testing.assert_array_equal(file.quantized(), codes)
        np.testing.assert_array_equal(file.pixels(60), dequantize_flow(codes[60:], settings.bound))


def test_any_window_is_that_part_of_the_whole(written):
    with open_flow(written) as file:
        whole = file.quantized()
        edges = (0, 1, 31, 32, 33, 63, 64, 65, 70, 71)
        for start in edges:
            for stop in edges:
                if start <= stop:
                    np.testing.assert_array_equal(file.quantized(start, stop), whole[start:stop])
        assert file.quantized(5, 5).shape == (0, 24, 34, 2)
        for start, stop in ((-1, 3), (4, 3), (0, 72), (72, None)):
            with pytest.raises(
                ValueError, match="`start` and `stop` must be in order, from 0 to 71"
            ):
                file.quantized(start, stop)


def test_a_window_reads_no_other_part(path):
    with zipfile.ZipFile(path) as archive:
        first = archive.getinfo("flow_000000.npy")
    data = bytearray(path.read_bytes())
    data[first.header_offset + 200] ^= 255
    path.write_bytes(data)
    with open_flow(path) as file:
        assert file.quantized(32, 71).shape[0] == 39
        for start, stop in ((0, 1), (31, 33), (0, None)):
            with pytest.raises(FlowFileError, match=r"wave\.npz: not a flow file, or damaged \("):
                file.quantized(start, stop)
        with pytest.raises(FlowFileError, match="damaged"):
            file.check()


def test_numpy_reads_it_without_this_package(written, flows, video):
    with np.load(written) as arrays:
        names = ["flow_000000", "flow_000032", "flow_000064"]
        assert arrays.files == [*names, "about"]
        codes = np.concatenate([arrays[name] for name in names])
        about = json.loads(str(arrays["about"]))
    np.testing.assert_array_equal(codes, quantize_flow(flows))
    assert about.pop("version").count(".") >= 1
    assert about == {
        "format": 1,
        "chunk": 32,
        "flows": 71,
        "size": [24, 34],
        "reading": {
            "fps": 25.0,
            "short_side": 24,
            "resize": "short_side",
            "interpolation": "bilinear",
        },
        "settings": {
            "method": "farneback",
            "parameters": None,
            "backend": "opencv",
            "bound": 20.0,
            "rounding": "round",
        },
        "video": {"name": "wave.mp4", **fingerprint(video)},
    }


def test_the_same_video_gives_the_same_bytes(video, written, tmp_path, monkeypatch):
    monkeypatch.setattr("time.time", lambda: 1e9)
    seen = []
    path = tmp_path / "again.npz"
    write_flow_file(video, path, spec=SPEC, settings=SETTINGS, workers=5, progress=seen.append)
    assert path.read_bytes() == written.read_bytes()
    assert seen == list(range(1, 72))


def test_a_video_of_one_frame_has_a_file_of_no_flow(tmp_path):
    write_video(tmp_path / "one.mp4", textured(1), fps=25)
    info = write_flow_file(tmp_path / "one.mp4", spec=SPEC, settings=SETTINGS)
    assert info.flows == 0 and info.size == (24, 34)
    with open_flow(tmp_path / "one.mp4.flow.npz", video=tmp_path / "one.mp4") as file:
        assert len(file) == 0 and file.quantized().shape == (0, 24, 34, 2)
        file.check()


def test_a_failure_leaves_the_old_file_and_nothing_else(video, path, tmp_path, monkeypatch):
    before = path.read_bytes()
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(VideoError, match=r"text\.mp4"):
        write_flow_file(tmp_path / "text.mp4", path, spec=SPEC, settings=SETTINGS)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(flow_cache, "_add", full)
    with pytest.raises(OSError, match="No space"):
        write_flow_file(video, path, spec=SPEC, settings=SETTINGS)
    assert path.read_bytes() == before
    assert sorted(each.name for each in tmp_path.iterdir()) == ["text.mp4", "wave.npz"]


def spec(**changes):
    return {"spec": dataclasses.replace(SPEC, **changes)}


def settings(**changes):
    return {"settings": dataclasses.replace(SETTINGS, **changes)}


OTHERS = [
    (spec(fps=12.5), "fps is 25.0, requested is 12.5"),
    (spec(short_side=32), "short_side is 24, requested is 32"),
    (spec(resize="height"), 'resize is "short_side", requested is "height"'),
    (spec(interpolation="area_cubic"), 'interpolation is "bilinear", requested is "area_cubic"'),
    (settings(bound=10), "bound is 20.0, requested is 10.0"),
    (settings(rounding="truncate"), 'rounding is "round", requested is "truncate"'),
    (settings(method="dis"), 'method is "farneback", requested is "dis"'),
    ({"settings": FlowSettings()}, 'method is "farneback", requested is "tvl1"'),
]


@pytest.mark.parametrize(("requested", "message"), OTHERS, ids=[message for _, message in OTHERS])
def test_another_flow_is_refused_by_name(written, requested, message):
    with pytest.raises(FlowFileError) as raised:
        open_flow(written, **requested)
    assert str(raised.value) == f"{written}: {message}"


def test_all_that_differs_is_named(written):
    with pytest.raises(FlowFileError, match=r"bound is 20\.0.*; fps is 25\.0"):
        open_flow(written, **spec(fps=10), **settings(bound=2))


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(TVL1)])
def test_each_parameter_of_tvl1_is_held(field):
    was = getattr(TVL1(), field)
    other = (not was) if field == "median" else was + 1 if isinstance(was, int) else was / 2
    info = FlowInfo(FlowSettings(), {}, (1, 1), 0, {}, "1")
    requested = FlowSettings(parameters=dataclasses.replace(TVL1(), **{field: other}))
    assert info.differences(settings=requested) == {
        f"parameters.{field}": f"parameters.{field} is {json.dumps(was)}, "
        f"requested is {json.dumps(other)}"
    }


def test_what_does_not_change_the_flow_is_no_reason_to_refuse(written, video, tmp_path):
    # The crop, the range and the name are those of a clip; versions and programs agree closely.
    for requested in (
        spec(name="mine", stream="rgb", size=8, low=0.0),
        settings(backend="opencv"),
        settings(backend=None),
        {"video": shutil.copy(video, tmp_path / "renamed.mp4")},
    ):
        open_flow(written, **requested).close()


@pytest.mark.parametrize("place", [0, -1])
def test_another_or_a_changed_video_is_refused(written, video, tmp_path, place):
    other = tmp_path / "other.mp4"
    data = bytearray(video.read_bytes())
    data[place] ^= 1
    other.write_bytes(data)
    with pytest.raises(FlowFileError) as raised:
        open_flow(written, video=other)
    found = str(raised.value)
    was, now = (hashlib.sha256(path.read_bytes()).hexdigest()[:8] for path in (video, other))
    assert found.startswith(f'{written}: video is "wave.mp4 of {len(data)} bytes, sha256 {was}", ')
    assert f', requested is "{other.name} of {len(data)} bytes, sha256 {now}"' in found
    other.write_bytes(video.read_bytes() + b"x")
    with pytest.raises(FlowFileError, match="video is"):
        open_flow(written, video=other)
    with pytest.raises(VideoError, match=r"none\.mp4: there is no such file"):
        open_flow(written, video=tmp_path / "none.mp4")


def test_a_fingerprint_covers_both_ends_of_a_long_file(tmp_path):
    size = 3 << 16
    path = tmp_path / "long"
    base = bytes(size)
    path.write_bytes(base)
    plain = fingerprint(path)
    assert plain["bytes"] == size
    for place, covered in (
        (65535, True),
        (65536, False),
        (2 * 65536 - 1, False),
        (2 * 65536, True),
    ):
        data = bytearray(base)
        data[place] = 1
        path.write_bytes(data)
        assert (fingerprint(path) != plain) == covered
    short = bytes(100_000)  # both ends overlap; all of it counts
    path.write_bytes(short)
    plain = fingerprint(path)
    for position in (0, 40_000, 65_536, 99_999):
        path.write_bytes(short[:position] + b"1" + short[position + 1 :])
        assert fingerprint(path) != plain


class StrictFile(io.BytesIO):
    """A file that refuses to seek past its end, as those of S3 do."""

    def seek(self, position, whence=io.SEEK_SET):
        assert whence != io.SEEK_SET or position <= len(self.getvalue())
        return super().seek(position, whence)


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 200_000])
def test_the_fingerprint_of_an_open_file_needs_no_seek_past_its_end(tmp_path, size):
    data = np.random.default_rng(size).bytes(size)
    (tmp_path / "file").write_bytes(data)
    assert file_fingerprint(StrictFile(data)) == fingerprint(tmp_path / "file")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A small flow file, and what it holds."""
    folder = tmp_path_factory.mktemp("tiny")
    write_video(folder / "tiny.mp4", textured(4, size=(16, 16)), fps=25)
    small = ClipSpec("tiny", short_side=16, size=16)
    info = write_flow_file(folder / "tiny.mp4", spec=small, settings=SETTINGS)
    with open_flow(folder / "tiny.mp4.flow.npz") as file:
        return (folder / "tiny.mp4.flow.npz").read_bytes(), info, file.quantized()


def test_a_file_that_is_cut_short_is_refused_wherever_that_is(tiny, tmp_path):
    data, _, _ = tiny
    path = tmp_path / "cut.npz"
    for size in range(len(data)):
        path.write_bytes(data[:size])
        with pytest.raises(FlowFileError) as raised:
            FlowFile(path)
        assert str(raised.value).startswith(f"{path}: not a flow file, or damaged (")
        assert "\n" not in str(raised.value)


def test_a_flipped_bit_is_refused_or_changes_nothing(tiny, tmp_path):
    data, info, codes = tiny
    path = tmp_path / "flipped.npz"
    random = np.random.default_rng(0)
    refused = []
    for position in range(len(data)):
        flipped = bytearray(data)
        flipped[position] ^= 1 << int(random.integers(8))
        path.write_bytes(flipped)
        try:
            with FlowFile(path) as file:
                file.check()
                # Such as the time of a part, which nothing depends on.
                assert file.info == info
                np.testing.assert_array_equal(file.quantized(), codes)
        except FlowFileError as error:
            refused.append(str(error))
    # In so small a file a tenth of the bytes are times, rights and versions of its parts.
    assert len(refused) > 0.85 * len(data)
    assert all(message.startswith(f"{path}: not a flow file, or damaged (") for message in refused)


@pytest.mark.parametrize("from_the_end", [3, 22, 60])
def test_a_part_that_is_said_to_lie_elsewhere_is_refused(tiny, tmp_path, from_the_end):
    data = bytearray(tiny[0])
    entry = data.index(b"PK\x01\x02")
    data[entry + 42 : entry + 46] = (len(data) - from_the_end).to_bytes(4, "little")
    (tmp_path / "moved.npz").write_bytes(data)
    with pytest.raises(FlowFileError, match="damaged"), FlowFile(tmp_path / "moved.npz") as file:
        file.check()


def rewrite(path, change):
    """Writes a zip anew, whole and well, after a change of {member: array}."""
    with np.load(path) as arrays:
        members = {name: arrays[name] for name in arrays.files}
    change(members)
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in members.items():
            data = io.BytesIO()
            np.save(data, array)
            archive.writestr(f"{name}.npy", data.getvalue())


def about(**changes):
    def change(members):
        fields = json.loads(str(members["about"])) | changes
        fields = {name: value for name, value in fields.items() if value is not None}
        members["about"] = np.array(json.dumps(fields))

    return change


def put(name, array):
    return lambda members: members.update({name: array})


def vast(members, width=10**30):
    for name in [name for name in members if name != "about"]:
        del members[name]
    about(flows=0, size=[24, width])(members)


FOREIGN = {
    "a later format": about(format=2),
    "no format": about(format=None),
    "another chunk": about(chunk=16),
    "no flows": about(flows=None),
    "too few flows": about(flows=60),
    "too many flows": about(flows=72),
    "a part more": about(flows=97),
    "flows below 0": about(flows=-1),
    "flows beyond count": about(flows=10**30),
    "a side beyond count": about(size=[10**30, 34]),
    "more pixels than memory": about(size=[60000, 60000]),
    "flows in words": about(flows="71"),
    "three sides": about(size=[24, 34, 2]),
    "one side": about(size=[24]),
    "half a pixel": about(size=[24.5, 34]),
    "another size": about(size=[34, 24]),
    "no size": about(size=None),
    "a strange field": about(color="red"),
    "no video": about(video={}),
    "no reading": about(reading={"fps": 25}),
    "no settings": about(settings=[]),
    "some settings": about(settings={"method": "farneback", "backend": "opencv"}),
    "a wrong bound": about(settings={"bound": -1}),
    "a strange parameter": about(settings={"parameters": {"zeta": 1}}),
    "no JSON": put("about", np.array("words")),
    "a number about it": put("about", np.array("5")),
    "a reading of another kind": about(reading=["fps", "short_side", "resize", "interpolation"]),
    "a rate in words": about(
        reading={"fps": [], "short_side": 24, "resize": "height", "interpolation": "bilinear"}
    ),
    "a video of another kind": about(video={"name": 1, "bytes": "2", "sha256": None}),
    "nested too deeply": put("about", np.array("[" * 50_000)),
    "JSON, but no dictionary": put("about", np.array("[1]")),
    "no text": put("about", np.zeros(3)),
    "nothing about it": lambda members: members.pop("about"),
    "a part missing": lambda members: members.pop("flow_000032"),
    "a part too many": put("flow_000096", np.zeros((1, 24, 34, 2), np.uint8)),
    "vast pictures, none of them": vast,
    "a part of signed codes": put("flow_000032", np.zeros((32, 24, 34, 2), np.int8)),
    "a part of floats": put("flow_000032", np.zeros((32, 24, 34, 2), np.float32)),
    "a part of another shape": put("flow_000032", np.zeros((32, 24, 33, 2), np.uint8)),
    "nothing in it": dict.clear,
    "a side of more than 65,536 pixels": lambda members: vast(members, 65_537),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_whole_zips_of_something_else_are_refused(path, kind):
    rewrite(path, FOREIGN[kind])
    with pytest.raises(FlowFileError) as raised, open_flow(path) as file:
        file.check()
    found = str(raised.value)
    assert found.startswith(f"{path}: not a flow file, or damaged (") and "\n" not in found
    assert found.endswith("); kinetics-i3d flow writes a new one")


def test_a_side_may_have_65_536_pixels(path):
    rewrite(path, lambda members: vast(members, 65_536))
    with open_flow(path) as file:
        file.check()
        assert file.info.size == (24, 65_536)


def test_parts_are_held_against_the_description_when_a_file_is_opened(path):
    def rename(members):
        kept = list(members.items())
        members.clear()
        members.update({name.replace("flow_000032", "flow_000033"): each for name, each in kept})

    rewrite(path, rename)
    with pytest.raises(FlowFileError, match="has missing or unexpected entries"):
        FlowFile(path)


def test_a_rewritten_file_is_still_one(path, flows):
    rewrite(path, about())
    members = list(zipfile.ZipFile(path).namelist())
    assert members[-1] == "about.npy"
    with open_flow(path) as file:
        np.testing.assert_array_equal(file.quantized(), quantize_flow(flows))


def test_missing_files_and_folders(tmp_path, written):
    for path in (tmp_path / "none.npz", tmp_path):
        with pytest.raises(FlowFileError, match=rf"^{path}: no such flow file; kinetics-i3d flow"):
            open_flow(path)
    assert issubclass(FlowFileError, UserError)
    with open_flow(written) as file:
        assert file.quantized(0, 1).size
    with pytest.raises(FlowFileError, match="closed"):
        file.quantized(0, 1)


@pytest.mark.parametrize("name", ["about_is_5", "reading_is_a_list", "about_1e12_flows"])
def test_shared_flow_files_of_other_json_are_refused(shared, name):
    path = shared / "cases" / "flow_about" / f"{name}.npz"
    if not path.is_file():
        pytest.skip(f"{path} is described and not there")
    with pytest.raises(FlowFileError, match="not a flow file, or damaged"):
        FlowFile(path)
