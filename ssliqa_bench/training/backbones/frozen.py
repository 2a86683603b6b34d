"""A small head in the place of a network, for features that were computed once by a frozen one."""

from __future__ import annotations

import torch
from torch import nn

from ssliqa_bench.training.backbones.base import Backbone


class FrozenFeatures(Backbone):
    """Takes feature vectors (n, inputs) in place of crops.

    Each vector is normalised by its own mean and deviation, so that no statistics of other images enter.

    Args:
        inputs: length of a vector.
        width: of one hidden layer with GELU; 0 for none, so that the model is linear in the normalised features.
        dropout: share of the features that is dropped in training.
    """

    def __init__(self, inputs: int, width: int = 0, dropout: float = 0.0) -> None:
        super().__init__()
        self.inputs = inputs
        self.features = width or inputs
        self.dropout = dropout
        self.normalise = nn.LayerNorm(inputs, elementwise_affine=False)
        self.hidden = nn.Sequential(nn.Linear(inputs, width), nn.GELU()) if width else nn.Identity()

    def example(self, side: int) -> torch.Tensor:
        """One feature vector."""
        return torch.zeros(1, self.inputs)

    def forward(self, crops: torch.Tensor) -> torch.Tensor:
        """Features (n, d) of vectors (n, inputs)."""
        return self.hidden(self.normalise(crops))
