"""The learners for regression on features in memory: averages, comparators, resumption and what is refused."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from ssliqa_bench.errors import InputError
from ssliqa_bench.methods.regression import mean_teacher, pseudo_label, training
from ssliqa_bench.methods.regression.training import ScoreTrainee, TrainingStep, build_start
from ssliqa_bench.training.backbones.base import QualityModel
from ssliqa_bench.training.images import ImageSet
from ssliqa_bench.training.quality import build_model, read_test_crops, stored_model
from ssliqa_bench.training.views import View
from ssliqa_bench.types import Artifact
from tests.methods.regression.frozen import HEAD, frozen_images, frozen_labeled, make_learner, run
from tests.training import made_images

CPU = torch.device("cpu")
COMPARATORS = {
    "pi-model": "pi-model-supervised",
    "mean-teacher": "mean-teacher-supervised",
    "pseudo-label": "pseudo-label-supervised",
    "rankup": "rankup-supervised",
    "rankup-rda": "rankup-supervised",
    "ucvme": "ucvme-supervised",
}
NOTHING = {"unlabeled_weight": 0.0, "alignment_weight": 0.0, "mc_dropout": 0.0}


def final(artifacts: dict[str, Artifact]) -> Artifact:
    return list(artifacts.values())[-1]


def initial() -> QualityModel:
    """The network that all learners of scores start from."""
    return build_start(made_images.context(params={"backbone": HEAD, "crop": 16}, labeled=frozen_labeled(9)))


def test_the_first_predictions_lie_about_the_mean_of_the_labels() -> None:
    context = made_images.context(params={"backbone": HEAD, "crop": 16}, labeled=frozen_labeled(9))
    start, plain = build_start(context), build_model(context)
    assert start.head.bias.item() == pytest.approx(frozen_labeled(9).score01.mean())
    torch.testing.assert_close(start.head.weight, plain.head.weight)


@pytest.mark.parametrize("name", COMPARATORS)
def test_unlabeled_weight_zero_is_the_comparator(name: str) -> None:
    """To the last bit: same batches, rates and average; nothing here draws random numbers in training."""
    weightless, comparator = (run(make_learner(each, **NOTHING)) for each in (name, COMPARATORS[name]))
    trained = final(run(make_learner(name, unlabeled_weight=5.0, alignment_weight=1.0, mc_dropout=0.0)))
    differing = 0
    for key, value in final(comparator).tensors.items():
        np.testing.assert_array_equal(final(weightless).tensors[key], value, err_msg=key)
        differing += int(not np.array_equal(trained.tensors[key], value))
    assert differing, "unlabeled images change nothing"
    made, kept = (sum(part.meta["steps"] for part in whole.values()) for whole in (weightless, comparator))
    assert made == kept == (24 if name == "pseudo-label" else 12)


@pytest.mark.parametrize("name", [*COMPARATORS, *sorted(set(COMPARATORS.values()))])
def test_a_killed_training_resumes_to_the_last_bit(name: str) -> None:
    """On pixels with dropout: random numbers, averages and tables are in the checkpoint."""
    labeled, unlabeled = (made_images.noise(n, seed=n) for n in (9, 14))
    sets = {"labeled": made_images.labeled_set(labeled), "unlabeled": made_images.image_set(unlabeled)}
    learner = make_learner(name, backbone=made_images.BACKBONE, crop=13, align_steps=3)
    whole = final(run(learner, **sets))
    last = learner.stages()[-1].name
    stopped = made_images.Checkpoints(stop=2)
    with pytest.raises(made_images.Stopped):
        run(learner, checkpoints={last: stopped}, **sets)
    torch.manual_seed(99)
    resumed = final(run(learner, checkpoints={last: made_images.Checkpoints(state=stopped.state)}, **sets))
    assert whole.tensors.keys() == resumed.tensors.keys()
    for key, value in whole.tensors.items():
        np.testing.assert_array_equal(value, resumed.tensors[key], err_msg=key)


@pytest.mark.parametrize("name", ["pi-model", "mean-teacher", "rankup", "pseudo-label"])
def test_all_start_from_the_network_of_their_comparators(name: str) -> None:
    start = initial()
    artifact = final(run(make_learner(name, lr=1e-30, ema_decay=0.5, optimizer="sgd")))
    model = stored_model(artifact, HEAD, CPU)
    for key, value in start.state_dict().items():
        torch.testing.assert_close(model.state_dict()[key], value)


def test_the_average_follows_and_is_what_is_left() -> None:
    """By a plain loop over the weights after every step."""
    seen: list[np.ndarray] = []
    plain = make_learner("mean-teacher-supervised", ema_decay=0.0)
    follow = ScoreTrainee.follow

    def watched(self: ScoreTrainee) -> None:
        follow(self)
        seen.append(self.network.head.weight.detach().numpy().copy())  # type: ignore[union-attr, operator]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training.ScoreTrainee, "follow", watched)
        first = final(run(plain)).tensors["model.head.weight"]
        np.testing.assert_array_equal(first, seen[-1])
        weights = list(seen)
        seen.clear()
        averaged = final(run(make_learner("mean-teacher-supervised", ema_decay=0.8))).tensors["model.head.weight"]
    expected = initial().head.weight.detach().numpy().copy()
    for t, weight in enumerate(weights, start=1):
        decay = min(1 - 1 / (t + 1), 0.8)
        expected = decay * expected + (1 - decay) * weight
    np.testing.assert_allclose(averaged, expected, rtol=1e-5, atol=1e-7)


def handed_loss(monkeypatch: pytest.MonkeyPatch, module: ModuleType, name: str, **params: Any) -> tuple[Any, Any]:
    """The loss that the last stage of a learner hands to the training loop, and the artifacts of its stages."""
    handed: list[Any] = []

    def kept(context: Any, network: Any, loss: Any, *_: Any) -> Artifact:
        handed.append(loss)
        return Artifact({}, {})

    monkeypatch.setattr(module, "run_training", kept)
    artifacts = run(make_learner(name, **params))
    (loss,) = handed
    return loss, artifacts


def crops_of(images: ImageSet, rows: Sequence[int]) -> torch.Tensor:
    """One weak view of each image."""
    return View(16).draw(images, np.array(rows), "seed", visits=np.zeros(len(rows), int))


def one_by_one(model: QualityModel, crops: torch.Tensor) -> list[float]:
    """Qualities of crops that pass the network alone."""
    with torch.no_grad():
        return [model(crop[None])[0].item() for crop in crops]


def smooth(apart: float, beta: float) -> float:
    return apart**2 / (2 * beta) if abs(apart) < beta else abs(apart) - beta / 2


@pytest.mark.parametrize("number", [0, 2, 11])
def test_the_loss_of_mean_teacher_is_that_of_a_loop(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """The teacher sees the first view and the student the second; the weight has risen by steps made (of 12)."""
    own = {"unlabeled_weight": 3.0, "ramp": "exponential", "ramp_share": 0.5, "smooth_l1_beta": 0.1}
    loss, _ = handed_loss(monkeypatch, mean_teacher, "mean-teacher", **own)
    trainee = ScoreTrainee(initial(), 0.9)
    student, teacher = trainee.network, trainee.averaged
    assert isinstance(student, QualityModel) and isinstance(teacher, QualityModel)
    torch.nn.init.constant_(teacher.head.bias, 0.9)
    labeled, unlabeled = frozen_labeled(9), frozen_images(14, 5)
    known, first, second = (crops_of(*pair) for pair in ((labeled.images, range(4)), (unlabeled, (3, 0, 11)),
                                                         (unlabeled, (5, 1, 9))))  # fmt: skip
    step = TrainingStep(number, known, torch.tensor(labeled.score01[:4]).float(), torch.tensor([3, 0, 11]),
                        (first, second))  # fmt: skip
    scored = [smooth(a - b, 0.1) for a, b in zip(one_by_one(student, known), labeled.score01[:4], strict=True)]
    apart = [(a - b) ** 2 for a, b in zip(one_by_one(teacher, first), one_by_one(student, second), strict=True)]
    weight = 3.0 * math.exp(-5 * (1 - min(number / 6, 1)) ** 2)
    terms = loss(trainee, step)
    assert terms["consistency_loss"].item() == pytest.approx(statistics.fmean(apart), rel=1e-4)
    assert terms["loss"].item() == pytest.approx(statistics.fmean(scored) + weight * statistics.fmean(apart), rel=1e-4)


def test_the_loss_of_pseudo_labels_is_that_of_a_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every unlabeled crop follows what the teacher said of its own image."""
    loss, artifacts = handed_loss(monkeypatch, pseudo_label, "pseudo-label", unlabeled_weight=3.0, smooth_l1_beta=0.1)
    teacher = stored_model(artifacts["teacher"], HEAD, CPU)
    labeled, unlabeled, rows = frozen_labeled(9), frozen_images(14, 5), (3, 0, 11)
    made = read_test_crops(teacher, unlabeled, View(16, 2), CPU)[0]
    said = [float(made[row]) for row in rows]
    student, known, seen = initial(), crops_of(labeled.images, range(4)), crops_of(unlabeled, rows)
    step = TrainingStep(0, known, torch.tensor(labeled.score01[:4]).float(), torch.tensor(rows), (seen,))
    scored = [smooth(a - b, 0.1) for a, b in zip(one_by_one(student, known), labeled.score01[:4], strict=True)]
    followed = [smooth(a - b, 0.1) for a, b in zip(one_by_one(student, seen), said, strict=True)]
    terms = loss(ScoreTrainee(student, 0.0), step)
    assert terms["unlabeled_loss"].item() == pytest.approx(statistics.fmean(followed), rel=1e-4)
    assert terms["loss"].item() == pytest.approx(statistics.fmean(scored) + 3 * statistics.fmean(followed), rel=1e-4)


def test_no_gradient_reaches_the_teacher(monkeypatch: pytest.MonkeyPatch) -> None:
    teachers = []
    follow = ScoreTrainee.follow

    def watched(self: ScoreTrainee) -> None:
        assert self.averaged is not None
        teachers.extend(parameter.grad for parameter in self.averaged.parameters())
        follow(self)

    monkeypatch.setattr(training.ScoreTrainee, "follow", watched)
    run(make_learner("mean-teacher"))
    assert teachers and all(gradient is None for gradient in teachers)


def test_mean_teacher_without_a_teacher_is_refused() -> None:
    with pytest.raises(InputError, match="ema_decay: got 0"):
        make_learner("mean-teacher", ema_decay=0.0).check()


def test_pseudo_labels_are_the_teachers_predictions_by_test_crops() -> None:
    unlabeled = frozen_images(14, 5)
    artifacts = run(make_learner("pseudo-label"), unlabeled=unlabeled)
    teacher = stored_model(artifacts["teacher"], HEAD, CPU)
    expected = read_test_crops(teacher, unlabeled, View(16, 2), CPU)[0]
    np.testing.assert_allclose(artifacts["student"].tensors["labels"], expected)


@pytest.mark.parametrize(("sides", "said"), [(1, 0), (2, 1)])
def test_alignment_across_datasets_is_marked(sides: int, said: int) -> None:
    report = made_images.Report()
    run(make_learner("rankup-rda"), sides=sides, report=report)
    assert sum("assumption not met" in line for line in report.lines) == said


def test_terms_are_logged() -> None:
    for name, terms in {
        "pi-model": {"supervised_loss", "consistency_loss"},
        "rankup-rda": {"supervised_loss", "ranking_loss", "unlabeled_ranking_loss", "alignment_loss", "mask"},
        "ucvme": {"supervised_loss", "uncertainty_loss", "unlabeled_loss", "unlabeled_uncertainty_loss"},
    }.items():
        assert terms <= set(final(run(make_learner(name))).meta["log"][-1])


@pytest.mark.parametrize("name", [*COMPARATORS, *sorted(set(COMPARATORS.values()))])
def test_the_model_is_built_of_its_artifact_and_learns(name: str) -> None:
    learner = make_learner(name, epochs=30, ema_decay=0.9, unlabeled_weight=0.5)
    labeled = frozen_labeled(40, seed=3)
    artifact = final(run(learner, labeled=labeled))
    predictor = learner.model.made(learner.params, artifact, CPU)
    found = predictor.predict(labeled.images)
    assert np.corrcoef(found, labeled.score01)[0, 1] > 0.6
    alone = [predictor.predict(labeled.images.subset([k]))[0] for k in range(3)]
    np.testing.assert_allclose(alone, found[:3], atol=1e-6)
    assert predictor.n_parameters > 0
