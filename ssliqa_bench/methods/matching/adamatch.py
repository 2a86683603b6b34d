"""AdaMatch: FixMatch with aligned predictions and a threshold relative to the confidence on labeled images.

Source: Berthelot et al., "AdaMatch: A Unified Approach to Semi-Supervised Learning and Domain Adaptation", ICLR 2022.
The random interpolation of logits acts through batch statistics alone and is not done.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch

from ssliqa_bench.methods.matching.alignment import Alignment, MovingMean, Window
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
)
from ssliqa_bench.methods.matching.training import run_matching
from ssliqa_bench.training.loop import Terms
from ssliqa_bench.training.stages import StageContext
from ssliqa_bench.types import Artifact

_WINDOW = 128  # batch means in the marginal of the paper's variant


@dataclass(frozen=True)
class AdaMatchRule(PlainRule):
    """p̃ = DA(p) towards the mean prediction for labeled images; M_i = 1[max p̃_i ≥ τ · mean_b max p^x_b].

    Args:
        variant: `common`, the usual implementation: the marginal starts at the first batch's mean, the weight of the
            unlabeled term is constant. `paper`: the marginal is the mean over the last 128 batches, all of which
            start uniform, the weight rises as 1/2 − cos(min(π, 2πt/T))/2 over the T steps of the training, and the
            labeled term is the mean over a weak and a strong view of the labeled images.
        total_steps: T.
    """

    threshold: float = 0.95
    unlabeled_weight: float = 1.0
    hard_labels: bool = True
    align_decay: float = 0.999
    variant: str = "common"
    total_steps: int = 1

    def alignment(self, levels: int) -> Alignment:
        """Both means; that over labeled images starts uniform."""
        labeled = MovingMean(self.align_decay, first=1 / levels)
        marginal = Window(_WINDOW, first=1 / levels) if self.variant == "paper" else MovingMean(self.align_decay)
        return Alignment("model", marginal, labeled)

    @property
    def strong_labeled(self) -> bool:
        """In the paper's variant."""
        return self.variant == "paper"

    def weight(self, it: int) -> float:
        """λ_u at a step."""
        if self.variant == "common":
            return self.unlabeled_weight
        return self.unlabeled_weight * (0.5 - math.cos(min(math.pi, 2 * math.pi * it / self.total_steps)) / 2)

    def start(self, sizes: BatchSizes, random: torch.Generator) -> State:
        """The two running means."""
        return self.alignment(sizes.levels).start(sizes)

    def step(self, state: State, batch: LevelBatch) -> tuple[Terms, State]:
        """One step."""
        state = cut_off(state)
        assert batch.weak_logits is not None and batch.strong_logits is not None
        labeled = shares_of(batch.labeled_logits)
        moved_to, changed = self.alignment(labeled.shape[1]).apply(state, shares_of(batch.weak_logits), labeled)
        confidence, level = moved_to.max(1)
        mask = reaches(confidence, self.threshold * labeled.amax(1).mean())
        target = level if self.hard_labels else moved_to
        sup_loss = supervised_loss(batch)
        unsup_loss = masked_loss(mask, target, batch.strong_logits)
        total = sup_loss + self.weight(batch.it) * unsup_loss
        return {
            "sup_loss": sup_loss, "unsup_loss": unsup_loss, "total_loss": total,
            "mask": mask, "target": target, "aligned": moved_to,
        }, {**state, **changed}  # fmt: skip


def run_adamatch(context: StageContext) -> Artifact:
    """Train with AdaMatch."""
    p = context.params
    names = ("threshold", "unlabeled_weight", "hard_labels", "align_decay", "variant")
    steps = int(p["epochs"]) * int(p["epoch_steps"])
    return run_matching(context, AdaMatchRule(*(p[name] for name in names), total_steps=steps))


class AdaMatch(MatchingLearner):
    """Levels of quality by AdaMatch."""

    run = staticmethod(run_adamatch)
    rule_params: ClassVar[tuple[str, ...]] = (
        "threshold", "unlabeled_weight", "hard_labels", "align_decay", "variant",
    )  # fmt: skip
