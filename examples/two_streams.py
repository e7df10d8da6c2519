"""Classifies a video by its frames, by its optical flow, and by both, as the paper does.

    python examples/two_streams.py VIDEO

The flow is computed here step by step; `ki3d.classify(VIDEO, "kinetics_jhmdb")` does all of it.
"""

import argparse

import numpy as np

import kinetics_i3d as ki3d

parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
parser.add_argument("video")
parser.add_argument("--rgb", default="rgb_kinetics_jhmdb", help="weights of the rgb stream")
parser.add_argument("--flow", default="flow_kinetics_jhmdb", help="weights of the flow stream")
options = parser.parse_args()

model = ki3d.load_model({"rgb": options.rgb, "flow": options.flow})
spec = model.clip_specs["flow"]

# TV-L1 between the resized frames, in pixels: x to the right, y down.
frames = np.stack(list(ki3d.read_frames(options.video, fps=spec.fps, short_side=spec.short_side)))
flow = ki3d.optical_flow(frames)
print(f"{len(frames)} frames, {len(flow)} flows of {np.abs(flow).mean():.2f} pixels on average")

# Clips: the middle square; pixels to [-1, 1], and flow clipped at 20 pixels to [-1, 1].
top, left = (np.array(frames.shape[1:3]) - spec.size) // 2
square = np.s_[:, top : top + spec.size, left : left + spec.size]
clips = {
    "rgb": frames[:-1][square][np.newaxis] / np.float32(127.5) - 1,  # the last frame has no flow
    "flow": np.clip(flow[square][np.newaxis], -20, 20) / np.float32(20),
}

logits = {name: network.predict(clips[name], verbose=0) for name, network in model.streams.items()}
logits["both"] = model.predict(clips, verbose=0)  # the sum of the two
for name, values in logits.items():
    ((label, probability),) = ki3d.decode_predictions(values, top=1, labels=model.labels)[0]
    print(f"{name:5} {100 * probability:6.2f} %  {label}")
