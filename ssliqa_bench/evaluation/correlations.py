"""SRCC, KRCC, PLCC and RMSE on float64 arrays: signed, ties handled, None where undefined."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import kendalltau, rankdata

from ssliqa_bench.evaluation.columns import paired
from ssliqa_bench.types import FloatArray


def srcc(pred: Any, scores: Any) -> float | None:
    """Spearman's rank correlation, in [-1, 1]; equal values share their mean rank.

    None if either side is constant. Raises InputError on different shapes, fewer than two values, values that
    are not finite.
    """
    predicted, given = paired(pred, scores)
    if _constant(predicted) or _constant(given):
        return None
    # Twice the rank from its mean is a whole number, so the sums are exact.
    a, b = (2.0 * rankdata(side) - (len(side) + 1) for side in (predicted, given))
    return _cosine(a, b)


def krcc(pred: Any, scores: Any) -> float | None:
    """Kendall's rank correlation τ-b, in [-1, 1], corrected for ties on both sides.

    None if either side is constant. Raises as `srcc`.
    """
    predicted, given = paired(pred, scores)
    if _constant(predicted) or _constant(given):
        return None
    value = float(kendalltau(predicted, given, variant="b").statistic)
    return min(1.0, max(-1.0, value))


def plcc(pred: Any, scores: Any) -> float | None:
    """Pearson's linear correlation, in [-1, 1], safe for values of any finite size.

    None if either side is constant. Raises as `srcc`.
    """
    return _pearson(*paired(pred, scores))


def rmse(pred: Any, scores: Any) -> float | None:
    """Root mean squared difference, in the units of the scores; None if it exceeds the largest float.

    Raises as `srcc`, but one value is enough.
    """
    predicted, given = paired(pred, scores, minimum=1)
    return _root_mean_square(predicted / 2 - given / 2, factor=2.0)


def mae(pred: Any, scores: Any) -> float | None:
    """Mean absolute difference, in the units of the scores; None if it exceeds the largest float.

    Raises as `rmse`.
    """
    predicted, given = paired(pred, scores, minimum=1)
    size = np.abs(predicted / 2 - given / 2)
    top = float(size.max())
    if top == 0:
        return 0.0
    value = float(np.mean(size / top)) * top * 2.0
    return value if np.isfinite(value) else None


def _constant(values: FloatArray) -> bool:
    return bool(values.min() == values.max())


def centred(values: FloatArray) -> FloatArray:
    """Deviations from the mean, scaled so that their largest size is 1."""
    # A power of two changes no digit; the second pass removes the rounding of the first mean.
    values = np.ldexp(values, -int(np.frexp(np.abs(values).max())[1]))
    values = values - values.mean()
    values -= values.mean()
    top = np.abs(values).max()
    return values / top if top > 0 else values


def _pearson(left: FloatArray, right: FloatArray) -> float | None:
    if _constant(left) or _constant(right):
        return None
    return _cosine(centred(left), centred(right))


def _cosine(a: FloatArray, b: FloatArray) -> float | None:
    norm = float(np.sqrt(np.dot(a, a) * np.dot(b, b)))
    return min(1.0, max(-1.0, float(np.dot(a, b)) / norm)) if norm > 0 else None


def _root_mean_square(values: FloatArray, *, factor: float) -> float | None:
    top = float(np.abs(values).max())
    if top == 0:
        return 0.0
    value = float(np.sqrt(np.mean((values / top) ** 2))) * top * factor
    return value if np.isfinite(value) else None
