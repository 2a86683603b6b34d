"""Distortions by kind and level, level 1 the mildest and level 5 the strongest.

A kind is one row of `KINDS`: a function (image, strength, random numbers) and the strengths of its levels.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from ssliqa_bench.errors import InputError, unknown_name

Pixels8 = NDArray[np.uint8]
Distortion = Callable[[Pixels8, float, np.random.Generator], Pixels8]


@dataclass(frozen=True)
class Kind:
    """One kind of distortion: what it does, and its strength at each level."""

    apply: Distortion
    strengths: tuple[float, ...]


def distort(image: Pixels8, kind: str, level: int, rng: np.random.Generator) -> Pixels8:
    """A distorted copy of an image.

    Args:
        image: uint8 (H, W, 3).
        kind: a key of `KINDS`.
        level: 1 (mild) to 5 (strong).
        rng: random numbers, used by the kinds that are random (noise).

    Raises:
        InputError: unknown kind or level.
    """
    if kind not in KINDS:
        raise unknown_name("distortion", kind, KINDS, "help(ssliqa_bench.datasets.distort)")
    strengths = KINDS[kind].strengths
    if not 1 <= level <= len(strengths):
        raise InputError(f"Distortion {kind}: level {level}; expected 1 to {len(strengths)}.")
    return KINDS[kind].apply(image, strengths[level - 1], rng)


def _blur(image: Pixels8, radius: float, rng: np.random.Generator) -> Pixels8:
    """Gaussian blur; the radius is the standard deviation in pixels."""
    return np.array(Image.fromarray(image).filter(ImageFilter.GaussianBlur(radius)))


def _jpeg(image: Pixels8, quality: float, rng: np.random.Generator) -> Pixels8:
    return _recode(image, "JPEG", quality=int(quality))


def _jpeg2000(image: Pixels8, rate: float, rng: np.random.Generator) -> Pixels8:
    """JPEG 2000 at a compression rate: raw bytes divided by coded bytes."""
    return _recode(image, "JPEG2000", quality_mode="rates", quality_layers=[rate])


def _noise(image: Pixels8, sigma: float, rng: np.random.Generator) -> Pixels8:
    """White Gaussian noise, independent per pixel and channel; sigma in grey levels."""
    noisy = image + rng.normal(0.0, sigma, image.shape)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def _recode(image: Pixels8, container: str, **options: Any) -> Pixels8:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, container, **options)
    buffer.seek(0)
    with Image.open(buffer) as decoded:
        return np.array(decoded.convert("RGB"))


KINDS: Mapping[str, Kind] = MappingProxyType({
    "blur": Kind(_blur, (0.7, 1.1, 1.7, 2.5, 3.8)),
    "jpeg": Kind(_jpeg, (55, 32, 18, 10, 5)),
    "noise": Kind(_noise, (6, 11, 19, 32, 52)),
    "jpeg2000": Kind(_jpeg2000, (18, 35, 65, 110, 190)),
})
