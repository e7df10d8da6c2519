"""`batches`: views of a video, joined to batches that fit into memory."""

import keras
import numpy as np

FRAMES_AT_ONCE = 250  # as many as the paper's longest clip, in memory at a time


def batches(views):
    """Joins views of one size that follow each other, while they are not too many frames.

    Args:
        views: Iterable of (clips, share), see `ClipModel.predict_views`.

    Yields:
        (clips, list of shares), of `FRAMES_AT_ONCE` frames at most unless it is a single clip.

    Example:

    >>> views = [(np.zeros((1, 100, 8, 8, 3)), share) for share in (1, 2, 3)]
    >>> [(clips.shape[0], shares) for clips, shares in batches(views)]
    [(2, [1, 2]), (1, [3])]
    """
    waiting: list = []
    shares: list = []
    for clips, share in views:
        sizes = [clip.shape for clip in keras.tree.flatten(clips)]
        frames = max(size[1] for size in sizes)
        if waiting:
            other = sizes != [clip.shape for clip in keras.tree.flatten(waiting[0])]
            if other or frames * (len(waiting) + 1) > FRAMES_AT_ONCE:
                yield (
                    keras.tree.map_structure(lambda *clips: np.concatenate(clips), *waiting),
                    shares,
                )
                waiting, shares = [], []
        waiting.append(clips)
        shares.append(share)
    if waiting:
        yield keras.tree.map_structure(lambda *clips: np.concatenate(clips), *waiting), shares
