"""Rates by the step, and groups of parameters: warm-up in steps, a cosine, decay by layer."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn

from ssliqa_bench.training.loop import Schedule

_UNDECAYED = ("pos_embed", "cls_token", "reg_token", "dist_token")
_BLOCK = re.compile(r"\bblocks\.(\d+)\.")
_FIRST = ("patch_embed", *_UNDECAYED)


@dataclass(frozen=True)
class CosineSchedule(Schedule):
    """η·t/w for the steps t < w of the warm-up, then η·cos(7π/16 · (t − w)/(T − w)); t counts from 0.

    Attributes:
        epoch_steps: steps of an epoch; T is that times the epochs.
        warmup_steps: w.
        groups: parameter groups of the optimiser, each with its share `scale` of the rate; the first has share 1.
    """

    epoch_steps: int = 1
    warmup_steps: int = 0
    groups: tuple[dict[str, Any], ...] = field(default=(), compare=False)

    def make_optimizer(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """A fresh optimiser over the groups; over the parameters as given where there are none."""
        return super().make_optimizer(self.groups or parameters)  # type: ignore[arg-type]

    def rate(self, epoch: int, fraction: float) -> float:
        """The rate of the step that completes the fraction of an epoch."""
        step = epoch * self.epoch_steps + round(fraction * self.epoch_steps) - 1
        if step < self.warmup_steps:
            return self.lr * step / self.warmup_steps
        length = max(1, self.epochs * self.epoch_steps - self.warmup_steps)
        return self.lr * math.cos(7 * math.pi / 16 * (step - self.warmup_steps) / length)

    def over(self, network: nn.Module, layer_decay: float) -> CosineSchedule:
        """The schedule with a network's parameters in groups.

        Biases and one-dimensional parameters, a ViT's position embedding and class token have no weight decay. With
        `layer_decay` d a ViT's layer, counted from the embedding, has the rate · d^(layers above it).
        """
        named = [(name, p) for name, p in network.named_parameters() if p.requires_grad]
        depth = 1 + max((int(found[1]) for name, _ in named if (found := _BLOCK.search(name))), default=-1)
        groups: dict[tuple[int, bool], dict[str, Any]] = {}
        for name, parameter in reversed(named):  # heads come last and have the whole rate
            above = depth + 1 - _layer(name, depth)
            decayed = parameter.dim() > 1 and not name.endswith(_UNDECAYED)
            group = groups.setdefault((above, decayed), {"params": [], "scale": layer_decay**above})
            group["params"].append(parameter)
            if not decayed:
                group["weight_decay"] = 0.0
        return replace(self, groups=tuple(groups[key] for key in sorted(groups)))


def _layer(name: str, depth: int) -> int:
    """0 for the embedding, 1 … depth for the blocks, depth + 1 for everything after them and for other networks."""
    if found := _BLOCK.search(name):
        return int(found[1]) + 1
    return 0 if depth and any(part in name for part in _FIRST) else depth + 1
