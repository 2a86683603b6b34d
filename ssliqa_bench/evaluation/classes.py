"""Metrics of predicted classes against true ones: both columns hold whole numbers, 0 the worst class.

Dang et al. (2024) print mean absolute errors over all test images and over those of class 3, of class 4, and of
either. None where a column holds anything but classes, or no image is of the class asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ssliqa_bench.evaluation.inputs import paired
from ssliqa_bench.types import FloatArray, IntArray


def accuracy(pred: Any, scores: Any) -> float | None:
    """Share of images whose class is predicted."""
    if (classes := _classes(pred, scores)) is None:
        return None
    return float(np.mean(classes[0] == classes[1]))


def mae_argmax(pred: Any, scores: Any) -> float | None:
    """Mean absolute difference of predicted and true class."""
    if (classes := _classes(pred, scores)) is None:
        return None
    return float(np.mean(np.abs(classes[0] - classes[1])))


def mae_of(*wanted: int) -> Callable[[FloatArray, FloatArray], float | None]:
    """`mae_argmax` over the images whose true class is one of those wanted."""

    def compute(pred: Any, scores: Any) -> float | None:
        if (classes := _classes(pred, scores)) is None:
            return None
        chosen = np.isin(classes[1], wanted)
        return float(np.mean(np.abs(classes[0] - classes[1])[chosen])) if chosen.any() else None

    return compute


def mae_macro(pred: Any, scores: Any) -> float | None:
    """Mean over the true classes of the mean absolute difference in each."""
    if (classes := _classes(pred, scores)) is None:
        return None
    gap = np.abs(classes[0] - classes[1])
    return float(np.mean([gap[classes[1] == own].mean() for own in np.unique(classes[1])]))


def kappa_quadratic(pred: Any, scores: Any) -> float | None:
    """Cohen's kappa with squared distances as weights; None where all images share one class on both sides.

    Source: Cohen, "Weighted kappa", Psychological Bulletin 70, 1968.
    """
    if (classes := _classes(pred, scores)) is None:
        return None
    predicted, true = classes
    observed = float(np.mean((predicted - true) ** 2))
    spread = float(np.mean(np.square(predicted[:, None] - true[None, :])))
    return 1 - observed / spread if spread else None


def confusion(pred: Any, scores: Any, classes: int) -> IntArray:
    """Counts (classes, classes) of images by true class (row) and predicted class (column)."""
    found = _classes(pred, scores)
    if found is None:
        raise ValueError("both columns must hold classes")
    counts = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(counts, (found[1], found[0]), 1)
    return counts


def _classes(pred: Any, scores: Any) -> tuple[IntArray, IntArray] | None:
    predicted, given = paired(pred, scores, minimum=1)
    if any((side != np.floor(side)).any() or (side < 0).any() for side in (predicted, given)):
        return None
    return predicted.astype(np.int64), given.astype(np.int64)
