"""A small head in the place of a network, for features that were computed once by a frozen one."""

from __future__ import annotations

import math

import torch
from torch import nn

from ssliqa_bench.training.backbones.base import Backbone

_FLOOR = 1e-3  # of a feature's deviation: one that hardly varies says nothing


class FrozenFeatures(Backbone):
    """Takes feature vectors (n, inputs) in place of crops.

    The square root evens out the skew of pooled activations; then each feature is standardised by its mean and
    deviation over the weak views of the labeled training images, which every learner has (they are part of the model),
    and divided by √inputs, so that a vector has a length of about one and random initial weights above it say little.

    Args:
        inputs: length of a vector.
        width: of one hidden layer with GELU; 0 for none, so that the model is linear in the features.
        dropout: share of the features that is dropped in training.
    """

    def __init__(self, inputs: int, width: int = 0, dropout: float = 0.0) -> None:
        super().__init__()
        self.inputs = inputs
        self.features = width or inputs
        self.dropout = dropout
        self.hidden = nn.Sequential(nn.Linear(inputs, width), nn.GELU()) if width else nn.Identity()
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("deviation", torch.ones(inputs))

    def example(self, side: int) -> torch.Tensor:
        """One feature vector."""
        return torch.zeros(1, self.inputs)

    def calibrate(self, inputs: torch.Tensor) -> None:
        """Take mean and deviation of each feature from vectors (n, inputs)."""
        evened = _signed_root(inputs)
        self.mean.copy_(evened.mean(0))
        self.deviation.copy_(evened.std(0, correction=0).clamp_min(_FLOOR))

    def forward(self, crops: torch.Tensor) -> torch.Tensor:
        """Features (n, d) of vectors (n, inputs)."""
        standardised = (_signed_root(crops) - self.mean) / self.deviation
        return self.hidden(standardised / math.sqrt(self.inputs))


def _signed_root(values: torch.Tensor) -> torch.Tensor:
    return values.sign() * values.abs().sqrt()
