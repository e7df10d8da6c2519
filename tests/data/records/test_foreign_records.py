"""Records read back by programs that are not ours, where they are installed.

KINETICS_I3D_FOREIGN_PYTHON names an interpreter that has them; they want other versions of NumPy
and protobuf than this package. Read so far by mediapipe 0.10.21 (the last with `media_sequence`)
on TensorFlow 2.18.1, and by tfrecord 1.14.6.
"""

import hashlib
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from kinetics_i3d.core.clip_spec import ClipSpec
from kinetics_i3d.data.records.prepare import PrepareConfig, prepare
from kinetics_i3d.data.records.reader import parse_record
from kinetics_i3d.data.video_dataset import Video, VideoDataset
from kinetics_i3d.flow.settings import FlowSettings
from kinetics_i3d.video.writer import write_video

HEAD = """
import hashlib, json, sys
def digest(data):
    return hashlib.sha256(bytes(data)).hexdigest()
"""
PROGRAMS = {
    "mediapipe": """
import tensorflow as tf
from mediapipe.util.sequence import media_sequence as ms
(raw,) = tf.data.TFRecordDataset(sys.argv[1]).as_numpy_iterator()
example = tf.train.SequenceExample.FromString(raw)
frames, flows = ms.get_image_encoded_size(example), ms.get_forward_flow_encoded_size(example)
found = {
    "name": ms.get_clip_data_path(example).decode(),
    "index": [int(each) for each in ms.get_clip_label_index(example)],
    "label": [each.decode() for each in ms.get_clip_label_string(example)],
    "size": [ms.get_image_height(example), ms.get_image_width(example)],
    "format": [ms.get_image_format(example).decode(), ms.get_forward_flow_format(example).decode()],
    "rate": [ms.get_image_frame_rate(example), ms.get_forward_flow_frame_rate(example)],
    "times": [ms.get_image_timestamp_at(index, example) for index in range(frames)],
    "flow times": [ms.get_forward_flow_timestamp_at(index, example) for index in range(flows)],
    "frames": [digest(ms.get_image_encoded_at(index, example)) for index in range(frames)],
    "flows": [digest(ms.get_forward_flow_encoded_at(index, example)) for index in range(flows)],
}
""",
    "tfrecord": """
from tfrecord.reader import sequence_loader
((context, lists),) = sequence_loader(sys.argv[1], None)
flow = "FORWARD_FLOW/image/"
found = {
    "name": bytes(context["clip/data_path"]).decode(),
    "index": [int(each) for each in context["clip/label/index"]],
    "label": [bytes(context["clip/label/string"]).decode()],
    "size": [int(context["image/height"][0]), int(context["image/width"][0])],
    "format": [bytes(context[key + "format"]).decode() for key in ("image/", flow)],
    "rate": [float(context[key + "frame_rate"][0]) for key in ("image/", flow)],
    "times": [int(each[0]) for each in lists["image/timestamp"]],
    "flow times": [int(each[0]) for each in lists[flow + "timestamp"]],
    "frames": [digest(each) for each in lists["image/encoded"]],
    "flows": [digest(each) for each in lists[flow + "encoded"]],
}
""",
}
TAIL = "\nprint(json.dumps(found))\n"


@pytest.fixture(scope="module")
def shard(tmp_path_factory):
    folder = tmp_path_factory.mktemp("foreign")
    picture = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    write_video(folder / "in" / "ä.mp4", [np.roll(picture, k, 1) for k in range(5)], fps=10)
    video = Video(folder / "in" / "ä.mp4", "stand", "train", "a")
    spec = ClipSpec("small", fps=10.0, short_side=32, size=32)
    config = PrepareConfig(spec=spec, flow=FlowSettings("farneback"))
    dataset = VideoDataset("one", ("sit", "stand"), (video,))
    ((path, _),) = prepare(dataset, folder / "out", config).shards("train")
    return path


@pytest.mark.slow
@pytest.mark.parametrize("program", PROGRAMS)
def test_another_program_reads_what_was_written(shard, program):
    import tensorflow as tf

    python = os.environ.get("KINETICS_I3D_FOREIGN_PYTHON", sys.executable)
    module = "mediapipe.util.sequence.media_sequence" if program == "mediapipe" else program
    there = subprocess.run([python, "-c", f"import {module}"], capture_output=True, timeout=120)
    if there.returncode:
        pytest.skip(f"no {module} in {python}; KINETICS_I3D_FOREIGN_PYTHON names one that has it")
    code = HEAD + PROGRAMS[program] + TAIL
    done = subprocess.run(
        [python, "-c", code, str(shard)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    (raw,) = tf.data.TFRecordDataset([str(shard)])
    parsed = parse_record(raw, streams=("rgb", "flow"))
    digests = {
        name: [hashlib.sha256(jpeg).hexdigest() for jpeg in parsed[field].numpy()]
        for name, field in (("frames", "image"), ("flows", "flow"))
    }
    assert found == digests | {
        "name": "ä.mp4",
        "index": [1],
        "label": ["stand"],
        "size": [32, 43],
        "format": ["JPEG", "JPEG"],
        "rate": [10.0, 10.0],
        "times": [0, 100000, 200000, 300000, 400000],
        "flow times": [0, 100000, 200000, 300000],
    }
