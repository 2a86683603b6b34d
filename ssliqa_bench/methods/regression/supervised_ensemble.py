"""Several supervised models from different initial values, whose mean is the prediction: what five times the training
gives without one unlabeled image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from torch import nn

from ssliqa_bench.methods.base import Model, ModelContext, Needs, Work
from ssliqa_bench.methods.regression.ensembles import Ensemble, member_context
from ssliqa_bench.methods.supervised import INITIAL_PARAMS, Supervised, initial_stage, run_initial
from ssliqa_bench.training.backbones.base import QualityModel
from ssliqa_bench.training.checkpoint import load_module
from ssliqa_bench.training.quality import QualityPredictor, build_backbone
from ssliqa_bench.training.stages import Stage, StageContext
from ssliqa_bench.training.views import View
from ssliqa_bench.types import Artifact

_MODEL, _MEMBER = "model.", "model.members.{}."


def run_member(context: StageContext) -> Artifact:
    """Train a further model on the labeled images as the first one, from initial values and crops of its own."""
    return run_initial(member_context(context, int(context.settings["member"])))


def run_ensemble(context: StageContext) -> Artifact:
    """Put the members together."""
    tensors = {
        _MEMBER.format(k) + name.removeprefix(_MODEL): value
        for k, artifact in enumerate(context.inputs.values())
        for name, value in artifact.tensors.items()
    }
    return Artifact(tensors, {"steps": 0, "log": []})


def build_ensemble(context: ModelContext) -> QualityPredictor:
    """The mean of the members through the fixed test crops."""
    p, tensors = context.params, context.trained.tensors
    model = _members(p["backbone"], len({name.split(".")[2] for name in tensors}))
    load_module(model, tensors)
    return QualityPredictor(model.to(context.device), View(p["crop"], p["test_crops"]), context.device)


class SupervisedEnsemble(Supervised):
    """`members` supervised models, the first of which is that of `supervised` itself."""

    needs: ClassVar[Needs] = Needs()
    model: ClassVar[Model] = Model(build_ensemble, ("backbone", "crop", "test_crops"))

    def stages(self) -> list[Stage]:
        """`initial`, `member-1` …, and `ensemble`."""
        further = [
            Stage(f"member-{k}", run_member, sets=("labeled",), params=INITIAL_PARAMS, settings={"member": k},
                  predicts=False)
            for k in range(1, int(self.params["members"]))
        ]
        members = [replace(initial_stage(), predicts=False), *further]  # a member alone is not the model
        return [*members, Stage("ensemble", run_ensemble, inputs=tuple(stage.name for stage in members))]

    def work(self, labeled: int, unlabeled: int) -> Work | None:
        """Every image once per epoch and member."""
        p = self.params
        return Work(labeled * int(p["crops"]) * int(p["epochs"]) * int(p["members"]))

    def networks(self) -> Mapping[str, nn.Module]:
        """All members."""
        return {"model": _members(self.params["backbone"], int(self.params["members"]))}


def _members(backbone: Mapping[str, object], count: int) -> Ensemble:
    return Ensemble(QualityModel(build_backbone(backbone)) for _ in range(count))
