"""Kernel ridge regression from features to scores: the teacher's distilled knowledge in SS-IQA.

Source: Pan et al., AAAI 2024, Eq. 1 to 3: RBF kernel exp(-gamma ||f - g||^2), alpha = (K + lambda I)^-1 y.
An expansion in such kernels has no intercept and falls to 0 far from the data, so features are standardised
with the statistics of the fitted images and their mean score is taken off and added back.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.kernel_ridge import KernelRidge

from ssliqa_bench.types import FloatArray

_ROUNDING = 1e-12  # relative size of what summing in float64 leaves


@dataclass(frozen=True)
class FeatureRegression:
    """A fitted regression; `predict` maps features (n, d) to scores (n,)."""

    mean: FloatArray
    deviation: FloatArray
    offset: float
    regression: KernelRidge

    def predict(self, features: FloatArray) -> FloatArray:
        """Scores (n,) of features (n, d), on the scale of the fitted scores."""
        predicted: FloatArray = self.regression.predict((features - self.mean) / self.deviation)
        return predicted + self.offset


def fit_kernel_ridge(
    features: FloatArray, scores: FloatArray, *, penalty: float, gamma: float | None = None
) -> FeatureRegression:
    """Fit scores (n,) on features (n, d), both float64.

    Args:
        penalty: lambda > 0 of Eq. 2.
        gamma: width of the kernel on standardised features; None means 1/d.
    """
    mean = features.mean(0)
    deviation = features.std(0)
    # A feature that never varies says nothing, but its deviation may be a rounding error instead of 0.
    deviation[deviation <= _ROUNDING * np.sqrt(np.square(features).mean(0))] = 1.0
    offset = float(scores.mean())
    width = 1.0 / features.shape[1] if gamma is None else gamma
    regression = KernelRidge(alpha=penalty, kernel="rbf", gamma=width)
    regression.fit((features - mean) / deviation, scores - offset)
    return FeatureRegression(mean, deviation, offset, regression)
