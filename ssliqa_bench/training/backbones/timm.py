"""Any network of timm as a feature network."""

from __future__ import annotations

import sys

import torch
from torch import nn

from ssliqa_bench.errors import InputError
from ssliqa_bench.training.backbones.base import Backbone


class TimmBackbone(Backbone):
    """The pooled vector before the classifier of a timm model; its own mean and deviation normalise the input.

    Args:
        name: a timm name such as `deit3_small_patch16_224.fb_in1k`.
        arguments: further arguments of `timm.create_model`.
    """

    def __init__(self, name: str, **arguments: object) -> None:
        import timm

        super().__init__()
        self._name = name
        self._averages_map = False
        try:
            self.network = timm.create_model(name, pretrained=False, num_classes=0, **arguments)
        except RuntimeError as error:
            raise InputError(
                f'Backbone "timm:{name}": timm does not know it ({error}). '
                f"\"python -c 'import timm; print(timm.list_models())'\" lists its names."
            ) from error
        self.features = int(self.network.num_features)
        settings = self.network.pretrained_cfg
        for key in ("mean", "std"):
            values = torch.tensor(settings.get(key) or (0.5, 0.5, 0.5)).reshape(1, 3, 1, 1)
            self.register_buffer(f"_{key}", values, persistent=False)
        with torch.no_grad():  # some models pool to another length than they state
            side = int(settings.get("input_size", (3, 224, 224))[-1])
            self.features = int(self.network.eval()(torch.zeros(1, 3, side, side)).shape[-1])
        self.network.train()

    def adapt(self, stored: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """What timm itself does to the published files of this family: older names, position embeddings resized."""
        family = sys.modules[type(self.network).__module__]
        change = getattr(family, "checkpoint_filter_fn", None)
        return stored if change is None else dict(change(stored, self.network))

    def trunk(self) -> TimmBackbone:
        """Averages what timm calls the forward features; parts that these do not run through are dropped."""
        used: set[nn.Module] = set()
        hooks = [module.register_forward_hook(lambda m, *_: used.add(m)) for module in self.network.modules()]
        side = int(self.network.pretrained_cfg.get("input_size", (3, 224, 224))[-1])
        training = self.network.training
        with torch.no_grad():
            features = self.network.eval().forward_features(self._mean.new_zeros(1, 3, side, side))
        self.network.train(training)
        for hook in hooks:
            hook.remove()
        if not isinstance(features, torch.Tensor) or features.dim() != 4:
            raise InputError(
                f'Backbone "timm:{self._name}": its last features have the shape {_shape(features)}, without height '
                f"and width, so there is no feature map to average. Choose a convolutional network."
            )
        for name, child in list(self.network.named_children()):
            if used.isdisjoint(child.modules()):
                setattr(self.network, name, nn.Identity())
        self._channels_last = getattr(self.network, "output_fmt", "NCHW") == "NHWC"
        self.features = int(features.shape[-1 if self._channels_last else 1])
        self._averages_map = True
        return self

    def forward(self, crops: torch.Tensor) -> torch.Tensor:
        """Features (n, d) of crops in [0, 1], shape (n, 3, h, w)."""
        inputs = (crops - self._mean) / self._std
        if not self._averages_map:
            return self.network(inputs)
        return self.network.forward_features(inputs).mean((1, 2) if self._channels_last else (2, 3))


def _shape(features: object) -> object:
    return tuple(features.shape[1:]) if isinstance(features, torch.Tensor) else type(features).__name__
