"""Regression of standardised scores: their scale, that of features, and the loss that adds Pearson's correlation to the
squared error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ssliqa_bench.errors import InputError
from ssliqa_bench.types import FloatArray

_TINY = 1e-8
_ROUNDING = 1e-6  # relative deviation of a feature below which it counts as constant: features are float32


@dataclass(frozen=True)
class LabelScale:
    """Standardised scores z = (y − mean) / std of scores y on the learner's [0, 1] scale."""

    mean: float
    std: float

    @classmethod
    def of(cls, scores: FloatArray, mean: float | None = None, std: float | None = None) -> LabelScale:
        """Mean and unbiased standard deviation of the labels (n,), or those given.

        Raises:
            InputError: the standard deviation is not a positive number.
        """
        mean = float(np.mean(scores)) if mean is None else float(mean)
        if std is None:
            std = float(np.std(scores, ddof=1)) if np.ptp(scores) else 0.0
        if not (np.isfinite(std) and std > 0 and np.isfinite(mean)):
            raise InputError(
                f"The {len(scores)} labels have mean {mean:g} and standard deviation {std:g}, by which scores cannot "
                f"be standardised. Label two images or more, of different quality, or say --set label_mean=… and "
                f"--set label_std=… on the [0, 1] scale."
            )
        return cls(mean, float(std))

    def standardise(self, scores: FloatArray) -> FloatArray:
        """z of y."""
        return (scores - self.mean) / self.std

    def restore(self, standardised: FloatArray) -> FloatArray:
        """y of z."""
        return standardised * self.std + self.mean


@dataclass(frozen=True)
class FeatureScale:
    """Mean (d,) and deviation (d,) by which features are standardised; the deviation of a feature that never varies is
    infinite, so that the feature becomes 0."""

    mean: FloatArray
    deviation: FloatArray

    @classmethod
    def of(cls, features: FloatArray) -> FeatureScale:
        """Those of features (n, d), float64, with divisor n."""
        deviation = features.std(0)
        deviation[deviation <= _ROUNDING * np.sqrt(np.square(features).mean(0))] = np.inf
        return cls(features.mean(0), deviation)

    def standardise(self, features: FloatArray) -> FloatArray:
        """Features (n, d) less the mean, over the deviation."""
        return (features - self.mean) / self.deviation


def pearson_distance(prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """1 − r, in [0, 2], of a batch (n,); 0 where r is undefined: fewer than two values, or a constant side."""
    a, b = prediction.float(), target.float()
    if len(a) < 2:
        return a.new_zeros(())
    varies = (a.amax() > a.amin()) & (b.amax() > b.amin())
    a, b = a - a.mean(), b - b.mean()
    # The root of zero has no gradient, so a constant side is replaced before and left out after.
    product = torch.where(varies, a.square().sum() * b.square().sum(), 1.0)
    return torch.where(varies, 1 - (a * b).sum() / (product.sqrt() + _TINY), 0.0)


def squared_and_pearson(prediction: torch.Tensor, target: torch.Tensor) -> dict[str, torch.Tensor]:
    """Mean squared error plus 1 − r of a batch of standardised scores (n,): "loss" and its two terms.

    Source: Conde et al., CVPR Workshops 2022, Eq. 1.
    """
    squared = (prediction.float() - target.float()).square().mean()
    pearson = pearson_distance(prediction, target)
    return {"loss": squared + pearson, "squared": squared, "pearson": pearson}
