"""FixMatch: a confident prediction for the weak view is the label of the strong view.

Source: Sohn et al., "FixMatch: Simplifying Semi-Supervised Learning with Consistency and Confidence", NeurIPS 2020.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ssliqa_bench.methods.matching.base import MatchingLearner
from ssliqa_bench.methods.matching.parts import (
    LevelBatch,
    PlainRule,
    State,
    masked_loss,
    reaches,
    shares_of,
    supervised_loss,
)
from ssliqa_bench.methods.matching.training import run_matching
from ssliqa_bench.training.loop import Terms
from ssliqa_bench.training.stages import StageContext
from ssliqa_bench.types import Artifact


@dataclass(frozen=True)
class FixMatchRule(PlainRule):
    """L = L_x + λ_u · mean_i 1[max p_i ≥ τ] H(q_i, z^s_i), q_i = argmax p_i, or p_i itself where labels are soft."""

    threshold: float = 0.95
    unlabeled_weight: float = 1.0
    hard_labels: bool = True

    def step(self, state: State, batch: LevelBatch) -> tuple[Terms, State]:
        """One step; nothing is remembered."""
        assert batch.weak_logits is not None and batch.strong_logits is not None
        shares = shares_of(batch.weak_logits)
        confidence, level = shares.max(1)
        mask = reaches(confidence, self.threshold)
        target = level if self.hard_labels else shares
        sup_loss = supervised_loss(batch)
        unsup_loss = masked_loss(mask, target, batch.strong_logits)
        total = sup_loss + self.unlabeled_weight * unsup_loss
        return {
            "sup_loss": sup_loss, "unsup_loss": unsup_loss, "total_loss": total, "mask": mask, "target": target,
        }, state  # fmt: skip


def run_fixmatch(context: StageContext) -> Artifact:
    """Train with FixMatch."""
    p = context.params
    return run_matching(context, FixMatchRule(p["threshold"], p["unlabeled_weight"], p["hard_labels"]))


class FixMatch(MatchingLearner):
    """Levels of quality by FixMatch."""

    run = staticmethod(run_fixmatch)
    rule_params: ClassVar[tuple[str, ...]] = ("threshold", "unlabeled_weight", "hard_labels")
