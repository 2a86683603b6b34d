"""TReS as a network of this package. Importing this module imports pyiqa (PolyForm Noncommercial licence).

Source: Golestaneh, Dadsetan, Kitani, "No-Reference Image Quality Assessment via Transformers, Relative Ranking, and
Self-Consistency", WACV 2022; the architecture is that of pyiqa. Its losses: the distance to the score, which is the
learner's business, self-consistency between an image and its mirror image, which is kept, and relative ranking,
which is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import torch
from pyiqa.archs import tres_arch
from torch import nn
from torch.nn import functional
from torchvision import models

from ssliqa_bench.training.backbones.base import JudgingBackbone

_SIDE = 224  # TReS pools its maps by fixed windows, which fit crops of this side


class TReS(JudgingBackbone):
    """ResNet-50, a transformer over its four maps, and one quality output; the feature is the pooled last map.

    The parts are pyiqa's; the way through them is written here, because pyiqa's own enlarges crops of 224 pixels and
    cuts them anew, at places from numpy's global random state.
    """

    features = 2048

    def __init__(self) -> None:
        super().__init__()
        with _without_download():
            self.tres: Any = tres_arch.TReS(pretrained=False)

    @property
    def network(self) -> nn.Module:
        """The part that starts from published weights: ResNet-50, with a classifier that TReS never asks."""
        return self.tres.model  # type: ignore[no-any-return]

    def judge(self, crops: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Features, quality (its output through a sigmoid, since scores lie in [0, 1]) and self-consistency."""
        features, output, seen = self._look(crops, self.tres.drop2d)
        consistency = crops.new_zeros(())
        if self.training:
            mirrored = self._look(crops.flip(3), nn.Identity())[2]
            consistency = sum(self.tres.consistency(own, other.detach()) for own, other in zip(seen, mirrored))
        return features, torch.sigmoid(output), consistency

    def forward(self, crops: torch.Tensor) -> torch.Tensor:
        """Features (n, 2048) of crops in [0, 1], shape (n, 3, 224, 224)."""
        return self.judge(crops)[0]

    def _look(self, crops: torch.Tensor, drop: nn.Module) -> tuple[torch.Tensor, torch.Tensor, list[torch.Tensor]]:
        """Features, raw output, and the two maps that must be consistent: the transformer's and the last one."""
        if crops.shape[-2:] != (_SIDE, _SIDE):
            raise ValueError(f"tres takes crops of {_SIDE}×{_SIDE} pixels")
        tres = self.tres
        _, *maps = tres.forward_backbone(tres.model, (crops - tres.default_mean.to(crops)) / tres.default_std.to(crops))
        pools = (tres.L2pooling_l1, tres.L2pooling_l2, tres.L2pooling_l3, tres.L2pooling_l4)
        windows = (tres.avg8, tres.avg4, tres.avg2, nn.Identity())
        parts = [w(drop(pool(functional.normalize(m, dim=1)))) for w, pool, m in zip(windows, pools, maps)]
        places = tres.position_embedding(crops.new_ones(1, tres.dim_modelt, 7, 7)).expand(len(crops), -1, -1, -1)
        mixed = tres.transformer(torch.cat(parts, dim=1), places.contiguous())
        features = tres.avg7(maps[-1]).flatten(1)
        output = tres.fc(torch.cat((tres.fc2(tres.avg7(mixed).flatten(1)), features), dim=1))
        return features, output[:, 0], [mixed, maps[-1]]


@contextmanager
def _without_download() -> Iterator[None]:
    """pyiqa's constructor asks torchvision for trained weights, whatever its arguments."""
    known = tres_arch.models
    tres_arch.models = SimpleNamespace(resnet50=lambda weights=None: models.resnet50(weights=None))
    try:
        yield
    finally:
        tres_arch.models = known
