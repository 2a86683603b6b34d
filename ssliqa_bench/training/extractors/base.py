"""What a frozen extractor is."""

from __future__ import annotations

from abc import abstractmethod

import torch

from ssliqa_bench.training.backbones.base import Backbone


class MapExtractor(Backbone):
    """A network that never learns, from crops to one map of `features` channels.

    Nothing in it has a gradient, and it stays in evaluation mode whatever the mode of the module that holds it, so
    its running statistics never move. It computes in float32 also under mixed precision, since the difference of two
    maps is what matters and may be far smaller than the maps.
    """

    def freeze(self) -> None:
        """Take the gradients from its parameters; to be called once these are made."""
        self.requires_grad_(False)
        self.train(False)

    def train(self, mode: bool = True) -> MapExtractor:
        """Evaluation mode, whatever is asked for."""
        super().train(False)
        return self

    def maps(self, crops: torch.Tensor) -> torch.Tensor:
        """Maps (n, features, g, g') of crops in [0, 1], shape (n, 3, h, w); without gradients."""
        with torch.no_grad(), torch.autocast(crops.device.type, enabled=False):
            return self.compute(crops.float())

    @abstractmethod
    def compute(self, crops: torch.Tensor) -> torch.Tensor:
        """What `maps` gives."""

    def forward(self, crops: torch.Tensor) -> torch.Tensor:
        """Features (n, features): the mean over all places of the maps."""
        return self.maps(crops).mean((2, 3))
