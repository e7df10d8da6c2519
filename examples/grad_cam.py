"""Shows where and when in a video the network sees a class, by Grad-CAM.

    python examples/grad_cam.py VIDEO grad_cam.gif
    python examples/grad_cam.py examples/wave.mp4 grad_cam.gif --weights rgb_figures --label clap

The suffix of the picture decides: .mp4, .gif, or .png for eight frames. Needs the extra "pictures"
for the latter two.
"""

import argparse

import kinetics_i3d as ki3d

parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
parser.add_argument("video")
parser.add_argument("picture")
parser.add_argument("--weights", default="rgb_kinetics400")
parser.add_argument("--label", help="the class to explain; by default the most probable one")
options = parser.parse_args()

cam = ki3d.grad_cam(options.weights, options.video, label=options.label)
ki3d.draw_grad_cam(options.picture, cam)

# The map itself: (frames, height, width), 0 to 1.
frame = int(cam.heatmap.mean(axis=(1, 2)).argmax())
print(f"{cam.label}, {100 * cam.probability:.1f} %: the map is highest at {frame / cam.fps:.2f} s")
