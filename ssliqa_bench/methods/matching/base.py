"""What all matching learners share: their stages, and the predictor of levels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, ClassVar

import torch

from ssliqa_bench.methods.base import Learner, Model, ModelContext, Needs
from ssliqa_bench.methods.matching.levels import expected_level, quality_of
from ssliqa_bench.methods.matching.network import LevelModel, stored_level_network
from ssliqa_bench.methods.matching.policies import Policy
from ssliqa_bench.methods.matching.reports import likeliest_level, predicted_shares
from ssliqa_bench.methods.matching.student import LEVEL_STUDENT_PARAMS, run_labels_only_student, run_level_student
from ssliqa_bench.methods.matching.training import LEVEL_PARAMS, MATCHING_PARAMS
from ssliqa_bench.training.images import ImageSet
from ssliqa_bench.training.stages import Stage, StageContext
from ssliqa_bench.types import Artifact, FloatArray, Judgement


class LevelPredictor:
    """Judges images by the distribution over levels, averaged over their fixed test crops."""

    def __init__(
        self, model: LevelModel, policy: Policy, crops: int, levels: int, rule: str, device: torch.device
    ) -> None:
        self._model, self._policy, self._crops, self._rule, self._device = model, policy, crops, rule, device
        self.n_parameters = sum(p.numel() for p in model.parameters())
        self.n_classes = levels

    def shares(self, images: ImageSet) -> FloatArray:
        """Distributions (n, P) over the levels."""
        return predicted_shares(self._model, images, self._policy, self._crops, self._device)

    def predict(self, images: ImageSet) -> FloatArray:
        """Quality (n,), float64: the expected level on the learner's scale, higher is better."""
        return self.judge(images).quality

    def judge(self, images: ImageSet) -> Judgement:
        """Quality, and the likeliest level as class, ties to the lower one."""
        shares = self.shares(images)
        return Judgement(quality_of(expected_level(shares), self.n_classes, self._rule), likeliest_level(shares))


def build_levels(context: ModelContext) -> LevelPredictor:
    """The network of levels, asked for the expected level over the fixed test crops."""
    p, device = context.params, context.device
    model = stored_level_network(context.trained.tensors, p["backbone"], int(p["levels"])).to(device)
    policy = Policy(p["policy"], int(p["crop"]))
    return LevelPredictor(model, policy, int(p["test_crops"]), int(p["levels"]), p["label_rule"], device)


class LevelLearner(Learner):
    """A network of levels, and perhaps a second one that is trained on what the first one says."""

    model: ClassVar[Model] = Model(
        build_levels, ("backbone", "crop", "test_crops", "policy", "levels", "label_rule")
    )
    run: ClassVar[Callable[[StageContext], Artifact]]

    def __init__(self, params: Mapping[str, Any]) -> None:
        super().__init__(params)
        # Rating distributions are asked for only where levels are made of them.
        if params["label_rule"] == "mode" or params["label_encoding"] == "rating_histogram":
            self.needs = Needs(self.needs.labels, self.needs.unlabeled, distribution=True)  # type: ignore[misc]


class MatchingLearner(LevelLearner):
    """Labeled and unlabeled images by one of the algorithms; `rule_params` and `head_params` are its own numbers."""

    needs: ClassVar[Needs] = Needs(unlabeled=True)
    rule_params: ClassVar[tuple[str, ...]] = ()
    head_params: ClassVar[tuple[str, ...]] = ()

    def stages(self) -> list[Stage]:
        """`matching`, and with `stage2` the `student`."""
        params = (*MATCHING_PARAMS, *self.rule_params, *self.head_params)
        sets = ("labeled", "unlabeled")
        first = Stage("matching", type(self).run, sets=sets, counts=("sides",), params=params)
        second = Stage("student", run_level_student, sets=sets, inputs=("matching",), params=LEVEL_STUDENT_PARAMS)
        return [first, second] if self.params["stage2"] else [first]


class LabelsOnlyLearner(MatchingLearner):
    """The comparator: as many steps with the same network, from labeled images alone."""

    needs: ClassVar[Needs] = Needs()

    def stages(self) -> list[Stage]:
        """Those of the method it is compared with, on labels alone; its student does not read its first network."""
        params = tuple(name for name in LEVEL_STUDENT_PARAMS if name not in ("stage2_threshold", "test_crops"))
        first, *second = super().stages()
        students = [replace(stage.labels_only(run_labels_only_student, params), inputs=()) for stage in second]
        return [first.labels_only(type(self).run, LEVEL_PARAMS), *students]
