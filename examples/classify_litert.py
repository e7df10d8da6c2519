"""Classifies a video with a LiteRT file, without kinetics_i3d, Keras or TensorFlow.

    kinetics-i3d export rgb_figures --to litert --output figures.tflite --frames 16
    python examples/classify_litert.py examples/wave.mp4 figures.tflite

Needs ai-edge-litert, NumPy and, to decode the video, PyAV.
"""

import argparse
import json
import zipfile

import av
import numpy as np
from ai_edge_litert.interpreter import Interpreter


def read_frames(path, spec):
    """Yields the center crops of a video's frames at the rate and size of a spec.

    It supports one value of `resize` and `interpolation`.
    """
    assert spec["resize"] == "short_side" and spec["interpolation"] == "bilinear", spec
    shown = 0
    with av.open(path) as video:
        first = None
        for frame in video.decode(video=0):
            first = frame.time if first is None else first
            if frame.time - first < shown / spec["fps"] - 1e-6:
                continue  # the video is faster than the spec
            scale = spec["short_side"] / min(frame.width, frame.height)
            width, height = round(frame.width * scale), round(frame.height * scale)
            small = frame.to_ndarray(
                format="rgb24", width=width, height=height, interpolation="BILINEAR"
            )
            small = np.rot90(small, round(frame.rotation / 90))  # as phones store upright videos
            top, left = ((side - spec["size"]) // 2 for side in small.shape[:2])
            # Where the video is slower than the spec, the frame is repeated.
            while frame.time - first >= shown / spec["fps"] - 1e-6:
                yield small[top : top + spec["size"], left : left + spec["size"]]
                shown += 1


def main(video, model):
    """Prints the five most probable classes of a video's first clip."""
    with zipfile.ZipFile(model) as archive:  # a LiteRT file is also a zip of its labels and specs
        labels = archive.read("labels.txt").decode().splitlines()
        spec = json.loads(archive.read("clip_spec.json"))["rgb"]
        several = archive.read("activation.txt").decode().strip() == "sigmoid"
    network = Interpreter(model_path=model, num_threads=2).get_signature_runner()
    frames = network.get_input_details()["rgb"]["shape"][1]
    clip = []
    for frame in read_frames(video, spec):
        clip.append(frame)
        if len(clip) == frames:
            break
    clip = np.stack([clip[index % len(clip)] for index in range(frames)])  # short ones are looped
    logits = network(rgb=clip[np.newaxis])["logits"][0]
    if several:  # trained on videos with several labels: each class has a probability of its own
        probabilities = 1 / (1 + np.exp(-logits))
    else:
        exponentials = np.exp(logits - logits.max())
        probabilities = exponentials / exponentials.sum()
    for index in np.argsort(-logits)[:5]:
        print(f"{100 * probabilities[index]:6.2f} %  {labels[index]}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("video")
    parser.add_argument("model", help="the file that `kinetics-i3d export --to litert` wrote")
    options = parser.parse_args()
    main(options.video, options.model)
