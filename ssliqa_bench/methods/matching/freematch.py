"""FreeMatch: thresholds that follow the confidence, one per level, and a fairness term.

Source: Wang et al., "FreeMatch: Self-adaptive Thresholding for Semi-supervised Learning", ICLR 2023.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from ssliqa_bench.methods.matching.base import MatchingLearner
from ssliqa_bench.methods.matching.parts import (
    BatchSizes,
    LevelBatch,
    PlainRule,
    State,
    cut_off,
    masked_loss,
    moved,
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
class FreeMatchRule(PlainRule):
    """τ_c = t · m_c / max_k m_k with running confidence t and marginal m; L = L_x + λ_u L_u + λ_f L_f.

    Args:
        quantile: t follows the 0.8-quantile of the confidences in place of their mean.
        temperature: of soft labels.
        fairness_sign: `published`, Σ α log β, which has no lower bound but that of its small constant; `align`, its
            negative, which is not FreeMatch.
        clip: `local` keeps every image's threshold inside [clip_low, clip_high], `global` the running confidence.
        local_floor: no threshold of a level falls below this.
    """

    unlabeled_weight: float = 1.0
    hard_labels: bool = True
    decay: float = 0.999
    fairness_weight: float = 0.001
    fairness_sign: str = "published"
    quantile: bool = False
    temperature: float = 0.5
    clip: str = "none"
    clip_low: float = 0.9
    clip_high: float = 0.95
    local_floor: float = 0.0

    def start(self, sizes: BatchSizes, random: torch.Generator) -> State:
        """Confidence, marginal and histogram at 1/C."""
        even = torch.full((sizes.levels,), 1 / sizes.levels)
        return {"confidence": torch.tensor(1 / sizes.levels), "marginal": even, "histogram": even.clone()}

    def step(self, state: State, batch: LevelBatch) -> tuple[Terms, State]:
        """One step: the running statistics first, then thresholds from them."""
        state = cut_off(state)
        assert batch.weak_logits is not None and batch.strong_logits is not None
        shares = shares_of(batch.weak_logits)
        confidence, level = shares.max(1)
        after = self._followed(state, shares, confidence, level)
        thresholds = after["confidence"] * after["marginal"] / after["marginal"].max()
        own = thresholds.clamp_min(self.local_floor)[level]
        if self.clip == "local":
            own = own.clamp(self.clip_low, self.clip_high)
        mask = reaches(confidence, own)
        soft = torch.softmax(wide(batch.weak_logits.detach()) / self.temperature, dim=1)
        target = level if self.hard_labels else soft
        sup_loss = supervised_loss(batch)
        unsup_loss = masked_loss(mask, target, batch.strong_logits)
        fair_loss, present = fairness(mask, batch.strong_logits, after["marginal"], after["histogram"])
        sign = 1.0 if self.fairness_sign == "published" else -1.0
        fair_loss, present = sign * fair_loss, sign * present
        total = sup_loss + self.unlabeled_weight * unsup_loss + self.fairness_weight * fair_loss
        return {
            "sup_loss": sup_loss, "unsup_loss": unsup_loss, "fair_loss": fair_loss, "present_fair_loss": present,
            "total_loss": total, "mask": mask, "target": target, "thresholds": thresholds,
        }, after  # fmt: skip

    def _followed(
        self, state: State, shares: torch.Tensor, confidence: torch.Tensor, level: torch.Tensor
    ) -> State:
        typical = torch.quantile(confidence, 0.8) if self.quantile else confidence.mean()
        running = moved(state["confidence"], typical, self.decay)
        if self.clip == "global":
            running = running.clamp(0.0, self.clip_high)
        counts = torch.nn.functional.one_hot(level, shares.shape[1]).to(shares.dtype).mean(0)
        return {
            "confidence": running,
            "marginal": moved(state["marginal"], shares.mean(0), self.decay),
            "histogram": moved(state["histogram"], counts, self.decay),
        }


def fairness(
    mask: torch.Tensor, strong_logits: torch.Tensor, marginal: torch.Tensor, histogram: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """L_f = Σ_c α_c log(β_c + 1e-12) over the selected strong predictions; 0 where none is selected.

    α = norm(m / h); β = norm(mean prediction / share of predicted levels), 0 for a level that none predicts.

    Returns:
        L_f, and L_f without the constant of the levels that none of the selected predictions names.
    """
    strong = torch.softmax(wide(strong_logits), dim=1)
    chosen = mask.to(strong.dtype)
    count = chosen.sum().clamp_min(1)
    mean = (chosen[:, None] * strong).sum(0) / count
    named = torch.nn.functional.one_hot(strong.detach().argmax(1), strong.shape[1]).to(strong.dtype)
    counts = (chosen[:, None] * named).sum(0) / count
    seen = counts > 0
    ratio = torch.where(seen, mean / torch.where(seen, counts, 1.0), 0.0)
    total = ratio.sum()
    beta = ratio / torch.where(total > 0, total, 1.0)
    alpha = marginal / histogram
    alpha = (alpha / alpha.sum()).to(strong.dtype)
    each = torch.where(chosen.sum() > 0, alpha * torch.log(beta + _TINY), 0.0)
    return each.sum(), torch.where(seen, each, 0.0).sum().detach()


def run_freematch(context: StageContext) -> Artifact:
    """Train with FreeMatch."""
    p = context.params
    return run_matching(context, FreeMatchRule(**{name: p[name] for name in FreeMatch.rule_params}))


class FreeMatch(MatchingLearner):
    """Levels of quality by FreeMatch."""

    run = staticmethod(run_freematch)
    rule_params: ClassVar[tuple[str, ...]] = (
        "unlabeled_weight", "hard_labels", "decay", "fairness_weight", "fairness_sign", "quantile", "temperature",
        "clip", "clip_low", "clip_high", "local_floor",
    )  # fmt: skip
