"""Supervised learning on labeled images: the baseline, and Θ_0 of SS-IQA.

Source: Pan et al., "Semi-Supervised Blind Image Quality Assessment through Knowledge Distillation and
Incremental Learning", AAAI 2024, implementation details of the initial phase.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from torch import nn

from ssliqa_bench.methods.base import Learner, Model, ModelContext, Needs, Work
from ssliqa_bench.training.backbones.base import QualityModel
from ssliqa_bench.training.checkpoint import module_tensors
from ssliqa_bench.training.loop import Schedule, drawn_rows
from ssliqa_bench.training.quality import (
    QualityPredictor,
    build_backbone,
    build_model,
    stored_model,
    train_on_scores,
)
from ssliqa_bench.training.stages import Stage, StageContext
from ssliqa_bench.training.views import View
from ssliqa_bench.types import Artifact

# What training on scores reads, whichever stage does it.
TRAINING_PARAMS = ("backbone", "crop", "crops", "batch_size", "smooth_l1_beta", "optimizer", "weight_decay")
INITIAL_PARAMS = (*TRAINING_PARAMS, "epochs", "warmup_epochs", "lr", "lr_step", "lr_factor", "initial_flip")


def strong_view(context: StageContext) -> View:
    """The student's view: random crops, flipped left-right or not."""
    return View(int(context.params["crop"]), int(context.params["crops"]), flip=True)


def initial_view(context: StageContext) -> View:
    """The view of the initial phase: random crops, flipped only if the parameter `initial_flip` is set."""
    return replace(strong_view(context), flip=bool(context.params["initial_flip"]))


def initial_schedule(context: StageContext) -> Schedule:
    """Epochs and rates of the initial phase."""
    p = context.params
    return Schedule(
        p["epochs"], p["lr"], p["warmup_epochs"], p["lr_step"], p["lr_factor"], p["weight_decay"], p["optimizer"]
    )


def run_initial(context: StageContext) -> Artifact:
    """Initial phase: train from the initial weights on the labeled images; each epoch sees each image once.

    Where the count of the labeled side is declared and differs from the set (the oracle receives both sides
    as labeled), an epoch keeps that many images, drawn from the set.
    """
    labeled = context.labeled
    assert labeled is not None  # declared by every stage that runs this
    model = build_model(context)
    items = context.counts.get("labeled", len(labeled))
    facts = train_on_scores(
        model,
        labeled.images,
        labeled.score01,
        lambda epoch: drawn_rows(len(labeled), items, epoch, context.seed, context.name, "rows"),
        items,
        initial_schedule(context),
        initial_view(context),
        context,
    )
    return Artifact(module_tensors(model), facts)


def initial_stage() -> Stage:
    """The stage that leaves Θ_0."""
    return Stage("initial", run_initial, sets=("labeled",), params=INITIAL_PARAMS)


def build_quality(context: ModelContext) -> QualityPredictor:
    """The model of quality through the fixed test crops."""
    p = context.params
    model = stored_model(context.trained, p["backbone"], context.device)
    return QualityPredictor(model, View(p["crop"], p["test_crops"]), context.device)


class Supervised(Learner):
    """Smooth-L1 regression of the scores on random crops."""

    needs: ClassVar[Needs] = Needs()
    model: ClassVar[Model] = Model(build_quality, ("backbone", "crop", "test_crops"))
    def stages(self) -> list[Stage]:
        """One stage: the initial phase."""
        return [initial_stage()]

    def work(self, labeled: int, unlabeled: int) -> Work | None:
        """Every image once per epoch."""
        return Work(labeled * int(self.params["crops"]) * int(self.params["epochs"]))

    def networks(self) -> Mapping[str, nn.Module]:
        """One model, whatever the stages."""
        return {"model": QualityModel(build_backbone(self.params["backbone"]))}
