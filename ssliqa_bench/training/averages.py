"""Averages of a network's weights along its training, and what holds both."""

from __future__ import annotations

import copy
from typing import Generic, TypeVar

import torch
from torch import nn

AnyNetwork = TypeVar("AnyNetwork", bound=nn.Module)


class Trainee(nn.Module, Generic[AnyNetwork]):
    """What a checkpoint holds: the network in training and, where one is kept, the average of its weights.

    How the average moves is the business of the learner, which calls `follow` after every optimiser step.
    """

    def __init__(self, network: AnyNetwork, averages: bool) -> None:
        super().__init__()
        self.network = network
        self.averaged = copy.deepcopy(network).requires_grad_(False) if averages else None

    @property
    def judge(self) -> AnyNetwork:
        """The network that is evaluated: the average where there is one."""
        return self.network if self.averaged is None else self.averaged


@torch.no_grad()
def follow(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Move an average towards the present weights, θ̄ ← m θ̄ + (1 − m) θ; buffers are copied.

    Args:
        decay: m, in [0, 1].
    """
    old, new = list(average.parameters()), list(network.parameters())
    torch._foreach_mul_(old, decay)
    torch._foreach_add_(old, new, alpha=1 - decay)
    _copy_buffers(average, network)


@torch.no_grad()
def add_to_mean(mean: nn.Module, network: nn.Module, count: int) -> None:
    """Move the parameters of a mean of count − 1 networks to that of count; buffers are those of the last network."""
    for old, new in zip(mean.parameters(), network.parameters(), strict=True):
        old.copy_(new if count == 1 else old + (new - old) / count)
    _copy_buffers(mean, network)


def rising_decay(step: int, limit: float) -> float:
    """Decay of an average after step t (from 1): min(1 − 1/(t + 1), limit), so that the first weights soon fade.

    Source: Tarvainen and Valpola, NIPS 2017, in the authors' implementation.
    """
    return min(1 - 1 / (step + 1), limit)


def _copy_buffers(average: nn.Module, network: nn.Module) -> None:
    for stale, fresh in zip(average.buffers(), network.buffers(), strict=True):
        stale.copy_(fresh)
