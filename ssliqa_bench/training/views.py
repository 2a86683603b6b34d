"""Named views of images: what a learner's network gets to see of them.

A view is a set of square crops, perhaps flipped. Nothing else is done to the pixels, since any other
operation would change the quality that is being predicted. Every random choice is drawn from
(seed, purpose, epoch, image), and where an epoch comes by an image several times from the number of the visit;
test crops from (purpose, image) alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from ssliqa_bench.errors import InputError
from ssliqa_bench.training.images import ImageSet
from ssliqa_bench.types import IntArray


@dataclass(frozen=True)
class View:
    """How crops are drawn: `crops` squares of side `crop` pixels, each flipped left-right with probability 1/2
    where `flip` is set. An image smaller than the crop is enlarged until its short side fits.

    `size` (height, width) is that to which larger images are reduced first; one that is smaller in either keeps
    its own, and so does one of the `original` sizes.
    """

    crop: int
    crops: int = 1
    flip: bool = False
    size: tuple[int, int] | None = None
    original: tuple[tuple[int, int], ...] = ()

    def sized(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """An image (h, w, 3) at the size at which crops are cut from it."""
        kept = pixels.shape[:2] in self.original
        return at_least(pixels if kept else at_most(pixels, self.size), self.crop)

    def draw(
        self,
        images: ImageSet,
        positions: Sequence[int] | IntArray,
        *purpose: Any,
        visits: Sequence[int] | IntArray | None = None,
    ) -> torch.Tensor:
        """Random crops for training; see the function `draw`."""
        return draw(images, positions, self, *purpose, visits=visits)


def draw(
    images: ImageSet,
    positions: Sequence[int] | IntArray,
    view: View,
    *purpose: Any,
    visits: Sequence[int] | IntArray | None = None,
) -> torch.Tensor:
    """Random crops for training.

    Args:
        purpose: names the stream, for example (seed, "phase-1", "strong", epoch).
        visits: how often each image was drawn before for this purpose; it gets other crops each time.

    Returns:
        uint8 tensor of shape (len(positions) * view.crops, 3, crop, crop); the crops of one image are adjacent. For
        frozen features a float tensor (len(positions) * view.crops, d) of as many of their weak views, or of the whole
        image where `view.crop` is 0.
    """
    if images.frozen:
        return drawn_features(images, positions, "weak" if view.crop else "whole", view.crops, *purpose, visits=visits)
    out = np.empty((len(positions), view.crops, view.crop, view.crop, 3), dtype=np.uint8)
    for k, position in enumerate(positions):
        pixels = view.sized(images[int(position)])
        random = images.generator(int(position), *purpose, *_visit(visits, k))
        tops, lefts = _corners(pixels, view, random)
        flips = random.random(view.crops) < 0.5 if view.flip else np.zeros(view.crops, dtype=bool)
        for j in range(view.crops):
            crop = pixels[tops[j] : tops[j] + view.crop, lefts[j] : lefts[j] + view.crop]
            out[k, j] = crop[:, ::-1] if flips[j] else crop
    return _channels_first(out)


def test_crops(images: ImageSet, positions: Sequence[int] | IntArray, view: View) -> torch.Tensor:
    """The crops an image is judged by, the same in every run; never flipped. Shape as `draw`."""
    if images.frozen:
        kind, count = ("test", view.crops) if view.crop else ("whole", 1)
        return fixed_features(images, positions, kind, count)
    return draw(images, positions, replace(view, flip=False), "test crops")


def drawn_features(
    images: ImageSet,
    positions: Sequence[int] | IntArray,
    kind: str,
    count: int,
    *purpose: Any,
    visits: Sequence[int] | IntArray | None = None,
) -> torch.Tensor:
    """Features (len(positions) * count, d), float32, of `count` views of a kind, drawn for each image as crops are."""
    rows = []
    for k, position in enumerate(positions):
        views = images.views(int(position), kind)
        rows.append(views[view_numbers(images, int(position), len(views), count, *purpose, *_visit(visits, k))])
    return torch.from_numpy(np.concatenate(rows).astype(np.float32))


def view_numbers(images: ImageSet, position: int, known: int, count: int, *purpose: Any) -> IntArray:
    """Which of an image's known views are drawn: different ones as long as there are enough.

    A head's step is so short that building a random generator for every image would take most of it; the digits of
    the image's seed in mixed base (Fisher and Yates) are a uniform permutation without one.
    """
    order, rest = list(range(known)), images.seed(position, *purpose)
    for last in range(known - 1, 0, -1):
        rest, pick = divmod(rest, last + 1)
        order[last], order[pick] = order[pick], order[last]
    return np.resize(np.asarray(order, dtype=np.int64), count)


def fixed_features(
    images: ImageSet, positions: Sequence[int] | IntArray, kind: str, count: int | None
) -> torch.Tensor:
    """Features (len(positions) * count, d), float32, of the first `count` views of a kind, None for all that are kept.

    Raises:
        InputError: fewer are kept.
    """
    rows = [images.views(int(position), kind) for position in positions]
    if count is not None and rows and len(rows[0]) < count:
        raise InputError(f"Parameter test_crops: got {count}; frozen features hold {len(rows[0])} test views.")
    return torch.from_numpy(np.concatenate([row[:count] for row in rows]).astype(np.float32))


def _visit(visits: Sequence[int] | IntArray | None, k: int) -> tuple[int, ...]:
    """The number of a repeated visit as a part of the purpose; the first visit adds nothing."""
    visit = int(visits[k]) if visits is not None else 0
    return (visit,) if visit else ()


def at_most(pixels: NDArray[np.uint8], size: tuple[int, int] | None) -> NDArray[np.uint8]:
    """The image itself, or reduced (bicubic) to a size (height, width) that it exceeds in neither or both."""
    if size is None or pixels.shape[:2] == size or pixels.shape[0] < size[0] or pixels.shape[1] < size[1]:
        return pixels
    return np.asarray(Image.fromarray(pixels).resize((size[1], size[0]), Image.Resampling.BICUBIC))


def at_least(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """The image itself, or enlarged (bicubic, same aspect) until its short side has `side` pixels."""
    height, width = pixels.shape[:2]
    short = min(height, width)
    if short >= side:
        return pixels
    size = (max(side, round(width * side / short)), max(side, round(height * side / short)))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))


def _corners(
    pixels: NDArray[np.uint8], view: View, random: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    height, width = pixels.shape[:2]
    tops = random.integers(0, height - view.crop + 1, view.crops)
    return tops, random.integers(0, width - view.crop + 1, view.crops)


def _channels_first(crops: NDArray[np.uint8]) -> torch.Tensor:
    flat = crops.reshape(-1, *crops.shape[2:])
    return torch.from_numpy(np.ascontiguousarray(flat.transpose(0, 3, 1, 2)))
