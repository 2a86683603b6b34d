"""Training of the student, on labels alone or on labels and pseudo-labels."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import torch

from ssliqa_bench.methods.base import Predictor
from ssliqa_bench.methods.noisy_student.network import StudentNetwork, StudentPredictor, build_student_network
from ssliqa_bench.methods.noisy_student.noise import NOISE_PARAMS, Noise, noisy_crops
from ssliqa_bench.methods.noisy_student.plateau import (
    PLATEAU_PARAMS,
    BestTrainee,
    EpochQuality,
    Plateau,
    PlateauSchedule,
    best_epoch,
)
from ssliqa_bench.training.batches import in_batches
from ssliqa_bench.training.checkpoint import module_tensors
from ssliqa_bench.training.loop import EpochPlan, drawn_rows, train
from ssliqa_bench.training.stages import StageContext, Validation
from ssliqa_bench.training.standardisation import LabelScale, squared_and_pearson
from ssliqa_bench.types import Artifact

STUDENT_PARAMS = (
    *NOISE_PARAMS,
    *PLATEAU_PARAMS,
    "backbone",
    "batch_size",
    "epochs",
    "label_mean",
    "label_std",
    "lr",
    "optimizer",
    "weight_decay",
)
_UNDEFINED = -1.0  # in place of a correlation of predictions that are all equal
PSEUDO_LABELS = "labels"  # the array (m,) that a stage of pseudo-labels leaves, on the learner's [0, 1] scale


def run_student(context: StageContext) -> Artifact:
    """Train a student from its initial weights on the labeled images, and on the unlabeled ones with the pseudo-labels
    of its input, where it has one: both together, in uniform order, with one loss.

    An epoch is one pass over them less an incomplete last batch. Where the counts of both sides are declared, it has
    as many rows as both sides have images, drawn from the labeled ones so that all come equally often. With a
    validation part the rate falls on plateaus of its loss and the best epoch is kept; without, the rate is constant
    and the last epoch is the model.

    Raises:
        InputError: the labels cannot be standardised, or the backbone does not take such crops.
    """
    labeled, p = context.labeled, context.params
    assert labeled is not None
    scale = LabelScale.of(labeled.score01, p["label_mean"], p["label_std"])
    images, scores = labeled.images, labeled.score01
    for pseudo in context.inputs.values():
        assert context.unlabeled is not None
        images = images + context.unlabeled
        scores = np.concatenate((scores, pseudo.tensors[PSEUDO_LABELS]))
    targets = torch.from_numpy(scale.standardise(scores).astype(np.float32))
    pool, rows = len(images), sum(context.counts.values()) or len(images)
    batch = min(int(p["batch_size"]), rows)
    plan = EpochPlan(rows // batch * batch, batch)
    noise = Noise.of(p)
    trainee = BestTrainee(build_student_network(context, scale), int(p["epochs"]), _judge(context)).to(context.device)
    schedule = PlateauSchedule(
        epochs=int(p["epochs"]),
        lr=float(p["lr"]),
        weight_decay=float(p["weight_decay"]),
        optimizer=p["optimizer"],
        plateau=Plateau.of(p),
        trainee=trainee,
    )
    taken = 0

    def batches(epoch: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        drawn = drawn_rows(pool, rows, epoch, context.seed, context.name, "rows")[: plan.items]
        purpose = (context.seed, context.name, "noise", epoch)
        for positions, visits in in_batches(drawn, batch):
            crops = noisy_crops(images, positions, noise, *purpose, visits=visits)
            yield crops, targets[torch.from_numpy(positions)]

    def loss(batch: tuple[torch.Tensor, torch.Tensor]) -> dict[str, torch.Tensor]:
        return squared_and_pearson(trainee.network(batch[0]), batch[1])

    def after_step() -> None:
        nonlocal taken
        taken += 1  # training starts, and resumes after an interruption, with a whole epoch
        if taken % plan.steps == 0:
            trainee.finish_epoch()

    facts = train(trainee, schedule, plan, batches, loss, context, after_step)
    if history := trainee.history():
        for entry, judged in zip(facts["log"], history, strict=True):
            entry.update({f"validation_{name}": value for name, value in judged._asdict().items()})
        context.report.note(f"epoch {best_epoch(history) + 1} of {len(history)} was best on the validation images")
    return Artifact(module_tensors(trainee.final), facts)


def _judge(context: StageContext) -> Callable[[StudentNetwork], EpochQuality] | None:
    validation = context.validation
    if validation is None:
        return None
    crop, device = int(context.params["crop"]), context.device
    return lambda network: judged(StudentPredictor(network, crop, 1, device), network.label_scale, validation)


def judged(predictor: Predictor, scale: LabelScale, validation: Validation) -> EpochQuality:
    """How good a model is on the validation images: mean squared error of standardised scores + 1 − PLCC, PLCC, SRCC.

    As in training, 1 − PLCC is left out where PLCC is undefined.
    """
    predictions = predictor.predict(validation.images)
    if not np.isfinite(predictions).all():  # the loop reports it when it looks at the loss
        return EpochQuality(math.inf, _UNDEFINED, _UNDEFINED)
    error, plcc, srcc = (measure(predictions) for measure in (validation.rmse, validation.plcc, validation.srcc))
    squared = math.inf if error is None else (error / scale.std) ** 2
    return EpochQuality(
        squared + (0.0 if plcc is None else 1 - plcc),
        _UNDEFINED if plcc is None else plcc,
        _UNDEFINED if srcc is None else srcc,
    )
