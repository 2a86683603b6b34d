"""SRCC by label: against plain subsets, None below the floor, weighted by size within parts."""

from __future__ import annotations

import json

import numpy as np
import pytest
import scipy.stats

from ssliqa_bench.errors import InputError
from ssliqa_bench.evaluation.breakdown import breakdown
from ssliqa_bench.evaluation.constants import MINIMUM_PART


def test_values_against_plain_subsets() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=90)
    y = x + rng.normal(size=90)
    kinds = np.array(["blur"] * 40 + ["noise"] * 30 + ["jpeg"] * (MINIMUM_PART - 1) + [""] * (21 - MINIMUM_PART))
    levels = [str(1 + k % 12) if k % 12 < 2 else "10" for k in range(90)]
    found = breakdown(x, y, {"distortion": kinds.tolist(), "level": levels})
    assert list(found) == ["distortion", "level"]
    assert list(found["level"]["values"]) == ["1", "2", "10"]
    kind = found["distortion"]
    expected = {name: scipy.stats.spearmanr(x[kinds == name], y[kinds == name]).statistic for name in ("blur", "noise")}
    assert kind["values"] == {
        "blur": {"n": 40, "srcc": pytest.approx(expected["blur"], abs=1e-12)},
        "jpeg": {"n": MINIMUM_PART - 1, "srcc": None},
        "noise": {"n": 30, "srcc": pytest.approx(expected["noise"], abs=1e-12)},
    }
    assert kind["within"] == pytest.approx((40 * expected["blur"] + 30 * expected["noise"]) / 70)
    assert (kind["n"], kind["unlabeled"]) == (70, 21 - MINIMUM_PART)
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_parts_that_are_ordered_well_within_and_badly_between() -> None:
    x = np.concatenate([np.arange(20.0), np.arange(20.0)])
    y = np.concatenate([np.arange(20.0), 1000 + np.arange(20.0)])
    part = breakdown(x, y, {"part": ["a"] * 20 + ["b"] * 20})["part"]
    assert part["within"] == 1.0
    assert scipy.stats.spearmanr(x, y).statistic < 0.9


def test_constant_parts_and_no_labels_at_all() -> None:
    x = np.arange(40.0)
    part = breakdown(x, np.where(x < 20, 1.0, x), {"part": ["a"] * 20 + ["b"] * 20})["part"]
    assert part["values"]["a"]["srcc"] is None and (part["within"], part["n"]) == (1.0, 20)
    empty = breakdown(x, x, {"part": [""] * 40})["part"]
    assert empty == {"values": {}, "within": None, "n": 0, "unlabeled": 40}


def test_one_label_per_image() -> None:
    with pytest.raises(InputError, match="part: got 2 labels and 3 predictions"):
        breakdown([1.0, 2.0, 3.0], [1.0, 2.0, 3.0], {"part": ["a", "b"]})
