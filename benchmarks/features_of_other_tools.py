"""Features of one window against those of piergiaj/pytorch-i3d and v-iashin/video_features.

    python benchmarks/features_of_other_tools.py --pytorch-i3d DIR --video-features DIR CLIP...

The folders are checkouts of both repositories, whose network code runs here with the weights that
`kinetics-i3d convert` writes for PyTorch. Needs torch (CPU), OpenCV and Pillow.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import argparse
import importlib.util
import pathlib
import re
import tempfile

import numpy as np
from report import publish

import kinetics_i3d as ki3d

WINDOW = 64
ENDPOINT = "AvgPool_0a_7x7"


def module(path):
    """The module of a file, without its package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def branch_name(name):
    """The name in video_features' network of a tensor under pytorch-i3d's names."""
    step = {"a": "0", "b": "1"}
    name = re.sub(
        r"^(Mixed_\w\w)\.b(\d)(a|b)?\.",
        lambda match: f"{match[1]}.branch_{match[2]}.{step[match[3]] + '.' if match[3] else ''}",
        name,
    )
    name = name.replace("logits.", "conv3d_0c_1x1.").replace(".bn.", ".batch3d.")
    return name[0].lower() + name[1:]


def networks(options, state):
    """{tool: function of clips (1, frames, 224, 224, 3) -> 1024 features}."""
    import torch

    first = module(options.pytorch_i3d / "pytorch_i3d.py").InceptionI3d(400, in_channels=3)
    first.load_state_dict(state)
    second = module(options.video_features / "models/i3d/i3d_src/i3d_net.py").I3D(400)
    second.load_state_dict({branch_name(name): value for name, value in state.items()})

    def run(function):
        def call(clips):
            values = torch.from_numpy(np.moveaxis(clips, -1, 1).copy())
            with torch.no_grad():
                return function(values).numpy()

        return call

    pytorch_i3d = run(first.eval().extract_features)
    return {
        "pytorch-i3d": lambda clips: pytorch_i3d(clips).mean(axis=(2, 3, 4))[0],
        "video_features": lambda clips: run(lambda values: second.eval()(values, features=True))(
            clips
        )[0],
    }


def opencv_frames(path):
    """The first frames of a file by OpenCV, as both tools read them, in BGR."""
    import cv2

    capture = cv2.VideoCapture(str(path))
    frames = []
    while len(frames) < WINDOW:
        exists, frame = capture.read()
        if not exists:
            break
        frames.append(frame)
    capture.release()
    return frames


def video_features_clips(path, options):
    """The clip that video_features makes of a file, by its own transforms."""
    import torch
    from PIL import Image

    transforms = module(options.video_features / "models/transforms.py")
    frames = [
        transforms.PILToTensor()(
            transforms.ResizeImproved(256)(Image.fromarray(frame[..., ::-1].copy()))
        ).float()
        for frame in opencv_frames(path)
    ]
    clip = transforms.ScaleTo1_1()(transforms.TensorCenterCrop(224)(torch.stack(frames)))
    return np.moveaxis(clip.numpy(), 1, -1)[np.newaxis]


def pytorch_i3d_clips(path, options):
    """The clip of `charades_dataset_full.py`: only frames below 226 pixels are enlarged."""
    del options
    import cv2

    frames = []
    for frame in opencv_frames(path):
        height, width = frame.shape[:2]
        if width < 226 or height < 226:
            scale = 1 + (226 - min(width, height)) / min(width, height)
            frame = cv2.resize(frame, dsize=(0, 0), fx=scale, fy=scale)
        top, left = (round((side - 224) / 2) for side in frame.shape[:2])
        frames.append(frame[top : top + 224, left : left + 224, ::-1])
    return (np.stack(frames).astype(np.float32) / 255 * 2 - 1)[np.newaxis]


def cosine(first, second):
    return float(first @ second / np.linalg.norm(first) / np.linalg.norm(second))


def main():
    """Prints and records the cosines."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pytorch-i3d", type=pathlib.Path, required=True)
    parser.add_argument("--video-features", type=pathlib.Path, required=True)
    parser.add_argument("clips", nargs="+", type=pathlib.Path)
    options = parser.parse_args()

    import torch

    with tempfile.TemporaryDirectory() as folder:
        file = ki3d.convert("rgb_kinetics400", pathlib.Path(folder) / "i3d.pt")
        state = torch.load(file, weights_only=True)
    others = networks(options, state)
    preprocess = {"pytorch-i3d": pytorch_i3d_clips, "video_features": video_features_clips}
    model = ki3d.load_model("rgb_kinetics400")
    rows = []
    for path in options.clips:
        frames = list(ki3d.read_frames(path))[:WINDOW]
        video = ki3d.VideoFrames(np.stack(frames), fps=25)
        own = ki3d.extract_features(video, model, endpoint=ENDPOINT, tail="drop").features[0]
        clips = ki3d.load_clip(video, spec=model.clip_spec, frames=WINDOW)
        for tool, network in others.items():
            same = network(clips)
            theirs = network(preprocess[tool](path, options))
            rows.append(
                {
                    "clip": path.name,
                    "tool": tool,
                    "same values: cosine": f"{cosine(own, same):.7f}",
                    "largest difference": f"{np.abs(own - same).max():.1e}",
                    "its own preprocessing: cosine": f"{cosine(own, theirs):.4f}",
                }
            )
            print(rows[-1], flush=True)
    publish(
        "features_of_other_tools",
        "Features of one window against public PyTorch tools",
        "python benchmarks/features_of_other_tools.py --pytorch-i3d DIR --video-features DIR CLIPS",
        rows,
        notes=f"`rgb_kinetics400`, the first {WINDOW} frames of each file at the file's rate, "
        f"`{ENDPOINT}` averaged over time (1024 values), PyTorch {torch.__version__}. Same values: "
        "the clip of this package in all networks; the batch norm of video_features adds 1e-5 to "
        "variances, where the release adds 1e-3. Its own preprocessing: frames by OpenCV; "
        "video_features resizes the short side to 256 with Pillow, which smooths; pytorch-i3d "
        "crops 224 pixels of the stored frame and enlarges only what is smaller than 226, so a "
        "large frame shows a smaller part.",
    )


if __name__ == "__main__":
    main()
