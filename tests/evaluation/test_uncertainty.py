"""Bootstrap intervals: seeded, around the value, as wide as theory says."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ssliqa_bench.errors import InputError
from ssliqa_bench.evaluation.correlations import krcc, plcc, srcc
from ssliqa_bench.evaluation.uncertainty import bootstrap_intervals


def _related(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    return x, x + rng.normal(size=n)


def test_fields_order_and_seed() -> None:
    x, y = _related(80)
    ends = bootstrap_intervals(x, y, replicates=200)
    assert list(ends) == ["srcc_lo", "srcc_hi", "krcc_lo", "krcc_hi", "plcc_raw_lo", "plcc_raw_hi"]
    assert ends == bootstrap_intervals(x, y, replicates=200)
    assert ends != bootstrap_intervals(x, y, replicates=200, seed=1)
    for name, function in (("srcc", srcc), ("krcc", krcc), ("plcc_raw", plcc)):
        low, value, high = ends[f"{name}_lo"], function(x, y), ends[f"{name}_hi"]
        assert low is not None and high is not None and value is not None
        assert -1 <= low < value < high <= 1


def test_width_agrees_with_the_normal_theory_of_pearson() -> None:
    x, y = _related(400)
    ends = bootstrap_intervals(x, y, replicates=600)
    r = plcc(x, y)
    assert r is not None
    low, high = (math.tanh(math.atanh(r) + z / math.sqrt(400 - 3)) for z in (-1.96, 1.96))
    assert ends["plcc_raw_lo"] == pytest.approx(low, abs=0.02)
    assert ends["plcc_raw_hi"] == pytest.approx(high, abs=0.02)


def test_a_lower_level_is_narrower() -> None:
    x, y = _related(60)
    wide = bootstrap_intervals(x, y, replicates=100)
    narrow = bootstrap_intervals(x, y, replicates=100, level=0.5)
    assert wide["srcc_lo"] < narrow["srcc_lo"] < narrow["srcc_hi"] < wide["srcc_hi"]  # type: ignore[operator]


def test_undefined_replicates_leave_no_interval() -> None:
    ends = bootstrap_intervals(np.arange(6.0), np.ones(6), replicates=20)
    assert set(ends.values()) == {None}


@pytest.mark.parametrize("wrong", [{"replicates": 0}, {"level": 1.0}, {"level": 0.0}])
def test_bad_arguments(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match="Bootstrap"):
        bootstrap_intervals([1.0, 2.0], [1.0, 2.0], **wrong)  # type: ignore[arg-type]
