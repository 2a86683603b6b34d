"""The ridge probe: a frozen network, a linear output, and a strength that only labels chose."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
import torch

from ssliqa_bench.errors import RunError
from ssliqa_bench.methods.ridge_probe import STRENGTHS, RidgeProbe, fit_ridge, run_probe
from ssliqa_bench.training import views
from ssliqa_bench.training.quality import build_model, stored_model
from ssliqa_bench.training.views import View

CPU = torch.device("cpu")


def leave_one_out(features: np.ndarray, scores: np.ndarray, strength: float) -> float:
    """Mean square error of predicting each image from all others, by a plain loop."""
    mean, deviation = features.mean(0), features.std(0)
    x = (features - mean) / deviation
    errors = []
    for k in range(len(x)):
        rest = np.delete(np.arange(len(x)), k)
        centre, level = x[rest].mean(0), scores[rest].mean()
        a = x[rest] - centre
        weight = np.linalg.solve(a.T @ a + strength * np.eye(x.shape[1]), a.T @ (scores[rest] - level))
        errors.append((x[k] - centre) @ weight + level - scores[k])
    return float(np.mean(np.square(errors)))


@pytest.mark.parametrize(("n", "d", "noise"), [(40, 5, 0.1), (30, 60, 0.5), (25, 10, 3.0)])
def test_strength_and_weights_are_those_of_a_plain_loop(n: int, d: int, noise: float) -> None:
    random = np.random.default_rng(n)
    features = random.normal(3, 2, (n, d)) * random.uniform(0.1, 10, d)
    scores = features @ random.normal(size=d) / 10 + noise * random.normal(size=n)
    weight, bias, strength, error = fit_ridge(features, scores)
    by_loop = {s: leave_one_out(features, scores, s) for s in STRENGTHS[::4]}
    assert error**2 == pytest.approx(leave_one_out(features, scores, strength), rel=1e-6)
    assert error**2 <= min(by_loop.values()) * (1 + 1e-9)
    x = (features - features.mean(0)) / features.std(0)
    closed = np.linalg.solve(x.T @ x + strength * np.eye(d), x.T @ (scores - scores.mean()))
    np.testing.assert_allclose(features @ weight + bias, x @ closed + scores.mean(), rtol=1e-6, atol=1e-9)


def test_a_feature_that_never_varies_gets_no_weight() -> None:
    random = np.random.default_rng(1)
    features = np.column_stack([random.normal(size=20), np.full(20, 7.5), np.full(20, 1e-9)])
    weight, *_ = fit_ridge(features, features[:, 0] * 2)
    assert weight[0] == pytest.approx(2, rel=0.05) and weight[1] == weight[2] == 0


def test_the_backbone_stays_and_only_the_output_is_fitted(made: ModuleType) -> None:
    context = made.context("probe", labeled=made.labeled_set(made.noise(12)), params={"test_crops": 3})
    artifact = run_probe(context)
    fitted, fresh = stored_model(artifact, made.BACKBONE, CPU), build_model(context)
    assert not torch.equal(fitted.head.weight, fresh.head.weight)
    for name, value in fresh.backbone.state_dict().items():
        assert torch.equal(fitted.backbone.state_dict()[name], value), name
    assert artifact.meta["log"][0]["strength"] in STRENGTHS and artifact.meta["steps"] == 0


def test_one_labeled_image_is_said(made: ModuleType) -> None:
    context = made.context("probe", labeled=made.labeled_set(made.noise(1)), params={"test_crops": 3})
    with pytest.raises(RunError, match="1 labeled image"):
        run_probe(context)


def test_it_predicts_from_the_mean_feature_of_the_test_crops(made: ModuleType) -> None:
    labeled = made.labeled_set(made.noise(10))
    context = made.context("probe", labeled=labeled, params={"test_crops": 3})
    artifact = run_probe(context)
    learner = RidgeProbe(context.params)
    crops = views.test_crops(labeled.images, np.arange(10), View(13, 3))
    with torch.no_grad():
        features = build_model(context).eval()(crops)[1].double().reshape(10, 3, -1).mean(1).numpy()
    weight, bias, *_ = fit_ridge(features, labeled.score01)
    predicted = learner.model.made(learner.params, artifact, CPU).predict(labeled.images)
    np.testing.assert_allclose(predicted, features @ weight + bias, atol=1e-5)
