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
