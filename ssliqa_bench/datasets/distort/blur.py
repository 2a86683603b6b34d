"""Blurs, and their opposite: linear filters."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from ssliqa_bench.datasets.distort.kind import Pixels8, blurred, luminance, to_bytes

_SUBPIXELS = 16
_SHARPEN_SIGMA = 1.0


def blur(image: Pixels8, radius: float, rng: np.random.Generator) -> Pixels8:
    """Gaussian blur of the demo sets (Pillow's, by boxes); the radius is the standard deviation in pixels."""
    return np.array(Image.fromarray(image).filter(ImageFilter.GaussianBlur(radius)))


def gaussian_blur(image: Pixels8, sigma: float, rng: np.random.Generator) -> Pixels8:
    """Gaussian blur; sigma is the standard deviation in pixels."""
    return to_bytes(blurred(image.astype(np.float32), sigma))


def lens_blur(image: Pixels8, radius: float, rng: np.random.Generator) -> Pixels8:
    """A lens out of focus: the mean over a disc of a radius in pixels."""
    return _filtered(image, _disc(radius))


def motion_blur(image: Pixels8, reach: float, rng: np.random.Generator) -> Pixels8:
    """A steady motion in a random direction: the mean over a line that reaches so many pixels to both sides."""
    return _filtered(image, _line(reach, rng.uniform(0, math.pi)))


def high_sharpen(image: Pixels8, amount: float, rng: np.random.Generator) -> Pixels8:
    """Unsharp mask: the fine detail of the luma (what a blur of 1 px takes off), so many times, on top."""
    luma = luminance(image)
    return to_bytes(image + amount * (luma - blurred(luma, _SHARPEN_SIGMA))[:, :, None])


def _filtered(image: Pixels8, kernel: NDArray[np.float32]) -> Pixels8:
    return to_bytes(cv2.filter2D(image.astype(np.float32), -1, kernel, borderType=cv2.BORDER_REPLICATE))


def _disc(radius: float) -> NDArray[np.float32]:
    """The share of each pixel that a disc covers, counted on a fine grid and scaled to sum 1."""
    half = math.ceil(radius)
    side = 2 * half + 1
    fine = (np.arange(side * _SUBPIXELS) + 0.5) / _SUBPIXELS - side / 2
    inside = fine[:, None] ** 2 + fine[None, :] ** 2 <= (radius + 0.5) ** 2
    kernel = inside.reshape(side, _SUBPIXELS, side, _SUBPIXELS).mean((1, 3))
    scaled: NDArray[np.float32] = (kernel / kernel.sum()).astype(np.float32)
    return scaled


def _line(reach: float, angle: float) -> NDArray[np.float32]:
    """Points along a line through the centre, each shared by the four pixels around it, scaled to sum 1."""
    half = math.ceil(reach)
    along = np.linspace(-reach, reach, 2 * half * _SUBPIXELS + 1)
    kernel = np.zeros((2 * half + 3, 2 * half + 3))
    row, column = along * math.sin(angle) + half + 1, along * math.cos(angle) + half + 1
    top, left = np.floor(row).astype(int), np.floor(column).astype(int)
    down, right = row - top, column - left
    for y, x, share in ((0, 0, (1 - down) * (1 - right)), (0, 1, (1 - down) * right),
                        (1, 0, down * (1 - right)), (1, 1, down * right)):
        np.add.at(kernel, (top + y, left + x), share)
    scaled: NDArray[np.float32] = (kernel / kernel.sum()).astype(np.float32)
    return scaled
