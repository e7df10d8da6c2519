"""`TVL1`: the parameters of TV-L1, with OpenCV's defaults and a faster choice by name.

Names follow Sánchez Pérez et al., "TV-L1 Optical Flow Estimation", IPOL 2013.
"""

import dataclasses
import importlib.util
import math

from kinetics_i3d.flow.quantization import BOUND, ROUNDINGS, encode_flow

# The first that is installed is taken.
BACKENDS = {
    "tvl1": ("numba", "tensorflow", "opencv"),
    "dis": ("opencv",),
    "farneback": ("opencv",),
}


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


@dataclasses.dataclass(frozen=True)
class FlowSettings:
    """How flow is computed, and how it is coded where it is kept in 8 bits.

    Args:
        method: `"tvl1"`, `"dis"` or `"farneback"`.
        parameters: A `TVL1`; None is OpenCV's defaults for TV-L1, and what the others must have.
        backend: What computes it; None is the best that is installed, as in `optical_flow`.
        bound: Pixels that the codes reach to.
        rounding: `"round"` or `"truncate"`, as in `encode_flow`.

    Raises:
        ValueError: If a field is outside its range.

    Example:

    >>> FlowSettings().parameters == TVL1()
    True
    >>> FlowSettings("dis", bound=10).to_dict()["bound"]
    10.0
    """

    method: str = "tvl1"
    parameters: TVL1 | None = None
    backend: str | None = None
    bound: float = BOUND
    rounding: str = "round"

    def __post_init__(self):
        if self.method not in BACKENDS:
            raise ValueError(
                f"`method` must be one of {(*BACKENDS,)}. Received: method={self.method!r}"
            )
        if self.parameters is None and self.method == "tvl1":
            object.__setattr__(self, "parameters", TVL1())
        needed = TVL1 if self.method == "tvl1" else type(None)
        if not isinstance(self.parameters, needed):
            raise ValueError(
                f"`parameters` must be {'a TVL1' if needed is TVL1 else None} for "
                f"method={self.method!r}. Received: parameters={self.parameters!r}"
            )
        if self.backend not in (None, *BACKENDS[self.method]):
            raise ValueError(
                f"`backend` must be None or one of {BACKENDS[self.method]} for "
                f"method={self.method!r}. Received: backend={self.backend!r}"
            )
        number = isinstance(self.bound, (int, float)) and not isinstance(self.bound, bool)
        if not number or not 0 < self.bound < math.inf:
            raise ValueError(f"`bound` must be pixels, above 0. Received: bound={self.bound!r}")
        object.__setattr__(self, "bound", float(self.bound))  # 20 and 20.0 are written alike
        if self.rounding not in ROUNDINGS:
            raise ValueError(
                f"`rounding` must be one of {(*ROUNDINGS,)}. Received: rounding={self.rounding!r}"
            )

    def encode(self, flow):
        """The 8-bit codes of flow in pixels, by this bound and rounding."""
        return encode_flow(flow, self.bound, self.rounding)

    def to_dict(self):
        """The fields as a JSON-ready dictionary; `from_dict` is the inverse."""
        return dataclasses.asdict(self)

    def settled(self):
        """These settings with the backend that computes by them here, where none is named."""
        return dataclasses.replace(self, backend=usable_backend(self.method, self.backend))

    @classmethod
    def from_dict(cls, fields):
        """The inverse of `to_dict`.

        Args:
            fields: The dictionary. A field that it lacks has its default.

        Returns:
            A `FlowSettings`.

        Raises:
            TypeError: If there are other fields.
            ValueError: If a field is outside its range.

        Example:

        >>> FlowSettings.from_dict(FlowSettings("dis").to_dict())
        FlowSettings(method='dis', parameters=None, backend=None, bound=20.0, rounding='round')
        """
        fields = dict(fields)
        parameters = fields.pop("parameters", None)
        return cls(parameters=None if parameters is None else TVL1(**parameters), **fields)


def usable_backend(method, backend=None):
    """The name of the backend that computes a method; None is the best that is installed."""
    if method not in BACKENDS:
        raise ValueError(f"`method` must be one of {(*BACKENDS,)}. Received: method={method!r}")
    if backend is None:
        backend = BACKENDS[method][0]
        if backend == "numba" and importlib.util.find_spec("numba") is None:
            backend = "tensorflow"
    if backend not in BACKENDS[method]:
        raise ValueError(
            f"`backend` must be one of {BACKENDS[method]} for method={method!r}. "
            f"Received: backend={backend!r}"
        )
    return backend
