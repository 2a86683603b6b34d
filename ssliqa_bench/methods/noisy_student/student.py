"""The blind student on labels alone: the baseline, and the comparator of the noisy student."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import nn

from ssliqa_bench.errors import InputError
from ssliqa_bench.methods.base import Learner, Needs, Predictor, Work
from ssliqa_bench.methods.noisy_student.network import StudentPredictor, make_model, stored_network
from ssliqa_bench.methods.noisy_student.noise import Noise
from ssliqa_bench.methods.noisy_student.training import STUDENT_PARAMS, run_student
from ssliqa_bench.training.stages import Stage
from ssliqa_bench.types import Artifact


class Student(Learner):
    """The baseline: the student on the labels, each labeled image once an epoch."""

    needs: ClassVar[Needs] = Needs()
    predict_params: ClassVar[tuple[str, ...]] = ("backbone", "crop", "test_crops")
    least: ClassVar[Mapping[str, float]] = {
        **dict.fromkeys(("crop", "test_crops", "batch_size", "epochs", "rounds"), 1),
        "plateau_patience": 0,
        **dict.fromkeys(("lr", "weight_decay", "plateau_factor", "plateau_threshold", "plateau_floor"), 0.0),
    }

    def __init__(self, params: Mapping[str, Any]) -> None:
        super().__init__(params)
        Noise.of(self.params)

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
        return {"student": make_model(self.params)}

    def predictor(self, artifact: Artifact | None, device: torch.device) -> Predictor:
        """The student, by one centre crop or the mean over fixed random ones."""
        if artifact is None:
            raise InputError("A student has no model before its stage.")
        p = self.params
        return StudentPredictor(stored_network(artifact, p, device), int(p["crop"]), int(p["test_crops"]), device)


class LongStudent(Student):
    """The comparator: the student on labels for the steps of the noisy student, the rows of unlabeled images replaced
    by draws from the labeled side. Handed both sides as labeled it is the oracle."""

    needs: ClassVar[Needs] = Needs(unlabeled=True)

    def stages(self) -> list[Stage]:
        """One stage; of both sides it is told the number of images."""
        sides = ("labeled", "unlabeled")
        return [
            Stage("student", run_student, sets=("labeled", "validation"), params=STUDENT_PARAMS, counts=sides)
        ]
