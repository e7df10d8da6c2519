"""The output of a run: rows by content key, tables that are merged, and what is refused."""

import dataclasses
import json

import pytest

from kinetics_i3d.core.errors import UserError, VideoError
from kinetics_i3d.core.locks import locked
from kinetics_i3d.scale import results
from kinetics_i3d.scale.run import make_plan, repeated
from kinetics_i3d.scale.storage import open_storage

pyarrow = pytest.importorskip("pyarrow", reason="the extra `scale` is not installed")
parquet = pytest.importorskip("pyarrow.parquet")
arrow_dataset = pytest.importorskip("pyarrow.dataset")

SETTINGS = {"window": 64, "weights": {"rgb": "ab"}}


@dataclasses.dataclass(frozen=True)
class Work:
    """Work whose content key is the first letter of a video's name."""

    beside: bool = True

    def key(self, source, video):
        del source
        if video.startswith("broken"):
            raise VideoError(f"{video}: no picture can be decoded")
        return video[0] * 4

    def is_finished(self, output, video):
        del output, video
        return self.beside


@pytest.fixture
def output(tmp_path):
    return open_storage(tmp_path / "out")


def rows(count=1):
    return pyarrow.table({"start": list(range(count))})


def column(output, file, name):
    table = parquet.read_table(output.path(file))
    return dict(zip(table["video"].to_pylist(), table[name].to_pylist(), strict=True))


def test_rows_are_a_partitioned_dataset_with_their_key(output):
    for key, video, count in (("3f00", "a", 2), ("3f01", "b", 1), ("00aa", "c", 1)):
        results.write_result(output, video, key, rows(count))
    dataset = arrow_dataset.dataset(output.path("results"), partitioning="hive")
    table = dataset.to_table(columns=["key", "video", "shard"]).sort_by("key").to_pydict()
    assert table["key"] == ["00aa", "3f00", "3f00", "3f01"]
    assert table["video"] == ["c", "a", "a", "b"]
    assert [str(part) for part in table["shard"]][1:] == ["3f", "3f", "3f"]
    assert results.finished_keys(output) == {"3f00", "3f01", "00aa"}


def test_a_repeated_write_of_a_key_doubles_nothing(output):
    for _ in range(2):
        results.write_result(output, "a", "3f00", rows())
    assert len(arrow_dataset.dataset(output.path("results")).to_table()) == 1


def test_what_a_killed_process_left_counts_as_missing_and_is_removed(output):
    results.write_result(output, "a", "3f00", rows())
    left = output.path("results/shard=3f/.3f01.parquet-0123")
    with open(left, "wb") as file:
        file.write(b"half a fi")
    assert results.finished_keys(output) == {"3f00"}
    assert output.names("results") == ["results/shard=3f/3f00.parquet"]


def test_the_plan_is_what_is_missing_once_for_each_content(output):
    results.write_result(output, "a1", "aaaa", rows())
    videos = ["a1", "b1", "b2", "broken", "c\udcff", "c"]
    plan = make_plan(Work(), None, videos, output)
    assert plan.keys == {"a1": "aaaa", "b1": "bbbb", "b2": "bbbb", "c": "cccc"}
    assert plan.missing == {"bbbb": "b1", "cccc": "c"} and plan.kept == 1
    assert plan.failures == {
        "broken": "broken: no picture can be decoded",
        "c\\udcff": "its name is not UTF-8, which Parquet needs",
    }
    assert plan.videos_of("bbbb") == ["b1", "b2"] and repeated(plan) == {"bbbb": ["b1", "b2"]}
    # Rows without the file beside them are made again.
    assert make_plan(Work(beside=False), None, ["a1"], output).missing == {"aaaa": "a1"}


def test_the_tables_keep_the_videos_of_earlier_runs_and_replace_those_of_this(output):
    results.write_tables(output, {"a": "01", "b": "02"}, {"c": "broken", "d": "broken"})
    results.write_tables(output, {"c": "03", "e": "05"}, {"b": "gone"})
    assert column(output, "videos.parquet", "key") == {"a": "01", "c": "03", "e": "05"}
    assert column(output, "failures.parquet", "error") == {"b": "gone", "d": "broken"}


def test_there_is_a_table_of_failures_when_nothing_failed(output):
    results.write_tables(output, {"a": "01"}, {})
    assert column(output, "failures.parquet", "error") == {}


def test_other_settings_or_other_work_are_refused_in_one_line(output):
    with results.claimed(output, "features", SETTINGS):
        pass
    with results.claimed(output, "features", SETTINGS):
        pass
    other = {**SETTINGS, "window": 32}
    with (
        pytest.raises(UserError, match="other settings: window is 64, requested is 32; choose"),
        results.claimed(output, "features", other),
    ):
        pass
    with (
        pytest.raises(UserError, match='work is "features", requested is "classify"'),
        results.claimed(output, "classify", SETTINGS),
    ):
        pass
    assert json.loads(output.read("settings.json"))["window"] == 64


def test_damaged_settings_are_one_line(output):
    output.write("settings.json", b"[]")
    with (
        pytest.raises(UserError, match=r"settings\.json: damaged .* choose another output"),
        results.claimed(output, "features", SETTINGS),
    ):
        pass


def test_renamed_weights_with_the_same_digest_are_the_same_settings(output):
    before = {"weights": {"rgb": {"name": "a.h5", "sha256": "ab"}}}
    after = {"weights": {"rgb": {"name": "b.h5", "sha256": "ab"}}}
    with results.claimed(output, "features", before):
        pass
    with results.claimed(output, "features", after):
        pass


def test_a_second_run_on_one_output_is_refused_in_one_line(output):
    with (
        locked(output.path(results.LOCK)),
        pytest.raises(UserError, match="another run writes there; wait for it to end"),
        results.claimed(output, "features", SETTINGS),
    ):
        pass


def test_rows_of_unknown_settings_and_damaged_files_are_refused(output):
    results.write_result(output, "a", "3f00", rows())
    with (
        pytest.raises(UserError, match=r"has no settings\.json; choose another output"),
        results.claimed(output, "features", SETTINGS),
    ):
        pass
    output.write("settings.json", b"{")
    with (
        pytest.raises(UserError, match=r"settings\.json: damaged"),
        results.claimed(output, "features", SETTINGS),
    ):
        pass
    output.write("videos.parquet", b"PAR1")
    with pytest.raises(UserError, match=r"videos\.parquet: damaged"):
        results.write_tables(output, {"a": "01"}, {})
