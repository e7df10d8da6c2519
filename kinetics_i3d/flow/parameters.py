"""`TVL1`: the parameters of TV-L1, with OpenCV's defaults and a faster choice by name.

Names follow Sánchez Pérez et al., "TV-L1 Optical Flow Estimation", IPOL 2013.
"""

import dataclasses
import math


@dataclasses.dataclass(frozen=True)
class TVL1:
    """What TV-L1 weighs and how long it works; the defaults are those of OpenCV's DualTVL1.

    OpenCV's `gamma` (changes of light) is 0 there and is not offered.

    Args:
        tau: Time step of the dual iteration; above 0.25 it need not converge.
        lam: Weight of the data against smoothness (lambda); smaller is smoother.
        theta: How tightly the data's and the smooth flow are held together.
        scales: Levels of the pyramid at most; none has a side below 16 pixels.
        warps: Linearisations a level.
        epsilon: Iterations end when the flow changes by less, in pixels, root mean square.
        inner: Iterations between two medians at most.
        outer: Rounds of `inner` iterations a warp at most.
        scale_step: A level's size against that of the next finer one, 0 to 1.
        median: Whether a 5x5 median of the flow comes before each round.

    Raises:
        ValueError: If a field is outside its range.

    Example:

    >>> TVL1().warps, TVL1(lam=0.05).lam
    (5, 0.05)
    """

    tau: float = 0.25
    lam: float = 0.15
    theta: float = 0.3
    scales: int = 5
    warps: int = 5
    epsilon: float = 0.01
    inner: int = 30
    outer: int = 10
    scale_step: float = 0.8
    median: bool = True

    def __post_init__(self):
        for name in ("tau", "lam", "theta", "epsilon"):
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise ValueError(f"`{name}` must be above 0. Received: {name}={value!r}")
        for name in ("scales", "warps", "inner", "outer"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise ValueError(
                    f"`{name}` must be a whole number above 0. Received: {name}={value!r}"
                )
        if not 0 < self.scale_step < 1:
            raise ValueError(
                f"`scale_step` must be between 0 and 1. Received: scale_step={self.scale_step!r}"
            )
        if self.median not in (False, True):
            raise ValueError(f"`median` must be True or False. Received: median={self.median!r}")

    @classmethod
    def fast(cls):
        """Two warps a level in place of five: half the time, and wrong where things move fast.

        Five videos of sport and of a walk differed from the default by 0.02 to 0.09 pixels on
        average. Where the camera itself moved by 4 pixels a frame that was 0.36, and fast motion is
        what flow networks look at: use it to look at flow, and for networks only if they were
        trained with it. Flow that is computed with it logs a warning.

        Example:

        >>> TVL1.fast().warps
        2
        """
        return cls(warps=2)
