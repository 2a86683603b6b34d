"""The Blind Noisy Student as a learner: teachers, pseudo-labels, student."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import nn

from ssliqa_bench.methods.base import Needs, Work
from ssliqa_bench.methods.full_reference.networks import make_pair_model
from ssliqa_bench.methods.noisy_student.pseudo_labels import (
    LEARNED_TEACHERS,
    metric_teacher,
    student_labels_stage,
    teacher_stages,
)
from ssliqa_bench.methods.noisy_student.student import Student
from ssliqa_bench.methods.noisy_student.training import STUDENT_PARAMS, run_student
from ssliqa_bench.training.stages import Stage


class NoisyStudent(Student):
    """Teachers that see the pristine images label the unlabeled ones; a student learns from both, and may label them
    anew for the next one."""

    needs: ClassVar[Needs] = Needs(unlabeled=True, references="training")

    def check(self) -> None:
        """Unknown teachers, and metrics that are unknown or whose weights are not here, before anything is trained."""
        teacher_stages(self.params["teachers"])
        for name in self.params["teachers"]:
            if name not in LEARNED_TEACHERS:
                metric_teacher(str(self.params["metric_class"]), name, torch.device("cpu"))

    def work(self, labeled: int, unlabeled: int) -> Work | None:
        """Not stated: most of it is the teacher's."""
        return None

    def stages(self) -> list[Stage]:
        """Those of the teachers, `pseudo-labels`, `student`; each further round adds a pair of the last two."""
        stages = teacher_stages(self.params["teachers"])
        for number in range(1, int(self.params["rounds"]) + 1):
            suffix = f"-{number}" if number > 1 else ""
            if number > 1:
                stages.append(student_labels_stage(f"pseudo-labels{suffix}", student=stages[-1].name))
            stages.append(
                Stage(
                    f"student{suffix}",
                    run_student,
                    sets=("labeled", "unlabeled", "validation"),
                    inputs=(stages[-1].name,),
                    params=STUDENT_PARAMS,
                )
            )
        return stages

    def networks(self) -> Mapping[str, nn.Module]:
        """The student, and the teachers that are trained, frozen extractors included."""
        teachers = [name for name in self.params["teachers"] if name in LEARNED_TEACHERS]
        return {**super().networks(), **{name: make_pair_model(name, self.params) for name in teachers}}
