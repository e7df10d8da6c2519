"""Flow as pictures, denseflow's form: written, and read where they lie in a folder of frames."""

import logging

import numpy as np
import pytest

from kinetics_i3d.core.clip_spec import DEEPMIND_FLOW, ClipSpec
from kinetics_i3d.core.stream_specs import StreamSpecs
from kinetics_i3d.data.streams import count_frames, flow_identity, read_streams
from kinetics_i3d.flow.cache import FlowFileError, write_flow_file
from kinetics_i3d.flow.info import flow_path
from kinetics_i3d.flow.settings import FlowSettings
from kinetics_i3d.flow.stored import (
    FlowPictures,
    has_flow_pictures,
    open_stored,
    write_flow_pictures,
)
from kinetics_i3d.video.reader import read_frames

PIL = pytest.importorskip("PIL.Image")

SPEC = ClipSpec("coded", short_side=64, size=64)


@pytest.fixture
def video(coded_video, tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(coded_video(8).read_bytes())
    write_flow_file(path, spec=SPEC, settings=FlowSettings("farneback"))
    return path


@pytest.fixture
def frames(video, tmp_path):
    """The folder of frames of the video, with its flow."""
    folder = tmp_path / "frames"
    assert write_flow_pictures(flow_path(video), folder, quality=100) == 7
    for number, frame in enumerate(read_frames(video, fps=25), 1):
        PIL.fromarray(frame).save(folder / f"img_{number:05d}.png")
    return folder


def test_pictures_hold_the_codes_of_the_flow_file(video, frames):
    names = {path.name for path in frames.glob("flow_*")}
    assert names == {f"flow_{axis}_{number:05d}.jpg" for axis in "xy" for number in range(1, 8)}
    with open_stored(video, spec=SPEC) as file, FlowPictures(frames) as pictures:
        assert len(pictures) == 7 and pictures.info.size == (64, 64)
        error = np.abs(pictures.quantized().astype(int) - file.quantized())
        assert error.max() <= 2
        assert np.array_equal(pictures.quantized(2, 4), pictures.quantized()[2:4])
        assert pictures.quantized(3, 3).shape == (0, 64, 64, 2)
    with PIL.open(frames / "flow_x_00001.jpg") as picture:
        assert picture.mode == "L"


def test_flow_in_a_folder_of_frames_is_taken_as_stored(frames, numbers, monkeypatch):
    monkeypatch.setattr("kinetics_i3d.data.streams.read_both", None)
    found = list(read_streams(frames, StreamSpecs(SPEC, ("rgb", "flow"))))
    assert numbers([frame["rgb"] for frame in found]) == list(range(7))
    with FlowPictures(frames) as pictures:
        assert np.array_equal([frame["flow"] for frame in found], pictures.quantized())
    assert count_frames(frames, StreamSpecs(SPEC, ("rgb", "flow"))) == 7
    part = list(read_streams(f"{frames}#t=0.08,0.2", StreamSpecs(SPEC, ("flow",))))
    assert np.array_equal([frame["flow"] for frame in part], [f["flow"] for f in found[2:4]])


@pytest.mark.parametrize("names", [("flow_x/{}.jpg", "flow_y/{}.jpg"), ("u_{}.jpg", "v_{}.jpg")])
def test_other_names_of_flow_pictures(frames, tmp_path, names):
    folder = tmp_path / "other"
    for axis, name in zip("xy", names, strict=True):
        for number in range(1, 8):
            path = folder / name.format(number)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes((frames / f"flow_{axis}_{number:05d}.jpg").read_bytes())
    assert has_flow_pictures(folder) and not has_flow_pictures(tmp_path)
    with FlowPictures(folder) as one, FlowPictures(frames) as two:
        assert np.array_equal(one.quantized(), two.quantized())


def test_flow_pictures_of_another_size_or_number_are_not_taken(frames, caplog):
    with caplog.at_level(logging.WARNING, logger="absl"):
        other = ClipSpec("other", short_side=48, size=32)
        assert open_stored(frames, spec=other) is None
    assert "was computed from frames at 25fps_64px, but 25fps_48px is needed" in caplog.text
    assert open_stored(f"{frames}#fps=5", spec=SPEC) is None
    with pytest.raises(FlowFileError, match="short_side is 64, requested is 48; `kinetics-i3d fl"):
        open_stored(frames, spec=other, strict=True)
    (frames / "flow_x_00003.jpg").unlink()
    with pytest.raises(FlowFileError, match="has 6 and 7"):
        open_stored(frames, spec=SPEC)


@pytest.mark.parametrize("name", ["x", "v", "flow_y"])
def test_an_empty_folder_is_no_flow(coded_video, tmp_path, name):
    folder = tmp_path / "frames"
    (folder / name).mkdir(parents=True)
    for number, frame in enumerate(read_frames(coded_video(3), fps=25)):
        PIL.fromarray(frame).save(folder / f"{number}.png")
    assert not has_flow_pictures(folder) and open_stored(folder, spec=SPEC) is None
    with pytest.raises(FlowFileError, match="has 0 and 0"):
        FlowPictures(folder)


def test_other_pictures_of_flow_have_another_identity(frames):
    specs = StreamSpecs(SPEC, ("rgb", "flow"))
    part = f"{frames}#t=0,0.2"
    before = flow_identity(frames, specs)
    assert flow_identity(part, specs) == before
    picture = frames / "flow_y_00001.jpg"
    picture.write_bytes((frames / "flow_y_00004.jpg").read_bytes())
    assert flow_identity(part, specs) == flow_identity(frames, specs) != before


def test_stored_flow_of_other_settings_is_warned_of_once_a_folder(video, caplog):
    with caplog.at_level(logging.WARNING, logger="absl"):
        for settings in (FlowSettings("farneback"), None, None):
            open_stored(video, spec=SPEC, settings=settings).close()
    (record,) = caplog.records
    assert "the stored flow has other settings than the released weights" in record.getMessage()
    assert 'method is "farneback", requested is "tvl1"' in record.getMessage()


def test_the_shared_flow_of_another_spec_is_passed_over(shared, caplog):
    video = shared / "cases/flow_then_classify/kick.mp4"
    with open_stored(video, spec=DEEPMIND_FLOW) as file:
        assert file.info.size[0] == 256 and len(file) > 0
    jhmdb = ClipSpec("jhmdb_flow", stream="flow", short_side=208, size=192)
    with caplog.at_level(logging.WARNING, logger="absl"):
        assert open_stored(video, spec=jhmdb) is None
    assert "was computed from frames at 25fps_256px, but 25fps_208px is needed" in caplog.text
    with pytest.raises(FlowFileError, match="short_side is 256, requested is 208; `kinetics-i3d"):
        open_stored(video, spec=jhmdb, strict=True)


def test_stored_flow_of_another_part_is_named(coded_video, tmp_path, caplog):
    video = tmp_path / "video.mp4"
    video.write_bytes(coded_video(12).read_bytes())
    settings = FlowSettings("farneback")
    write_flow_file(f"{video}#t=0,0.2", spec=SPEC, settings=settings)
    flow_path(f"{video}#t=0,0.2").rename(flow_path(video))
    with caplog.at_level(logging.WARNING, logger="absl"):
        assert open_stored(video, spec=SPEC) is None
    assert "the stored flow is that of another part of the video" in caplog.text


def test_flow_of_a_folder_at_another_rate_is_not_taken(tmp_path):
    from PIL import Image

    folder = tmp_path / "frames"
    folder.mkdir()
    random = np.random.default_rng(0)
    for number in range(1, 6):
        picture = random.integers(0, 256, (64, 80, 3), np.uint8)
        Image.fromarray(picture).save(folder / f"img_{number:05d}.png")
    write_flow_file(f"{folder}#fps=12.5", spec=SPEC, settings=FlowSettings("farneback"))
    with open_stored(f"{folder}#fps=12.5", spec=SPEC) as flow:
        assert len(flow) == 9
    with pytest.raises(
        FlowFileError, match=r"video is \"frames#fps=12\.5 of .* requested is \"frames of"
    ):
        open_stored(folder, spec=SPEC)
