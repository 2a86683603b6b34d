"""Kernel ridge regression: leave-one-out and weights against plain loops, and the learner around them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from sklearn.metrics.pairwise import rbf_kernel

from ssliqa_bench.errors import RunError
from ssliqa_bench.methods.regression import kernel_ridge
from ssliqa_bench.methods.regression.kernel_ridge import PENALTIES, WIDTHS, fit_kernel, fit_weights, leave_one_out
from tests.methods.regression.frozen import frozen_labeled, make_learner, run


def problem(n: int, d: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    features = random.normal(size=(n, d))
    return features, np.sin(features[:, 0]) + 0.3 * features[:, 1] + 0.1 * random.normal(size=n) + 7


def plain_fit(kernel: np.ndarray, scores: np.ndarray, penalty: float) -> tuple[np.ndarray, float]:
    """The bordered system, solved as it stands."""
    n = len(scores)
    system = np.block([[kernel + penalty * np.eye(n), np.ones((n, 1))], [np.ones((1, n)), np.zeros((1, 1))]])
    solved = np.linalg.solve(system, np.append(scores, 0.0))
    return solved[:n], float(solved[n])


@pytest.mark.parametrize("penalty", [1e-3, 0.5, 10.0])
def test_weights_solve_the_bordered_system(penalty: float) -> None:
    features, scores = problem(12)
    kernel = rbf_kernel(features, gamma=0.3)
    weights, offset = fit_weights(kernel, scores, penalty)
    expected, expected_offset = plain_fit(kernel, scores, penalty)
    np.testing.assert_allclose(weights, expected, atol=1e-9)
    assert offset == pytest.approx(expected_offset)
    assert weights.sum() == pytest.approx(0, abs=1e-9)


def test_leave_one_out_is_that_of_a_plain_loop() -> None:
    features, scores = problem(11, seed=2)
    kernel = rbf_kernel(features, gamma=0.2)
    penalties = (1e-2, 0.3, 5.0)
    expected = []
    for penalty in penalties:
        errors = []
        for k in range(11):
            rest = np.delete(np.arange(11), k)
            weights, offset = plain_fit(kernel[np.ix_(rest, rest)], scores[rest], penalty)
            errors.append(kernel[k, rest] @ weights + offset - scores[k])
        expected.append(np.sqrt(np.mean(np.square(errors))))
    np.testing.assert_allclose(leave_one_out(kernel, scores, penalties), expected, rtol=1e-7)


def test_the_least_error_of_all_widths_and_penalties_is_chosen() -> None:
    features, scores = problem(25, seed=4)
    regression, chosen = fit_kernel(features, scores, 0)
    x = (features - features.mean(0)) / features.std(0)
    errors = {
        (w / 4, p): leave_one_out(rbf_kernel(x, gamma=w / 4), scores, (p,))[0] for w in WIDTHS for p in PENALTIES[::4]
    }
    assert chosen["leave_one_out_rmse"] <= min(errors.values()) + 1e-6
    weights, offset = plain_fit(rbf_kernel(x, gamma=chosen["gamma"]), scores, chosen["penalty"])
    np.testing.assert_allclose(
        regression.predict(features), rbf_kernel(x, gamma=chosen["gamma"]) @ weights + offset, atol=1e-4
    )


def test_many_images_choose_on_a_part_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_ridge, "_CHOSEN_ON", 10)
    features, scores = problem(24)
    regression, chosen = fit_kernel(features, scores, 3)
    assert chosen["chosen_on"] == 10 and len(regression.weights) == 24
    assert fit_kernel(features, scores, 3)[1] == chosen


def test_the_stored_model_predicts_as_the_fitted_one() -> None:
    learner, labeled = make_learner("kernel-ridge"), frozen_labeled(30)
    artifact = run(learner, labeled=labeled)["kernel-ridge"]
    predictor = learner.model.made(learner.params, artifact, torch.device("cpu"))
    found = predictor.predict(labeled.images)
    assert spearmanr(found, labeled.score01)[0] > 0.9
    np.testing.assert_allclose(predictor.predict(labeled.images.subset([4]))[0], found[4], atol=1e-9)


def test_one_labeled_image_is_refused() -> None:
    with pytest.raises(RunError, match="leave-one-out needs two"):
        run(make_learner("kernel-ridge"), labeled=frozen_labeled(1))
