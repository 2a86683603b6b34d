"""What a feature network is, and the quality model made of one."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import nn

from ssliqa_bench.errors import InputError


class Backbone(nn.Module):
    """A network from crops to feature vectors.

    Subclasses set `features` (the length d of a vector) and, where the paper of the network drops features
    before its linear output, `dropout`. `forward` takes float crops in [0, 1], RGB, shape (n, 3, h, w), and
    returns (n, d); normalising them is the network's own business.
    """

    features: int
    dropout: float = 0.0

    def example(self, side: int) -> torch.Tensor:
        """One input of the kind that `forward` takes, for a look at whether crops of that side fit."""
        return torch.zeros(1, 3, side, side)

    def calibrate(self, inputs: torch.Tensor) -> None:
        """See inputs of labeled training images once before training; most networks learn nothing from it."""

    def adapt(self, stored: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The tensors of a published weights file under the names that this network has for them."""
        return stored

    def trunk(self) -> Backbone:
        """Itself, changed so that its vector is the mean over its last feature map, and rid of all that comes after.

        A network that makes its vector in another way stays as it is.

        Raises:
            InputError: its last feature map has no height and width.
        """
        return self


def check_crop(network: nn.Module, backbone: Backbone, side: int, whose: str = "the backbone") -> None:
    """Run a network once on a crop of zeros, without a gradient and in evaluation mode.

    Args:
        network: what is run; `backbone` lies in it and says what its input looks like.
        whose: names the network in the message.

    Raises:
        InputError: it does not take crops of that side.
    """
    try:
        with torch.no_grad():
            network.eval()(backbone.example(side))
    except (AssertionError, RuntimeError, ValueError) as error:
        raise InputError(f"Parameter crop: {whose} does not take crops of {side}×{side} pixels: {error}") from error


def network_input(crops: torch.Tensor) -> torch.Tensor:
    """Crops (n, 3, h, w) as backbones take them: uint8 becomes float in [0, 1], anything else stays as it is; on CUDA
    channels lie last in memory, in which convolutions are faster."""
    inputs = crops.float().div(255.0) if crops.dtype == torch.uint8 else crops
    return inputs.contiguous(memory_format=torch.channels_last) if crops.is_cuda and crops.dim() == 4 else inputs


class JudgingBackbone(Backbone):
    """A network with a quality output of its own, beside its feature vector."""

    @abstractmethod
    def judge(self, crops: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Features (n, d), quality (n,) on the learner's [0, 1] scale, and a loss of its own, while training, else 0.

        Crops as `forward` takes them.
        """


class QualityModel(nn.Module):
    """A backbone with one linear output: the quality of a crop on the learner's [0, 1] scale."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone
        self.dropout = nn.Dropout(backbone.dropout)
        self.head = nn.Linear(backbone.features, 1)

    def forward(self, crops: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Quality (n,) and features (n, d), both float32, of uint8 or float crops (n, 3, h, w)."""
        features = self.backbone(network_input(crops))
        quality = self.head(self.dropout(features)).squeeze(-1)
        return quality.float(), features.float()
