"""Pseudo-labels: the mean of the teachers, metrics brought to the scale of the scores, and what is refused."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from ssliqa_bench.errors import InputError, RunError
from ssliqa_bench.methods.full_reference.conformer import conformer_stage
from ssliqa_bench.methods.noisy_student import pseudo_labels as module
from ssliqa_bench.methods.noisy_student.pseudo_labels import (
    run_pseudo_labels,
    run_student_labels,
    student_labels_stage,
    teacher_stages,
    to_scores,
)
from ssliqa_bench.methods.noisy_student.training import PSEUDO_LABELS, run_student
from ssliqa_bench.training.images import ImageSet
from ssliqa_bench.types import Artifact

CPU = torch.device("cpu")


class Metric:
    """The mean difference from the reference, turned so that higher is better; a stand-in for one of pyiqa's."""

    def __init__(self, name: str, device: torch.device) -> None:
        assert device == CPU
        self.factor, self.broken = (-1.0, name.startswith("broken"))

    def predict(self, images: ImageSet) -> np.ndarray:
        assert images.references is not None
        values = [
            self.factor * np.abs(images[k].astype(float) - images.references[k]).mean() for k in range(len(images))
        ]
        return np.where(np.arange(len(values)) < 2, np.nan, values) if self.broken else np.array(values)


def pairs(made: ModuleType, n: int, seed: int = 0) -> ImageSet:
    """Images of growing noise with one flat reference."""
    source, flat = made.noise(n, seed=seed), made.Memory([np.full((18, 20, 3), 128)])
    return ImageSet([(source, k) for k in range(n)], [(flat, 0)] * n)


def context(made: ModuleType, teachers: list[str], **fields: Any) -> Any:
    labeled = made.labeled_set(made.noise(8))
    labeled = type(labeled)(pairs(made, 8), labeled.score01)
    params = {"teachers": teachers, "metric_class": f"{__name__}:Metric"}
    return made.context("pseudo-labels", labeled=labeled, unlabeled=pairs(made, 6, 5), params=params, **fields)


@pytest.fixture
def learned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Learned teachers that say what their artifact holds."""

    class Stored:
        def __init__(self, artifact: Artifact, params: Any, device: torch.device) -> None:
            self._said = artifact.tensors["said"]

        def predict(self, images: ImageSet) -> np.ndarray:
            assert images.references is not None and len(images) == len(self._said)
            return self._said

    monkeypatch.setattr(module, "stored_predictor", Stored)


def said(*values: float) -> Artifact:
    return Artifact({"said": np.array(values)})


def test_labels_are_the_mean_of_the_teachers_as_they_say_it(made: ModuleType, learned: None) -> None:
    first, second = said(0.1, 0.2, 1.3, 0.4, 0.5, 0.6), said(-0.1, 0.4, 0.9, 0.4, 0.1, 0.0)
    one = run_pseudo_labels(context(made, ["conformer"], inputs={"conformer": first}))
    np.testing.assert_array_equal(one.tensors[PSEUDO_LABELS], first.tensors["said"])  # neither rounded nor clipped
    both = run_pseudo_labels(
        context(made, ["transformer", "conformer"], inputs={"conformer": first, "transformer": second})
    )
    np.testing.assert_allclose(both.tensors[PSEUDO_LABELS], [0, 0.3, 1.1, 0.4, 0.3, 0.3])


def test_a_metric_is_brought_to_the_scale_of_the_scores(made: ModuleType, learned: None) -> None:
    given = context(made, ["pyiqa:difference"])
    found = run_pseudo_labels(given).tensors[PSEUDO_LABELS]
    metric = Metric("difference", CPU)
    known, asked = metric.predict(given.labeled.images), metric.predict(given.unlabeled)
    np.testing.assert_allclose(found, to_scores(known, given.labeled.score01, asked))
    assert np.all(np.diff(found[np.argsort(asked)]) >= 0) and found.std() > 0.1
    inputs = {"conformer": said(*np.zeros(6))}
    mixed = run_pseudo_labels(context(made, ["conformer", "pyiqa:difference"], inputs=inputs))
    np.testing.assert_allclose(mixed.tensors[PSEUDO_LABELS], found / 2)


def test_the_map_pools_neighbours_that_fall_and_is_constant_beyond_them() -> None:
    """Pool adjacent violators, by hand: 0.5 and 0.3 become 0.4, 0.9 and 0.7 become 0.8; straight lines between."""
    values, scores = np.array([1.0, 2.0, 3.0, 5.0, 6.0]), np.array([0.1, 0.5, 0.3, 0.9, 0.7])
    asked = np.array([0.0, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.5, 9.0])
    expected = [0.1, 0.1, 0.25, 0.4, 0.4, 0.4, 0.6, 0.8, 0.8]
    np.testing.assert_allclose(to_scores(values, scores, asked), expected)
    order = np.random.default_rng(0).permutation(5)
    np.testing.assert_allclose(to_scores(values[order], scores[order], asked), expected)


def test_a_label_that_is_not_finite_says_how_many_and_whose(made: ModuleType, learned: None) -> None:
    inputs = {"conformer": said(0.1, np.nan, 0.3, np.inf, 0.5, 0.6), "transformer": said(*np.zeros(6))}
    with pytest.raises(RunError, match='teacher "conformer" gives no finite value for 2 of 6 unlabeled images'):
        run_pseudo_labels(context(made, ["transformer", "conformer"], inputs=inputs))
    with pytest.raises(RunError, match='teacher "pyiqa:broken" gives no finite value for 2 of 8 labeled images'):
        run_pseudo_labels(context(made, ["pyiqa:broken"]))


def test_stages_of_teachers_are_those_of_the_learners_and_unrecorded() -> None:
    conformer, asked = teacher_stages(["conformer"])
    own = conformer_stage()
    assert (conformer.name, conformer.run, conformer.params, conformer.sets, conformer.references) == (
        own.name, own.run, own.params, own.sets, own.references,
    )  # fmt: skip
    assert not conformer.predicts and not asked.predicts and asked.references
    assert asked.sets == ("unlabeled",) and asked.inputs == ("conformer",) and "metric_class" not in asked.params
    (metric,) = teacher_stages(["pyiqa:ssim"])
    assert metric.sets == ("labeled", "unlabeled") and metric.inputs == ()
    assert set(metric.params) == {"teachers", "metric_class"}
    first, second, both = teacher_stages(["transformer", "conformer", "pyiqa:ssim"])
    assert both.inputs == ("transformer", "conformer") == (first.name, second.name)


@pytest.mark.parametrize(
    "teachers", [[], "conformer", ["conformer", "conformer"], ["transformers"], ["pyiqa:"], ["ssim"], [3]]
)
def test_other_lists_of_teachers_are_refused(teachers: Any) -> None:
    with pytest.raises(InputError, match=r"Parameter teachers: .*expected .*conformer, transformer, pyiqa:NAME"):
        teacher_stages(teachers)


def test_in_a_further_round_the_student_labels_by_the_image_alone(made: ModuleType, params: dict[str, Any]) -> None:
    artifact = run_student(made.context("student", labeled=made.labeled_set(made.noise(8)), params=params))
    stage = student_labels_stage("pseudo-labels-2", "student")
    assert not stage.references and not stage.predicts and stage.inputs == ("student",)
    read = {name: params[name] for name in stage.params}
    found = {}
    for crops in (1, 3):
        given = made.context(
            stage.name, unlabeled=made.image_set(made.noise(5, seed=2)), inputs={"student": artifact},
            params={**read, "test_crops": crops},
        )  # fmt: skip
        found[crops] = run_student_labels(given).tensors[PSEUDO_LABELS]
        assert found[crops].shape == (5,) and np.isfinite(found[crops]).all()
    assert not np.array_equal(found[1], found[3])
    broken = Artifact({**artifact.tensors, "model.model.head.bias": np.array([np.nan], dtype=np.float32)})
    images = made.image_set(made.noise(5))
    with pytest.raises(RunError, match='teacher "student" gives no finite value for 5 of 5'):
        run_student_labels(made.context(stage.name, unlabeled=images, inputs={"student": broken}, params=read))
