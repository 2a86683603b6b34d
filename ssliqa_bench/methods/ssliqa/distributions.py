"""Rating score distributions: shares of P levels, read as a quality, and made where a dataset has none.

Levels are numbered 1 (worst) to P (best); quality q in [0, 1] is at 1 + (P − 1) q on their scale.
"""

from __future__ import annotations

import numpy as np
import torch

from ssliqa_bench.errors import InputError
from ssliqa_bench.training.images import LabeledSet
from ssliqa_bench.types import FloatArray

_NARROWEST = 0.05  # levels; a smaller deviation is taken as this one
_AT_THE_END = 1e-9  # levels from an end within which a score is the end
_HALVINGS = 120


def made_distributions(score01: FloatArray, deviation: FloatArray | float, levels: int) -> FloatArray:
    """Distributions (n, P) with the given scores as their means, of nearly normal shape.

    A normal law with the score as mean is read off at the levels and made a distribution; its mean is then no longer
    the score, above all near the ends, so it is multiplied by exp(t·k), the change that keeps it closest to what it
    was (least Kullback-Leibler divergence), with t such that the mean is the score. For a normal law that is the
    same as moving its centre, which is how t is found: the mean rises with the centre, so by halving an interval.

    Args:
        score01: (n,) on the learner's scale; scores outside [0, 1] count as its ends, where everything lies in the
            end level.
        deviation: of the ratings, (n,) or one for all, in levels (on the scale of 1 to P).
    """
    target = 1 + (levels - 1) * np.clip(np.asarray(score01, dtype=np.float64), 0.0, 1.0)
    spread = np.maximum(np.broadcast_to(np.asarray(deviation, dtype=np.float64), target.shape), _NARROWEST)
    # Far enough out that all but the end level have shares below the smallest number.
    reach = 1 + 750 * spread**2
    low, high = 1 - reach, levels + reach
    for _ in range(_HALVINGS):
        centre = (low + high) / 2
        below = mean_level(_normal(centre, spread, levels)) < target
        low, high = np.where(below, centre, low), np.where(below, high, centre)
    shares = _normal((low + high) / 2, spread, levels)
    shares[target <= 1 + _AT_THE_END] = np.eye(levels)[0]
    shares[target >= levels - _AT_THE_END] = np.eye(levels)[-1]
    return shares


def target_distributions(labeled: LabeledSet, levels: int, default_deviation: float) -> FloatArray:
    """What a network learns of labeled images, (n, P): their own distributions, else made ones.

    Args:
        default_deviation: in levels, where nothing is known of the spread of the ratings.

    Raises:
        InputError: the dataset's ratings have another number of levels.
    """
    if labeled.distribution is not None:
        if labeled.distribution.shape[1] != levels:
            raise InputError(
                f"Parameter levels: got {levels}; expected {labeled.distribution.shape[1]}, the number of rating "
                f"levels of the labeled images."
            )
        return labeled.distribution
    known = labeled.rating_std is not None
    return made_distributions(
        labeled.score01, (levels - 1) * labeled.rating_std if known else default_deviation, levels
    )


def mean_level(shares: FloatArray) -> FloatArray:
    """Σ k·share_k (n,), between 1 and P."""
    return shares @ np.arange(1, shares.shape[1] + 1, dtype=np.float64)


def branch_quality(shares: torch.Tensor) -> torch.Tensor:
    """Quality (n,) in [0, 1] of predicted distributions (n, P)."""
    places = torch.linspace(0, 1, shares.shape[1], dtype=shares.dtype, device=shares.device)
    return shares @ places


def normal_levels(quality: torch.Tensor, deviation: float, levels: int) -> torch.Tensor:
    """Distributions (n, P) of normal shape about a quality (n,) on the [0, 1] scale, differentiable."""
    numbers = torch.arange(1, levels + 1, dtype=quality.dtype, device=quality.device)
    centre = 1 + (levels - 1) * quality
    return torch.softmax(-(numbers - centre[:, None]).square() / (2 * deviation**2), dim=1)


def _normal(centre: FloatArray, spread: FloatArray, levels: int) -> FloatArray:
    numbers = np.arange(1, levels + 1, dtype=np.float64)
    exponent = -((numbers - centre[:, None]) ** 2) / (2 * spread[:, None] ** 2)
    weights = np.exp(exponent - exponent.max(1, keepdims=True))
    return weights / weights.sum(1, keepdims=True)
