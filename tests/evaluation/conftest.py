"""An evaluation of six gray videos, for the tests of reports and filmstrips."""

import dataclasses

import numpy as np
import pytest

from kinetics_i3d.core.clip_spec import ClipSpec
from kinetics_i3d.evaluation.result import Evaluation
from kinetics_i3d.video.writer import write_video

LABELS = ("sit", "stand <up>", "passing American football (not in game) & 'more' " * 2)
SPEC = ClipSpec("tiny", fps=10, short_side=40, size=20)


@pytest.fixture(scope="package")
def grays(tmp_path_factory):
    """Six videos in different grays, three predictions wrong; one file is missing."""
    folder = tmp_path_factory.mktemp("grays")
    paths = [folder / f"v&{number}.mp4" for number in range(6)]
    for number, path in enumerate(paths[:5]):
        write_video(path, [np.full((48, 64, 3), 40 * number + 20, np.uint8)] * 6, fps=10)
    rgb = [[3, 0, 0], [0, 3, 0], [1, 0, 0], [2, 0, 0], [0, 0, 2], [0, 0, 4]]
    flow = [[0, 1, 0], [0, 1, 0], [0, 0, 1.5], [0, 0.5, 0], [0, 0.25, 0], [0, 0, 1]]
    return Evaluation(
        LABELS,
        tuple(map(str, paths)),
        np.array([0, 1, 2, 1, 0, 1]),
        {"rgb": np.array(rgb, np.float32), "flow": np.array(flow, np.float32)},
        ("/x/<bad>.mp4: no video",),
        specs={"rgb": SPEC, "flow": dataclasses.replace(SPEC, stream="flow")},
        digests={"rgb": "1" * 64, "flow": "2" * 64},
    )
