"""The one training loop: epochs of optimiser steps, checkpointed after each, the same when resumed.

A learner says what a batch is and what a batch costs; the loop owns the optimiser, the rate, mixed precision,
the random state of each epoch, the checkpoint, the log and the progress report. Batches are drawn ahead in a
background thread. The optimiser is fused on CUDA; on a CPU it is not, since it would round otherwise.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from torch import nn

from ssliqa_bench.errors import RunError
from ssliqa_bench.training.checkpoint import restore_training_state, training_state
from ssliqa_bench.training.prefetch import on_device, prefetched
from ssliqa_bench.training.stages import StageContext
from ssliqa_bench.types import IntArray, derive_seed

_Batch = TypeVar("_Batch")
Terms = dict[str, torch.Tensor]  # "loss", which is minimised, and what is logged beside it
_OPTIMIZERS: dict[str, tuple[Callable[..., torch.optim.Optimizer], dict[str, Any]]] = {
    "adam": (torch.optim.Adam, {}),
    "adamw": (torch.optim.AdamW, {}),
    "sgd": (torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
}
_LOOK_EVERY = 20  # steps between two looks at the loss, each of which waits for the device


@dataclass(frozen=True)
class Schedule:
    """How long and how fast one phase trains; every phase has a fresh optimiser.

    The rate rises linearly over `warmup_epochs` to `lr`, then falls by `lr_factor` every `lr_step` epochs
    (0: never).
    """

    epochs: int
    lr: float
    warmup_epochs: int = 0
    lr_step: int = 0
    lr_factor: float = 0.1
    weight_decay: float = 0.0
    optimizer: str = "adam"

    def make_optimizer(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """A fresh optimiser: adam, adamw (decoupled decay), or sgd (Nesterov momentum 0.9); fused on CUDA."""
        made, arguments = _OPTIMIZERS[self.optimizer]
        groups = list(parameters)
        tensors = [p for group in groups for p in (group["params"] if isinstance(group, dict) else (group,))]
        fused = {"fused": True} if tensors and all(p.is_cuda for p in tensors) else {}
        return made(groups, lr=self.lr, weight_decay=self.weight_decay, **arguments, **fused)

    def rate(self, epoch: int, fraction: float) -> float:
        """The rate of a step that completes the fraction (0, 1] of an epoch's steps; epochs count from 0."""
        if epoch < self.warmup_epochs:
            return self.lr * (epoch + fraction) / self.warmup_epochs
        drops = (epoch - self.warmup_epochs) // self.lr_step if self.lr_step else 0
        return self.lr * self.lr_factor**drops


@dataclass(frozen=True)
class EpochPlan:
    """What fills an epoch: so many items (rows of some set), in batches of `batch_size`, the last may be smaller."""

    items: int
    batch_size: int

    @property
    def steps(self) -> int:
        """Optimiser steps per epoch."""
        return math.ceil(self.items / self.batch_size)


def drawn_rows(pool: int, items: int, epoch: int, *purpose: Any) -> IntArray:
    """Rows of an epoch: a window of `items` on an endless row of random permutations of range(pool).

    With items = pool each epoch is one permutation; otherwise every row comes equally often over the epochs.
    """
    first, last = epoch * items, (epoch + 1) * items
    chunks = []
    for k in range(first // pool, (last - 1) // pool + 1):
        order = np.random.Generator(np.random.Philox(key=derive_seed(*purpose, k))).permutation(pool)
        chunks.append(order[max(first - k * pool, 0) : last - k * pool])
    return np.concatenate(chunks)


def earlier_visits(rows: IntArray) -> IntArray:
    """How often each row occurs earlier in an epoch: 0 for all where no row comes twice."""
    order = np.argsort(rows, kind="stable")
    ranked = rows[order]
    visits = np.empty_like(rows)
    visits[order] = np.arange(len(rows)) - np.searchsorted(ranked, ranked)
    return visits


def split_batches(rows: IntArray, batch_size: int) -> list[IntArray]:
    """Rows in batches, the last of which may be smaller."""
    return [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]


def train(
    model: nn.Module,
    schedule: Schedule,
    plan: EpochPlan,
    batches: Callable[[int], Iterable[_Batch]],
    loss: Callable[[_Batch], Mapping[str, torch.Tensor]],
    context: StageContext,
    after_step: Callable[[], None] | None = None,
) -> dict[str, Any]:
    """Train a model in place.

    Args:
        model: on the context's device.
        batches: gives the batches of an epoch, `plan.steps` of them, from nothing but the epoch's number; it runs in
            a background thread, so that it must neither read the model nor draw from a global generator. Tensors,
            also those in tuples and dataclasses, are moved to the device there.
        loss: terms of one batch; "loss" is the one that is minimised, the others are logged.
        after_step: called after every optimiser step, for what follows the weights; it must live in the model.

    Returns:
        {"steps": total optimiser steps, "log": one JSON object per epoch}.

    Raises:
        RunError: the loss is not finite.
    """
    optimizer = schedule.make_optimizer(p for p in model.parameters() if p.requires_grad)
    done, log = 0, []
    if (state := context.checkpoints.load()) is not None:
        restore_training_state(state, model, optimizer)
        done, log = int(state.meta["epoch"]), list(state.meta["log"])
        context.report.say(f"{context.name}: continues after epoch {done} of {schedule.epochs}")
    context.report.start(context.name, schedule.epochs, plan.steps, done)
    model.train()
    for epoch in range(done, schedule.epochs):
        with prefetched(on_device(batch, context.device) for batch in batches(epoch)) as ready:
            log.append(_epoch(model, optimizer, schedule, plan, epoch, ready, loss, context, after_step))
        meta = {"stage": context.name, "epoch": epoch + 1, "log": log}
        context.checkpoints.save(training_state(model, optimizer, meta))
    return {"steps": schedule.epochs * plan.steps, "log": log}


def _epoch(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    schedule: Schedule,
    plan: EpochPlan,
    epoch: int,
    batches: Iterable[_Batch],
    loss: Callable[[_Batch], Mapping[str, torch.Tensor]],
    context: StageContext,
    after_step: Callable[[], None] | None,
) -> dict[str, Any]:
    # Dropout and the like start from the epoch's own seed, so that a resumed run draws what it would have drawn.
    torch.manual_seed(derive_seed(context.seed, context.name, "epoch", epoch))
    started = time.perf_counter()
    sums: dict[str, torch.Tensor] = {}
    amp = context.precision == "bfloat16"
    for step, batch in enumerate(batches):
        for group in optimizer.param_groups:
            group["lr"] = schedule.rate(epoch, (step + 1) / plan.steps) * group.get("scale", 1.0)
        with torch.autocast(context.device.type, dtype=torch.bfloat16, enabled=amp):
            terms = loss(batch)
        optimizer.zero_grad(set_to_none=True)
        terms["loss"].backward()
        optimizer.step()
        if after_step is not None:
            after_step()
        for name, value in terms.items():
            sums[name] = value.detach() + sums.get(name, 0.0)
        look = step % _LOOK_EVERY == 0
        images = min(plan.batch_size, plan.items - step * plan.batch_size)
        context.report.step(images, float(terms["loss"].detach()) if look else None)
    means = {name: float(value) / plan.steps for name, value in sums.items()}
    if not all(math.isfinite(value) for value in means.values()):
        raise RunError(
            f"{context.name}, epoch {epoch + 1}: the loss is not finite ({means}). Lower the learning "
            f"rate (--set lr=…) or look at the scores of the labeled images."
        )
    seconds = time.perf_counter() - started
    rate = optimizer.param_groups[0]["lr"]
    return {
        "epoch": epoch + 1,
        **means,
        "lr": rate,
        "seconds": round(seconds, 3),
        "images_per_second": round(plan.items / max(seconds, 1e-9), 1),
    }
