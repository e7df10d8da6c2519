"""`make_plan`: which videos a run has to work on, by the content keys of what is finished."""

import collections
import concurrent.futures
import dataclasses

from kinetics_i3d.core.errors import UserError
from kinetics_i3d.core.progress import track
from kinetics_i3d.scale.results import finished_keys

THREADS = 16  # that read both ends of videos; they wait most of the time


@dataclasses.dataclass(frozen=True)
class Plan:
    """The work of a run.

    Args:
        keys: {video: content key} of all videos that can be opened.
        missing: {content key: video}, without those that are finished. Of videos with the same
            content the first is worked on.
        failures: {video: error} of the others.
    """

    keys: dict
    missing: dict
    failures: dict

    @property
    def kept(self):
        """The number of videos that were finished before."""
        return sum(key not in self.missing for key in self.keys.values())

    def videos_of(self, key):
        """The videos of a content key."""
        return [video for video, own in self.keys.items() if own == key]


def make_plan(work, source, videos, output):
    """Compares the content keys of videos with those of finished rows.

    Args:
        work: What is to be done: `key(source, video)` gives the content key, and
            `is_finished(output, video)` says whether files beside the rows are there, too.
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
