"""Checks before a run: configs of earlier runs, and the videos held out for validation."""

import dataclasses
import json
import pathlib

import pytest

from kinetics_i3d.core.errors import DatasetError
from kinetics_i3d.data.video_dataset import Video, VideoDataset
from kinetics_i3d.training import preflight
from kinetics_i3d.training.distribute import make_strategy


def test_old_config_without_newer_fields_matches(tiny, tmp_path, write_old_config):
    write_old_config(tmp_path / "config.json", tiny)
    preflight.check_output(tmp_path, tiny)
    preflight.check_output(tmp_path, dataclasses.replace(tiny, loss="softmax"))
    assert not preflight.extends(tmp_path, tiny)
    assert preflight.extends(tmp_path, dataclasses.replace(tiny, epochs=3))
    assert not preflight.extends(tmp_path, dataclasses.replace(tiny, epochs=1))
    assert not preflight.extends(tmp_path, dataclasses.replace(tiny, epochs=3, seed=1))
    for wrong, different in (
        ({"class_weight": "balanced"}, "class_weight='none' there, 'balanced' here$"),
        ({"label_smoothing": 0.2}, "label_smoothing=0.1 there, 0.2 here$"),
        ({"loss": "sigmoid"}, "label_smoothing=0.1 there, 0.0 here, loss='softmax' there, "),
        ({"seed": 1, "epochs": 3}, "epochs=2 there, 3 here, seed=0 there, 1 here$"),
    ):
        with pytest.raises(FileExistsError, match=f"with a different config; .*{different}"):
            preflight.check_output(tmp_path, dataclasses.replace(tiny, **wrong))
    newer = json.loads((tmp_path / "config.json").read_text()) | {"later": 1}
    (tmp_path / "config.json").write_text(json.dumps(newer))
    with pytest.raises(FileExistsError, match="later=1 there, None here"):
        preflight.check_output(tmp_path, tiny)


def test_weights_of_no_run_are_not_replaced(tiny, tmp_path, write_old_config):
    (tmp_path / "weights.h5").write_bytes(b"mine")
    with pytest.raises(FileExistsError, match=r"weights\.h5: the weights of a run would replace"):
        preflight.check_output(tmp_path, tiny)
    write_old_config(tmp_path / "config.json", tiny)
    preflight.check_output(tmp_path, tiny)


def test_other_classes_and_another_order_are_different_errors(tmp_path):
    preflight.check_classes(tmp_path, ("a", "b"), ["a", "b"])
    with pytest.raises(FileExistsError, match="with the same classes in another order; choose"):
        preflight.check_classes(tmp_path, ("a", "b"), ("b", "a"))
    with pytest.raises(FileExistsError, match=r"with different classes; .* Different: 'b', 'c'"):
        preflight.check_classes(tmp_path, ("a", "b"), ("a", "c"))


@pytest.mark.parametrize(
    "text", ["5", "[]", "null", "{", "", '"loss"', "\udcff", "[" * 9999, '{"loss": {}}']
)
def test_other_json_in_the_folder_of_a_run_is_another_config(tiny, tmp_path, text):
    (tmp_path / "config.json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(FileExistsError, match="belongs to a run with a different config") as raised:
        preflight.check_output(tmp_path, tiny)
    assert "\n" not in str(raised.value)
    assert not preflight.extends(tmp_path, tiny)


def test_videos_to_validate_on_that_are_trained_on_are_reported(noisy, caplog):
    training, validation = noisy.split("train"), noisy.split("test")
    preflight.warn_about_copies(training, validation)
    preflight.warn_about_copies(training, None)
    assert not caplog.records
    preflight.warn_about_copies(training, training)
    (record,) = caplog.records
    assert "6 videos are both trained and validated on, such as" in record.getMessage()


def test_fraction_of_the_training_videos_is_held_out(noisy, tiny):
    config = dataclasses.replace(tiny, validation="0.3")
    training, validation = preflight.training_and_validation(noisy, config)
    assert len(training) == 4 and len(validation) == 2
    assert {video.label for video in validation.videos} == {"sit", "stand"}
    assert not {video.path for video in training.videos} & {v.path for v in validation.videos}
    again = preflight.training_and_validation(noisy, config)[1]
    assert again == validation
    assert preflight.training_and_validation(noisy, tiny)[1] is None


def test_a_share_keeps_clips_of_one_recording_together(tiny):
    """By the names of the files, also where a split is given."""
    names = [
        f"sit/v_Sit_g{group:02d}_c{clip:02d}.avi" for group in range(1, 6) for clip in range(4)
    ]
    videos = tuple(Video(pathlib.Path(name), "sit", "train", name) for name in names)
    dataset = VideoDataset("mine", ("sit",), videos)
    config = dataclasses.replace(tiny, validation="0.2")
    kept, held_out = preflight.training_and_validation(dataset, config)
    groups = [{video.path.name[6:9] for video in part.videos} for part in (kept, held_out)]
    assert not groups[0] & groups[1] and len(held_out) == 4
    single_source = VideoDataset("mine", ("sit",), videos[:4])
    with pytest.raises(DatasetError, match="no videos can be held out for validation"):
        preflight.training_and_validation(single_source, config)


def test_one_group_is_left_out_and_validated_on(noisy, tiny):
    videos = tuple(
        dataclasses.replace(video, source=f"g{number % 3}")
        for number, video in enumerate(noisy.videos)
    )
    grouped = dataclasses.replace(noisy, videos=videos)
    config = dataclasses.replace(tiny, split="source!=g1", validation="source=g1")
    training, validation = preflight.training_and_validation(grouped, config)
    assert {video.source for video in training.videos} == {"g0", "g2"}
    assert {video.source for video in validation.videos} == {"g1"}
    assert len(training) + len(validation) == len(noisy)
    # Nothing but the config tells the split where the table has none.
    undivided = tuple(dataclasses.replace(video, split="all") for video in videos)
    undivided = dataclasses.replace(noisy, videos=undivided)
    parts = preflight.training_and_validation(undivided, config)
    assert [len(part) for part in parts] == [len(training), len(validation)]


def test_videos_without_splits_are_split(noisy, tiny):
    videos = tuple(dataclasses.replace(video, split="all") for video in noisy.videos)
    undivided = dataclasses.replace(noisy, videos=videos)
    training, validation = preflight.training_and_validation(undivided, tiny)
    assert (len(training), len(validation)) == (6, 2)
    assert {video.split for video in validation.videos} == {"val"}
    named = preflight.training_and_validation(
        undivided, dataclasses.replace(tiny, validation="val")
    )
    assert named == (training, validation)
    half = preflight.training_and_validation(undivided, dataclasses.replace(tiny, validation="0.5"))
    assert [len(part) for part in half] == [4, 4]
    everything, none = preflight.training_and_validation(
        undivided, dataclasses.replace(tiny, split="all")
    )
    assert len(everything) == 8 and none is None
    with pytest.raises(DatasetError, match="no videos in split 'train'"):
        preflight.training_and_validation(undivided, dataclasses.replace(tiny, validation="dev"))
    most = preflight.training_and_validation(
        undivided, dataclasses.replace(tiny, validation="0.99")
    )
    assert [len(part) for part in most] == [2, 6]


def test_the_fields_of_another_config_are_reported_in_one_line(tiny, tmp_path):
    fields = json.loads(tiny.to_json()) | {"a\nfield": 1}
    (tmp_path / "config.json").write_text(json.dumps(fields))
    with pytest.raises(FileExistsError, match=r", a field=1 there, None here$"):
        preflight.check_output(tmp_path, tiny)


def test_a_split_that_is_named_like_a_number_is_a_split(noisy, tiny):
    videos = [dataclasses.replace(v, split=str(n % 3)) for n, v in enumerate(noisy.videos)]
    numbered = dataclasses.replace(noisy, videos=tuple(videos))
    config = dataclasses.replace(tiny, split="1", validation="2")
    training, validation = preflight.training_and_validation(numbered, config)
    assert {video.split for video in training.videos} == {"1"}
    assert {video.split for video in validation.videos} == {"2"}


def test_weights_of_two_spellings_of_one_path_are_the_same(tiny, tmp_path, monkeypatch):
    (tmp_path / "w.h5").write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    config = dataclasses.replace(tiny, weights="w.h5", transfer="full", loss="softmax")
    (tmp_path / "config.json").write_text(config.to_json())
    absolute = dataclasses.replace(config, weights=str(tmp_path / "w.h5"))
    assert preflight.differences(tmp_path, absolute) == {}
    other = dataclasses.replace(config, weights=str(tmp_path / "v.h5"))
    assert preflight.differences(tmp_path, other).keys() == {"weights"}


def test_training_without_any_label_is_refused(noisy, tiny):
    videos = tuple(dataclasses.replace(video, label="", labels=()) for video in noisy.videos)
    config = dataclasses.replace(tiny, loss="sigmoid", label_smoothing=0.0)
    with pytest.raises(DatasetError, match="no training video has a label"):
        preflight.check_run(
            config, dataclasses.replace(noisy, videos=videos), make_strategy("none")
        )
