"""What the student sees of an image while it learns: a random crop of the image turned, flipped and made noisy.

Source: Conde et al. 2022, section 4: flips, turns and a crop always; small changes of colour and CutOut (DeVries and
Taylor, 2017) as the extra augmentation. Sizes and strengths are decisions of docs/methods/noisy_student.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ssliqa_bench.training.images import ImageSet
from ssliqa_bench.training.views import at_least
from ssliqa_bench.types import ByteImage, IntArray

NOISE_PARAMS = (
    "crop",
    "base_augmentation",
    "extra_augmentation",
    "colour_strength",
    "cutout",
    "cutout_side",
    "cutout_probability",
)
_LUMA = np.array((0.299, 0.587, 0.114), dtype=np.float32)  # ITU-R BT.601
_LATTICE_SIDE, _LATTICE_PITCH = 0.10, 0.45  # of the crop's side; measured in a figure of the authors


@dataclass(frozen=True)
class Noise:
    """How a training crop is drawn.

    Attributes:
        crop: side of the square, pixels; a smaller image is enlarged first.
        base: flips and turns by quarters.
        colour: s, brightness, contrast and saturation are scaled by factors uniform in [1 − s, 1 + s]; 0: not at all.
        cutout: "square", "lattice", or "" for none.
        side: of the black square over that of the crop.
        probability: with which a crop is cut at all.
    """

    crop: int
    base: bool = True
    colour: float = 0.0
    cutout: str = ""
    side: float = 0.2
    probability: float = 0.5

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> Noise:
        """As the parameters `NOISE_PARAMS` say."""
        extra = bool(params["extra_augmentation"])
        return cls(
            crop=int(params["crop"]),
            base=bool(params["base_augmentation"]),
            colour=float(params["colour_strength"]) if extra else 0.0,
            cutout=str(params["cutout"]) if extra else "",
            side=float(params["cutout_side"]),
            probability=float(params["cutout_probability"]),
        )


def noisy_crops(
    images: ImageSet,
    positions: Sequence[int] | IntArray,
    noise: Noise,
    *purpose: Any,
    visits: Sequence[int] | IntArray | None = None,
) -> torch.Tensor:
    """One training crop of each of some images, uint8 (n, 3, crop, crop).

    Args:
        purpose: names the stream of random numbers, for example (seed, "student", "noise", epoch).
        visits: how often each image was drawn before for this purpose; it gets another crop each time.
    """
    out = np.empty((len(positions), noise.crop, noise.crop, 3), dtype=np.uint8)
    for k, position in enumerate(positions):
        visit = int(visits[k]) if visits is not None else 0
        random = images.generator(int(position), *purpose, *([visit] if visit else []))
        out[k] = noisy_crop(images[int(position)], noise, random)
    return torch.from_numpy(np.ascontiguousarray(out.transpose(0, 3, 1, 2)))


def noisy_crop(pixels: ByteImage, noise: Noise, random: np.random.Generator) -> ByteImage:
    """Colour, flips, turn, crop, CutOut, in this order, so that what is cut out is black.

    All numbers are drawn whatever is switched off, so that rows of an ablation see the same crops.
    """
    factors = 1 + noise.colour * random.uniform(-1, 1, 3)
    upset, mirrored = random.random(2) < 0.5
    turns = int(random.integers(0, 4))
    places, cut, centre = random.random(2), random.random() < noise.probability, random.random(2)
    pixels = at_least(pixels, noise.crop)
    if noise.colour:
        pixels = change_colour(pixels, *factors)
    if noise.base:
        pixels = pixels[::-1] if upset else pixels
        pixels = pixels[:, ::-1] if mirrored else pixels
        pixels = np.rot90(pixels, turns)
    top, left = (int(u * (n - noise.crop + 1)) for u, n in zip(places, pixels.shape[:2], strict=True))
    crop = pixels[top : top + noise.crop, left : left + noise.crop]
    if noise.cutout and cut:
        crop = cut_lattice(crop, *centre) if noise.cutout == "lattice" else cut_square(crop, noise.side, *centre)
    return crop


def change_colour(pixels: ByteImage, brightness: float, contrast: float, saturation: float) -> ByteImage:
    """Scale brightness, then contrast about the mean luminance of the image, then saturation about the luminance of
    each pixel; each step is clipped to [0, 255], and the last one rounded."""
    values = np.clip(pixels * np.float32(brightness), 0, 255)
    middle = (values @ _LUMA).mean(dtype=np.float64).astype(np.float32)
    values = np.clip(middle + np.float32(contrast) * (values - middle), 0, 255)
    grey = (values @ _LUMA)[..., None]
    values = np.clip(grey + np.float32(saturation) * (values - grey), 0, 255)
    return np.rint(values).astype(np.uint8)


def cut_square(crop: ByteImage, side: float, row: float, column: float) -> ByteImage:
    """A copy with a black square about a centre, given in [0, 1) of the crop; what lies outside the crop is lost."""
    out, size = crop.copy(), round(side * len(crop))
    top, left = (int(place * len(crop)) - size // 2 for place in (row, column))
    out[max(top, 0) : max(top + size, 0), max(left, 0) : max(left + size, 0)] = 0
    return out


def cut_lattice(crop: ByteImage, row: float, column: float) -> ByteImage:
    """A copy with small black squares in rows and columns, shifted by parts in [0, 1) of the distance between two."""
    out = crop.copy()
    size, pitch = (max(1, round(share * len(crop))) for share in (_LATTICE_SIDE, _LATTICE_PITCH))
    rows, columns = ((np.arange(len(crop)) + int(shift * pitch)) % pitch < size for shift in (row, column))
    out[np.ix_(rows, columns)] = 0
    return out
