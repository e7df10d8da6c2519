"""The dataset of figures: its worlds, its table, and what it refuses."""

import csv

import numpy as np
import pytest

from kinetics_i3d.core.errors import DatasetError
from kinetics_i3d.figures import ACTIONS, generate, render_figure, world_seed, write_figures

SMALL = {"frames": 3, "size": (32, 32)}


def test_train_and_test_share_no_world():
    train = {world_seed("train", i, seed=s) for i in range(50) for s in range(3)}
    test = {world_seed("test", i, seed=s) for i in range(50) for s in range(3)}
    assert len(train) == len(test) == 150 and not train & test
    with pytest.raises(ValueError, match="split='val'"):
        world_seed("val", 0)


def test_a_dataset_is_a_table_of_videos(tmp_path):
    import av

    table = write_figures(tmp_path, train_per_action=1, test_per_action=1, **SMALL)
    with table.open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["path", "label", "split"]
    assert [row["label"] for row in rows] == [a for a in ACTIONS for _ in range(2)]
    assert [row["split"] for row in rows] == ["train", "test"] * 12
    assert len({row["path"] for row in rows}) == 24
    assert all((table.parent / row["path"]).stat().st_size > 300 for row in rows)
    with av.open(str(tmp_path / rows[-1]["path"])) as video:
        frames = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    wanted = render_figure("wave", seed=1, **SMALL)
    assert np.shape(frames) == (3, 32, 32, 3)
    assert np.abs(np.mean(frames, axis=(0, 1, 2)) - wanted.mean(axis=(0, 1, 2))).max() < 8.0


def test_a_dataset_is_continued_and_grown(tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(
        generate,
        "write_video",
        lambda path, clip, fps: (
            path.parent.mkdir(exist_ok=True),
            path.write_bytes(b"x"),
            made.append(path),
        ),
    )
    write_figures(tmp_path, train_per_action=1, test_per_action=0, **SMALL)
    assert len(made) == 12
    made[3].unlink()
    table = write_figures(tmp_path, train_per_action=2, test_per_action=0, **SMALL)
    assert made[12:].count(made[3]) == 1 and len(made) == 12 + 1 + 12
    assert len(table.read_text().splitlines()) == 25
    with pytest.raises(DatasetError, match="made with"):
        write_figures(tmp_path, train_per_action=2, test_per_action=0, seed=1, **SMALL)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"train_per_action": -1}, "train_per_action=-1"),
        ({"test_per_action": 1.0}, "test_per_action=1.0"),
        ({"seed": "a"}, "seed='a'"),
        ({"frames": 0}, "frames=0"),
        ({"fps": -1}, "fps=-1"),
        ({"size": (33, 32)}, "both even"),
        ({"workers": 0}, "workers=0"),
    ],
)
def test_a_wrong_dataset_is_refused_before_anything_is_written(tmp_path, wrong, message):
    with pytest.raises(ValueError, match=message):
        write_figures(tmp_path / "new", **wrong)
    assert not (tmp_path / "new").exists()
