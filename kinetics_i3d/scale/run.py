"""`run`: features, labels or flow of many videos, on one machine or on a cluster.

Ray tasks decode videos and compute flow; actors run the network. A video is one unit of work, and
its results are written as soon as it is finished. `results.py` documents the layout of the output.
"""

import collections
import concurrent.futures
import contextlib
import dataclasses
import fractions
import json
import os

import numpy as np

from kinetics_i3d.core.clip_spec import STREAMS
from kinetics_i3d.core.errors import UserError, VideoError, first_line
from kinetics_i3d.core.progress import stage, track
from kinetics_i3d.flow.cache import FlowFileError
from kinetics_i3d.inference.feature_windows import CroppedVideo
from kinetics_i3d.scale.cluster import Cluster, dataset_of, losses_reported
from kinetics_i3d.scale.results import (
    claimed,
    finished_keys,
    result_name,
    write_result,
    write_tables,
)
from kinetics_i3d.scale.storage import find_inputs, open_storage
from kinetics_i3d.video.limits import bounded_decoder, set_bounded_decoder

BAD_VIDEO = (VideoError, FlowFileError)
THREADS = 16  # for reading both ends of videos; they mostly wait


@dataclasses.dataclass(frozen=True)
class Report:
    """The outcome of a run.

    Args:
        output: The address of the results.
        made: Number of videos whose rows were written now.
        kept: Number of videos that were already finished, or have the content of another one.
        failures: {video: error}.
    """

    output: str
    made: int
    kept: int
    failures: dict

    def to_dict(self):
        """The report, ready for JSON."""
        failures = [{"video": video, "error": error} for video, error in self.failures.items()]
        return {
            "output": self.output,
            "made": self.made,
            "kept": self.kept,
            "failures": failures,
        }


def run(work, source, output, *, cluster=None):
    """Processes all videos that are not finished.

    Repeating a run that was killed completes it. A video that cannot be decoded is skipped and
    listed in the table of failures.

    Args:
        work: A `FeatureWork`, `ClassifyWork` or `FlowWork`.
        source: A path or address, as `find_inputs` takes it.
        output: The path or address of a folder for the results.
        cluster: A `Cluster`; None is this machine.

    Returns:
        A `Report`.

    Raises:
        UserError: If there is no video, the output cannot be written or was made with other
            settings, another run writes there, or there is no such cluster.
    """
    cluster = Cluster() if cluster is None else cluster
    output = open_storage(output)
    source, videos = find_inputs(source)
    with bounded_decoder(cluster.bounded_decoder), claimed(output, work.name, work.settings):
        plan = make_plan(work, source, videos, output)
        failures, made = dict(plan.failures), set()
        if plan.missing:
            rows = [{"video": video, "key": key} for key, video in plan.missing.items()]
            with contextlib.ExitStack() as stack:
                ray = stack.enter_context(cluster.connected(has_network=work.has_network))
                show = stack.enter_context(stage(work.name, total=len(rows), noun="videos"))
                stack.enter_context(losses_reported(ray, output))
                for count, row in enumerate(_statuses(ray, cluster, work, source, output, rows), 1):
                    if row["fatal"] is not None:
                        raise UserError(row["fatal"])
                    if row["error"] is None:
                        made.add(row["key"])
                    else:
                        same = plan.videos_of(row["key"])
                        failures.update(dict.fromkeys(same, row["error"]))
                    show(count)
        keys = {video: key for video, key in plan.keys.items() if video not in failures}
        write_tables(output, keys, failures)
    return Report(str(output), len(made), len(keys) - len(made), failures)


@dataclasses.dataclass(frozen=True)
class Plan:
    """The work of a run.

    Args:
        keys: {video: content key} of all videos that can be opened.
        missing: {content key: video} of unfinished videos. If videos have the same content, only
            the first is processed.
        failures: {video: error} of the videos that cannot be opened.
    """

    keys: dict
    missing: dict
    failures: dict

    @property
    def kept(self):
        """The number of videos that are already finished."""
        return sum(key not in self.missing for key in self.keys.values())

    def videos_of(self, key):
        """The videos of a content key."""
        return [video for video, own in self.keys.items() if own == key]


def make_plan(work, source, videos, output):
    """Compares the content keys of videos with those of finished rows.

    Args:
        work: The work: `key(source, video)` returns the content key, and `is_finished(output,
            video)` whether the files that it writes in addition to the rows exist.
        source: The `Storage` of the videos.
        videos: Their names in it.
        output: The `Storage` of the results.

    Returns:
        A `Plan`.
    """
    keys: dict = {}
    failures: dict = {}
    finished = finished_keys(output)
    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        results = pool.map(lambda video: _key(work, source, video), videos)
        shown = track(
            zip(videos, results, strict=True), "looking", total=len(videos), noun="videos"
        )
        for video, (key, error) in shown:
            if error is None:
                keys[video] = key
            else:
                failures[_text(video)] = error
    missing: dict = {}
    for video, key in keys.items():
        if key not in finished or not work.is_finished(output, video):
            missing.setdefault(key, video)
    return Plan(keys, missing, failures)


def _key(work, source, video):
    try:
        video.encode()
        return work.key(source, video), None
    except UnicodeEncodeError:
        return None, "its name is not UTF-8, which Parquet needs"
    except UserError as error:
        return None, str(error)


def _text(video):
    return video.encode(errors="backslashreplace").decode()


def repeated(plan):
    """{content key: videos} of videos with the same content."""
    videos = collections.defaultdict(list)
    for video, key in plan.keys.items():
        videos[key].append(video)
    return {key: names for key, names in videos.items() if len(names) > 1}


def _statuses(ray, cluster, work, source, output, rows):
    """Yields a row for each video: video, key, error of the video, fatal error."""
    dataset = dataset_of(ray, rows)
    is_bounded = cluster.bounded_decoder  # also for the processes that decode
    row_by_row = {"batch_size": 1, "batch_format": "pyarrow"}
    if work.has_network:

        def read(batch):
            set_bounded_decoder(is_bounded)
            return _decode(work, source, batch)

        dataset = dataset.map_batches(read, **cluster.reading_options(ray), **row_by_row)
        arguments = {"fn_constructor_args": (work, source, output, cluster.cpus, is_bounded)}
        dataset = dataset.map_batches(
            _Network, **arguments, **cluster.network_options(ray), **row_by_row
        )
    else:

        def make(batch):
            set_bounded_decoder(is_bounded)
            return _make(work, source, output, batch)

        dataset = dataset.map_batches(make, num_cpus=1, **row_by_row)
    yield from dataset.iter_rows()


def _decode(work, source, batch):
    """The decoded video of a row, or its error."""
    video, key = _row_of(batch)
    try:
        with source.local_video(video, flow_spec=work.flow_spec) as path:
            decoded = work.read(path)
    except BAD_VIDEO as error:
        return _packed(video, key, error=str(error))
    except UserError as error:
        return _packed(video, key, fatal=str(error))
    return _packed(video, key, decoded)


class _Network:
    """An actor: loads the network once, and writes the rows of one video after another."""

    def __init__(self, work, source, output, cpus, is_bounded):
        set_bounded_decoder(is_bounded)
        self.work, self.source, self.output = work, source, output
        self.network = None
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # several may share a GPU
        os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(cpus))
        os.environ.setdefault("TF_NUM_INTEROP_THREADS", str(cpus))

    def __call__(self, batch):
        video, key = _row_of(batch)
        error, fatal = (batch[name][0].as_py() for name in ("error", "fatal"))
        if error is not None or fatal is not None:
            return _status(video, key, error, fatal)
        try:
            if not self.output.exists(result_name(key)):  # a killed process may have written it
                if self.network is None:
                    self.network = self.work.load()
                table, current = self._compute(video, _unpacked(batch))
                if current != key:
                    raise VideoError(f"{self.source}/{video}: has changed since the run began")
                write_result(self.output, video, key, table)
        except BAD_VIDEO as problem:
            return _status(video, key, error=str(problem))
        except (UserError, OSError) as problem:
            return _status(video, key, fatal=_fatal(self.output, problem))
        return _status(video, key)

    def _compute(self, video, decoded):
        if decoded is not None:
            return self.work.compute(self.network, decoded)
        with self.source.local_video(video, flow_spec=self.work.flow_spec) as path:
            return self.work.compute(self.network, path)


def _make(work, source, output, batch):
    """Processes a video without a network; returns its status."""
    video, key = _row_of(batch)
    try:
        write_result(output, video, key, work.make(source, video, output))
    except BAD_VIDEO as error:
        return _status(video, key, error=str(error))
    except (UserError, OSError) as error:
        return _status(video, key, fatal=_fatal(output, error))
    return _status(video, key)


def _fatal(output, error):
    if isinstance(error, UserError):
        return str(error)
    return f"{error.filename or output}: {error.strerror or first_line(error)}"


def _row_of(batch):
    return batch["video"][0].as_py(), batch["key"][0].as_py()


def _status(video, key, error=None, fatal=None):
    import pyarrow

    columns = {"video": video, "key": key, "error": error, "fatal": fatal}
    text = pyarrow.string()
    return pyarrow.table({name: pyarrow.array([value], text) for name, value in columns.items()})


def _packed(video, key, decoded=None, error=None, fatal=None):
    """A `CroppedVideo` as a row of an Arrow table, with copies of its arrays."""
    import pyarrow

    table = _status(video, key, error, fatal)
    about = times = None
    crops: dict = {}
    if decoded is not None:
        fields = (decoded.identity, decoded.first_picture, str(decoded.rate), decoded.count)
        about, times, crops = json.dumps(fields), decoded.times.tobytes(), decoded.crops
    columns = [("about", about, pyarrow.string()), ("times", times, pyarrow.large_binary())]
    for stream in STREAMS:
        array = crops.get(stream)
        shape, data = (None, None) if array is None else (array.shape, array.tobytes())
        columns += [
            (f"{stream}_shape", shape, pyarrow.list_(pyarrow.int64())),
            (stream, data, pyarrow.large_binary()),
        ]
    for name, value, kind in columns:
        table = table.append_column(name, pyarrow.array([value], kind))
    return table


def _unpacked(batch):
    """The inverse of `_packed`; None where there is no decoded video."""
    about = batch["about"][0].as_py()
    if about is None:
        return None
    identity, first_picture, rate, count = json.loads(about)
    times = np.frombuffer(batch["times"][0].as_buffer(), np.float64).reshape(-1, 2)
    crops = {}
    for stream in STREAMS:
        shape = batch[f"{stream}_shape"][0].as_py()
        if shape is not None:
            crops[stream] = np.frombuffer(batch[stream][0].as_buffer(), np.uint8).reshape(shape)
    return CroppedVideo(
        batch["video"][0].as_py(),
        identity,
        first_picture,
        fractions.Fraction(rate),
        count,
        times,
        crops,
    )
