"""Π-model: two views of an image, seen by the same network with other noise, have one quality.

Source: Laine and Aila, "Temporal Ensembling for Semi-Supervised Learning", ICLR 2017, in the authors' implementation,
with the squared difference of scores as in Huang et al., NeurIPS 2024.
"""

from __future__ import annotations

from typing import ClassVar

import torch

from ssliqa_bench.methods.regression.base import RegressionLearner
from ssliqa_bench.methods.regression.training import (
    RAMP_PARAMS,
    SCORE_PARAMS,
    ScoreTrainee,
    TrainingStep,
    build_start,
    predictions,
    rising_weight,
    run_training,
    score_loss,
    squared_difference,
    weak_views,
)
from ssliqa_bench.training.loop import Terms
from ssliqa_bench.training.stages import StageContext
from ssliqa_bench.types import Artifact


def pi_consistency(first: torch.Tensor, second: torch.Tensor, one_sided: bool) -> torch.Tensor:
    """Mean squared difference of the predictions (n,) for two views; `one_sided` moves the second one alone."""
    return squared_difference(first.detach() if one_sided else first, second)


def run_pi_model(context: StageContext) -> Artifact:
    """Train with L = L_labeled + w(t) · mean (ŷ − ŷ')²."""
    weight, one_sided = rising_weight(context), bool(context.params["detach_teacher"])

    def loss(trainee: ScoreTrainee, step: TrainingStep) -> Terms:
        supervised = score_loss(context, trainee.network, step)
        first, second = predictions(trainee.network, *step.views)
        apart = pi_consistency(first, second, one_sided)
        total = supervised + weight(step.number) * apart
        return {"loss": total, "supervised_loss": supervised, "consistency_loss": apart}

    return run_training(context, build_start(context), loss, weak_views(context, 2))


class PiModel(RegressionLearner):
    """Scores by the Π-model."""

    run = staticmethod(run_pi_model)
    own_params: ClassVar[tuple[str, ...]] = (*SCORE_PARAMS, *RAMP_PARAMS, "detach_teacher")
    views: ClassVar[int] = 2
