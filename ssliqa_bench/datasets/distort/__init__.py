"""Distortions by kind and level, level 1 the mildest and level 5 the strongest.

A kind is one row of `KINDS`: a function (image, strength, random numbers) and the strengths of its levels. Four kinds
belong to the demo sets (`blur`, `jpeg`, `noise`, `jpeg2000`) and never change; the others are the 25 types of
KADID-10k, by their code numbers in `KADID_KINDS`.

The KADID types follow their descriptions in the papers and are written anew on OpenCV and Pillow, so pictures resemble
those of the published MATLAB generator but are not equal to them. Strengths are the published ones except where the
text beside a row says otherwise: there a level would leave the picture as it is, or be no stronger than the one
before it, or the function here takes another quantity.

Sources: Lin, Hosu, Saupe, "KADID-10k: A large-scale artificially distorted IQA database", QoMEX 2019; the same,
"DeepFL-IQA: Weak supervision for deep IQA feature learning", arXiv 2001.08113.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from ssliqa_bench.datasets.distort.blur import blur, gaussian_blur, high_sharpen, lens_blur, motion_blur
from ssliqa_bench.datasets.distort.codec import jpeg, jpeg2000
from ssliqa_bench.datasets.distort.colour import (
    colour_diffusion,
    colour_quantization,
    colour_shift,
    contrast_change,
    mean_shift,
    midpoint,
    quantization,
    saturation_hsv,
    saturation_lab,
)
from ssliqa_bench.datasets.distort.kind import Kind, Pixels8
from ssliqa_bench.datasets.distort.noise import (
    denoise,
    impulse_noise,
    multiplicative_noise,
    noise,
    white_noise,
    white_noise_ycbcr,
)
from ssliqa_bench.datasets.distort.spatial import colour_block, jitter, non_eccentricity_patch, pixelate
from ssliqa_bench.errors import InputError, unknown_name


def distort(image: Pixels8, kind: str, level: int, rng: np.random.Generator) -> Pixels8:
    """A distorted copy of an image.

    Args:
        image: uint8 (H, W, 3).
        kind: a key of `KINDS`.
        level: 1 (mild) to 5 (strong).
        rng: random numbers, used by the kinds that are random (noise, positions, directions).

    Raises:
        InputError: unknown kind or level.
    """
    if kind not in KINDS:
        raise unknown_name("distortion", kind, KINDS, "help(ssliqa_bench.datasets.distort)")
    strengths = KINDS[kind].strengths
    if not 1 <= level <= len(strengths):
        raise InputError(f"Distortion {kind}: level {level}; expected 1 to {len(strengths)}.")
    return KINDS[kind].apply(image, strengths[level - 1], rng)


KINDS: Mapping[str, Kind] = MappingProxyType({
    # The demo sets are made of these four: a change of any needs a new generator_version in the registry.
    "blur": Kind(blur, (0.7, 1.1, 1.7, 2.5, 3.8)),
    "jpeg": Kind(jpeg, (55, 32, 18, 10, 5)),
    "noise": Kind(noise, (6, 11, 19, 32, 52)),
    "jpeg2000": Kind(jpeg2000, (18, 35, 65, 110, 190)),
    # Published: 0.1 px at level 1, which rounds to no change at all in eight bits.
    "gaussian_blur": Kind(gaussian_blur, (0.4, 0.5, 1, 2, 5)),
    "lens_blur": Kind(lens_blur, (1, 2, 4, 6, 8)),
    "motion_blur": Kind(motion_blur, (1, 2, 4, 6, 10)),
    "colour_diffusion": Kind(colour_diffusion, (1, 3, 6, 8, 12)),
    "colour_shift": Kind(colour_shift, (1, 3, 6, 8, 12)),
    "colour_quantization": Kind(colour_quantization, (64, 48, 32, 16, 8)),
    "saturation_hsv": Kind(saturation_hsv, (0.4, 0.2, 0.1, 0, -0.4)),
    # Published: a factor of 1 at level 1, which is no change.
    "saturation_lab": Kind(saturation_lab, (1.5, 2, 3, 6, 9)),
    "jpeg2000_compression": Kind(jpeg2000, (16, 32, 45, 120, 170)),
    "jpeg_compression": Kind(jpeg, (43, 36, 24, 7, 4)),
    "white_noise": Kind(white_noise, (0.001, 0.002, 0.003, 0.005, 0.01)),
    "white_noise_ycbcr": Kind(white_noise_ycbcr, (0.0001, 0.0005, 0.001, 0.002, 0.003)),
    "impulse_noise": Kind(impulse_noise, (0.001, 0.005, 0.01, 0.02, 0.03)),
    "multiplicative_noise": Kind(multiplicative_noise, (0.001, 0.005, 0.01, 0.02, 0.05)),
    # The noise is the published one; the denoiser there is a trained network (DnCNN), here non-local means.
    "denoise": Kind(denoise, (0.001, 0.002, 0.003, 0.005, 0.01)),
    # Where the curve takes half the lightness. Published: 0.5 plus half of 0.1, 0.2, 0.4, 0.7, 1.1; the last leaves
    # the range of lightness, so the two strongest are drawn in.
    "brighten": Kind(midpoint, (0.55, 0.6, 0.7, 0.82, 0.92)),
    # 0.5 minus half of the published 0.05, 0.1, 0.2, 0.4, 0.8.
    "darken": Kind(midpoint, (0.475, 0.45, 0.4, 0.3, 0.1)),
    # Published: 0, ±0.08, ±0.15: one level without change, two pairs of equal size.
    "mean_shift": Kind(mean_shift, (0.04, 0.08, 0.115, 0.15, 0.2)),
    "jitter": Kind(jitter, (0.05, 0.1, 0.2, 0.5, 1)),
    "non_eccentricity_patch": Kind(non_eccentricity_patch, (20, 40, 60, 80, 100)),
    # The share of rows and columns that stays. Published: about 0.89, 0.78, 0.70, 0.57, 0.29; near 1 it is chance which
    # pixels are doubled, so that a level may show less than the one before it.
    "pixelate": Kind(pixelate, (0.75, 0.6, 0.45, 0.35, 0.25)),
    "quantization": Kind(quantization, (20, 16, 13, 10, 7)),
    "colour_block": Kind(colour_block, (2, 4, 6, 8, 10)),
    "high_sharpen": Kind(high_sharpen, (1, 2, 3, 6, 12)),
    # Published: 0.3, 0.15, 0, -0.4, -0.6 of another curve, among them one level without change.
    "contrast_change": Kind(contrast_change, (0.15, 0.3, -0.45, -0.65, -0.9)),
})

KADID_KINDS: Mapping[int, str] = MappingProxyType(dict(enumerate((
    "gaussian_blur",
    "lens_blur",
    "motion_blur",
    "colour_diffusion",
    "colour_shift",
    "colour_quantization",
    "saturation_hsv",
    "saturation_lab",
    "jpeg2000_compression",
    "jpeg_compression",
    "white_noise",
    "white_noise_ycbcr",
    "impulse_noise",
    "multiplicative_noise",
    "denoise",
    "brighten",
    "darken",
    "mean_shift",
    "jitter",
    "non_eccentricity_patch",
    "pixelate",
    "quantization",
    "colour_block",
    "high_sharpen",
    "contrast_change",
), start=1)))
"""Code number in the file names of KADID-10k and KADIS-700k, 1 to 25 -> kind (Lin, Hosu, Saupe; sources above)."""

__all__ = ["KADID_KINDS", "KINDS", "Kind", "Pixels8", "distort"]
