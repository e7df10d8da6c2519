"""`Limits`: the maximum size and length of an uploaded file."""

import dataclasses

from kinetics_i3d.core.errors import UserError, VideoError

MEGABYTE = 1_000_000


@dataclasses.dataclass(frozen=True)
class Limits:
    """The limits of the page.

    Args:
        size: Maximum number of bytes of a file.
        seconds: Maximum length of a video.
    """

    size: int = 100 * MEGABYTE
    seconds: float = 60.0

    def __str__(self):
        return f"{self.size / MEGABYTE:.4g} MB and {self.seconds:.4g} s"

    def check_size(self, name, size):
        """Raises `UserError` for a file of too many bytes."""
        if size > self.size:
            raise UserError(
                f"{name}: {size / MEGABYTE:.4g} MB; "
                f"at most {self.size / MEGABYTE:.4g} MB are allowed"
            )

    def check_length(self, name, seconds):
        """Raises `VideoError` for a video that is too long; `None` is an unknown length."""
        if seconds is not None and seconds > self.seconds:
            length = f"{seconds:.4g}" if seconds < 1000 else f"{seconds:.0f}"
            raise VideoError(f"{name}: {length} s long; at most {self.seconds:.4g} s are allowed")
