"""`CroppedVideo`: a video decoded and cropped by another process, as input of the extractors."""

import dataclasses
import fractions

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class CroppedVideo:
    """The crops of a video's frames, instead of its path.

    Args:
        name: Its name in errors.
        identity: The result of `identify` for the file.
        first_picture: The result of `first_picture_time`.
        rate: Frames per second: the result of `frame_rate`, or the rate of the clip spec.
        count: The number of frames, by the header if known.
        times: float64 array (frames, 2): the seconds at which each frame begins and ends.
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
        count = next(iter(self.crops.values())).shape[1]
        for index, (begin, end) in enumerate(self.times.tolist()):
            parts = [
                {stream: crops[index, crop] for stream, crops in self.crops.items()}
                for crop in range(count)
            ]
            yield begin, end, parts
