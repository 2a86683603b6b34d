"""A network of timm in two parts: the first stages, whose maps are computed once, and the last ones, which are trained.

Both hold the whole network under timm's names, with an identity in the place of every step that the other part does, so
that published weights load into either.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from ssliqa_bench.errors import InputError
from ssliqa_bench.training.backbones.base import Backbone
from ssliqa_bench.training.backbones.frozen import FrozenFeatures

_AT_ONCE = 64  # crops per forward pass outside training


class FirstStages(Backbone):
    """The map after some step of a timm network, flattened: vectors (n, channels · grid²).

    Args:
        name: of a timm network whose children run one after the other, such as `tf_efficientnet_lite0.in1k`.
        last: the last step that is run; a part of a sequence counts as one, such as `blocks.4`.
        grid: side of the map. Crops whose map has this size give it as it is; the map of any other image is averaged
            over this many cells.
    """

    def __init__(self, name: str, last: str, grid: int) -> None:
        super().__init__()
        self.network = _network(name)
        self._grid = grid
        steps = _steps(self.network, name, last)
        _drop(self.network, steps[steps.index(last) + 1 :])
        for key, values in _normalisation(self.network).items():
            self.register_buffer(key, values, persistent=False)
        side = int(self.network.pretrained_cfg.get("input_size", (3, 224, 224))[-1])
        with torch.no_grad():
            self.features = int(self.eval()(torch.zeros(1, 3, side, side)).shape[1])

    def forward(self, crops: torch.Tensor) -> torch.Tensor:
        """Vectors (n, d) of crops in [0, 1], shape (n, 3, h, w)."""
        maps = self.network.forward_features((crops - self._mean) / self._std)
        if tuple(maps.shape[-2:]) != (self._grid, self._grid):
            maps = functional.adaptive_avg_pool2d(maps, self._grid)
        return maps.flatten(1)


class LastStages(Backbone):
    """Takes the vectors of `FirstStages` in the place of crops and runs the steps after it, which learn.

    Batch normalisation stays as it was pretrained: its statistics are not those of the images at hand, and its scales
    and shifts do not learn. So a gain is none of adapted statistics. The pooled vector is evened out and standardised
    as that of a frozen network (`FrozenFeatures`) before it reaches the head, by the labeled images and the network
    before training.

    Args:
        name, last, grid: as for `FirstStages`.
        inputs: length of a vector.
        dropout: share of the pooled features that is dropped before the head in training.
    """

    def __init__(self, name: str, last: str, grid: int, inputs: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.network = _network(name)
        self._shape = (inputs // grid**2, grid, grid)
        self.dropout = dropout
        steps = _steps(self.network, name, last)
        _drop(self.network, steps[: steps.index(last) + 1])
        for module in self._batch_norms():
            module.requires_grad_(False)
        with torch.no_grad():
            self.features = int(self.network.eval()(torch.zeros(1, *self._shape)).shape[1])
        self.standardised = FrozenFeatures(self.features)
        self.train()

    def example(self, side: int) -> torch.Tensor:
        """One vector."""
        return torch.zeros(1, *self._shape).flatten(1)

    def train(self, mode: bool = True) -> LastStages:
        """Training mode for all but batch normalisation."""
        super().train(mode)
        for module in self._batch_norms():
            module.eval()
        return self

    @torch.no_grad()
    def calibrate(self, inputs: torch.Tensor) -> None:
        """Take mean and deviation of each pooled feature from vectors (n, inputs)."""
        training = self.training
        self.eval()
        self.standardised.calibrate(torch.cat([self._pooled(part) for part in inputs.split(_AT_ONCE)]))
        self.train(training)

    def forward(self, crops: torch.Tensor) -> torch.Tensor:
        """Features (n, d) of vectors (n, inputs)."""
        return self.standardised(self._pooled(crops))

    def _pooled(self, vectors: torch.Tensor) -> torch.Tensor:
        return self.network(vectors.reshape(-1, *self._shape))

    def _batch_norms(self) -> list[nn.Module]:
        return [module for module in self.modules() if isinstance(module, _BatchNorm)]


def _network(name: str) -> nn.Module:
    import timm

    return timm.create_model(name, pretrained=False, num_classes=0)


def _normalisation(network: nn.Module) -> dict[str, torch.Tensor]:
    settings = network.pretrained_cfg
    return {f"_{key}": torch.tensor(settings[key]).reshape(1, 3, 1, 1) for key in ("mean", "std")}


def _steps(network: nn.Module, name: str, last: str) -> list[str]:
    """The modules that run one after the other, by name.

    Raises:
        InputError: `last` is none of them.
    """
    steps: list[str] = []
    for child, module in network.named_children():
        parts = [f"{child}.{part}" for part, _ in module.named_children()] if isinstance(module, nn.Sequential) else []
        steps += parts or [child]
    if last not in steps:
        raise InputError(f"timm:{name} has no module {last} among those that run in order: {', '.join(steps)}.")
    return steps


def _drop(network: nn.Module, steps: list[str]) -> None:
    """Put an identity in the place of some steps."""
    for step in steps:
        parent, _, part = step.rpartition(".")
        setattr(network.get_submodule(parent), part, nn.Identity())
