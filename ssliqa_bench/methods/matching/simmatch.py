"""SimMatch: predictions and similarities to the labeled images teach each other, and both teach the strong view.

Source: Zheng et al., "SimMatch: Semi-supervised Learning with Similarity Matching", CVPR 2022. The bank holds one
unit vector per labeled image.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch.nn import functional

from ssliqa_bench.methods.matching.alignment import Alignment, Window
from ssliqa_bench.methods.matching.base import MatchingLearner
from ssliqa_bench.methods.matching.parts import (
    BatchSizes,
    LevelBatch,
    PlainRule,
    State,
    cut_off,
    masked_loss,
    reaches,
    shares_of,
    supervised_loss,
    wide,
)
from ssliqa_bench.methods.matching.training import run_matching
from ssliqa_bench.training.loop import Terms
from ssliqa_bench.training.stages import StageContext
from ssliqa_bench.types import Artifact


@dataclass(frozen=True)
class SimMatchRule(PlainRule):
    """L = L_x + λ_u L_u + λ_in L_in.

    Args:
        temperature: T of the similarities, of teacher and student.
        smoothing: α, the share of an image's own prediction in its target.
        bank_momentum: share that a row of the bank keeps when it is written, in the temporal variant.
        warmup_steps: steps before the bank is read; every row must also have been written once, for a row that was
            not is a random vector of level 0.
        teacher: `temporal`, the network in training teaches and the bank is a temporal ensemble; `ema`, the averaged
            network in evaluation mode teaches, and rows are overwritten.
        dimensions: d of the embeddings.
    """

    embeds: ClassVar[bool] = True

    threshold: float = 0.95
    unlabeled_weight: float = 1.0
    instance_weight: float = 1.0
    temperature: float = 0.1
    smoothing: float = 0.9
    align_target: str = "uniform"
    align_window: int = 32
    bank_momentum: float = 0.7
    warmup_steps: int = 1024
    teacher: str = "temporal"
    dimensions: int = 128

    @property
    def averaged_teacher(self) -> bool:
        """In the variant `ema`."""
        return self.teacher == "ema"

    def alignment(self) -> Alignment:
        """Windows over the last batches."""
        return Alignment(self.align_target, Window(self.align_window), Window(self.align_window))

    def start(self, sizes: BatchSizes, random: torch.Generator) -> State:
        """A bank of random unit vectors of level 0, none of them written, and the alignment."""
        count = len(sizes.labels)
        return {
            **self.alignment().start(sizes),
            "bank_embeddings": functional.normalize(torch.randn(count, self.dimensions, generator=random)),
            "bank_levels": torch.zeros(count, dtype=torch.int64),
            "bank_written": torch.zeros(count, dtype=torch.bool),
        }

    def step(self, state: State, batch: LevelBatch) -> tuple[Terms, State]:
        """One step: the bank is read first and written after."""
        state = cut_off(state)
        assert batch.weak_logits is not None and batch.strong_logits is not None
        assert batch.weak_embeddings is not None and batch.strong_embeddings is not None
        moved_to, changed = self.alignment().apply(
            state, shares_of(batch.weak_logits), shares_of(batch.labeled_logits)
        )
        target, instance_loss = self._matched(state, batch, moved_to)
        mask = reaches(target.amax(1), self.threshold)
        sup_loss = supervised_loss(batch)
        unsup_loss = masked_loss(mask, target, batch.strong_logits)
        total = sup_loss + self.unlabeled_weight * unsup_loss + self.instance_weight * instance_loss
        return {
            "sup_loss": sup_loss, "unsup_loss": unsup_loss, "instance_loss": instance_loss, "total_loss": total,
            "mask": mask, "target": target, "aligned": moved_to,
        }, {**state, **changed, **self._written(state, batch)}  # fmt: skip

    def _matched(self, state: State, batch: LevelBatch, shares: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Targets and L_in; the predictions themselves and 0 while the bank is not ready."""
        assert batch.weak_embeddings is not None and batch.strong_embeddings is not None
        if batch.it < self.warmup_steps:
            return shares, torch.zeros((), dtype=shares.dtype, device=shares.device)
        bank = state["bank_embeddings"].to(shares.dtype)
        levels = state["bank_levels"]
        like = torch.softmax(wide(batch.weak_embeddings.detach()).to(shares.dtype) @ bank.T / self.temperature, dim=1)
        unfolded = like * shares[:, levels]
        unfolded = unfolded / unfolded.sum(1, keepdim=True)
        gathered = like @ functional.one_hot(levels, shares.shape[1]).to(like.dtype)
        target = self.smoothing * shares + (1 - self.smoothing) * gathered
        logits = wide(batch.strong_embeddings).to(shares.dtype) @ bank.T / self.temperature
        instance_loss = -(unfolded * functional.log_softmax(logits, dim=1)).sum(1).mean()
        ready = state["bank_written"].all()
        return torch.where(ready, target, shares), torch.where(ready, instance_loss, 0.0)

    def _written(self, state: State, batch: LevelBatch) -> State:
        """The bank with this batch's labeled images; of an image that comes twice the last one counts."""
        assert batch.rows is not None and batch.labeled_embeddings is not None
        same = batch.rows[:, None] == batch.rows[None, :]
        last = (same * torch.arange(1, len(batch.rows) + 1, device=same.device)).argmax(1)
        new, levels = wide(batch.labeled_embeddings.detach())[last], batch.labels[last]
        bank = state["bank_embeddings"].to(new.dtype)
        if self.teacher == "temporal":
            new = self.bank_momentum * bank[batch.rows] + (1 - self.bank_momentum) * new
        return {
            "bank_embeddings": bank.index_copy(0, batch.rows, functional.normalize(new)),
            "bank_levels": state["bank_levels"].index_copy(0, batch.rows, levels),
            "bank_written": state["bank_written"].index_fill(0, batch.rows, True),
        }


def run_simmatch(context: StageContext) -> Artifact:
    """Train with SimMatch."""
    p = context.params
    return run_matching(context, SimMatchRule(**{name: p[name] for name in SimMatch.rule_params}))


class SimMatch(MatchingLearner):
    """Levels of quality by SimMatch."""

    run = staticmethod(run_simmatch)
    rule_params: ClassVar[tuple[str, ...]] = (
        "threshold", "unlabeled_weight", "instance_weight", "temperature", "smoothing", "align_target",
        "align_window", "bank_momentum", "warmup_steps", "teacher", "dimensions",
    )  # fmt: skip
    head_params: ClassVar[tuple[str, ...]] = ("projectors",)
