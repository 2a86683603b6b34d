"""Standardised scores, and the loss of squared error and correlation, against numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ssliqa_bench.errors import InputError
from ssliqa_bench.training.standardisation import LabelScale, pearson_distance, squared_and_pearson

RNG = np.random.default_rng(5)


def tensor(values: object) -> torch.Tensor:
    return torch.tensor(np.asarray(values), dtype=torch.float32)


def test_loss_is_zero_where_all_is_right_and_two_more_than_the_error_where_all_is_opposite() -> None:
    target = RNG.normal(size=12)
    terms = squared_and_pearson(tensor(target), tensor(target))
    assert all(abs(float(value)) < 1e-6 for value in terms.values())
    opposite = squared_and_pearson(tensor(-target), tensor(target))
    assert float(opposite["loss"]) == pytest.approx(2 + np.mean((2 * target) ** 2), abs=1e-5)


@pytest.mark.parametrize("n", [2, 5, 32])
def test_the_terms_are_those_of_numpy(n: int) -> None:
    prediction, target = RNG.normal(size=(2, n))
    terms = squared_and_pearson(tensor(prediction), tensor(target))
    assert float(terms["squared"]) == pytest.approx(np.mean((prediction - target) ** 2), rel=1e-5)
    assert float(terms["pearson"]) == pytest.approx(1 - np.corrcoef(prediction, target)[0, 1], abs=1e-5)
    assert float(terms["loss"]) == pytest.approx(float(terms["squared"] + terms["pearson"]))


def test_rising_affine_maps_change_the_error_alone() -> None:
    prediction, target = RNG.normal(size=(2, 9))
    first = squared_and_pearson(tensor(prediction), tensor(target))
    other = squared_and_pearson(tensor(3 * prediction + 2), tensor(target))
    assert float(other["pearson"]) == pytest.approx(float(first["pearson"]), abs=1e-5)
    assert abs(float(other["squared"] - first["squared"])) > 0.1


@pytest.mark.parametrize(
    ("prediction", "target"), [([0.3], [1.0]), ([0.1] * 7, list(range(7))), (list(range(7)), [0.1] * 7)]
)
def test_an_undefined_correlation_is_left_out_in_value_and_gradient(
    prediction: list[float], target: list[float]
) -> None:
    given = tensor(prediction).requires_grad_()
    terms = squared_and_pearson(given, tensor(target))
    assert float(terms["pearson"].detach()) == 0
    terms["loss"].backward()
    expected = 2 * (np.array(prediction) - np.array(target)) / len(target)
    np.testing.assert_allclose(given.grad, expected, rtol=1e-5)


def test_the_gradient_is_that_of_differences() -> None:
    prediction, target = RNG.normal(size=(2, 6))
    given = torch.tensor(prediction, dtype=torch.float32, requires_grad=True)
    pearson_distance(given, tensor(target)).backward()
    assert given.grad is not None
    for k in range(6):
        step = np.eye(6)[k] * 1e-5
        up, down = (np.corrcoef(prediction + s, target)[0, 1] for s in (step, -step))
        assert float(given.grad[k]) == pytest.approx(-(up - down) / 2e-5, abs=1e-4)


def test_scores_are_standardised_by_the_labels_or_by_given_constants() -> None:
    scores = RNG.uniform(size=11)
    scale = LabelScale.of(scores)
    standardised = scale.standardise(scores)
    assert np.mean(standardised) == pytest.approx(0, abs=1e-12)
    assert np.sum(standardised**2) / 10 == pytest.approx(1)
    np.testing.assert_allclose(scale.restore(standardised), scores)
    assert LabelScale.of(scores, 0.5, 0.25) == LabelScale(0.5, 0.25)
    assert LabelScale.of(np.array([0.5]), None, 0.25) == LabelScale(0.5, 0.25)


@pytest.mark.parametrize("scores", [[0.5], [0.1] * 7, [np.nan, 0.5]])
def test_labels_without_spread_are_refused(scores: list[float]) -> None:
    with pytest.raises(InputError, match=r"cannot be standardised.*--set label_std"):
        LabelScale.of(np.array(scores))
    with pytest.raises(InputError, match="cannot be standardised"):
        LabelScale.of(np.array([0.2, 0.4]), None, 0.0)
