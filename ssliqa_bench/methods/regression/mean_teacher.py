"""Mean Teacher: the prediction of the averaged network for one view is the target of the other view.

Source: Tarvainen and Valpola, "Mean teachers are better role models", NIPS 2017, in the authors' implementation, with
the squared difference of scores as in Huang et al., NeurIPS 2024. The averaged network is evaluated.
"""

from __future__ import annotations

from typing import ClassVar

import torch

from ssliqa_bench.errors import InputError
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


def run_mean_teacher(context: StageContext) -> Artifact:
    """Train with L = L_labeled + w(t) · mean (ŷ_student − ŷ_teacher)²; no gradient reaches the teacher."""
    weight = rising_weight(context)

    def loss(trainee: ScoreTrainee, step: TrainingStep) -> Terms:
        assert trainee.averaged is not None  # `check` has seen to it
        supervised = score_loss(context, trainee.network, step)
        with torch.no_grad():
            target = predictions(trainee.averaged, step.views[0])[0]
        apart = squared_difference(target, predictions(trainee.network, step.views[1])[0])
        total = supervised + weight(step.number) * apart
        return {"loss": total, "supervised_loss": supervised, "consistency_loss": apart}

    return run_training(context, build_start(context), loss, weak_views(context, 2))


class MeanTeacher(RegressionLearner):
    """Scores by Mean Teacher."""

    run = staticmethod(run_mean_teacher)
    own_params: ClassVar[tuple[str, ...]] = (*SCORE_PARAMS, *RAMP_PARAMS)
    views: ClassVar[int] = 2

    def check(self) -> None:
        """There is a teacher."""
        if not self.params["ema_decay"]:
            raise InputError("Parameter ema_decay: got 0; the teacher is the average of the weights, expected above 0.")
