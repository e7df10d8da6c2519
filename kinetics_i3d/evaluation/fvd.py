"""Fréchet Video Distance (FVD) between real and generated videos, by named protocols.

Unterthiner et al., "Towards Accurate Generative Models of Video: A New Metric & Challenges", 2018.
Its network is the I3D whose weights are called `rgb_kinetics400` here.
"""

import dataclasses
from typing import Any

import numpy as np
from absl import logging

from kinetics_i3d.core.types import PathLike
from kinetics_i3d.evaluation.distances import frechet_distance, kernel_distance, precision_recall
from kinetics_i3d.evaluation.fvd_features import features_of_both
from kinetics_i3d.evaluation.fvd_protocols import FVDProtocol, find_protocol


@dataclasses.dataclass(frozen=True)
class FVDResult:
    """Distances between real and generated videos.

    Args:
        fvd: Fréchet Video Distance; lower is better, 0 for identical sets.
        kvd: Kernel Video Distance, or `None` if it was not requested.
        precision, recall: In [0, 1], or `None` if they were not requested.
        spread: Standard deviation of `fvd` over bootstrap samples of the videos, or `None`.
        protocol: The `FVDProtocol`.
        videos: Numbers of real and generated videos that were compared.
        skipped: Messages about skipped videos.
    """

    fvd: float
    kvd: float | None
    precision: float | None
    recall: float | None
    spread: float | None
    protocol: FVDProtocol
    videos: tuple
    skipped: tuple = ()

    def to_dict(self):
        """The result, ready for JSON."""
        return dataclasses.asdict(self)


def fvd(
    real: Any,
    generated: Any,
    *,
    protocol: str | FVDProtocol = "reference",
    weights: PathLike = "rgb_kinetics400",
    all_metrics: bool = False,
    resamples: int = 0,
    seed: int = 0,
    batch_size: int = 8,
) -> FVDResult:
    """Fréchet Video Distance between real and generated videos.

    FVD depends on the protocol and, through its bias, on the number of videos: compare only values
    of the same protocol and similar numbers of videos. 2048 videos on each side are common.

    Args:
        real: Videos: a folder, searched recursively; a list of paths; an array or the path of a
            `.npy` or `.npz` file, uint8 of shape (videos, frames, height, width, 3) in [0, 255]; or
            `VideoFeatures`, or the path that these were saved to.
        generated: As `real`.
        protocol: Name of a row in `FVD_PROTOCOLS` or an `FVDProtocol`: `"reference"`,
            `"stylegan_v"`, `"stylegan_v_128"` or `"avg_pool"`.
        weights: A catalog name or path of an RGB I3D with 400 classes. Not used if both sides are
            features.
        all_metrics: Whether to also compute KVD, precision and recall, on the same features.
        resamples: Number of bootstrap samples for `spread`; 0 for none.
        seed: Seed of random frames and of bootstrap samples.
        batch_size: Number of clips per call of the network. Only these are in memory.

    Returns:
        An `FVDResult`.

    Raises:
        UserError: If a source has no usable videos, or features of another protocol or network.
        ValueError: If an argument is out of its range.
        WeightsError: If the weights cannot be found or read.

    Example:

    >>> black = np.zeros((2, 16, 32, 32, 3), np.uint8)
    >>> result = ki3d.fvd(black, black)  # doctest: +SKIP
    >>> result.fvd  # doctest: +SKIP
    0.0
    """
    if resamples < 0:
        raise ValueError(f"`resamples` must be 0 or more. Received: resamples={resamples!r}")
    protocol = find_protocol(protocol)
    sets = features_of_both(
        real, generated, protocol=protocol, weights=weights, seed=seed, batch_size=batch_size
    )
    a, b = (features.values for features in sets)
    if min(len(a), len(b)) < a.shape[1]:
        logging.warning(
            "%d and %d videos are fewer than the %d features: FVD is much larger than with many "
            "videos; compare it only with FVD from the same numbers of videos",
            *(len(a), len(b), a.shape[1]),
        )
    kvd = precision = recall = spread = None
    if all_metrics:
        kvd = kernel_distance(a, b)
        precision, recall = precision_recall(a, b)
    if resamples:
        random = np.random.default_rng(seed)
        draws = [
            frechet_distance(
                a[random.integers(len(a), size=len(a))],
                b[random.integers(len(b), size=len(b))],
                biased=protocol.biased,
            )
            for _ in range(resamples)
        ]
        spread = float(np.std(draws, ddof=1)) if resamples > 1 else 0.0
    return FVDResult(
        fvd=frechet_distance(a, b, biased=protocol.biased),
        kvd=kvd,
        precision=precision,
        recall=recall,
        spread=spread,
        protocol=protocol,
        videos=(len(a), len(b)),
        skipped=(*sets[0].skipped, *sets[1].skipped),
    )
