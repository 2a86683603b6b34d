"""Training by consistency matching: batches of labeled and unlabeled views, one rule, the shared loop."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import repeat
from typing import Any

import numpy as np
import torch

from ssliqa_bench.errors import InputError
from ssliqa_bench.methods.matching.levels import encoded, levels_of, logit_shift
from ssliqa_bench.methods.matching.network import (
    TURNS,
    HeadedModel,
    LevelOutputs,
    LevelTrainee,
    add_token_drop,
    build_level_network,
)
from ssliqa_bench.methods.matching.parts import BatchSizes, LevelBatch, Rule, supervised_loss
from ssliqa_bench.methods.matching.policies import Policy
from ssliqa_bench.methods.matching.reports import note_missing, note_result, step_report
from ssliqa_bench.training.batches import drawn_batches, unlabeled_images
from ssliqa_bench.training.checkpoint import module_tensors
from ssliqa_bench.training.images import ImageSet, LabeledSet
from ssliqa_bench.training.loop import EpochPlan, Terms, train
from ssliqa_bench.training.schedule import CosineSchedule
from ssliqa_bench.training.stages import StageContext
from ssliqa_bench.types import Artifact, IntArray, derive_seed

# What every training on levels reads, beside the number of its epochs.
LEVEL_NETWORK_PARAMS = (
    "backbone", "levels", "label_rule", "label_encoding", "logit_adjustment", "policy", "crop", "batch_size",
    "epoch_steps", "lr", "lr_warmup_steps", "layer_decay", "optimizer", "weight_decay", "ema_decay",
)  # fmt: skip
LEVEL_PARAMS = (*LEVEL_NETWORK_PARAMS, "epochs")
# What unlabeled images add.
MATCHING_PARAMS = (*LEVEL_PARAMS, "min_overlap", "d4", "token_drop", "unlabeled_ratio", "include_labelled")


@dataclass(frozen=True)
class Taught:
    """What labeled images teach: levels (n,), distributions (n, P) where they are no single levels, and the shift of
    logit adjustment (P,) where there is one."""

    labels: torch.Tensor
    shares: torch.Tensor | None
    shift: torch.Tensor | None

    @classmethod
    def of(cls, labeled: LabeledSet, params: Mapping[str, Any]) -> Taught:
        """By the parameters of the method."""
        levels, rule, encoding = int(params["levels"]), params["label_rule"], params["label_encoding"]
        own = levels_of(labeled, levels, rule)
        shares = encoded(labeled, own, levels, rule, encoding)
        soft = None if encoding == "hard" else torch.from_numpy(shares).float()
        return cls(torch.from_numpy(own), soft, logit_shift(own, levels, params["logit_adjustment"]))


@dataclass(frozen=True)
class Drawn:
    """The crops of one step: positions and weak views of labeled images, positions of unlabeled ones with their
    weak and strong views, weak views of others to be turned, and strong views of the labeled images."""

    it: int
    rows: torch.Tensor
    labeled: torch.Tensor
    unlabeled_rows: torch.Tensor | None = None
    weak: torch.Tensor | None = None
    strong: tuple[torch.Tensor, ...] = ()
    turned: torch.Tensor | None = None
    strong_labeled: tuple[torch.Tensor, ...] = ()


def run_matching(context: StageContext, rule: Rule) -> Artifact:
    """Train the network of levels by an algorithm; leaves the averaged weights where an average is kept."""
    labeled, p = context.labeled, context.params
    assert labeled is not None and context.unlabeled is not None  # declared by every stage that runs this
    taught = Taught.of(labeled, p)
    note_missing(context, taught.labels)
    unlabeled = unlabeled_images(context, labeled)
    sizes = BatchSizes(
        int(p["levels"]), taught.labels, int(p["batch_size"]), int(p["batch_size"]) * int(p["unlabeled_ratio"])
    )
    check_sizes(len(labeled), len(unlabeled), sizes)
    if rule.averaged_teacher and not p["ema_decay"]:
        raise InputError("Parameter teacher: got ema; it needs averaged weights, ema_decay above 0.")
    random = torch.Generator().manual_seed(derive_seed(context.seed, context.name, "state"))
    network = build_level_network(context, rule)
    trainee = LevelTrainee(network, p["ema_decay"], rule.start(sizes, random), len(unlabeled)).to(context.device)
    stepper = _Stepper(context, rule, trainee, taught)
    facts = train(
        trainee,
        level_schedule(context, int(p["epochs"])).over(network, p["layer_decay"]),
        step_plan(context, sizes.batch + sizes.unlabeled),
        lambda epoch: _batches(context, rule, labeled.images, unlabeled, sizes, epoch),
        stepper.loss,
        context,
        trainee.follow,
    )
    selected = f"{int(trainee.ever.sum())} of {len(unlabeled)} unlabeled images selected at least once"
    note_result(context, trainee.judge.model, context.unlabeled, "unlabeled", taught.labels, selected)
    return Artifact(module_tensors(trainee.judge.model), facts)


def check_sizes(labeled: int, unlabeled: int | None, sizes: BatchSizes) -> None:
    """Each step takes whole batches of different images.

    Raises:
        InputError: one side has fewer images than its batch.
    """
    if labeled < sizes.batch:
        raise InputError(
            f"{labeled} labeled images are fewer than one batch (batch_size {sizes.batch}). Lower it with "
            f"--set batch_size=…, for the comparator too, or raise --budget."
        )
    if unlabeled is not None and unlabeled < sizes.unlabeled:
        raise InputError(
            f"{unlabeled} unlabeled images are fewer than one batch of {sizes.unlabeled} (batch_size {sizes.batch} × "
            f"unlabeled_ratio). Lower either with --set, for the comparator too, or raise --unlabeled-budget."
        )


def level_schedule(context: StageContext, epochs: int) -> CosineSchedule:
    """So many epochs, and rates."""
    p = context.params
    return CosineSchedule(
        epochs=epochs,
        lr=p["lr"],
        weight_decay=p["weight_decay"],
        optimizer=p["optimizer"],
        epoch_steps=int(p["epoch_steps"]),
        warmup_steps=int(p["lr_warmup_steps"]),
    )


def step_plan(context: StageContext, images: int) -> EpochPlan:
    """So many steps an epoch, of so many images each."""
    return EpochPlan(int(context.params["epoch_steps"]) * images, images)


def labeled_batches(
    context: StageContext, images: ImageSet, policy: Policy, size: int, epoch: int, strong: int = 0
) -> Iterator[tuple[IntArray, tuple[torch.Tensor, ...]]]:
    """Positions of the labeled images of each step, with a weak view and so many strong ones."""
    steps = int(context.params["epoch_steps"])
    return drawn_batches(context, images, policy.drawing(strong), size, steps, epoch, "labeled")


def _batches(
    context: StageContext, rule: Rule, labeled: ImageSet, unlabeled: ImageSet, sizes: BatchSizes, epoch: int
) -> Iterator[Drawn]:
    p = context.params
    policy = Policy(p["policy"], int(p["crop"]), p["min_overlap"], p["d4"])
    steps = int(p["epoch_steps"])
    unlabeled_views = policy.drawing(rule.strong_views)
    turned_batches: Iterable[tuple[IntArray, torch.Tensor | None]] = repeat((np.zeros(0, dtype=np.int64), None))
    if rule.rotates:
        turned_batches = drawn_batches(context, unlabeled, policy.weak, sizes.batch, steps, epoch, "turned")
    sides = zip(
        labeled_batches(context, labeled, policy, sizes.batch, epoch, int(rule.strong_labeled)),
        drawn_batches(context, unlabeled, unlabeled_views, sizes.unlabeled, steps, epoch, "unlabeled"),
        turned_batches,
    )
    for step, ((own, (taught, *strong_taught)), (rows, (weak, *strong)), (_, turned)) in enumerate(sides):
        yield Drawn(
            epoch * steps + step,
            torch.from_numpy(own),
            taught,
            torch.from_numpy(rows),
            weak,
            tuple(strong),
            turned,
            tuple(strong_taught),
        )


class _Stepper:
    """One step of the training: forward, rule, report."""

    def __init__(self, context: StageContext, rule: Rule, trainee: LevelTrainee, taught: Taught) -> None:
        device = context.device
        self._device, self._rule, self._trainee = device, rule, trainee
        self._labels = taught.labels.to(device)
        self._shares = None if taught.shares is None else taught.shares.to(device)
        self._shift = None if taught.shift is None else taught.shift.to(device)
        self._half = context.precision == "bfloat16"  # a rule computes in float32 all the same
        self._dropped = float(context.params["token_drop"])
        self._drop = add_token_drop(trainee.network.model.backbone) if self._dropped else None

    def loss(self, drawn: Drawn) -> Terms:
        """Terms of one batch; the state of the rule moves on."""
        trainee = self._trainee
        batch = self._outputs(drawn)
        with torch.autocast(self._device.type, enabled=False) if self._half else nullcontext():
            terms, state = self._rule.step(trainee.held.get(), batch)
        trainee.held.put(state)
        report = step_report(batch, terms)
        assert drawn.unlabeled_rows is not None
        trainee.select(drawn.unlabeled_rows, terms["mask"])
        losses = {name: value for name, value in terms.items() if name.endswith("_loss") and name != "total_loss"}
        return {"loss": terms["total_loss"], **losses, **report}

    def _outputs(self, drawn: Drawn) -> LevelBatch:
        """All views through the network in one pass; strong ones from which tokens are dropped, and turned images, in
        passes of their own."""
        network, rule = self._trainee.network, self._rule
        assert drawn.weak is not None
        plain, strongest = [drawn.labeled, drawn.weak], [*drawn.strong, *drawn.strong_labeled]
        if rule.averaged_teacher:
            teaching, weak = self._teacher(plain)
            plain = [drawn.labeled]
        if self._drop is None:
            seen = _forward(network, [*plain, *strongest])
            strong = seen[len(plain) :]
        else:
            seen = _forward(network, plain)
            self._drop.fraction = self._dropped * float(torch.rand(()))
            strong = _forward(network, strongest)
            self._drop.fraction = 0.0
        labeled = seen[0]
        if not rule.averaged_teacher:
            teaching, weak = labeled, seen[1]
        turns = None
        if drawn.turned is not None:
            turned = torch.cat([torch.rot90(drawn.turned, k, (2, 3)) for k in range(TURNS)])
            turns = network.turns(network(turned).features)
        return LevelBatch(
            it=drawn.it,
            labels=self._labels[drawn.rows],
            labeled_logits=labeled.logits.float(),
            weak_logits=weak.logits.float(),
            strong_logits=strong[0].logits.float(),
            labeled_embeddings=teaching.embeddings,
            weak_embeddings=weak.embeddings,
            strong_embeddings=strong[0].embeddings,
            second_embeddings=strong[1].embeddings if len(drawn.strong) > 1 else None,
            rows=drawn.rows,
            weak_distances=weak.distances,
            strong_distances=strong[0].distances,
            rotation_logits=turns,
            label_shares=None if self._shares is None else self._shares[drawn.rows],
            label_shift=self._shift,
            strong_labeled_logits=strong[-1].logits.float() if drawn.strong_labeled else None,
        )

    @torch.no_grad()
    def _teacher(self, crops: list[torch.Tensor]) -> tuple[LevelOutputs, LevelOutputs]:
        assert self._trainee.averaged is not None
        labeled, weak = _forward(self._trainee.averaged.eval(), crops)
        return labeled, weak


def _forward(network: HeadedModel, crops: list[torch.Tensor]) -> list[LevelOutputs]:
    return network(torch.cat(crops)).split(*(len(group) for group in crops))


def train_on_levels(
    context: StageContext, images: ImageSet, taught: Taught, size: int, epochs: int, trained_on: str
) -> Artifact:
    """Train a fresh network of levels on levels alone: cross-entropy of weak views, the matching learners' rates.

    Args:
        size: images of a step.
        trained_on: what the report calls the images.
    """
    p = context.params
    network = build_level_network(context, None)
    trainee = LevelTrainee(network, p["ema_decay"], {}, 0).to(context.device)
    policy = Policy(p["policy"], int(p["crop"]))
    labels, shares, shift = (
        None if value is None else value.to(context.device) for value in (taught.labels, taught.shares, taught.shift)
    )
    assert labels is not None

    def batches(epoch: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for rows, (crops,) in labeled_batches(context, images, policy, size, epoch):
            yield torch.from_numpy(rows), crops

    def loss(batch: tuple[torch.Tensor, torch.Tensor]) -> Terms:
        rows, crops = batch
        logits = network(crops).logits.float()
        own = None if shares is None else shares[rows]
        return {"loss": supervised_loss(LevelBatch(0, labels[rows], logits, label_shares=own, label_shift=shift))}

    schedule = level_schedule(context, epochs).over(network, p["layer_decay"])
    facts = train(trainee, schedule, step_plan(context, size), batches, loss, context, trainee.follow)
    note_result(context, trainee.judge.model, images, trained_on, taught.labels)
    return Artifact(module_tensors(trainee.judge.model), facts)
