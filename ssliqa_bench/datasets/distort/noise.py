"""Noise of several kinds, and what a denoiser leaves of it. Variances are those of values from 0 to 1."""

from __future__ import annotations

import math

import cv2
import numpy as np

from ssliqa_bench.datasets.distort.kind import Pixels8, to_bytes

# Of the noise's standard deviation: below about one, patches that differ by noise alone are no longer averaged.
_DENOISE_STRENGTH = 1.0
_DENOISE_PATCH, _DENOISE_SEARCH = 5, 15


def noise(image: Pixels8, sigma: float, rng: np.random.Generator) -> Pixels8:
    """White Gaussian noise, independent per pixel and channel; sigma in grey levels."""
    return to_bytes(image + rng.normal(0.0, sigma, image.shape))


def white_noise(image: Pixels8, variance: float, rng: np.random.Generator) -> Pixels8:
    """White Gaussian noise, independent per pixel and channel."""
    return noise(image, 255 * math.sqrt(variance), rng)


def white_noise_ycbcr(image: Pixels8, variance: float, rng: np.random.Generator) -> Pixels8:
    """White Gaussian noise in the components Y, Cb and Cr (full range, as in JPEG files), independent in each."""
    # RGB is linear in YCbCr, so the noise can be carried over alone.
    luma, blue, red = np.moveaxis(rng.normal(0.0, 255 * math.sqrt(variance), image.shape), 2, 0)
    carried = np.stack((luma + 1.402 * red, luma - 0.344136 * blue - 0.714136 * red, luma + 1.772 * blue), axis=2)
    return to_bytes(image + carried)


def impulse_noise(image: Pixels8, density: float, rng: np.random.Generator) -> Pixels8:
    """Salt and pepper: so large a share of all values, each channel by itself, becomes 0 or 255."""
    drawn = rng.random(image.shape)
    made = image.copy()
    made[drawn < density / 2] = 0
    made[drawn >= 1 - density / 2] = 255
    return made


def multiplicative_noise(image: Pixels8, variance: float, rng: np.random.Generator) -> Pixels8:
    """Speckle: every value times 1 + Gaussian noise."""
    return to_bytes(image * (1 + rng.normal(0.0, math.sqrt(variance), image.shape)))


def denoise(image: Pixels8, variance: float, rng: np.random.Generator) -> Pixels8:
    """White noise, taken off again channel by channel by non-local means: texture is lost, blotches stay.

    Source of the denoiser: Buades, Coll, Morel, "A non-local algorithm for image denoising", CVPR 2005.
    """
    noisy = white_noise(image, variance, rng)
    strength = _DENOISE_STRENGTH * 255 * math.sqrt(variance)
    channels = [
        cv2.fastNlMeansDenoising(np.ascontiguousarray(noisy[:, :, channel]), None, strength,
                                 _DENOISE_PATCH, _DENOISE_SEARCH)
        for channel in range(3)
    ]
    return np.stack(channels, axis=2)
