"""Any classification network of torchvision as a feature network."""

from __future__ import annotations

import math
import re

import torch
from torch import nn

from ssliqa_bench.errors import InputError
from ssliqa_bench.training.backbones.base import Backbone

_NUMBERED = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12])(?=\.)")
_MEAN = (0.485, 0.456, 0.406)  # of ImageNet, which all weights of torchvision were trained with
_STD = (0.229, 0.224, 0.225)
# How torchvision's networks take the mean over all places: a module, a function, or a method of the map.
_POOLING = ("AdaptiveAvgPool2d", "adaptive_avg_pool2d", "mean")
_PROBE = 224  # side of the crop that shows how many maps a network has


class TorchvisionBackbone(Backbone):
    """The vector that enters the last linear layer of a torchvision model.

    Args:
        name: a torchvision name such as `resnet18`; a tag after it, as in `resnet50.IMAGENET1K_V2`, names pretrained
            weights and changes nothing about the network.
    """

    def __init__(self, name: str) -> None:
        from torchvision import models

        super().__init__()
        self._name = name
        name = name.partition(".")[0]
        # Networks for detection and the like would fetch weights of their own, whatever is asked for.
        if name not in models.list_models(module=models):
            raise InputError(
                f'Backbone "torchvision:{name}": torchvision has no classification network of that name. '
                f'"python -c \'from torchvision import models; print(models.list_models(module=models))\'" lists them.'
            )
        self.network = models.get_model(name, weights=None)
        path, last = _last_linear(self.network, name)
        self.features = last.in_features
        parent = self.network.get_submodule(path.rpartition(".")[0])
        setattr(parent, path.rpartition(".")[2], nn.Identity())
        self.register_buffer("_mean", torch.tensor(_MEAN).reshape(1, 3, 1, 1), persistent=False)
        self.register_buffer("_std", torch.tensor(_STD).reshape(1, 3, 1, 1), persistent=False)

    def adapt(self, stored: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """DenseNet's published files come from a time when the parts of a layer were numbered: `norm.1` is `norm1`."""
        return {_NUMBERED.sub(r"\1\2", name): value for name, value in stored.items()}

    def trunk(self) -> TorchvisionBackbone:
        """Averages the map that enters the last pooling over all places; whatever comes after is dropped."""
        from torchvision.models.feature_extraction import create_feature_extractor

        training = self.network.training
        self.network = create_feature_extractor(self.network, {_last_map(self.network.eval(), self._name): "map"})
        with torch.no_grad():
            found = self.network.eval()(self._mean.new_zeros(1, 3, _PROBE, _PROBE))["map"]
        self.network.train(training)
        self.features = int(found.shape[1])
        return self

    def forward(self, crops: torch.Tensor) -> torch.Tensor:
        """Features (n, d) of crops in [0, 1], shape (n, 3, h, w)."""
        features = self.network((crops - self._mean) / self._std)
        if isinstance(features, dict):
            return features["map"].mean((2, 3))
        # Inception and GoogLeNet return auxiliary outputs beside the main one while training.
        return features if isinstance(features, torch.Tensor) else features[0]


def _last_linear(network: nn.Module, name: str) -> tuple[str, nn.Linear]:
    linear = [(path, module) for path, module in network.named_modules() if isinstance(module, nn.Linear)]
    if not linear:
        raise InputError(
            f'Backbone "torchvision:{name}": has no linear output layer, so no feature vector; '
            f"choose a classification network."
        )
    return linear[-1]


def _last_map(network: nn.Module, name: str) -> str:
    """The name, within a traced network, of what enters its last average over all places."""
    from torchvision import ops
    from torchvision.models.feature_extraction import NodePathTracer

    # What create_feature_extractor takes as one piece must be one here.
    pieces = [made for made in vars(ops).values() if isinstance(made, type) and issubclass(made, nn.Module)]
    tracer = NodePathTracer(autowrap_modules=(math, ops), leaf_modules=pieces)
    pooled = None
    try:
        for node in tracer.trace(network).nodes:
            module = network.get_submodule(node.target) if node.op == "call_module" else None
            named = node.op in ("call_function", "call_method")
            kind = getattr(node.target, "__name__", node.target) if named else type(module).__name__
            if kind in _POOLING:
                pooled = tracer.node_to_qualname[node.args[0]]
    except torch.fx.proxy.TraceError as error:
        raise InputError(f'Backbone "torchvision:{name}": it cannot be taken apart ({error}).') from error
    if pooled is None:
        raise InputError(
            f'Backbone "torchvision:{name}": it has no feature map with height and width that it averages. '
            f"Choose a convolutional network."
        )
    return pooled
