"""`FVDProtocol`, the settings of FVD; `VideoFeatures`, feature vectors that can be saved."""

import dataclasses
import json
import os
import pathlib

import numpy as np

from kinetics_i3d.core.errors import DAMAGE, UserError
from kinetics_i3d.core.files import atomic_path, check_unpacked, open_npz
from kinetics_i3d.core.json_objects import parse_object
from kinetics_i3d.core.types import PathLike, check_count

FORMAT = 1
FEATURES = {"logits": 400, "avg_pool": 1024}
RESIZES = ("legacy", "half_pixel")
STARTS = ("first", "random")
MIN_FRAMES = 9  # for one time step of logits


@dataclasses.dataclass(frozen=True)
class FVDProtocol:
    """The settings of FVD. Distances under different protocols cannot be compared.

    Args:
        name: Name of the protocol.
        frames: Number of consecutive frames of each video, at the rate of the file; 9 or more. A
            video with fewer frames is skipped.
        start: `"first"`, or `"random"` for a start frame that depends on the seed and the name of
            the video.
        resize: Resize to 224x224, without keeping the aspect ratio: `"legacy"` is bilinear as in
            TensorFlow 1's `resize_bilinear`, `"half_pixel"` as in PyTorch's
            `interpolate(align_corners=False)`. Neither is antialiased.
        features: `"logits"`, the 400 logits averaged over time, or `"avg_pool"`, the 1024 features
            of the last pool, averaged over time.
        biased: Whether covariances are divided by n rather than n - 1.

    Example:

    >>> ki3d.FVDProtocol("long", frames=128).resize
    'legacy'
    """

    name: str
    frames: int = 16
    start: str = "first"
    resize: str = "legacy"
    features: str = "logits"
    biased: bool = False

    def __post_init__(self):
        for field, allowed in (
            ("start", STARTS),
            ("resize", RESIZES),
            ("features", tuple(FEATURES)),
        ):
            if getattr(self, field) not in allowed:
                raise ValueError(
                    f"`{field}` must be one of {allowed}. Received: "
                    f"{field}={getattr(self, field)!r}"
                )
        object.__setattr__(self, "frames", check_count("frames", self.frames))
        if self.frames < MIN_FRAMES:
            raise ValueError(
                f"`frames` must be {MIN_FRAMES} or more. Received: frames={self.frames!r}"
            )


FVD_PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        # google-research/frechet_video_distance, with the 16 frames of the paper's experiments.
        FVDProtocol("reference"),
        # StyleGAN-V's fvd2048_16f and fvd2048_128f (Skorokhodov et al., CVPR 2022).
        FVDProtocol("stylegan_v", start="random", resize="half_pixel", biased=True),
        FVDProtocol("stylegan_v_128", frames=128, start="random", resize="half_pixel", biased=True),
        # As the reference, with another layer.
        FVDProtocol("avg_pool", features="avg_pool"),
    )
}


@dataclasses.dataclass(frozen=True)
class VideoFeatures:
    """The feature vectors of a set of videos.

    Args:
        values: float32, shape (videos, features).
        protocol: The `FVDProtocol` that they were computed with.
        weights: A digest of the network's weights.
        names: The video of each row.
        skipped: Messages about videos that could not be used.

    Example:

    >>> protocol = ki3d.FVDProtocol("reference")
    >>> features = ki3d.VideoFeatures(np.zeros((1, 400), np.float32), protocol, "", ("a.mp4",))
    >>> features.save(folder / "features.npz")
    >>> ki3d.VideoFeatures.load(folder / "features.npz").names
    ('a.mp4',)
    """

    values: np.ndarray
    protocol: FVDProtocol
    weights: str
    names: tuple = ()
    skipped: tuple = ()

    def save(self, path: PathLike) -> None:
        """Writes an `.npz` file that `load` reads.

        Args:
            path: The file, whose name ends in `.npz`. An existing one is replaced when the new one
                is complete.

        Raises:
            ValueError: If the name has another suffix.
        """
        if pathlib.Path(path).suffix != ".npz":
            raise ValueError(f"`path` must end in .npz. Received: path={os.fspath(path)!r}")
        about = {
            "format": FORMAT,
            "protocol": dataclasses.asdict(self.protocol),
            "weights": self.weights,
            "names": list(self.names),
            "skipped": list(self.skipped),
        }
        with atomic_path(path) as part, open(part, "wb") as file:
            np.savez(file, values=self.values, fvd=np.array(json.dumps(about)))

    @classmethod
    def load(cls, path: PathLike) -> "VideoFeatures":
        """Reads what `save` wrote.

        Args:
            path: The file.

        Returns:
            A `VideoFeatures`.

        Raises:
            UserError: If the file was not written by `save`.
        """
        try:
            with open(path, "rb") as data, open_npz(data) as file:
                check_unpacked(file.zip)
                about = parse_object(str(file["fvd"]))
                values = np.asarray(file["values"], np.float32)
            if about["format"] != FORMAT:
                raise ValueError(f"format {about['format']}")
            protocol = FVDProtocol(**about["protocol"])
            if values.ndim != 2 or values.shape != (
                len(about["names"]),
                FEATURES[protocol.features],
            ):
                raise ValueError(f"features of shape {values.shape}")
            return cls(
                values,
                protocol,
                str(about["weights"]),
                tuple(map(str, about["names"])),
                tuple(map(str, about["skipped"])),
            )
        except DAMAGE as error:
            raise UserError(f"{path}: not a file of FVD features: {error}") from error


def find_protocol(protocol: str | FVDProtocol, *, frames: int | None = None) -> FVDProtocol:
    """Looks up a protocol by name, and sets its number of frames if `frames` is not None."""
    if not isinstance(protocol, FVDProtocol):
        if protocol not in FVD_PROTOCOLS:
            raise ValueError(
                f"`protocol` must be one of {tuple(FVD_PROTOCOLS)} or an FVDProtocol. "
                f"Received: protocol={protocol!r}"
            )
        protocol = FVD_PROTOCOLS[protocol]
    return protocol if frames is None else dataclasses.replace(protocol, frames=frames)
