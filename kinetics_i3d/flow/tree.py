"""`make_flow`: the flow files of many videos, by one process or by several that share the work.

What is there already and right is kept, so a run that was stopped is finished by repeating it.
"""

import dataclasses
import errno
import os
import pathlib

from kinetics_i3d.core.clip_spec import DEEPMIND_FLOW
from kinetics_i3d.core.errors import UserError, VideoError
from kinetics_i3d.core.locks import locked_path
from kinetics_i3d.flow.cache import FlowFile, FlowFileError, free_path, write_flows
from kinetics_i3d.flow.info import flow_path
from kinetics_i3d.flow.methods import pair_function
from kinetics_i3d.flow.settings import FlowSettings
from kinetics_i3d.video.frame_folder import split_rate
from kinetics_i3d.video.span import split_span

FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclasses.dataclass(frozen=True)
class FlowJob:
    """A video, the path of its flow file, and the video's name inside the tree that it is from."""

    video: pathlib.Path
    path: pathlib.Path
    name: pathlib.Path


@dataclasses.dataclass(frozen=True)
class FlowResult:
    """What became of a `FlowJob`.

    Args:
        job: It.
        flows: How many flows the file holds.
        made: Whether it was made now; else it was there.
        error: The `UserError` if it could not be made, and None else.
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
    """Says where the flow of each video goes.

    Args:
        trees: (root, videos) pairs: a folder, and the paths of videos below it.
        out: The folder for flow files, which repeats the folders between root and video; None puts
            each file beside its video.

    Returns:
        A list of `FlowJob`s in the order of the videos, each video once.

    Raises:
        UserError: If two videos would have the same flow file.

    Example:

    >>> [job.path.name for job in flow_jobs([(folder, [folder / "video.mp4"])])]
    ['video.flow.npz']
    """
    jobs: dict = {}
    for root, videos in trees:
        for video in map(pathlib.Path, videos):
            name = video.relative_to(root)
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
    """Makes the flow files that are not there, are damaged, or are of a video that has changed.

    Several processes may do so at once: each video is done by one of them, also if another that
    had begun it was killed.

    Args:
        jobs: `FlowJob`s.
        spec: A `ClipSpec`: how frames are sampled and resized.
        settings: A `FlowSettings`; None is the release's.
        workers: As for `read_flow`.
        replace: Whether to recompute flow that was made with another `spec` or other `settings`.
            Otherwise flow by another spec stays, and the new one gets a name of its own beside it;
            other settings of the same spec are an error, since the file may have taken days.
        progress: Called with the number of flows of a video done, while it is worked on.

    Returns:
        A generator of a `FlowResult` for each job, in the order in which they are done: a video
        that another process is at comes last.

    Raises:
        OSError: While working: if the disk is full.
        UserError: If a package is missing.
        ValueError: If an argument is wrong.

    Example:

    >>> quick = FlowSettings("farneback")
    >>> jobs = flow_jobs([(folder, [folder / "video.mp4"])])
    >>> [result.made for result in make_flow(jobs, settings=quick)]
    [True]
    >>> [result.made for result in make_flow(jobs, settings=quick)]
    [False]
    """
    settings = FlowSettings() if settings is None else settings
    pair_function(settings.method, settings.backend)  # what is missing, is so for all
    how = {"spec": spec, "settings": settings, "workers": workers, "progress": progress}
    return _results(list(jobs), replace, how)


def _results(jobs, replace, how):
    waiting = []
    for job in jobs:
        result = _result(job, replace, how, wait=False)
        if result is None:
            waiting.append(job)
        else:
            yield result
    for job in waiting:
        yield _result(job, replace, how, wait=True)


def _result(job, replace, how, *, wait):
    """The `FlowResult` of a job; None if another process is at it and this one shall not wait."""
    try:
        if not os.path.exists(split_rate(split_span(job.video)[0])[0]):  # before making folders
            raise VideoError(f"{job.video}: there is no such file")
        if not replace:
            job = dataclasses.replace(job, path=free_path(job.path, how["spec"]))
        flows, made = _there(job, replace, how), False
        if flows is None:
            with locked_path(job.path, wait=wait) as part:
                if part is None:
                    return None
                # Another process may have made it in the meantime.
                flows = _there(job, replace, how)
                if flows is None:
                    flows, made = write_flows(job.video, part, **how).flows, True
    except (VideoError, FlowFileError) as error:
        return FlowResult(job, error=error)
    except OSError as error:
        if error.errno in FULL:
            raise
        return FlowResult(job, error=FlowFileError(f"{job.path}: {error.strerror}"))
    return FlowResult(job, flows, made)


def _there(job, replace, how):
    """The number of flows in the job's file; None if it has to be made, or made anew."""
    if not job.path.exists():
        return None
    try:
        with FlowFile(job.path) as file:
            file.check()
    except FlowFileError:
        return None
    found = file.info.differences(
        video=job.video, **{name: how[name] for name in ("spec", "settings")}
    )
    if "video" in found or (found and replace):
        return None
    if found:
        raise FlowFileError(
            f"{job.path}: {'; '.join(found.values())}; replace it (--replace), or name another "
            "folder (--out)"
        )
    return len(file)
