"""Scores to levels and back, against the rules written out."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssliqa_bench.errors import InputError
from ssliqa_bench.methods.matching.levels import (
    coordinate,
    encoded,
    expected_level,
    levels_of,
    logit_shift,
    quality_of,
)
from ssliqa_bench.training.images import LabeledSet


def labeled(made: ModuleType, scores: list[float], shares: Any = None) -> LabeledSet:
    source = made.noise(len(scores))
    distribution = None if shares is None else np.array(shares, dtype=float)
    return LabeledSet(made.image_set(source), np.array(scores, dtype=float), distribution)


def test_bins_of_equal_width_are_half_open_and_the_top_one_is_closed(made: ModuleType) -> None:
    scores = [mos / 100 for mos in (0, 19.9, 20, 40, 60, 79.9, 80, 100)]
    assert levels_of(labeled(made, scores), 5, "equal_width").tolist() == [0, 0, 1, 2, 3, 3, 4, 4]
    assert levels_of(labeled(made, [-0.5, 1.5]), 5, "equal_width").tolist() == [0, 4]


@given(st.integers(2, 9), st.integers(0, 400))
def test_an_edge_belongs_to_the_level_above_it(levels: int, score: int) -> None:
    made = _Made()
    found = levels_of(labeled(made, [score / 400, 0.0, 1.0]), levels, "equal_width")  # type: ignore[arg-type]
    assert found[0] == min(levels - 1, levels * score // 400)


class _Made:
    """Sets without pictures."""

    @staticmethod
    def noise(n: int) -> int:
        return n

    @staticmethod
    def image_set(n: int) -> list[int]:
        return list(range(n))


def test_nearest_points_with_ties_to_the_lower_one(made: ModuleType) -> None:
    scores = [0, 0.12, 0.125, 0.13, 0.375, 0.875, 0.876, 1]
    assert levels_of(labeled(made, scores), 5, "nearest").tolist() == [0, 0, 0, 1, 1, 3, 4, 4]


def test_the_most_frequent_rating_with_ties_to_the_lower_one(made: ModuleType) -> None:
    shares = [[0.1, 0.4, 0.4, 0.1, 0], [0, 0, 0, 0.3, 0.7], [0.2] * 5]
    assert levels_of(labeled(made, [0.5] * 3, shares), 5, "mode").tolist() == [1, 4, 0]


@pytest.mark.parametrize("rule", ["equal_width", "nearest", "mode"])
def test_the_coordinate_is_inverted_by_the_score(rule: str) -> None:
    scores = np.linspace(0, 1, 21)
    np.testing.assert_allclose(quality_of(coordinate(scores, 5, rule), 5, rule), scores, atol=1e-12)


def test_the_example_of_an_expectation() -> None:
    expectation = expected_level(np.array([[0, 0.1, 0.6, 0.3, 0]]))
    assert expectation[0] == pytest.approx(2.2)
    assert 100 * quality_of(expectation, 5, "equal_width")[0] == pytest.approx(54)


def test_two_hot_targets_have_the_score_as_their_mean(made: ModuleType) -> None:
    scores = [0.0, 0.05, 0.33, 0.5, 0.81, 1.0]
    data = labeled(made, scores)
    own = levels_of(data, 5, "equal_width")
    shares = encoded(data, own, 5, "equal_width", "two_hot")
    np.testing.assert_allclose(shares.sum(1), 1)
    assert ((shares > 0).sum(1) <= 2).all()
    np.testing.assert_allclose(expected_level(shares), [min(4, max(0, 5 * s - 0.5)) for s in scores], atol=1e-12)
    assert encoded(data, own, 5, "equal_width", "hard").argmax(1).tolist() == own.tolist()


def test_ratings_as_targets(made: ModuleType) -> None:
    shares = [[0.1, 0.4, 0.5], [0.6, 0.2, 0.2]]
    data = labeled(made, [0.9, 0.2], shares)
    np.testing.assert_array_equal(encoded(data, np.array([2, 0]), 3, "mode", "rating_histogram"), shares)


def test_logit_adjustment_adds_log_frequencies() -> None:
    shift = logit_shift(np.array([0, 0, 0, 2]), 3, 2.0)
    assert shift is not None
    np.testing.assert_allclose(shift, [2 * math.log(n / 7) for n in (4, 1, 2)], rtol=1e-6)
    assert logit_shift(np.array([0, 1]), 2, 0.0) is None


@pytest.mark.parametrize(
    ("levels", "rule", "scores", "shares", "said"),
    [
        (1, "equal_width", [0.1, 0.9], None, "levels: got 1; expected 2 or more"),
        (5, "equal_width", [0.5, 0.55], None, "All 2 labeled images are of level 2"),
        (5, "quantile", [0.1, 0.9], None, 'label_rule: got "quantile"; expected equal_width, nearest, mode'),
        (5, "mode", [0.1, 0.9], None, "no rating distribution"),
        (4, "mode", [0.1, 0.9], [[1, 0, 0, 0, 0]] * 2, "levels: got 4; expected 5"),
    ],
)
def test_bad_levels_are_said(
    made: ModuleType, levels: int, rule: str, scores: list[float], shares: Any, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        levels_of(labeled(made, scores, shares), levels, rule)


def test_an_unknown_encoding_is_said(made: ModuleType) -> None:
    with pytest.raises(InputError, match='label_encoding: got "soft"; expected hard, two_hot, rating_histogram'):
        encoded(labeled(made, [0.1, 0.9]), np.array([0, 4]), 5, "equal_width", "soft")
