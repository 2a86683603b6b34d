"""What the learners of this family share: one stage of training, its cost, and labels-only comparators."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from ssliqa_bench.methods.base import Needs, Work
from ssliqa_bench.methods.regression.training import (
    LABEL_PARAMS,
    SCORE_PARAMS,
    UNLABELED_PARAMS,
    Step,
    Terms,
    Trainee,
    build_start,
    run_training,
    score_loss,
)
from ssliqa_bench.methods.supervised import Supervised
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

    def work(self, labeled: int, unlabeled: int) -> Work | None:
        """The crops of every step."""
        p = self.params
        return Work(_steps(self) * int(p["batch_size"]) * (1 + int(p["unlabeled_ratio"]) * self.views))


class LabelsOnly(Supervised):
    """The comparator: the same network, labeled batches, rates, steps and average, without unlabeled images."""

    needs: ClassVar[Needs] = Needs()
    run: ClassVar[Callable[[StageContext], Artifact]]
    own_params: ClassVar[tuple[str, ...]] = ()

    def stages(self) -> list[Stage]:
        """One stage, under the name of the learner's, so that both draw the same batches."""
        return [Stage("training", type(self).run, sets=("labeled",), params=(*LABEL_PARAMS, *self.own_params))]

    def work(self, labeled: int, unlabeled: int) -> Work | None:
        """The labeled crops of every step."""
        return Work(_steps(self) * int(self.params["batch_size"]))


def run_scores(context: StageContext) -> Artifact:
    """Train on the scores of labeled images alone."""

    def loss(trainee: Trainee, step: Step) -> Terms:
        return {"loss": score_loss(context, trainee.network, step)}

    return run_training(context, build_start(context), loss)


class SupervisedScores(LabelsOnly):
    """Scores from labels, for as many steps as the learners of this family make."""

    run = staticmethod(run_scores)
    own_params: ClassVar[tuple[str, ...]] = SCORE_PARAMS


def _steps(learner: Supervised) -> int:
    return int(learner.params["epochs"]) * int(learner.params["epoch_steps"])
