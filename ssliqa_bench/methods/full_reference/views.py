"""Crops of an image and its reference, cut alike.

Source: as `blocks`. In training: a random square crop, a flip left-right, then a rotation by any angle, to the nearest
pixel, on the same canvas, so that corners without image are left mid-grey in both. For testing: the four corners and
the centre, each also mirrored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ssliqa_bench.errors import InputError
from ssliqa_bench.training.images import ImageSet
from ssliqa_bench.types import IntArray

TEST_CROPS = ("ten", "grid")
_GREY = 0.5  # of a corner that the rotation leaves empty: 0 once normalised by mean and deviation 0.5


@dataclass(frozen=True)
class PairView:
    """Side of the crop (pixels), and the largest angle of the rotation (degrees; 0 = none)."""

    crop: int
    rotation: float


def draw_pairs(
    images: ImageSet, positions: Sequence[int] | IntArray, view: PairView, *purpose: Any
) -> tuple[torch.Tensor, torch.Tensor]:
    """Random crops for training, of the references and of the images, cut, flipped and rotated by the same draws.

    Args:
        images: with references.
        purpose: names the stream, for example (seed, "conformer", "views", epoch).

    Returns:
        Two float tensors (len(positions), 3, crop, crop) in [0, 1].

    Raises:
        InputError: an image is smaller than the crop, or not of its reference's size.
    """
    side = view.crop
    out = np.empty((2, len(positions), side, side, 3), dtype=np.float32)
    for k, position in enumerate(positions):
        pair = pair_at(images, int(position), side)
        random = images.generator(int(position), *purpose)
        height, width = pair.shape[1:3]
        top, left = random.integers(0, height - side + 1), random.integers(0, width - side + 1)
        crops = pair[:, top : top + side, left : left + side]
        if random.random() < 0.5:
            crops = crops[:, :, ::-1]
        angle = random.uniform(-view.rotation, view.rotation)
        values = crops.astype(np.float32) / np.float32(255)
        out[:, k] = rotated(values, angle) if view.rotation else values
    reference, distorted = torch.from_numpy(np.ascontiguousarray(out.transpose(0, 1, 4, 2, 3)))
    return reference, distorted


def rotated(pictures: NDArray[np.float32], angle: float) -> NDArray[np.float32]:
    """Pictures (k, side, side, 3) turned anticlockwise about their centre by an angle in degrees: every pixel takes
    the nearest one of where it comes from, or mid-grey where that lies outside."""
    side = pictures.shape[1]
    cosine, sine = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    axis = np.arange(side) - (side - 1) / 2
    y, x = axis[:, None], axis[None, :]
    rows = np.rint(cosine * y + sine * x + (side - 1) / 2).astype(np.int64)
    columns = np.rint(cosine * x - sine * y + (side - 1) / 2).astype(np.int64)
    inside = (rows >= 0) & (rows < side) & (columns >= 0) & (columns < side)
    taken = pictures[:, rows.clip(0, side - 1), columns.clip(0, side - 1)]
    return np.where(inside[None, :, :, None], taken, np.float32(_GREY))


def test_places(height: int, width: int, crop: int, layout: str) -> list[tuple[int, int]]:
    """Top and left of the crops that an image is judged by; each is also taken of the mirrored image.

    Args:
        layout: ten, for the four corners and the centre; grid, for rows and columns of crops that cover the image,
            spaced evenly by at most half a crop.

    Raises:
        InputError: another layout.
    """
    if layout == "ten":
        bottom, right = height - crop, width - crop
        return [(0, 0), (0, right), (bottom, 0), (bottom, right), (bottom // 2, right // 2)]
    if layout == "grid":
        tops, lefts = (_spaced(side - crop, crop / 2) for side in (height, width))
        return [(top, left) for top in tops for left in lefts]
    raise InputError(f'Parameter fr_test_crops: got "{layout}"; expected {" or ".join(TEST_CROPS)}.')


def pair_test_crops(picture: NDArray[np.uint8], places: Sequence[tuple[int, int]], crop: int) -> torch.Tensor:
    """Crops of a picture (h, w, 3) at some places, then the same of the mirrored picture: (2 · places, 3, crop, crop),
    float32 in [0, 1]."""
    both = (picture, picture[:, ::-1])
    cut = [image[top : top + crop, left : left + crop] for image in both for top, left in places]
    return torch.from_numpy(np.stack(cut).transpose(0, 3, 1, 2).copy()).float().div(255.0)


def check_size(picture: NDArray[np.uint8], crop: int) -> None:
    """Crops are never made of enlarged images.

    Raises:
        InputError: a side is smaller than the crop.
    """
    height, width = picture.shape[:2]
    if min(height, width) < crop:
        raise InputError(
            f"An image of {width}×{height} pixels is smaller than the crop of {crop}×{crop} (fr_crop). Set fr_crop to "
            f"{min(height, width)} or less and grid to what the extractor makes of it, or take such images out of the "
            f"dataset."
        )


def pair_at(images: ImageSet, position: int, crop: int) -> NDArray[np.uint8]:
    """A reference and its image, (2, h, w, 3).

    Raises:
        InputError: the set has no references, the sizes differ, or are smaller than the crop.
    """
    references = images.references
    if references is None:
        raise InputError("A full-reference model compares images with their references, and these have none.")
    first, second = references[position], images[position]
    if first.shape != second.shape:
        raise InputError(
            f"Image {position} has {second.shape[1]}×{second.shape[0]} pixels, its reference "
            f"{first.shape[1]}×{first.shape[0]}; expected equal sizes."
        )
    check_size(second, crop)
    return np.stack([first, second])


def _spaced(room: int, step: float) -> list[int]:
    """Offsets from 0 to `room`, evenly spaced by at most `step`."""
    return [int(at) for at in np.rint(np.linspace(0, room, int(np.ceil(room / step)) + 1))]
