"""Photographs that are features alone: what learners are handed, drawn at random, without images or a network."""

from __future__ import annotations

import numpy as np

from ssliqa_bench.photos.fold_fits import Photographs
from ssliqa_bench.pixels.features import VIEWS
from ssliqa_bench.types import Scale

WIDTH = 1280


class MadeFeatures:
    """Features of n images whose quality is a linear function of a few of them, plus noise."""

    def __init__(self, quality: np.ndarray, seed: int) -> None:
        random = np.random.default_rng(seed)
        self.hashes = tuple(f"{seed:08x}{number:056x}" for number in range(len(quality)))
        values = random.gamma(1.0, size=(len(quality), sum(VIEWS.values()), WIDTH))
        values[:, :, :200] *= np.exp(0.8 * quality)[:, None, None]
        self._values = values.astype(np.float16)

    def image(self, row: int) -> np.ndarray:
        """None: these are features."""
        raise AssertionError("a learner on features asked for pixels")

    def views(self, row: int, kind: str) -> np.ndarray:
        """As a cache of features gives them."""
        first = sum(list(VIEWS.values())[: list(VIEWS).index(kind)])
        return self._values[row, first : first + VIEWS[kind]]


def made_photographs(n: int, unlabeled: int = 0, seed: int = 0, groups: int | None = None) -> Photographs:
    """Photographs on a scale from 1 to 5 whose features tell their quality well."""
    random = np.random.default_rng(seed)
    quality, others = random.normal(size=n), random.normal(size=unlabeled)
    score01 = (np.tanh(quality + 0.3 * random.normal(size=n)) + 1) / 2
    return Photographs(
        labeled=MadeFeatures(quality, 2 * seed),
        score01=score01,
        groups=[str(k % (groups or n)) for k in range(n)],
        scale=Scale(1, 5),
        unlabeled=MadeFeatures(others, 2 * seed + 1) if unlabeled else None,
        names=[f"{k}.jpg" for k in range(n)],
    )
