"""`CroppedVideo`: a video that another process has decoded, which features are computed of."""

import dataclasses
import fractions

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class CroppedVideo:
    """The crops of a video's frames, in place of its path.

    Args:
        name: What errors call it.
        identity: What `identify` returned for the file.
        first_picture: What `first_picture_time` returned.
        rate: Frames a second, as `frame_rate` returned it, or that of the clip spec.
        count: The number of frames, by the header where it tells.
        times: float64 array (frames, 2): the seconds between which each frame is shown.
        crops: {stream: uint8 array (frames, crops, size, size, channels)}.
    """

    name: str
    identity: dict
    first_picture: float | None
    rate: fractions.Fraction
    count: int
    times: np.ndarray
    crops: dict

    def __str__(self):
        return self.name

    def frames(self):
        """Yields (begin, end, [{stream: square} for each crop]), as `timed_crops` does."""
        places = range(next(iter(self.crops.values())).shape[1])
        for index, (begin, end) in enumerate(self.times.tolist()):
            parts = [
                {stream: crops[index, place] for stream, crops in self.crops.items()}
                for place in places
            ]
            yield begin, end, parts
