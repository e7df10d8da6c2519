"""`write_feature_files`: writes the features of many videos, also in the formats of public tools.

Repeating a run that was stopped completes it: a file is kept if its content key is still that of
the video, the weights and the options.
"""

import collections
import contextlib
import dataclasses
import importlib.util
import io
import json
import os
import pathlib
import time
import zipfile

import numpy as np

from kinetics_i3d.core.errors import DAMAGE, UserError, first_line
from kinetics_i3d.core.files import atomic_path, check_unpacked, parse_npy, path_below
from kinetics_i3d.core.json_objects import parse_object
from kinetics_i3d.core.locks import locked
from kinetics_i3d.core.threads import read_ahead
from kinetics_i3d.inference.feature_options import Features
from kinetics_i3d.inference.feature_presets import PRESETS
from kinetics_i3d.video.frame_folder import split_rate
from kinetics_i3d.video.span import split_span
from kinetics_i3d.weights.readers.hdf5 import read_root_attribute

FORMATS = {"npz": ".npz", "npy": ".npy", "hdf5": ".h5", "parquet": ".parquet"}
LOCK = ".features.lock"


@dataclasses.dataclass(frozen=True)
class FeatureJob:
    """A video, and the path of its features without a suffix; None if they are not written."""

    video: str
    path: pathlib.Path | None


@dataclasses.dataclass(frozen=True)
class FeatureResult:
    """The result of a `FeatureJob`: its files and the number of rows, or the error.

    `made` is whether the files were written now; otherwise existing ones were kept.
    """

    job: FeatureJob
    paths: tuple = ()
    rows: int = 0
    made: bool = False
    error: UserError | None = None

    def to_dict(self):
        """The result, ready for JSON."""
        if self.error is not None:
            return {"video": self.job.video, "error": str(self.error)}
        paths = [str(path) for path in self.paths]
        return {"video": self.job.video, "paths": paths, "rows": self.rows, "made": self.made}


def feature_jobs(trees, output, *, content="features", one_folder=False):
    """The `FeatureJob` of each video, with the paths and errors of `output_paths`.

    Example:

    >>> [job.path.name for job in feature_jobs([(folder, [folder / "video.mp4"])], "features")]
    ['video']
    """
    paths = output_paths(trees, output, content=content, one_folder=one_folder)
    return [FeatureJob(video, path) for video, path in paths.items()]


def output_paths(trees, output, *, content, one_folder=False):
    """Determines the output path of each video: `talk` for `talk.mp4`, `talk.5-15s` for a part.

    If two videos differ only in their suffix, the names keep it: `talk.mp4` and `talk.avi`. A video
    that is listed twice, also with another spelling of its path, has one.

    Args:
        trees: (root, videos) pairs: a folder, and the paths of videos below it.
        output: The output folder, with the same subfolders as the roots.
        content: What is written there, for the error, such as `"features"`.
        one_folder: Whether all files are written to `output` itself.

    Returns:
        {video: `pathlib.Path`} in the order of the videos.

    Raises:
        UserError: If two videos would have the same path.
    """
    rows: dict = {}
    for root, videos in trees:
        for video in map(os.fspath, videos):
            rows.setdefault(os.path.abspath(video), (video, _name(video, root, one_folder)))
    names = dict(rows.values())
    uses = collections.Counter(stem for stem, _ in names.values())
    videos_of: dict = {}
    for video, (stem, full) in names.items():
        path = pathlib.Path(output) / (stem if uses[stem] == 1 else full)
        other = videos_of.setdefault(path, video)
        if other != video:
            raise UserError(
                f"{path}: would hold the {content} of {other} and of {video}; give each its own "
                "output folder"
            )
    return {video: path for path, video in videos_of.items()}


def _name(video, root, one_folder):
    """(path in the output folder without the suffix of the video, the same with it)."""
    file, span = split_span(video)
    path = pathlib.Path(split_rate(file)[0])
    part = ""
    if span is not None:
        start, _, end = span.located("").removeprefix("#t=").partition(",")
        part = f".{start}-{end}s" if end else f".{start}-end"
    folder = pathlib.Path() if one_folder else path_below(path, root).parent
    stem = path.name if path.is_dir() else path.stem
    return folder / f"{stem}{part}", folder / f"{path.name}{part}"


def check_format(file_format, preset=None):
    """Raises an error if a format is unknown, is not the preset's, or needs a missing package."""
    if preset is not None and preset not in PRESETS:
        raise ValueError(f"`preset` must be one of {(*PRESETS,)}. Received: preset={preset!r}")
    if file_format not in FORMATS:
        raise ValueError(f"`format` must be one of {(*FORMATS,)}. Received: format={file_format!r}")
    if preset is not None and file_format != "npy":
        raise ValueError(f"`format` must be 'npy' for preset={preset!r}. Received: {file_format!r}")
    if file_format == "parquet" and importlib.util.find_spec("pyarrow") is None:
        raise UserError("parquet files need the package pyarrow: pip install pyarrow")


def write_feature_files(jobs, extractor, *, output, file_format="npz", preset=None, progress=None):
    """Computes the features of videos into files, decoding ahead of the network.

    Args:
        jobs: `FeatureJob`s.
        extractor: A `FeatureExtractor`.
        output: The folder, which a run locks against other runs.
        file_format: A name in `FORMATS`.
        preset: A name in `PRESETS`, or None.
        progress: Called after each call of the network with (windows of this video so far, frames
            per second since the run began).

    Yields:
        A `FeatureResult` for each job, in order. A video that cannot be read gives a result with
        the error.

    Raises:
        OSError: If a file cannot be written.
        UserError: If another run writes to the folder, or a package is missing.
        ValueError: If an argument is invalid.
    """
    check_format(file_format, preset)
    files = _Files(file_format, PRESETS[preset] if preset else None)
    begun = time.monotonic()
    with locked(pathlib.Path(output) / LOCK, wait=False) as is_free:
        if not is_free:
            raise UserError(f"{output}: another run writes features there; wait for it to end")
        outputs: list = []
        spans: list = []
        frame_count = 0
        stages = read_ahead(_stages(list(jobs), extractor, files))
        with contextlib.closing(stages):
            for job, stage, value in stages:
                if stage == "batch":
                    inputs, batch_spans = value
                    outputs.append(extractor.predict(inputs))
                    spans += batch_spans
                    clips, frames = next(iter(inputs.values())).shape[:2]
                    frame_count += clips * frames
                    if progress is not None:
                        rate = frame_count / (time.monotonic() - begun)
                        progress(len(spans) // extractor.view_count, rate)
                    continue
                if stage == "end":
                    features = extractor.finish(value, outputs, spans)
                    paths = files.write(job.path, features)
                    yield FeatureResult(job, paths, len(features), made=True)
                elif stage == "kept":
                    yield FeatureResult(job, files.paths(job.path, extractor.specs), value)
                else:
                    yield FeatureResult(job, error=value)
                outputs, spans = [], []


def read_features(path):
    """The `Features` in an npz file; `UserError` if it is damaged."""
    names = ("features", "start", "end", "center", "metadata")
    try:
        with zipfile.ZipFile(path) as archive:
            check_unpacked(archive)
            arrays = {name: parse_npy(archive.read(f"{name}.npy")) for name in names}
        metadata = parse_object(str(arrays["metadata"]))
        times = {(arrays[name].shape, arrays[name].dtype.kind) for name in names[1:4]}
        if times != {(arrays["features"].shape[:1], "f")} or arrays["features"].dtype.kind != "f":
            raise ValueError("its arrays are not features with their times")
    except DAMAGE as error:
        reason = first_line(error)
        raise UserError(f"{path}: not a file of features, or damaged ({reason})") from error
    return Features(**{**arrays, "metadata": metadata})


def _stages(jobs, extractor, files):
    """Yields (job, stage, value); runs in the thread that decodes."""
    for job in jobs:
        try:
            metadata = extractor.describe(job.video)
            rows = files.rows(job.path, metadata["key"], extractor.specs)
            if rows is not None:
                yield job, "kept", rows
                continue
            for batch in extractor.batches(job.video):
                yield job, "batch", batch
        except UserError as error:
            yield job, "error", error
        else:
            yield job, "end", metadata


class _Files:
    """Reads and writes the files of one format, optionally in the layout of a `Preset`."""

    def __init__(self, file_format, preset=None):
        self.format = file_format
        self.by_stream = preset is not None and preset.by_stream
        self.channels_first = preset is not None and preset.channels_first

    def paths(self, path, streams):
        """The files of a video, the one with the metadata last."""
        names = [FORMATS[self.format]]
        if self.by_stream:
            names = [f"_{name}.npy" for name in (*streams, "fps", "timestamps_ms")]
        if self.format == "npy":
            names.append(".json")
        return tuple(path.with_name(path.name + name) for name in names)

    def rows(self, path, key, streams):
        """The number of rows in the files of a video; None unless they are intact with this key."""
        paths = self.paths(path, streams)
        if not all(file.is_file() for file in paths):
            return None
        try:
            metadata = parse_object(self._metadata(paths[-1]))
            # The layout is not part of the key, since features do not depend on it.
            same = metadata["key"] == key and (
                (metadata["axes"][0] == "channel") == self.channels_first
            )
            rows = metadata["rows"]
            return rows if same and type(rows) is int and rows >= 0 else None
        except (UserError, *DAMAGE):
            return None  # damaged, or written by another program

    def write(self, path, features):
        """Writes the files of a video, each of them atomically."""
        streams = (*features.metadata["clip_specs"],)
        paths = self.paths(path, streams)
        metadata = features.metadata
        if self.channels_first:
            metadata = {**metadata, "axes": ["channel", *metadata["axes"][:-1]]}
        times = {name: getattr(features, name) for name in ("start", "end", "center")}
        if self.format == "npy":
            # An incomplete set of files has no metadata, and is written again.
            paths[-1].unlink(missing_ok=True)
            arrays = [features.features]
            if self.channels_first:
                arrays = [np.ascontiguousarray(np.moveaxis(features.features, -1, 0))]
            if self.by_stream:
                widths = features.metadata["channels"].values()
                parts = np.split(features.features, np.cumsum([*widths])[:-1], axis=-1)
                fps = features.metadata["clip_specs"][streams[0]]["fps"]
                arrays = [*map(np.ascontiguousarray, parts), np.array(fps), features.end * 1000]
            for file, array in zip(paths, arrays, strict=False):
                with atomic_path(file) as temporary, temporary.open("wb") as opened:
                    np.lib.format.write_array(opened, array, allow_pickle=False)
            lists = {name: array.tolist() for name, array in times.items()}
            with atomic_path(paths[-1]) as temporary:
                temporary.write_text(json.dumps(metadata | lists, indent=1) + "\n")
            return paths
        with atomic_path(paths[0]) as temporary:
            write = {"npz": _write_npz, "hdf5": _write_hdf5, "parquet": _write_parquet}
            write[self.format](temporary, features, times)
        return paths

    def _metadata(self, path):
        if self.format == "npy":
            return path.read_text()
        if self.format == "npz":
            with zipfile.ZipFile(path) as archive:
                return str(parse_npy(archive.read("metadata.npy")))
        if self.format == "hdf5":
            return read_root_attribute(path, "metadata")
        import pyarrow.parquet

        return pyarrow.parquet.read_schema(path).metadata[b"kinetics_i3d"].decode()


def _write_npz(path, features, times):
    metadata = np.array(json.dumps(features.metadata))
    arrays = {"features": features.features, **times, "metadata": metadata}
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            data = io.BytesIO()
            np.lib.format.write_array(data, array, version=(1, 0), allow_pickle=False)
            archive.writestr(f"{name}.npy", data.getvalue())


def _write_hdf5(path, features, times):
    import h5py

    data = io.BytesIO()  # on a full disk HDF5 would fail a second time when it closes the file
    with h5py.File(data, "w") as file:
        for name, array in {"features": features.features, **times}.items():
            file[name] = array
        file.attrs["metadata"] = json.dumps(features.metadata)
    path.write_bytes(data.getvalue())


def _write_parquet(path, features, times):
    import pyarrow.parquet

    del times
    pyarrow.parquet.write_table(features_table(features), path)


def features_table(features):
    """A `pyarrow.Table` of `Features`, a row for each window, with the metadata in its schema."""
    import pyarrow

    # The features of a row are a flat list.
    values = features.features.reshape(len(features), -1)
    rows = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(values.ravel()), values.shape[1])
    columns = {
        "video": [features.metadata["video"]["name"]] * len(features),
        "start": features.start,
        "end": features.end,
        "center": features.center,
        "features": rows,
    }
    metadata = json.dumps({**features.metadata, "shape": list(features.features.shape[1:])})
    return pyarrow.table(columns).replace_schema_metadata({"kinetics_i3d": metadata})
