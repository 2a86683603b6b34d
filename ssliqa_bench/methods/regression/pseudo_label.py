"""Static pseudo-labels: a model trained on labels predicts the unlabeled images once, and a fresh network learns both.

Source of the idea: Lee, "Pseudo-Label: The Simple and Efficient Semi-Supervised Learning Method for Deep Neural
Networks", ICML Workshops 2013, whose labels change during training; here they are made once, by the test crops.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np
import torch

from ssliqa_bench.methods.base import Needs, Work
from ssliqa_bench.methods.regression.base import RegressionLearner, run_scores
from ssliqa_bench.methods.regression.training import (
    LABEL_PARAMS,
    SCORE_PARAMS,
    UNLABELED_PARAMS,
    ScoreTrainee,
    TrainingStep,
    build_start,
    predictions,
    run_training,
    score_loss,
    weak_views,
)
from ssliqa_bench.training.batches import unlabeled_images
from ssliqa_bench.training.loop import Terms
from ssliqa_bench.training.losses import smooth_l1
from ssliqa_bench.training.quality import read_test_crops, stored_model
from ssliqa_bench.training.stages import Stage, StageContext
from ssliqa_bench.training.views import View
from ssliqa_bench.types import Artifact

LABELS = "labels"  # name of the pseudo-labels (m,) in the student's artifact


def run_pseudo_label_student(context: StageContext) -> Artifact:
    """Predict the unlabeled images with the teacher, and train a fresh network on scores and predictions.

    L = L_labeled + λ · L_unlabeled, both smooth-L1; the pseudo-labels stay in the artifact.
    """
    labeled, p = context.labeled, context.params
    assert labeled is not None  # declared by the stage
    images = unlabeled_images(context, labeled)
    teacher = stored_model(context.inputs["teacher"], p["backbone"], context.device)
    view = View(int(p["crop"]), int(p["test_crops"]))
    made, _ = read_test_crops(teacher, images, view, context.device, context.precision)
    targets = torch.from_numpy(made).float().to(context.device)
    weight, beta = float(p["unlabeled_weight"]), float(p["smooth_l1_beta"])

    def loss(trainee: ScoreTrainee, step: TrainingStep) -> Terms:
        assert step.rows is not None
        supervised = score_loss(context, trainee.network, step)
        followed = smooth_l1(predictions(trainee.network, *step.views)[0], targets[step.rows], beta)
        return {"loss": supervised + weight * followed, "supervised_loss": supervised, "unlabeled_loss": followed}

    student = run_training(context, build_start(context), loss, weak_views(context, 1))
    own = made[: len(context.unlabeled or ())]
    return Artifact({**student.tensors, LABELS: np.asarray(own)}, student.meta)


class PseudoLabel(RegressionLearner):
    """A teacher on labels, and a student on labels and on what the teacher says."""

    def stages(self) -> list[Stage]:
        """`teacher`, then `student`."""
        return [
            Stage("teacher", run_scores, sets=("labeled",), params=(*LABEL_PARAMS, *SCORE_PARAMS)),
            Stage(
                "student",
                run_pseudo_label_student,
                sets=("labeled", "unlabeled"),
                counts=("sides",),
                inputs=("teacher",),
                params=(*LABEL_PARAMS, *SCORE_PARAMS, *UNLABELED_PARAMS, "test_crops"),
            ),
        ]

    def work(self, labeled: int, unlabeled: int) -> Work | None:
        """Both trainings, and one look of the teacher at the unlabeled images."""
        p = self.params
        crops = self.steps * int(p["batch_size"])
        return Work(crops * (2 + int(p["unlabeled_ratio"])), unlabeled * int(p["test_crops"]))


class PseudoLabelSupervised(PseudoLabel):
    """The comparator: as many steps in the same two stages, both on labels alone."""

    needs: ClassVar[Needs] = Needs()

    def stages(self) -> list[Stage]:
        """`teacher` and `student`, which learns nothing from it: the steps are those of the learner."""
        params = (*LABEL_PARAMS, *SCORE_PARAMS)
        return [replace(stage.labels_only(run_scores, params), inputs=()) for stage in super().stages()]

    def work(self, labeled: int, unlabeled: int) -> Work | None:
        """The labeled crops of both trainings."""
        return Work(2 * self.steps * int(self.params["batch_size"]))
