"""The blind student on labels alone: the baseline, and the comparator of the noisy student."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from torch import nn

from ssliqa_bench.methods.base import Learner, Model, ModelContext, Needs, Work
from ssliqa_bench.methods.noisy_student.network import StudentPredictor, make_student_model, stored_student_network
from ssliqa_bench.methods.noisy_student.training import STUDENT_PARAMS, run_student
from ssliqa_bench.training.stages import CountName, Stage


def build_student(context: ModelContext) -> StudentPredictor:
    """The student, by one centre crop or the mean over fixed random ones."""
    p, device = context.params, context.device
    network = stored_student_network(context.trained, p, device)
    return StudentPredictor(network, int(p["crop"]), int(p["test_crops"]), device)


class Student(Learner):
    """The baseline: the student on the labels, each labeled image once an epoch."""

    needs: ClassVar[Needs] = Needs()
    model: ClassVar[Model] = Model(build_student, ("backbone", "crop", "test_crops"))

    def stages(self) -> list[Stage]:
        """One stage, `student`."""
        return [Stage("student", run_student, sets=("labeled", "validation"), params=STUDENT_PARAMS)]

    def work(self, labeled: int, unlabeled: int) -> Work | None:
        """Every image once per epoch, less an incomplete last batch."""
        rows = labeled + (unlabeled if self.needs.unlabeled else 0)
        batch = max(1, min(int(self.params["batch_size"]), rows))
        return Work(rows // batch * batch * int(self.params["epochs"]) * int(self.params.get("rounds", 1)))

    def networks(self) -> Mapping[str, nn.Module]:
        """The student."""
        return {"student": make_student_model(self.params)}


class LongStudent(Student):
    """The comparator: the student on labels for the steps of the noisy student, the rows of unlabeled images replaced
    by draws from the labeled side. With both sides as labeled it is the oracle."""

    needs: ClassVar[Needs] = Needs(unlabeled=True)

    def stages(self) -> list[Stage]:
        """One stage; of both sides it knows the number of images."""
        sides: tuple[CountName, ...] = ("labeled", "unlabeled")
        return [stage.labels_only(run_student, STUDENT_PARAMS, sides) for stage in super().stages()]
