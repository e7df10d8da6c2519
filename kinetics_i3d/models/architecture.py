"""`Architecture`: Inception-V1 as data, built at rank 2 (images) or rank 3 (clips).

The rows are defined in `inception_i3d.py`.
"""

import dataclasses
from typing import NamedTuple

from kinetics_i3d.core.clip_spec import DEEPMIND, ClipSpec
from kinetics_i3d.models import layers as parts


class Conv(NamedTuple):
    """A `conv_unit` with a cubic kernel."""

    name: str
    filters: int
    kernel: int
    stride: int = 1


class MaxPool(NamedTuple):
    """A max pool. Window and stride are (frames, height, width); rank 2 drops the first.

    A window of `None` is a cube with the architecture's `last_pool` as its side.
    """

    name: str
    window: tuple
    stride: tuple


class ResponseNorm(NamedTuple):
    """Local response norm, built only by the architectures that have it."""

    name: str


class Mixed(NamedTuple):
    """An Inception module; the architecture's `mixed` table has its filters."""

    name: str


@dataclasses.dataclass(frozen=True)
class Architecture:
    """One variant of Inception-V1: a row that a builder turns into a network of rank 2 or 3.

    Args:
        name: The row's name in `ARCHITECTURES`.
        backbone: The rows before the average pool, bottom to top.
        mixed: Filters of the nine Inception modules, by name.
        third_kernel: Kernel of the third branch, 3 or 5.
        last_pool: Window of the pool before `Mixed_5b`, 2 or 3.
        batch_norm: Whether units have batch norm; otherwise they have biases.
        response_norm: Whether local response norm precedes and follows the second stage.
        width: Every filter count is multiplied by this, truncated to an integer, and rounded up to
            a multiple of 4.
        clip_spec: Preprocessing of its inputs, unless the weights define their own.
    """

    name: str
    backbone: tuple
    mixed: dict
    third_kernel: int = 3
    last_pool: int = 2
    batch_norm: bool = True
    response_norm: bool = False
    width: float = 1.0
    clip_spec: ClipSpec = DEEPMIND

    def filters(self, count):
        """The filter count of this variant where the full network has `count`."""
        return count if self.width == 1 else 4 * max(1, -(-int(count * self.width) // 4))

    def build_backbone(self, x, *, rank):
        """Builds everything before the average pool.

        Args:
            x: Keras tensor (batch, [frames,] height, width, channels).
            rank: 2 or 3.

        Returns:
            The activation of `Mixed_5c`; every row of `backbone` is a layer of its name.
        """
        unit = {"rank": rank, "batch_norm": self.batch_norm}
        for row in self.backbone:
            name = row.name.format(rank=rank, last_pool=self.last_pool)
            match row:
                case Conv():
                    filters = self.filters(row.filters)
                    x = parts.conv_unit(x, name, filters, row.kernel, stride=row.stride, **unit)
                case MaxPool():
                    window = row.window or (self.last_pool,) * 3
                    x = parts.MAX_POOL[rank](
                        window[-rank:],
                        row.stride[-rank:],
                        padding="same",
                        data_format=parts.CHANNELS_LAST,
                        name=name,
                    )(x)
                case ResponseNorm() if self.response_norm:
                    x = parts.LocalResponseNorm(name=name)(x)
                case Mixed():
                    filters = [self.filters(count) for count in self.mixed[name]]
                    x = parts.mixed_module(x, name, filters, third_kernel=self.third_kernel, **unit)
        return x
