"""The output of a run: a Parquet file for each content key, and tables of videos and failures.

`results/shard=3f/KEY.parquet` has the rows of the videos with this key; the first two digits of the
key are its partition. The file is written atomically, and its existence alone marks the work as
done. Therefore killing a process never loses or duplicates a row, on any file system, and runs that
process the same video write the same file.

`videos.parquet` has the key of each video, `failures.parquet` the reason of each failure, and
`settings.json` the settings of the rows.
"""

import contextlib
import json
import posixpath

from kinetics_i3d.core.errors import UserError
from kinetics_i3d.core.json_objects import parse_object
from kinetics_i3d.core.locks import locked
from kinetics_i3d.core.settings import check_settings

FORMAT = 1
RESULTS, VIDEOS, FAILURES = "results", "videos.parquet", "failures.parquet"
SETTINGS = "settings.json"
LOCK = ".scale.lock"
SUFFIX = ".parquet"


def result_name(key):
    """The name of the file with the rows of a content key.

    Example:

    >>> result_name("3f27")
    'results/shard=3f/3f27.parquet'
    """
    return f"{RESULTS}/shard={key[:2]}/{key}{SUFFIX}"


def finished_keys(output):
    """The keys whose rows are in a `Storage`; removes the temporary files of killed processes."""
    keys = set()
    for name in output.names(RESULTS):
        file = posixpath.basename(name)
        if file.startswith("."):
            if output.is_local:  # elsewhere another run may be writing it
                output.files.delete_file(output.path(name))
        elif file.endswith(SUFFIX):
            keys.add(file.removesuffix(SUFFIX))
    return keys


def write_result(output, video, key, table):
    """Writes the rows of a content key: a `pyarrow.Table`, to which key and video are added."""
    import pyarrow

    for name, value in (("video", video), ("key", key)):
        column = pyarrow.array([value] * len(table), pyarrow.string())
        table = table.add_column(0, name, column)
    output.write(result_name(key), _as_parquet(table))


@contextlib.contextmanager
def claimed(output, work, settings):
    """Locks an output for one run within the block, and records its settings.

    Raises:
        UserError: If the output was made by other work or with other settings, or another run
            writes there. Object stores have no locks; two runs would write the same files.
    """
    requested = json.loads(json.dumps({"format": FORMAT, "work": work, **settings}))
    with contextlib.ExitStack() as stack:
        if output.is_local:
            lock = locked(output.path(LOCK), wait=False)
            try:
                is_free = stack.enter_context(lock)
            except OSError as error:
                raise UserError(f"{output}: cannot be written ({error.strerror})") from error
            if not is_free:
                raise UserError(f"{output}: another run writes there; wait for it to end")
        if output.exists(SETTINGS):
            try:
                recorded = parse_object(output.read(SETTINGS))
            except ValueError as error:
                raise UserError(
                    f"{output}/{SETTINGS}: damaged ({error}); choose another output"
                ) from error
            check_settings(
                _without_names(recorded),
                _without_names(requested),
                path=output,
                advice="choose another output, or the same settings",
            )
        else:
            if output.names(RESULTS):
                raise UserError(f"{output}/{RESULTS}: has no {SETTINGS}; choose another output")
            text = json.dumps(requested, indent=2, ensure_ascii=False) + "\n"
            output.write(SETTINGS, text.encode())
        yield


def _without_names(settings):
    """Settings in which weights are identified by content, without the names of files."""
    weights = settings.get("weights", {})
    digests = {
        stream: row["sha256"] if isinstance(row, dict) else row for stream, row in weights.items()
    }
    return {**settings, "weights": digests}


def write_tables(output, keys, failures):
    """Merges the videos of a run into the tables of the output.

    Args:
        output: A `Storage`.
        keys: {video: content key} of the videos that succeeded.
        failures: {video: error} of the other videos.
    """
    current = {**keys, **failures}
    for file, column, rows in ((VIDEOS, "key", keys), (FAILURES, "error", failures)):
        earlier = _read_table(output, file, column)
        kept = {video: value for video, value in earlier.items() if video not in current}
        merged = dict(sorted({**kept, **rows}.items()))
        if merged != earlier or not output.exists(file):
            output.write(file, _as_parquet(_two_columns(column, merged)))


def _read_table(output, file, column):
    import pyarrow
    import pyarrow.parquet

    if not output.exists(file):
        return {}
    try:
        table = pyarrow.parquet.read_table(pyarrow.BufferReader(output.read(file)))
        return dict(zip(table["video"].to_pylist(), table[column].to_pylist(), strict=True))
    except (pyarrow.ArrowException, KeyError) as error:
        raise UserError(f"{output}/{file}: damaged ({error}); delete it and repeat") from error


def _two_columns(column, rows):
    import pyarrow

    text = pyarrow.string()
    return pyarrow.table(
        {"video": pyarrow.array([*rows], text), column: pyarrow.array([*rows.values()], text)}
    )


def _as_parquet(table):
    import pyarrow
    import pyarrow.parquet

    stream = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(table, stream)
    return stream.getvalue()
