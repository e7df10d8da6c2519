"""Names the action in a video with a LiteRT file, without kinetics_i3d, Keras or TensorFlow.

kinetics-i3d export rgb_figures --to litert --output figures.tflite --frames 16
python examples/classify_litert.py examples/wave.mp4 figures.tflite

Needs ai-edge-litert, NumPy and, to decode the video, PyAV.
"""

import json
import sys
import zipfile

import av
import numpy as np
from ai_edge_litert.interpreter import Interpreter


def read_frames(path, spec):
    """Yields the frames of a video as the spec says: its rate, its size, the square in the middle.

    A spec of another `resize` or `interpolation` than these needs other lines here.
    """
    assert spec["resize"] == "short_side" and spec["interpolation"] == "bilinear", spec
    shown = 0
    with av.open(path) as video:
        first = None
        for frame in video.decode(video=0):
            first = frame.time if first is None else first
            if frame.time - first < shown / spec["fps"] - 1e-6:
                continue  # faster than the spec's rate
            scale = spec["short_side"] / min(frame.width, frame.height)
            width, height = round(frame.width * scale), round(frame.height * scale)
            small = frame.to_ndarray(
                format="rgb24", width=width, height=height, interpolation="BILINEAR"
            )
            top, left = (height - spec["size"]) // 2, (width - spec["size"]) // 2
            while frame.time - first >= shown / spec["fps"] - 1e-6:  # twice where it is slower
                yield small[top : top + spec["size"], left : left + spec["size"]]
                shown += 1


def main(video, model):
    """Prints the five most likely classes of the first clip."""
    with zipfile.ZipFile(model) as beside:  # a LiteRT file is a zip of its descriptions as well
        labels = beside.read("labels.txt").decode().splitlines()
        spec = json.loads(beside.read("clip_spec.json"))["rgb"]
    network = Interpreter(model_path=model, num_threads=2).get_signature_runner()
    frames = network.get_input_details()["rgb"]["shape"][1]
    clip = []
    for frame in read_frames(video, spec):
        clip.append(frame)
        if len(clip) == frames:
            break
    clip = np.stack([clip[place % len(clip)] for place in range(frames)])  # a short one is looped
    logits = network(rgb=clip[np.newaxis])["logits"][0]
    odds = np.exp(logits - logits.max())
    for place in np.argsort(-odds)[:5]:
        print(f"{100 * odds[place] / odds.sum():6.2f} %  {labels[place]}")


if __name__ == "__main__":
    main(*sys.argv[1:])
