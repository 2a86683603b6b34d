"""Training of both full-reference networks: squared error, constant rate, average of the last epochs, batch norm.

Source: as `blocks`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from ssliqa_bench.errors import InputError
from ssliqa_bench.methods.full_reference.networks import (
    NETWORKS,
    PAIR_NETWORK_PARAMS,
    FullReferenceModel,
    make_pair_model,
)
from ssliqa_bench.methods.full_reference.views import PairView, draw_pairs
from ssliqa_bench.training.averages import Trainee, add_to_mean
from ssliqa_bench.training.checkpoint import module_tensors
from ssliqa_bench.training.images import LabeledSet
from ssliqa_bench.training.loop import EpochPlan, Schedule, drawn_rows, split_batches, train
from ssliqa_bench.training.prefetch import on_device
from ssliqa_bench.training.quality import start
from ssliqa_bench.training.stages import Stage, StageContext
from ssliqa_bench.training.standardisation import LabelScale
from ssliqa_bench.types import Artifact, derive_seed

_TRAINING_PARAMS = (
    *PAIR_NETWORK_PARAMS, "fr_crop", "fr_rotation", "fr_batch_size", "fr_epochs", "fr_lr", "fr_average_epochs",
    "fr_batch_norm", "label_mean", "label_std",
)  # fmt: skip


@dataclass(frozen=True)
class PairBatch:
    """Crops of references and images (n, 3, c, c) in [0, 1], and standardised scores (n,)."""

    reference: torch.Tensor
    distorted: torch.Tensor
    target: torch.Tensor


class PairTrainee(Trainee[nn.Module]):
    """A network in training, and the mean of its weights after each of the last epochs.

    Args:
        epochs: of training; average: the last so many of them go into the mean.
    """

    def __init__(self, network: nn.Module, epochs: int, average: int, steps_per_epoch: int) -> None:
        super().__init__(network, averages=True)
        self._first, self._steps_per_epoch = epochs - average, steps_per_epoch
        self._taken = 0
        self.steps: torch.Tensor
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))  # of the epochs that are complete

    @torch.no_grad()
    def follow(self) -> None:
        """Count an optimiser step, and take the weights into the mean where an epoch of those ends."""
        self._taken += 1  # training starts, and resumes, with a whole epoch
        if self._taken % self._steps_per_epoch:
            return
        self.steps += self._steps_per_epoch
        epoch = int(self.steps) // self._steps_per_epoch
        if epoch > self._first:
            add_to_mean(self.judge, self.network, epoch - self._first)


@torch.no_grad()
def refresh_batch_norm(model: FullReferenceModel, batches: Iterable[PairBatch], how: str) -> None:
    """One pass over training pairs, without gradients, for the statistics of the batch norms of averaged weights.

    Args:
        how: momentum, the statistics continue from their current values, dropout active, as the paper's code does;
            reset, they become the plain mean over all batches, without dropout. A network without batch norm is left
            alone.
    """
    norms = [module for module in model.network.modules() if isinstance(module, nn.BatchNorm2d)]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    model.train(how == "momentum")
    for norm in norms:
        norm.train()
        if how == "reset":
            norm.reset_running_stats()
            norm.momentum = None
    for batch in batches:
        model(batch.reference, batch.distorted)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    model.eval()


def full_reference_stage(name: str, run: Callable[[StageContext], Artifact]) -> Stage:
    """The stage that trains a network; its name is the network's."""
    params = (*_TRAINING_PARAMS, NETWORKS[name].hidden_param)
    return Stage(name, run, sets=("labeled",), params=params, references=True)


def train_on_pairs(context: StageContext, name: str) -> Artifact:
    """Train a network, "conformer" or "transformer", on the labeled images and their references.

    Raises:
        InputError: a parameter that does not fit the others, the images or the extractor.
    """
    labeled, p = context.labeled, context.params
    assert labeled is not None  # declared by the stage
    size, epochs, average = int(p["fr_batch_size"]), int(p["fr_epochs"]), int(p["fr_average_epochs"])
    if len(labeled) < size:
        raise InputError(
            f"{len(labeled)} labeled images are fewer than one batch (fr_batch_size {size}). Lower it with "
            f"--set fr_batch_size=…, or raise --budget."
        )
    if average > epochs:
        raise InputError(f"Parameter fr_average_epochs: got {average}; expected no more than fr_epochs, {epochs}.")
    model = _build(context, name, labeled)
    steps = len(labeled) // size
    trainee = PairTrainee(model.network, epochs, average, steps).to(context.device)

    def loss(batch: PairBatch) -> dict[str, torch.Tensor]:
        return {"loss": functional.mse_loss(model(batch.reference, batch.distorted), batch.target)}

    facts = train(
        trainee,
        Schedule(epochs, float(p["fr_lr"])),
        EpochPlan(steps * size, size),
        lambda epoch: _batches(context, labeled, model, epoch),
        loss,
        context,
        trainee.follow,
    )
    model.network = trainee.judge
    # Dropout in this pass starts from a seed of its own, whether training was resumed or not.
    torch.manual_seed(derive_seed(context.seed, context.name, "batch norm"))
    batches = (on_device(batch, context.device) for batch in _batches(context, labeled, model, epochs))
    refresh_batch_norm(model, batches, p["fr_batch_norm"])
    return Artifact(module_tensors(model), {**facts, "network": name})


def _build(context: StageContext, name: str, labeled: LabeledSet) -> FullReferenceModel:
    """The model before training, on the context's device: initial values depend on the seed and the network alone."""
    p = context.params

    def build() -> FullReferenceModel:
        model = make_pair_model(name, p, context.weights.get("extractor_backbone"))
        model.rescale(LabelScale.of(labeled.score01, p["label_mean"], p["label_std"]))
        return model

    return start(context, build, lambda model: _check_crop(model, int(p["fr_crop"])), name)


def _check_crop(model: FullReferenceModel, side: int) -> None:
    """Refuse a crop whose maps do not have the network's grid.

    Raises:
        InputError: says what the crop gives, and what was expected.
    """
    try:
        found = model.extractor.maps(torch.zeros(1, 3, side, side)).shape[-2:]
    except (RuntimeError, ValueError) as error:
        raise InputError(
            f"Parameter fr_crop: the extractor does not take crops of {side}×{side} pixels: {error}"
        ) from error
    grid = model.network.grid
    if found != (grid, grid):
        raise InputError(
            f"Parameter fr_crop: crops of {side}×{side} pixels give maps of {found[0]}×{found[1]} places; expected "
            f"{grid}×{grid}, the parameter grid. Change either with --set."
        )


def _batches(context: StageContext, labeled: LabeledSet, model: FullReferenceModel, epoch: int) -> Iterator[PairBatch]:
    """Shuffled pairs of an epoch in whole batches; what is left over is dropped, other images each time."""
    p, n = context.params, len(labeled)
    size = int(p["fr_batch_size"])
    view = PairView(int(p["fr_crop"]), float(p["fr_rotation"]))
    scale = model.label_scale
    rows = drawn_rows(n, n, epoch, context.seed, context.name, "rows")[: n // size * size]
    for own in split_batches(rows, size):
        pair = draw_pairs(labeled.images, own, view, context.seed, context.name, "views", epoch)
        target = torch.from_numpy(scale.standardise(labeled.score01[own])).float()
        yield PairBatch(*pair, target)
