"""Rating score distributions: made ones have their mean, real ones are taken as they are."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq

from ssliqa_bench.errors import InputError
from ssliqa_bench.methods.ssliqa.distributions import (
    branch_quality,
    made_distributions,
    mean_level,
    normal_levels,
    target_distributions,
)
from ssliqa_bench.training.images import ImageSet, LabeledSet


@given(
    scores=st.lists(st.floats(-0.2, 1.2), min_size=1, max_size=20),
    deviation=st.floats(0, 4),
    levels=st.integers(2, 11),
)
def test_the_mean_of_a_made_distribution_is_the_score(scores: list[float], deviation: float, levels: int) -> None:
    score01 = np.array(scores)
    made = made_distributions(score01, deviation, levels)
    assert made.shape == (len(scores), levels) and (made >= 0).all()
    np.testing.assert_allclose(made.sum(1), 1, atol=1e-12)
    np.testing.assert_allclose(mean_level(made), 1 + (levels - 1) * score01.clip(0, 1), atol=1e-6)


@pytest.mark.parametrize("deviation", [0.3, 0.6, 1.2])
@pytest.mark.parametrize("score", [0.02, 0.25, 0.4, 0.77, 0.98])
def test_it_is_the_normal_law_at_the_levels_tilted_to_the_mean(score: float, deviation: float) -> None:
    numbers, target = np.arange(1, 6), 1 + 4 * score
    law = np.exp(-((numbers - target) ** 2) / (2 * deviation**2))

    def tilted(t: float) -> np.ndarray:
        weights = law * np.exp(t * numbers - abs(t) * 5)
        return weights / weights.sum()

    t = brentq(lambda t: float(tilted(t) @ numbers) - target, -60, 60, xtol=1e-13)
    np.testing.assert_allclose(made_distributions(np.array([score]), deviation, 5)[0], tilted(t), atol=1e-9)


def test_scores_at_the_ends_lie_in_one_level() -> None:
    made = made_distributions(np.array([0.0, 1.0, -0.1, 1.5]), np.array([0.6, 0.6, 2.0, 0.0]), 5)
    first, last = np.eye(5)[0], np.eye(5)[-1]
    np.testing.assert_array_equal(made, [first, last, first, last])


def test_a_wider_spread_gives_a_wider_distribution() -> None:
    made = made_distributions(np.full(3, 0.5), np.array([0.3, 0.6, 1.0]), 5)
    variance = made @ (np.arange(1, 6) - 3.0) ** 2
    assert variance[0] < variance[1] < variance[2] and variance[1] == pytest.approx(0.36, abs=0.01)


def labeled(**columns: np.ndarray) -> LabeledSet:
    return LabeledSet(ImageSet([]), np.array([0.2, 0.7]), **columns)


def test_a_datasets_own_distributions_come_first_then_its_spread_then_the_default() -> None:
    own = np.array([[0.5, 0.5, 0, 0, 0], [0, 0, 0.2, 0.8, 0]])
    spread = np.array([0.1, 0.2])
    np.testing.assert_array_equal(target_distributions(labeled(distribution=own, rating_std=spread), 5, 0.6), own)
    scores = np.array([0.2, 0.7])
    np.testing.assert_array_equal(
        target_distributions(labeled(rating_std=spread), 5, 0.6), made_distributions(scores, 4 * spread, 5)
    )
    np.testing.assert_array_equal(target_distributions(labeled(), 5, 0.6), made_distributions(scores, 0.6, 5))


def test_another_number_of_levels_is_said() -> None:
    with pytest.raises(InputError, match="Parameter levels: got 5; expected 4, the number of rating levels"):
        target_distributions(labeled(distribution=np.full((2, 4), 0.25)), 5, 0.6)


def test_quality_is_the_mean_level_on_the_learners_scale() -> None:
    score01 = np.linspace(0.01, 0.99, 30)
    made = made_distributions(score01, 0.6, 5)
    np.testing.assert_allclose(branch_quality(torch.from_numpy(made)).numpy(), score01, atol=1e-9)


def test_normal_levels_follow_their_quality() -> None:
    quality = torch.linspace(-1, 2, 40, dtype=torch.float64, requires_grad=True)
    shares = normal_levels(quality, 0.6, 5)
    torch.testing.assert_close(shares.sum(1), torch.ones(40, dtype=torch.float64))
    assert (branch_quality(shares).diff() > 0).all()
    middle = normal_levels(torch.tensor([0.5], dtype=torch.float64), 0.6, 5)[0]
    torch.testing.assert_close(middle, torch.from_numpy(made_distributions(np.array([0.5]), 0.6, 5)[0]))
    branch_quality(shares).sum().backward()
    assert quality.grad is not None and (quality.grad > 0).all()


@pytest.mark.data
def test_made_distributions_are_close_to_koniqs_own(record_property: pytest.RecordProperty) -> None:
    """Earth mover's distance in levels between KonIQ's distributions and those made of their means and spreads.

    Reads koniq10k_distributions_sets.csv of the dataset's authors below $SSLIQA_ANNOTATIONS/koniq.
    """
    path = Path(os.environ.get("SSLIQA_ANNOTATIONS", "")) / "koniq" / "koniq10k_distributions_sets.csv"
    if not path.is_file():
        pytest.skip("needs $SSLIQA_ANNOTATIONS/koniq/koniq10k_distributions_sets.csv")
    with open(path, newline="") as handle:
        rows = list(csv.DictReader(handle))
    own = np.array([[float(row[f"c{k}"]) for k in range(1, 6)] for row in rows])
    own /= own.sum(1, keepdims=True)
    mean, spread = mean_level(own), np.array([float(row["SD"]) for row in rows])
    distances = {}
    for name, deviation in (("own spread", spread), ("0.6 levels", 0.6)):
        made = made_distributions((mean - 1) / 4, deviation, 5)
        np.testing.assert_allclose(mean_level(made), mean, atol=1e-6)
        distances[name] = float(np.abs(np.cumsum(made - own, axis=1)).sum(1).mean())
        record_property(f"earth mover's distance, {name}", distances[name])
        print(f"KonIQ-10k, {len(rows)} images, {name}: mean earth mover's distance {distances[name]:.4f} levels")
    average = float(np.abs(np.cumsum(own.mean(0) - own, axis=1)).sum(1).mean())
    assert distances["own spread"] < 0.04 and distances["0.6 levels"] < 0.07 < average
