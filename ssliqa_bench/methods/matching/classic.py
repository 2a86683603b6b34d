"""The views of consistency matching in classification: RandAugment with a flat square cut out.

Source: Sohn et al., "FixMatch", NeurIPS 2020, and Cubuk et al., "RandAugment", 2020, with the operations and ranges
that the common implementations use. Nearly all of them change the quality of an image; they are here to reproduce
what was published for labels that survive them. Semantics are Pillow's: nearest neighbour and black borders where an
operation moves pixels.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from ssliqa_bench.types import ByteImage

_Picture = Image.Image

LARGE = 224  # sides of the crop from which images are resized to more than the crop, and strong crops are rescaled
RATIO = 0.875  # side of the crop over side of the resized image
OPERATIONS_AT_ONCE = 3
_AREA = (0.08, 1.0)
_ASPECT = (3 / 4, 4 / 3)
_ATTEMPTS = 10
_FILL = (125, 123, 114)  # of the square cut out: the mean colour of ImageNet


@dataclass(frozen=True)
class Operation:
    """One operation of RandAugment.

    Attributes:
        low, high: range of its magnitude, drawn uniformly.
        photometric: it changes values and moves nothing.
    """

    name: str
    apply: Callable[[_Picture, float], _Picture]
    low: float = 0.0
    high: float = 0.0
    photometric: bool = True


def _affine(picture: _Picture, *coefficients: float) -> _Picture:
    return picture.transform(picture.size, Image.Transform.AFFINE, coefficients)


OPERATIONS: tuple[Operation, ...] = (
    Operation("AutoContrast", lambda picture, _: ImageOps.autocontrast(picture)),
    Operation("Brightness", lambda picture, v: ImageEnhance.Brightness(picture).enhance(v), 0.05, 0.95),
    Operation("Color", lambda picture, v: ImageEnhance.Color(picture).enhance(v), 0.05, 0.95),
    Operation("Contrast", lambda picture, v: ImageEnhance.Contrast(picture).enhance(v), 0.05, 0.95),
    Operation("Equalize", lambda picture, _: ImageOps.equalize(picture)),
    Operation("Identity", lambda picture, _: picture),
    Operation("Posterize", lambda picture, v: ImageOps.posterize(picture, int(v)), 4, 8),
    Operation("Rotate", lambda picture, v: picture.rotate(v), -30, 30, photometric=False),
    Operation("Sharpness", lambda picture, v: ImageEnhance.Sharpness(picture).enhance(v), 0.05, 0.95),
    Operation("ShearX", lambda picture, v: _affine(picture, 1, v, 0, 0, 1, 0), -0.3, 0.3, photometric=False),
    Operation("ShearY", lambda picture, v: _affine(picture, 1, 0, 0, v, 1, 0), -0.3, 0.3, photometric=False),
    Operation("Solarize", lambda picture, v: ImageOps.solarize(picture, math.ceil(v)), 0, 256),
    Operation(
        "TranslateX", lambda picture, v: _affine(picture, 1, 0, v * picture.width, 0, 1, 0), -0.3, 0.3,
        photometric=False,
    ),
    Operation(
        "TranslateY", lambda picture, v: _affine(picture, 1, 0, 0, 0, 1, v * picture.height), -0.3, 0.3,
        photometric=False,
    ),
)  # fmt: skip


def weak_view(pixels: ByteImage, side: int, random: np.random.Generator) -> ByteImage:
    """Resized to a square, cropped to side × side at random, flipped left-right or not."""
    if side >= LARGE:
        whole = _resized(pixels, math.floor(side / RATIO))
    else:
        edge = math.floor(side * (1 - RATIO))
        whole = np.pad(_resized(pixels, side), ((edge, edge), (edge, edge), (0, 0)), mode="reflect")
    top, left = random.integers(0, whole.shape[0] - side + 1, 2)
    return _flipped(whole[top : top + side, left : left + side], random)


def strong_classic_view(pixels: ByteImage, side: int, random: np.random.Generator) -> ByteImage:
    """A crop as the weak view's, or of random area and aspect where crops are large; then `randaugment`."""
    if side < LARGE:
        return randaugment(weak_view(pixels, side, random), random)
    whole = Image.fromarray(_resized(pixels, math.floor(side / RATIO)))
    box = _box(whole.width, whole.height, random)
    # Cropped first, as the reference does: with `box`, the filter of `resize` also sees pixels outside the crop.
    crop = np.asarray(whole.crop(box).resize((side, side), Image.Resampling.BILINEAR))
    return randaugment(_flipped(crop, random), random)


def evaluation_view(pixels: ByteImage, side: int) -> ByteImage:
    """Short side resized to side / 0.875, aspect kept, and the centre of it; training does not keep the aspect."""
    height, width = pixels.shape[:2]
    target = math.floor(side / RATIO)
    size = tuple(max(target, round(n * target / min(height, width))) for n in (width, height))
    whole = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR))
    top, left = (whole.shape[0] - side) // 2, (whole.shape[1] - side) // 2
    return whole[top : top + side, left : left + side]


def randaugment(pixels: ByteImage, random: np.random.Generator) -> ByteImage:
    """Three operations drawn with replacement, each at a magnitude drawn from its range, and a square cut out."""
    picture = Image.fromarray(pixels)
    for choice in random.integers(0, len(OPERATIONS), OPERATIONS_AT_ONCE):
        operation = OPERATIONS[choice]
        picture = operation.apply(picture, random.uniform(operation.low, operation.high))
    return cutout(np.array(picture), random)


def cutout(pixels: ByteImage, random: np.random.Generator) -> ByteImage:
    """A grey square of side up to half the width, about a random centre: shifted inside at the upper and left
    border, cut at the others. Works in place."""
    height, width = pixels.shape[:2]
    side = random.uniform(0, 0.5) * width
    top, left = (int(max(0.0, random.uniform(0, n) - side / 2)) for n in (height, width))
    pixels[top : math.ceil(min(height, top + side)), left : math.ceil(min(width, left + side))] = _FILL
    return pixels


def _resized(pixels: ByteImage, side: int) -> ByteImage:
    return np.asarray(Image.fromarray(pixels).resize((side, side), Image.Resampling.BILINEAR))


def _flipped(pixels: ByteImage, random: np.random.Generator) -> ByteImage:
    return pixels[:, ::-1] if random.random() < 0.5 else pixels


def _box(width: int, height: int, random: np.random.Generator) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of a crop whose area and aspect are drawn; all of a square image if none fits."""
    for _ in range(_ATTEMPTS):
        area = random.uniform(*_AREA) * width * height
        aspect = math.exp(random.uniform(math.log(_ASPECT[0]), math.log(_ASPECT[1])))
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            left, top = int(random.integers(0, width - w + 1)), int(random.integers(0, height - h + 1))
            return left, top, left + w, top + h
    return 0, 0, width, height
