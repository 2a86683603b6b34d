"""Training on labeled and unlabeled images with a loss on scores: batches, what a checkpoint holds, the shared loop."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ssliqa_bench.training.averages import Trainee, follow, rising_decay
from ssliqa_bench.training.backbones.base import QualityModel
from ssliqa_bench.training.batches import DrawViews, drawn_batches, unlabeled_images
from ssliqa_bench.training.checkpoint import module_tensors
from ssliqa_bench.training.images import ImageSet
from ssliqa_bench.training.loop import EpochPlan, Schedule, Terms, train
from ssliqa_bench.training.losses import smooth_l1
from ssliqa_bench.training.quality import build_model
from ssliqa_bench.training.schedule import CosineSchedule
from ssliqa_bench.training.stages import StageContext
from ssliqa_bench.training.views import View
from ssliqa_bench.types import Artifact, FloatArray, IntArray

# What every training on scores reads, with or without unlabeled images.
LABEL_PARAMS = (
    "backbone", "crop", "batch_size", "epochs", "epoch_steps", "lr", "lr_schedule", "lr_warmup_steps", "lr_step",
    "lr_factor", "optimizer", "weight_decay", "ema_decay",
)  # fmt: skip
SCORE_PARAMS = ("smooth_l1_beta",)  # what `score_loss` adds
# What unlabeled images add.
UNLABELED_PARAMS = ("unlabeled_ratio", "include_labelled", "unlabeled_weight")
RAMP_PARAMS = ("ramp", "ramp_share")


@dataclass(frozen=True)
class TrainingStep:
    """What one step sees.

    Attributes:
        number: steps made before this one.
        labeled: crops (B, …) of labeled images; targets: their scores (B,).
        rows: positions (U,) of the unlabeled images in their set; views: as many crops (U, …) each.
    """

    number: int
    labeled: torch.Tensor
    targets: torch.Tensor
    rows: torch.Tensor | None = None
    views: tuple[torch.Tensor, ...] = ()


class ScoreTrainee(Trainee[nn.Module]):
    """A network in training, the average of its weights, and tables that a learner keeps.

    Args:
        decay: limit of the average's decay, which rises from 1/2; 0 keeps no average.
        tables: tensors by name, kept as buffers.
    """

    def __init__(self, network: nn.Module, decay: float, tables: Mapping[str, torch.Tensor] | None = None) -> None:
        super().__init__(network, averages=bool(decay))
        self.decay = decay
        self.steps = 0  # made so far; the number of every step says it, also after an interruption
        for name, table in (tables or {}).items():
            self.register_buffer(name, table)

    def follow(self) -> None:
        """Move the average towards the weights after an optimiser step."""
        if self.averaged is not None:
            follow(self.averaged, self.network, rising_decay(self.steps, self.decay))


Loss = Callable[[ScoreTrainee, TrainingStep], Terms]
DrawGroups = DrawViews[tuple[torch.Tensor, ...]]


def run_training(
    context: StageContext,
    network: nn.Module,
    loss: Loss,
    views: DrawGroups | None = None,
    targets: FloatArray | None = None,
    tables: Mapping[str, torch.Tensor] | None = None,
) -> Artifact:
    """Train a network with a loss on every step; leaves the averaged weights where an average is kept.

    The batches of labeled images depend on the stage's name and the seed alone, whatever is drawn beside them.

    Args:
        network: on the context's device.
        views: draws crops of unlabeled images; None for training on labels alone.
        targets: what labeled images teach (n,), in place of their scores.
        tables: what the trainee keeps beside its network.
    """
    labeled, p = context.labeled, context.params
    assert labeled is not None  # declared by every stage that runs this
    trainee = ScoreTrainee(network, float(p["ema_decay"]), tables).to(context.device)
    unlabeled = unlabeled_images(context, labeled) if views else None
    known = torch.from_numpy(labeled.score01 if targets is None else targets).float()

    def batches(epoch: int) -> Iterator[TrainingStep]:
        size, steps = int(p["batch_size"]), int(p["epoch_steps"])
        weak = View(int(p["crop"]), flip=True)
        own = drawn_batches(context, labeled.images, weak.draw, size, steps, epoch, "labeled")
        others = _unlabeled(context, unlabeled, views, epoch) if views and unlabeled is not None else None
        for k, (rows, crops) in enumerate(own):
            seen = next(others) if others is not None else (None, ())
            yield TrainingStep(epoch * steps + k, crops, known[torch.from_numpy(rows)], *seen)

    def terms(step: TrainingStep) -> Terms:
        trainee.steps = step.number + 1
        return loss(trainee, step)

    images = int(p["batch_size"]) * (1 + (int(p["unlabeled_ratio"]) if views else 0))
    plan = EpochPlan(int(p["epoch_steps"]) * images, images)
    facts = train(trainee, make_schedule(context), plan, batches, terms, context, trainee.follow)
    return Artifact(module_tensors(trainee.judge), facts)


def build_start(context: StageContext) -> QualityModel:
    """The network before training, its output at the mean of the labels.

    An average of weights would lag for long behind an output that has to rise to there first.
    """
    assert context.labeled is not None  # declared by every stage that runs this
    model = build_model(context)
    nn.init.constant_(model.head.bias, float(context.labeled.score01.mean()))
    return model


def make_schedule(context: StageContext) -> Schedule:
    """Epochs and rates: a cosine after a warm-up in steps, or a rate that falls every `lr_step` epochs."""
    p = context.params
    shared: dict[str, Any] = {
        "epochs": int(p["epochs"]), "lr": p["lr"], "weight_decay": p["weight_decay"], "optimizer": p["optimizer"],
    }  # fmt: skip
    if p["lr_schedule"] == "cosine":
        return CosineSchedule(**shared, epoch_steps=int(p["epoch_steps"]), warmup_steps=int(p["lr_warmup_steps"]))
    return Schedule(**shared, lr_step=int(p["lr_step"]), lr_factor=p["lr_factor"])


def rising_weight(context: StageContext, name: str = "unlabeled_weight") -> Callable[[int], float]:
    """Weight of a term by the number of steps made: it rises to the parameter `name` over the first `ramp_share` of the
    training."""
    p = context.params
    length = p["ramp_share"] * int(p["epochs"]) * int(p["epoch_steps"])
    rise = {"exponential": exponential_ramp, "linear": linear_ramp}[p["ramp"]]
    return lambda step: p[name] * rise(step, length)


def exponential_ramp(step: int, length: float) -> float:
    """exp(−5 (1 − t)²) with t = step / length, at most 1; 1 from the start where the length is 0.

    Source: Laine and Aila, ICLR 2017, in the authors' implementation.
    """
    return math.exp(-5 * (1 - min(step / length, 1.0)) ** 2) if length > 0 else 1.0


def linear_ramp(step: int, length: float) -> float:
    """step / length, at most 1; 1 from the start where the length is 0.

    Source: Huang et al., NeurIPS 2024, in the authors' implementation.
    """
    return min(step / length, 1.0) if length > 0 else 1.0


def squared_difference(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Mean squared difference of two predictions (n,) of the same images."""
    return (first.float() - second.float()).square().mean()


def score_loss(context: StageContext, network: nn.Module, step: TrainingStep) -> torch.Tensor:
    """Smooth-L1 distance of the predictions for a step's labeled crops from their targets."""
    return smooth_l1(network(step.labeled)[0], step.targets, float(context.params["smooth_l1_beta"]))


def weak_views(context: StageContext, count: int) -> DrawGroups:
    """Draws `count` weak views of each image: random crops, each flipped left-right or not."""
    view = View(int(context.params["crop"]), count, flip=True)

    def views(
        images: ImageSet, positions: IntArray, *purpose: Any, visits: IntArray
    ) -> tuple[torch.Tensor, ...]:
        crops = view.draw(images, positions, *purpose, visits=visits)
        return crops.unflatten(0, (len(positions), count)).unbind(1)

    return views


@contextmanager
def without_statistics(network: nn.Module) -> Iterator[None]:
    """Crops that pass meanwhile leave no trace in the running statistics of batch norms."""
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm) and module.track_running_stats]
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True


def predictions(network: nn.Module, *views: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Quality (U,) of each of several groups of unlabeled crops, which pass together and leave no statistics."""
    with without_statistics(network):
        return network(torch.cat(views))[0].split([len(view) for view in views])


def _unlabeled(
    context: StageContext, images: ImageSet, views: DrawGroups, epoch: int
) -> Iterator[tuple[torch.Tensor, tuple[torch.Tensor, ...]]]:
    p = context.params
    size = int(p["batch_size"]) * int(p["unlabeled_ratio"])
    for rows, groups in drawn_batches(context, images, views, size, int(p["epoch_steps"]), epoch, "unlabeled"):
        yield torch.from_numpy(rows), groups
