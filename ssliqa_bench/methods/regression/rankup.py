"""RankUp: the network also learns which of two images is better, and FixMatch extends that to unlabeled pairs.

Source: Huang, Fu and Tsao, "RankUp: Boosting Semi-Supervised Regression with an Auxiliary Ranking Classifier", NeurIPS
2024, in the authors' implementation. docs/methods/regression.md lists what could not be verified.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn
from torch.nn import functional

from ssliqa_bench.methods.matching.policies import Policy
from ssliqa_bench.methods.regression.base import LabelsOnly, RegressionLearner
from ssliqa_bench.methods.regression.training import (
    SCORE_PARAMS,
    DrawGroups,
    ScoreTrainee,
    TrainingStep,
    build_start,
    run_training,
    without_statistics,
)
from ssliqa_bench.training.backbones.base import QualityModel
from ssliqa_bench.training.loop import Terms
from ssliqa_bench.training.losses import smooth_l1
from ssliqa_bench.training.stages import StageContext
from ssliqa_bench.types import Artifact

RANK_PARAMS = (*SCORE_PARAMS, "rank_weight")
PAIR_PARAMS = ("policy", "min_overlap", "d4", "threshold", "hard_labels")
_RANKING = "model.ranking."  # what only training needs


class RankingModel(QualityModel):
    """A quality model with two ranking outputs on the same features.

    The logits of a pair are the difference of its images' outputs: class 0 says that the first is the better one.
    """

    def __init__(self, start: QualityModel) -> None:
        super().__init__(start.backbone)
        self.head = start.head
        self.ranking = nn.Linear(start.backbone.features, 2)

    def judge(self, crops: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Quality (n,) and ranking outputs (n, 2), float32."""
        quality, features = self(crops)
        return quality, self.ranking(features.to(self.ranking.weight.dtype)).float()


def pair_logits(outputs: torch.Tensor) -> torch.Tensor:
    """Logits (n², 2) of all ordered pairs (i, j) of outputs (n, 2), row by row: outputs_i − outputs_j."""
    return (outputs[:, None] - outputs[None]).flatten(0, 1)


def pair_shares(scores: torch.Tensor) -> torch.Tensor:
    """Targets (n², 2) of all ordered pairs of scores (n,): (1, 0) where the first is better, (0, 1) where the second
    is, (½, ½) where they are equal, as an image and itself are."""
    better = (1 + torch.sign(scores[:, None] - scores[None])).flatten() / 2
    return torch.stack((better, 1 - better), dim=1)


def ranking_loss(outputs: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy over all ordered pairs of a labeled batch."""
    return functional.cross_entropy(pair_logits(outputs), pair_shares(scores).to(outputs.dtype))


def matched_ranking_loss(
    weak: torch.Tensor, strong: torch.Tensor, threshold: float, hard: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """FixMatch on all ordered pairs: where the weak views' share of a class reaches the threshold, that class is the
    target of the strong views (the shares themselves where labels are not hard).

    Returns:
        Mean over all pairs, those that are masked out included, and the share of pairs that are selected.
    """
    shares = torch.softmax(pair_logits(weak.detach()), dim=1)
    confidence, better = shares.max(1)
    mask = (confidence >= threshold).to(strong.dtype)
    losses = functional.cross_entropy(pair_logits(strong), better if hard else shares, reduction="none")
    return (mask * losses).mean(), mask.mean()


def labeled_terms(context: StageContext, network: nn.Module, step: TrainingStep) -> tuple[torch.Tensor, torch.Tensor]:
    """Score loss and ranking loss of a step's labeled images."""
    quality, outputs = network.judge(step.labeled)  # type: ignore[operator]
    beta = float(context.params["smooth_l1_beta"])
    return smooth_l1(quality, step.targets, beta), ranking_loss(outputs, step.targets)


def build_ranking(context: StageContext) -> RankingModel:
    """The network before training; all but the ranking outputs start where those of other learners do."""
    return RankingModel(build_start(context)).train().to(context.device)


def pair_views(context: StageContext) -> DrawGroups:
    """Draws a weak and a strong view of each image."""
    p = context.params
    return Policy(p["policy"], int(p["crop"]), p["min_overlap"], p["d4"]).drawing(1)


@dataclass(frozen=True)
class RankedTerms:
    """Terms of one step, and what further terms are made of.

    Attributes:
        terms: "loss" and its parts.
        quality: predictions (U,) for the weak views of unlabeled images, with their gradient.
    """

    terms: Terms
    quality: torch.Tensor


def ranked_step(context: StageContext, network: nn.Module, step: TrainingStep) -> RankedTerms:
    """L = L_score + ω (L_rank + λ L_rank,unlabeled)."""
    p = context.params
    supervised, ranked = labeled_terms(context, network, step)
    with without_statistics(network):
        quality, outputs = network.judge(torch.cat(step.views))  # type: ignore[operator]
    weak, strong = outputs.chunk(2)
    matched, selected = matched_ranking_loss(weak, strong, float(p["threshold"]), bool(p["hard_labels"]))
    total = supervised + float(p["rank_weight"]) * (ranked + float(p["unlabeled_weight"]) * matched)
    parts = {"supervised_loss": supervised, "ranking_loss": ranked, "unlabeled_ranking_loss": matched}
    return RankedTerms({"loss": total, **parts, "mask": selected}, quality.chunk(2)[0])


def run_rankup(context: StageContext) -> Artifact:
    """Train with RankUp."""

    def loss(trainee: ScoreTrainee, step: TrainingStep) -> Terms:
        return ranked_step(context, trainee.network, step).terms

    return quality_part(run_training(context, build_ranking(context), loss, pair_views(context)))


def run_rankup_supervised(context: StageContext) -> Artifact:
    """Train on the scores and the pairs of labeled images alone."""
    weight = float(context.params["rank_weight"])

    def loss(trainee: ScoreTrainee, step: TrainingStep) -> Terms:
        supervised, ranked = labeled_terms(context, trainee.network, step)
        return {"loss": supervised + weight * ranked, "supervised_loss": supervised, "ranking_loss": ranked}

    return quality_part(run_training(context, build_ranking(context), loss))


def quality_part(trained: Artifact) -> Artifact:
    """The artifact without the ranking outputs: a quality model."""
    kept = {name: value for name, value in trained.tensors.items() if not name.startswith(_RANKING)}
    return Artifact(kept, trained.meta)


class RankUp(RegressionLearner):
    """Scores and a ranking of pairs, which FixMatch extends to unlabeled pairs."""

    run = staticmethod(run_rankup)
    own_params: ClassVar[tuple[str, ...]] = (*RANK_PARAMS, *PAIR_PARAMS)
    views: ClassVar[int] = 2


class RankUpSupervised(LabelsOnly):
    """The comparator of RankUp, with and without alignment: scores and ranking on labels alone."""

    run = staticmethod(run_rankup_supervised)
    own_params: ClassVar[tuple[str, ...]] = RANK_PARAMS
