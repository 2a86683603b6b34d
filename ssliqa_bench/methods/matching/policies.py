"""Policies of weak and strong views for learners that match their predictions for both.

`quality_preserving` keeps every pixel as it is and chooses which ones are seen: both views are crops at whole
positions, flipped left-right or not, and overlap. `classic` is what such learners use in classification; see
`matching.classic`. Random numbers come from (purpose, image), as those of all views.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ssliqa_bench.errors import InputError
from ssliqa_bench.methods.matching import classic
from ssliqa_bench.training.batches import DrawViews
from ssliqa_bench.training.images import ImageSet
from ssliqa_bench.training.views import View, at_least, test_crops, view_numbers
from ssliqa_bench.types import ByteImage, IntArray

_DRAWS = 10  # of a strong crop, before it takes the place of the weak one



@dataclass(frozen=True)
class Policy:
    """How an image is shown to a learner.

    Args:
        name: `quality_preserving` or `classic`.
        crop: side of the square crops, pixels.
        min_overlap: share of a strong crop that lies in the weak one, at least; quality-preserving policy.
        d4: strong crops are also turned by multiples of 90°; quality-preserving policy.
    """

    name: str
    crop: int
    min_overlap: float = 0.25
    d4: bool = False

    def weak(
        self, images: ImageSet, positions: IntArray, *purpose: Any, visits: IntArray | None = None
    ) -> torch.Tensor:
        """Weak views of images on their own, uint8 (n, 3, crop, crop)."""
        return self.pairs(images, positions, 0, *purpose, visits=visits)[0]

    def drawing(self, strong: int) -> DrawViews[tuple[torch.Tensor, ...]]:
        """What draws a weak view of each image and so many strong ones."""

        def views(
            images: ImageSet, positions: IntArray, *purpose: Any, visits: IntArray
        ) -> tuple[torch.Tensor, ...]:
            return tuple(self.pairs(images, positions, strong, *purpose, visits=visits))

        return views

    def pairs(
        self, images: ImageSet, positions: IntArray, strong: int, *purpose: Any, visits: IntArray | None = None
    ) -> list[torch.Tensor]:
        """A weak view of each image and so many strong ones, each as uint8 (n, 3, crop, crop)."""
        if images.frozen:
            return self._frozen_pairs(images, positions, strong, *purpose, visits=visits)
        views = np.empty((1 + strong, len(positions), self.crop, self.crop, 3), dtype=np.uint8)
        flips = np.zeros((1 + strong, len(positions)), dtype=bool)
        for k, position in enumerate(positions):
            visit = int(visits[k]) if visits is not None else 0
            random = images.generator(int(position), *purpose, *([visit] if visit else []))
            pixels = images[int(position)]
            if self.name == "classic":
                views[0, k] = classic.weak_view(pixels, self.crop, random)
                for j in range(strong):
                    views[1 + j, k] = classic.strong_classic_view(pixels, self.crop, random)
            else:
                self._cut(views[:, k], flips[:, k], at_least(pixels, self.crop), random)
        return [_flipped(_channels_first(group), own) for group, own in zip(views, flips, strict=True)]

    def evaluation(self, images: ImageSet, positions: Sequence[int] | IntArray, crops: int) -> torch.Tensor:
        """What an image is judged by: its fixed test crops, or in the classic policy the centre, once."""
        if images.frozen or self.name == "quality_preserving":
            return test_crops(images, positions, View(self.crop, crops))
        views = [classic.evaluation_view(images[int(position)], self.crop) for position in positions]
        return _channels_first(np.stack(views))

    def _frozen_pairs(
        self, images: ImageSet, positions: IntArray, strong: int, *purpose: Any, visits: IntArray | None = None
    ) -> list[torch.Tensor]:
        """As `pairs`, of frozen features: weak view k and the strong ones from k on, the first of which overlaps it.

        Raises:
            InputError: the policy changes pixels.
        """
        if self.name != "quality_preserving":
            raise InputError(
                f'Parameter policy: got "{self.name}"; expected quality_preserving, whose views frozen features are of.'
            )
        views: list[list[NDArray[np.float16]]] = [[] for _ in range(1 + strong)]
        for k, position in enumerate(positions):
            visit = int(visits[k]) if visits is not None else 0
            weak, far = images.views(int(position), "weak"), images.views(int(position), "strong")
            drawn = view_numbers(images, int(position), len(weak), 1, *purpose, *([visit] if visit else []))[0]
            views[0].append(weak[drawn])
            for j in range(strong):
                views[1 + j].append(far[(drawn + j) % len(far)])
        return [torch.from_numpy(np.stack(group).astype(np.float32)) for group in views]

    def _cut(
        self, views: ByteImage, flips: NDArray[np.bool_], pixels: ByteImage, random: np.random.Generator
    ) -> None:
        """Fill the views (1 + strong, crop, crop, 3) of one image with crops of it, and say which are to be flipped."""
        side = self.crop
        room = pixels.shape[0] - side + 1, pixels.shape[1] - side + 1
        at = int(random.random() * room[0]), int(random.random() * room[1])
        for j, view in enumerate(views):
            top, left = self._near(at, room, random) if j else at
            crop = pixels[top : top + side, left : left + side]
            if self.d4 and j:
                crop = np.rot90(crop, int(random.random() * 4))
            view[:] = crop
            flips[j] = random.random() < 0.5

    def _near(self, at: tuple[int, int], room: tuple[int, int], random: np.random.Generator) -> tuple[int, int]:
        """A corner whose crop overlaps that at another one enough; that one itself where no draw does."""
        side = self.crop
        for _ in range(_DRAWS):
            top, left = int(random.random() * room[0]), int(random.random() * room[1])
            shared = max(0, side - abs(top - at[0])) * max(0, side - abs(left - at[1]))
            if shared >= self.min_overlap * side**2:
                return top, left
        return at


def _channels_first(views: ByteImage) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(views.transpose(0, 3, 1, 2)))


def _flipped(views: torch.Tensor, flips: NDArray[np.bool_]) -> torch.Tensor:
    """Views, some of them flipped left-right: all are, and some chosen, much faster than pixel by pixel."""
    return torch.where(torch.from_numpy(flips)[:, None, None, None], views.flip(3), views)
