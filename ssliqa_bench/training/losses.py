"""Losses on predicted scores."""

from __future__ import annotations

import torch
from torch.nn import functional


def smooth_l1(prediction: torch.Tensor, target: torch.Tensor, beta: float) -> torch.Tensor:
    """Mean smooth-L1 distance: half the squared error divided by beta below `beta`, the absolute error less
    beta/2 above it; beta = 0 is the absolute error.

    Source: Girshick, Fast R-CNN (ICCV 2015), Eq. 3, with the transition point `beta`.
    """
    return functional.smooth_l1_loss(prediction.float(), target.float(), beta=beta)


def squared_distance(shares: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Mean over samples of the squared Euclidean distance between distributions (n, P).

    Source: Yue et al., IEEE TMM 25, 2023, Eq. 1: a sum over the levels, not their mean.
    """
    return (shares.float() - target.float()).square().sum(1).mean()
