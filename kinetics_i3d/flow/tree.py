"""`make_flow`: writes the flow files of many videos, in one process or in several that share them.

Valid files that exist are kept, so that repeating a run that was stopped completes it.
"""

import dataclasses
import errno
import os
import pathlib

from kinetics_i3d.core.clip_spec import DEEPMIND_FLOW
from kinetics_i3d.core.errors import UserError, VideoError
from kinetics_i3d.core.files import path_below
from kinetics_i3d.core.locks import locked_path
from kinetics_i3d.flow.cache import FlowFile, FlowFileError, free_path, write_flows
from kinetics_i3d.flow.info import flow_path
from kinetics_i3d.flow.methods import pair_function
from kinetics_i3d.flow.settings import FlowSettings
from kinetics_i3d.video.frame_folder import split_rate
from kinetics_i3d.video.span import split_span

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclasses.dataclass(frozen=True)
class FlowJob:
    """A video, the path of its flow file, and the name of the video relative to its root."""

    video: pathlib.Path
    path: pathlib.Path
    name: pathlib.Path


@dataclasses.dataclass(frozen=True)
class FlowResult:
    """The result of a `FlowJob`.

    Args:
        job: The job.
        flows: Number of flows in the file.
        made: Whether the file was written now; False if it existed.
        error: The `UserError` if it could not be written, otherwise None.
    """

    job: FlowJob
    flows: int = 0
    made: bool = False
    error: UserError | None = None

    def to_dict(self):
        """The result, ready for JSON."""
        if self.error is not None:
            return {"video": str(self.job.video), "error": str(self.error)}
        names = {"video": str(self.job.video), "path": str(self.job.path)}
        return {**names, "flows": self.flows, "made": self.made}


def flow_jobs(trees, *, out=None):
    """Lists the flow file of each video.

    Args:
        trees: (root, videos) pairs: a folder, and the paths of videos below it.
        out: The folder for flow files, with the same subfolders as the roots; None puts each file
            beside its video.

    Returns:
        A list of `FlowJob`s in the order of the videos, each video once.

    Raises:
        UserError: If two videos would have the same flow file.

    Example:

    >>> [job.path.name for job in flow_jobs([(folder, [folder / "video.mp4"])])]
    ['video.mp4.flow.npz']
    """
    jobs: dict = {}
    for root, videos in trees:
        for video in map(pathlib.Path, videos):
            name = path_below(video, root)
            path = flow_path(video if out is None else pathlib.Path(out) / name)
            job = jobs.setdefault(os.path.abspath(path), FlowJob(video, path, name))
            if os.path.abspath(job.video) != os.path.abspath(video):
                raise UserError(
                    f"{path}: would be the flow of {job.video} and of {video}; give each its own "
                    "output folder"
                )
    return list(jobs.values())


def make_flow(
    jobs, *, spec=DEEPMIND_FLOW, settings=None, workers=None, replace=False, progress=None
):
    """Makes the flow files that are missing, damaged, or of a video that has changed.

    Several processes may work at the same time: each video is processed by one of them, even if
    another process that had started on it was killed.

    Args:
        jobs: `FlowJob`s.
        spec: A `ClipSpec`: how frames are sampled and resized.
        settings: A `FlowSettings`; None means those of the release.
        workers: As for `optical_flow`.
        replace: Whether to recompute flow that was made with another `spec` or other `settings`.
            Otherwise flow with another spec is kept, and the new file gets its own name beside it;
            other settings of the same spec are an error, since the file may have taken days.
        progress: Called with the number of finished flows of the current video.

    Returns:
        A generator of a `FlowResult` for each job, in the order of completion: videos that another
        process is working on come last.

    Raises:
        OSError: While working: if the disk is full.
        UserError: If a package is missing.
        ValueError: If an argument is outside its range.

    Example:

    >>> quick = FlowSettings("farneback")
    >>> jobs = flow_jobs([(folder, [folder / "video.mp4"])])
    >>> [result.made for result in make_flow(jobs, settings=quick)]
    [True]
    >>> [result.made for result in make_flow(jobs, settings=quick)]
    [False]
    """
    settings = FlowSettings() if settings is None else settings
    pair_function(settings.method, settings.backend)  # a missing package is an error at once
    options = {"spec": spec, "settings": settings, "workers": workers, "progress": progress}
    return _results(list(jobs), replace, options)


def _results(jobs, replace, options):
    waiting = []
    for job in jobs:
        result = _result(job, replace, options, wait=False)
        if result is None:
            waiting.append(job)
        else:
            yield result
    for job in waiting:
        yield _result(job, replace, options, wait=True)


def _result(job, replace, options, *, wait):
    """The `FlowResult` of a job; None if another process works on it and `wait` is false."""
    try:
        if not os.path.exists(split_rate(split_span(job.video)[0])[0]):  # before making folders
            raise VideoError(f"{job.video}: there is no such file")
        if not replace:
            job = dataclasses.replace(job, path=free_path(job.path, options["spec"]))
        flows, made = _stored_flows(job, replace, options), False
        if flows is None:
            with locked_path(job.path, wait=wait) as part:
                if part is None:
                    return None
                # Another process may have written it in the meantime.
                flows = _stored_flows(job, replace, options)
                if flows is None:
                    flows, made = write_flows(job.video, part, **options).flows, True
    except (VideoError, FlowFileError) as error:
        return FlowResult(job, error=error)
    except OSError as error:
        if error.errno in _DISK_FULL:
            raise
        return FlowResult(job, error=FlowFileError(f"{job.path}: {error.strerror}"))
    return FlowResult(job, flows, made)


def _stored_flows(job, replace, options):
    """The number of flows in the job's file; None if it has to be written."""
    if not job.path.exists():
        return None
    try:
        with FlowFile(job.path) as file:
            file.check()
    except FlowFileError:
        return None
    differences = file.info.differences(
        video=job.video, spec=options["spec"], settings=options["settings"]
    )
    if "video" in differences or (differences and replace):
        return None
    if differences:
        raise FlowFileError(
            f"{job.path}: {'; '.join(differences.values())}; replace it (--replace), or choose "
            "another folder (--output)"
        )
    return len(file)
