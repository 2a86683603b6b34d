"""Kernel ridge regression against its closed form."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ssliqa_bench.methods.ssiqa.kernel_ridge import fit_kernel_ridge

Array = NDArray[np.float64]


def closed_form(features: Array, scores: Array, others: Array, penalty: float, gamma: float) -> Array:
    """alpha = (K + lambda I)^-1 (y - mean y) on standardised features; sums of kernels plus mean y."""
    mean, deviation = features.mean(0), features.std(0)
    deviation = np.where(np.ptp(features, axis=0) == 0, 1.0, deviation)
    fitted, asked = (features - mean) / deviation, (others - mean) / deviation
    kernel = np.array([[np.exp(-gamma * ((f - g) ** 2).sum()) for g in fitted] for f in fitted])
    alpha = np.linalg.inv(kernel + penalty * np.eye(len(fitted))) @ (scores - scores.mean())
    return (
        np.array(
            [sum(a * np.exp(-gamma * ((g - f) ** 2).sum()) for a, f in zip(alpha, fitted, strict=True)) for g in asked]
        )
        + scores.mean()
    )


@settings(max_examples=40)
@given(
    n=st.integers(2, 25),
    d=st.integers(1, 8),
    seed=st.integers(0, 1000),
    penalty=st.sampled_from([0.01, 0.1, 3.0]),
    gamma=st.sampled_from([None, 0.02, 1.0]),
)
def test_it_is_the_closed_form(n: int, d: int, seed: int, penalty: float, gamma: float | None) -> None:
    rng = np.random.default_rng(seed)
    features = rng.normal(5, 3, (n, d)) * rng.uniform(0.1, 100, d)
    scores, others = rng.uniform(0, 1, n), rng.normal(5, 3, (7, d)) * 10
    predicted = fit_kernel_ridge(features, scores, penalty=penalty, gamma=gamma).predict(others)
    expected = closed_form(features, scores, others, penalty, 1 / d if gamma is None else gamma)
    np.testing.assert_allclose(predicted, expected, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("constant", [0.0, 0.1, -7.3, 1e6 / 3])
def test_a_feature_that_never_varies_says_nothing(constant: float) -> None:
    rng = np.random.default_rng(0)
    features, scores = rng.normal(0, 1, (11, 3)), rng.uniform(0, 1, 11)
    others = rng.normal(0, 1, (5, 3))
    wider = [np.column_stack([part, np.full(len(part), constant)]) for part in (features, others)]
    predicted = fit_kernel_ridge(wider[0], scores, penalty=0.1, gamma=0.5).predict(wider[1])
    expected = fit_kernel_ridge(features, scores, penalty=0.1, gamma=0.5).predict(others)
    np.testing.assert_allclose(predicted, expected, rtol=1e-6)


def test_far_from_the_data_it_gives_the_mean_score() -> None:
    rng = np.random.default_rng(1)
    features, scores = rng.normal(0, 1, (20, 4)), rng.uniform(0.6, 0.9, 20)
    far = fit_kernel_ridge(features, scores, penalty=0.1).predict(np.full((1, 4), 1e4))
    assert far[0] == pytest.approx(scores.mean(), abs=1e-12)


def test_one_image_gives_its_score_everywhere() -> None:
    regression = fit_kernel_ridge(np.array([[1.0, 2.0]]), np.array([0.3]), penalty=0.1)
    np.testing.assert_allclose(regression.predict(np.array([[1.0, 2.0], [5.0, -3.0]])), 0.3)


def test_shift_and_scale_of_features_change_nothing() -> None:
    rng = np.random.default_rng(2)
    features, scores, others = rng.normal(0, 1, (15, 4)), rng.uniform(0, 1, 15), rng.normal(0, 1, (6, 4))
    scale, shift = np.array([1e-3, 1.0, 50.0, 1e4]), np.array([5.0, -2.0, 0.0, 1e3])
    plain = fit_kernel_ridge(features, scores, penalty=0.1).predict(others)
    moved = fit_kernel_ridge(features * scale + shift, scores, penalty=0.1).predict(others * scale + shift)
    np.testing.assert_allclose(moved, plain, rtol=1e-8)
