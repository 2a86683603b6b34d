"""Distortions of colour, lightness and contrast."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ssliqa_bench.datasets.distort.kind import Pixels8, blurred, from_lab, luminance, to_bytes, to_lab


def colour_diffusion(image: Pixels8, amount: float, rng: np.random.Generator) -> Pixels8:
    """Colours run over edges: a* and b* are blurred by a Gaussian of 1.5 · amount + 2 pixels, lightness stays."""
    lab = to_lab(image)
    lab[:, :, 1:] = blurred(np.ascontiguousarray(lab[:, :, 1:]), 1.5 * amount + 2)
    return from_lab(lab)


def colour_shift(image: Pixels8, distance: float, rng: np.random.Generator) -> Pixels8:
    """Green is moved so many pixels in a random direction, and shows where the picture has edges.

    The moved channel is blended in by the magnitude of the luma's gradient, scaled to a largest value of 1.
    """
    angle = rng.uniform(0, 2 * math.pi)
    move = np.array([[1, 0, distance * math.cos(angle)], [0, 1, distance * math.sin(angle)]])
    green = image[:, :, 1].astype(np.float32)
    height, width = green.shape
    moved = cv2.warpAffine(green, move, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    luma = luminance(image)
    edges = np.hypot(*(cv2.Sobel(luma, cv2.CV_32F, dx, dy, borderType=cv2.BORDER_REPLICATE)
                       for dx, dy in ((1, 0), (0, 1))))
    share = edges / max(float(edges.max()), 1.0)
    made = image.copy()
    made[:, :, 1] = to_bytes(green + share * (moved - green))
    return made


def colour_quantization(image: Pixels8, colours: float, rng: np.random.Generator) -> Pixels8:
    """A palette of so many colours of small variance (median cut, then k-means), with error diffusion."""
    picture = Image.fromarray(image)
    # Rounds of k-means end when fewer pixels than this change their colour: the last percent takes most of the time.
    settled = max(1, picture.width * picture.height // 100)
    palette = picture.quantize(int(colours), method=Image.Quantize.MEDIANCUT, kmeans=settled)
    return np.array(picture.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG).convert("RGB"))


def saturation_hsv(image: Pixels8, factor: float, rng: np.random.Generator) -> Pixels8:
    """The saturation of HSV times a factor, hue and value kept; 0 gives grey, below 0 the opposite hue."""
    # A channel is value · (1 - saturation · something of the hue alone), so its distance to the value scales.
    value = image.max(axis=2, keepdims=True).astype(np.float64)
    return to_bytes(value - factor * (value - image))


def saturation_lab(image: Pixels8, factor: float, rng: np.random.Generator) -> Pixels8:
    """a* and b* of CIE L*a*b* times a factor, lightness kept as far as sRGB can show it."""
    lab = to_lab(image)
    lab[:, :, 1:] *= np.float32(factor)
    return from_lab(lab)


def midpoint(image: Pixels8, target: float, rng: np.random.Generator) -> Pixels8:
    """A power curve of the lightness L*, black and white kept, that takes half the lightness to a target.

    Above 0.5 the picture grows brighter, below it darker; colours keep their a* and b*.
    """
    lab = to_lab(image)
    lab[:, :, 0] = 100 * (np.clip(lab[:, :, 0], 0, 100) / 100) ** np.float32(math.log(target) / math.log(0.5))
    return from_lab(lab)


def mean_shift(image: Pixels8, amount: float, rng: np.random.Generator) -> Pixels8:
    """All values are moved by a share of the whole range: up in a dark picture, down in a bright one.

    Towards the farther end, so that little is cut off and a stronger level is never the smaller change.
    """
    direction = 1 if int(image.sum()) * 2 <= 255 * image.size else -1
    return to_bytes(image + direction * amount * 255)


def contrast_change(image: Pixels8, amount: float, rng: np.random.Generator) -> Pixels8:
    """An S-shaped curve of all values: steeper in the middle tones for amounts above 0, flatter below 0.

    With x from 0 to 1, x - amount · sin(2πx)/(2π): slope 1 + amount at half, 0, ½ and 1 kept, rising for |amount| < 1.
    """
    grey = np.arange(256) / 255
    return to_bytes(255 * (grey - amount * np.sin(2 * math.pi * grey) / (2 * math.pi)))[image]


def quantization(image: Pixels8, steps: float, rng: np.random.Generator) -> Pixels8:
    """So many grey levels for all channels, chosen with the least squared error (Otsu's criterion, 1979)."""
    return _otsu_table(np.bincount(image.reshape(-1), minlength=256), int(steps))[image]


def _otsu_table(histogram: NDArray[np.int64], steps: int) -> Pixels8:
    """Grey level -> mean of its class, for the classes (intervals) of least variance within; exact.

    Dynamic programming: the best cut of levels 0..j into k classes is one of levels 0..i-1 into k - 1 and the class
    i..j (Fisher, "On grouping for maximum homogeneity", JASA 1958).
    """
    level = np.arange(256)
    count, total, square = (np.concatenate(([0], np.cumsum(histogram * level**power))) for power in (0, 1, 2))
    inside, mass = (sums[None, 1:] - sums[:-1, None] for sums in (total, count))
    # Squared error of the class i..j, row i and column j; nothing costs nothing, and no class ends before it begins.
    cost = square[None, 1:] - square[:-1, None] - inside.astype(np.float64) ** 2 / np.maximum(mass, 1)
    cost[np.tril_indices(256, -1)] = np.inf
    best, starts = cost[0], []
    for _ in range(steps - 1):
        # Column j of the sum: best cut before i, then the class i..j. A class may stay away (i = 0).
        candidates = np.concatenate(([0.0], best[:-1]))[:, None] + cost
        starts.append(candidates.argmin(axis=0))
        best = candidates.min(axis=0)
    table, end = np.zeros(256), 255
    for start in (*reversed(starts), np.zeros(256, dtype=np.int64)):
        begin = int(start[end])
        table[begin : end + 1] = inside[begin, end] / max(int(mass[begin, end]), 1)
        if begin == 0:
            break
        end = begin - 1
    return to_bytes(table)
