"""The limit from rating noise and rmse*: against simulated raters, closed forms and a plain loop."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats

from ssliqa_bench.errors import InputError
from ssliqa_bench.evaluation.noise import noise_limit, rmse_star


def _panel(raters: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    quality = rng.normal(size=20_000)
    return quality, quality[:, None] + 2.0 * rng.normal(size=(20_000, raters)), rng.normal(size=20_000)


@pytest.mark.parametrize("raters", [2, 8, 30])
def test_the_limit_is_what_true_quality_reaches_and_half_panels_do_not(raters: int) -> None:
    quality, ratings, _ = _panel(raters)
    scores = ratings.mean(axis=1)
    limit = noise_limit(scores, ratings.std(axis=1, ddof=1), raters)
    assert limit == pytest.approx(np.corrcoef(quality, scores)[0, 1], abs=0.01)
    assert limit == pytest.approx(math.sqrt(1 / (1 + 4 / raters)), abs=0.01)
    halves = ratings[:, ::2].mean(axis=1), ratings[:, 1::2].mean(axis=1)
    assert np.corrcoef(*halves)[0, 1] < limit - 0.03


def test_the_limit_in_closed_form_over_the_images_whose_spread_is_known() -> None:
    scores, spread, number = [1.0, 2.0, 3.0, 4.0, 9.0], [1.0, 0.5, 1.0, 0.5, math.nan], [10, 5, 10, 5, 10]
    noise = (1 / 10 + 0.25 / 5 + 1 / 10 + 0.25 / 5) / 4
    assert noise_limit(scores, spread, number) == pytest.approx(math.sqrt(1 - noise / np.var([1, 2, 3, 4], ddof=1)))
    assert noise_limit([1.0, 2.0], [0.0, 0.0], 5) == 1.0
    assert noise_limit([1.0, 1.1], [9.0, 9.0], 2) == 0.0
    assert noise_limit([1.0, 1.0], [1.0, 1.0], 5) is None
    assert noise_limit([1.0, 2.0, 3.0], [1.0, math.nan, math.nan], 5) is None


def test_rmse_star_against_a_plain_loop() -> None:
    rng = np.random.default_rng(1)
    scores = rng.uniform(1, 5, size=40)
    mapped, spread = scores + 0.5 * rng.normal(size=40), rng.uniform(0.2, 1.2, size=40)
    number = rng.integers(5, 40, size=40)
    total = 0.0
    for m, s, sd, k in zip(mapped, scores, spread, number):
        half = scipy.stats.t.ppf(0.975, k - 1) * sd / math.sqrt(k)
        total += max(0.0, abs(m - s) - half) ** 2
    assert rmse_star(mapped, scores, spread, number) == pytest.approx(math.sqrt(total / (40 - 4)), rel=1e-12)
    assert rmse_star(mapped, scores, spread, number, parameters=1) == pytest.approx(math.sqrt(total / 39), rel=1e-12)


def test_rmse_star_of_exact_scores_is_the_rmse_and_within_the_noise_it_is_zero() -> None:
    rng = np.random.default_rng(2)
    scores = rng.normal(size=30)
    mapped = scores + 0.1 * rng.normal(size=30)
    plain = math.sqrt(np.sum((mapped - scores) ** 2) / 26)
    assert rmse_star(mapped, scores, np.zeros(30), 10) == pytest.approx(plain, rel=1e-12)
    assert rmse_star(mapped, scores, np.full(30, 5.0), 10) == 0.0
    assert rmse_star(mapped[:4], scores[:4], np.zeros(4), 10) is None


@pytest.mark.parametrize(("spread", "number", "said"), [
    ([-1.0, 1.0], 5, "from 0 up"), ([1.0, 1.0], 0, "at least one rating"), ([1.0], 5, "one of each"),
])
def test_bad_ratings(spread: list[float], number: int, said: str) -> None:
    with pytest.raises(InputError, match=said):
        noise_limit([1.0, 2.0], spread, number)
    with pytest.raises(InputError, match=said):
        rmse_star([1.0, 2.0], [1.0, 2.0], spread, number)


def test_rmse_star_needs_every_spread() -> None:
    with pytest.raises(InputError, match="unknown for 1 of 2 images"):
        rmse_star([1.0, 2.0], [1.0, 2.0], [1.0, math.nan], 5, parameters=1)
    with pytest.raises(InputError, match="below two for 2"):
        rmse_star([1.0, 2.0], [1.0, 2.0], [1.0, 1.0], 1, parameters=1)
