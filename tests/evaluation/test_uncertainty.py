"""Intervals: against plain loops, over groups, seeded, invariant, none where nothing can be said."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import scipy.stats

from ssliqa_bench.errors import InputError
from ssliqa_bench.evaluation.constants import ANALYTIC_ABOVE, FEWEST_RESAMPLES, MINIMUM_GROUPS
from ssliqa_bench.evaluation.correlations import plcc, rmse
from ssliqa_bench.evaluation.mapping import fit_mapping
from ssliqa_bench.evaluation.resampling import Grouped
from ssliqa_bench.evaluation.uncertainty import NAMES, draw_figures, influence_values, intervals

Columns = tuple[np.ndarray, np.ndarray]


def _related(n: int, seed: int = 0, digits: int = 9) -> Columns:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    return np.round(x, digits), np.round(10 / (1 + np.exp(-2 * x)) + rng.normal(size=n), digits)


def _draws(data: Grouped, resamples: int, seed: int = 0) -> list[Columns]:
    return [data.expand(weights) for batch in data.draws(resamples, seed) for weights in batch]


_PLAIN: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "srcc": lambda x, y: scipy.stats.spearmanr(x, y).statistic,
    "krcc": lambda x, y: scipy.stats.kendalltau(x, y).statistic,
    "plcc_raw": lambda x, y: scipy.stats.pearsonr(x, y).statistic,
}


@pytest.mark.parametrize("digits", [9, 0], ids=["untied", "tied"])
@pytest.mark.parametrize("sizes", [None, [1, 4, 2, 7, 1]], ids=["images", "groups"])
def test_every_draw_agrees_with_a_plain_loop_over_scipy(digits: int, sizes: list[int] | None) -> None:
    x, y = _related(60, digits=digits)
    groups = None if sizes is None else np.repeat(np.arange(20), sizes * 4)
    data = Grouped.of(x, y, groups)
    found = draw_figures(data, "logistic4", 80, 0)
    draws = _draws(data, 80)
    for name, plain in _PLAIN.items():
        np.testing.assert_allclose(found[name], [plain(*draw) for draw in draws], atol=1e-10, rtol=0)


# A curve of five parameters has several optima; the nearest to that of all images need not be the best of a draw.
_KINDS = [("logistic4", 2e-4), ("logistic5", 2e-2), ("linear", 1e-10), ("none", 1e-10)]


@pytest.mark.parametrize(("kind", "within"), _KINDS)
@pytest.mark.parametrize("digits", [9, 0], ids=["untied", "tied"])
def test_the_mapping_is_fitted_again_in_every_draw(kind: str, within: float, digits: int) -> None:
    data = Grouped.of(*_related(120, digits=digits), None)
    found = draw_figures(data, kind, 40, 0)
    moved = []
    for k, (x, y) in enumerate(_draws(data, 40)):
        mapped = fit_mapping(x, y, kind=kind).apply(x)
        assert found["plcc_mapped"][k] == pytest.approx(plcc(mapped, y), abs=within)
        assert found["rmse_mapped"][k] == pytest.approx(rmse(mapped, y), rel=within)
        moved.append(abs(found["rmse_mapped"][k] / rmse(mapped, y) - 1))
    assert np.median(moved) < 1e-4


def test_five_parameters_have_fewer_draws() -> None:
    found = intervals(*_related(60), mapping="logistic5")
    assert {given["resamples"] for given in found.values() if given} == {FEWEST_RESAMPLES}


def test_many_images_are_pooled_for_the_fit_without_moving_it() -> None:
    data = Grouped.of(*_related(1500), None)
    found = draw_figures(data, "logistic4", 10, 0)
    for k, (x, y) in enumerate(_draws(data, 10)):
        assert found["rmse_mapped"][k] == pytest.approx(rmse(fit_mapping(x, y).apply(x), y), rel=5e-4)


def _shapes() -> dict[str, Columns]:
    rng = np.random.default_rng(2)
    x, noise = rng.normal(size=80), rng.normal(size=80)
    far = x.copy()
    far[0] = 1e6
    return {
        "line": (x, x + 0.5 * noise),
        "convex": (x, np.exp(x) + 0.5 * noise),
        "concave": (x, -np.exp(-x) + 0.5 * noise),
        "step": (x, (x > 0) + 0.3 * noise),
        "weak": (x, 0.2 * x + noise),
        "negative": (x, noise - x),
        "outlier": (far, np.tanh(x) + 0.2 * noise),
        "five levels": (np.round(x), np.round(x + noise)),
    }


@pytest.mark.parametrize("shape", _shapes())
def test_no_draw_is_worse_than_the_best_straight_line_and_the_spread_is_that_of_full_fits(shape: str) -> None:
    data = Grouped.of(*_shapes()[shape], None)
    found = draw_figures(data, "logistic4", 60, 0)
    lines = draw_figures(data, "linear", 60, 0)
    assert (found["rmse_mapped"] <= lines["rmse_mapped"] * (1 + 1e-9)).all()
    assert (np.isnan(found["plcc_mapped"]) | (found["plcc_mapped"] > 0)).all()
    full = [rmse(fit_mapping(x, y).apply(x), y) for x, y in _draws(data, 60)]
    assert np.std(np.log(found["rmse_mapped"])) == pytest.approx(np.std(np.log(full)), rel=0.1)  # type: ignore[arg-type]


def test_fields_order_and_seed() -> None:
    x, y = _related(80)
    found = intervals(x, y, resamples=200)
    assert tuple(found) == NAMES
    assert found == intervals(x, y, resamples=200)
    assert found != intervals(x, y, resamples=200, seed=1)
    mapped = fit_mapping(x, y).apply(x)
    values = {**{name: plain(x, y) for name, plain in _PLAIN.items()}, "plcc_mapped": plcc(mapped, y),
              "rmse_mapped": rmse(mapped, y)}
    for name, interval in found.items():
        assert interval is not None and interval["lo"] < values[name] < interval["hi"]
        assert {key: interval[key] for key in ("method", "units", "resamples")} == {
            "method": "bootstrap", "units": 80, "resamples": 200}


def test_width_agrees_with_the_normal_theory_of_pearson() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=400)
    y = x + rng.normal(size=400)
    found = intervals(x, y, resamples=600)["plcc_raw"]
    assert found is not None
    low, high = (math.tanh(math.atanh(_PLAIN["plcc_raw"](x, y)) + z / math.sqrt(400 - 3)) for z in (-1.96, 1.96))
    assert found["lo"] == pytest.approx(low, abs=0.02)
    assert found["hi"] == pytest.approx(high, abs=0.02)


def test_less_confidence_is_narrower() -> None:
    x, y = _related(60)
    wide, narrow = (intervals(x, y, resamples=100, confidence=confidence)["srcc"] for confidence in (0.95, 0.5))
    assert wide is not None and narrow is not None
    assert wide["lo"] < narrow["lo"] < narrow["hi"] < wide["hi"]


def test_copies_of_an_image_in_its_group_add_nothing() -> None:
    x, y = _related(60)
    once = intervals(x, y, resamples=100)
    groups = [f"photograph {k}" for k in range(60)]
    four = intervals(np.tile(x, 4), np.tile(y, 4), groups * 4, resamples=100)
    alone = intervals(np.tile(x, 4), np.tile(y, 4), resamples=100)
    for name in ("srcc", "plcc_raw", "rmse_mapped"):
        assert four[name] is not None and once[name] is not None and alone[name] is not None
        assert four[name]["units"] == 60  # type: ignore[index]
        assert four[name]["lo"] == pytest.approx(once[name]["lo"], rel=1e-4)  # type: ignore[index]
        assert alone[name]["lo"] > four[name]["lo"] or name == "rmse_mapped"  # type: ignore[index]


@pytest.mark.parametrize("n", [100, ANALYTIC_ABOVE + 1])
@pytest.mark.parametrize("digits", [9, 1], ids=["untied", "tied"])
def test_order_of_rows_names_of_groups_and_increasing_maps_change_nothing(n: int, digits: int) -> None:
    x, y = _related(n, digits=digits)
    rng = np.random.default_rng(1)
    groups = rng.integers(n // 3, size=n)
    found = intervals(x, y, groups.tolist(), resamples=50)
    turned, names = rng.permutation(n), rng.permutation(n // 3)
    again = intervals(x[turned], y[turned], [f"g{names[k]}" for k in groups[turned]], resamples=50)
    assert again == found
    mapped = intervals(np.exp(x), y, groups.tolist(), resamples=50)
    for name in ("srcc", "krcc"):
        assert mapped[name] == found[name]
    scaled = intervals(5 + 3 * x, y, groups.tolist(), resamples=50)
    for name, interval in found.items():
        assert interval is not None
        assert [scaled[name][end] for end in ("lo", "hi")] == pytest.approx(  # type: ignore[index]
            [interval["lo"], interval["hi"]], rel=1e-5)


@pytest.mark.parametrize("n", [2, 3, MINIMUM_GROUPS - 1])
def test_below_the_floor_of_groups_there_is_no_interval(n: int) -> None:
    x, y = _related(n)
    assert set(intervals(x, y).values()) == {None}
    assert set(intervals(np.arange(float(n)), np.arange(float(n))).values()) == {None}
    many, scores = _related(40 * n)
    assert set(intervals(many, scores, np.arange(40 * n) % n).values()) == {None}


def test_of_very_many_images_in_groups_there_are_fewer_draws() -> None:
    x, y = _related(40_000)
    found = intervals(x, y, np.arange(40_000) % 30, mapping="linear")
    assert {(given["method"], given["units"], given["resamples"]) for given in found.values() if given} == {
        ("bootstrap", 30, FEWEST_RESAMPLES)}
    assert intervals(x, y, np.arange(40_000) % 30, mapping="linear", resamples=20)["srcc"]["resamples"] == 20  # type: ignore[index]


@pytest.mark.parametrize("n", [50, ANALYTIC_ABOVE + 1])
def test_what_does_not_vary_or_is_undefined_has_no_interval(n: int) -> None:
    x, y = _related(n)
    assert {name for name, found in intervals(np.ones(n), y, resamples=50).items() if found} == {"rmse_mapped"}
    assert set(intervals(x, np.ones(n), resamples=50).values()) == {None}
    perfect = intervals(x, x, resamples=50)
    assert all(perfect[name] is None for name in ("srcc", "krcc", "plcc_raw"))
    negative = intervals(-x, y, resamples=50)
    assert negative["plcc_mapped"] is None
    assert negative["srcc"] is not None and negative["srcc"]["hi"] < 0


def test_a_figure_that_most_draws_do_not_define_has_no_interval() -> None:
    scores = np.zeros(60)
    scores[:1] = 1.0  # absent from more than a third of all draws
    assert intervals(np.arange(60.0), scores, resamples=200)["srcc"] is None


@pytest.mark.parametrize("grouped", [False, True], ids=["images", "groups"])
def test_influence_values_are_slopes_and_give_the_standard_error_of_the_draws(grouped: bool) -> None:
    x, y = _related(1200, digits=2)
    groups = np.random.default_rng(3).integers(200, size=1200) if grouped else None
    data = Grouped.of(x, y, groups)
    values, draws = influence_values(data, "logistic4"), draw_figures(data, "logistic4", 1000, 0)
    for name in NAMES:
        assert values[name].sum() == pytest.approx(0, abs=1e-8)
        scaled = np.log(draws[name]) if name == "rmse_mapped" else np.arctanh(draws[name])
        assert np.linalg.norm(data.sums(values[name])) / 1200 == pytest.approx(np.std(scaled), rel=0.08)
    # One image taken once more, in a sample of 400 copies of each.
    times = np.full(1200, 400)
    for name, plain in _PLAIN.items():
        more, less = times.copy(), times.copy()
        more[7] += 40
        less[7] -= 40
        ends = [np.arctanh(plain(np.repeat(data.x, t), np.repeat(data.y, t))) for t in (more, less)]
        assert values[name][7] == pytest.approx((ends[0] - ends[1]) / 80 * 400 * 1200, rel=1e-3, abs=1e-6)


@pytest.mark.parametrize(("wrong", "said"), [
    ({"resamples": 0}, "0 resamples"), ({"resamples": 10**12}, "1000000000000 resamples"),
    ({"confidence": 1.0}, "confidence 1.0"), ({"confidence": 0.0}, "confidence 0.0"),
    ({"mapping": "logistc4"}, "Did you mean 'logistic4'"), ({"groups": ["a"]}, "1 groups and 30 predictions"),
])
def test_bad_arguments(wrong: dict[str, object], said: str) -> None:
    x, y = _related(30)
    with pytest.raises(InputError, match=said):
        intervals(x, y, **wrong)  # type: ignore[arg-type]


def test_progress_ends_at_one() -> None:
    seen: list[float] = []
    intervals(*_related(3000), resamples=100, progress=seen.append)
    assert seen == sorted(seen) and seen[-1] == 1.0 and len(seen) > 2


def test_groups_may_have_any_hashable_name() -> None:
    x, y = _related(60)
    kinds: list[Sequence[object]] = [[("a", k // 2) for k in range(60)], [str(k // 2) for k in range(60)],
                                     np.arange(60) // 2]  # type: ignore[list-item]
    assert len({str(intervals(x, y, names, resamples=50)) for names in kinds}) == 1  # type: ignore[arg-type]
