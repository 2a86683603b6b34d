"""Distortions of a random strength in place of one of five levels: traditional ones, as restoration papers use them.

Source of the four kinds: Conde, Burchi, Timofte, "Conformer and Blind Noisy Students for Improved Image Quality
Assessment", CVPR Workshops 2022, section on the noisy student ("traditional methods"); it prints no strengths, and the
ranges are ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from ssliqa_bench.datasets.distort.blur import gaussian_blur
from ssliqa_bench.datasets.distort.codec import jpeg
from ssliqa_bench.datasets.distort.kind import Distortion, Pixels8
from ssliqa_bench.datasets.distort.noise import noise
from ssliqa_bench.datasets.distort.spatial import down_and_up


@dataclass(frozen=True)
class DrawnKind:
    """A kind whose strength is drawn, uniformly between two ends."""

    apply: Distortion
    low: float
    high: float


DRAWN_KINDS: Mapping[str, DrawnKind] = MappingProxyType({
    "gaussian_blur": DrawnKind(gaussian_blur, 0.5, 4),  # standard deviation, pixels
    "gaussian_noise": DrawnKind(noise, 5, 50),  # standard deviation, grey levels
    "jpeg": DrawnKind(jpeg, 5, 60),  # quality
    "down_and_up": DrawnKind(down_and_up, 2, 4),  # factor
})


def distort_by_chance(image: Pixels8, kind: str, rng: np.random.Generator) -> Pixels8:
    """A distorted copy of an image, of a random strength.

    Args:
        image: uint8 (H, W, 3).
        kind: a key of `DRAWN_KINDS`.
    """
    drawn = DRAWN_KINDS[kind]
    return drawn.apply(image, rng.uniform(drawn.low, drawn.high), rng)
