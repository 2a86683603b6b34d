"""CR-Match: FixMatch with features of weak and strong view kept apart, and the turn of an image to be recognised.

Source: Fan, Kukleva, Schiele, "Revisiting Consistency Regularization for Semi-Supervised Learning", GCPR 2021.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from ssliqa_bench.methods.matching.base import MatchingLearner
from ssliqa_bench.methods.matching.network import TURNS
from ssliqa_bench.methods.matching.parts import (
    LevelBatch,
    PlainRule,
    State,
    cross_entropy,
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

_TINY = 1e-12


@dataclass(frozen=True)
class CRMatchRule(PlainRule):
    """L = L_x + λ_u L_u + λ_d L_d + λ_r L_r; a rotation weight of 0 leaves the turned images out."""

    distances: ClassVar[bool] = True

    threshold: float = 0.95
    unlabeled_weight: float = 1.0
    distance_weight: float = 1.0
    rotation_weight: float = 1.0

    @property
    def rotates(self) -> bool:
        """Where the rotation term has a weight."""
        return self.rotation_weight > 0

    def step(self, state: State, batch: LevelBatch) -> tuple[Terms, State]:
        """One step; nothing is remembered. The distance term alone has a gradient through the weak view."""
        assert batch.weak_logits is not None and batch.strong_logits is not None
        assert batch.weak_distances is not None and batch.strong_distances is not None
        confidence, target = shares_of(batch.weak_logits).max(1)
        mask = reaches(confidence, self.threshold)
        sup_loss = supervised_loss(batch)
        unsup_loss = masked_loss(mask, target, batch.strong_logits)
        likeness = cosine(wide(batch.strong_distances), wide(batch.weak_distances))
        distance_loss = (mask.to(likeness.dtype) * likeness.clamp_min(0)).mean()
        total = sup_loss + self.unlabeled_weight * unsup_loss + self.distance_weight * distance_loss
        terms = {"sup_loss": sup_loss, "unsup_loss": unsup_loss, "distance_loss": distance_loss}
        if self.rotates:
            assert batch.rotation_logits is not None
            count = len(batch.rotation_logits) // TURNS
            turns = torch.arange(TURNS, device=batch.rotation_logits.device).repeat_interleave(count)
            terms["rotation_loss"] = cross_entropy(turns, batch.rotation_logits).mean()
            total = total + self.rotation_weight * terms["rotation_loss"]
        return {**terms, "total_loss": total, "mask": mask, "target": target}, state


def cosine(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Cosine of the angle between rows (n,), with 1e-12 added to both squared lengths."""
    lengths = (first.square().sum(1) + _TINY) * (second.square().sum(1) + _TINY)
    return (first * second).sum(1) / lengths.sqrt()


def run_crmatch(context: StageContext) -> Artifact:
    """Train with CR-Match."""
    p = context.params
    return run_matching(context, CRMatchRule(**{name: p[name] for name in CRMatch.rule_params}))


class CRMatch(MatchingLearner):
    """Levels of quality by CR-Match."""

    run = staticmethod(run_crmatch)
    rule_params: ClassVar[tuple[str, ...]] = ("threshold", "unlabeled_weight", "distance_weight", "rotation_weight")
