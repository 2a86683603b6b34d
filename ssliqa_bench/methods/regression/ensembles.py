"""Several quality models that judge as one: the mean of their predictions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import torch
from torch import nn

from ssliqa_bench.training.backbones.base import QualityModel
from ssliqa_bench.training.stages import StageContext
from ssliqa_bench.types import derive_seed


class Ensemble(nn.Module):
    """Quality models whose mean is the prediction."""

    def __init__(self, members: Iterable[QualityModel]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, crops: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean quality (n,) and the members' features side by side, of crops as a member takes them."""
        quality, features = zip(*(member(crops)[:2] for member in self.members), strict=True)
        return torch.stack(quality).mean(0), torch.cat(features, dim=1)


def member_context(context: StageContext, member: int) -> StageContext:
    """The context whose seed makes another model of each member; that of the first, 0, is the stage's own."""
    return replace(context, seed=derive_seed(context.seed, "member", member)) if member else context
