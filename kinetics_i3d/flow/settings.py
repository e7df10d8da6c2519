"""`FlowSettings`, `TVL1`: how optical flow is computed, and how it is stored in 8 bits.

Names of TV-L1's parameters follow Sánchez Pérez et al., "TV-L1 Optical Flow Estimation", IPOL 2013.
"""

import dataclasses
import importlib.util
import math

from kinetics_i3d.core.types import check_count, is_number
from kinetics_i3d.flow.quantization import BOUND, ROUNDINGS, quantize_flow

# The backends of each method, the default first.
BACKENDS = {
    "tvl1": ("numba", "tensorflow", "opencv"),
    "dis": ("opencv",),
    "farneback": ("opencv",),
}


@dataclasses.dataclass(frozen=True)
class TVL1:
    """Parameters of TV-L1; the defaults are those of OpenCV's DualTVL1.

    OpenCV's `gamma` (changes of brightness) is always 0.

    Args:
        tau: Time step of the dual iteration. Above 0.25 it may not converge.
        lam: Weight of the data term (lambda). Smaller values give smoother flow.
        theta: Tightness of the coupling between the data term's flow and the smooth flow.
        scales: Maximum number of pyramid levels. No level has a side below 16 pixels.
        warps: Number of linearizations per level.
        epsilon: Iteration stops once the root mean square change of the flow, in pixels, is lower.
        inner: Maximum number of iterations between two median filters.
        outer: Maximum number of rounds of `inner` iterations per warp.
        scale_step: Size of a level relative to the next finer one, between 0 and 1.
        median: Whether a 5x5 median filters the flow before each round.

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
        # Python's numbers: the settings are written as JSON.
        for name in ("tau", "lam", "theta", "epsilon", "scale_step"):
            value = getattr(self, name)
            if not is_number(value) or not 0 < value < math.inf:
                raise ValueError(f"`{name}` must be a number above 0. Received: {name}={value!r}")
            object.__setattr__(self, name, float(value))
        for name in ("scales", "warps", "inner", "outer"):
            object.__setattr__(self, name, check_count(name, getattr(self, name)))
        if not self.scale_step < 1:
            raise ValueError(
                f"`scale_step` must be between 0 and 1. Received: scale_step={self.scale_step!r}"
            )
        if self.median not in (False, True):
            raise ValueError(f"`median` must be True or False. Received: median={self.median!r}")
        object.__setattr__(self, "median", bool(self.median))

    @classmethod
    def fast(cls):
        """Two warps per level instead of five: half the time, wrong where motion is fast.

        On five videos of sports and of a walk the mean difference from the default was 0.02 to 0.09
        pixels. With a camera moving by 4 pixels per frame it was 0.36, and fast motion matters most
        to flow networks: use it to look at flow, and for networks only if they were trained with
        it. Computing flow with it logs a warning.
        """
        return cls(warps=2)


@dataclasses.dataclass(frozen=True)
class FlowSettings:
    """How flow is computed, and how it is quantized where it is stored in 8 bits.

    Args:
        method: `"tvl1"`, `"dis"` or `"farneback"`.
        parameters: A `TVL1`. None means OpenCV's defaults for TV-L1; the other methods take none.
        backend: `"numba"`, `"tensorflow"` or `"opencv"`. None means the best one installed, as in
            `optical_flow`.
        bound: Pixels at which flow is clipped when it is quantized.
        rounding: `"round"` or `"truncate"`, as in `quantize_flow`.

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
        if not is_number(self.bound) or not 0 < self.bound < math.inf:
            raise ValueError(
                f"`bound` must be a number of pixels above 0. Received: bound={self.bound!r}"
            )
        object.__setattr__(self, "bound", float(self.bound))  # 20 and 20.0 are stored alike
        if self.rounding not in ROUNDINGS:
            raise ValueError(
                f"`rounding` must be one of {(*ROUNDINGS,)}. Received: rounding={self.rounding!r}"
            )

    def quantize(self, flow):
        """Quantizes flow in pixels with this bound and rounding."""
        return quantize_flow(flow, self.bound, self.rounding)

    def with_backend(self):
        """These settings with the backend that is used on this machine, if they name none."""
        return dataclasses.replace(self, backend=choose_backend(self.method, self.backend))

    def to_dict(self):
        """The fields as a JSON-ready dictionary; `from_dict` is the inverse."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, fields):
        """The inverse of `to_dict`; a missing field has its default, an unknown one is an error."""
        fields = dict(fields)
        parameters = fields.pop("parameters", None)
        return cls(parameters=None if parameters is None else TVL1(**parameters), **fields)


def choose_backend(method, backend=None):
    """The backend to compute a method with; None means the best one installed."""
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
