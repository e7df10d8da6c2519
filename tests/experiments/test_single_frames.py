"""The network of single frames is that of the same videos and config."""

import dataclasses
import json
import types

import pytest

from kinetics_i3d.core.errors import UserError
from kinetics_i3d.experiments import single_frames
from kinetics_i3d.experiments.plan import FRAMES_WEIGHTS
from kinetics_i3d.experiments.runs import dataset_digest
from kinetics_i3d.experiments.scales import with_steps
from kinetics_i3d.experiments.single_frames import check_frames, frames_config


def test_single_frames_of_other_videos_are_refused(videos, mini, tmp_path, monkeypatch):
    about = {"trained_on": "single frames, by an earlier version"}
    stored = types.SimpleNamespace(about=about)
    monkeypatch.setattr(single_frames, "read_info", lambda path: stored)
    check_frames(videos, mini, tmp_path)
    (tmp_path / FRAMES_WEIGHTS).touch()
    check_frames(videos, mini, tmp_path)
    about["dataset"] = dataset_digest(videos)
    about["config"] = json.loads(frames_config(mini).to_json())
    check_frames(videos, mini, tmp_path)
    del about["config"]["class_weight"]  # which an earlier version did not have
    check_frames(videos, mini, tmp_path)
    fewer = dataclasses.replace(videos, videos=videos.videos[1:])
    with pytest.raises(UserError, match=r"images\.h5: .*dataset is .*delete it, or choose another"):
        check_frames(fewer, mini, tmp_path)
    longer = with_steps(mini, 7)
    with pytest.raises(UserError, match=r"images\.h5: .*config\.steps is .*, requested is 7"):
        check_frames(videos, longer, tmp_path)
