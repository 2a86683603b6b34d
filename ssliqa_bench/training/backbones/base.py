"""What a feature network is, and the quality model made of one."""

from __future__ import annotations

import torch
from torch import nn


class Backbone(nn.Module):
    """A network from crops to feature vectors.

    Subclasses set `features` (the length d of a vector) and, where the paper of the network drops features
    before its linear output, `dropout`. `forward` takes float crops in [0, 1], RGB, shape (n, 3, h, w), and
    returns (n, d); normalising them is the network's own business.
    """

    features: int
    dropout: float = 0.0

    def adapt(self, stored: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The tensors of a published weights file under the names that this network has for them."""
        return stored


class QualityModel(nn.Module):
    """A backbone with one linear output: the quality of a crop on the learner's [0, 1] scale."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone
        self.dropout = nn.Dropout(backbone.dropout)
        self.head = nn.Linear(backbone.features, 1)

    def forward(self, crops: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Quality (n,) and features (n, d), both float32, of uint8 or float crops (n, 3, h, w)."""
        inputs = crops.float().div(255.0) if crops.dtype == torch.uint8 else crops
        features = self.backbone(inputs)
        quality = self.head(self.dropout(features)).squeeze(-1)
        return quality.float(), features.float()
