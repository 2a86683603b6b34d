"""Pseudo-labels of the unlabeled images: what teachers that see the pristine images say of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from sklearn.isotonic import IsotonicRegression

from ssliqa_bench.errors import InputError, RunError
from ssliqa_bench.methods.base import Predictor
from ssliqa_bench.methods.full_reference.conformer import conformer_stage
from ssliqa_bench.methods.full_reference.prediction import full_reference_model, stored_predictor
from ssliqa_bench.methods.full_reference.transformer import transformer_stage
from ssliqa_bench.methods.noisy_student.network import StudentPredictor, stored_student_network
from ssliqa_bench.methods.noisy_student.training import PSEUDO_LABELS
from ssliqa_bench.training.imports import named
from ssliqa_bench.training.stages import Stage, StageContext
from ssliqa_bench.types import Artifact, FloatArray

LEARNED_TEACHERS = {"conformer": conformer_stage, "transformer": transformer_stage}
METRIC_PREFIX = "pyiqa:"
_LOOKS_AT = ("backbone", "crop", "test_crops")  # what a finished student reads to judge an image


def teacher_stages(teachers: Sequence[str]) -> list[Stage]:
    """The stages that train the teachers of a list, as the full-reference learners declare them, and the one that
    asks the teachers.

    Raises:
        InputError: the list is empty, names a teacher twice or one that there is not.
    """
    known = ", ".join([*LEARNED_TEACHERS, f"{METRIC_PREFIX}NAME"])
    if not isinstance(teachers, list) or not teachers or len(set(map(str, teachers))) < len(teachers):
        raise InputError(f"Parameter teachers: got {teachers}; expected a list of different ones of {known}.")
    for name in teachers:
        if name not in LEARNED_TEACHERS and str(name).removeprefix(METRIC_PREFIX) in ("", str(name)):
            raise InputError(f'Parameter teachers: there is no "{name}"; expected {known}.')
    # Their predictions are no result of the student's run.
    learned = [_unrecorded(LEARNED_TEACHERS[name]()) for name in teachers if name in LEARNED_TEACHERS]
    metrics = len(learned) < len(teachers)
    read = [name for stage in learned for name in full_reference_model(stage.name).params]
    asked = Stage(
        "pseudo-labels",
        run_pseudo_labels,
        sets=("labeled", "unlabeled") if metrics else ("unlabeled",),
        inputs=tuple(stage.name for stage in learned),
        params=tuple(dict.fromkeys(["teachers", *(["metric_class"] if metrics else []), *read])),
        predicts=False,
        references=True,
    )
    return [*learned, asked]


def student_labels_stage(name: str, student: str) -> Stage:
    """The stage in which a student labels the unlabeled images for the next one; it sees no references."""
    return Stage(name, run_student_labels, sets=("unlabeled",), inputs=(student,), params=_LOOKS_AT, predicts=False)


def run_pseudo_labels(context: StageContext) -> Artifact:
    """The mean over the teachers of what they say of each unlabeled image, on the learner's [0, 1] scale.

    A learned teacher predicts on that scale. What a metric says is brought to it by the increasing function that
    comes nearest to the scores of the labeled images (isotonic regression), constant beyond their range.

    Raises:
        RunError: a teacher gives an image no finite value.
        InputError: there is no such metric.
    """
    assert context.unlabeled is not None
    said = []
    for name in context.params["teachers"]:
        if name in LEARNED_TEACHERS:
            teacher = stored_predictor(context.inputs[name], context.params, context.device)
            said.append(_finite(teacher.predict(context.unlabeled), name, "unlabeled"))
        else:
            said.append(_by_metric(context, name))
    return Artifact({PSEUDO_LABELS: np.mean(said, axis=0)})


def run_student_labels(context: StageContext) -> Artifact:
    """What a finished student says of each unlabeled image, as it would say it of any.

    Raises:
        RunError: it gives an image no finite value.
    """
    assert context.unlabeled is not None
    ((student, artifact),) = context.inputs.items()
    p = context.params
    network = stored_student_network(artifact, p, context.device)
    predictor = StudentPredictor(network, int(p["crop"]), int(p["test_crops"]), context.device)
    return Artifact({PSEUDO_LABELS: _finite(predictor.predict(context.unlabeled), student, "unlabeled")})


def to_scores(values: FloatArray, scores: FloatArray, others: FloatArray) -> FloatArray:
    """Other values (m,) of a metric, higher is better, on the scale of scores (n,) that go with its values (n,)."""
    fitted = IsotonicRegression(increasing=True, out_of_bounds="clip").fit(values, scores)
    return np.asarray(fitted.predict(others), dtype=np.float64)


def _by_metric(context: StageContext, name: str) -> FloatArray:
    labeled, unlabeled = context.labeled, context.unlabeled
    assert labeled is not None and unlabeled is not None
    metric = metric_teacher(str(context.params["metric_class"]), name, context.device)
    known = _finite(metric.predict(labeled.images), name, "labeled")
    return to_scores(known, labeled.score01, _finite(metric.predict(unlabeled), name, "unlabeled"))


def metric_teacher(metric_class: str, name: str, device: torch.device) -> Predictor:
    """The metric of a teacher's name, `pyiqa:NAME`.

    Args:
        metric_class: "module:Class" of what makes a predictor of a metric's name and a device.

    Raises:
        InputError: there is no such metric, or its weights are not on this machine.
    """
    metric: Predictor = named(metric_class)(name.removeprefix(METRIC_PREFIX), device)
    return metric


def _finite(values: FloatArray, teacher: str, side: str) -> FloatArray:
    wrong = int((~np.isfinite(values)).sum())
    if wrong:
        raise RunError(
            f'pseudo-labels: teacher "{teacher}" gives no finite value for {wrong} of {len(values)} {side} images. '
            f"Look at images that are tiny or of one colour all over and take them out of the dataset, or choose other "
            f"teachers with --set teachers=[…]."
        )
    return values


def _unrecorded(stage: Stage) -> Stage:
    return replace(stage, predicts=False)
