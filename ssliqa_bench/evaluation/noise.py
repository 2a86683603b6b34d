"""What the noise of ratings leaves to be predicted, and errors that are larger than it.

Scores are means of a few ratings. Their spread and number show how far a score may lie from what all people would say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from ssliqa_bench.errors import InputError
from ssliqa_bench.evaluation.columns import paired
from ssliqa_bench.evaluation.constants import CONFIDENCE
from ssliqa_bench.types import FloatArray


@dataclass(frozen=True)
class RatingSpread:
    """The spread of the ratings of each image, and how many there are.

    Attributes:
        std: standard deviations, shape (n,), in the units of the scores; NaN where unknown.
        number: shape (n,), NaN where unknown, or one number for all images, the mean over these.
    """

    std: Any
    number: Any

    @property
    def known(self) -> NDArray[np.bool_]:
        """Whether spread and number of an image are known and there are two ratings or more, shape (n,)."""
        spread = np.asarray(self.std, dtype=np.float64)
        number = np.broadcast_to(np.asarray(self.number, dtype=np.float64), spread.shape)
        return np.isfinite(spread) & (number >= 2)


def noise_figures(scores: Any, mapped: Any | None, ratings: RatingSpread, *, parameters: int) -> dict[str, Any]:
    """What records hold of the noise of ratings, over the images whose ratings are known: `n`, `limit`, `rmse_star`.

    Args:
        scores: native opinion scores, shape (n,).
        mapped: mapped predictions, shape (n,), in the units of the scores; None: `rmse_star` is None.
        parameters: as in `rmse_star`.
    """
    known = ratings.known
    given = np.asarray(scores, dtype=np.float64)[known]
    if len(given) < 2:
        return {"n": len(given), "limit": None, "rmse_star": None}
    number = np.broadcast_to(np.asarray(ratings.number, dtype=np.float64), known.shape)[known]
    spread = np.asarray(ratings.std, dtype=np.float64)[known]
    beyond = None
    if mapped is not None:
        fitted = np.asarray(mapped, dtype=np.float64)[known]
        beyond = rmse_star(fitted, given, spread, number, parameters=parameters)
    return {"n": len(given), "limit": noise_limit(given, spread, number), "rmse_star": beyond}


def noise_limit(scores: Any, rating_std: Any, n_ratings: Any) -> float | None:
    """The correlation with the scores that a perfect predictor of what all people would say can expect: √reliability.

    Reliability is the share of the variance of the scores that is not noise, 1 - mean(σ²/m) / variance, for a standard
    deviation σ over m ratings of an image. It is a limit of PLCC, and nearly one of SRCC.

    The agreement of two halves of the panel is no such limit, and good models exceed it: it correlates two scores that
    are both noisy, with the noise of half the ratings each. A prediction has no such noise of its own and is compared
    with the mean over all ratings.

    Args:
        scores: opinion scores, shape (n,), in any unit.
        rating_std: standard deviation of the ratings of each image, shape (n,), in the same unit; NaN where unknown.
        n_ratings: number of ratings, shape (n,) or one number for all; NaN where unknown.

    Returns:
        A value in [0, 1], over the images whose spread and number are known; None for fewer than two of them or where
        their scores are all equal.

    Raises:
        InputError: shapes differ, a score is not finite, a negative spread, or fewer than one rating.

    Source: Spearman, "The proof and measurement of association between two things" (1904).
    """
    given, spread, number = _ratings(scores, rating_std, n_ratings)
    known = ~(np.isnan(spread) | np.isnan(number))
    if known.sum() < 2:
        return None
    variance = float(np.var(given[known], ddof=1))
    if variance == 0:
        return None
    noise = float(np.mean(spread[known] ** 2 / number[known]))
    return float(np.sqrt(max(1.0 - noise / variance, 0.0)))


def rmse_star(
    mapped: Any, scores: Any, rating_std: Any, n_ratings: Any, *, parameters: int = 4, confidence: float = CONFIDENCE
) -> float | None:
    """RMSE of errors beyond the noise of the ratings: rmse* of ITU-T P.1401, in the units of the scores.

    An error counts by how far it exceeds ε, the half-width of the confidence interval of the score:
    √(Σ max(0, |mapped - score| - ε)² / (n - d)), with ε = t · σ / √m, σ and m as in `noise_limit` and t Student's
    quantile with m - 1 degrees of freedom.

    Args:
        mapped: mapped predictions, shape (n,), in the units of the scores.
        scores, rating_std, n_ratings: as in `noise_limit`, all known.
        parameters: d, the degrees of freedom of the mapping: 4 for `logistic4`, 5 for `logistic5`, 2 for `linear`, 1
            for none.
        confidence: of the interval of a score.

    Returns:
        None for no more images than parameters.

    Raises:
        InputError: as `noise_limit`; a spread or number that is unknown; fewer than two ratings.

    Source: ITU-T Recommendation P.1401 (2020), section 7.7.
    """
    predicted, given = paired(mapped, scores)
    given, spread, number = _ratings(given, rating_std, n_ratings)
    unknown = int((np.isnan(spread) | np.isnan(number)).sum())
    if unknown or (number < 2).any():
        raise InputError(f"rmse*: spread or number of ratings is unknown for {unknown} of {len(given)} images and the "
                         f"number is below two for {int((number < 2).sum())}; expected both, and at least two ratings.")
    if len(given) <= parameters:
        return None
    noise = student.ppf((1.0 + confidence) / 2.0, number - 1) * spread / np.sqrt(number)
    beyond = np.maximum(np.abs(predicted - given) - noise, 0.0)
    return float(np.sqrt(np.sum(beyond**2) / (len(given) - parameters)))


def _ratings(scores: Any, rating_std: Any, n_ratings: Any) -> tuple[FloatArray, FloatArray, FloatArray]:
    given = paired(scores, scores)[1]
    spread = np.asarray(rating_std, dtype=np.float64)
    number = np.broadcast_to(np.asarray(n_ratings, dtype=np.float64), given.shape)
    if spread.shape != given.shape:
        raise InputError(f"Got {spread.shape} standard deviations of ratings and {given.shape} scores; expected one of "
                         f"each per image.")
    if (spread < 0).any() or (number < 1).any() or np.isinf(spread).any():
        raise InputError("Ratings: expected finite standard deviations from 0 up and at least one rating per image.")
    return given, spread, number
