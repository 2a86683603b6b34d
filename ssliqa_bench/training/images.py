"""Image sets: all that a learner sees of a dataset.

An image set is an ordered list of decoded images. The position is the only identity it shows; the content
hash stays inside and feeds the random numbers of an image's views, so that the same image gets the same
crops in whatever set, order, batch or process it stands.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ssliqa_bench.types import FloatArray, IntArray, derive_seed


class PixelSource(Protocol):
    """Where pixels come from: a cache file, a folder, memory."""

    @property
    def hashes(self) -> Sequence[str]:
        """One content hash per row."""

    def image(self, row: int) -> NDArray[np.uint8]:
        """The whole image of a row, uint8 (H, W, 3), read-only."""


class ImageSet:
    """Decoded images in a fixed order, addressed by position."""

    def __init__(self, items: Iterable[tuple[PixelSource, int]]) -> None:
        self._items = tuple(items)

    @classmethod
    def by_content(cls, items: Iterable[tuple[PixelSource, int]]) -> tuple[ImageSet, IntArray]:
        """A set in the order of the content hashes, and where each of its images stood in `items`.

        A reader's order says what its names say, so it never reaches a learner.
        """
        items = list(items)
        order = sorted(range(len(items)), key=lambda i: items[i][0].hashes[items[i][1]])
        return cls(items[i] for i in order), np.asarray(order, dtype=np.int64)

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, position: int) -> NDArray[np.uint8]:
        """The whole image at a position, uint8 (H, W, 3), read-only."""
        source, row = self._items[position]
        return source.image(row)

    def subset(self, positions: Sequence[int] | IntArray) -> ImageSet:
        """The images at some positions, in the order given; a position may come twice."""
        return ImageSet(self._items[int(i)] for i in positions)

    def __add__(self, other: ImageSet) -> ImageSet:
        return ImageSet(self._items + other._items)

    def generator(self, position: int, *purpose: Any) -> np.random.Generator:
        """Random numbers that depend on the purpose and on the image's content, on nothing else."""
        source, row = self._items[position]
        return np.random.Generator(np.random.Philox(key=derive_seed(*purpose, source.hashes[row])))


@dataclass(frozen=True)
class LabeledSet:
    """Images with what people said of them; all columns of length n.

    Attributes:
        images: the pixels.
        score01: quality on the learner's scale, [0, 1] for scores inside the registry's scale, higher is better.
        distribution: shares of the rating levels (n, P), worst first, or None unless the learner needs them.
        rating_std: standard deviation of the ratings on the scale of `score01`, or None unless needed.
    """

    images: ImageSet
    score01: FloatArray
    distribution: FloatArray | None = None
    rating_std: FloatArray | None = None

    def __len__(self) -> int:
        return len(self.images)
