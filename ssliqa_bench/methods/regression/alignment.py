"""RankUp with regression distribution alignment: predictions for unlabeled images follow the quantiles of the labels.

Source: Huang, Fu and Tsao, NeurIPS 2024, in the authors' implementation. The unlabeled images are assumed to have the
score distribution of the labeled ones. Where they come from another dataset, the record notes that this is not met.
"""

from __future__ import annotations

from typing import ClassVar

import torch

from ssliqa_bench.methods.regression.rankup import (
    PAIR_PARAMS,
    RANK_PARAMS,
    RankUp,
    build_ranking,
    pair_views,
    quality_part,
    ranked_step,
)
from ssliqa_bench.methods.regression.training import (
    RAMP_PARAMS,
    ScoreTrainee,
    TrainingStep,
    rising_weight,
    run_training,
    squared_difference,
)
from ssliqa_bench.training.batches import unlabeled_images
from ssliqa_bench.training.loop import Terms
from ssliqa_bench.training.stages import StageContext
from ssliqa_bench.types import Artifact

_PREDICTED, _ALIGNED = "predicted", "aligned"


def quantiles(labels: torch.Tensor, count: int) -> torch.Tensor:
    """`count` values, ascending, spread like the labels (k,): their sorted values as a function on [0, 1], linear
    between them, at `count` equal distances."""
    ordered = labels.sort().values
    places = torch.linspace(0, len(ordered) - 1, count, dtype=torch.float64, device=labels.device)
    below = places.floor().long().clamp(max=len(ordered) - 1)
    above = (below + 1).clamp(max=len(ordered) - 1)
    share = (places - below).to(ordered.dtype)
    return ordered[below] + (ordered[above] - ordered[below]) * share


def align(predicted: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Predictions (m,) replaced by quantiles of the labels (k,) in the order of the predictions, ties by position;
    NaN, where there is no prediction yet, stays."""
    known = torch.nonzero(~predicted.isnan()).squeeze(1)
    aligned = torch.full_like(predicted, torch.nan)
    order = predicted[known].argsort(stable=True)
    aligned[known[order]] = quantiles(labels.to(predicted.dtype), len(known))
    return aligned


def run_rankup_rda(context: StageContext) -> Artifact:
    """Train with RankUp and a further term, α(t) · mean (ŷ_i − ỹ_i)², where ỹ are the aligned predictions.

    Predictions for the weak views are kept, and aligned every `align_steps` steps; an image without an aligned
    prediction adds nothing.
    """
    labeled, p = context.labeled, context.params
    assert labeled is not None  # declared by the stage
    if context.counts["sides"] > 1:
        context.report.note(
            "assumption not met: the unlabeled images are from another dataset, and alignment takes their scores to be "
            "distributed like those of the labeled ones"
        )
    weight, every = rising_weight(context, "alignment_weight"), int(p["align_steps"])
    labels = torch.from_numpy(labeled.score01).float().to(context.device)
    empty = torch.full((len(unlabeled_images(context, labeled)),), torch.nan)

    def loss(trainee: ScoreTrainee, step: TrainingStep) -> Terms:
        ranked = ranked_step(context, trainee.network, step)
        predicted, aligned = trainee.get_buffer(_PREDICTED), trainee.get_buffer(_ALIGNED)
        own = ranked.quality.detach()
        predicted[step.rows] = own
        if step.number and step.number % every == 0:
            aligned.copy_(align(predicted, labels))
        target = torch.where(aligned[step.rows].isnan(), own, aligned[step.rows])
        apart = squared_difference(ranked.quality, target)
        total = ranked.terms["loss"] + weight(step.number) * apart
        return {**ranked.terms, "loss": total, "alignment_loss": apart}

    tables = {_PREDICTED: empty, _ALIGNED: empty.clone()}
    network = build_ranking(context)
    return quality_part(run_training(context, network, loss, pair_views(context), tables=tables))


class RankUpRDA(RankUp):
    """RankUp with aligned pseudo-labels."""

    run = staticmethod(run_rankup_rda)
    own_params: ClassVar[tuple[str, ...]] = (
        *RANK_PARAMS, *PAIR_PARAMS, *RAMP_PARAMS, "alignment_weight", "align_steps",
    )  # fmt: skip
