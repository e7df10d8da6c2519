"""The doors of pictures: video files, folders of pictures, pictures of flow, and flow files."""

import itertools
import pathlib
import shutil

import numpy as np

from fuzz.door import Door, equal
from kinetics_i3d.core.clip_spec import ClipSpec

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared" / "clips"
LARGEST_CLIP = 400_000  # bytes: a larger one is no better a seed, and takes longer
# (codec, format of the pixels) of small files, by their names.
CODED = {
    "h264.mp4": ("libx264", "yuv420p"),
    "h264.mkv": ("libx264", "yuv420p"),
    "h264.ts": ("libx264", "yuv420p"),
    "h264.flv": ("libx264", "yuv420p"),
    "h265.mov": ("libx265", "yuv420p"),
    "mpeg4.avi": ("mpeg4", "yuv420p"),
    "mpeg1.mpg": ("mpeg1video", "yuv420p"),
    "mjpeg.avi": ("mjpeg", "yuvj420p"),
    "vp9.webm": ("libvpx-vp9", "yuv420p"),
    "theora.ogv": ("libtheora", "yuv420p"),
    "wmv2.wmv": ("wmv2", "yuv420p"),
    "raw.avi": ("rawvideo", "yuv420p"),
    "colors.gif": ("gif", "rgb8"),
}
MOST_FRAMES = 3000
FLOW_SPEC = ClipSpec("fuzz", stream="flow", short_side=32, size=24)


def pictures(count, height=48, width=64):
    """uint8 pictures of a moving square on a ramp."""
    ramp = np.linspace(0, 200, width).astype(np.uint8)[None, :, None]
    for number in range(count):
        picture = np.broadcast_to(ramp, (height, width, 3)).copy()
        picture[10:30, 2 * number : 2 * number + 16] = 255
        yield picture


def write_coded(path, codec, pixels, count=12):
    """Writes a small video by a codec; `ValueError` where FFmpeg was built without it."""
    import av

    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, pixels
        for picture in pictures(count):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=pixels)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


def _plant_videos(folder):
    import av

    for name, (codec, pixels) in CODED.items():
        (folder / name).mkdir()
        try:
            write_coded(folder / name / name, codec, pixels)
        except (av.error.FFmpegError, ValueError, LookupError):
            shutil.rmtree(folder / name)
    clips = [ROOT / "examples" / "wave.mp4"]
    for clip in (*clips, *sorted(SHARED.glob("*.*")), *sorted(SHARED.glob("awkward/*.*"))):
        if clip.stat().st_size <= LARGEST_CLIP:
            (folder / clip.name).mkdir()
            shutil.copyfile(clip, folder / clip.name / clip.name)


def _read_video(folder):
    from kinetics_i3d.video.reader import read_frames, video_info

    path = next(folder.iterdir(), folder / "none.mp4")
    video_info(path)
    shapes, count = set(), 0
    frames = read_frames(path, fps=25, short_side=32)
    for frame in itertools.islice(frames, MOST_FRAMES):
        shapes.add((frame.shape, str(frame.dtype)))
        count += 1
    frames.close()
    return count, shapes


def _video_problem(seed, result, forged):
    count, shapes = result
    if not count:
        return "no frame and no error"
    for shape, dtype in shapes:
        if dtype != "uint8" or len(shape) != 3 or shape[2] != 3 or min(shape[:2]) != 32:
            return f"frames of {dtype} {shape}"
    return f"frames of several shapes: {shapes}" if len(shapes) > 1 else None


def _plant_pictures(folder):
    from PIL import Image

    for suffix in ("jpg", "png", "bmp", "webp", "ppm"):
        for count in (1, 3):
            clip = folder / f"{suffix}{count}" / "clip"
            clip.mkdir(parents=True)
            for number, picture in enumerate(pictures(count), 1):
                Image.fromarray(picture).save(clip / f"img_{number:05d}.{suffix}")


def _read_pictures(folder):
    from kinetics_i3d.video.reader import read_frames, video_info

    path = f"{folder / 'clip'}#fps=30"
    video_info(path)
    frames = list(read_frames(path, fps=25, short_side=32))
    return len(frames), {(frame.shape, str(frame.dtype)) for frame in frames}


def _plant_flow(folder):
    from PIL import Image

    from kinetics_i3d.flow.cache import write_flow_file
    from kinetics_i3d.flow.settings import FlowSettings

    write_coded(folder / "video.mp4", "libx264", "yuv420p", count=40)
    (folder / "file").mkdir()
    write_flow_file(
        folder / "video.mp4",
        folder / "file" / "video.mp4.flow.npz",
        spec=FLOW_SPEC,
        settings=FlowSettings("farneback"),
    )
    (folder / "video.mp4").unlink()
    (folder / "pictures" / "clip").mkdir(parents=True)
    for number, picture in enumerate(pictures(3), 1):
        Image.fromarray(picture).save(folder / "pictures" / "clip" / f"img_{number:05d}.jpg")
        for axis in "xy":
            name = f"flow_{axis}_{number:05d}.jpg"
            Image.fromarray(picture[..., 0]).save(folder / "pictures" / "clip" / name)


def _read_flow(folder):
    from kinetics_i3d.flow.cache import open_flow
    from kinetics_i3d.flow.stored import open_stored

    if (folder / "clip").exists():
        spec = ClipSpec("fuzz", stream="flow", short_side=48, size=32)
        flow = open_stored(folder / "clip", spec=spec)
    else:
        flow = open_flow(next(folder.glob("*.npz"), folder / "none"), spec=None)
    if flow is None:
        return None
    with flow:
        return flow.quantized(), flow.info.to_json()


def _flow_problem(seed, result, forged):
    if result is None:
        return None
    flows, _ = result
    if flows.dtype != np.uint8 or flows.ndim != 4 or flows.shape[-1] != 2:
        return f"flow of {flows.dtype} {flows.shape}"
    # Pictures have no checksum, a flow file has one for each part.
    if not forged and '"pictures"' not in seed[1] and not equal(seed, result):
        return "a damaged flow file was accepted"
    return None


DOORS = [
    Door("videos", _plant_videos, _read_video, _video_problem, weight=3),
    Door("pictures", _plant_pictures, _read_pictures, _video_problem),
    Door("flow", _plant_flow, _read_flow, _flow_problem),
]
