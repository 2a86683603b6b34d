"""The mapping against generated curves with a known optimum, scipy from many starts, and what it promises."""

from __future__ import annotations

import dataclasses
import importlib.util
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ssliqa_bench.errors import InputError
from ssliqa_bench.evaluation.mapping import KINDS, fit_mapping
from ssliqa_bench.evaluation.metrics import evaluate


def _load_cases() -> ModuleType:
    path = Path(__file__).parents[2] / "benchmarks" / "speed" / "mapping.py"
    spec = importlib.util.spec_from_file_location("mapping_cases", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


cases = _load_cases()


@pytest.fixture(autouse=True)
def _warnings_are_errors() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))


# Known curves


@pytest.mark.parametrize("n", [5, 12, 400])
def test_a_logistic_curve_is_found_again(n: int) -> None:
    x = np.random.default_rng(n).normal(size=n)
    y = 20 + 60 * _sigmoid((x - 0.3) / 0.4)
    mapping = fit_mapping(x, y)
    assert mapping.status == "ok"
    assert mapping.params == pytest.approx({"b1": 80.0, "b2": 20.0, "b3": 0.3, "b4": 0.4}, rel=1e-6)
    assert _rms(mapping.apply(x) - y) < 1e-8


def test_a_noisy_curve_with_a_known_optimum() -> None:
    # The noise is orthogonal to every derivative of the curve, so the curve itself is the optimum.
    x = np.random.default_rng(0).normal(size=300)
    g = _sigmoid((x - 0.2) / 0.7)
    tangents = np.stack([np.ones_like(x), g, g * (1 - g), g * (1 - g) * (x - 0.2)], axis=1)
    noise = np.random.default_rng(1).normal(size=300)
    noise -= tangents @ np.linalg.lstsq(tangents, noise, rcond=None)[0]
    mapping = fit_mapping(x, 1 + 4 * g + 0.2 * noise)
    assert mapping.params == pytest.approx({"b1": 5.0, "b2": 1.0, "b3": 0.2, "b4": 0.7}, rel=1e-6)
    assert _rms(mapping.apply(x) - (1 + 4 * g + 0.2 * noise)) == pytest.approx(0.2 * _rms(noise), rel=1e-12)


def test_the_parameters_are_those_of_the_formula() -> None:
    rng = np.random.default_rng(2)
    x = 1e3 + 50 * rng.normal(size=200)
    y = 3 + 2 * np.tanh((x - 990) / 30) + 0.3 * rng.normal(size=200)
    new = np.linspace(700, 1300, 50)
    p = fit_mapping(x, y).params
    four = (p["b1"] - p["b2"]) / (1 + np.exp(-(new - p["b3"]) / p["b4"])) + p["b2"]
    assert fit_mapping(x, y).apply(new) == pytest.approx(four, rel=1e-9)
    q = fit_mapping(x, y + 0.01 * x, kind="logistic5").params
    five = q["b1"] * (0.5 - 1 / (1 + np.exp(q["b2"] * (new - q["b3"])))) + q["b4"] * new + q["b5"]
    assert fit_mapping(x, y + 0.01 * x, kind="logistic5").apply(new) == pytest.approx(five, rel=1e-9)


def test_a_straight_line() -> None:
    x = np.random.default_rng(3).uniform(2, 9, 50)
    for kind in ("logistic4", "logistic5", "linear"):
        mapping = fit_mapping(x, 4 * x - 7, kind=kind)
        assert mapping.status == "linear"
        assert mapping.params == pytest.approx({"slope": 4.0, "intercept": -7.0}, rel=1e-9)
        assert mapping.apply([0.0, 100.0]) == pytest.approx([-7.0, 393.0], rel=1e-9)


def test_a_step() -> None:
    x = np.random.default_rng(4).permutation(np.arange(30.0))
    mapping = fit_mapping(x, np.where(x > 11, 5.0, 2.0))
    assert mapping.status == "step"
    assert mapping.params == {"threshold": 11.5, "low": pytest.approx(2.0), "middle": pytest.approx(3.5),
                              "high": pytest.approx(5.0)}
    with_level = fit_mapping(x, np.where(x > 11, 5.0, np.where(x < 11, 2.0, 3.0)))
    assert with_level.status == "step"
    assert with_level.params == pytest.approx({"threshold": 11.0, "low": 2.0, "middle": 3.0, "high": 5.0})
    assert with_level.apply([10.9, 11.0, 11.1]) == pytest.approx([2.0, 3.0, 5.0])


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_an_exponential_curve(sign: float) -> None:
    x = np.random.default_rng(5).uniform(0, 3, 60)
    y = 10 + sign * 4 * np.exp(sign * (x - 3) / 0.8)
    mapping = fit_mapping(x, y)
    p = mapping.params
    assert mapping.status == "exponential"
    assert p["width"] == pytest.approx(sign * 0.8, rel=1e-5)
    assert p["base"] == pytest.approx(10.0, rel=1e-5)
    assert p["base"] + p["rise"] * np.exp((x - p["anchor"]) / p["width"]) == pytest.approx(y, rel=1e-6)


@pytest.mark.parametrize("kind", ["logistic4", "logistic5", "linear"])
def test_a_decreasing_relation_is_flat(kind: str) -> None:
    x = np.linspace(-1, 1, 25)
    for y in (-x, np.exp(-3 * x), -np.sign(x), 7 - np.tanh(5 * x)):
        mapping = fit_mapping(x, y, kind=kind)
        assert mapping.status == "flat"
        assert mapping.params == pytest.approx({"level": np.mean(y)}, abs=1e-12)
        assert _rms(mapping.apply(x) - y) == pytest.approx(np.std(y))


def test_the_five_parameter_curve_finds_a_logistic_on_a_line() -> None:
    rng = np.random.default_rng(6)
    x = rng.normal(size=150)
    for rise in (3.0, -0.9):
        y = rise * (_sigmoid((x - 0.1) / 0.3) - 0.5) + 1.0 * x + 2.0
        mapping = fit_mapping(x, y, kind="logistic5")
        assert mapping.status == "ok"
        assert mapping.params == pytest.approx({"b1": rise, "b2": 1 / 0.3, "b3": 0.1, "b4": 1.0, "b5": 2.0}, rel=1e-4)
        assert np.diff(mapping.apply(np.linspace(-9, 9, 999))).min() >= 0


def test_none_is_the_identity() -> None:
    mapping = fit_mapping([1.0, 2.0], [3.0, 1.0], kind="none")
    assert (mapping.status, mapping.params) == ("none", {})
    assert mapping.apply([[5.0], [6.0]]).tolist() == [[5.0], [6.0]]


def test_refused_input() -> None:
    for pred, scores in (([1.0] * 4, [1.0] * 4), ([1.0] * 5, [1.0] * 6), ([1.0] * 5, [np.nan] * 5)):
        with pytest.raises(InputError):
            fit_mapping(pred, scores)
    with pytest.raises(InputError, match="Did you mean 'logistic4'"):
        fit_mapping([1.0] * 5, [1.0] * 5, kind="logistic_4")
    with pytest.raises(dataclasses.FrozenInstanceError):
        fit_mapping([1.0] * 5, [1.0] * 5).status = "ok"  # type: ignore[misc]


def test_a_hill_narrower_than_the_gaps_is_found_in_any_units() -> None:
    # Two hills of nearly one height: the grid once saw the narrow one in some units only.
    x = np.array([-43, -43, -41, -40, -27, -24, -2, 4, 5, 28, 31, 32.0])
    y = np.array([-32, -15, -6, -13, 9, -13, -1, 21, 30, 33, 43, 47.0])
    for pred in (x, 1.6e-6 * (x - 29289.25)):
        assert cases.error_share(fit_mapping(pred, y), pred, y) == pytest.approx(0.137443812207, rel=1e-9)


@pytest.mark.parametrize("seed", [150, 161, 269, 492, 2745])
def test_a_width_that_clusters_hardly_settle(seed: int) -> None:
    # Ridges on which a climb once stopped short of what scipy finds.
    assert not cases.complaints(cases.make_case(seed))[0]


# Random cases, the same as in benchmarks/speed/mapping.py


@pytest.mark.parametrize("block", range(10))
def test_the_optimum_against_scipy(block: int) -> None:
    said = []
    for seed in range(50 * block, 50 * (block + 1)):
        case = cases.make_case(seed, largest=2000 if seed % 50 == 0 else 80)
        said += [f"case {seed}: {text}" for text in cases.complaints(case)[0]]
    assert not said


@pytest.mark.parametrize("block", range(4))
def test_every_case_is_mapped_upwards(block: int) -> None:
    said = []
    for seed in range(10_000 + 150 * block, 10_000 + 150 * (block + 1)):
        said += [f"case {seed}: {text}" for text in cases.complaints(cases.make_case(seed), reference=False)[0]]
    assert not said


@pytest.mark.slow
@pytest.mark.timeout(1800)  # minutes of computing; the usual limit is for tests that hang
def test_ten_thousand_cases_are_mapped_upwards() -> None:
    said = []
    for seed in range(10_000):
        said += [f"case {seed}: {text}" for text in cases.complaints(cases.make_case(seed), reference=False)[0]]
    assert not said


def test_the_sign_of_the_relation_is_reported() -> None:
    for seed in range(200):
        case = cases.make_case(seed, largest=200)
        result = evaluate(case.pred, case.scores)
        assert (result["plcc_mapped"] is None) == (result["mapping"] == "flat" or case.shape == "constant")
        assert result["plcc_mapped"] is None or result["plcc_mapped"] > 0
        if result["srcc"] == -1.0:
            assert result["mapping"] == "flat"
            assert result["krcc"] == pytest.approx(-1.0)
            assert result["plcc_raw"] < 0


# Drawn input


_VALUE = st.integers(-50, 50).map(float)
_ROWS = st.lists(st.tuples(_VALUE, _VALUE), min_size=5, max_size=14)


@settings(max_examples=40)
@given(_ROWS)
def test_drawn_rows_against_scipy(rows: list[tuple[float, float]]) -> None:
    table = np.array(rows)
    case = cases.Case("drawn", "drawn", False, 0.0, table[:, 0], table[:, 1])
    assert not cases.complaints(case)[0]


@settings(max_examples=80)
@given(_ROWS, st.floats(-12, 12), st.floats(-1e4, 1e4))
def test_an_affine_change_of_the_predictions_changes_no_metric(rows: list[tuple[float, float]], power: float,
                                                               offset: float) -> None:
    pred, scores = np.array(rows).T
    changed = 10.0**power * (pred + offset * pred.std())
    before, after = evaluate(pred, scores), evaluate(changed, scores)
    for name in ("srcc", "krcc", "plcc_mapped"):
        assert after[name] == (None if before[name] is None else pytest.approx(before[name], rel=1e-9, abs=0.0))
    assert after["rmse_mapped"] == pytest.approx(before["rmse_mapped"], rel=1e-9, abs=1e-9 * scores.std())


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.floats(-12, 12), st.floats(-1e4, 1e4))
def test_an_affine_change_of_many_predictions(seed: int, power: float, offset: float) -> None:
    case = cases.make_case(seed, largest=400)
    with np.errstate(over="ignore"):
        spread = case.pred.std()
    assume(1e-100 < spread < 1e100)
    # Steps of 1e-3 keep the predictions apart after the offset took its digits.
    pred = np.round((case.pred - np.median(case.pred)) / spread, 3)
    assume(pred.std() > 0.1)
    changed = 10.0**power * (pred + offset * pred.std())
    before, after = evaluate(pred, case.scores), evaluate(changed, case.scores)
    for name in ("srcc", "krcc", "plcc_mapped"):
        assert after[name] == (None if before[name] is None else pytest.approx(before[name], rel=1e-9, abs=0.0))
    assert after["rmse_mapped"] == pytest.approx(before["rmse_mapped"], rel=1e-9, abs=1e-9 * case.scores.std())


@settings(max_examples=100)
@given(st.lists(st.tuples(st.floats(allow_nan=False, allow_infinity=False),
                          st.floats(allow_nan=False, allow_infinity=False)), min_size=5, max_size=12),
       st.sampled_from(KINDS))
def test_no_finite_input_raises(rows: list[tuple[float, float]], kind: str) -> None:
    pred, scores = np.array(rows).T
    mapping = fit_mapping(pred, scores, kind=kind)
    mapped = mapping.apply(pred)
    assert np.isfinite(mapped).all()
    assert (mapping.status == "none") == (kind == "none")


@pytest.mark.parametrize("kind", ["logistic4", "logistic5"])
def test_predictions_at_the_ends_of_float64(kind: str) -> None:
    y = np.array([1.0, 2.0, 2.5, 4.0, 6.0, 6.5])
    for x in (np.array([-1.7e308, -1.0, 0.0, 1e-300, 1.0, 1.7e308]), np.arange(6) * 5e-324,
              np.array([0.0, 1e-9, 1.0, 1e9, 1e150, 1e300])):
        result = evaluate(x, y, mapping=kind)
        assert result["srcc"] == pytest.approx(1.0)
        assert result["plcc_mapped"] > 0.8
