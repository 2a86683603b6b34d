"""SSLIQA: two branches of different architecture learn together and are held consistent, sample by sample and in the
angles between the samples of a batch; the smaller one is the model.

Source: Yue et al., "Semi-Supervised Authentically Distorted Image Quality Assessment with Consistency-Preserving
Dual-Branch Convolutional Neural Network", IEEE TMM 25, 2023. Choices that the paper does not specify (regressors,
epochs, crops, gradients, distributions of datasets that have none) are in docs/methods/ssliqa.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from ssliqa_bench.errors import InputError
from ssliqa_bench.methods.base import Learner, Model, ModelContext, Needs, Work
from ssliqa_bench.methods.ssliqa.batch_consistency import LEAST_SAMPLES, batch_consistency
from ssliqa_bench.methods.ssliqa.branches import DualBranch, build_branch, make_branch, stored_branch
from ssliqa_bench.methods.ssliqa.distributions import target_distributions
from ssliqa_bench.training.batches import drawn_batches
from ssliqa_bench.training.checkpoint import module_tensors
from ssliqa_bench.training.images import ImageSet
from ssliqa_bench.training.loop import EpochPlan, Schedule, train
from ssliqa_bench.training.losses import squared_distance
from ssliqa_bench.training.quality import QualityPredictor
from ssliqa_bench.training.stages import Stage, StageContext
from ssliqa_bench.training.views import View
from ssliqa_bench.types import Artifact, IntArray

_SCHEDULE_PARAMS = ("epochs", "lr", "lr_step", "lr_factor", "weight_decay", "optimizer")
_STUDENT_PARAMS = (
    *_SCHEDULE_PARAMS,
    "student_backbone",
    "student_hidden",
    "levels",
    "rating_std",
    "size",
    "original_sizes",
    "crop",
    "crops",
    "labeled_batch",
    "unlabeled_batch",
)
_PAIR_PARAMS = (
    *_STUDENT_PARAMS,
    "teacher_backbone",
    "teacher_hidden",
    "sample_consistency",
    "batch_consistency",
    "batch_weight",
    "ramp_epochs",
    "detach_teacher",
)


@dataclass(frozen=True)
class BranchBatch:
    """Crops of labeled images, then of unlabeled ones, all on the device.

    Attributes:
        crops: uint8 (B^L + B^U, 3, h, w).
        target: distributions (B^L, P) of the labeled ones.
        unlabeled: positions (B^U,) of the unlabeled ones in their set.
        weight: λ of the epoch.
    """

    crops: torch.Tensor
    target: torch.Tensor
    unlabeled: IntArray
    weight: float


# What the student is drawn to on all crops of a batch, from the teacher's shares (B, P) of them.
Pull = Callable[[torch.Tensor, BranchBatch], torch.Tensor]


def ramp_up(epoch: int, ramp_epochs: int) -> float:
    """λ(t) = exp(−5 (1 − t/T)²) of an epoch counted from 0, so t = epoch + 1; 1 from t = T on."""
    return math.exp(-5 * (1 - min((epoch + 1) / ramp_epochs, 1.0)) ** 2)


def steps_per_epoch(images: int, crops: int, batch: int) -> int:
    """Steps in which each of so many images comes `crops` times, in batches of so many crops."""
    return math.ceil(crops * images / batch)


def teachers_shares(shares: torch.Tensor, batch: BranchBatch) -> torch.Tensor:
    """The student is drawn to what the teacher says."""
    return shares


def run_pair(context: StageContext, pull: Pull = teachers_shares) -> Artifact:
    """Train student and teacher together; leaves the student.

    An epoch is `crops` passes over the unlabeled images; labeled ones are drawn as often as the batches need, all
    equally often. `pull` says what the sample-level loss draws the student to; tests put others in its place.
    """
    labeled, unlabeled = context.labeled, context.unlabeled
    assert labeled is not None and unlabeled is not None
    p = context.params
    sizes = int(p["labeled_batch"]), int(p["unlabeled_batch"])
    for what, images, size in (("labeled", labeled.images, sizes[0]), ("unlabeled", unlabeled, sizes[1])):
        if len(images) < size:
            context.report.note(
                f"{len(images)} {what} images are fewer than the {size} of a batch, so a batch shows some of them in "
                f"several crops"
            )
    targets = _targets(context)
    model = DualBranch(build_branch(context, "student"), build_branch(context, "teacher"))
    steps = steps_per_epoch(len(unlabeled), int(p["crops"]), sizes[1])

    def batches(epoch: int) -> Iterator[BranchBatch]:
        weight = ramp_up(epoch, int(p["ramp_epochs"]))
        sides = zip(
            _drawn(context, labeled.images, "labeled", steps, sizes[0], epoch),
            _drawn(context, unlabeled, "unlabeled", steps, sizes[1], epoch),
            strict=True,
        )
        for (rows, crops), (unlabeled_rows, unlabeled_crops) in sides:
            yield BranchBatch(torch.cat((crops, unlabeled_crops)), targets[rows], unlabeled_rows, weight)

    def loss(batch: BranchBatch) -> dict[str, torch.Tensor]:
        return pair_loss(model, batch, p, pull)

    plan = EpochPlan(steps * sum(sizes), sum(sizes))
    facts = train(model, _schedule(context), plan, batches, loss, context)
    return Artifact(module_tensors(model.student), facts)


def pair_loss(model: DualBranch, batch: BranchBatch, params: Mapping[str, Any], pull: Pull) -> dict[str, torch.Tensor]:
    """L = L^S + λ (L_s^U + β L_b^U) and its terms, with λ and the composition of the batch for the log.

    Source: Eq. 1, 2, 5 to 8. Nothing is detached unless `detach_teacher`: both equations bind both branches.
    """
    student, teacher = model(batch.crops)
    n = len(batch.target)
    supervised = squared_distance(teacher.shares[:n], batch.target) + squared_distance(student.shares[:n], batch.target)
    total = supervised + teacher.own_loss + student.own_loss
    shares, features = teacher.shares, teacher.features
    if params["detach_teacher"]:
        shares, features = shares.detach(), features.detach()
    terms = {"supervised": supervised}
    if params["sample_consistency"]:
        goal = pull(shares, batch)
        terms["sample"] = sum(
            (squared_distance(goal[part], student.shares[part]) for part in (slice(n), slice(n, None))),
            start=total.new_zeros(()),
        )
        total = total + batch.weight * terms["sample"]
    if params["batch_consistency"]:
        terms["batch"] = batch_consistency(student.features, features)
        total = total + batch.weight * float(params["batch_weight"]) * terms["batch"]
    logged = {"weight": batch.weight, "labeled": n, "unlabeled": len(batch.crops) - n}
    # Filled on the device: a tensor made of a number would wait for it.
    return {"loss": total, **terms, **{name: total.new_full((), float(value)) for name, value in logged.items()}}


def run_supervised(context: StageContext) -> Artifact:
    """Train the student alone, all crops of a batch from labeled images.

    Where the number of unlabeled images is declared, an epoch has the steps that `run_pair` makes; else each labeled
    image comes `crops` times.
    """
    labeled = context.labeled
    assert labeled is not None
    p = context.params
    size = int(p["labeled_batch"]) + int(p["unlabeled_batch"])
    steps = steps_per_epoch(len(labeled), int(p["crops"]), size)
    if "unlabeled" in context.counts:
        steps = steps_per_epoch(context.counts["unlabeled"], int(p["crops"]), int(p["unlabeled_batch"]))
    targets = _targets(context)
    model = build_branch(context, "student")

    def batches(epoch: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for rows, crops in _drawn(context, labeled.images, "labeled", steps, size, epoch):
            yield crops, targets[rows]

    def loss(batch: tuple[torch.Tensor, torch.Tensor]) -> dict[str, torch.Tensor]:
        seen = model(batch[0])
        supervised = squared_distance(seen.shares, batch[1])
        return {"loss": supervised + seen.own_loss, "supervised": supervised}

    facts = train(model, _schedule(context), EpochPlan(steps * size, size), batches, loss, context)
    return Artifact(module_tensors(model), facts)


def build_branch_student(context: ModelContext) -> QualityPredictor:
    """The student through the fixed test crops."""
    p = context.params
    view = _view(p, p["test_crops"])
    return QualityPredictor(stored_branch(context.trained, p, "student", context.device), view, context.device)


class SSLIQA(Learner):
    """Student and teacher learn together in one stage; the student is the model."""

    needs: ClassVar[Needs] = Needs(unlabeled=True, distribution="where known", rating_std="where known")
    model: ClassVar[Model] = Model(
        build_branch_student,
        (
            "student_backbone",
            "student_hidden",
            "levels",
            "rating_std",
            "size",
            "original_sizes",
            "crop",
            "test_crops",
        ),
    )
    roles: ClassVar[tuple[str, ...]] = ("student", "teacher")

    def check(self) -> None:
        """Batch-level consistency needs a few samples; sizes are pairs of numbers."""
        _view(self.params)
        batch = int(self.params["labeled_batch"]) + int(self.params["unlabeled_batch"])
        if "teacher" in self.roles and self.params["batch_consistency"] and batch < LEAST_SAMPLES:
            raise InputError(
                f"Parameters labeled_batch and unlabeled_batch: got a batch of {batch}; batch-level consistency needs "
                f"{LEAST_SAMPLES} samples or more. Say --set batch_consistency=false to do without it."
            )

    def stages(self) -> list[Stage]:
        """One stage, `student`."""
        return [Stage("student", run_pair, sets=("labeled", "unlabeled"), params=_PAIR_PARAMS)]

    def work(self, labeled: int, unlabeled: int) -> Work | None:
        """Crops of whole batches; an epoch is `crops` passes over the unlabeled images, if there are any."""
        p = self.params
        size = int(p["labeled_batch"]) + int(p["unlabeled_batch"])
        passes = (unlabeled, int(p["unlabeled_batch"])) if self.needs.unlabeled else (labeled, size)
        return Work(steps_per_epoch(passes[0], int(p["crops"]), passes[1]) * size * int(p["epochs"]))

    def networks(self) -> Mapping[str, nn.Module]:
        """The branches."""
        return {role: make_branch(self.params, role) for role in self.roles}


class SupervisedBranch(SSLIQA):
    """The baseline: one branch on the labels, each labeled image `crops` times an epoch."""

    needs: ClassVar[Needs] = Needs(distribution="where known", rating_std="where known")
    roles: ClassVar[tuple[str, ...]] = ("student",)

    def stages(self) -> list[Stage]:
        """One stage, `student`."""
        return [stage.labels_only(run_supervised, _STUDENT_PARAMS) for stage in super().stages()]


class SupervisedStudent(SupervisedBranch):
    """The comparator: the student alone for the steps of SSLIQA, unlabeled crops replaced by draws from the labeled
    side. With both sides as labeled it is the oracle."""

    needs: ClassVar[Needs] = SSLIQA.needs

    def stages(self) -> list[Stage]:
        """One stage; of the unlabeled side it knows the number of images."""
        return [stage.labels_only(run_supervised, _STUDENT_PARAMS, ("unlabeled",)) for stage in super().stages()]


def _drawn(
    context: StageContext, images: ImageSet, side: str, steps: int, size: int, epoch: int
) -> Iterator[tuple[IntArray, torch.Tensor]]:
    """Positions and crops of one side of every batch of an epoch; all images come equally often over the epochs."""
    p = context.params
    view = replace(_view(p), flip=True)
    return drawn_batches(context, images, view.draw, size, steps, epoch, side, views="strong")


def _targets(context: StageContext) -> torch.Tensor:
    labeled, p = context.labeled, context.params
    assert labeled is not None
    made = target_distributions(labeled, int(p["levels"]), float(p["rating_std"]))
    return torch.from_numpy(np.asarray(made, dtype=np.float32))


def _schedule(context: StageContext) -> Schedule:
    p = context.params
    return Schedule(p["epochs"], p["lr"], 0, p["lr_step"], p["lr_factor"], p["weight_decay"], p["optimizer"])


def _view(params: Mapping[str, Any], crops: int = 1) -> View:
    """Crops of images, which are reduced to `size` unless they have one of the `original_sizes`.

    Raises:
        InputError: an original size is not of the form WIDTHxHEIGHT.
    """
    size = (int(params["size"][0]), int(params["size"][1])) if params["size"] else None
    return View(int(params["crop"]), crops, size=size, original=tuple(map(_height_width, params["original_sizes"])))


def _height_width(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise InputError(f'Parameter original_sizes: got "{text}"; expected WIDTHxHEIGHT in pixels, such as 608x608.')
    return int(height), int(width)
