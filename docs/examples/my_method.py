"""Self-training: the supervised model labels the unlabeled images and is then trained on all of them."""

import numpy as np

from ssliqa_bench.methods.base import Needs
from ssliqa_bench.methods.supervised import TRAINING_PARAMS, Supervised, strong_view
from ssliqa_bench.training.checkpoint import module_tensors
from ssliqa_bench.training.loop import Schedule, drawn_rows
from ssliqa_bench.training.quality import QualityPredictor, stored_model, train_on_scores
from ssliqa_bench.training.stages import Stage
from ssliqa_bench.types import Artifact


def run_student(context):
    p, view = context.params, strong_view(context)
    model = stored_model(context.inputs["initial"], p["backbone"], context.device)
    guesses = QualityPredictor(model, view, context.device).predict(context.unlabeled)
    images = context.labeled.images + context.unlabeled
    scores = np.concatenate([context.labeled.score01, guesses])
    n, schedule = len(images), Schedule(p["student_epochs"], p["student_lr"])

    def rows(epoch):  # each image once, in another order in every epoch
        return drawn_rows(n, n, epoch, context.seed, "student")

    facts = train_on_scores(model, images, scores, rows, n, schedule, view, context)
    return Artifact(module_tensors(model), facts)


class MyMethod(Supervised):
    needs = Needs(unlabeled=True)

    def stages(self):
        read = (*TRAINING_PARAMS, "student_epochs", "student_lr")
        student = Stage("student", run_student, sets=("labeled", "unlabeled"), inputs=("initial",), params=read)
        return [*super().stages(), student]
