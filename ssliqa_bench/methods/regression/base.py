"""What the learners of this family share: one stage of training, its cost, and labels-only comparators."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from ssliqa_bench.methods.base import Needs, Work
from ssliqa_bench.methods.regression.training import (
    LABEL_PARAMS,
    SCORE_PARAMS,
    UNLABELED_PARAMS,
    ScoreTrainee,
    TrainingStep,
    build_start,
    run_training,
    score_loss,
)
from ssliqa_bench.methods.supervised import Supervised
from ssliqa_bench.training.loop import Terms
from ssliqa_bench.training.stages import Stage, StageContext
from ssliqa_bench.types import Artifact


class RegressionLearner(Supervised):
    """Labeled and unlabeled images in every step; `own_params` are the learner's numbers beside the shared ones.

    Attributes:
        run: trains; a function at the top level of a module.
        views: crops of an unlabeled image in a step.
    """

    needs: ClassVar[Needs] = Needs(unlabeled=True)
    run: ClassVar[Callable[[StageContext], Artifact]]
    own_params: ClassVar[tuple[str, ...]] = ()
    views: ClassVar[int] = 1

    def stages(self) -> list[Stage]:
        """One stage, `training`."""
        params = (*LABEL_PARAMS, *UNLABELED_PARAMS, *self.own_params)
        sets = ("labeled", "unlabeled")
        return [Stage("training", type(self).run, sets=sets, counts=("sides",), params=params)]

    @property
    def steps(self) -> int:
        """Optimiser steps of the training."""
        return int(self.params["epochs"]) * int(self.params["epoch_steps"])

    def work(self, labeled: int, unlabeled: int) -> Work | None:
        """The crops of every step."""
        p = self.params
        return Work(self.steps * int(p["batch_size"]) * (1 + int(p["unlabeled_ratio"]) * self.views))


class LabelsOnly(RegressionLearner):
    """The comparator: the same network, labeled batches, rates, steps and average, without unlabeled images."""

    needs: ClassVar[Needs] = Needs()

    def stages(self) -> list[Stage]:
        """That of the learner, on labels alone."""
        params = (*LABEL_PARAMS, *self.own_params)
        return [stage.labels_only(type(self).run, params) for stage in super().stages()]

    def work(self, labeled: int, unlabeled: int) -> Work | None:
        """The labeled crops of every step."""
        return Work(self.steps * int(self.params["batch_size"]))


def run_scores(context: StageContext) -> Artifact:
    """Train on the scores of labeled images alone."""

    def loss(trainee: ScoreTrainee, step: TrainingStep) -> Terms:
        return {"loss": score_loss(context, trainee.network, step)}

    return run_training(context, build_start(context), loss)


class SupervisedScores(LabelsOnly):
    """Scores from labels, for as many steps as the learners of this family make."""

    run = staticmethod(run_scores)
    own_params: ClassVar[tuple[str, ...]] = SCORE_PARAMS
