"""Image sets: all that a learner sees of a dataset.

An image set is an ordered list of decoded images. The position is the only identity it shows; the content
hash stays inside and feeds the random numbers of an image's views, so that the same image gets the same
crops in whatever set, order, batch or process it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, cast, runtime_checkable

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


@runtime_checkable
class FeatureSource(PixelSource, Protocol):
    """Where features of fixed views come from, in place of pixels."""

    def views(self, row: int, kind: str) -> NDArray[np.float16]:
        """Features (k, d) of the views of a kind (weak, strong, test, whole) of a row's image."""


ImageOrigin = tuple[PixelSource, int]


class ImageSet:
    """Decoded images in a fixed order, addressed by position.

    Args:
        items: where each image comes from.
        references: where the pristine image of each comes from, for a learner that compares the two.
    """

    def __init__(self, items: Iterable[ImageOrigin], references: Iterable[ImageOrigin] | None = None) -> None:
        self._items = tuple(items)
        self._references = None if references is None else tuple(references)

    @classmethod
    def by_content(
        cls, items: Iterable[ImageOrigin], references: Iterable[ImageOrigin] | None = None
    ) -> tuple[ImageSet, IntArray]:
        """A set in the order of the content hashes, and where each of its images stood in `items`.

        A reader's order says what its names say, so it never reaches a learner.
        """
        items = list(items)
        order = sorted(range(len(items)), key=lambda i: items[i][0].hashes[items[i][1]])
        pristine = None if references is None else list(references)
        ordered = cls((items[i] for i in order), pristine and (pristine[i] for i in order))
        return ordered, np.asarray(order, dtype=np.int64)

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, position: int) -> NDArray[np.uint8]:
        """The whole image at a position, uint8 (H, W, 3), read-only."""
        source, row = self._items[position]
        return source.image(row)

    @property
    def frozen(self) -> bool:
        """Whether the images are known by features of fixed views alone."""
        return bool(self._items) and isinstance(self._items[0][0], FeatureSource)

    def views(self, position: int, kind: str) -> NDArray[np.float16]:
        """Features (k, d) of the views of a kind of the image at a position; only where `frozen`."""
        source, row = self._items[position]
        return cast(FeatureSource, source).views(row, kind)

    def subset(self, positions: Sequence[int] | IntArray) -> ImageSet:
        """The images at some positions, in the order given; a position may come twice."""
        pristine = self._references
        return ImageSet(
            (self._items[int(i)] for i in positions), pristine and (pristine[int(i)] for i in positions)
        )

    def __add__(self, other: ImageSet) -> ImageSet:
        """The images of both, without references unless both have them."""
        pristine = None
        if self._references is not None and other._references is not None:
            pristine = self._references + other._references
        return ImageSet(self._items + other._items, pristine)

    @property
    def references(self) -> ImageSet | None:
        """The pristine image of each image, position by position; None unless the learner needs references."""
        return None if self._references is None else ImageSet(self._references)

    def without_references(self) -> ImageSet:
        """The same images alone."""
        return self if self._references is None else ImageSet(self._items)

    def distinct(self) -> tuple[ImageSet, IntArray]:
        """Each different picture once, and the place of every image's picture among them.

        Many distorted images share one reference: what is computed of it need be computed once.
        """
        places: dict[str, int] = {}
        first, place = [], np.empty(len(self), dtype=np.int64)
        for position, (source, row) in enumerate(self._items):
            place[position] = places.setdefault(source.hashes[row], len(places))
            if place[position] == len(first):
                first.append(position)
        return self.subset(first), place

    def generator(self, position: int, *purpose: Any) -> np.random.Generator:
        """Random numbers that depend on the purpose and on the image's content, on nothing else."""
        return np.random.Generator(np.random.Philox(key=self.seed(position, *purpose)))

    def seed(self, position: int, *purpose: Any) -> int:
        """The 63-bit seed that `generator` starts from."""
        source, row = self._items[position]
        return derive_seed(*purpose, source.hashes[row])


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

    def without_references(self) -> LabeledSet:
        """The same columns with the images alone."""
        return replace(self, images=self.images.without_references())
