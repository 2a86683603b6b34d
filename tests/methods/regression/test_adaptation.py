"""AdaBN and CORAL on features, against statistics made by hand; and the ensemble of supervised models."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm

from ssliqa_bench.errors import RunError
from ssliqa_bench.methods.regression.adaptation import covariance_map, fit_adapted
from ssliqa_bench.methods.ridge_probe import fit_ridge
from ssliqa_bench.training.quality import read_test_crops, stored_model
from ssliqa_bench.training.views import View
from tests.methods.regression.frozen import HEAD, frozen_images, frozen_labeled, make_learner, run

CPU = torch.device("cpu")


def sides(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features of A, scores, and features of B: as A's, but shifted, scaled and mixed."""
    random = np.random.default_rng(seed)
    own = random.normal(size=(60, 3))
    other = random.normal(size=(80, 3)) @ np.array([[1.0, 0.8, 0], [0, 0.6, 0], [0, 0, 1]]) * [3, 0.2, 1] + [5, -1, 0]
    return own, own @ [1.0, 0.5, 0.0] + 0.01 * random.normal(size=60), other


def test_the_map_is_that_of_matrix_roots() -> None:
    own, _, other = sides()
    identity = np.eye(3)
    expected = np.linalg.inv(sqrtm(np.cov(own.T) + identity)) @ sqrtm(np.cov(other.T) + identity)
    np.testing.assert_allclose(covariance_map(own, other), expected.real, atol=1e-9)


def test_equal_sides_change_nothing() -> None:
    own, scores, _ = sides()
    np.testing.assert_allclose(covariance_map(own, own), np.eye(3), atol=1e-9)
    weight, bias, strength, _ = fit_ridge(own, scores)
    for covariance in (False, True):
        found = fit_adapted(own, scores, own, covariance=covariance)
        np.testing.assert_allclose(found[0], weight, rtol=1e-6)
        assert found[1] == pytest.approx(bias, abs=1e-9) and found[2] == strength


def test_adabn_undoes_a_shift_and_a_scale_of_the_other_side() -> None:
    own, scores, _ = sides()
    other = own * [3.0, 0.2, 1.0] + [5.0, -1.0, 0.0]
    weight, bias, _ = fit_adapted(own, scores, other, covariance=False)
    plain = fit_ridge(own, scores)
    np.testing.assert_allclose(other @ weight + bias, own @ plain[0] + plain[1], atol=1e-6)


def test_a_feature_that_never_varies_on_one_side_gets_no_weight() -> None:
    own, scores, other = sides()
    other[:, 0] = 4.0
    assert fit_adapted(own, scores, other, covariance=False)[0][0] == 0
    assert np.isfinite(fit_adapted(own, scores, other, covariance=True)[0]).all()


@pytest.mark.parametrize("name", ["adabn", "coral"])
def test_the_model_is_the_fit_on_the_features_of_both_sides(name: str) -> None:
    learner = make_learner(name)
    labeled, unlabeled = frozen_labeled(20), frozen_images(30, 8, shift=1.0)
    artifact = run(learner, labeled=labeled, unlabeled=unlabeled)["adapted"]
    model = stored_model(artifact, HEAD, CPU)
    own, other = (read_test_crops(model, images, View(16, 2), CPU)[1] for images in (labeled.images, unlabeled))
    weight, bias, _ = fit_adapted(own, labeled.score01, other, covariance=name == "coral")
    found = learner.model.made(learner.params, artifact, CPU).predict(unlabeled)
    np.testing.assert_allclose(found, other @ weight + bias, atol=1e-5)


def test_one_image_on_a_side_is_refused() -> None:
    with pytest.raises(RunError, match="20 labeled and 1 unlabeled images"):
        run(make_learner("coral"), labeled=frozen_labeled(20), unlabeled=frozen_images(1, 8))


def test_the_ensemble_is_the_mean_of_its_members() -> None:
    learner = make_learner("supervised-ensemble", members=3)
    artifacts = run(learner)
    assert list(artifacts) == ["initial", "member-1", "member-2", "ensemble"]
    images = frozen_images(7, 2)
    parts = [
        read_test_crops(stored_model(artifacts[name], HEAD, CPU), images, View(16, 2), CPU)[0]
        for name in ("initial", "member-1", "member-2")
    ]
    assert all(np.abs(parts[0] - part).max() > 1e-3 for part in parts[1:])
    found = learner.model.made(learner.params, artifacts["ensemble"], CPU).predict(images)
    np.testing.assert_allclose(found, np.mean(parts, axis=0), atol=1e-6)
    plain = run(make_learner("supervised"))["initial"]
    for key, value in plain.tensors.items():
        np.testing.assert_array_equal(artifacts["initial"].tensors[key], value)
