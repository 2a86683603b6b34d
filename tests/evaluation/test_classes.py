"""Metrics of classes against scikit-learn, against the constant prediction of KOKA10K, and where they are undefined."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, cohen_kappa_score, confusion_matrix

from ssliqa_bench.evaluation.classes import (
    accuracy,
    confusion,
    kappa_quadratic,
    mae_argmax,
    mae_macro,
    mae_of,
)
from ssliqa_bench.evaluation.metrics import evaluate

# Test images per class, Table 1 of Dang et al.: 23, 139, 515, 347, 23.
TRUE = np.repeat(np.arange(5), [23, 139, 515, 347, 23])


@pytest.mark.parametrize("seed", range(3))
def test_they_are_scikit_learns(seed: int) -> None:
    pred = np.clip(TRUE + np.random.default_rng(seed).integers(-2, 3, len(TRUE)), 0, 4)
    assert accuracy(pred, TRUE) == pytest.approx(accuracy_score(TRUE, pred))
    assert kappa_quadratic(pred, TRUE) == pytest.approx(cohen_kappa_score(TRUE, pred, weights="quadratic"))
    np.testing.assert_array_equal(confusion(pred, TRUE, 5), confusion_matrix(TRUE, pred))
    by_class = [np.abs(pred - TRUE)[k == TRUE].mean() for k in range(5)]
    assert mae_macro(pred, TRUE) == pytest.approx(np.mean(by_class))
    assert mae_of(3)(pred, TRUE) == pytest.approx(by_class[3])
    assert mae_of(3, 4)(pred, TRUE) == pytest.approx((347 * by_class[3] + 23 * by_class[4]) / 370)


def test_always_predicting_class_2() -> None:
    pred = np.full(len(TRUE), 2)
    assert mae_argmax(pred, TRUE) == pytest.approx(0.552, abs=1e-3)
    assert accuracy(pred, TRUE) == pytest.approx(0.492, abs=1e-3)
    assert (mae_of(3)(pred, TRUE), mae_of(4)(pred, TRUE)) == (1, 2)
    assert mae_of(3, 4)(pred, TRUE) == pytest.approx(1.062, abs=1e-3)
    assert mae_macro(pred, TRUE) == pytest.approx(1.2)


def test_values_that_are_no_classes_have_none() -> None:
    for function in (accuracy, mae_argmax, mae_macro, kappa_quadratic, mae_of(3)):
        assert function([0.5, 1, 2], [1, 1, 2]) is None and function([1, 2], [-1, 2]) is None
    assert mae_of(4)([1, 2], [1, 2]) is None and kappa_quadratic([1, 1], [1, 1]) is None
    with pytest.raises(ValueError, match="must hold classes"):
        confusion([0.5], [1], 2)


def test_they_are_asked_for_by_name() -> None:
    names = ("accuracy", "mae_argmax", "mae_3", "mae_4", "mae_34", "mae_macro", "kappa_quadratic")
    extra = evaluate([0, 2, 3, 3, 4, 4], [0, 2, 3, 4, 4, 4], extra=names)["extra"]
    assert extra["accuracy"] == pytest.approx(5 / 6) and extra["mae_4"] == pytest.approx(1 / 3)
    assert extra["mae_34"] == pytest.approx(1 / 4) and extra["mae_3"] == 0
