"""Averages of a network's weights along its training."""

from __future__ import annotations

import torch
from torch import nn


@torch.no_grad()
def follow(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Move an average towards the present weights, θ̄ ← m θ̄ + (1 − m) θ; buffers are copied.

    Args:
        decay: m, in [0, 1].
    """
    old, new = list(average.parameters()), list(network.parameters())
    torch._foreach_mul_(old, decay)
    torch._foreach_add_(old, new, alpha=1 - decay)
    for stale, fresh in zip(average.buffers(), network.buffers(), strict=True):
        stale.copy_(fresh)


def rising_decay(step: int, limit: float) -> float:
    """Decay of an average after step t (from 1): min(1 − 1/(t + 1), limit), so that the first weights soon fade.

    Source: Tarvainen and Valpola, NIPS 2017, in the authors' implementation.
    """
    return min(1 - 1 / (step + 1), limit)
