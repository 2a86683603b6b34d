"""Training of the student: rows, targets, validation, resuming."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from ssliqa_bench.errors import InputError, RunError
from ssliqa_bench.evaluation.correlations import plcc, rmse, srcc
from ssliqa_bench.methods.noisy_student import training
from ssliqa_bench.methods.noisy_student.network import (
    StudentPredictor,
    centre_crops,
    make_student_model,
    stored_student_network,
)
from ssliqa_bench.methods.noisy_student.plateau import EpochQuality
from ssliqa_bench.methods.noisy_student.training import PSEUDO_LABELS, judged, run_student
from ssliqa_bench.training import views
from ssliqa_bench.training.images import ImageSet
from ssliqa_bench.training.standardisation import LabelScale
from ssliqa_bench.training.views import View
from ssliqa_bench.types import Artifact

CPU = torch.device("cpu")
Params = dict[str, Any]


class Held:
    """Validation images and what is answered about them."""

    def __init__(self, images: ImageSet, scores: np.ndarray) -> None:
        self.images, self.scores = images, scores

    def srcc(self, predictions: np.ndarray) -> float | None:
        return srcc(predictions, self.scores)

    def plcc(self, predictions: np.ndarray) -> float | None:
        return plcc(predictions, self.scores)

    def rmse(self, predictions: np.ndarray) -> float | None:
        return rmse(predictions, self.scores)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[int], list[float]]]:
    """Positions and standardised targets of each batch; batches are drawn ahead of the steps, in the same order."""
    seen: list[tuple[list[int], list[float]]] = []
    crops, loss = training.noisy_crops, training.squared_and_pearson

    def noted(images: Any, positions: Any, *words: Any, **named: Any) -> Any:
        seen.append(([int(p) for p in positions], []))
        return crops(images, positions, *words, **named)

    def told(prediction: torch.Tensor, target: torch.Tensor) -> Any:
        next(targets for _, targets in seen if not targets).extend(target.tolist())
        return loss(prediction, target)

    monkeypatch.setattr(training, "noisy_crops", noted)
    monkeypatch.setattr(training, "squared_and_pearson", told)
    return seen


def same(first: Artifact, second: Artifact) -> bool:
    return all(np.array_equal(value, second.tensors[name]) for name, value in first.tensors.items())


def test_an_epoch_is_one_pass_less_the_incomplete_batch(made: ModuleType, params: Params, drawn: Any) -> None:
    labeled = made.labeled_set(made.noise(10))
    artifact = run_student(made.context("student", labeled=labeled, params=params))
    assert [len(rows) for rows, _ in drawn] == [4, 4] * 3 and artifact.meta["steps"] == 6
    epochs = [{*drawn[k][0], *drawn[k + 1][0]} for k in (0, 2, 4)]
    assert all(len(rows) == 8 for rows in epochs) and len(set(map(frozenset, epochs))) > 1
    scale = LabelScale.of(labeled.score01)
    for rows, targets in drawn:
        np.testing.assert_allclose(targets, scale.standardise(labeled.score01[rows]), rtol=1e-6)
    np.testing.assert_array_equal(artifact.tensors["model.scale"], [scale.mean, scale.std])


def test_pseudo_labels_are_mixed_with_labels_and_standardised_by_those(
    made: ModuleType, params: Params, drawn: Any
) -> None:
    labeled, unlabeled = made.labeled_set(made.noise(6)), made.image_set(made.noise(6, seed=4))
    said = np.linspace(-0.2, 1.3, 6)
    inputs = {"pseudo-labels": Artifact({PSEUDO_LABELS: said})}
    artifact = run_student(
        made.context("student", labeled=labeled, unlabeled=unlabeled, inputs=inputs, params={**params, "epochs": 8})
    )
    assert artifact.meta["steps"] == 3 * 8
    scale, scores = LabelScale.of(labeled.score01), np.concatenate((labeled.score01, said))
    for rows, targets in drawn:
        np.testing.assert_allclose(targets, scale.standardise(scores[rows]), rtol=1e-5, atol=1e-6)
    for k in range(0, 24, 3):
        assert sorted(row for rows, _ in drawn[k : k + 3] for row in rows) == list(range(12))
    mixed = [sum(row < 6 for row in rows) for rows, _ in drawn]
    assert len(set(mixed)) > 1 and sum(mixed) == 48  # uniform order, no share of a batch


def test_with_counts_rows_of_the_other_side_become_draws(made: ModuleType, params: Params, drawn: Any) -> None:
    labeled = made.labeled_set(made.noise(6))
    counts = {"labeled": 6, "unlabeled": 12}
    artifact = run_student(made.context("student", labeled=labeled, counts=counts, params={**params, "batch_size": 6}))
    assert artifact.meta["steps"] == 3 * 3
    rows = [row for part, _ in drawn for row in part]
    assert sorted(rows) == sorted(list(range(6)) * 9)


def test_fewer_images_than_a_batch_are_one_batch(made: ModuleType, params: Params, drawn: Any) -> None:
    run_student(made.context("student", labeled=made.labeled_set(made.noise(3)), params={**params, "batch_size": 32}))
    assert [sorted(rows) for rows, _ in drawn] == [[0, 1, 2]] * 3


def validated(made: ModuleType, params: Params, **fields: Any) -> Any:
    held = made.labeled_set(made.noise(8, seed=3), seed=1)
    fields = {"validation": Held(held.images, held.score01), **fields}
    return made.context("student", labeled=made.labeled_set(made.noise(12)), params=params, **fields)


def test_the_best_epoch_on_the_validation_images_is_the_model(made: ModuleType, params: Params) -> None:
    params = {**params, "epochs": 6, "lr": 0.05}
    context = validated(made, params)
    artifact = run_student(context)
    log = artifact.meta["log"]
    mains = [entry["validation_plcc"] + entry["validation_srcc"] for entry in log]
    best = int(np.argmax(mains))
    assert 0 < best < 5, "choose another rate: this must tell the best epoch from first and last"
    assert context.report.lines[-1] == f"epoch {best + 1} of 6 was best on the validation images"
    predictor = StudentPredictor(stored_student_network(artifact, params, CPU), 13, 1, CPU)
    held = context.validation
    found = predictor.predict(held.images)
    assert held.plcc(found) + held.srcc(found) == pytest.approx(mains[best], abs=1e-9)
    std = LabelScale.of(context.labeled.score01).std
    loss = np.mean(((found - held.scores) / std) ** 2) + 1 - np.corrcoef(found, held.scores)[0, 1]
    assert log[best]["validation_loss"] == pytest.approx(loss)
    # The same epochs with no one looking end at the last one.
    blind = run_student(validated(made, {**params, "epochs": best + 1, "plateau_patience": 99}, validation=None))
    watched = run_student(validated(made, {**params, "plateau_patience": 99}))
    assert same(blind, watched)


def test_the_rate_falls_on_plateaus(made: ModuleType, params: Params) -> None:
    """No epoch counts as an improvement, so that the rate is halved after every second one."""
    params = {**params, "epochs": 6, "plateau_patience": 1, "plateau_threshold": 1.0, "plateau_floor": 4e-3}
    log = run_student(validated(made, params)).meta["log"]
    assert [entry["lr"] for entry in log] == [1e-2, 1e-2, 5e-3, 5e-3, 4e-3, 4e-3]
    log = run_student(validated(made, params, validation=None)).meta["log"]
    assert [entry["lr"] for entry in log] == [1e-2] * 6 and "validation_loss" not in log[0]


@pytest.mark.parametrize("stop", [1, 2, 3, 4, 5])
def test_a_resumed_training_is_the_same_bit_for_bit(made: ModuleType, params: Params, stop: int) -> None:
    params = {**params, "epochs": 5, "lr": 0.05, "plateau_patience": 0, "plateau_threshold": 0.2}
    whole = run_student(validated(made, params))
    assert len({entry["lr"] for entry in whole.meta["log"]}) > 1
    first = made.Checkpoints(stop)
    with pytest.raises(made.Stopped):
        run_student(validated(made, params, checkpoints=first))
    resumed = run_student(validated(made, params, checkpoints=made.Checkpoints(state=first.state)))
    assert same(whole, resumed) and same(resumed, whole)

    def seen(artifact: Artifact) -> list[dict[str, Any]]:
        return [{k: v for k, v in entry.items() if "second" not in k} for entry in artifact.meta["log"]]

    assert seen(whole) == seen(resumed)


def test_training_follows_the_seed(made: ModuleType, params: Params) -> None:
    labeled = made.labeled_set(made.noise(8))
    first, again, other = (
        run_student(made.context("student", labeled=labeled, params=params, seed=seed)) for seed in (1, 1, 2)
    )
    assert same(first, again) and not same(first, other)


def test_it_learns_what_the_scores_say(made: ModuleType, params: Params) -> None:
    labeled = made.labeled_set(made.noise(16))
    backbone = {**made.BACKBONE, "arguments": {"maps": 8, "width": 40}}
    own = {"epochs": 150, "batch_size": 16, "extra_augmentation": False}
    params = {**params, **own, "backbone": backbone}
    artifact = run_student(made.context("student", labeled=labeled, params=params))
    found = StudentPredictor(stored_student_network(artifact, params, CPU), 13, 4, CPU).predict(labeled.images)
    assert plcc(found, labeled.score01) > 0.8 and rmse(found, labeled.score01) < 0.2  # type: ignore[operator]


def test_bad_inputs(made: ModuleType, params: Params) -> None:
    labeled = made.labeled_set(made.noise(8))
    with pytest.raises(InputError, match="does not take crops of 5×5 pixels"):
        run_student(made.context("student", labeled=labeled, params={**params, "crop": 5}))
    with pytest.raises(InputError, match="cannot be standardised"):
        run_student(made.context("student", labeled=made.labeled_set(made.noise(1)), params=params))
    with pytest.raises(RunError, match="the loss is not finite"):
        run_student(validated(made, {**params, "lr": 1e30}))


def test_undefined_correlations_count_as_the_worst(made: ModuleType) -> None:
    class Same:
        n_parameters = 0

        def predict(self, images: ImageSet) -> np.ndarray:
            return np.full(len(images), self.value)

        value = 0.5

    model, held = Same(), made.labeled_set(made.noise(8))
    validation = Held(held.images, held.score01)
    squared = np.mean((held.score01 - 0.5) ** 2) / 0.25**2
    assert judged(model, LabelScale(0.4, 0.25), validation) == EpochQuality(pytest.approx(squared), -1.0, -1.0)
    model.value = np.nan
    assert judged(model, LabelScale(0.4, 0.25), validation) == EpochQuality(np.inf, -1.0, -1.0)


def test_inference_takes_the_centre_or_the_mean_of_fixed_random_crops(made: ModuleType, params: Params) -> None:
    images = made.image_set(made.noise(5, height=18, width=21))
    artifact = run_student(made.context("student", labeled=made.labeled_set(made.noise(8)), params=params))
    network = stored_student_network(artifact, params, CPU)
    centres = centre_crops(images, np.arange(5), 13)
    for k in range(5):
        np.testing.assert_array_equal(centres[k].permute(1, 2, 0), images[k][2:15, 4:17])
    mean, std = artifact.tensors["model.scale"]
    with torch.no_grad():
        expected = network(centres).double().numpy() * std + mean
        crops = views.test_crops(images, range(5), View(13, 4))
        several = network(crops).double().reshape(5, 4).mean(1).numpy() * std + mean
    np.testing.assert_allclose(StudentPredictor(network, 13, 1, CPU).predict(images), expected, atol=1e-6)
    np.testing.assert_allclose(StudentPredictor(network, 13, 4, CPU).predict(images), several, atol=1e-6)
    assert np.abs(several - expected).max() > 1e-4
    small = made.image_set(made.noise(2, height=9, width=9))
    assert centre_crops(small, np.arange(2), 13).shape == (2, 3, 13, 13)


def test_the_student_drops_nothing() -> None:
    """The paper names noise of the input alone: no dropout, no stochastic depth."""
    backbone = {
        "class": "ssliqa_bench.training.backbones.timm:TimmBackbone",
        "arguments": {"name": "efficientnet_b0.ra_in1k"},
    }
    with torch.device("meta"):
        model = make_student_model({"backbone": backbone})
    dropping = [m for m in model.modules() if "drop" in type(m).__name__.lower()]
    assert dropping and all(getattr(m, "p", getattr(m, "drop_prob", 0)) in (0, None) for m in dropping)
