"""Maps from inside a network of timm, which is cut off after the last of them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from ssliqa_bench.errors import InputError
from ssliqa_bench.training.extractors.base import MapExtractor


class TimmMaps(MapExtractor):
    """Outputs of some modules of a timm model whose children run one after the other, put together along the channels.

    A child that is a sequence counts as its parts: `repeat.1` is the second module of the child `repeat`.

    Args:
        name: of the model, such as `inception_resnet_v2.tf_in1k`; its own mean and deviation normalise the input.
        places: the modules, in the order in which they run.
        grid_of: which of them gives the grid; the others' maps are averaged over its cells, or repeated where they
            are coarser. None where all maps have one size.
    """

    def __init__(self, name: str, places: Sequence[str], grid_of: str | None = None) -> None:
        import timm

        super().__init__()
        self._places, self._grid_of = tuple(places), grid_of
        self.network = timm.create_model(name, pretrained=False)
        settings = self.network.pretrained_cfg
        for key in ("mean", "std"):
            self.register_buffer(f"_{key}", torch.tensor(settings[key]).reshape(1, 3, 1, 1), persistent=False)
        steps = _steps(self.network)
        if unknown := [place for place in (*places, *([grid_of] if grid_of else [])) if place not in steps]:
            raise InputError(
                f"timm:{name} has no module {unknown[0]} among those that run in order: {', '.join(steps)}."
            )
        self._order = tuple(steps)[: tuple(steps).index(places[-1]) + 1]
        _cut(self.network, self._order)
        self.freeze()
        side = int(settings["input_size"][-1])
        self.features = int(self.maps(torch.zeros(1, 3, side, side)).shape[1])

    def compute(self, crops: torch.Tensor) -> torch.Tensor:
        """Maps (n, features, g, g') of crops in [0, 1]."""
        values = (crops - self._mean) / self._std
        found = {}
        for name in self._order:
            values = self.network.get_submodule(name)(values)
            if name in self._places:
                found[name] = values
        if self._grid_of is not None:
            size = tuple(found[self._grid_of].shape[-2:])
            found = {name: functional.adaptive_avg_pool2d(values, size) for name, values in found.items()}
        return torch.cat([found[name] for name in self._places], dim=1)


def _steps(network: nn.Module) -> dict[str, nn.Module]:
    """The modules that run one after the other, by name."""
    steps: dict[str, nn.Module] = {}
    for name, child in network.named_children():
        parts = child.named_children() if isinstance(child, nn.Sequential) else None
        steps |= {name: child} if parts is None else {f"{name}.{part}": module for part, module in parts}
    return steps


def _cut(network: nn.Module, kept: Sequence[str]) -> None:
    """Drop the children, and the parts of sequences, that are not kept; names stay those of published weights."""
    whole = {name for name in kept if "." not in name}
    for name, child in list(network.named_children()):
        parts = [step.partition(".")[2] for step in kept if step.startswith(f"{name}.")]
        if parts and isinstance(child, nn.Sequential):
            setattr(network, name, child[: len(parts)])
        elif name not in whole:
            delattr(network, name)
