"""`LogitCache`: logits on the disk, so that what was computed once is not computed again.

A file a video and network, `<folder>/<2 digits>/<key>.npy`, written whole or not at all; the key is
a checksum of all that the logits depend on.
"""

import hashlib
import importlib.metadata
import json
import pathlib

import numpy as np
from absl import logging

from kinetics_i3d.core.files import atomic_path, parse_npy

FORMAT = 1  # a new one when the same network and video would give other logits


class LogitCache:
    """A folder of logits. Several processes may use it at once.

    Args:
        folder: Where; it is made with the first logits.
        depends: JSON-ready dictionary of what all logits asked for depend on beside the video:
            weights, views, specs.
        classes: How many logits a video has.

    Example:

    >>> cache = LogitCache(folder / "logits", depends={"weights": "1234"}, classes=2)
    >>> cache.get({"bytes": 10}) is None
    True
    >>> cache.put({"bytes": 10}, np.array([0.5, 2.0], np.float32))
    >>> cache.get({"bytes": 10})
    array([0.5, 2. ], dtype=float32)
    """

    def __init__(self, folder, *, depends, classes):
        self.folder = pathlib.Path(folder)
        self.classes = classes
        self._depends = {
            "format": FORMAT,
            "version": importlib.metadata.version("kinetics-i3d"),
            **depends,
        }

    def path(self, video):
        """The file of a video's logits.

        Args:
            video: JSON-ready dictionary that the video is known again by: `fingerprint(path)`.

        Returns:
            A `pathlib.Path`, whether there is a file or not.
        """
        text = json.dumps({**self._depends, "video": video}, sort_keys=True)
        key = hashlib.sha256(text.encode()).hexdigest()
        return self.folder / key[:2] / f"{key}.npy"

    def get(self, video):
        """The logits of a video: float32 array (classes,), or None where there are none.

        A damaged file counts as none, and is told in the log.
        """
        path = self.path(video)
        try:
            logits = parse_npy(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            logging.warning("%s: damaged, so computed again (%s)", path, error)
            return None
        if logits.shape != (self.classes,) or logits.dtype != np.float32:
            logging.warning("%s: not %d logits, so computed again", path, self.classes)
            return None
        return logits

    def put(self, video, logits):
        """Keeps the logits of a video, float32 (classes,)."""
        with atomic_path(self.path(video)) as temporary:
            np.save(temporary, logits)
