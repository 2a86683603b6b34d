"""Correlations and errors against scipy and against their definitions written as plain loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from ssliqa_bench.errors import InputError
from ssliqa_bench.evaluation.correlations import krcc, mae, plcc, rmse, srcc

_TIED = st.lists(st.tuples(st.integers(-4, 4), st.integers(-4, 4)), min_size=2, max_size=30)


def _columns(rows: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    table = np.array(rows, dtype=np.float64)
    return table[:, 0], table[:, 1]


def _pearson_by_loop(x: list[float], y: list[float]) -> float:
    mean_x, mean_y = math.fsum(x) / len(x), math.fsum(y) / len(y)
    products = math.fsum((a - mean_x) * (b - mean_y) for a, b in zip(x, y))
    squares = math.fsum((a - mean_x) ** 2 for a in x) * math.fsum((b - mean_y) ** 2 for b in y)
    return products / math.sqrt(squares)


def _ranks_by_loop(x: list[float]) -> list[float]:
    return [sum(b < a for b in x) + (sum(b == a for b in x) + 1) / 2 for a in x]


def _tau_b_by_loop(x: list[float], y: list[float]) -> float:
    pairs = [(np.sign(x[i] - x[j]), np.sign(y[i] - y[j])) for i in range(len(x)) for j in range(i)]
    return sum(a * b for a, b in pairs) / math.sqrt(sum(a != 0 for a, _ in pairs) * sum(b != 0 for _, b in pairs))


@given(_TIED)
def test_tied_values_against_plain_loops(rows: list[tuple[int, int]]) -> None:
    x, y = _columns(rows)
    if x.min() == x.max() or y.min() == y.max():
        assert srcc(x, y) is krcc(x, y) is plcc(x, y) is None
        return
    a, b = x.tolist(), y.tolist()
    assert plcc(x, y) == pytest.approx(_pearson_by_loop(a, b), abs=1e-12)
    assert srcc(x, y) == pytest.approx(_pearson_by_loop(_ranks_by_loop(a), _ranks_by_loop(b)), abs=1e-12)
    assert krcc(x, y) == pytest.approx(_tau_b_by_loop(a, b), abs=1e-12)
    assert rmse(x, y) == pytest.approx(math.sqrt(sum((p - q) ** 2 for p, q in zip(a, b)) / len(a)), rel=1e-12)
    assert mae(x, y) == pytest.approx(sum(abs(p - q) for p, q in zip(a, b)) / len(a), rel=1e-12)


@pytest.mark.parametrize("n", [3, 10, 1000])
@pytest.mark.parametrize("decimals", [0, 1, 12])
def test_against_scipy(n: int, decimals: int) -> None:
    rng = np.random.default_rng(n)
    x = np.round(rng.normal(size=n), decimals) + np.arange(n) % 3
    y = np.round(x + rng.normal(size=n), decimals) + np.arange(n) % 3
    assert srcc(x, y) == pytest.approx(scipy.stats.spearmanr(x, y).statistic, abs=1e-12)
    assert krcc(x, y) == pytest.approx(scipy.stats.kendalltau(x, y).statistic, abs=1e-12)
    assert plcc(x, y) == pytest.approx(scipy.stats.pearsonr(x, y).statistic, abs=1e-12)


@given(st.lists(st.tuples(st.integers(-1000, 1000), st.integers(-20, 20)), min_size=2, max_size=40))
def test_an_increasing_map_changes_no_rank_correlation(rows: list[tuple[int, int]]) -> None:
    x, y = _columns(rows)
    for mapped in (np.exp(x / 100), x**3, 1e-200 * x - 7e-198, np.arctan(x / 50)):  # no two values merge
        assert srcc(mapped, y) == srcc(x, y)
        assert krcc(mapped, y) == krcc(x, y)


def test_the_sign_is_kept() -> None:
    x = np.arange(9.0)
    assert srcc(x, -x) == krcc(x, -x) == plcc(x, -x) == -1.0
    assert srcc(x, x**3) == krcc(x, x**3) == 1.0


@pytest.mark.parametrize("scale", [1e-310, 1e-160, 1.0, 1e160, 1.7e308])
def test_size_does_not_matter(scale: float) -> None:
    x = np.array([-1.0, -0.5, 0.0, 0.25, 1.0])
    y = np.array([0.0, 2.0, 1.0, 3.0, 5.0])
    assert plcc(x * scale, y) == pytest.approx(plcc(x, y), rel=1e-9)


def test_an_offset_costs_no_digits() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=500)
    y = x + rng.normal(size=500)
    assert plcc(x + 1e4, y) == pytest.approx(plcc(x, y), rel=1e-11)


def test_errors_beyond_the_largest_float_are_undefined() -> None:
    assert rmse([1.7e308, 1.7e308], [-1.7e308, -1.7e308]) is None
    assert mae([1.7e308, 1.7e308], [-1.7e308, -1.7e308]) is None
    assert rmse([1e200, 0.0], [0.0, 0.0]) == pytest.approx(1e200 / math.sqrt(2))
    assert rmse([3.0], [3.0]) == mae([3.0], [3.0]) == 0.0


@pytest.mark.parametrize("function", [srcc, krcc, plcc, rmse, mae])
def test_bad_input(function: object) -> None:
    for pred, scores in (([1.0, 2.0], [1.0]), ([1.0, math.nan], [1.0, 2.0]), ([], [])):
        with pytest.raises(InputError):
            function(pred, scores)  # type: ignore[operator]
