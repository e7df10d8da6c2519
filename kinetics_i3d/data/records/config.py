"""`PrepareConfig`: what `prepare` writes, and how well.

The defaults of sampling, size and flow are those of the I3D release.
"""

import dataclasses

from kinetics_i3d.core.clip_spec import DEEPMIND, STREAMS, ClipSpec
from kinetics_i3d.flow.settings import FlowSettings


@dataclasses.dataclass(frozen=True)
class PrepareConfig:
    """What is written; all that the bytes of the records depend on, but for the videos.

    Args:
        streams: `"rgb"`, `"flow"` or both.
        spec: The `ClipSpec` by which frames are sampled and resized; they are not cropped.
        flow: The `FlowSettings`.
        quality: Of the frames' JPEG, 1 to 100.
        flow_quality: Of the flow's JPEG, 1 to 100.
        shard_size: Videos a file. A shard of 32 videos of 10 seconds has some 300 MB.
        seed: Chooses which video goes into which shard.

    Raises:
        ValueError: If a field is outside its range.

    Example:

    >>> PrepareConfig(streams=("rgb",)).spec.name
    'deepmind'
    """

    streams: tuple = ("rgb", "flow")
    spec: ClipSpec = DEEPMIND
    flow: FlowSettings = dataclasses.field(default_factory=FlowSettings)
    quality: int = 95
    flow_quality: int = 98
    shard_size: int = 32
    seed: int = 0

    def __post_init__(self):
        if self.streams not in (("rgb",), ("flow",), ("rgb", "flow")):
            raise ValueError(
                f"`streams` must be one or both of {STREAMS}, in this order. "
                f"Received: streams={self.streams!r}"
            )
        if self.spec.stream != "rgb":
            raise ValueError(
                "`spec` must be that of the frames, of stream 'rgb'. "
                f"Received: spec={self.spec.name!r} of stream {self.spec.stream!r}"
            )
        for name in ("quality", "flow_quality"):
            value = getattr(self, name)
            if not isinstance(value, int) or not 1 <= value <= 100:
                raise ValueError(f"`{name}` must be 1 to 100. Received: {name}={value!r}")
        if not isinstance(self.shard_size, int) or self.shard_size < 1:
            raise ValueError(
                f"`shard_size` must be 1 or more. Received: shard_size={self.shard_size!r}"
            )

    def to_dict(self):
        """The fields that count, JSON-ready; a backend that was left open is the one found here."""
        has_flow = "flow" in self.streams
        return {
            "streams": list(self.streams),
            "spec": self.spec.to_dict(),
            "flow": self.flow.with_backend().to_dict() if has_flow else None,
            "quality": self.quality if "rgb" in self.streams else None,
            "flow_quality": self.flow_quality if has_flow else None,
            "shard_size": self.shard_size,
            "seed": self.seed,
        }
