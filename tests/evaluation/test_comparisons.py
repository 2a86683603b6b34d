"""Comparisons of two methods: closed forms of the t-tests, Holm step by step, draws against plain loops, verdicts."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats

from ssliqa_bench.errors import InputError
from ssliqa_bench.evaluation.comparisons import Comparison, compare_fixed, compare_splits, holm, mean_correlation
from ssliqa_bench.evaluation.constants import ANALYTIC_ABOVE, EQUIVALENCE_MARGIN, MINIMUM_GROUPS, MINIMUM_SPLITS
from ssliqa_bench.evaluation.resampling import Groups, arrange


def test_the_corrected_t_test_in_closed_form() -> None:
    differences = np.array([0.03, 0.01, 0.02, 0.05, -0.01, 0.02, 0.04, 0.01])
    found = compare_splits(differences, 0.2)
    error = math.sqrt((1 / 8 + 0.25) * np.var(differences, ddof=1))
    assert found.error == pytest.approx(error, rel=1e-12)
    assert found.mean == pytest.approx(np.mean(differences), rel=1e-12)
    low, high = scipy.stats.t.interval(0.95, 7, loc=np.mean(differences), scale=error)
    assert (found.lo, found.hi) == (pytest.approx(low, rel=1e-10), pytest.approx(high, rel=1e-10))
    assert found.p == pytest.approx(2 * scipy.stats.t.sf(np.mean(differences) / error, 7), rel=1e-10)
    assert (found.n, found.degrees) == (8, 7)


def test_without_overlap_it_is_the_usual_t_test() -> None:
    differences = np.random.default_rng(0).normal(0.01, 0.02, size=12)
    found = compare_splits(differences, 1e-12)
    usual = scipy.stats.ttest_1samp(differences, 0.0)
    assert found.p == pytest.approx(usual.pvalue, rel=1e-8)
    low, high = usual.confidence_interval(0.95)
    assert (found.lo, found.hi) == (pytest.approx(low, rel=1e-8), pytest.approx(high, rel=1e-8))


def test_more_splits_cannot_take_the_interval_below_what_overlap_leaves() -> None:
    rng = np.random.default_rng(1)
    for n in (10, 1000):
        differences = rng.normal(size=n)
        found = compare_splits(differences, 0.2)
        assert found.error is not None and found.error > np.std(differences, ddof=1) * math.sqrt(0.25)


@pytest.mark.parametrize(("differences", "verdict"), [
    ([0.05, 0.06, 0.055, 0.05, 0.06], "better"),
    ([-0.05, -0.06, -0.055, -0.05, -0.06], "worse"),
    ([0.001, -0.001, 0.0005, 0.0, -0.0005], "equivalent"),
    ([0.05, -0.04, 0.03, -0.06, 0.01], "not distinguished"),
    ([0.0] * 5, "equivalent"),
    ([0.02] * 5, "better"),
    ([0.5] * (MINIMUM_SPLITS - 1), "not distinguished"),
])
def test_verdicts(differences: list[float], verdict: str) -> None:
    found = compare_splits(differences, 0.2)
    assert found.verdict == verdict
    mirrored = compare_splits([-value for value in differences], 0.2)
    assert mirrored.verdict == {"better": "worse", "worse": "better"}.get(verdict, verdict)
    assert mirrored.p == found.p
    if found.lo is not None and found.hi is not None:
        assert (found.lo > 0, found.hi < 0) == (verdict == "better", verdict == "worse")
    assert (found.p is None) == (len(differences) < MINIMUM_SPLITS)


def test_equivalence_is_two_one_sided_tests_against_the_margin() -> None:
    differences = np.array([0.004, -0.004, 0.002, -0.001, 0.003])
    error = compare_splits(differences, 0.2).error
    assert error is not None
    mean = float(np.mean(differences))
    for margin in (0.003, 0.006, 0.009, 0.012, 0.02):
        largest = max(scipy.stats.t.sf((mean + margin) / error, 4), scipy.stats.t.sf((margin - mean) / error, 4))
        expected = "equivalent" if largest < 0.05 else "not distinguished"
        assert compare_splits(differences, 0.2, margin=margin).verdict == expected
    assert compare_splits(differences, 0.2).margin == EQUIVALENCE_MARGIN == 0.01


@pytest.mark.parametrize(("differences", "fraction", "more", "said"), [
    ([], 0.2, {}, "one finite difference per split"), ([0.1, math.nan, 0.2], 0.2, {}, "one finite difference"),
    ([0.1, 0.2, 0.3], 0.0, {}, "test fraction 0.0"), ([0.1, 0.2, 0.3], 1.0, {}, "test fraction 1.0"),
    ([0.1, 0.2, 0.3], 0.2, {"margin": -1.0}, "margin -1.0"), ([0.1, 0.2, 0.3], 0.2, {"confidence": 1.0}, "confidence"),
])
def test_bad_arguments_over_splits(differences: list[float], fraction: float, more: dict[str, float],
                                   said: str) -> None:
    with pytest.raises(InputError, match=said):
        compare_splits(differences, fraction, **more)


def _with_p(p: float | None, mean: float = 0.1) -> Comparison:
    error = None if p is None else mean / scipy.stats.t.isf(p / 2, 9)
    return Comparison(mean, None if p is None else mean - 1, None if p is None else mean + 1, p, 10,
                      "not distinguished" if p is None or p > 0.05 else "better", error, 9.0, 0.01, 0.95)


def test_holm_step_by_step() -> None:
    # Sorted 0.005, 0.01, 0.03, 0.04: times 4, 3, 2, 1 is 0.02, 0.03, 0.06, 0.04, and no value below the one before.
    found = holm({"a": _with_p(0.01), "b": _with_p(0.04), "c": _with_p(0.03), "d": _with_p(0.005)})
    assert {name: round(comparison.p or 0, 12) for name, comparison in found.items()} == {
        "a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02}
    assert {name: comparison.verdict for name, comparison in found.items()} == {
        "a": "better", "b": "not distinguished", "c": "not distinguished", "d": "better"}
    assert list(found) == ["a", "b", "c", "d"]
    assert found["a"].lo == _with_p(0.01).lo


def test_holm_counts_what_was_declared_and_leaves_what_is_not_known() -> None:
    family = {"a": _with_p(0.02), "b": _with_p(None)}
    assert holm(family)["a"].p == pytest.approx(0.04)
    assert holm(family)["b"] == family["b"]
    assert holm(family, declared=5)["a"].p == pytest.approx(0.1)
    assert holm({"a": _with_p(0.6), "b": _with_p(0.7)})["b"].p == 1.0
    assert holm({}) == {}
    with pytest.raises(InputError, match="got 2, but 1 declared"):
        holm(family, declared=1)


def _methods(n: int = 120, seeds: int = 1, gap: float = 0.5) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    scores = rng.normal(size=n)
    return (scores + 0.3 * rng.normal(size=(seeds, n)), scores + (0.3 + gap) * rng.normal(size=(seeds, n)), scores)


def _plain(a: np.ndarray, b: np.ndarray, scores: np.ndarray) -> float:
    return float(scipy.stats.spearmanr(a, scores).statistic - scipy.stats.spearmanr(b, scores).statistic)


def test_a_fixed_test_part_against_a_plain_loop_over_the_same_draws() -> None:
    (a,), (b,), scores = _methods()
    names = np.arange(120) // 3
    found = compare_fixed(a, b, scores, names.tolist(), resamples=100)
    order, groups = arrange([scores, a, b], names.tolist())
    assert isinstance(groups, Groups)
    drawn = [np.repeat(order, weights) for batch in groups.draws(100, 0) for weights in batch]
    for rows in drawn[:10]:
        assert {int(count) for count in np.bincount(names[rows], minlength=40)} <= {0, 3, 6, 9, 12, 15, 18}
    error = np.std([_plain(a[rows], b[rows], scores[rows]) for rows in drawn], ddof=1)
    assert found.error == pytest.approx(error, abs=1e-10)
    assert found.mean == pytest.approx(_plain(a, b, scores), abs=1e-12)
    low, high = scipy.stats.t.interval(0.95, 39, loc=found.mean, scale=error)
    assert (found.lo, found.hi) == (pytest.approx(low, abs=1e-10), pytest.approx(high, abs=1e-10))
    assert (found.n, found.seeds, found.seed_spread, found.resamples) == (40, 1, None, 100)
    assert found.verdict == "better"


def test_pairing_makes_the_interval_narrower() -> None:
    (a,), _, scores = _methods()
    alike = a + 0.02 * np.random.default_rng(0).normal(size=len(a))
    turned = np.random.default_rng(1).permutation(a)
    paired, unlike = (compare_fixed(a, other, scores, resamples=100) for other in (alike, turned))
    assert paired.error is not None and unlike.error is not None
    assert paired.error < unlike.error / 5
    assert compare_fixed(a, a, scores, resamples=100).verdict == "equivalent"


def test_the_spread_over_training_seeds_is_added() -> None:
    a, b, scores = _methods(seeds=4)
    found = compare_fixed(a, b, scores, resamples=200)
    gaps = [_plain(x, y, scores) for x, y in zip(a, b)]
    assert found.mean == pytest.approx(np.mean(gaps), abs=1e-12)
    assert found.seed_spread == pytest.approx(np.std(gaps, ddof=1))
    training = np.std(gaps, ddof=1) / 2
    assert found.error is not None and found.error > training
    sampling = math.sqrt(found.error**2 - training**2)
    expected = found.error**4 / (sampling**4 / 119 + training**4 / 3)
    assert found.degrees == pytest.approx(expected, rel=1e-6)
    assert (found.seeds, found.n) == (4, 120)


@pytest.mark.parametrize("n", [90, ANALYTIC_ABOVE + 1])
def test_order_names_and_sides(n: int) -> None:
    (a,), (b,), scores = _methods(n)
    names = (np.arange(n) % (n // 3)).tolist()
    found = compare_fixed(a, b, scores, names, resamples=50)
    turned = np.random.default_rng(0).permutation(n)
    assert compare_fixed(a[turned], b[turned], scores[turned], [f"g{names[k]}" for k in turned], resamples=50) == found
    assert compare_fixed(np.exp(a), b, scores, names, resamples=50).lo == found.lo
    other = compare_fixed(b, a, scores, names, resamples=50)
    assert other.mean == -found.mean and other.verdict == "worse"


def test_influence_values_agree_with_the_draws() -> None:
    (a,), (b,), scores = _methods(ANALYTIC_ABOVE + 1)
    many = compare_fixed(a, b, scores)
    few = slice(0, ANALYTIC_ABOVE)
    drawn = compare_fixed(a[few], b[few], scores[few], resamples=300)
    assert (many.resamples, drawn.resamples) == (0, 300)
    assert many.error == pytest.approx(drawn.error, rel=0.15)


def test_below_the_floor_of_groups_nothing_is_distinguished() -> None:
    (a,), (b,), scores = _methods()
    found = compare_fixed(a, -b, scores, (np.arange(120) % (MINIMUM_GROUPS - 1)).tolist())
    assert (found.lo, found.hi, found.p, found.verdict) == (None, None, None, "not distinguished")


@pytest.mark.parametrize(("change", "said"), [
    ({"pred_b": np.zeros(119)}, "shapes"), ({"pred_b": np.zeros(120)}, "all equal"), ({"groups": ["x"]}, "1 groups"),
    ({"pred_a": np.full(120, np.nan)}, "not finite"), ({"resamples": 0}, "0 resamples"), ({"margin": -0.1}, "margin"),
])
def test_bad_arguments_on_a_fixed_part(change: dict[str, object], said: str) -> None:
    (a,), (b,), scores = _methods()
    with pytest.raises(InputError, match=said):
        compare_fixed(**{"pred_a": a, "pred_b": b, "scores": scores, **change})  # type: ignore[arg-type]


def test_the_interval_of_a_mean_correlation_is_laid_out_in_z() -> None:
    values, fraction = [0.91, 0.95, 0.97, 0.99, 0.93], 0.2
    z = np.arctanh(values)
    reach = scipy.stats.t.ppf(0.975, 4) * np.sqrt((1 / 5 + fraction / (1 - fraction)) * np.var(z, ddof=1))
    lo, hi = mean_correlation(values, fraction) or (0.0, 0.0)
    assert (np.arctanh(lo) + np.arctanh(hi)) / 2 == pytest.approx(np.arctanh(np.mean(values)))
    assert (np.arctanh(hi) - np.arctanh(lo)) / 2 == pytest.approx(reach) and hi < 1
    assert mean_correlation([0.9, 1.0, 0.8], fraction) is None and mean_correlation([0.9, 0.8], fraction) is None
