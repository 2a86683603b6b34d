"""Losses against their formulas."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ssliqa_bench.training.losses import smooth_l1


@pytest.mark.parametrize("beta", [0.0, 0.2, 1.0])
def test_smooth_l1_is_its_formula(beta: float) -> None:
    rng = np.random.default_rng(0)
    prediction, target = rng.normal(0, 1, 200), rng.normal(0, 1, 200)
    distance = np.abs(prediction - target)
    near = distance < beta
    expected = np.where(near, distance**2 / (2 * beta) if beta else 0, distance - beta / 2).mean()
    assert (beta == 0) != near.any()
    assert float(smooth_l1(torch.tensor(prediction), torch.tensor(target), beta)) == pytest.approx(expected, rel=1e-6)


def test_on_unit_scale_with_beta_one_it_is_half_the_squared_error() -> None:
    prediction, target = torch.rand(50, dtype=torch.float64), torch.rand(50, dtype=torch.float64)
    half = 0.5 * (prediction - target).square().mean()
    assert float(smooth_l1(prediction, target, 1.0)) == pytest.approx(float(half), rel=1e-6)


def test_half_precision_predictions_are_compared_in_float32() -> None:
    prediction = torch.full((4,), 0.5, dtype=torch.bfloat16, requires_grad=True)
    loss = smooth_l1(prediction, torch.full((4,), 0.501, dtype=torch.float64), 1.0)
    assert loss.dtype == torch.float32 and float(loss.detach()) == pytest.approx(0.5e-6, rel=1e-3)
