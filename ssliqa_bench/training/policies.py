"""Policies of weak and strong views for learners that match their predictions for both.

`quality_preserving` keeps every pixel as it is and chooses which ones are seen: both views are crops at whole
positions, flipped left-right or not, and overlap. `classic` is what such learners use in classification; see
`training.classic`. Random numbers come from (purpose, image), as those of all views.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ssliqa_bench.errors import InputError
from ssliqa_bench.training import classic
from ssliqa_bench.training.images import ImageSet
from ssliqa_bench.training.views import View, at_least, draw, test_crops
from ssliqa_bench.types import IntArray

POLICIES = ("quality_preserving", "classic")
_DRAWS = 10  # of a strong crop, before it takes the place of the weak one

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Policy:
    """How an image is shown to a learner.

    Args:
        name: `quality_preserving` or `classic`.
        crop: side of the square crops, pixels.
        min_overlap: share of a strong crop that lies in the weak one, at least; quality-preserving policy.
        d4: strong crops are also turned by multiples of 90°; quality-preserving policy.

    Raises:
        InputError: another name.
    """

    name: str
    crop: int
    min_overlap: float = 0.25
    d4: bool = False

    def __post_init__(self) -> None:
        if self.name not in POLICIES:
            raise InputError(f'Parameter policy: got "{self.name}"; expected {" or ".join(POLICIES)}.')

    def weak(
        self, images: ImageSet, positions: IntArray, *purpose: Any, visits: IntArray | None = None
    ) -> torch.Tensor:
        """Weak views of images on their own, uint8 (n, 3, crop, crop)."""
        if self.name == "quality_preserving":
            return draw(images, positions, View(self.crop, flip=True), *purpose, visits=visits)
        return self._stacked(images, positions, 0, purpose, visits)[0]

    def pairs(
        self, images: ImageSet, positions: IntArray, strong: int, *purpose: Any, visits: IntArray | None = None
    ) -> list[torch.Tensor]:
        """A weak view of each image and so many strong ones, each as uint8 (n, 3, crop, crop)."""
        return self._stacked(images, positions, strong, purpose, visits)

    def evaluation(self, images: ImageSet, positions: Sequence[int] | IntArray, crops: int) -> torch.Tensor:
        """What an image is judged by: its fixed test crops, or in the classic policy the centre, once."""
        if self.name == "quality_preserving":
            return test_crops(images, positions, View(self.crop, crops))
        views = [classic.evaluation_view(images[int(position)], self.crop) for position in positions]
        return _channels_first(np.stack(views))

    def _stacked(
        self, images: ImageSet, positions: IntArray, strong: int, purpose: tuple[Any, ...], visits: IntArray | None
    ) -> list[torch.Tensor]:
        out = np.empty((1 + strong, len(positions), self.crop, self.crop, 3), dtype=np.uint8)
        for k, position in enumerate(positions):
            visit = int(visits[k]) if visits is not None else 0
            random = images.generator(int(position), *purpose, *([visit] if visit else []))
            out[:, k] = self._views(images[int(position)], strong, random)
        return [_channels_first(views) for views in out]

    def _views(self, pixels: Pixels, strong: int, random: np.random.Generator) -> list[Pixels]:
        if self.name == "classic":
            views = [classic.weak_view(pixels, self.crop, random)]
            return views + [classic.strong_view(pixels, self.crop, random) for _ in range(strong)]
        pixels = at_least(pixels, self.crop)
        at = self._corner(pixels, random)
        views = [self._cut(pixels, at, random)]
        for _ in range(strong):
            view = self._cut(pixels, self._near(pixels, at, random), random)
            views.append(np.rot90(view, random.integers(4)) if self.d4 else view)
        return views

    def _corner(self, pixels: Pixels, random: np.random.Generator) -> tuple[int, int]:
        height, width = pixels.shape[:2]
        return int(random.integers(height - self.crop + 1)), int(random.integers(width - self.crop + 1))

    def _near(self, pixels: Pixels, at: tuple[int, int], random: np.random.Generator) -> tuple[int, int]:
        """A corner whose crop overlaps that at another one enough; that one itself where no draw does."""
        for _ in range(_DRAWS):
            corner = self._corner(pixels, random)
            down, across = (max(0, self.crop - abs(a - b)) for a, b in zip(at, corner, strict=True))
            if down * across >= self.min_overlap * self.crop**2:
                return corner
        return at

    def _cut(self, pixels: Pixels, at: tuple[int, int], random: np.random.Generator) -> Pixels:
        crop = pixels[at[0] : at[0] + self.crop, at[1] : at[1] + self.crop]
        return crop[:, ::-1] if random.random() < 0.5 else crop


def _channels_first(views: Pixels) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(views.transpose(0, 3, 1, 2)))
