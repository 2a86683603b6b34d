"""Distortions that move or replace parts of the picture."""

from __future__ import annotations

import math

import cv2
import numpy as np
from PIL import Image

from ssliqa_bench.datasets.distort.kind import Pixels8

_PATCH, _BLOCK = 16, 32
_ITERATIONS = 5


def jitter(image: Pixels8, amount: float, rng: np.random.Generator) -> Pixels8:
    """Every pixel is taken from beside its place (bilinear).

    Both distances are Gaussian with a standard deviation of amount · √5 pixels, which is where the published five
    rounds of small steps lead.
    """
    height, width = image.shape[:2]
    across, down = rng.standard_normal((2, height, width)) * amount * math.sqrt(_ITERATIONS)
    made = cv2.remap(
        image,
        (across + np.arange(width)).astype(np.float32),
        (down + np.arange(height)[:, None]).astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return made.astype(np.uint8, copy=False)


def non_eccentricity_patch(image: Pixels8, patches: float, rng: np.random.Generator) -> Pixels8:
    """So many patches of 16 × 16 pixels show what is beside them, at most 16 pixels off in either direction."""
    made = image.copy()
    height, width = image.shape[:2]
    side = _side(image, _PATCH)
    # One after the other, so that with the same random numbers a weaker level is a part of a stronger one.
    for _ in range(int(patches)):
        top, left = rng.integers(0, height - side + 1), rng.integers(0, width - side + 1)
        down, right = rng.integers(-side, side + 1, 2)
        from_top, from_left = np.clip((top + down, left + right), 0, (height - side, width - side))
        made[top : top + side, left : left + side] = image[from_top : from_top + side, from_left : from_left + side]
    return made


def pixelate(image: Pixels8, share: float, rng: np.random.Generator) -> Pixels8:
    """A share of the rows and columns is left: means of areas, each shown as one flat rectangle."""
    height, width = image.shape[:2]
    small = cv2.resize(image, (max(1, round(width * share)), max(1, round(height * share))),
                       interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST).astype(np.uint8, copy=False)


def colour_block(image: Pixels8, blocks: float, rng: np.random.Generator) -> Pixels8:
    """So many blocks of 32 × 32 pixels of one random colour each."""
    made = image.copy()
    height, width = image.shape[:2]
    side = _side(image, _BLOCK)
    for _ in range(int(blocks)):
        top, left = rng.integers(0, height - side + 1), rng.integers(0, width - side + 1)
        made[top : top + side, left : left + side] = rng.integers(0, 256, 3)
    return made


def _side(image: Pixels8, side: int) -> int:
    """The side of a patch: a quarter of the short side where the picture is small, at least one pixel."""
    shortest: int = min(image.shape[:2])
    return min(side, max(1, shortest // 4))


def down_and_up(image: Pixels8, factor: float, rng: np.random.Generator) -> Pixels8:
    """Made smaller by a factor and enlarged to its own size again, both by bicubic interpolation (Pillow's, which
    averages where it makes smaller)."""
    height, width = image.shape[:2]
    small = (max(round(width / factor), 1), max(round(height / factor), 1))
    reduced = Image.fromarray(image).resize(small, Image.Resampling.BICUBIC)
    return np.array(reduced.resize((width, height), Image.Resampling.BICUBIC))
