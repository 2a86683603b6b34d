"""Branches: networks that predict a rating score distribution, one for each of two that learn together.

Source: Yue et al., IEEE TMM 25, 2023, sections III-A and IV-B, IV-D1: the last feature map averaged over all places,
fully connected layers, softmax over the levels; the quality is the mean level.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import nn

from ssliqa_bench.methods.ssliqa.distributions import branch_quality, normal_levels
from ssliqa_bench.training.backbones.base import Backbone, JudgingBackbone, network_input
from ssliqa_bench.training.checkpoint import load_module
from ssliqa_bench.training.quality import build_backbone, check_start, start
from ssliqa_bench.training.stages import StageContext
from ssliqa_bench.types import Artifact


class BranchOutputs(NamedTuple):
    """What a branch makes of crops: shares of the levels (n, P), features (n, d), and a loss of its own, or 0."""

    shares: torch.Tensor
    features: torch.Tensor
    own_loss: torch.Tensor


class Branch(nn.Module):
    """A network and its fully connected layers, ReLU between them, softmax at their end.

    A network that judges by itself keeps its own output and has no further layers: its distribution is of normal
    shape about the quality that it says, with the given deviation in levels.
    """

    def __init__(self, backbone: Backbone, hidden: Sequence[int], levels: int, deviation: float) -> None:
        super().__init__()
        self.backbone = backbone
        self._levels, self._deviation = levels, deviation
        if isinstance(backbone, JudgingBackbone):
            return
        widths = [backbone.features, *hidden, levels]
        layers: list[nn.Module] = [nn.Dropout(backbone.dropout)]
        for k, (inputs, outputs) in enumerate(pairwise(widths)):
            layers += ([nn.ReLU()] if k else []) + [nn.Linear(inputs, outputs)]
        self.head = nn.Sequential(*layers)

    def forward(self, crops: torch.Tensor) -> BranchOutputs:
        """Of uint8 or float crops (n, 3, h, w), in float32."""
        inputs = network_input(crops)
        if isinstance(self.backbone, JudgingBackbone):
            features, quality, own = self.backbone.judge(inputs)
            shares = normal_levels(quality.float(), self._deviation, self._levels)
            return BranchOutputs(shares, features.float(), own.float())
        features = self.backbone(inputs)
        shares = torch.softmax(self.head(features).float(), dim=1)
        return BranchOutputs(shares, features.float(), features.new_zeros(()).float())


class DualBranch(nn.Module):
    """Student and teacher, which see the same crops."""

    def __init__(self, student: Branch, teacher: Branch) -> None:
        super().__init__()
        self.student = student
        self.teacher = teacher

    def forward(self, crops: torch.Tensor) -> tuple[BranchOutputs, BranchOutputs]:
        """What the student sees, then the teacher."""
        return self.student(crops), self.teacher(crops)


class BranchQuality(nn.Module):
    """A branch read as a quality model."""

    def __init__(self, branch: Branch) -> None:
        super().__init__()
        self.branch = branch

    def forward(self, crops: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Quality (n,) in [0, 1] and features (n, d) of crops."""
        seen = self.branch(crops)
        return branch_quality(seen.shares), seen.features


def make_branch(params: Mapping[str, Any], role: str, weights: str | None = None) -> Branch:
    """The branch of a role, from the parameters `ROLE_backbone`, `ROLE_hidden`, `levels` and `rating_std`.

    Raises:
        InputError: the network has no feature map to average, or the weights file does not fit.
    """
    backbone = build_backbone(params[f"{role}_backbone"], weights, trunk=True)
    return Branch(backbone, params[f"{role}_hidden"], int(params["levels"]), float(params["rating_std"]))


def build_branch(context: StageContext, role: str) -> Branch:
    """A branch before training, on the context's device: initial values depend on the seed and the role alone.

    Raises:
        InputError: the network does not take crops of that size.
    """
    weights = context.weights.get(f"{role}_backbone")
    return start(
        context,
        lambda: make_branch(context.params, role, weights),
        lambda branch: check_start(branch, branch.backbone, context, f"the network of the {role}"),
        role,
    )


def stored_branch(artifact: Artifact, params: Mapping[str, Any], role: str, device: torch.device) -> BranchQuality:
    """The branch that a stage left, as a quality model in evaluation mode."""
    branch = make_branch(params, role)
    load_module(branch, artifact.tensors)
    return BranchQuality(branch).to(device).eval()
